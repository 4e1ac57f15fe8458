"""Slices of tensors: StridedSlice, Slice, and `tensor[key]`."""

from __future__ import annotations

import functools
import numbers
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.ops.constants import DATA, int_vector
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import from_vector, known_ints
from shardtape.ops.shaping import shape
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import EagerTensor, Tensor

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


@functools.lru_cache(maxsize=4096)
def slice_index(begin: Any, end: Any, strides: Any, masks: tuple[int, ...]) -> tuple[Any, ...]:
    """The index expression of a strided slice; unknown numbers (None) stand as they are."""
    from_start, to_end, ellipsis, new_axis, shrink = masks
    out: list[Any] = []
    for i, (b, e, s) in enumerate(zip(begin, end, strides)):
        bit = 1 << i
        if ellipsis & bit:
            out.append(Ellipsis)
        elif new_axis & bit:
            out.append(None)
        elif shrink & bit:
            out.append(b)
        else:
            if s == 0:
                raise errors.InvalidArgumentError(f"strides[{i}] must be non-zero")
            out.append(slice(None if from_start & bit else b, None if to_end & bit else e, s))
    return tuple(out)


def _take(x: Any, begin: Any, end: Any, strides: Any, masks: Any) -> Any:
    index = slice_index(tuple(begin.tolist()), tuple(end.tolist()), tuple(strides.tolist()), masks)
    try:
        return x[index]
    except IndexError:
        raise out_of_bounds(x.shape, index) from None


def out_of_bounds(dims: Any, index: Any) -> errors.OpError:
    """The error of TensorFlow's words for an index that numpy refused."""
    taken = [k for k in index if k is not None and k is not Ellipsis]
    if len(taken) > len(dims):
        return errors.InvalidArgumentError(
            f"Index out of range using input dim {len(dims)}; input has only {len(dims)} dims "
            "[Op:StridedSlice] name: strided_slice/"
        )
    at = 0
    for k in index:
        if k is Ellipsis:
            at += len(dims) - len(taken)
        elif k is not None:
            if not isinstance(k, slice) and not -dims[at] <= k < dims[at]:
                return errors.InvalidArgumentError(
                    f"slice index {k} of dimension {at} out of bounds. [Op:StridedSlice] name: "
                    "strided_slice/"
                )
            at += 1
    return errors.InvalidArgumentError(f"{index} does not fit shape {list(dims)} [Op:StridedSlice]")


def _strided_shape(x: Arg, begin: Arg, end: Arg, strides: Arg, **masks: int) -> TensorShape:
    bits = tuple(masks.get(m, 0) for m in _MASKS)
    b: Any = known_ints(begin)
    e: Any = known_ints(end)
    s: Any = known_ints(strides)
    count = next((len(v) for v in (b, e, s) if v is not None), None)
    if count is None or x.shape.rank is None:
        return UNKNOWN
    none = [None] * count
    b, e, s = b or none, e or none, s or none
    index = slice_index(tuple(b), tuple(e), tuple(s), bits)
    dims, at = x.shape.as_list(), 0
    out: list[Any] = []
    taken = sum(not (bits[2] >> i & 1) and not (bits[3] >> i & 1) for i in range(count))
    if taken > len(dims):
        raise ValueError(f"Index out of range using input dim {len(dims)}; input has only "
                         f"{len(dims)} dims")  # fmt: skip
    for i, k in enumerate(index):
        bit = 1 << i
        if bits[2] & bit:
            rest = len(dims) - taken
            out += dims[at : at + rest]
            at += rest
        elif bits[3] & bit:
            out.append(1)
        elif bits[4] & bit:
            if k is not None and dims[at] is not None and not -dims[at] <= k < dims[at]:
                raise ValueError(f"slice index {k} of dimension {at} out of bounds.")
            at += 1
        else:
            out.append(_sliced(dims[at], k, b[i], e[i], s[i], bits, bit))
            at += 1
    return TensorShape([*out, *dims[at:]])


def _sliced(dim: Any, k: slice, b: Any, e: Any, s: Any, bits: Any, bit: int) -> int | None:
    if s is None or (b is None and not bits[0] & bit) or (e is None and not bits[1] & bit):
        return None
    return None if dim is None else len(range(*k.indices(dim)))


def _strided_samples(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(3, 4))
    i = lambda *values: np.array(values, np.int32)
    return [
        ((x, i(0, 1), i(2, 4), i(1, 2)), {}),
        ((x, i(-1, 0), i(0, 0), i(-1, 1)), {"end_mask": 2, "begin_mask": 2}),
        ((x, i(1, 0), i(2, 2), i(1, 1)), {"shrink_axis_mask": 1}),
        ((x, i(0, 0, 1), i(0, 0, 2), i(1, 1, 1)),
         {"new_axis_mask": 1, "ellipsis_mask": 2, "shrink_axis_mask": 4}),
    ]  # fmt: skip


@op("StridedSlice", dtypes=DATA, host=("begin", "end", "strides"), shape=_strided_shape,
    may_view=True, samples=_strided_samples)  # fmt: skip
def strided_slice_op(
    xp, input, begin, end, strides, *, begin_mask=0, end_mask=0, ellipsis_mask=0,
    new_axis_mask=0, shrink_axis_mask=0,
):  # fmt: skip
    """input[begin:end:strides] for the leading axes; bit i of a mask speaks of entry i."""
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return _take(input, begin, end, strides, masks)


@strided_slice_op.gradient
def _(g, _y, input, begin, end, strides, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask,
      shrink_axis_mask):  # fmt: skip
    return strided_slice_grad(
        shape(input), begin, end, strides, g, begin_mask=begin_mask, end_mask=end_mask,
        ellipsis_mask=ellipsis_mask, new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask,
    )  # fmt: skip


@op(
    "StridedSliceGrad",
    dtypes=dt.NUMERIC | dt.BOOL,
    widen=False,
    host=("shape", "begin", "end", "strides"),
    shape=from_vector(0),
    samples=lambda rng: [
        ((np.array([3, 4], np.int32), np.array([0, 1], np.int32), np.array([2, 4], np.int32),
          np.array([1, 2], np.int32), rng.normal(size=(2, 2))), {}),
    ],
)  # fmt: skip
def strided_slice_grad(
    xp, shape, begin, end, strides, dy, *, begin_mask=0, end_mask=0, ellipsis_mask=0,
    new_axis_mask=0, shrink_axis_mask=0,
):  # fmt: skip
    """Zeros of `shape` with `dy` in the place of the slice."""
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    out = xp.zeros(tuple(shape.tolist()), dy.dtype)
    index = slice_index(tuple(begin.tolist()), tuple(end.tolist()), tuple(strides.tolist()), masks)
    out[index] = dy
    return out


@strided_slice_grad.writes_into()
def _(xp, out, shape, begin, end, strides, dy, *, begin_mask=0, end_mask=0, ellipsis_mask=0,
      new_axis_mask=0, shrink_axis_mask=0):  # fmt: skip
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    out[...] = 0
    out[slice_index(tuple(begin.tolist()), tuple(end.tolist()), tuple(strides.tolist()), masks)] = (
        dy
    )


@strided_slice_grad.gradient
def _(g, _y, _shape, begin, end, strides, _dy, *, begin_mask, end_mask, ellipsis_mask,
      new_axis_mask, shrink_axis_mask):  # fmt: skip
    return strided_slice_op(
        g, begin, end, strides, begin_mask=begin_mask, end_mask=end_mask,
        ellipsis_mask=ellipsis_mask, new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask,
    )  # fmt: skip


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """input_[begin:end:strides] for the leading axes; bit i of a mask speaks of entry i."""
    begin = convert_to_tensor(begin)
    if strides is None:
        from shardtape.ops.filling import ones_like

        strides = ones_like(begin)
    return strided_slice_op(
        convert_to_tensor(input_), begin, end, strides, begin_mask=begin_mask, end_mask=end_mask,
        ellipsis_mask=ellipsis_mask, new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask, name=name,
    )  # fmt: skip


# ---- tensor[key] ------------------------------------------------------------------------------
_WRONG = (
    "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
    "tf.int32/tf.int64 tensors are valid indices"
)


def getitem(self: Any, key: Any) -> Tensor:
    """`tensor[key]` by the rules of TensorFlow.

    Args:
      key: integers, slices, None, `...`, integer scalar tensors, or a tuple (or list) of them;
        or one bool mask, of the shape of the leading axes.

    Raises:
      TypeError: another kind of key.
      InvalidArgumentError: an index that is out of bounds.
    """
    if not state.busy and type(self) is EagerTensor:
        if type(key) is int:
            try:
                return _element(self._array[key])
            except IndexError:
                raise out_of_bounds(self._array.shape, (key,)) from None
        if _is_plain(key):
            index = tuple(key) if isinstance(key, (list, tuple)) else (key,)
            try:
                return _element(self._array[index])
            except IndexError:
                raise out_of_bounds(self._array.shape, index) from None
    if not isinstance(self, Tensor):
        self = convert_to_tensor(self)
    if is_mask(key):
        from shardtape.ops.gather import boolean_mask

        return boolean_mask(self, key)
    return _sliced_by(self, list(key) if isinstance(key, (list, tuple)) else [key])


def _element(part: Any) -> EagerTensor:
    """A part of an array; a single string is an array of no axes."""
    if type(part) is bytes:
        whole = np.empty((), object)
        whole[()] = part
        part = whole
    return EagerTensor(part)


def _is_plain(key: Any) -> bool:
    """Whether numpy takes the key as TensorFlow does: ints, slices of ints, None, `...`."""
    kind = type(key)
    if kind is tuple or kind is list:
        return all(_is_plain(k) for k in key if type(k) not in (tuple, list)) and not any(
            type(k) in (tuple, list) for k in key
        )
    if kind is slice:
        return (
            type(key.start) in (int, type(None))
            and type(key.stop) in (int, type(None))
            and (key.step is None or (type(key.step) is int and key.step != 0))
        )
    return kind is int or key is None or key is Ellipsis


def is_mask(key: Any) -> bool:
    if isinstance(key, (bool, np.bool_)):
        return True
    inner = getattr(key, "dtype", None)
    return inner is dt.bool or (isinstance(key, np.ndarray) and key.dtype == np.bool_)


def check_entry(k: Any) -> None:
    """Raises TypeError for what is no integer scalar."""
    if isinstance(k, numbers.Integral) and not isinstance(k, (bool, np.bool_)):
        return
    inner = getattr(k, "dtype", None)
    if inner is not None and not isinstance(k, (bool, np.bool_)):
        if dt.as_dtype(inner) in (dt.int16, dt.int32, dt.int64, dt.uint8) and (
            getattr(k, "ndim", None) == 0 or TensorShape(k.shape).rank in (0, None)
        ):
            return
    elif hasattr(k, "__index__") and not isinstance(k, (bool, np.bool_)):
        return
    raise TypeError(f"{_WRONG}, got {k!r}")


def _sliced_by(x: Tensor, keys: list[Any]) -> Tensor:
    vectors, masks = slice_vectors(keys)
    return strided_slice_op(x, *vectors, **masks)


def slice_vectors(keys: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Begins, ends and strides of a StridedSlice, and its masks, for the entries of a key.

    Raises TypeError for an entry of another kind.
    """
    begin: list[Any] = []
    end: list[Any] = []
    strides: list[Any] = []
    masks = dict.fromkeys(_MASKS, 0)
    for i, k in enumerate(keys):
        bit = 1 << i
        b, e, s = 0, 0, 1
        if k is None:
            masks["new_axis_mask"] |= bit
            e = 1
        elif k is Ellipsis:
            if masks["ellipsis_mask"]:
                raise ValueError("Multiple ellipses in slice spec not allowed")
            masks["ellipsis_mask"] |= bit
        elif isinstance(k, slice):
            for part in (k.start, k.stop, k.step):
                if part is not None:
                    check_entry(part)
            if k.start is None:
                masks["begin_mask"] |= bit
            else:
                b = k.start
            if k.stop is None:
                masks["end_mask"] |= bit
            else:
                e = k.stop
            s = 1 if k.step is None else k.step
        else:
            check_entry(k)
            masks["shrink_axis_mask"] |= bit
            b, e = k, k + 1
        begin.append(b)
        end.append(e)
        strides.append(s)
    return _vectors(begin, end, strides), {m: v for m, v in masks.items() if v}


def _vectors(*lists: list[Any]) -> list[Any]:
    """Int vectors of one dtype: constants where all entries are plain."""
    plain = all(isinstance(v, numbers.Integral) for values in lists for v in values)
    if plain:
        return [int_vector([int(v) for v in values]) for values in lists]
    from shardtape.ops.cast import cast
    from shardtape.ops.joining import stack

    wide = any(getattr(v, "dtype", None) in (dt.int64,) for values in lists for v in values)
    kind = dt.int64 if wide else dt.int32
    return [
        stack([cast(v if isinstance(v, Tensor) else convert_to_tensor(v), kind) for v in values])
        for values in lists
    ]

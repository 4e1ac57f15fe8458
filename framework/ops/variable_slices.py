"""Parts of Variables: `v[1:3]` is a tensor, and `v[1:3].assign(value)` writes to the Variable."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like
from shardtape.ops.indexing import (
    getitem,
    is_mask,
    out_of_bounds,
    slice_index,
    slice_vectors,
    strided_slice_op,
)
from shardtape.ops.registry import op
from shardtape.tensor import Tensor


def _update_samples(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(3, 4))
    i = lambda *values: np.array(values, np.int32)
    return [
        ((x, i(0, 1), i(2, 4), i(1, 2), rng.normal(size=(2, 2))), {}),
        ((x, i(1, 0), i(2, 2), i(1, 1), rng.normal(size=2)), {"shrink_axis_mask": 1}),
    ]  # fmt: skip


@op("TensorStridedSliceUpdate", dtypes=DATA, host=("begin", "end", "strides"), widen=False,
    shape=lambda input, *rest, **masks: input.shape, samples=_update_samples)  # fmt: skip
def tensor_strided_slice_update(
    xp, input, begin, end, strides, value, *, begin_mask=0, end_mask=0, ellipsis_mask=0,
    new_axis_mask=0, shrink_axis_mask=0,
):  # fmt: skip
    """`input` with `value` (broadcast) in the place of the slice."""
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    out = xp.array(input, copy=True)
    index = slice_index(tuple(begin.tolist()), tuple(end.tolist()), tuple(strides.tolist()), masks)
    if out.dtype == object and np.ndim(value) == 0:
        value = np.asarray(value, object)[()]  # numpy would keep the array itself as the element
    try:
        out[index] = value
    except IndexError:
        raise out_of_bounds(input.shape, index) from None
    return out


@tensor_strided_slice_update.gradient
def _(g, _y, _input, begin, end, strides, value, *, begin_mask, end_mask, ellipsis_mask,
      new_axis_mask, shrink_axis_mask):  # fmt: skip
    masks = {
        "begin_mask": begin_mask, "end_mask": end_mask, "ellipsis_mask": ellipsis_mask,
        "new_axis_mask": new_axis_mask, "shrink_axis_mask": shrink_axis_mask,
    }  # fmt: skip
    of_value = strided_slice_op(g, begin, end, strides, **masks)
    kept = tensor_strided_slice_update(g, begin, end, strides, zeros_like(of_value), **masks)
    return kept, of_value


class VariablePart:
    """Which part of which Variable a tensor was read from.

    Args:
      variable: the Variable.
      key: what stood in the brackets.
    """

    __slots__ = ("variable", "key")

    def __init__(self, variable: Any, key: Any) -> None:
        self.variable, self.key = variable, key

    def assign(self, value: Any, name: str | None = None) -> Any:
        """Writes `value`, which broadcasts to the part. Returns the Variable.

        Raises:
          TypeError: a value that the Variable's dtype cannot hold.
          InvalidArgumentError: a value of another shape.
        """
        variable = self.variable
        value = convert_to_tensor(value, variable.dtype)
        key = list(self.key) if isinstance(self.key, (list, tuple)) else [self.key]
        vectors, masks = slice_vectors(key)
        whole = tensor_strided_slice_update(variable.value(), *vectors, value, **masks)
        return variable.assign(whole, name=name)


def variable_part(self: Any, key: Any) -> Tensor:
    """`variable[key]`; the tensor can be assigned to unless the key is a mask."""
    part = getitem(self._as_tensor(), key)
    if not is_mask(key):
        part._part_of = VariablePart(self, key)  # type: ignore[attr-defined]
    return part

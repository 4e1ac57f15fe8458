"""Lists of tensors as values of graphs: what `tf.TensorArray` is made of.

A list is never changed: writing gives another list. A member that was never written counts as
zero, so gradients of lists are lists with holes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.constants import DATA
from shardtape.ops.registry import READS, Arg, op
from shardtape.shapes import UNKNOWN, TensorShape

_LIST_AND_DATA = DATA | {dt.variant}
_SCALAR = TensorShape([])


class ListValue:
    """Members, each an array or None; it looks like a scalar object.

    The newest of the lists that were made from each other by writing holds the members; older
    ones hold what differs, so a loop that writes n members costs n and not n * n.
    """

    __slots__ = ("_items", "_difference")
    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1
    dtype = np.dtype(object)

    def __init__(self, items: Iterable[Any]) -> None:
        self._items: list[Any] | None = list(items)
        self._difference: tuple[int, Any, ListValue] | None = None

    def items(self) -> list[Any]:
        """The members; nobody may change them."""
        if self._items is None:
            self._become_newest()
        return self._items  # type: ignore[return-value]

    def _become_newest(self) -> None:
        path: list[ListValue] = []
        node = self
        while node._items is None:
            path.append(node)
            node = node._difference[2]  # type: ignore[index]
        items = node._items
        for older in reversed(path):
            index, value, newer = older._difference  # type: ignore[misc]
            newer._difference = (index, items[index], older)
            newer._items = None
            items[index] = value
            older._items, older._difference = items, None

    def written(self, index: int, value: Any) -> ListValue:
        """The list with another member at `index`, which has to exist."""
        items = self.items()
        made = object.__new__(ListValue)
        made._items, made._difference = items, None
        self._items, self._difference = None, (index, items[index], made)
        items[index] = value
        return made

    def member(self, index: int) -> Any:
        """A member; None beyond the end."""
        items = self.items()
        return items[index] if 0 <= index < len(items) else None

    def copy(self) -> ListValue:
        """The list itself: it never changes."""
        return self

    def __len__(self) -> int:
        return len(self.items())

    def __add__(self, other: Any) -> ListValue:
        count = max(len(self), len(other))
        pairs = [(self.member(i), other.member(i)) for i in range(count)]
        return ListValue([a if b is None else b if a is None else a + b for a, b in pairs])


def is_list(t: Any) -> bool:
    """Whether a tensor, of a graph or with a value, is of type variant."""
    return t.dtype is dt.variant or isinstance(getattr(t, "_array", None), ListValue)


def members(value: Any) -> list[Any]:
    """The members of a list; none for another object."""
    return value.items() if isinstance(value, ListValue) else []


def _list_op(name: str, **options: Any) -> Any:
    given: dict[str, Any] = {
        "dtypes": _LIST_AND_DATA, "mixed": True, "dynamic": True, "widen": False,
        "effects": READS, "shape": lambda *args, **attrs: _SCALAR, **options,
    }  # fmt: skip
    return op(name, **given)


def _element(*args: Arg, element_shape: Any = None, **attrs: Any) -> TensorShape:
    return UNKNOWN if element_shape is None else TensorShape(element_shape)


def _rows(*args: Arg, element_shape: Any = None, **attrs: Any) -> TensorShape:
    if element_shape is None:
        return UNKNOWN
    return TensorShape([None]).concatenate(TensorShape(element_shape))


# ---- making -----------------------------------------------------------------------------------
@_list_op("TensorListReserve", dtype=dt.variant, host=("num_elements",), differentiable=False)
def reserve(xp, num_elements):
    """A list of so many members that are not there."""
    return ListValue([None] * int(num_elements))


@_list_op("TensorListFromTensor", dtype=dt.variant)
def from_tensor(xp, tensor):
    """The rows of a tensor as a list."""
    return ListValue(_members_of(tensor))


def _members_of(tensor: Any) -> list[Any]:
    if tensor.dtype == object:  # the members of a vector of strings stay arrays
        return [tensor[i, ...] for i in range(len(tensor))]
    return [*tensor] if tensor.ndim > 1 else [tensor[i] for i in range(len(tensor))]


@from_tensor.gradient
def _(g, _y, tensor):
    return stack_like(g, tensor)


@_list_op("TensorListZerosLike", dtype=dt.variant)
def zeros(xp, list):
    """A list of zeros for any value of type variant."""
    return ListValue([None] * len(members(list)))


@zeros.gradient
def _(g, _y, _list):
    return None


@_list_op("TensorListAdd", dtype=dt.variant)
def add(xp, a, b):
    """The sums of corresponding members."""
    return a + b


@add.gradient
def _(g, _y, _a, _b):
    return g, g


# ---- one member -------------------------------------------------------------------------------
@_list_op("TensorListSetItem", dtype=dt.variant, host=("index",))
def set_item(xp, list, index, item, *, resize=False):
    """The list with `item` at `index`; with `resize` it grows to hold it."""
    at, count = int(index), len(list)
    if at < 0 or (at >= count and not resize):
        raise errors.OutOfRangeError(
            f"Tried to write to index {at} but array is not resizeable and size is: {count}"
        )
    if at >= count:
        return ListValue([*list.items(), *[None] * (at - count), item])
    return list.written(at, item)


@set_item.gradient
def _(g, _y, _list, index, item):
    return clear_item(g, index), get_like(g, index, item)


@_list_op("TensorListClearItem", dtype=dt.variant, host=("index",))
def clear_item(xp, list, index):
    """The list without its member at `index`."""
    at = int(index)
    return list.written(at, None) if at < len(list) else list


@clear_item.gradient
def _(g, _y, _list, index):
    return clear_item(g, index)


@_list_op("TensorListGetLike", dtype=lambda dtypes, attrs: dtypes[2], host=("index",),
          shape_only=("like",), shape=lambda list, index, like: like.shape)  # fmt: skip
def get_like(xp, list, index, like):
    """The member at `index`; zeros in the shape of `like` where there is none."""
    found = list.member(int(index))
    if found is not None:
        return found
    # a loop's gradient lists the arrays and the frames that the loop carries
    is_array = isinstance(like, xp.ndarray | np.generic)
    return xp.zeros_like(like) if is_array else ListValue([])


@get_like.gradient
def _(g, _y, _list, index, like):
    return one_item(_list, index, g), None


@_list_op("TensorListGetItem", dtype="element_dtype", host=("index",), shape=_element)
def get_item(xp, list, index, *, element_dtype, element_shape=None):
    """The member at `index`; zeros where it was never written and its shape is known."""
    at = int(index)
    if not 0 <= at < len(list):
        raise errors.InvalidArgumentError(
            f"Tried to access element {at} in a list with {len(list)} elements."
        )
    found = list.member(at)
    return _zeros(xp, element_shape, element_dtype, at) if found is None else found


def _zeros(xp: Any, shape: Any, dtype: Any, at: int) -> Any:
    if dtype is dt.variant:
        return ListValue([])
    if shape is None or any(d is None for d in shape):
        raise errors.InvalidArgumentError(
            f"Could not read index {at} of the TensorArray: it was never written and the shape of "
            "its elements is not known"
        )
    if dtype is dt.string:
        out = np.empty(tuple(shape), object)
        out[...] = b""
        return out
    return xp.zeros(tuple(shape), dtype.numpy_dtype)


@get_item.gradient
def _(g, _y, list, index):
    return one_item(list, index, g)


@_list_op("TensorListOneItem", dtype=dt.variant, host=("index",))
def one_item(xp, list, index, item):
    """A list as long as `list`, whose only member is `item`."""
    made = [None] * max(len(members(list)), int(index) + 1)
    made[int(index)] = item
    return ListValue(made)


@one_item.gradient
def _(g, _y, _list, index, item):
    return None, get_like(g, index, item)


# ---- all members ------------------------------------------------------------------------------
def _filled(xp: Any, items: list[Any], shape: Any, dtype: Any) -> list[Any]:
    like = next((x for x in items if x is not None), None)
    out = []
    for i, x in enumerate(items):
        if x is None:
            x = xp.zeros_like(like) if like is not None else _zeros(xp, shape, dtype, i)
        out.append(x)
    return out


@_list_op("TensorListStack", dtype="element_dtype", shape=_rows)
def stack(xp, list, *, element_dtype, element_shape=None):
    """The members as rows of one tensor."""
    items = _filled(xp, list.items(), element_shape, element_dtype)
    if not items:
        return _empty(xp, element_shape, element_dtype)
    return _stacked(xp, items)


def _empty(xp: Any, shape: Any, dtype: Any) -> Any:
    dims = () if shape is None else tuple(0 if d is None else d for d in shape)
    return xp.zeros((0, *dims), dtype.numpy_dtype)


def _stacked(xp: Any, items: list[Any]) -> Any:
    if any(np.shape(x) != np.shape(items[0]) for x in items):
        shapes = sorted({tuple(np.shape(x)) for x in items})
        raise errors.InvalidArgumentError(f"TensorArray has inconsistent shapes: {shapes}")
    first = items[0]
    if np.asarray(first).dtype.kind == "O":
        out = np.empty((len(items), *np.shape(first)), object)
        for i, x in enumerate(items):
            out[i] = x if np.ndim(x) else np.asarray(x, object).item()
        return out
    return xp.stack(items)


@stack.gradient
def _(g, _y, list):
    return from_tensor(g)


@_list_op("TensorListStackLike", dtype=lambda dtypes, attrs: dtypes[1], shape_only=("like",),
          shape=lambda list, like: like.shape)  # fmt: skip
def stack_like(xp, list, like):
    """The members as rows of a tensor in the shape of `like`; zeros for holes."""
    out = xp.zeros_like(like)
    for i, x in enumerate(members(list)):
        if x is not None and i < len(out):
            out[i] = x
    return out


@stack_like.gradient
def _(g, _y, _list, like):
    return from_tensor(g), None


@_list_op("TensorListLength", dtype=dt.int32, differentiable=False)
def length(xp, list):
    """The number of members."""
    return np.int32(len(list))


@_list_op("TensorListGather", dtype="element_dtype", host=("indices",), shape=_rows)
def gather(xp, list, indices, *, element_dtype, element_shape=None):
    """The members at a vector of indices as rows of one tensor."""
    picked = [list.member(int(i)) for i in indices]
    items = _filled(xp, picked, element_shape, element_dtype)
    return _stacked(xp, items) if items else _empty(xp, element_shape, element_dtype)


@gather.gradient
def _(g, _y, list, indices):
    return scatter(zeros(list), indices, g, sums=True)


@_list_op("TensorListScatterIntoExistingList", dtype=dt.variant, host=("indices",))
def scatter(xp, list, indices, tensor, *, sums=False):
    """The list with the rows of a tensor at a vector of indices.

    Args:
      sums: rows of the same index are added.
    """
    made = [*list.items()]
    for i, row in zip(indices.tolist(), _members_of(tensor)):
        made += [None] * (i + 1 - len(made))
        made[i] = row if made[i] is None or not sums else made[i] + row
    return ListValue(made)


@scatter.gradient
def _(g, _y, list, indices, tensor):
    return clear_items(g, indices), gather_like(g, indices, tensor)


@_list_op("TensorListClearItems", dtype=dt.variant, host=("indices",))
def clear_items(xp, list, indices):
    """The list without its members at some indices."""
    gone = set(indices.tolist())
    return ListValue([None if i in gone else x for i, x in enumerate(list.items())])


@_list_op("TensorListGatherLike", dtype=lambda dtypes, attrs: dtypes[2], host=("indices",),
          shape_only=("like",), shape=lambda list, indices, like: like.shape)  # fmt: skip
def gather_like(xp, list, indices, like):
    """The members at some indices as rows in the shape of `like`; zeros for holes."""
    out = xp.zeros_like(like)
    for row, i in enumerate(indices.tolist()):
        x = list.member(i)
        if x is not None:
            out[row] = x
    return out


@_list_op("TensorListConcatV2", dtype="element_dtype", shape=lambda list, *, element_shape=None,
          **attrs: UNKNOWN if element_shape is None else
          TensorShape([None]).concatenate(TensorShape(element_shape)[1:]))  # fmt: skip
def concat(xp, list, *, element_dtype, element_shape=None):
    """The members one behind the other along their first axis."""
    items = _filled(xp, list.items(), element_shape, element_dtype)
    if not items:
        return _empty(xp, None if element_shape is None else element_shape[1:], element_dtype)
    if any(not np.ndim(x) for x in items):
        raise errors.InvalidArgumentError("Concat saw a scalar shape")
    return xp.concatenate(items)


@concat.gradient
def _(g, _y, list):
    return split_like(g, list)


@_list_op("TensorListSplitLike", dtype=dt.variant)
def split_like(xp, tensor, list):
    """The rows of a tensor as members that are as long as those of `list`."""
    made, at = [], 0
    for x in list.items():
        made.append(tensor[at : at + len(x)])
        at += len(x)
    return ListValue(made)


@split_like.gradient
def _(g, _y, tensor, _list):
    return concat_like(g, tensor), None


@_list_op("TensorListSplit", dtype=dt.variant, host=("lengths",))
def split(xp, tensor, lengths):
    """The next `lengths[i]` rows of a tensor as member i."""
    ends = np.cumsum(lengths).tolist()
    if (ends[-1] if ends else 0) != tensor.shape[0]:
        raise errors.InvalidArgumentError(
            f"the lengths {lengths.tolist()} do not add up to {tensor.shape[0]} rows"
        )
    return ListValue([tensor[a:b] for a, b in zip([0, *ends[:-1]], ends)])


@split.gradient
def _(g, _y, tensor, _lengths):
    return concat_like(g, tensor)


@_list_op("TensorListConcatLike", dtype=lambda dtypes, attrs: dtypes[1],
          shape=lambda list, like: like.shape)  # fmt: skip
def concat_like(xp, list, like):
    """The members one behind the other in the shape of `like`."""
    items = [x for x in list.items() if x is not None]
    return xp.concatenate(items) if items else xp.zeros_like(like)


@concat_like.gradient
def _(g, _y, list, _like):
    return split_like(g, list), None

"""What is known of a tensor's value while the graph is built."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.tensor import EagerTensor, SymbolicTensor

_MAX_FOLDED_ELEMENTS = 4096
_MAX_CAPTURED_ELEMENTS = 128  # of a tensor from outside of a function, as in TensorFlow
# ops that make shapes out of shapes; their kernels are run on what is fully known
_FOLDED = frozenset((
    "Shape", "Size", "Rank", "Pack", "ConcatV2", "StridedSlice", "Slice", "GatherV2", "Cast",
    "Identity", "Reshape", "ExpandDims", "Squeeze", "AddV2", "Sub", "Mul", "FloorDiv", "FloorMod",
    "RealDiv", "Neg", "Maximum", "Minimum", "Prod", "Sum", "Range", "Fill", "ZerosLike",
    "OnesLike", "Less", "Greater", "Equal", "NotEqual", "SelectV2", "Tile", "InvertPermutation",
    "Transpose", "BroadcastArgs", "Abs", "Max", "Min", "Unpack",
))  # fmt: skip


def constant_value(tensor: Any) -> Any:
    """The numpy value where it is fully known, else None."""
    got = partial_value(tensor)
    if isinstance(got, list):
        return None if None in got else np.array(got, tensor.dtype.numpy_dtype)
    return got


def partial_value(tensor: Any) -> Any:
    """A numpy value; for integer vectors a list with None for unknown members; else None.

    For a resource it is the Variable.
    """
    return _value_of(tensor, {})


def _value_of(tensor: Any, seen: dict[int, Any]) -> Any:
    """As `partial_value`; `seen` keeps what was found, for tensors that are used several times."""
    if type(tensor) is SymbolicTensor:
        if tensor._id not in seen:
            seen[tensor._id] = _found(tensor, seen)
        return seen[tensor._id]
    return _found(tensor, seen)


def _found(tensor: Any, seen: dict[int, Any]) -> Any:
    if type(tensor) is EagerTensor:
        return tensor._array
    if type(tensor) is not SymbolicTensor:
        return tensor
    node = tensor.op
    kind = node.type
    if kind == "Const":
        return node.attrs["value"]
    if tensor.dtype is dt.resource:
        return node.attrs.get("variable")
    if kind == "Placeholder":
        return _outside(tensor, seen)
    if kind not in _FOLDED:
        return None
    if kind == "Shape":
        shape = node.inputs[0].shape
        if shape.rank is None:
            return None
        dims = shape.as_list()
        return dims if None in dims else np.array(dims, tensor.dtype.numpy_dtype)
    if kind == "Rank":
        rank = node.inputs[0].shape.rank
        return None if rank is None else np.array(rank, np.int32)
    if kind == "Size":
        size = node.inputs[0].shape.num_elements()
        return None if size is None else np.array(size, tensor.dtype.numpy_dtype)
    if not (tensor.dtype.is_integer or tensor.dtype.is_bool) and kind != "Cast":
        return None
    values = [_value_of(t, seen) for t in node.inputs]
    if all(isinstance(v, (np.ndarray, np.generic)) for v in values):
        return _fold(tensor, node, values)
    return _partial(node, values)


def _outside(tensor: SymbolicTensor, seen: dict[int, Any]) -> Any:
    """The value of a tensor that a function uses from outside, where it is small."""
    value = getattr(tensor.op.graph, "outside", {}).get(tensor._id)
    if value is None or tensor.dtype is dt.string:
        return None
    if type(value) is EagerTensor and value._array.size > _MAX_CAPTURED_ELEMENTS:
        return None
    return _value_of(value, seen)


def _fold(tensor: SymbolicTensor, node: Any, values: list[Any]) -> Any:
    from shardtape import errors
    from shardtape.ops.dispatch import compute

    if sum(v.size for v in values) > _MAX_FOLDED_ELEMENTS:
        return None
    try:
        got = compute(node.op_def, np, values, node.attrs)
    except errors.InvalidArgumentError:
        return None  # the run reports it, with the values
    return got[tensor.value_index] if type(got) is tuple else got


def _partial(node: Any, values: list[Any]) -> Any:
    """Vectors that are partly known pass through the ops that build shapes."""
    kind = node.type
    if kind == "Pack" and node.attrs.get("axis", 0) == 0:
        if all(t.shape.rank == 0 for t in node.inputs):
            return [None if v is None else int(v) for v in values]
    elif kind == "ConcatV2":
        out: list[Any] = []
        for t, v in zip(node.inputs[:-1], values[:-1]):
            if v is None:
                if t.shape.rank != 1 or t.shape[0] is None:
                    return None
                out.extend([None] * t.shape[0])
            else:
                out.extend(v if isinstance(v, list) else np.atleast_1d(v).tolist())
        return out
    elif kind in ("Cast", "Identity"):
        return values[0] if isinstance(values[0], list) else None
    elif kind == "StridedSlice" and isinstance(values[0], list):
        return _partial_slice(node, values)
    return None


def _partial_slice(node: Any, values: list[Any]) -> Any:
    from shardtape import errors
    from shardtape.ops.dispatch import compute

    vector = values[0]
    if any(v is None or isinstance(v, list) for v in values[1:]):
        return None
    positions = np.arange(len(vector), dtype=np.int32)
    try:
        taken = compute(node.op_def, np, [positions, *values[1:]], node.attrs)
    except errors.InvalidArgumentError:
        return None
    if np.ndim(taken) == 0:
        known = vector[int(taken)]
        return None if known is None else np.array(known, np.int32)
    picked = [vector[int(i)] for i in taken]
    return picked if None in picked else np.array(picked, np.int32)

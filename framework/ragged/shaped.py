"""Functions that take a DynamicRaggedShape where they take a shape, or give one."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.composites import overrides
from shardtape.ops.dispatch import add_dispatcher
from shardtape.ops.registry import Op
from shardtape.ragged.dynamic_shape import DynamicRaggedShape
from shardtape.ragged.elementwise import broadcast_flat
from shardtape.ragged.tensor import RaggedTensor, convert


@overrides("shape", RaggedTensor)
def _shape(input: Any, out_type: Any, name: str | None = None) -> DynamicRaggedShape:
    return DynamicRaggedShape.from_tensor(input, out_type)


@overrides("reshape", RaggedTensor)
def _reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The flat values in another shape; a DynamicRaggedShape nests them in other rows."""
    return array.reshape(tensor.flat_values, shape, name=name)


@overrides("reshape", DynamicRaggedShape)
def _nested(tensor: Any, shape: Any, name: str | None = None) -> Any:
    return shape.nested(array.reshape(tensor, shape.inner_shape, name=name))


def _shaped(op: Op, inputs: tuple[Any, ...]) -> Any:
    """What ops whose input is a shape make of a ragged one."""
    if op.type not in ("Fill", "BroadcastTo"):
        return NotImplemented
    at = next((i for i, x in enumerate(inputs) if isinstance(x, DynamicRaggedShape)), None)
    if at is None:
        return NotImplemented
    shape, value = inputs[at], inputs[1 - at]

    def run(op: Op, attrs: dict[str, Any], name: str | None) -> Any:
        if op.type == "Fill":
            return shape.nested(op(shape.inner_shape, value, name=name))
        return broadcast_to_rows(value, shape)

    return run


add_dispatcher(_shaped)


def broadcast_to_rows(value: Any, shape: DynamicRaggedShape) -> Any:
    """`value` repeated along new axes and axes of size 1.

    Raises InvalidArgumentError where it does not fit, ValueError for more axes than the shape's.
    """
    x = convert(value)
    have, want = x.shape.rank, shape.rank
    if have is not None and want is not None and have > want:
        raise ValueError(f"Rank of input {x.shape} is greater than that of the shape {shape}")
    if not shape.row_partitions and not isinstance(x, RaggedTensor):
        return array.broadcast_to(x, shape.inner_shape)
    like = shape.nested(array.zeros(shape.inner_shape, dt.bool))
    flat = broadcast_flat([x, like])[0][0]
    return shape.nested(array.broadcast_to(flat, shape.inner_shape))


@overrides("broadcast_dynamic_shape", DynamicRaggedShape)
def _common(shape_x: Any, shape_y: Any) -> DynamicRaggedShape:
    """The shape to which two broadcast."""
    given = [shape_x, shape_y]
    kind = next(s.dtype for s in given if isinstance(s, DynamicRaggedShape))
    a, b = (
        s if isinstance(s, DynamicRaggedShape) else DynamicRaggedShape([], s, kind) for s in given
    )
    if not a.row_partitions and not b.row_partitions:
        b = b.with_dtype(a.dtype)
        return DynamicRaggedShape(
            [], array.broadcast_dynamic_shape(a.inner_shape, b.inner_shape), a.dtype
        )
    both = [s.nested(array.zeros(s.inner_shape, dt.bool)) for s in (a, b)]
    return DynamicRaggedShape.from_tensor(both[0] | both[1], a.dtype)

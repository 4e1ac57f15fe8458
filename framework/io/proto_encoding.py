"""`tf.io.encode_proto`: tensors as the fields of serialised protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.io.proto import _LOCAL, _message_class
from shardtape.io.varints import varint
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.text import objects
from shardtape.shapes import TensorShape

_VARINT, _EIGHT_BYTES, _BYTES, _GROUP, _FOUR_BYTES = 0, 1, 2, 3, 5


def _zigzag(value: int) -> bytes:
    return varint(value << 1 ^ value >> 63)


def _packer(code: str) -> Callable[[Any], bytes]:
    return struct.Struct(code).pack


# By the number of the field's type (descriptor.proto): its name, the kind of its bytes on the
# wire, how a value becomes these, and the dtypes that are taken.
_KINDS: dict[int, tuple[str, int, Callable[[Any], bytes], tuple[dt.DType, ...]]] = {
    1: ("double", _EIGHT_BYTES, _packer("<d"), (dt.float64,)),
    2: ("float", _FOUR_BYTES, _packer("<f"), (dt.float32, dt.float64)),
    3: ("int64", _VARINT, varint, (dt.int64,)),
    4: ("uint64", _VARINT, varint, (dt.uint64,)),
    5: ("int32", _VARINT, varint, (dt.int32,)),
    6: ("fixed64", _EIGHT_BYTES, _packer("<Q"), (dt.uint64,)),
    7: ("fixed32", _FOUR_BYTES, _packer("<I"), (dt.uint32,)),
    8: ("bool", _VARINT, varint, (dt.bool,)),
    9: ("string", _BYTES, bytes, (dt.string,)),
    10: ("group", _GROUP, bytes, (dt.string,)),
    11: ("message", _BYTES, bytes, (dt.string,)),
    12: ("bytes", _BYTES, bytes, (dt.string,)),
    13: ("uint32", _VARINT, varint, (dt.uint32,)),
    14: ("enum", _VARINT, varint, (dt.int32,)),
    15: ("sfixed32", _FOUR_BYTES, _packer("<i"), (dt.int32,)),
    16: ("sfixed64", _EIGHT_BYTES, _packer("<q"), (dt.int64,)),
    17: ("sint32", _VARINT, _zigzag, (dt.int32,)),
    18: ("sint64", _VARINT, _zigzag, (dt.int64,)),
}


def _encoded(field: Any, values: list[Any]) -> bytes:
    """One field with all its values, also those that are defaults."""
    _, wire, encode, _ = _KINDS[field.type]
    start = varint(field.number << 3 | wire)
    if getattr(field, "is_packed", False):
        whole = b"".join(map(encode, values))
        lengths = varint(field.number << 3 | _BYTES) + varint(len(whole))
        return lengths + whole if values else b""
    if wire == _BYTES:
        return b"".join([start + varint(len(v)) + v for v in values])
    end = varint(field.number << 3 | 4) if wire == _GROUP else b""
    return b"".join([start + encode(v) + end for v in values])


def _shape(*inputs: Arg, **attrs: Any) -> TensorShape:
    sizes = inputs[0].shape
    return TensorShape(None) if sizes.rank is None else sizes[:-1]


@op("EncodeProto", dtype=dt.string, dtypes=dt.ANY, mixed=True, host=("sizes",), effects="reads",
    shape=_shape, differentiable=False)  # fmt: skip
def encode_proto_op(xp, sizes, *values, field_names, message_type, descriptor_source=_LOCAL):
    """Serialised messages [...] of counts [..., fields] and values [..., most values]."""
    described = _message_class(message_type, descriptor_source).DESCRIPTOR
    for field_name in field_names:
        if field_name not in described.fields_by_name:
            raise errors.InvalidArgumentError(
                f"Unknown field: {field_name} in message type {described.full_name}"
            )
    if len(values) != len(field_names):
        raise errors.InvalidArgumentError(
            f"Length of inputs list must match field_names: {len(values)} values, "
            f"{len(field_names)} names"
        )
    fields = []
    for name, value in zip(field_names, values):
        field = described.fields_by_name[name]
        if value.ndim < 2:
            raise errors.InvalidArgumentError(
                f"Invalid shape for field {name}.  Saw shape {list(value.shape)} but it should be "
                "at least a matrix."
            )
        kind = dt.string if value.dtype.kind in "OSU" else dt.as_dtype(value.dtype)
        called, _, _, taken = _KINDS[field.type]
        if kind not in taken:
            raise errors.InvalidArgumentError(
                f"Incompatible type for field {name}.  Saw dtype: {kind.name} but field type is: "
                f"{called}"
            )
        fields.append(field)
    batch = values[0].shape[:-1] if values else sizes.shape[:-1]
    if any(v.shape[:-1] != batch for v in values):
        raise errors.InvalidArgumentError("Values must match up to the last dimension")
    if sizes.shape != (*batch, len(fields)):
        raise errors.InvalidArgumentError(
            "sizes should be batch_size + [len(field_names)].  Saw: "
            f"{list(sizes.shape)} but expected: {[*batch, len(fields)]}"
        )
    counts = sizes.reshape(-1, len(fields))
    order = sorted(range(len(fields)), key=lambda i: fields[i].number)
    flat = [np.asarray(v).reshape(-1, v.shape[-1]) for v in values]
    made = []
    for row, wanted in enumerate(counts.tolist()):
        for i, count in enumerate(wanted):
            if not 0 <= count <= flat[i].shape[1]:
                raise errors.InvalidArgumentError(
                    "Size to write must not be larger than value tensor; but saw: "
                    f"{count} > {flat[i].shape[1]} at message {row} field {i}"
                )
        made.append(
            b"".join([_encoded(fields[i], flat[i][row, : wanted[i]].tolist()) for i in order])
        )
    return objects(made, batch)


def encode_proto(
    sizes: Any,
    values: Any,
    field_names: Any,
    message_type: str,
    descriptor_source: str = _LOCAL,
    name: str | None = None,
) -> Any:
    """Serialised messages, the reverse of `decode_proto`.

    Args:
      sizes: how many values each field has, int32 [..., fields].
      values: a list with a tensor [..., most values] for each field; messages are strings.
      field_names: the fields, in that order.
      message_type: full name of the message.
      descriptor_source: where it is described, as for `decode_proto`.

    Returns:
      strings [...]. A field that the message has once holds several values one after the other.

    Raises:
      InvalidArgumentError: an unknown message type or field, a dtype that is not the field's, or
        shapes that do not fit.
    """
    return encode_proto_op(
        convert_to_tensor(sizes, dt.int32), *[convert_to_tensor(v) for v in values],
        field_names=tuple(field_names), message_type=message_type,
        descriptor_source=descriptor_source, name=name,
    )  # fmt: skip

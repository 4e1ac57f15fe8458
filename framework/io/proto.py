"""Fields of serialised protocol buffers as tensors."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.text import STRING, objects
from shardtape.shapes import UNKNOWN, TensorShape

_LOCAL, _INLINE = "local://", "bytes://"


def _message_class(message_type: str, source: str) -> Any:
    """Raises InvalidArgumentError for an unknown type or a source that cannot be read."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.Default()
    if source and source != _LOCAL:
        data = source[len(_INLINE) :].encode("latin-1") if source.startswith(_INLINE) else (
            Path(source).read_bytes())  # fmt: skip
        found = descriptor_pb2.FileDescriptorSet.FromString(data)
        pool = descriptor_pool.DescriptorPool()
        for file in found.file:
            pool.Add(file)
    for name in (message_type, *_other_names(message_type)):
        try:
            return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        except KeyError:
            continue
    raise errors.InvalidArgumentError(
        f"No descriptor found for message type {message_type}: import the module that defines it, "
        "or give a `descriptor_source`"
    )


def _other_names(message_type: str) -> list[str]:
    """What messages of TensorFlow's are called here: examples, and graphs as TensorBoard reads."""
    _, package, name = message_type.rpartition("tensorflow.")
    if not package or _:
        return []
    # both register what they define
    importlib.import_module("shardtape.protos.example_pb2")
    importlib.import_module("tensorboard.compat.proto.graph_pb2")

    return [f"shardtape.example.{name}", f"tensorboard.{name}"]


def _shapes(bytes: Arg, **attrs: Any) -> list[TensorShape]:
    rows = bytes.shape
    column = rows.concatenate([None]) if rows.rank is not None else UNKNOWN
    return [column, *[column] * len(attrs["field_names"])]


@op("DecodeProtoV2", dtypes=STRING, mixed=True, outputs=-1, dynamic=True, differentiable=False,
    effects="reads", shape=_shapes,
    dtype=lambda dtypes, attrs: (dt.int32, *attrs["output_types"]))  # fmt: skip
def decode_proto_op(xp, bytes, *, message_type, field_names, output_types, descriptor_source,
                    message_format):  # fmt: skip
    """Counts (..., fields), and for each field its values (..., most values)."""
    made = _message_class(message_type, descriptor_source)
    flat = np.asarray(bytes, object).reshape(-1)
    rows = [[_values(_parsed(made, s, message_format), n) for n in field_names] for s in flat]
    counts = np.array([[len(v) for v in row] for row in rows], np.int32)
    shape = np.shape(bytes)
    out = [counts.reshape(*shape, len(field_names))]
    for i, kind in enumerate(output_types):
        width = max((len(row[i]) for row in rows), default=0)
        empty = b"" if kind is dt.string else 0
        padded = [v for row in rows for v in [*row[i], *[empty] * (width - len(row[i]))]]
        whole = (*shape, width)
        out.append(objects(padded, whole) if kind is dt.string else
                   np.array(padded, kind.numpy_dtype).reshape(whole))  # fmt: skip
    return tuple(out)


def _parsed(made: Any, data: bytes, message_format: str) -> Any:
    from google.protobuf import message, text_format

    try:
        if message_format == "text":
            return text_format.Parse(data, made())
        return made.FromString(data)
    except (message.DecodeError, text_format.ParseError) as error:
        raise errors.DataLossError(f"Unable to parse a {made.DESCRIPTOR.name}: {error}") from None


def _values(parsed: Any, name: str) -> list[Any]:
    field = parsed.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise errors.InvalidArgumentError(
            f"Unknown field: {name} in message type {parsed.DESCRIPTOR.full_name}"
        )
    value = getattr(parsed, name)
    repeated = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
    if not repeated:
        value = [value] if not field.has_presence or parsed.HasField(name) or (
            field.message_type is None) else []  # fmt: skip
    return [_plain(v) for v in value]


def _plain(value: Any) -> Any:
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    return value.encode() if isinstance(value, str) else value


def decode_proto(
    bytes: Any, message_type: str, field_names: Any, output_types: Any,
    descriptor_source: str = _LOCAL, message_format: str = "binary", sanitize: bool = False,
    name: str | None = None,
) -> tuple[Any, list[Any]]:  # fmt: skip
    """Fields of serialised messages.

    Args:
      bytes: strings of any shape.
      message_type: full name of the message.
      field_names, output_types: the fields and the dtypes of their values; messages are strings.
      descriptor_source: "local://" for the message types of this process, the path of a file that
        holds a FileDescriptorSet, or one after "bytes://".
      message_format: "binary" or "text".

    Returns:
      sizes (..., fields), int32, and a list of values (..., most values), padded.

    Raises:
      InvalidArgumentError: an unknown message type or field.
      DataLossError: bytes that are no such message.
    """
    sizes, *values = decode_proto_op(
        convert_to_tensor(bytes), message_type=message_type, field_names=tuple(field_names),
        output_types=tuple(dt.as_dtype(t) for t in output_types),
        descriptor_source=descriptor_source, message_format=message_format, name=name,
    )  # fmt: skip
    return sizes, values

"""Serialised `Event` messages, TensorBoard's protos underneath.

The constant part of a scalar's event is serialised once per tag with tensorboard's protos and cut
at the value; a point then costs a few concatenations instead of four proto objects.
"""

from __future__ import annotations

import struct
import time
from functools import lru_cache
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.io.varints import varint

_pack_double = struct.Struct("<d").pack
_pack_float = struct.Struct("<f").pack

# Numbers of the fields of Event, with their wire types, as in tensorboard's event.proto.
_WALL_TIME = b"\x09"  # 1, double
_STEP = b"\x10"  # 2, int64
_GRAPH_DEF = b"\x22"  # 4, bytes
_SUMMARY = b"\x2a"  # 5, message

_SENTINEL = b"\xa5\x5a\xc3\x3c"  # stands for the value in a template


def event(step: int, summary: bytes, wall_time: float | None = None) -> bytes:
    """An Event that holds a serialised Summary. `wall_time`: seconds since 1970, now if None."""
    return b"".join((
        _WALL_TIME, _pack_double(time.time() if wall_time is None else wall_time),
        _STEP, varint(step), _SUMMARY, varint(len(summary)), summary,
    ))  # fmt: skip


def graph_event(graph_def: bytes, step: int | None = None, wall_time: float | None = None) -> bytes:
    """An Event that holds a serialised GraphDef."""
    return b"".join((
        _WALL_TIME, _pack_double(time.time() if wall_time is None else wall_time),
        b"" if step is None else _STEP + varint(step),
        _GRAPH_DEF, varint(len(graph_def)), graph_def,
    ))  # fmt: skip


def plugin_metadata(plugin: str, description: str | None = None, content: bytes = b"") -> Any:
    """SummaryMetadata that sends a series to one of TensorBoard's plugins.

    Args:
      plugin: "scalars", "histograms", "images", "text", ...
      description: Markdown shown beside the chart.
      content: the plugin's own serialised message.
    """
    from tensorboard.compat.proto import summary_pb2

    metadata = summary_pb2.SummaryMetadata(summary_description=description or "")
    metadata.plugin_data.plugin_name = plugin
    metadata.plugin_data.content = content
    return metadata


@lru_cache(maxsize=16384)
def scalar_template(tag: str, description: str | None = None) -> tuple[bytes, bytes]:
    """What stands before and after the float32 of a v2 scalar, from the Summary field on."""
    from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(),
        tensor_content=_SENTINEL,
    )
    metadata = plugin_metadata("scalars", description)
    return _template(summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata))


def _template(value: Any) -> tuple[bytes, bytes]:
    from tensorboard.compat.proto import summary_pb2

    summary = summary_pb2.Summary(value=[value]).SerializeToString()
    # The tag comes first and might hold the same bytes; what follows the value does not.
    head, tail = summary.rsplit(_SENTINEL, 1)
    return _SUMMARY + varint(len(summary)) + head, tail


def scalar_event(
    template: tuple[bytes, bytes], value: float, step: int, wall_time: float | None = None
) -> bytes:
    """An Event with one scalar; a value outside float32's range becomes infinite."""
    try:
        packed = _pack_float(value)
    except OverflowError:
        packed = _pack_float(float("inf") if value > 0 else float("-inf"))
    head, tail = template
    return b"".join((
        _WALL_TIME, _pack_double(time.time() if wall_time is None else wall_time),
        _STEP, varint(step), head, packed, tail,
    ))  # fmt: skip


def summary_bytes(tag: str, tensor: Any, metadata: Any) -> bytes:
    """A serialised Summary with one value: `tensor` is a TensorProto, `metadata` may be None."""
    from tensorboard.compat.proto import summary_pb2

    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor)
    if metadata is not None:
        if isinstance(metadata, bytes):
            value.metadata.ParseFromString(metadata)
        else:
            value.metadata.ParseFromString(metadata.SerializeToString())
    return summary_pb2.Summary(value=[value]).SerializeToString()


_ENUM = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8,
    "int64": 9, "bool": 10, "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19,
    "uint32": 22, "uint64": 23,
}  # fmt: skip
_STRING = 7


def tensor_proto(value: Any) -> Any:
    """A TensorProto of an array, of a tensor, or of (nested lists of) strings.

    Numbers are laid down as raw little-endian bytes in `tensor_content`, as TensorFlow does.

    Raises:
      InvalidArgumentError: for an element type that TensorBoard's protos do not have.
    """
    from tensorboard.compat.proto import tensor_pb2

    array = np.asarray(value)
    proto = tensor_pb2.TensorProto()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if not array.shape:
        proto.tensor_shape.SetInParent()
    if array.dtype.kind in "OSUT":
        proto.dtype = _STRING
        for item in array.ravel():
            if not isinstance(item, (str, bytes)):
                raise errors.InvalidArgumentError(
                    f"expected strings or numbers, got an array that holds {type(item).__name__}"
                )
            proto.string_val.append(item.encode() if isinstance(item, str) else item)
        return proto
    enum = _ENUM.get(array.dtype.name)
    if enum is None:
        raise errors.InvalidArgumentError(
            f"an event cannot hold elements of type {array.dtype.name}: expected one of "
            f"{', '.join(_ENUM)} or strings"
        )
    proto.dtype = enum
    proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return proto

"""Arrays as serialised TensorProtos, TensorFlow's format of single tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import building
from shardtape.io.varints import varint

# fields of TensorProto that hold values one by one, by the dtypes that use them
_VALUE_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int32": "int_val", "int16": "int_val",
    "int8": "int_val", "uint8": "int_val", "uint16": "int_val", "int64": "int64_val",
    "bool": "bool_val", "uint32": "uint32_val", "uint64": "uint64_val", "float16": "half_val",
    "bfloat16": "half_val", "complex64": "scomplex_val", "complex128": "dcomplex_val",
}  # fmt: skip

_ONE_BY_ONE = ("bool", "uint16", "complex64", "complex128")  # also where there are several


def encode(array: Any, packed: bool = False) -> bytes:
    """A serialised TensorProto; the same bytes as TensorFlow's `serialize_tensor`.

    Args:
      packed: strings as one piece, as `serialize_sparse` has them.
    """
    from tensorboard.compat.proto import tensor_pb2, tensor_shape_pb2

    array = np.asarray(array)
    dtype = dt.from_numpy(array.dtype)
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=n) for n in array.shape]
    )
    made = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape)
    if dtype is not dt.string:
        made.tensor_content = np.ascontiguousarray(array).tobytes()
    elif packed:
        made.tensor_content = _packed(array.ravel().tolist())
    else:
        made.string_val.extend(array.ravel().tolist())
    return made.SerializeToString()


def _packed(strings: list[bytes]) -> bytes:
    """The lengths of all strings as varints, behind them the strings."""
    return b"".join([*(varint(len(text)) for text in strings), *strings])


def _unpacked(content: bytes, count: int) -> list[bytes]:
    lengths, place = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if place == len(content):
                raise ValueError("the lengths of its strings end too soon")
            byte = content[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise ValueError("its strings have other lengths than it says")
    out = []
    for length in lengths:
        out.append(content[place : place + length])
        place += length
    return out


def decode(serialized: bytes, dtype: dt.DType) -> np.ndarray:
    """The array of a serialised TensorProto.

    Raises:
      InvalidArgumentError: bytes that are no TensorProto, or one of another dtype.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import tensor_pb2

    made = tensor_pb2.TensorProto()
    try:
        made.ParseFromString(serialized)
    except DecodeError as error:
        raise errors.InvalidArgumentError(
            f"Could not parse `serialized` as TensorProto, length: {len(serialized)}"
        ) from error
    if made.dtype != dtype.as_datatype_enum:
        found = next((t.name for t in dt.ALL_TYPES if t.as_datatype_enum == made.dtype), made.dtype)
        raise errors.InvalidArgumentError(
            f"Type mismatch between parsed tensor ({found}) and dtype ({dtype.name})"
        )
    shape = [d.size for d in made.tensor_shape.dim]
    try:
        return _values(made, dtype).reshape(shape)
    except ValueError as error:
        raise errors.InvalidArgumentError(f"cannot parse the tensor: {error}") from error


def _values(made: Any, dtype: dt.DType) -> np.ndarray:
    shape = [d.size for d in made.tensor_shape.dim]
    count = int(np.prod(shape, dtype=np.int64))
    if dtype is dt.string:
        out = np.empty(count, object)
        content = made.tensor_content
        strings = _unpacked(content, count) if content else list(made.string_val)
        out[:] = strings if len(strings) == count else (strings or [b""]) * count
        return out
    numpy_dtype = dtype.numpy_dtype
    if made.tensor_content:
        return np.frombuffer(made.tensor_content, numpy_dtype).copy()
    field = _VALUE_FIELDS[dtype.name]
    given = list(getattr(made, field))
    if field == "half_val":
        values = np.array(given, np.uint16).view(numpy_dtype)
    elif field in ("scomplex_val", "dcomplex_val"):
        pairs = np.array(given).reshape(-1, 2)
        values = (pairs[:, 0] + 1j * pairs[:, 1]).astype(numpy_dtype)
    else:
        values = np.array(given, numpy_dtype)
    if values.size == 0:
        return np.zeros(count, numpy_dtype)
    # the last value stands for all that are missing
    return values if values.size == count else np.append(
        values, np.full(count - values.size, values[-1])
    )  # fmt: skip


def make_tensor_proto(
    values: Any, dtype: Any = None, shape: Any = None, verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:  # fmt: skip
    """The TensorProto message of Python values or an array, in TensorFlow's layout.

    Args:
      shape: of the tensor; where it has more elements than `values`, the last one stands for them.
      verify_shape: refuse values of another shape.
      allow_broadcast: a single value may stand for all, also where the shape is verified.

    Raises:
      TypeError: a value that the dtype cannot hold, or another shape than the verified one.
      ValueError: more values than the shape takes.
    """
    from tensorboard.compat.proto import tensor_pb2

    from shardtape.graph.graphdef import shape_proto
    from shardtape.ops.convert import convert_to_tensor
    from shardtape.shapes import as_shape

    with building(None):  # the value itself, in a graph too
        array = convert_to_tensor(values, dtype).numpy()
    array = np.asarray(array, object if isinstance(array, bytes) else None)
    wanted = array.shape if shape is None else tuple(as_shape(shape).as_list())
    if verify_shape and wanted != array.shape and not (allow_broadcast and array.size == 1):
        raise TypeError(f"Expected a tensor of shape {wanted}, got one of shape {array.shape}")
    room = int(np.prod(wanted, dtype=np.int64))
    if array.size > room:
        raise ValueError(
            f"Too many elements provided. Takes at most {room:d}, but got {array.size:d}."
        )
    kind = dt.from_numpy(array.dtype)
    made = tensor_pb2.TensorProto(
        dtype=kind.as_datatype_enum, tensor_shape=shape_proto(as_shape(wanted))
    )
    flat = np.ascontiguousarray(array).reshape(-1)
    if kind is dt.string:
        made.string_val.extend(flat.tolist())
    elif flat.size > 1 and flat.size == room and kind.name not in _ONE_BY_ONE:
        made.tensor_content = flat.tobytes()
    else:
        field = getattr(made, _VALUE_FIELDS[kind.name])
        if _VALUE_FIELDS[kind.name] == "half_val":
            flat = flat.view(np.uint16)
        elif kind.is_complex:
            flat = flat.view(kind.real_dtype.numpy_dtype)
        field.extend(flat.tolist())
    return made


def make_ndarray(tensor: Any) -> np.ndarray:
    """The array of a TensorProto message.

    Raises TypeError for a dtype that is not known here.
    """
    kind = next((t for t in dt.ALL_TYPES if t.as_datatype_enum == tensor.dtype), None)
    if kind is None or (kind is not dt.string and kind.name not in _VALUE_FIELDS):
        raise TypeError(f"make_ndarray does not know the tensor's dtype, number {tensor.dtype}")
    return _values(tensor, kind).reshape([d.size for d in tensor.tensor_shape.dim])

"""Arrays as serialised TensorProtos, TensorFlow's format of single tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors

# fields of TensorProto that hold values one by one, by the dtypes that use them
_VALUE_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int32": "int_val", "int16": "int_val",
    "int8": "int_val", "uint8": "int_val", "uint16": "int_val", "int64": "int64_val",
    "bool": "bool_val", "uint32": "uint32_val", "uint64": "uint64_val", "float16": "half_val",
    "bfloat16": "half_val", "complex64": "scomplex_val", "complex128": "dcomplex_val",
}  # fmt: skip


def encode(array: Any) -> bytes:
    """A serialised TensorProto; the same bytes as TensorFlow's `serialize_tensor`."""
    from tensorboard.compat.proto import tensor_pb2, tensor_shape_pb2

    array = np.asarray(array)
    dtype = dt.from_numpy(array.dtype)
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=n) for n in array.shape]
    )
    made = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape)
    if dtype is dt.string:
        made.string_val.extend(array.ravel().tolist())
    else:
        made.tensor_content = np.ascontiguousarray(array).tobytes()
    return made.SerializeToString()


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
        strings = list(made.string_val)
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

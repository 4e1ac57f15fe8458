"""Values of configurations as JSON."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable

_KIND = "__kind__"


def encode(value: Any) -> Any:
    """A value as plain JSON. Raises TypeError naming what has no form there."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) and not isinstance(value, np.bytes_):
        return value.item()
    if isinstance(value, bytes):
        return {_KIND: "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, dt.DType):
        return {_KIND: "dtype", "value": value.name}
    if isinstance(value, TensorShape):
        sizes = None if value.rank is None else list(value)
        return {_KIND: "shape", "value": sizes}
    if isinstance(value, (Tensor, Variable)) and not hasattr(value, "_array"):
        raise TypeError(f"{value!r} has no value that could be written into a configuration")
    if isinstance(value, (Tensor, Variable, np.ndarray)):
        return _array(np.asarray(value))
    if isinstance(value, tuple):
        return {_KIND: "tuple", "value": [encode(v) for v in value]}
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, complex):
        return {_KIND: "complex", "value": [value.real, value.imag]}
    if isinstance(value, slice):
        return {_KIND: "slice", "value": [encode(v) for v in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {_KIND: "ellipsis"}
    if hasattr(value, "get_config"):
        return {_KIND: "object", "class_name": type(value).__name__,
                "config": encode(value.get_config())}  # fmt: skip
    if callable(value) and hasattr(value, "__name__"):
        return {_KIND: "function", "value": value.__name__}
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written as JSON")


def decode(value: Any) -> Any:
    """What `encode` was given. Raises ValueError for a function or class that is not known."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_KIND)
    if kind is None:
        return {k: decode(v) for k, v in value.items()}
    inner: Any = value.get("value")
    if kind == "tuple":
        return tuple(decode(v) for v in inner)
    if kind == "dtype":
        return dt.as_dtype(inner)
    if kind == "shape":
        return TensorShape(inner)
    if kind == "array":
        return _decoded_array(value)
    if kind == "bytes":
        return base64.b64decode(inner)
    if kind == "complex":
        return complex(*inner)
    if kind == "slice":
        return slice(*[decode(v) for v in inner])
    if kind == "ellipsis":
        return Ellipsis
    if kind == "object":
        from shardtape.keras.saving.serialization import deserialize_keras_object

        config = decode(value["config"])
        return deserialize_keras_object({"class_name": value["class_name"], "config": config})
    if kind == "function":
        from shardtape.keras.saving.serialization import deserialize_keras_object

        return deserialize_keras_object(inner)
    raise ValueError(f"a configuration has a value of the unknown kind {kind!r}")


def _array(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind in "OSU":
        flat = [base64.b64encode(_bytes(v)).decode() for v in array.reshape(-1).tolist()]
        return {_KIND: "array", "dtype": "string", "shape": list(array.shape), "value": flat}
    content = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {_KIND: "array", "dtype": array.dtype.name, "shape": list(array.shape),
            "value": content}  # fmt: skip


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _decoded_array(value: dict[str, Any]) -> np.ndarray:
    shape = tuple(value["shape"])
    if value["dtype"] == "string":
        out = np.empty(len(value["value"]), object)
        out[:] = [base64.b64decode(v) for v in value["value"]]
        return out.reshape(shape)
    dtype = dt.as_dtype(value["dtype"]).numpy_dtype
    return np.frombuffer(base64.b64decode(value["value"]), dtype).reshape(shape).copy()

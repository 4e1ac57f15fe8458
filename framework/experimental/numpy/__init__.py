"""`tf.experimental.numpy`: NumPy's functions on tensors, with NumPy's rules of types."""

import builtins as _builtins
from typing import Any as _Any

import numpy as _np
from numpy import e, finfo, iinfo, inf, newaxis, pi  # noqa: F401

from shardtape.experimental.numpy import arrays as _arrays
from shardtape.experimental.numpy import behavior as _behavior
from shardtape.experimental.numpy import choosing as _choosing
from shardtape.experimental.numpy import elementwise as _elementwise
from shardtape.experimental.numpy import products as _products
from shardtape.experimental.numpy import random as random
from shardtape.experimental.numpy import reductions as _reductions
from shardtape.experimental.numpy import types as _types
from shardtape.tensor import Tensor as _Tensor

experimental_enable_numpy_behavior = _behavior.experimental_enable_numpy_behavior
result_type, array = _types.result_type, _types.array
promote_types = _types.promote_types
ndarray = _Tensor

for _name in ("bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
              "float16", "float32", "float64", "complex64", "complex128", 
              "inexact", "int_", "object_"):  # fmt: skip
    globals()[_name] = getattr(_np, _name)
float_, complex_, string_, unicode_ = _np.float64, _np.complex128, _np.bytes_, _np.str_

for _module in (_elementwise, _reductions, _arrays, _products, _choosing):
    for _name, _value in _builtins.list(vars(_module).items()):
        _own = getattr(_value, "__module__", None) == _module.__name__
        if not _name.startswith("_") and callable(_value) and _own:
            globals()[_name] = _value
del _module, _name, _value, _own

asarray = ascontiguousarray = asanyarray = _types.asarray


def isscalar(num: _Any) -> _builtins.bool:
    """Whether it is a single value."""
    return _np.isscalar(num) or getattr(getattr(num, "shape", None), "rank", None) == 0


def iscomplexobj(x: _Any) -> _builtins.bool:
    """Whether its type is complex."""
    return array(x).dtype.is_complex


def isrealobj(x: _Any) -> _builtins.bool:
    """Whether its type is not complex."""
    return not array(x).dtype.is_complex

"""Tensors whose type is only a proposal, as Python's numbers make them in "safe" and "all"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.experimental.batchable import BatchableExtensionType
from shardtape.tensor import Tensor

TYPES = (dt.int32, dt.int64, dt.float32, dt.float64, dt.complex128)


class _Gradient:
    """The gradient of a weak tensor is one of its tensor, and weak."""

    @staticmethod
    def get_gradient_components(value: WeakTensor) -> Any:
        return value.tensor

    @staticmethod
    def replace_gradient_components(value: WeakTensor, component_grads: Any) -> Any:
        return WeakTensor.from_tensor(component_grads)


class WeakTensor(BatchableExtensionType):
    """A tensor that takes the type of a tensor it meets, where that is of the same or a wider kind.

    It is no `tf.Tensor`, but everything that takes tensors takes it: as its tensor, whose members
    it has too.

    Raises TypeError for a type that is not among int32, int64, float32, float64 and complex128.
    """

    tensor: Tensor
    __composite_gradient__ = _Gradient
    __array_priority__ = 100

    def __validate__(self) -> None:
        if self.tensor.dtype not in TYPES:
            raise TypeError(f"{self.tensor.dtype} not allowed as a weak type: those are {TYPES}")

    @classmethod
    def from_tensor(cls, tensor: Any) -> WeakTensor:
        """The weak tensor of a tensor's value and type."""
        made = object.__new__(cls)
        made.__dict__["tensor"] = tensor
        made.__validate__()
        return made

    def to_tensor(self) -> Any:
        """The tensor, whose type is its own."""
        return self.tensor

    def _as_tensor(self, dtype: Any = None) -> Any:
        from shardtape.ops.convert import convert_to_tensor

        return convert_to_tensor(self.tensor, dtype)

    def _as_operand(self) -> Any:
        return self.tensor

    @property
    def dtype(self) -> dt.DType:
        """The proposed type."""
        return self.tensor.dtype

    @property
    def shape(self) -> Any:
        """The static shape."""
        return self.tensor.shape

    @property
    def is_tensor_like(self) -> bool:
        return True

    def numpy(self) -> Any:
        """The value. Raises AttributeError for a symbolic tensor."""
        return self.tensor.numpy()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "tensor":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.tensor, name)

    def __str__(self) -> str:
        return _marked(str(self.tensor))

    def __repr__(self) -> str:
        return _marked(repr(self.tensor))

    def __format__(self, spec: str) -> str:
        return f"{self.tensor.__format__(spec)} weakly typed"

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.tensor)

    def __copy__(self) -> WeakTensor:
        return self

    def __deepcopy__(self, memo: Any) -> WeakTensor:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return WeakTensor.from_tensor, (self.tensor,)

    def __len__(self) -> int:
        return len(self.tensor)

    def __iter__(self) -> Iterator[Any]:
        return map(WeakTensor.from_tensor, iter(self.tensor))

    def __bool__(self) -> bool:
        return bool(self.tensor)

    def __int__(self) -> int:
        return int(self.tensor)

    def __float__(self) -> float:
        return float(self.tensor)

    def __complex__(self) -> complex:
        return complex(self.tensor)  # type: ignore[call-overload]

    def __index__(self) -> int:
        return self.tensor.__index__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.tensor, dtype)


def _marked(text: str) -> str:
    """The text of a tensor with the mark of a weak one before its last bracket."""
    return f"{text[:-1]}, weak=True{text[-1]}"


def plain(value: Any) -> Any:
    """The tensor of a weak tensor; other values as they are."""
    return value.tensor if type(value) is WeakTensor else value


def weakened(result: Any, weak: bool) -> Any:
    """`result` as a weak tensor where it shall be one and is a tensor of a type that can be."""
    result = plain(result)
    if weak and isinstance(result, Tensor) and result.dtype in TYPES:
        return WeakTensor.from_tensor(result)
    return result

"""`tf.types.experimental`: the kinds of values and functions, for annotations and checks."""

from __future__ import annotations

import abc
from typing import Any, Protocol, runtime_checkable

import numpy as np

from shardtape.graph.function import ConcreteFunction
from shardtape.graph.function import Function as GenericFunction
from shardtape.indexed_slices import IndexedSlices
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import Tensor
from shardtape.variable import Variable

TensorLike = (
    Tensor | SparseTensor | RaggedTensor | Variable | IndexedSlices | int | float | bool | str
    | bytes | complex | tuple | list | np.ndarray | np.generic
)  # fmt: skip
PolymorphicFunction = GenericFunction


class TraceType(abc.ABC):
    """What a `tf.function` distinguishes arguments by; see `SupportsTracingProtocol`.

    Two arguments whose types are equal share a trace.
    """

    @abc.abstractmethod
    def is_subtype_of(self, other: TraceType) -> bool:
        """Whether a value of this type fits a trace of the other."""

    @abc.abstractmethod
    def most_specific_common_supertype(self, others: Any) -> TraceType | None:
        """A type of all values of this one and the others."""

    @abc.abstractmethod
    def placeholder_value(self, placeholder_context: Any = None) -> Any:
        """What stands for the argument in the trace."""

    @abc.abstractmethod
    def __hash__(self) -> int: ...

    @abc.abstractmethod
    def __eq__(self, other: object) -> bool: ...


@runtime_checkable
class SupportsTracingProtocol(Protocol):
    """Objects that say by which type of theirs a `tf.function` keeps its traces."""

    def __tf_tracing_type__(self, context: Any) -> Any:
        """A TraceType, or another object that can be hashed and compared."""


@runtime_checkable
class Callable(Protocol):
    """What can be called with tensors."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


__all__ = [
    "Callable",
    "ConcreteFunction",
    "GenericFunction",
    "PolymorphicFunction",
    "SupportsTracingProtocol",
    "TensorLike",
    "TraceType",
]

"""Variables as arguments of traced functions: their type, and what stands for them in a trace."""

from __future__ import annotations

import weakref
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.context import next_id
from shardtape.type_spec import TypeSpec, register_spec_maker
from shardtape.variable import (
    ResourceVariable,
    Variable,
    VariableAggregation,
    VariableSynchronization,
)


class VariableSpec(TypeSpec):
    """The type of a Variable that a traced function takes.

    Args:
      shape: None for unknown rank, sizes with None where unknown.
      dtype: the element type.
      trainable: whether tapes and optimizers see it.
      alias_id: arguments of one number are the same Variable; None: it is none of the others.
    """

    __slots__ = ("shape", "dtype", "trainable", "alias_id")

    def __init__(
        self, shape: Any, dtype: Any = dt.float32, trainable: bool = True,
        alias_id: int | None = None,
    ) -> None:  # fmt: skip
        self.shape, self.dtype = shapes.as_shape(shape), dt.as_dtype(dtype)
        self.trainable, self.alias_id = trainable, alias_id

    @classmethod
    def from_value(cls, value: Any) -> VariableSpec:
        """The spec of a Variable."""
        return cls(value.shape, value.dtype, value.trainable)

    @property
    def value_type(self) -> type:
        return ResourceVariable

    def _serialize(self) -> tuple[Any, ...]:
        return self.shape, self.dtype, self.trainable, self.alias_id

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a Variable, or those of a spec, fit this spec."""
        other = spec_or_value
        if isinstance(other, Variable):
            other = VariableSpec.from_value(other)
        return (
            isinstance(other, VariableSpec)
            and self.dtype is other.dtype
            and self.trainable == other.trainable
            and self.shape.is_compatible_with(other.shape)
        )

    def most_specific_compatible_type(self, other: TypeSpec) -> VariableSpec:
        if (
            not isinstance(other, VariableSpec)
            or self.dtype is not other.dtype
            or (self.trainable, self.alias_id) != (other.trainable, other.alias_id)
        ):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        shape = self.shape.most_specific_compatible_shape(other.shape)
        return VariableSpec(shape, self.dtype, self.trainable, self.alias_id)

    def numbered(self, alias_id: int) -> VariableSpec:
        """The same with an alias number."""
        return VariableSpec(self.shape, self.dtype, self.trainable, alias_id)

    def __repr__(self) -> str:
        return (
            f"VariableSpec(shape={self.shape}, dtype={self.dtype!r}, trainable={self.trainable!r}, "
            f"alias_id={self.alias_id!r})"
        )


class VariableInput(ResourceVariable):
    """What a graph knows of a Variable that each call gives; it has no value.

    Python code that is traced gets the Variable of the call that traces it, or this where there
    is only a spec.

    Args:
      name: what the Python code sees where there is no Variable.
      origin: the Variable of the call that traces; it is not kept alive.
    """

    def __init__(self, spec: VariableSpec, name: str, origin: Any = None) -> None:
        self._dtype, self._shape, self._trainable = spec.dtype, spec.shape, spec.trainable
        self._differentiable = spec.dtype.is_floating or spec.dtype.is_complex
        self._bound = False
        self.constraint = None
        self.synchronization = VariableSynchronization.AUTO
        self.aggregation = VariableAggregation.NONE
        self._origin = None if origin is None else weakref.ref(origin)
        # tapes and the graph know it by the number of the Variable
        self._name = name if origin is None else origin._name
        self._id = next_id() if origin is None else origin._id

    def _no_value(self) -> errors.InaccessibleTensorError:
        return errors.InaccessibleTensorError(
            f"{self!r} is an argument of a traced function and has a value only in a call of it: "
            "use it inside of that function, or pass a Variable"
        )

    @property
    def _array(self) -> Any:
        raise self._no_value()

    @_array.setter
    def _array(self, value: Any) -> None:
        raise self._no_value()

    @property
    def device(self) -> str:
        """Empty: it is where the Variable of the call is."""
        return ""

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self._shape} dtype={self._dtype.name}>"

    def actual(self) -> Any:
        """The Variable that it was made for, if that is still there; else itself."""
        origin = None if self._origin is None else self._origin()
        return self if origin is None else origin


def variable_of(handle: Any) -> Any:
    """The Variable that a tensor of type resource stands for."""
    held = handle.op.attrs["variable"]
    return held.actual() if type(held) is VariableInput else held


register_spec_maker(Variable, VariableSpec.from_value)

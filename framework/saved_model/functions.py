"""Functions that were loaded: their traces, without the Python code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from shardtape import nest
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import ConcreteFunction
from shardtape.keras.saving import values
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec, composite_spec
from shardtape.variable import Variable
from shardtape.variable_spec import VariableSpec


class RestoredFunction:
    """Calls the trace that fits the arguments.

    Args:
      name: of the function.
      parameters: [name, {"kind", "default"}] of what it takes.
      traces: functions that make the traces, when they are first wanted, and what each is for.
      declared: the function had an `input_signature`.
      left_out: why traces that there were could not be saved.
    """

    def __init__(
        self, name: str, parameters: Sequence[Any],
        traces: Sequence[tuple[dict[str, Any], Callable[[], ConcreteFunction]]],
        declared: bool = False, left_out: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.declared, self.left_out = declared, list(left_out)
        self._name = self.__name__ = name
        self.parameters = list(parameters)
        self._signature = signature_of(parameters)
        self._traces = list(traces)
        self._made: dict[int, ConcreteFunction] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises ValueError where no trace fits; the text lists those that there are.

        TypeError instead if the function had an `input_signature`.
        """
        concrete, tensors = self._find(args, kwargs)
        return concrete.call_flat(tensors)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for these arguments or TensorSpecs."""
        return self._find(args, kwargs)[0]

    @property
    def concrete_functions(self) -> list[ConcreteFunction]:
        """All traces."""
        return [self._trace(i) for i in range(len(self._traces))]

    def _trace(self, number: int) -> ConcreteFunction:
        found = self._made.get(number)
        if found is None:
            found = self._made[number] = self._traces[number][1]()
        return found

    def _find(self, args: Any, kwargs: Any) -> tuple[ConcreteFunction, list[Any]]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for exact in (True, False):  # a tensor's own type first, then what converts to it
            for number, (wanted, _) in enumerate(self._traces):
                tensors = _fitting(dict(bound.arguments), wanted, exact)
                if tensors is not None:
                    return self._trace(number), tensors
        reasons = "".join(f"\n  A trace was not saved: {reason}" for reason in self.left_out)
        if not self._traces:
            hint = ": call it, or give it an `input_signature`, before it is saved"
            raise ValueError(
                f"Found zero restored functions for caller function. `{self._name}` was saved "
                f"without a trace{reasons or hint}"
            )
        listed = "\n".join(f"  Option {i + 1}: {w}" for i, (w, _) in enumerate(self._traces))
        if self.declared:
            raise TypeError(
                f"Binding inputs to tf.function `{self._name}` failed: the input_signature asks "
                f"for {self._traces[0][0]}, got {dict(bound.arguments)}"
            )
        raise ValueError(
            f"Could not find matching concrete function to call loaded from the SavedModel. Got:\n"
            f"  {dict(bound.arguments)}\n for {self._name}, expected one of:\n{listed}{reasons}"
        )


def _fitting(given: dict[str, Any], wanted: dict[str, Any], exact: bool) -> list[Any] | None:
    if given.keys() != wanted.keys():
        return None
    comparison = _Comparison(exact)
    for name, value in wanted.items():
        if not comparison.match(given[name], value):
            return None
    return comparison.values if comparison.tells_apart() else None


class _Comparison:
    """Compares arguments with those of a trace, and gathers what is fed.

    Args:
      exact: tensors are no Python values, and different Variables of the trace are different.
    """

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._variables: dict[int | None, Any] = {}
        self.values: list[Any] = []

    def tells_apart(self) -> bool:
        """Whether the Variables are as different as those of the trace have to be."""
        found = [v._id for v in self._variables.values() if isinstance(v, Variable)]
        return not self._exact or len(set(found)) == len(found)

    def match(self, given: Any, wanted: Any) -> bool:
        """Whether an argument fits."""
        if isinstance(wanted, VariableSpec):
            return self._variable(given, wanted)
        if isinstance(wanted, TensorSpec):
            return self._tensor(given, wanted)
        if isinstance(wanted, TypeSpec):
            return self._composite(given, wanted)
        if isinstance(wanted, dict):
            if not isinstance(given, dict) or given.keys() != wanted.keys():
                return False
            return all(self.match(given[k], wanted[k]) for k in sorted(wanted))
        if isinstance(wanted, (list, tuple)):
            if not isinstance(given, (list, tuple)) or len(given) != len(wanted):
                return False
            return all(self.match(g, w) for g, w in zip(given, wanted))
        if isinstance(given, Tensor) or hasattr(given, "shape"):
            return False
        return type(given) is type(wanted) and given == wanted

    def _variable(self, given: Any, wanted: VariableSpec) -> bool:
        if not isinstance(given, (Variable, VariableSpec)) or not wanted.is_compatible_with(given):
            return False
        first = self._variables.get(wanted.alias_id)
        if first is None:
            self._variables[wanted.alias_id] = given
            if isinstance(given, Variable):
                self.values.append(given)
            return True
        if isinstance(given, VariableSpec) or isinstance(first, VariableSpec):
            return given == first
        return given._id == first._id

    def _composite(self, given: Any, wanted: TypeSpec) -> bool:
        """A ragged or sparse tensor, which is fed by its parts."""
        if isinstance(given, TypeSpec):
            return wanted.is_compatible_with(given)
        if composite_spec(given) is None or not wanted.is_compatible_with(given):
            return False
        self.values.extend(nest.flatten(given, expand_composites=True))
        return True

    def _tensor(self, given: Any, wanted: TensorSpec) -> bool:
        if given is None or nest.is_nested(given) and self._exact:
            return False
        if isinstance(given, TensorSpec):
            return given.dtype is wanted.dtype and wanted.shape.is_compatible_with(given.shape)
        is_tensor = isinstance(given, Tensor) or hasattr(given, "_as_tensor")
        if self._exact and not is_tensor and not hasattr(given, "dtype"):
            return False
        try:
            t = convert_to_tensor(given, None if is_tensor else wanted.dtype)
        except (TypeError, ValueError):
            return False
        self.values.append(t)
        return t.dtype is wanted.dtype and wanted.shape.is_compatible_with(t.shape)


def signature_of(parameters: Sequence[Any]) -> inspect.Signature:
    """The signature that was written as [name, {"kind", "default"}] of each parameter."""
    made = []
    for name, entry in parameters:
        entry = entry or {"kind": "POSITIONAL_OR_KEYWORD"}
        default = inspect.Parameter.empty
        if "default" in entry:
            default = values.decode(entry["default"])
        kind = getattr(inspect.Parameter, entry["kind"])
        made.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(made)

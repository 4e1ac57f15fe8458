"""Functions that were loaded: their traces, without the Python code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import ConcreteFunction
from shardtape.graph.signatures import python_name
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
        by_argument = {python_name(name): name for name, _ in self.parameters}
        kwargs = {python_name(k) if k in by_argument.values() else k: v for k, v in kwargs.items()}
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise self._unbound(str(error), args, kwargs) from None
        bound.apply_defaults()
        given = {by_argument.get(name, name): value for name, value in bound.arguments.items()}
        for exact in (True, False):  # a tensor's own type first, then what converts to it
            for number, (wanted, _) in enumerate(self._traces):
                tensors = _fitting(given, wanted, exact)
                if tensors is not None:
                    return self._trace(number), tensors
        reasons = "".join(f"\n  A trace was not saved: {reason}" for reason in self.left_out)
        if not self._traces:
            hint = ": call it, or give it an `input_signature`, before it is saved"
            raise ValueError(
                f"Found zero restored functions for caller function. `{self._name}` was saved "
                f"without a trace{reasons or hint}"
            )
        if self.declared:
            raise self._unbound(_cast_that_fails(given, self._traces[0][0]), args, kwargs)
        options = "\n\n".join(
            f"Option {i + 1}:\n{self._listed(wanted)}" for i, (wanted, _) in enumerate(self._traces)
        )
        raise ValueError(
            "Could not find matching concrete function to call loaded from the SavedModel. Got:\n"
            f"{self._listed(given)}\n\n Expected these arguments to match one of the following "
            f"{len(self._traces)} option(s):\n\n{options}{reasons}"
        )

    def _unbound(self, reason: str, args: Any, kwargs: Any) -> TypeError:
        """What is raised where arguments do not fit the parameters."""
        return TypeError(
            f"Binding inputs to tf.function failed due to `{reason}`. Received args: {args} and "
            f"kwargs: {kwargs} for signature: {self._name}{self._signature}."
        )

    def _listed(self, arguments: dict[str, Any]) -> str:
        """Arguments, or what a trace is for, as TensorFlow lists them."""
        shown = {name: _shown(name, value) for name, value in arguments.items()}
        named = {
            p.name for p in self._signature.parameters.values() if p.kind is p.KEYWORD_ONLY
        }  # fmt: skip
        positional = [value for name, value in shown.items() if name not in named]
        by_name = {name: value for name, value in shown.items() if name in named}
        lines = "".join(f"    * {value}\n" for value in positional)
        return (
            f"  Positional arguments ({len(positional)} total):\n{lines}"
            f"  Keyword arguments: {by_name}"
        )


class _Shown:
    """A text that is shown without quotes inside lists and dicts."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _shown(name: str, value: Any) -> Any:
    """An argument with its tensors by type alone, which have the parameter's name."""

    def leaf(part: Any) -> Any:
        if isinstance(part, TensorSpec):
            return TensorSpec(part.shape, part.dtype, part.name or name)
        if isinstance(part, Tensor) or hasattr(part, "_as_tensor") or isinstance(part, np.ndarray):
            t = convert_to_tensor(part)
            return _Shown(f"<tf.Tensor '{name}:0' shape={t.shape} dtype={t.dtype.name}>")
        return part

    return nest.map_structure(leaf, value)


def _cast_that_fails(given: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Says which argument is no value of the type that was declared for it."""
    for name, spec in wanted.items():
        value = given.get(name)
        if _fitting({name: value}, {name: spec}, False) is None:
            if isinstance(value, (Tensor, np.ndarray)):
                t = convert_to_tensor(value)
                value = TensorSpec(t.shape, t.dtype)
            return f"Can not cast {value!r} to {spec!r}"
    return f"Can not cast {given!r} to {wanted!r}"


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
        # True is 1, where no trace is for just what was given
        numbers = not self._exact and isinstance(given, int) and isinstance(wanted, int)
        return (type(given) is type(wanted) or numbers) and given == wanted

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
        made.append(inspect.Parameter(python_name(name), kind, default=default))
    return inspect.Signature(made)

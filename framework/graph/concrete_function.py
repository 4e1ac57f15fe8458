"""One trace of a `tf.function`: what it takes, how it runs, what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, nest
from shardtape.context import next_id, state
from shardtape.graph.arguments import components_of, held_value, is_tensor_like
from shardtape.graph.func_graph import FuncGraph, TensorSpec, inline
from shardtape.graph.segment import Segment, parts_of
from shardtape.graph.shown import end_of
from shardtape.graph.signatures import (
    FunctionType,
    one_line,
    parameters,
    python_name,
    structured_input,
    type_text,
)
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import cpp_name
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec, composite_spec
from shardtape.variable import Variable
from shardtape.variable_spec import VariableSpec


class Composite:
    """A result that is made of several tensors of the graph."""

    __slots__ = ("spec", "components")

    def __init__(self, spec: TypeSpec, components: Sequence[SymbolicTensor]) -> None:
        self.spec, self.components = spec, components


# what a Python function may return in place of a tensor
_VALUES = (EagerTensor, Variable, np.ndarray, np.generic, int, float, bool, complex, str)


class ConcreteFunction:
    """One trace of a function; call it with the tensors it was traced for."""

    def __init__(
        self,
        graph: FuncGraph,
        name: str,
        arguments: Sequence[tuple[Any, SymbolicTensor]],
        structure: Any,
        signature: inspect.Signature | None = None,
    ) -> None:
        self.graph, self.function_name, self._signature = graph, name, signature
        self._number = next_id()
        self._arguments = arguments
        self._structure = structure
        flat = nest.flatten(structure)
        # positions of tensors among the flat outputs; the rest are Python values
        self._tensors: list[tuple[int, Any]] = []
        fetches: list[Any] = []
        for i, leaf in enumerate(flat):
            if isinstance(leaf, IndexedSlices):
                fetches.extend(parts_of(leaf))
            elif isinstance(leaf, Composite):
                fetches.extend(leaf.components)
            elif isinstance(leaf, SymbolicTensor):
                fetches.append(leaf)
            else:
                continue
            self._tensors.append((i, leaf))
        self._fetches = fetches
        self._feeds = [p for _, p in arguments] + [p for _, p in graph.captures]
        self._segment = Segment(graph, self._feeds, fetches, graph.executed())
        self._variables = list(graph.variables)
        # what is shown of the results; runs know nothing of it
        shown = graph.results or [graph.shown.result(t) for t in fetches]
        end_of(graph, shown)
        self.outputs = graph.outputs = shown
        graph.inputs = self.inputs
        self.structured_outputs = graph.structured_outputs = self._filled(iter(shown))
        graph.finished = True
        # what the function was traced for, by parameter: specs of tensors, and other values
        self.bound_arguments: dict[str, Any] = {}
        self.was_loaded = False  # its constants are its own

    @property
    def name(self) -> bytes:
        """A name that no other trace has."""
        return f"__inference_{self.function_name}_{self._number}".encode()

    @property
    def function_def(self) -> Any:
        """The trace as TensorFlow's FunctionDef message."""
        from shardtape.graph.function_definition import function_def

        return function_def(self)

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The arguments, then what was captured: tensors, and handles of Variables."""
        return [p for _, p in self._arguments] + [p for _, p in self._captures()]

    @property
    def captured_inputs(self) -> list[Any]:
        """The tensors and Variables from outside that the trace uses."""
        return [outer for outer, _ in self._captures()]

    def _captures(self) -> list[tuple[Any, SymbolicTensor]]:
        """(from outside, its stand-in) in the order in which the trace met them."""
        handles = [
            (h.op.attrs["variable"], h) for h in self.graph._handles.values() if h.op.is_handle
        ]
        return sorted([*self.graph.captures, *handles], key=lambda pair: pair[1].op.index)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(self._variables)

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        return tuple(v for v in self._variables if v.trainable)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the trace on tensors (or values that convert to them), in order or by name.

        Arguments that are no tensors may be given again, if they are those of the trace.

        Raises:
          TypeError: missing, surplus or other arguments, or another shape.
          InvalidArgumentError: a tensor of another dtype.
        """
        try:
            flat = self._by_parameter(args, kwargs)
        except TypeError as error:
            try:
                flat = self._in_order(args, kwargs)
            except TypeError as again:
                raise TypeError(
                    f"Binding inputs to tf.function failed due to `{error}`. Received args: "
                    f"{args} and kwargs: {kwargs} for signature: {self._one_line()}.\n"
                    f"Fallback to flat signature also failed due to: {again}."
                ) from None
        values = []
        plain = False
        for i, ((_, p), value) in enumerate(zip(self._arguments, flat)):
            if p.dtype is dt.resource:
                values.append(self._checked_variable(i, value))
                continue
            t = convert_to_tensor(value, None if isinstance(value, Tensor) else p.dtype)
            plain = plain or not isinstance(value, Tensor)
            if t.dtype is not p.dtype and not plain:
                raise errors.InvalidArgumentError(
                    f"cannot compute {self.name.decode()} as input #{i}(zero-based) was expected "
                    f"to be a {cpp_name(p.dtype)} tensor but is a {cpp_name(t.dtype)} tensor: it "
                    f"is the argument {p.op.name!r}"
                )
            if t.dtype is not p.dtype or not p.shape.is_compatible_with(t.shape):
                raise TypeError(
                    f"{self.function_name} was traced for {p.op.name}: {p.dtype.name}{p.shape}, it "
                    f"got {t.dtype.name}{t.shape}"
                )
            values.append(t)
        return self.call_flat(values)

    def _checked_variable(self, index: int, value: Any) -> Any:
        """A Variable for an input that is one; its shape may be another than the trace's."""
        if not isinstance(value, Variable):
            given = value if isinstance(value, Tensor) else convert_to_tensor(value)
            raise errors.InvalidArgumentError(
                f"cannot compute {self.name.decode()} as input #{index}(zero-based) was expected "
                f"to be a resource tensor but is a {given.dtype.name} tensor: pass a Variable"
            )
        spec: Any = self._arguments[index][0]
        if value.dtype is not spec.dtype:
            raise errors.InvalidArgumentError(
                f"Trying to read variable with wrong dtype. Expected {spec.dtype.name} got "
                f"{value.dtype.name}: {self.function_name} was traced for {spec!r}"
            )
        return value

    def _by_parameter(self, args: Any, kwargs: Any) -> list[Any]:
        """The tensors to feed, for arguments as the Python function takes them."""
        if self._signature is None or not self.bound_arguments:
            return self._in_order(args, kwargs)
        given = self._signature.bind_partial(*args, **kwargs).arguments
        flat: list[Any] = []
        seen: set[int | None] = set()
        for name, wanted in self.bound_arguments.items():
            if type(wanted) is TensorSpec and type(given.get(name)) is EagerTensor:
                flat.append(given[name])  # what nearly all callers have
                continue
            wants = [held_value(w) for w in nest.flatten(wanted)]
            if name not in given:
                if any(isinstance(w, TypeSpec) for w in wants):
                    raise TypeError(f"missing a required argument: {name!r}")
                continue
            leaves = nest.flatten(given[name])
            if len(leaves) != len(wants):
                raise TypeError(f"Can not cast {given[name]!r} to {type_text(wanted)}")
            for leaf, want in zip(leaves, wants):
                if isinstance(want, VariableSpec):
                    if want.alias_id not in seen:
                        flat.append(leaf)
                    seen.add(want.alias_id)
                elif isinstance(want, TypeSpec):
                    flat.extend(components_of(leaf))
                elif leaf is not want and (is_tensor_like(leaf) or leaf != want):
                    raise TypeError(f"Can not cast {leaf!r} to {type_text(want)}")
        return flat

    def _in_order(self, args: Any, kwargs: Any) -> list[Any]:
        """The tensors to feed, for all tensors in order, or by the names of the inputs."""
        names = [self._input_name(i) for i in range(len(self._arguments))]
        flat: list[Any] = []
        for leaf in nest.flatten(args):
            flat.extend([leaf] if isinstance(leaf, Variable) else components_of(leaf))
        shown = f"{self.function_name}({', '.join(names)})"
        if len(flat) > len(names):
            raise TypeError(f"{shown} takes {len(names)} positional arguments, got {len(flat)}")
        by_argument = {python_name(name): name for name in names}
        kwargs = {k if k in names else by_argument.get(k, k): v for k, v in kwargs.items()}
        surplus = [k for k in kwargs if k not in names]
        if surplus:
            raise TypeError(f"{shown} got unexpected keyword arguments: {', '.join(surplus)}")
        left = names[len(flat) :]
        missing = [name for name in left if name not in kwargs]
        if missing:
            raise TypeError(f"{shown} missing required arguments: {', '.join(missing)}")
        return flat + [kwargs[name] for name in left]

    def _input_name(self, index: int) -> str:
        spec, placeholder = self._arguments[index]
        named = isinstance(spec, TensorSpec) and spec.name
        return named or placeholder.op.name

    # ---- what it takes and returns --------------------------------------------------------
    def _shown(self) -> list[tuple[str, str, Any]]:
        return parameters(self._signature, self.bound_arguments)

    def _one_line(self) -> str:
        return one_line(self._shown(), self.structured_outputs)

    @property
    def structured_input_signature(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(positional, by name): TensorSpecs, and the other values of the trace."""
        return structured_input(self._shown())

    @property
    def output_shapes(self) -> Any:
        """The shapes of the results, in their structure."""
        return nest.map_structure(lambda t: getattr(t, "shape", None), self.structured_outputs)

    @property
    def output_dtypes(self) -> Any:
        """The types of the results, in their structure."""
        return nest.map_structure(lambda t: getattr(t, "dtype", None), self.structured_outputs)

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        """Parameters, results and captures; in one line if not `verbose`."""
        if not verbose:
            return self._one_line()
        return repr(self.function_type)

    @property
    def function_type(self) -> FunctionType:
        """What it takes, returns and captures."""
        captures = self._variables if self.was_loaded else self.captured_inputs
        return FunctionType(self._shown(), self.structured_outputs, captures)

    def call_flat(self, values: Sequence[Tensor]) -> Any:
        values = [*values, *[outer for outer, _ in self.graph.captures]]
        symbolic = state.graph
        if symbolic is None:
            symbolic = next((v.open_graph() for v in values if type(v) is SymbolicTensor), None)
        if symbolic is not None:
            given = {
                p._id: symbolic.variable_handle(v) if p.dtype is dt.resource else v
                for p, v in zip(self._feeds, values)
            }
            got: Sequence[Any] = inline(
                symbolic, self._fetches, self._segment.effects, given, self.function_name
            )
        else:
            got = self._segment.call(values, self._variables)
        return self._structured(iter(got))

    def _structured(self, got: Any) -> Any:
        flat = nest.flatten(self._structure)
        for i, leaf in self._tensors:
            if isinstance(leaf, IndexedSlices):
                parts = [next(got) for _ in parts_of(leaf)]
                flat[i] = IndexedSlices(
                    *parts, *([leaf.shape_anywhere()] if len(parts) == 2 else [])
                )
            elif isinstance(leaf, Composite):
                flat[i] = leaf.spec._from_components([next(got) for _ in leaf.components])
            else:
                flat[i] = next(got)
        return nest.pack_sequence_as(self._structure, flat)

    def _filled(self, shown: Any) -> Any:
        """The structure of the results with the nodes that show them."""
        flat = nest.flatten(self._structure)
        for i, leaf in self._tensors:
            if isinstance(leaf, IndexedSlices):
                parts = [next(shown) for _ in parts_of(leaf)]
                rest = [leaf.dense_shape] if len(parts) == 2 else []
                flat[i] = IndexedSlices(*parts, *rest)
            elif isinstance(leaf, Composite):
                flat[i] = Composite(leaf.spec, [next(shown) for _ in leaf.components])
            else:
                flat[i] = next(shown)
        return nest.pack_sequence_as(self._structure, flat)

    def __str__(self) -> str:
        return f"ConcreteFunction {self.pretty_printed_signature()}"

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self._one_line()} at 0x{id(self):X}>"


def shown_output(x: Any) -> Any:
    """A result of the function that is traced, which gets the nodes that show it."""
    made = as_output(x)
    if isinstance(made, SymbolicTensor):
        parts = [made]
    elif isinstance(made, IndexedSlices):
        parts = parts_of(made)
    else:
        parts = list(made.components) if isinstance(made, Composite) else []
    state.graph.results += [state.graph.shown.result(t) for t in parts]
    return made


def as_output(x: Any) -> Any:
    if x is None or isinstance(x, IndexedSlices):
        return x
    if isinstance(x, SymbolicTensor):
        return state.graph.capture(x)
    spec = composite_spec(x)
    if spec is not None:
        return Composite(spec, [state.graph.capture(t) for t in spec._to_components(x)])
    if isinstance(x, _VALUES):
        t = convert_to_tensor(x)
        if type(t) is not SymbolicTensor:
            t = state.graph.capture(t)
        return t
    try:
        return state.graph.capture(convert_to_tensor(x))
    except (TypeError, ValueError):
        raise TypeError(
            "To be compatible with tf.function, Python functions must return zero or more Tensors "
            f"or ExtensionTypes or None values; found return value of type {type(x).__name__}, "
            "which is not a Tensor or ExtensionType."
        ) from None

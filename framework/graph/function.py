"""`tf.function`: Python functions traced once for each kind of arguments, then run as plans."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import errors, nest
from shardtape.context import building, converting, recording, state
from shardtape.graph.func_graph import FuncGraph, TensorSpec, inline
from shardtape.graph.segment import Segment
from shardtape.graph.signatures import (
    one_line,
    paragraph,
    parameters,
    structured_input,
    type_text,
)
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops import source
from shardtape.ops.convert import convert_to_tensor
from shardtape.source_lines import origins_noted
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec, composite_spec
from shardtape.variable import Variable, collecting

_log = logging.getLogger("shardtape")
_TRACES_BEFORE_WARNING = 5
_MAX_TRACES = 512
_run_eagerly = False
called: list[ConcreteFunction] | None = None  # traces that ran, while somebody asks for them


def run_functions_eagerly(run_eagerly: bool) -> None:
    """True: `tf.function` calls run their Python code."""
    global _run_eagerly
    _run_eagerly = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    return _run_eagerly


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
        self.graph, self.name, self._signature = graph, name, signature
        self._arguments = arguments
        self.structured_outputs = self._structure = structure
        flat = nest.flatten(structure)
        # positions of tensors among the flat outputs; the rest are Python values
        self._tensors: list[tuple[int, Any]] = []
        fetches: list[Any] = []
        for i, leaf in enumerate(flat):
            if isinstance(leaf, IndexedSlices):
                fetches.extend([leaf.values, leaf.indices])
            elif isinstance(leaf, _Composite):
                fetches.extend(leaf.components)
            elif isinstance(leaf, SymbolicTensor):
                fetches.append(leaf)
            else:
                continue
            self._tensors.append((i, leaf))
        self.outputs = fetches
        self.inputs = [p for _, p in arguments] + [p for _, p in graph.captures]
        self._segment = Segment(graph, self.inputs, fetches, graph.effects())
        self._variables = graph.variables()
        graph.finished = True
        # what the function was traced for, by parameter: specs of tensors, and other values
        self.bound_arguments: dict[str, Any] = {}
        self.was_loaded = False  # its constants are its own

    @property
    def captured_inputs(self) -> list[Any]:
        return [outer for outer, _ in self.graph.captures]

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
        for (_, p), value in zip(self._arguments, flat):
            t = convert_to_tensor(value, None if isinstance(value, Tensor) else p.dtype)
            plain = plain or not isinstance(value, Tensor)
            if t.dtype is not p.dtype or not p.shape.is_compatible_with(t.shape):
                refused = plain or t.dtype is p.dtype
                raise (TypeError if refused else errors.InvalidArgumentError)(
                    f"{self.name} was traced for {p.op.name}: {p.dtype.name}{p.shape}, it got "
                    f"{t.dtype.name}{t.shape}"
                )
            values.append(t)
        return self.call_flat(values)

    def _by_parameter(self, args: Any, kwargs: Any) -> list[Any]:
        """The tensors to feed, for arguments as the Python function takes them."""
        if self._signature is None or not self.bound_arguments:
            return self._in_order(args, kwargs)
        given = self._signature.bind_partial(*args, **kwargs).arguments
        flat: list[Any] = []
        for name, wanted in self.bound_arguments.items():
            wants = nest.flatten(wanted)
            if name not in given:
                if any(isinstance(w, TypeSpec) for w in wants):
                    raise TypeError(f"missing a required argument: {name!r}")
                continue
            leaves = nest.flatten(given[name])
            if len(leaves) != len(wants):
                raise TypeError(f"Can not cast {given[name]!r} to {type_text(wanted)}")
            for leaf, want in zip(leaves, wants):
                if isinstance(want, TypeSpec):
                    flat.extend(_components(leaf))
                elif leaf is not want and (_is_tensor_like(leaf) or leaf != want):
                    raise TypeError(f"Can not cast {leaf!r} to {type_text(want)}")
        return flat

    def _in_order(self, args: Any, kwargs: Any) -> list[Any]:
        """The tensors to feed, for all tensors in order, or by the names of the inputs."""
        names = [self._input_name(i) for i in range(len(self._arguments))]
        flat = [part for leaf in nest.flatten(args) for part in _components(leaf)]
        shown = f"{self.name}({', '.join(names)})"
        if len(flat) > len(names):
            raise TypeError(f"{shown} takes {len(names)} positional arguments, got {len(flat)}")
        surplus = [k for k in kwargs if k not in names]
        if surplus:
            raise TypeError(f"{shown} got unexpected keyword arguments: {', '.join(surplus)}")
        for name in names[len(flat) :]:
            if name not in kwargs:
                raise TypeError(f"{shown} misses the argument {name!r}")
            flat.append(kwargs[name])
        return flat

    def _input_name(self, index: int) -> str:
        given, placeholder = self._arguments[index]
        spec = given.spec if isinstance(given, _Declared) else given
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
        captures = [*self._variables, *([] if self.was_loaded else self.captured_inputs)]
        return paragraph(self._shown(), self.structured_outputs, captures)

    def call_flat(self, values: Sequence[Tensor]) -> Any:
        values = [*values, *[outer for outer, _ in self.graph.captures]]
        symbolic = state.graph
        if symbolic is None:
            symbolic = next((v.graph for v in values if type(v) is SymbolicTensor), None)
        if symbolic is not None:
            given = {p._id: v for p, v in zip(self.inputs, values)}
            got: Sequence[Any] = inline(
                symbolic, self.outputs, self._segment.effects, given, self.name
            )
        else:
            got = self._segment.call(values, self._variables)
        return self._structured(iter(got))

    def _structured(self, got: Any) -> Any:
        flat = nest.flatten(self._structure)
        for i, leaf in self._tensors:
            if isinstance(leaf, IndexedSlices):
                flat[i] = IndexedSlices(next(got), next(got), leaf.shape_anywhere())
            elif isinstance(leaf, _Composite):
                flat[i] = leaf.spec._from_components([next(got) for _ in leaf.components])
            else:
                flat[i] = next(got)
        return nest.pack_sequence_as(self._structure, flat)

    def __str__(self) -> str:
        return f"ConcreteFunction {self.pretty_printed_signature()}"

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self._one_line()} at 0x{id(self):X}>"


class Function:
    """What `tf.function` makes of a Python function."""

    def __init__(
        self,
        python_function: Callable[..., Any],
        name: str | None = None,
        input_signature: Sequence[Any] | None = None,
        reduce_retracing: bool = False,
        autograph: bool = True,
    ) -> None:
        self._autograph = autograph
        functools.update_wrapper(self, python_function)
        self.python_function = python_function
        self._name: str = name or getattr(python_function, "__name__", None) or "function"
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._relax = reduce_retracing
        self._relaxed = _Relaxed() if reduce_retracing and input_signature is None else None
        self._traces: dict[Any, ConcreteFunction] = {}
        self._signature = inspect.signature(python_function)
        self._lock = threading.RLock()
        self._made_variables: list[Variable] | None = None
        self._count = 0
        self._methods: weakref.WeakKeyDictionary[Any, Function] = weakref.WeakKeyDictionary()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if instance not in self._methods:
            self._methods[instance] = Function(
                self.python_function.__get__(instance, owner), self._name, self.input_signature,
                self._relax, self._autograph,
            )  # fmt: skip
        return self._methods[instance]

    def __reduce__(self) -> Any:
        # where it arrives it is traced again
        return Function, (
            self.python_function, self._name, self.input_signature, self._relax, self._autograph,
        )  # fmt: skip

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _run_eagerly:
            return self.python_function(*args, **kwargs)
        concrete, tensors = self._find(args, kwargs)
        if called is not None:
            called.append(concrete)
        return concrete.call_flat(tensors)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for these arguments or TensorSpecs."""
        if not args and not kwargs and self.input_signature is not None:
            args = self.input_signature
        return self._find(args, kwargs)[0]

    @property
    def name(self) -> str:
        return self._name

    def pretty_printed_concrete_signatures(self, verbose: bool = True) -> str:
        """What the traces that exist take and return, one after the other."""
        joined = "\n\n" if verbose else "\n"
        return joined.join(t.pretty_printed_signature(verbose) for t in self._traces.values())

    def experimental_get_tracing_count(self) -> int:
        return self._count

    # ---- arguments ------------------------------------------------------------------------
    def _find(self, args: Any, kwargs: Any) -> tuple[ConcreteFunction, list[Any]]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        if self.input_signature is not None:
            arguments = self._conform(arguments)
        names, leaves = _named_leaves(arguments)
        key = tuple([_key(x) for x in leaves]) + (_structure(arguments), _context_key())
        with self._lock:
            found = self._traces.get(key)
            if found is None and self._relaxed is not None:
                found = self._relaxed.find(key[len(leaves) :], leaves)
                if found is None:
                    wide = self._relaxed.widened(key[len(leaves) :], leaves)
                    general = nest.pack_sequence_as(
                        dict(arguments), _in_nest_order(arguments, wide)
                    )
                    found = self._trace_new(key, bound, _ordered(arguments, general), names, wide)
                    self._relaxed.add(key[len(leaves) :], wide, found)
            elif found is None:
                found = self._trace_new(key, bound, arguments, names, leaves)
        return found, [part for x in leaves if _is_tensor_like(x) for part in _components(x)]

    def _conform(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        specs = self.input_signature or ()
        if len(specs) < len(arguments):
            raise TypeError(
                f"{self._name} has an input_signature of {len(specs)} arguments, it takes "
                f"{len(arguments)}"
            )
        out = {}
        for (name, value), spec in zip(arguments.items(), specs):
            flat_specs = nest.flatten(spec)
            flat = [value] if isinstance(spec, TypeSpec) else nest.flatten(value)
            if len(flat_specs) != len(flat):
                raise TypeError(f"argument {name!r} of {self._name} does not match {spec!r}")
            made = []
            for s, v in zip(flat_specs, flat):
                if not isinstance(s, TensorSpec):
                    if not s.is_compatible_with(v):
                        raise TypeError(
                            f"Binding inputs to tf.function `{self._name}` failed: argument "
                            f"{name!r} is {v!r}, the input_signature asks for {s!r}"
                        )
                    made.append(_Declared(v, s))
                    continue
                t = v if isinstance(v, TensorSpec) else _tensor(v, s.dtype)
                if t.dtype is not s.dtype or not s.shape.is_compatible_with(t.shape):
                    raise TypeError(
                        f"Binding inputs to tf.function `{self._name}` failed: argument {name!r} "
                        f"has {t.dtype.name}{t.shape}, the input_signature asks for {s!r}"
                    )
                made.append(_Declared(t, s))
            out[name] = nest.pack_sequence_as(spec, made)
        return out

    def _trace_new(
        self, key: Any, bound: Any, arguments: Any, names: list[str], leaves: list[Any]
    ) -> ConcreteFunction:
        self._count += 1
        if self._count == _TRACES_BEFORE_WARNING + 1:
            _log.warning(
                "%d out of the last %d calls to %s triggered tf.function retracing. Tracing is "
                "expensive: pass tensors instead of Python objects, or use reduce_retracing=True",
                self._count, self._count, self._name,
            )  # fmt: skip
        first = self._made_variables is None
        concrete = self._trace(bound, arguments, names, leaves)
        if first and self._made_variables is not None:
            # a function that makes Variables has to use them, and make none, from now on
            concrete = self._trace(bound, arguments, names, leaves)
        concrete.bound_arguments = nest.map_structure(_spec_of, dict(arguments))
        if len(self._traces) >= _MAX_TRACES:
            self._traces.pop(next(iter(self._traces)))
        self._traces[key] = concrete
        return concrete

    def _trace(self, bound: Any, arguments: Any, names: list[str], leaves: Any) -> ConcreteFunction:
        graph = FuncGraph(self._name, state.graph)
        placeholders: list[tuple[Any, SymbolicTensor]] = []
        replaced = []
        with building(graph), recording(()), collecting() as made, converting(self._autograph):
            for name, leaf in zip(names, leaves):
                if not _is_tensor_like(leaf):
                    replaced.append(leaf)
                    continue
                spec = _composite_of(leaf)
                parts = [_declared(leaf)] if spec is None else [
                    (part.dtype, part.shape) for part in spec._component_specs  # type: ignore
                ]  # fmt: skip
                made_parts = []
                for dtype, shape in parts:
                    p = graph.add_op(
                        source.placeholder, (), {"dtype": dtype, "shape": shape}, _valid_name(name)
                    )
                    placeholders.append((leaf, p))
                    made_parts.append(p)
                replaced.append(p if spec is None else spec._from_components(made_parts))
            rebuilt = nest.pack_sequence_as(dict(arguments), _in_nest_order(arguments, replaced))
            bound = inspect.BoundArguments(self._signature, _ordered(bound.arguments, rebuilt))
            with origins_noted():
                result = self._traced_function()(*bound.args, **bound.kwargs)
            result = nest.map_structure(_as_output, result)
        if made:
            if self._made_variables is not None:
                raise ValueError(
                    "tf.function only supports singleton tf.Variables created on the first call. "
                    "Make sure the tf.Variable is only created once or created outside "
                    f"tf.function: {self._name} made {made[0].name!r} again."
                )
            self._made_variables = list(made)
        return ConcreteFunction(graph, self._name, placeholders, result, self._signature)

    def _traced_function(self) -> Callable[..., Any]:
        if not self._autograph:
            return self.python_function
        from shardtape.autograph import convert_now

        return convert_now(self.python_function)

    def __repr__(self) -> str:
        return f"<Function {self._name}>"


class _Relaxed:
    """The traces of a function that lets shapes be unknown once they have changed."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, list[Any], ConcreteFunction]] = []

    def find(self, context: Any, leaves: Sequence[Any]) -> ConcreteFunction | None:
        """The trace that takes these arguments, if there is one."""
        for other, types, concrete in self._known:
            if other == context and _fit(types, [_type_of(x) for x in leaves]):
                return concrete
        return None

    def widened(self, context: Any, leaves: Sequence[Any]) -> list[Any]:
        """The arguments, declared with what they have in common with those of the traces."""
        types = [_type_of(x) for x in leaves]
        for other, known, _ in self._known:
            if other == context and len(known) == len(types):
                pairs = [_common(a, b) for a, b in zip(types, known)]
                if None not in pairs:
                    types = pairs
        return [
            _Declared(x, t) if isinstance(t, TensorSpec) and _type_of(x) != t else x
            for x, t in zip(leaves, types)
        ]

    def add(self, context: Any, leaves: Sequence[Any], concrete: ConcreteFunction) -> None:
        self._known.append((context, [_type_of(x) for x in leaves], concrete))
        if len(self._known) > _MAX_TRACES:
            del self._known[0]


def _type_of(x: Any) -> Any:
    """A TensorSpec for a tensor, something that can be compared for any other argument."""
    if _is_tensor_like(x) and _composite_of(x) is None:
        dtype, shape = _declared(x)
        return TensorSpec(shape, dtype)
    return ("value", _key(x))


def _fit(wanted: Sequence[Any], given: Sequence[Any]) -> bool:
    return len(wanted) == len(given) and all(_common(w, g) == w for w, g in zip(wanted, given))


def _common(a: Any, b: Any) -> Any:
    """The type of both; None where they have none."""
    if a == b:
        return a
    if not isinstance(a, TensorSpec) or not isinstance(b, TensorSpec) or a.dtype is not b.dtype:
        return None
    return a.most_specific_compatible_type(b)


class _Declared:
    """A value with the spec that an input_signature gives it."""

    __slots__ = ("value", "spec")

    def __init__(self, value: Any, spec: Any) -> None:
        self.value, self.spec = value, spec


class _Composite:
    """A result that is made of several tensors of the graph."""

    __slots__ = ("spec", "components")

    def __init__(self, spec: TypeSpec, components: Sequence[SymbolicTensor]) -> None:
        self.spec, self.components = spec, components


def _is_tensor_like(x: Any) -> bool:
    if isinstance(x, (Tensor, np.ndarray, np.generic, TypeSpec, _Declared)):
        return True
    return composite_spec(x) is not None


def _spec_of(x: Any) -> Any:
    """The spec of an argument that is a tensor; any other argument itself."""
    if not _is_tensor_like(x):
        return x
    spec = _composite_of(x)
    if spec is not None:
        return spec
    declared = x.spec if isinstance(x, _Declared) else x
    dtype, shape = _declared(x)
    return TensorSpec(shape, dtype, declared.name if isinstance(declared, TensorSpec) else None)


def _composite_of(x: Any) -> TypeSpec | None:
    """The spec of an argument that is made of several tensors; None for a tensor."""
    if isinstance(x, _Declared):
        x = x.spec
    if isinstance(x, TypeSpec):
        return None if isinstance(x, TensorSpec) else x
    return None if isinstance(x, Tensor) else composite_spec(x)


def _components(x: Any) -> Sequence[Any]:
    """The tensors that are fed for an argument."""
    spec = _composite_of(x)
    if spec is None:
        return (_tensor(x),)
    value = x.value if isinstance(x, _Declared) else x
    return () if isinstance(value, TypeSpec) else spec._to_components(value)


def _tensor(x: Any, dtype: Any = None) -> Any:
    if isinstance(x, _Declared):
        x = x.value
    if isinstance(x, (Tensor, TensorSpec)):
        return x
    return convert_to_tensor(x, dtype)


def _declared(x: Any) -> tuple[Any, Any]:
    if isinstance(x, _Declared):
        return x.spec.dtype, x.spec.shape
    if isinstance(x, (Tensor, TensorSpec)):
        return x.dtype, x.shape
    t = convert_to_tensor(x)
    return t.dtype, t.shape


def _key(x: Any) -> Any:
    if type(x) is EagerTensor:
        return x._array.dtype.num, x._array.shape
    if _is_tensor_like(x):
        spec = _composite_of(x)
        if spec is not None:
            return "composite", spec
        dtype, shape = _declared(x)
        return dtype.numpy_dtype.num, tuple(shape) if shape.rank is not None else None
    if isinstance(x, Variable):
        return "variable", x._id
    tracing_type = getattr(type(x), "__tf_tracing_type__", None)
    if tracing_type is not None:
        return "traced", tracing_type(x, None)
    try:
        hash(x)
    except TypeError:
        return type(x), id(x)
    return type(x), x


def _context_key() -> Any:
    return state.training if state.autocast is None else (state.training, state.autocast)


def _structure(value: Any) -> Any:
    if not nest.is_nested(value):
        return None
    if isinstance(value, Mapping):
        return (type(value).__name__, tuple((k, _structure(v)) for k, v in sorted(value.items())))
    return (type(value).__name__, tuple(_structure(v) for v in nest._children(value)))


def _named_leaves(arguments: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    names, leaves = [], []
    for name, value in arguments.items():
        flat = nest.flatten(value)
        for i, leaf in enumerate(flat):
            names.append(name if len(flat) == 1 else f"{name}_{i}")
            leaves.append(leaf)
    return names, leaves


def _in_nest_order(arguments: Mapping[str, Any], leaves: list[Any]) -> list[Any]:
    """Leaves in the order of the arguments, put into the sorted order that nest flattens in."""
    rest = iter(leaves)
    by_name = {n: [next(rest) for _ in nest.flatten(v)] for n, v in arguments.items()}
    return [leaf for n in sorted(by_name) for leaf in by_name[n]]


def _ordered(original: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rebuilt[name] for name in original}


def _valid_name(name: str) -> str:
    return name.lstrip("_") or "arg"


def _as_output(x: Any) -> Any:
    if x is None or isinstance(x, (SymbolicTensor, IndexedSlices, str)):
        return x
    spec = composite_spec(x)
    if spec is not None:
        return _Composite(spec, [state.graph.capture(t) for t in spec._to_components(x)])
    if isinstance(x, (EagerTensor, Variable, np.ndarray, np.generic, int, float, bool, complex)):
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


def function(
    func: Callable[..., Any] | None = None,
    input_signature: Sequence[Any] | None = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements: str | None = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
) -> Any:
    """Traces a function into a graph and runs it as a compiled plan.

    Args:
      func: the function; without it a decorator is returned.
      input_signature: TensorSpecs; one trace then serves all calls.
      reduce_retracing: let shapes that changed once be unknown.

    Raises:
      TypeError: arguments that do not fit the signature.
    """

    def decorate(inner: Callable[..., Any]) -> Function:
        return Function(inner, None, input_signature, reduce_retracing, autograph)

    return decorate if func is None else decorate(func)

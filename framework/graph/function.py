"""`tf.function`: Python functions traced once for each kind of arguments, then run as plans."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from shardtape import errors, nest
from shardtape.checkpoint.containers import unwrapped
from shardtape.context import building, converting, recording, state
from shardtape.graph.arguments import (
    VARIABLES,
    alias_numbers,
    bound_specs,
    components_of,
    composite_of,
    contents,
    context_key,
    declared_type,
    given_values,
    in_nest_order,
    is_tensor_like,
    key_of,
    leaves_of,
    names_of,
    ordered,
    spec_of,
    structure_of,
    unchanged,
    valid_name,
    variable_argument,
    variable_type,
)
from shardtape.graph.concrete_function import ConcreteFunction, shown_output
from shardtape.graph.constraints import Constraints, binding_error
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.retracing import MAX_TRACES, KnownTraces, names_of_specs
from shardtape.ops import source
from shardtape.source_lines import origins_noted
from shardtape.tensor import EagerTensor, SymbolicTensor
from shardtape.type_spec import TypeSpec
from shardtape.variable import Variable
from shardtape.variable_creation import collecting

_log = logging.getLogger("shardtape")
_TRACES_BEFORE_WARNING = 5
_run_eagerly = False
called: list[ConcreteFunction] | None = None  # traces that ran, while somebody asks for them


def run_functions_eagerly(run_eagerly: bool) -> None:
    """True: `tf.function` calls run their Python code."""
    global _run_eagerly
    _run_eagerly = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    return _run_eagerly


class Function:
    """What `tf.function` makes of a Python function."""

    def __init__(
        self,
        python_function: Callable[..., Any],
        name: str | None = None,
        input_signature: Sequence[Any] | None = None,
        reduce_retracing: bool = False,
        autograph: bool = True,
        jit_compile: bool | None = None,
    ) -> None:
        self._autograph, self._jit_compile = autograph, jit_compile
        functools.update_wrapper(self, python_function)
        self._python = python_function
        self._name: str = name or getattr(python_function, "__name__", None) or "function"
        self._relax = reduce_retracing
        self._traces: dict[Any, ConcreteFunction] = {}
        self._signature = inspect.signature(python_function)
        self._constraints = self.input_signature = None
        if input_signature is None and not [p for p in self._signature.parameters if p != "self"]:
            input_signature = ()  # there is nothing to tell apart
        if input_signature is not None:
            self._constraints = Constraints(self._signature, input_signature)
            self.input_signature = tuple(input_signature)
        self._known = KnownTraces() if input_signature is None else None
        self._reused: dict[Any, ConcreteFunction] = {}  # traces by what else they were given
        self._watched: dict[Any, list[Any]] = {}  # objects that traces are for, by their keys
        self._lock = threading.RLock()
        self._made_variables: list[Variable] | None = None
        self._count = 0
        self._methods: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    @property
    def python_function(self) -> Callable[..., Any]:
        """The function that is traced."""
        return self._python

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if type(instance).__hash__ is None:
            # extension types: an argument like others, so that those of one form share a trace
            return types.MethodType(self, instance)
        shared = self._methods.get(instance)
        if shared is None:
            made = _Method(self, instance, owner)
            self._methods[instance] = made.__dict__
        else:
            latest = shared["_latest"]()
            if latest is not None:
                return latest
            made = object.__new__(_Method)
            made.__dict__ = shared
            made._instance = instance
        made._latest = weakref.ref(made)
        return made

    def __reduce__(self) -> Any:
        # where it arrives it is traced again
        return Function, (
            self.python_function, self._name, self.input_signature, self._relax, self._autograph,
            self._jit_compile,
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
        if not args and not kwargs and self._constraints is not None:
            declared, kwargs = self._constraints.arguments()
            args = tuple(declared)
        return self._find(args, kwargs)[0]

    @property
    def name(self) -> str:
        return self._name

    def pretty_printed_concrete_signatures(self, verbose: bool = True) -> str:
        """What the traces that exist take and return, one after the other."""
        joined = "\n\n" if verbose else "\n"
        return joined.join(t.pretty_printed_signature(verbose) for t in self._traces.values())

    def experimental_get_compiler_ir(self, *args: Any, **kwargs: Any) -> Any:
        """Raises: traces run as plans of numpy calls, no compiler has a form of them.

        Raises:
          ValueError: the function was not made with `jit_compile=True`.
          UnimplementedError: it was.
        """
        if not self._jit_compile:
            raise ValueError(
                "Compiler IR can only be returned for functions marked with 'jit_compile=True', "
                f"which {self._name!r} is not"
            )
        raise errors.UnimplementedError(
            f"there is no XLA compiler here and so no compiler IR of {self._name!r}: a trace runs "
            "as a plan of numpy calls. `get_concrete_function(...).graph` shows its nodes"
        )

    def experimental_get_tracing_count(self) -> int:
        return self._count

    # ---- arguments ------------------------------------------------------------------------
    def _find(self, args: Any, kwargs: Any) -> tuple[ConcreteFunction, list[Any]]:
        try:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            arguments = bound.arguments
            if self._constraints is not None:
                arguments = self._constraints.conform(arguments)
        except TypeError as error:
            raise binding_error(error, args, kwargs, self._signature, self._constraints) from None
        leaves = leaves_of(arguments)
        # what is no plain tensor costs more
        others = [x for x in leaves if type(x) is not EagerTensor]
        key = tuple([
            (x._array.dtype.num, x._array.shape) if type(x) is EagerTensor else key_of(x)
            for x in leaves
        ]) + (structure_of(arguments), context_key())  # fmt: skip
        numbers: dict[int, int] = {}
        if others and [x for x in others if isinstance(x, VARIABLES)]:
            numbers = alias_numbers(leaves)
            key += (tuple(numbers.values()),)
        names = names_of_specs(leaves) if others and self._known is not None else ()
        full = (*key, names) if names else key
        with self._lock:
            found = self._traces.get(full)
            if found is None:
                found = self._reused.get(full)
            if found is None:
                context = key[len(leaves) :]
                found = self._find_other(full, context, names, bound, arguments, leaves)
        return found, given_values(leaves, numbers) if others else leaves

    def _find_other(
        self, key: Any, context: Any, spec_names: Any, bound: Any, arguments: Any, leaves: list[Any]
    ) -> ConcreteFunction:
        """A trace of wider types, or a new one.

        Args:
          spec_names: the names of TensorSpecs among the leaves, see `names_of_specs`.
        """
        if self._known is None:
            return self._trace_new(key, bound, arguments, names_of(arguments), leaves)
        found = self._known.find(context, leaves, spec_names)
        if found is not None:
            if len(self._reused) >= MAX_TRACES:
                self._reused.clear()
            self._reused[key] = found
            return found
        given = leaves
        names = names_of(arguments)
        if self._relax:
            leaves = self._known.widened(context, leaves)
            general = nest.pack_sequence_as(dict(arguments), in_nest_order(arguments, leaves))
            arguments = ordered(arguments, general)
        found = self._trace_new(key, bound, arguments, names, leaves)
        self._known.add(context, leaves, found, spec_names)
        self._watch(key, given)
        return found

    def _watch(self, key: Any, leaves: list[Any]) -> None:
        """Forgets the trace when an object that it was made for is gone."""
        function = weakref.ref(self)

        def gone(_: Any) -> None:
            owner = function()
            if owner is not None:
                owner._forget(key)

        parts = zip(key, leaves)
        objects = [x for part, x in parts if len(part) == 2 and type(part[1]) is weakref.ref]
        if objects:
            self._watched[key] = [weakref.ref(x, gone) for x in objects]

    def _forget(self, key: Any) -> None:
        self._watched.pop(key, None)
        concrete = self._traces.pop(key, None)
        if concrete is None:
            return
        if self._known is not None:
            self._known.forget(concrete)
        # a copy: this may run wherever an object ends, while another thread adds to it
        self._reused = {k: c for k, c in [*self._reused.items()] if c is not concrete}

    def _trace_new(
        self, key: Any, bound: Any, arguments: Any, names: list[str], leaves: list[Any]
    ) -> ConcreteFunction:
        self._count += 1
        if self._count - (self._made_variables is not None) == _TRACES_BEFORE_WARNING + 1:
            _log.warning(
                "%d out of the last %d calls to %s triggered tf.function retracing. Tracing is "
                "expensive: pass tensors instead of Python objects, or use reduce_retracing=True",
                self._count, self._count, self._name,
            )  # fmt: skip
        first = self._made_variables is None
        concrete = self._trace(bound, arguments, names, leaves)
        if first and self._made_variables is None and concrete.graph.made_slots:
            self._made_variables = []  # slots of an optimizer, which are Variables in TensorFlow
        if first and self._made_variables is not None:
            # a function that makes Variables has to use them, and make none, from now on
            self._count += 1
            concrete = self._trace(bound, arguments, names, leaves)
        concrete.bound_arguments = bound_specs(arguments, leaves)
        if len(self._traces) >= MAX_TRACES:
            self._forget(next(iter(self._traces)))
        self._traces[key] = concrete
        return concrete

    def _trace(self, bound: Any, arguments: Any, names: list[str], leaves: Any) -> ConcreteFunction:
        graph = FuncGraph(self._name, state.graph)
        placeholders: list[tuple[Any, SymbolicTensor]] = []
        replaced = []
        numbers = alias_numbers(leaves)
        variables: dict[int, Any] = {}
        graph.called_anywhere = True
        with building(graph), recording(()), collecting() as made, converting(self._autograph):
            for i, (name, leaf) in enumerate(zip(names, leaves)):
                if i in numbers:
                    if numbers[i] not in variables:
                        declared: Any = variable_type(leaf)
                        value, p = variable_argument(graph, leaf, declared, valid_name(name))
                        placeholders.append((declared.numbered(numbers[i]), p))
                        graph.given[p._id] = leaf
                        variables[numbers[i]] = value
                    replaced.append(variables[numbers[i]])
                    continue
                if not is_tensor_like(leaf):
                    replaced.append(leaf)
                    continue
                spec = composite_of(leaf)
                parts = [declared_type(leaf)] if spec is None else [
                    (part.dtype, part.shape) for part in spec._component_specs  # type: ignore
                ]  # fmt: skip
                made_parts: list[SymbolicTensor] = []
                values = _values_of(leaf)
                for dtype, shape in parts:
                    p = graph.add_op(
                        source.placeholder, (), {"dtype": dtype, "shape": shape}, valid_name(name)
                    )
                    placeholders.append((spec_of(leaf), p))
                    graph.shown.names[p.op.index] = name
                    if values:
                        graph.given[p._id] = values[len(made_parts)]
                    made_parts.append(p)
                replaced.append(p if spec is None else spec._from_components(made_parts))
            rebuilt = nest.pack_sequence_as(dict(arguments), in_nest_order(arguments, replaced))
            bound = inspect.BoundArguments(self._signature, ordered(bound.arguments, rebuilt))
            kept = contents(bound.arguments)
            with origins_noted():
                result = self._traced_function()(*bound.args, **bound.kwargs)
            changed = [n for n, was in kept.items() if not unchanged(was, bound.arguments[n])]
            if changed:
                raise ValueError(
                    f"{self._name}{self._signature} should not modify its Python input arguments. "
                    "Modifying a copy is allowed. The following parameter(s) were modified: "
                    f"{', '.join(changed)}"
                )
            # a range is a sequence of numbers, as a list is
            result = unwrapped(result)
            result = nest.map_structure(lambda x: list(x) if type(x) is range else x, result)
            result = nest.map_structure(shown_output, result)
        graph.given.clear()
        made = [v for v in made if not v._was_declared]
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


def _values_of(leaf: Any) -> Sequence[Any]:
    """The tensors that a call gives for an argument; none where it is only a TypeSpec."""
    with building(None):
        values = components_of(leaf)
    return () if any(isinstance(value, TypeSpec) for value in values) else values


class _Method(Function):
    """A method of one object: what it has traced lives as long as the object, not the reverse.

    All of one object and method share everything but the reference to the object.
    """

    __slots__ = ("_instance",)
    __qualname__ = "Function"  # as it is shown
    _latest: weakref.ref[_Method]  # one that somebody holds is given again

    def __init__(self, function: Function, instance: Any, owner: Any) -> None:
        self._instance = instance
        bound = function.python_function.__get__(instance, owner)
        super().__init__(
            bound, function._name, function.input_signature, function._relax, function._autograph,
            function._jit_compile,
        )  # fmt: skip
        self._python = self.__wrapped__ = function.python_function
        self.__signature__ = self._signature

    @property
    def python_function(self) -> Callable[..., Any]:
        return self._python.__get__(self._instance, type(self._instance))


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
      input_signature: TensorSpecs; one trace then serves all calls. Parameters that have none
        keep their defaults.
      reduce_retracing: let shapes that changed once be unknown.

    Raises:
      TypeError: specs that do not fit the parameters, or arguments that do not fit the specs.
    """

    def decorate(inner: Callable[..., Any]) -> Function:
        compiled = experimental_compile if jit_compile is None else jit_compile
        return Function(inner, None, input_signature, reduce_retracing, autograph, compiled)

    return decorate if func is None else decorate(func)

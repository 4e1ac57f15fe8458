"""Functions that bring their own gradient: `tf.custom_gradient` and what is made of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, nest
from shardtape.context import building, recording, state
from shardtape.graph.func_graph import FuncGraph, inline
from shardtape.ops import source
from shardtape.ops.array import identity, zeros_like
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op, unknown
from shardtape.tape import GradientTape
from shardtape.tensor import EagerTensor, SymbolicTensor


def custom_gradient(f: Callable[..., Any] | None = None) -> Any:
    """Decorator of a function that returns its result and a function for its gradient.

    The gradient function takes the gradient of each result and returns one for each (flattened)
    positional argument. If `f` reads trainable Variables that are no arguments, it also takes
    `variables`, the list of them, and returns a pair: gradients of the arguments, list of those
    of the Variables.

    Raises (when the function is called, or its gradient is taken):
      TypeError: Variables are read and the gradient function does not take `variables`.
      ValueError: a wrong number of gradients.
    """
    if f is None:
        return custom_gradient
    return _CustomGradient(f)


class _CustomGradient:
    """What the decorator gives; of a method it gives one bound to the instance."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self._function = f

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _CustomGradient(self._function.__get__(instance))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.graph is not None:
            args = nest.map_structure(convert_to_tensor, args)
        with _VariablesRead() as read:
            result, gradient = self._function(*args, **kwargs)
        if not callable(gradient):
            name = getattr(self._function, "__name__", "the function")
            raise TypeError(
                f"@tf.custom_gradient: {name} must return its result and a function for the "
                f"gradient, got {gradient!r} as the function"
            )
        given = nest.flatten(args)
        variables = [v for v in read.variables if all(v is not x for x in given)]
        if variables and not _takes_variables(gradient):
            raise TypeError(
                "@tf.custom_gradient grad_fn must accept keyword argument 'variables', since "
                f"function uses variables: {variables}"
            )
        results = [convert_to_tensor(x) for x in nest.flatten(result)]
        inputs = [convert_to_tensor(x) for x in [*given, *variables]]
        name = getattr(self._function, "__name__", "custom_gradient")
        call = _Call(gradient, len(given), variables)
        graph = state.graph
        if graph is None:
            graph = next((t.graph for t in results if type(t) is SymbolicTensor), None)
        outputs: Sequence[Any]
        if graph is None:
            outputs = [EagerTensor(t._array) for t in results]  # type: ignore[attr-defined]
            _show_tapes(_recorded_call(name, call), inputs, outputs)
        else:
            call.home = graph
            made = identity_op(call, len(results))
            with recording(()):
                outputs = graph.add_op(made, [*results, *inputs], {}, "IdentityN")
            _show_tapes(made, [*results, *inputs], outputs)
        return nest.pack_sequence_as(result, list(outputs))


class _VariablesRead:
    """A recorder of the trainable Variables that are read in a block, each once."""

    def __enter__(self) -> _VariablesRead:
        self.variables: list[Any] = []
        self._recording = recording((*state.recorders, self))
        self._recording.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._recording.__exit__(*exc)

    def record(self, op: Any, inputs: Any, attrs: Any, outputs: Any) -> None:
        pass

    def read(self, variable: Any) -> None:
        if variable.trainable and all(variable is not v for v in self.variables):
            self.variables.append(variable)


def _takes_variables(gradient: Callable[..., Any]) -> bool:
    parameters = inspect.signature(gradient).parameters
    return "variables" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


class _Call:
    """The gradient of one call, with respect to its arguments and then its Variables."""

    home: Any = None  # the graph that the call is in, whose inputs its Variables may be

    def __init__(self, gradient: Callable[..., Any], count: int, variables: list[Any]) -> None:
        self._gradient, self._count, self._variables = gradient, count, variables

    def __call__(self, grads: Sequence[Any], results: Sequence[Any]) -> list[Any]:
        grads = [zeros_like(y) if g is None else g for g, y in zip(grads, results)]
        by_variable: list[Any] = []
        if self._variables:
            by_argument, by_variable = self._gradient(*grads, variables=self._variables)
            if len(by_variable) != len(self._variables):
                raise ValueError(
                    "Must return gradient for each variable from @custom_gradient grad_fn."
                )
        else:
            by_argument = self._gradient(*grads)
        flat = nest.flatten(by_argument)
        if len(flat) != self._count:
            raise ValueError(
                f"custom_gradient function expected to return {self._count} gradients, but "
                f"returned {len(flat)} instead."
            )
        return [*flat, *by_variable]


def _never(xp: Any, *inputs: Any) -> Any:
    raise errors.InternalError("a function with a gradient of its own is recorded, not applied")


_RECORDED = Op(_never, "CustomGradient", shape=unknown, dtypes=dt.ANY, mixed=True, outputs=-1)


def _recorded_call(name: str, call: Any) -> Op:
    """The op of a call that ran eagerly, as tapes keep it."""
    made = object.__new__(Op)
    made.__dict__.update(_RECORDED.__dict__)
    made.name = name
    made.registered_gradient = lambda op, grads, outputs, inputs, attrs: call(grads, outputs)
    return made


def _show_tapes(op: Op, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    for recorder in state.recorders:
        recorder.record(op, tuple(inputs), {}, tuple(outputs))


# ---- in graphs --------------------------------------------------------------------------------
def identity_op(call: Any, count: int) -> Op:
    """The op of a node that hands on the first `count` of its inputs, the call's results.

    The others are the call's arguments and Variables; they get the gradients.
    """

    def kernel(xp: Any, *inputs: Any) -> Any:
        return inputs[:count]

    def gradient(op: Op, grads: Any, outputs: Any, inputs: Any, attrs: Any) -> Sequence[Any]:
        return [*[None] * count, *call(grads, outputs)]

    made = Op(
        kernel, "IdentityN", shape=lambda *args: [a.shape for a in args[:count]],
        dtype=lambda dtypes, attrs: tuple(dtypes[:count]), dtypes=dt.ANY, mixed=True, outputs=-1,
        may_view=True, widen=False,
    )  # fmt: skip
    made.registered_gradient = gradient
    made.custom = (call, count)  # what saving writes
    made.relocate = lambda copies: identity_op(_Relocated(call, copies), count)
    return made


class _Relocated:
    """The gradient of a call whose node was copied into another graph.

    The gradient function refers to tensors of the graph that it was made in, so it is traced
    there, and the trace is copied.

    Args:
      copies: tensors of the other graph by the key of those that they are copies of.
    """

    def __init__(self, call: Any, copies: dict[int, Any]) -> None:
        self._call, self._copies = call, copies

    def __call__(self, grads: Sequence[Any], results: Sequence[Any]) -> list[Any]:
        target = state.graph
        graph, places, flat = traced_gradient(self._call, results, target)
        given = dict(zip([p._id for p in places], _filled(grads, results)))
        for outer, place in graph.captures:
            given[place._id] = self._here(target, outer)
        made = iter(inline(target, [g for g in flat if g is not None], (), given, graph.name))
        return [None if g is None else next(made) for g in flat]

    def _here(self, target: Any, tensor: Any) -> Any:
        """The copy of a tensor; it is made now if the copied nodes did not need it."""
        if type(tensor) is EagerTensor or tensor.graph is target:
            return tensor
        if tensor._id not in self._copies:
            got = inline(target, [tensor], (), self._copies, "custom_gradient")
            self._copies[tensor._id] = got[0]
        return self._copies[tensor._id]


def traced_gradient(call: Any, results: Sequence[Any], outer: Any) -> tuple[Any, Any, Any]:
    """(graph, inputs, outputs) of the gradient of a call; an output is None where it is none.

    Args:
      call: what the call's op holds.
      results: the call's results; one input stands for the gradient of each.
      outer: the graph around it.
    """
    graph = FuncGraph("custom_gradient", outer)
    graph.takes_any, graph.home = True, getattr(call, "home", None)
    with building(graph), recording(()):
        places = [
            graph.add_op(source.placeholder, (), {"dtype": y.dtype, "shape": y.shape})
            for y in results
        ]
        got = call(places, results)
        flat = [None if g is None else graph.capture(convert_to_tensor(g)) for g in got]
    return graph, places, flat


def _filled(grads: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    return [zeros_like(y) if g is None else g for g, y in zip(grads, results)]


# ---- made of it -------------------------------------------------------------------------------
def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` with the gradient of the identity."""

    @custom_gradient
    @functools.wraps(f)
    def passing(*args: Any, **kwargs: Any) -> Any:
        def gradient(*grads: Any, variables: Any = None) -> Any:
            return grads if variables is None else (grads, [None] * len(variables))

        return f(*args, **kwargs), gradient

    return passing


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` that keeps none of its values in between: its gradient computes them again."""

    @custom_gradient
    def recomputing(*args: Any, **kwargs: Any) -> Any:
        with recording(tuple(r for r in state.recorders if isinstance(r, _VariablesRead))):
            result = f(*args, **kwargs)

        def gradient(*grads: Any, variables: Any = None) -> Any:
            with GradientTape() as tape:
                again = nest.map_structure(identity, args)
                tape.watch(again)
                recomputed = f(*again, **kwargs)
            sources = [list(nest.flatten(again)), list(variables or [])]
            by_argument, by_variable = tape.gradient(recomputed, sources, list(grads))
            return by_argument if variables is None else (by_argument, by_variable)

        return result, gradient

    recomputing.__wrapped__ = f
    return recomputing

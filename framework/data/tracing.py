"""Functions of datasets: traced once, then run as plans on the leaves of each element."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.backend import random
from shardtape.context import building, converting, on_host, recording, state
from shardtape.data import structure
from shardtape.data.cursor import Leaves
from shardtape.data.run import GraphValue, Run
from shardtape.data.seeds import RunKey
from shardtape.data.structure import ElementType
from shardtape.graph.func_graph import FuncGraph, TensorSpec
from shardtape.graph.plan import Plan
from shardtape.ops import source
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import PURE, RANDOM, READS
from shardtape.source_lines import origins_noted
from shardtape.tensor import EagerTensor, SymbolicTensor
from shardtape.type_spec import TypeSpec

_debug = False


def enable_debug_mode() -> None:
    """From now on functions of datasets run as Python, element by element.

    Raises ValueError inside a graph.
    """
    global _debug
    if state.graph is not None:
        raise ValueError("debug mode can only be enabled in eager mode")
    _debug = True


class TracedFunction:
    """A function from one structure of values to another.

    Args:
      function: gets the components of a tuple as arguments of its own, anything else as one.
      input_spec: structure of TypeSpecs of what it is called with.
      name: for error texts and node names.

    Attributes:
      output: ElementType of its result.
    """

    def __init__(self, function: Callable[..., Any], input_spec: Any, name: str) -> None:
        if not callable(function):
            raise ValueError(f"`{name}` must be a callable, got {function!r}")
        self.function, self.name = function, name
        self.input = ElementType(input_spec)
        self._trace()

    def _trace(self, stored: dict[str, Any] | None = None) -> None:
        self.graph = FuncGraph(self.name, state.graph)
        if stored is not None:  # the seed is that of the process in which it was made
            self.graph.seed = stored["seed"]
        with building(self.graph), recording(()), converting(True):
            self._placeholders: list[SymbolicTensor] = []
            leaves = [self._argument(spec) for spec in self.input.specs]
            arguments = structure.pack(self.input.spec, leaves)
            with origins_noted():
                result = self._converted()(*_unpacked(arguments))
            if isinstance(result, list):
                result = tuple(result)
            self._set_outputs(structure.map_structure(self._as_output, result))
        self.debug = _debug

    def _as_output(self, value: Any) -> Any:
        if value is None or isinstance(value, SymbolicTensor):
            return value
        if isinstance(getattr(value, "_type_spec", None), TypeSpec):
            return value
        try:
            return convert_to_tensor(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"Unsupported return value from `{self.name}`: {value!r} is no tensor, nothing "
                f"that converts to one, and no structure of such ({error})"
            ) from error

    def _argument(self, spec: TypeSpec) -> Any:
        made = []
        for part in spec._component_specs:
            p = self.graph.add_op(
                source.placeholder, (), {"dtype": part.dtype, "shape": part.shape}, "args"  # type: ignore[attr-defined]
            )  # fmt: skip
            made.append(p)
        self._placeholders.extend(made)
        return spec._from_components(made)

    def _converted(self) -> Callable[..., Any]:
        from shardtape.autograph import convert_now

        return convert_now(self.function)

    def _set_outputs(self, result: Any) -> None:
        spec = structure.spec_of(result)
        self.output = ElementType(spec)
        tensors: list[SymbolicTensor] = []
        for s, value in zip(self.output.specs, structure.flatten(result)):
            tensors.extend(self.graph.capture(t) for t in s._to_components(value))
        self._outputs = tensors
        inputs = [*self._placeholders, *[p for _, p in self.graph.captures]]
        places = {p._id: i for i, p in enumerate(inputs)}
        # results that are arguments are handed on; a plan would copy them
        self._handed_on = [places.get(t._id, -1) for t in tensors]
        self._fetches = [t for t, place in zip(tensors, self._handed_on) if place < 0]
        self._effects = self.graph.effects()
        self._plan = Plan(self.graph, inputs, [*self._fetches, *self._effects])
        self._plain = self.input.plain and self.output.plain
        self._random = self.graph.random_count > 0
        # functions and loops inside may draw too: then they have effects
        self._only_draws = all(node.op_def.effects == RANDOM for node in self._effects)

    # ---- what it is -----------------------------------------------------------------------
    def parameters(self) -> Sequence[Any]:
        """The tensors of outer graphs that the function uses."""
        return [outer for outer, _ in self.graph.captures]

    @property
    def pure(self) -> bool:
        """Whether leaving out a call changes nothing."""
        return not self._effects and all(
            node.op_def.effects in (PURE, READS) or node.op_def.type == "Placeholder"
            for node in self._plan.nodes
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            "function": self.function, "input": self.input.spec, "name": self.name,
            "seed": self.graph.seed,
        }  # fmt: skip

    def __setstate__(self, stored: dict[str, Any]) -> None:
        """It is traced again where it is unpickled."""
        self.function, self.name = stored["function"], stored["name"]
        self.input = ElementType(stored["input"])
        self._trace(stored)

    # ---- running --------------------------------------------------------------------------
    def bind(self, run: Run) -> Callable[[Leaves], Leaves]:
        """A function from leaves to leaves, for one pass in one thread at a time.

        In a job what call n draws follows from the pass and n, else from TensorFlow's streams.
        """
        if self._draws and run.key is not None:
            numbered, numbers = self._bind_keyed(run, run.key), itertools.count()
            return lambda leaves: numbered(leaves, next(numbers))
        call = self._bind(run)
        if not self._draws:
            return call
        streams = run.streams

        def drawing(leaves: Leaves) -> Leaves:
            with random.using(streams):
                return call(leaves)

        return drawing

    def bind_numbered(self, run: Run) -> NumberedCalls:
        """The same for calls from several threads at a time, which bring their numbers."""
        if not self._draws:
            call = self._bind(run)
            return NumberedCalls(lambda leaves, number: call(leaves))
        if run.key is not None:
            return NumberedCalls(self._bind_keyed(run, run.key))
        call = self._bind(run)
        streams = run.numbered(self, self._fixed_draws())
        salt, first = streams.begin()

        def drawing(leaves: Leaves, number: int) -> Leaves:
            with random.using(streams.of_call(salt, first + number)):  # type: ignore[arg-type]
                return call(leaves)

        return NumberedCalls(drawing, lambda calls: streams.end(salt, first + calls))

    def _bind_keyed(self, run: Run, key: RunKey) -> Callable[[Leaves, int], Leaves]:
        call = self._bind(run)
        place = (key.job_seed, key.epoch, *run.next_place())

        def keyed(leaves: Leaves, number: int) -> Leaves:
            with random.call_key(*place, number):
                return call(leaves)

        return keyed

    @property
    def _draws(self) -> bool:
        return bool(self._effects) or self.debug

    @property
    def only_draws(self) -> bool:
        """Whether random numbers are its only effects."""
        return self._only_draws and not self.debug

    def _fixed_draws(self) -> frozenset[int]:
        """Streams of the random ops that draw the same amount once in every call."""
        known = {}
        counts: Counter[int] = Counter()
        for node in self.graph._operations:
            stream = node.attrs.get("_stream_id")
            if stream is not None:
                counts[stream] += 1
                known[stream] = all(t.shape.is_fully_defined() for t in node.outputs)
        return frozenset(s for s, fixed in known.items() if fixed and counts[s] == 1)

    def _bind(self, run: Run) -> Callable[[Leaves], Leaves]:
        if self.debug and self._can_debug():
            return self._run_python
        captured = [run.value(t) for t in self.parameters()]
        call = self._bind_arrays(captured)
        return call if self._plain else self._with_composites(call)

    def _bind_arrays(self, captured: list[Any]) -> Callable[[Leaves], Leaves]:
        plan_run, places, count = self._plan.run, self._handed_on, len(self._fetches)
        nothing_to_run = not count and not self._effects
        only_fetches = all(place < 0 for place in places)

        def call(leaves: Leaves) -> Leaves:
            feeds = [*leaves, *captured]
            if nothing_to_run:
                got: Any = []
            elif backend.accelerated:  # input pipelines run on the host
                with on_host():
                    got = plan_run(feeds)
            else:
                got = plan_run(feeds)
            if only_fetches:
                return tuple(got[:count])
            rest = iter(got)
            return tuple([feeds[place] if place >= 0 else next(rest) for place in places])

        return call

    def _with_composites(self, call: Callable[[Leaves], Leaves]) -> Callable[[Leaves], Leaves]:
        inputs, outputs = self.input.specs, self.output.specs
        counts = [len(s._component_specs) for s in outputs]

        def wrapped(leaves: Leaves) -> Leaves:
            arrays: list[Any] = []
            for spec, leaf in zip(inputs, leaves):
                arrays.extend(component_arrays(spec, leaf))
            rest = iter(call(tuple(arrays)))
            return tuple(
                [leaf_of_arrays(s, [next(rest) for _ in range(n)]) for s, n in zip(outputs, counts)]
            )

        return wrapped

    # ---- debug mode -----------------------------------------------------------------------
    def _can_debug(self) -> bool:
        return not any(type(t) is SymbolicTensor for t in self.parameters())

    def _run_python(self, leaves: Leaves) -> Leaves:
        with building(None):
            result = self.function(*_unpacked(self.input.wrap(leaves)))
            if isinstance(result, list):
                result = tuple(result)
            return self.output.unwrap(structure.normalize(result))


class NumberedCalls:
    """A function of leaves and the number of the call; see `TracedFunction.bind_numbered`.

    Args:
      end: is told the number of calls at the end of a pass.
    """

    def __init__(
        self,
        call: Callable[[Leaves, int], Leaves],
        end: Callable[[int], None] = lambda calls: None,
    ) -> None:
        self.call, self.end = call, end


def _unpacked(arguments: Any) -> tuple[Any, ...]:
    return arguments if type(arguments) is tuple else (arguments,)


def component_arrays(spec: TypeSpec, leaf: Any) -> Sequence[Any]:
    """The arrays that a leaf is made of."""
    if isinstance(spec, TensorSpec) or isinstance(leaf, GraphValue):
        return (leaf,)
    return [t._host() for t in spec._to_components(leaf)]


def leaf_of_arrays(spec: TypeSpec, arrays: Sequence[Any]) -> Any:
    """The leaf that is made of these arrays."""
    if isinstance(spec, TensorSpec) or (len(arrays) == 1 and isinstance(arrays[0], GraphValue)):
        return arrays[0]
    return spec._from_components([EagerTensor(a) for a in arrays])


def as_int64(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its result cast to int64."""
    from shardtape.autograph import convert_in_graph
    from shardtape.ops.cast import cast

    def cast_result(*arguments: Any) -> Any:
        return cast(convert_in_graph(function)(*arguments), dt.int64)

    return cast_result


def true(leaves: Leaves) -> bool:
    """The result of a predicate."""
    return bool(leaves[0])


def check_scalar(traced: TracedFunction, dtype: Any, what: str) -> None:
    """Raises ValueError unless the function returns a scalar of this dtype."""
    spec = traced.output.spec
    good = isinstance(spec, TensorSpec) and spec.dtype is dtype and spec.shape.rank in (0, None)
    if not good:
        raise ValueError(
            f"Invalid `{what}`. `{what}` must return a scalar of type {dtype.name}, but it "
            f"returns {traced.output.spec}."
        )

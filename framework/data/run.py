"""One iteration over a dataset: what its parts share, and values of symbolic parameters.

A dataset that is made inside a traced function may have symbolic tensors as parameters. It is then
a template; `BoundDataset` gives it the values of one run of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.backend import random
from shardtape.data.seeds import KeyedStreams, RunKey, SeedGenerator
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_OBJECT = np.dtype(object)
Position = tuple[tuple[int, int], int]  # of a generator of seeds: its two seeds, words drawn


class GraphValue:
    """Base of values that travel in plans as tensors of type variant: they look like scalars."""

    __slots__ = ()
    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1
    dtype = _OBJECT

    def get(self) -> GraphValue:
        """Where device arrays give their host copy, it gives itself."""
        return self


class BoundDataset(GraphValue):
    """A dataset with the values of its symbolic parameters.

    Args:
      dataset: the dataset or template.
      values: arrays by the key of the symbolic tensor.
    """

    __slots__ = ("dataset", "values", "shared")

    def __init__(self, dataset: Any, values: Mapping[int, Any]) -> None:
        self.dataset, self.values = dataset, values
        # state of the nodes of a template: what was made by one run of the graph shares it
        self.shared: dict[int, tuple[Any, Any]] = {}


class Run:
    """What the cursors of one iteration share.

    Args:
      key: makes all randomness follow from a job's seed and an epoch, and everything parallel
        deterministic; None: TensorFlow's rules.
      deterministic: what the options of the dataset say; None: not said.

    Attributes:
      values: of symbolic parameters by key.
      streams: of random ops in functions; they live as long as the iteration.
    """

    def __init__(self, key: RunKey | None = None, deterministic: bool | None = None) -> None:
        self.key = key
        self.deterministic = deterministic
        self.streams = random.Streams(resets=False) if key is None else KeyedStreams(key)
        self.values: Mapping[int, Any] = {}
        # (seeds, words drawn) of shuffles by node: at their first use here, or to be restored
        self._began: dict[int, Position] = {}
        self._restored: dict[int, Position] = {}
        # state of nodes by id, with the node, so that the id stays taken: of datasets that were
        # made eagerly, and of templates that one run of a graph made
        self._of_run: dict[int, tuple[Any, Any]] = {}
        self._of_bound: dict[int, tuple[Any, Any]] = {}
        self._nested = False

    def inside(self, bound: BoundDataset) -> Run:
        """The run of a dataset in an element, or of one made by a function."""
        inner = object.__new__(Run)
        inner.__dict__.update(self.__dict__)
        inner._nested = True
        inner._of_bound = bound.shared
        if bound.values:
            inner.values = {**self.values, **bound.values}
        return inner

    def frozen(self) -> Run:
        """The run of what is computed once for all epochs of a job."""
        if self.key is None or self.key.epoch == 0:
            return self
        inner = object.__new__(Run)
        inner.__dict__.update(self.__dict__)
        inner.key = RunKey(self.key.job_seed, 0)
        inner.streams, inner._of_run = KeyedStreams(inner.key), {}
        return inner

    def shared(self, node: Any, make: Callable[[], Any]) -> Any:
        """What all iterations over a node have in common, made when it is first needed."""
        place = self._of_bound if node.is_template else self._of_run
        found = place.get(id(node))
        if found is None:
            found = place[id(node)] = (node, make())
        return found[1]

    def value(self, tensor: Any) -> Any:
        """The host array of a parameter: eager, or symbolic with a value in this run."""
        if type(tensor) is EagerTensor:
            return tensor._host()
        found = self.values.get(tensor._id)
        if found is None:
            raise errors.FailedPreconditionError(
                f"the dataset was made inside a graph and depends on {tensor!r}, which has no "
                "value here: iterate over it inside the function that makes it"
            )
        return found

    def number(self, parameter: Any) -> int:
        """A scalar integer parameter."""
        if type(parameter) is int:
            return parameter
        return int(self.value(parameter))

    def generator(self, node: Any) -> SeedGenerator:
        """Where a shuffle takes the seeds of its next pass from."""
        return self.shared(node, lambda: self._begin(node))

    def _begin(self, node: Any) -> SeedGenerator:
        found = self._new_generator(node)
        self._began.setdefault(id(node), (found.seeds, found.drawn))
        return found

    def _new_generator(self, node: Any) -> SeedGenerator:
        if id(node) in self._restored:
            seeds, drawn = self._restored[id(node)]
            made = SeedGenerator(seeds, node.fixed)
            made.drawn = drawn
            return made
        if self.key is None:
            return node.own_generator or SeedGenerator(node.seeds, node.fixed)
        seeds = self.key.seeds() if node.seeds == (0, 0) else node.seeds
        made = SeedGenerator(seeds, node.fixed)
        made.drawn = 2 * self.key.epoch
        return made

    def positions(self, dataset: Any) -> list[Position]:
        """Where the generators of a dataset's shuffles were when this run first used them."""
        found = []
        for node in _seeded(dataset):
            own = node.own_generator
            found.append(self._began.get(id(node), (own.seeds, own.drawn)))
        return found

    def restore(self, dataset: Any, positions: Iterable[Any]) -> None:
        """Begins where another run over the same dataset began: it gives the same elements."""
        self._restored = {
            id(node): ((int(a), int(b)), int(drawn))
            for node, ((a, b), drawn) in zip(_seeded(dataset), positions)
        }


def _nodes(dataset: Any) -> list[Any]:
    """A dataset and all that it reads, each once, in a fixed order."""
    found: dict[int, Any] = {}
    waiting = [dataset]
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting.extend(node._inputs())
    return list(found.values())


def _seeded(dataset: Any) -> list[Any]:
    return [n for n in _nodes(dataset) if getattr(n, "own_generator", None) is not None]


def symbols_of(dataset: Any) -> list[SymbolicTensor]:
    """The symbolic tensors that a dataset depends on, each once, in a fixed order."""
    found: dict[int, SymbolicTensor] = {}
    for node in _nodes(dataset):
        for t in node._parameters():
            if type(t) is SymbolicTensor:
                found.setdefault(t._id, t)
    return list(found.values())


def scalar(value: Any, name: str) -> Any:
    """A scalar integer parameter: an int, or a symbolic tensor.

    Raises TypeError or ValueError naming the parameter.
    """
    if type(value) is int:
        return value
    if isinstance(value, SymbolicTensor) or (
        hasattr(value, "_as_tensor") and not isinstance(value, Tensor)
    ):
        from shardtape.ops.convert import convert_to_tensor

        tensor = convert_to_tensor(value)
        if not tensor.dtype.is_integer:
            raise TypeError(f"`{name}` must be an integer, got {tensor.dtype.name}")
        return tensor if type(tensor) is SymbolicTensor else int(tensor)
    if isinstance(value, (float, str, bytes)) or value is None:
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    try:
        return int(value.__index__()) if hasattr(value, "__index__") else int(value)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be a scalar integer, got {value!r}") from None

"""One iteration over a dataset: what its parts share, and values of symbolic parameters.

A dataset that is made inside a traced function may have symbolic tensors as parameters. It is then
a template; `BoundDataset` gives it the values of one run of the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.backend import random
from shardtape.data.seeds import NumberedStreams, RunKey, SeedGenerator
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

    With a key each cursor, function and nested dataset has a place (`path`, `base`) in the tree
    of what was opened by what. A parent is driven by one thread at a time, so that places do not
    depend on how threads take turns.

    Args:
      key: makes all randomness follow from a job's seed and an epoch, and everything parallel
        deterministic; None: TensorFlow's rules.
      deterministic: what the options of the dataset say; None: not said.
      root: the dataset that is iterated over; needed with a key.

    Attributes:
      values: of symbolic parameters by key.
      streams: of random ops in functions; they live as long as the iteration.
      late: shuffles take their seeds with their first element.
    """

    def __init__(
        self, key: RunKey | None = None, deterministic: bool | None = None, root: Any = None
    ) -> None:
        self.key = key
        self.late = False
        self.deterministic = deterministic
        self.streams = random.Streams(resets=False)
        self.values: Mapping[int, Any] = {}
        self._numbered: dict[int, tuple[Any, NumberedStreams]] = {}
        # (seeds, words drawn) of shuffles by node: at their first use here, or to be restored
        self._began: dict[int, Position] = {}
        self._restored: dict[int, Position] = {}
        # state of nodes by id, with the node, so that the id stays taken: of datasets that were
        # made eagerly, and of templates that one run of a graph made
        self._of_run: dict[int, tuple[Any, Any]] = {}
        self._of_bound: dict[int, tuple[Any, Any]] = {}
        # places: of this cursor; of the dataset `root` that it is part of; how often that one was
        # made before
        self._path: tuple[int, ...] = ()
        self._base: tuple[int, ...] = ()
        self._root, self._turn = root, 0
        self._opened = 0
        self._maps: dict[int, tuple[Any, dict[int, tuple[int, bool]]]] = {}

    def _copy(self) -> Run:
        inner = object.__new__(Run)
        inner.__dict__.update(self.__dict__)
        return inner

    def later(self) -> Run:
        """The run of what is read with the first element that is asked for."""
        if self.key is not None or self.late:
            return self
        inner = self._copy()
        inner.late = True
        return inner

    # ---- places ---------------------------------------------------------------------------
    def next_place(self) -> tuple[int, ...]:
        """The place of what this cursor opens next."""
        self._opened += 1
        return (*self._path, self._opened)

    def child(self) -> Run:
        """The run of a cursor that this one opens."""
        if self.key is None:
            return self
        inner = self._copy()
        inner._path, inner._opened = self.next_place(), 0
        return inner

    def inside(self, bound: BoundDataset, number: int = 0) -> Run:
        """The run of a dataset in an element, or of one made by call `number` of a function."""
        inner = self._within(bound)
        if self.key is not None:
            inner._path = inner._base = self.next_place()
            inner._root, inner._turn, inner._opened = bound.dataset, number, 0
            # threads may read one dataset inside of several elements
            inner._of_run = {}
        return inner

    def through(self, node: Any, bound: BoundDataset) -> Run:
        """The run of the dataset that `node`, which is part of this run's, stands for."""
        inner = self._within(bound)
        if self.key is not None:
            inner._base = (*self._base, -2, self._place_of(node)[0])
            inner._root = bound.dataset
        return inner

    def _within(self, bound: BoundDataset) -> Run:
        inner = self._copy()
        inner._of_bound = bound.shared
        if bound.values:
            inner.values = {**self.values, **bound.values}
        return inner

    def frozen(self, node: Any) -> Run:
        """The run of what `node` computes once for all epochs of a job."""
        if self.key is None:
            return self
        inner = self._copy()
        inner.key = RunKey(self.key.job_seed, 0)
        inner._path = inner._base = (*self._base, -1, self._place_of(node)[0])
        inner._opened, inner._of_run = 0, {}
        return inner

    def _place_of(self, node: Any) -> tuple[int, bool]:
        """(number of a node in its dataset, whether several others read it)."""
        root = self._root
        found = self._maps.get(id(root))
        if found is None:
            found = self._maps[id(root)] = (root, _places(root))
        return found[1].get(id(node), (-1, False))

    def numbered(self, function: Any, fixed: frozenset[Any]) -> NumberedStreams:
        """The streams of a function that several threads call."""
        found = self._numbered.get(id(function))
        if found is None:
            found = self._numbered[id(function)] = (function, NumberedStreams(fixed))
        return found[1]

    # ---- state of nodes -------------------------------------------------------------------
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

    def next_seeds(self, node: Any) -> tuple[int, int]:
        """The seeds of the next pass of a shuffle."""
        if self.key is not None and not node.fixed:
            number, several = self._place_of(node)
            if several:  # which may be read by several threads
                return self.key.seeds(*node.seeds, self.key.epoch, number, *self.next_place())
        return self.shared(node, lambda: self._begin(node)).next()

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
        passes, seeds = self.key.epoch, node.seeds
        if not node.is_template:
            passes += self._turn
        if seeds == (0, 0):
            base = () if node.fixed and not node.is_template else self._base
            seeds = self.key.seeds(*base, self._place_of(node)[0])
        made = SeedGenerator(seeds, node.fixed)
        made.drawn = 2 * passes
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


def _places(dataset: Any) -> dict[int, tuple[int, bool]]:
    nodes = _nodes(dataset)
    readers = Counter(id(i) for node in nodes for i in node._inputs())
    return {id(node): (number, readers[id(node)] > 1) for number, node in enumerate(nodes)}


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
    if value is None:
        raise ValueError(f"`{name}` must be an integer, got None")
    if isinstance(value, (float, str, bytes)):
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    try:
        return int(value.__index__()) if hasattr(value, "__index__") else int(value)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be a scalar integer, got {value!r}") from None

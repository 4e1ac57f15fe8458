"""The step of a worker: the model traced once into a graph, its plan run on fed batches.

`model()` runs once per trace. Either it makes placeholders and returns `tf.Step(loss, ...)`, or it
returns a function of a batch, which is traced on placeholders that are made from the data.
One trace is for training (with the gradients of all trainable Variables), a second one, made when
it is first needed, for evaluation; both read the same parameters.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shardtape import backend, errors
from shardtape import dtypes as dt
from shardtape.autograph import convert_in_graph
from shardtape.backend.random import seeded, step_key
from shardtape.context import building, converting, training_phase
from shardtape.graph.graphdef import graph_def
from shardtape.graph.ir import Graph
from shardtape.graph.placeholders import PlaceholderSpec, check_feed, placeholder
from shardtape.graph.plan import Plan
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops.convert import convert_to_tensor
from shardtape.ps.client import Rows
from shardtape.ps.partition import VariableSpec
from shardtape.step import Step
from shardtape.tape import GradientTape
from shardtape.tensor import Tensor
from shardtape.variable import Variable
from shardtape.variable_creation import collecting

_log = logging.getLogger("shardtape.workers")


@dataclass(slots=True)
class StepResult:
    """What one run gave.

    Fields:
      loss: the batch's loss.
      gradients: by variable key, an array or `Rows`; arrays given as `out` where possible.
      metrics: scalars by name.
      updates: (key, "assign" or "add", array) for Variables that the model writes itself.
    """

    loss: float
    gradients: dict[str, Any]
    metrics: dict[str, float]
    updates: list[tuple[str, str, np.ndarray]] = field(default_factory=list)


class CompiledStep:
    """See the module's text.

    Args:
      model: function without arguments (or with `training`).
      seed: graph-level seed of the model's random ops and initial values.
      feeds: for models that return a function of a batch: (dtype, shape) by feed name, the shape
        with None for the batch.

    Raises:
      TypeError, ValueError: the model returns something else, has no scalar loss or nothing to
        train; the text says which.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        seed: int | None = None,
        feeds: Mapping[str, tuple[Any, Sequence[int | None]]] | None = None,
    ) -> None:
        self._model, self._seed, self._feeds = model, seed, feeds
        self._train = _Trace(model, seed, feeds, training=True)
        self._evaluation: _Trace | None = None
        self._arrays: Mapping[str, np.ndarray] | None = None
        self.placeholders = self._train.placeholders
        self.specs = self._train.specs
        self.keys = tuple(self._train.variables)

    def initial_values(self) -> dict[str, np.ndarray]:
        """The Variables' values as the model made them, by key."""
        made = self._train.variables.items()
        return {k: np.array(backend.to_host(v._read_array())) for k, v in made}

    def bind(self, parameters: Mapping[str, np.ndarray]) -> None:
        """From now on the Variables are these arrays; whoever fills them decides the values."""
        self._arrays = parameters
        for trace in (self._train, self._evaluation):
            if trace is not None:
                trace.bind(parameters)

    def run(
        self,
        feed: Mapping[str, Any],
        key: tuple[int, int, int, int],
        out: Mapping[str, np.ndarray] | None = None,
    ) -> StepResult:
        """Loss and gradients of one batch.

        Args:
          feed: arrays by placeholder name.
          key: (job seed, epoch, split, index): all randomness of the step follows from it.
          out: arrays by variable key in which dense gradients are wanted.

        Raises:
          InvalidArgumentError: a wrong feed, or shapes that do not fit (with the model's line).
        """
        return self._train.run(feed, key, out)

    def evaluate(self, feed: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
        """Loss and metrics of one batch, without dropout and the like."""
        if self._evaluation is None:
            self._evaluation = _Trace(self._model, self._seed, self._feeds, training=False)
            if self._evaluation.specs != self.specs:
                raise errors.FailedPreconditionError(
                    "the model makes other Variables when it is built for evaluation: "
                    f"{[s.key for s in self._evaluation.specs]} instead of {list(self.keys)}"
                )
            if self._arrays is not None:
                self._evaluation.bind(self._arrays)
            else:
                self._evaluation.bind({k: v._storage() for k, v in self._train.variables.items()})
        return self._evaluation.evaluate(feed)

    def graph_def(self) -> Any:
        """The step's graph as TensorBoard's GraphDef proto."""
        return graph_def(self._train.graph, add_shapes=True)


class _Trace:
    """One graph of the model, with its plans."""

    def __init__(self, model: Any, seed: int | None, feeds: Any, training: bool) -> None:
        self.graph = Graph()
        self.graph.seed = seed
        tape = GradientTape()
        with (
            collecting() as made, building(self.graph), training_phase(training), seeded(seed),
            converting(True),
        ):  # fmt: skip
            with tape:
                step = _call_model(model, feeds, training)
            self.variables = _by_key(made)
            self.loss, self.metrics = _check_step(step)
            self.gradients: dict[str, Any] = {}
            trained = {k: v for k, v in self.variables.items() if v.trainable and v._differentiable}
            if training:
                self.gradients = _gradients(tape, self.loss, trained)
        self.specs = tuple(
            VariableSpec(
                key, tuple(v.shape.as_list()), v.dtype.name,
                "trained" if key in trained else "aggregated",
            )
            for key, v in self.variables.items()
        )  # fmt: skip
        nodes = [n for n in self.graph.get_operations() if n.type == "Placeholder"]
        self.placeholders = {
            n.name: PlaceholderSpec(n.name, n.outputs[0].dtype, n.outputs[0].shape) for n in nodes
        }
        self._feeds = [n.outputs[0] for n in nodes]
        self._updates = _updates(self.graph, self.variables)
        flat: list[Any] = []
        self._slots: list[tuple[str, int, int | None]] = []  # key, fetch of values, of row ids
        for key, g in self.gradients.items():
            if isinstance(g, IndexedSlices):
                self._slots.append((key, len(flat) + 1, len(flat) + 2))
                flat.extend([g.values, g.indices])
            else:
                self._slots.append((key, len(flat) + 1, None))
                flat.append(g)
        metrics = list(self.metrics.values())
        self._plan = Plan(
            self.graph, self._feeds,
            [self.loss, *flat, *metrics, *[value for _, _, value in self._updates]],
        )  # fmt: skip
        self._first_metric = 1 + len(flat)
        self._forward: Plan | None = None

    def bind(self, parameters: Mapping[str, np.ndarray]) -> None:
        for key, variable in self.variables.items():
            variable.bind(parameters[key])

    def run(self, feed: Any, key: tuple[int, int, int, int], out: Any) -> StepResult:
        arrays = list(check_feed(self.placeholders, feed).values())
        targets: list[Any] | None = None
        if out is not None:
            targets = [None] * len(self._plan.fetches)
            for name, values, rows in self._slots:
                if rows is None:
                    targets[values] = out.get(name)
        with step_key(*key):
            got = [backend.to_host(v) for v in self._plan.run(arrays, targets)]
        gradients = {
            name: got[values] if rows is None else _unique_rows(got[rows], got[values])
            for name, values, rows in self._slots
        }
        first = self._first_metric
        metrics = {name: float(got[first + i]) for i, name in enumerate(self.metrics)}
        first += len(metrics)
        updates = [
            (name, kind, np.asarray(got[first + i]))
            for i, (name, kind, _) in enumerate(self._updates)
        ]
        return StepResult(float(got[0]), gradients, metrics, updates)

    def evaluate(self, feed: Any) -> tuple[float, dict[str, float]]:
        if self._forward is None:
            self._forward = Plan(self.graph, self._feeds, [self.loss, *self.metrics.values()])
        arrays = list(check_feed(self.placeholders, feed).values())
        with step_key(0, 0, 0, 0):
            got = [backend.to_host(v) for v in self._forward.run(arrays)]
        return float(got[0]), {n: float(v) for n, v in zip(self.metrics, got[1:])}


def _call_model(model: Any, feeds: Any, training: bool) -> Any:
    takes_training = "training" in inspect.signature(model).parameters
    made = model(training=training) if takes_training else model()
    if isinstance(made, (Step, Tensor)) or not callable(made):
        return made
    if hasattr(made, "call") and hasattr(type(made), "trainable_variables"):
        raise TypeError(
            f"the model function returned the Keras object {made.name!r}: call it on the "
            "placeholders, and return tf.Step(loss) with a loss of its outputs"
        )
    if feeds is None:
        raise ValueError(
            "the model returned a function of a batch, and the training data gave no batch whose "
            "feeds it could take"
        )
    if not feeds:
        raise ValueError(
            "the model returned a function of a batch, so the training data must name its feeds "
            "(train={'x': ..., 'y': ...})"
        )
    batch = {name: placeholder(dtype, shape, name) for name, (dtype, shape) in feeds.items()}
    names = list(inspect.signature(made).parameters)
    made = convert_in_graph(made)
    if len(names) == len(batch) and set(names) == set(batch):
        return made(**batch)
    if len(names) == 1:
        return made(batch)
    if len(names) == len(batch):
        return made(*batch.values())
    raise TypeError(
        f"the step function takes ({', '.join(names)}), the feeds are {list(batch)}: give it one "
        "argument for the whole batch, or one per feed"
    )


def _check_step(step: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(step, tuple) and len(step) == 2 and isinstance(step[1], Mapping):
        step = Step(*step)
    if isinstance(step, Tensor):
        step = Step(step)
    if not isinstance(step, Step):
        raise TypeError(
            "the model must return tf.Step(loss), a loss tensor or a function of a batch; it "
            f"returned {step!r}"
        )
    loss = convert_to_tensor(step.loss)
    if not loss.dtype.is_floating:
        raise TypeError(f"the loss must be of a floating type, it is {loss!r}")
    for name, value in {"loss": loss, **step.metrics}.items():
        rank = value.shape.rank
        if rank not in (0, None):
            raise ValueError(
                f"{name} must be a scalar, it has shape {value.shape}: reduce it, for example "
                "with tf.reduce_mean"
            )
    return loss, {name: convert_to_tensor(m) for name, m in step.metrics.items()}


def _by_key(made: Sequence[Variable]) -> dict[str, Variable]:
    """Variables by name, in the order of their creation; the graph made the names unique."""
    for v in made:
        if not v.shape.is_fully_defined():
            raise ValueError(
                f"Variable '{v.name}' has shape {v.shape}: a sharded Variable needs a known shape"
            )
        if v.dtype is dt.string:
            raise ValueError(f"Variable '{v.name}' is of strings, which cannot be sharded")
    return {v._name: v for v in made}


def _gradients(tape: GradientTape, loss: Any, trained: Mapping[str, Variable]) -> dict[str, Any]:
    from shardtape.graph.scopes import name_scope

    with name_scope("gradients"):
        grads = tape.gradient(loss, list(trained.values()))
    found = {k: g for k, g in zip(trained, grads) if g is not None}
    if not found:
        names = ", ".join(trained) or "none is trainable"
        raise ValueError(f"No gradients provided for any variable: the loss depends on none "
                         f"of the model's Variables ({names})")  # fmt: skip
    for key in trained:
        if key not in found:
            _log.warning("variable %r does not influence the loss: it stays as it is", key)
    return found


def _updates(graph: Graph, variables: Mapping[str, Variable]) -> list[tuple[str, str, Any]]:
    """What the model writes itself (moving averages): (key, kind, value) of each write."""
    kinds = {"AssignVariableOp": "assign", "AssignAddVariableOp": "add"}
    keys = {v._id: k for k, v in variables.items()}
    out = []
    for node in list(graph.get_operations()):
        if node.op_def.effects != "writes":
            continue
        variable = node.inputs[0].op.attrs["variable"]
        key = keys.get(variable._id)
        if key is None or variable.trainable:
            raise errors.UnimplementedError(
                f"the model writes '{variable.name}' in its step: under a parameter server only "
                "Variables that the model makes with trainable=False can be written"
            )
        if node.type == "AssignSubVariableOp":
            with building(graph):
                out.append((key, "add", -node.inputs[1]))
        elif node.type in kinds:
            out.append((key, kinds[node.type], node.inputs[1]))
        else:
            raise errors.UnimplementedError(f"{node.type} on '{variable.name}' in a step")
    return out


def _unique_rows(indices: np.ndarray, values: np.ndarray) -> Rows:
    """Row ids once each, the rows of one id summed."""
    flat = indices.reshape(-1)
    values = values.reshape(flat.size, *values.shape[indices.ndim :])
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if not flat.size:
        return Rows(flat.astype(np.int64), values)
    if first.size == flat.size:
        return Rows(ordered.astype(np.int64), values[order])
    return Rows(ordered[first].astype(np.int64), np.add.reduceat(values[order], first, axis=0))

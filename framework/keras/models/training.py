"""`Trainer`: compile, and what happens with one batch."""

from __future__ import annotations

from typing import Any

from shardtape import nest, optimizers
from shardtape.autograph import convert_in_graph
from shardtape.graph.function import functions_run_eagerly
from shardtape.keras.models.batches import unpack
from shardtape.keras.models.compiled import CompiledLosses, CompiledMetrics
from shardtape.keras.models.fitting import Fitting
from shardtape.keras.models.replicated_steps import ReplicatedSteps, check_scope, in_strategy
from shardtape.keras.models.step_functions import StepFunction
from shardtape.keras.models.traced_steps import TracedSteps
from shardtape.replica_context import current_strategy
from shardtape.tape import GradientTape

# words of older programs, without effect
_IGNORED = frozenset((
    "auto_scale_loss", "cloning", "distribute", "experimental_run_tf_function",
    "pss_evaluation_shards", "sample_weight_mode", "target_tensors",
))  # fmt: skip


class Trainer(Fitting):
    """The part of `Model` that trains it. Needs `trainable_variables`, `losses` and `__call__`.

    `fit` and its sisters run `train_step`, `test_step` and `predict_step`, which subclasses may
    define anew, as one traced function each: forward, backward, update and metrics.
    """

    optimizer: Any = None
    stop_training = False
    compiled_loss: CompiledLosses | None = None
    compiled_metrics: CompiledMetrics | None = None
    _made_in: Any = None  # the strategy in whose scope the model was made
    _strategy: Any = None  # the same, where it has several replicas
    _run_eagerly: bool | None = None
    _jit_compile: Any = None
    _steps: dict[str, TracedSteps] | None = None
    _compile_arguments: dict[str, Any] | None = None
    train_function: Any = None
    test_function: Any = None
    predict_function: Any = None

    @in_strategy
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool | None = None,
        steps_per_execution: int | None = None,
        jit_compile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Says how the model is trained.

        Args:
          optimizer: name or object.
          loss: name, function or Loss; a list or dict of them for several outputs.
          metrics: names, functions or Metrics; those in `weighted_metrics` take sample weights.
          loss_weights: factors of the losses of several outputs.
          run_eagerly: run Python for each batch instead of a traced step.
          steps_per_execution: batches between two calls of the callbacks.
          jit_compile: accepted for programs that pass it; there is nothing to compile.

        Raises:
          TypeError: an unknown argument.
        """
        if kwargs.get("distribute") is not None:
            raise ValueError(
                "`distribute` argument in compile is not available in TF 2.0: make the model in "
                "`with strategy.scope():`"
            )
        if kwargs.get("target_tensors") is not None:
            raise ValueError(
                "`target_tensors` argument is not supported when executing eagerly. Received: "
                f"{kwargs['target_tensors']}."
            )
        steps = kwargs.pop("experimental_steps_per_execution", None)
        steps_per_execution = steps_per_execution if steps is None else steps
        unknown = sorted(kwargs.keys() - _IGNORED)
        if unknown:
            raise TypeError(f"Invalid keyword argument(s) in `compile()`: {unknown}")
        if self._strategy is not None or current_strategy() is not None:
            check_scope(self, optimizer, metrics, weighted_metrics)
        self.optimizer = self._scaled(optimizers.get(optimizer))
        self.loss = loss
        if run_eagerly and jit_compile:
            raise ValueError("You cannot enable `run_eagerly` and `jit_compile` at the same time.")
        self._run_eagerly, self._jit_compile = run_eagerly, jit_compile
        self.steps_per_execution = steps_per_execution or 1
        self.compiled_loss = CompiledLosses(loss, loss_weights, self._known_output_names)
        self.compiled_metrics = CompiledMetrics(metrics, weighted_metrics, self._known_output_names)
        self.train_function = self.test_function = self.predict_function = None
        self.compiled = True
        self._optimizer_given = optimizer
        self._compile_arguments = {
            "optimizer": self.optimizer, "loss": loss, "metrics": metrics,
            "loss_weights": loss_weights, "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution,
        }  # fmt: skip
        self._forget_steps()

    @property
    def run_eagerly(self) -> bool:
        """Whether a batch runs Python instead of a traced step; assignable.

        Raises ValueError where it was set to False and a layer is `dynamic`.
        """
        dynamic = self.dynamic  # type: ignore[attr-defined]
        if dynamic and self._run_eagerly is False:
            raise ValueError(
                "Your model contains layers that can only be successfully run in eager execution "
                "(layers constructed with `dynamic=True`). You cannot set `run_eagerly=False`."
            )
        return bool(self._run_eagerly) or dynamic or functions_run_eagerly()

    @run_eagerly.setter
    def run_eagerly(self, value: Any) -> None:
        if bool(value) != bool(self._run_eagerly):
            self._forget_steps()
        self._run_eagerly = value

    @property
    def jit_compile(self) -> Any:
        """What `compile` was told, None before it; there is nothing to compile."""
        if self._jit_compile is None and self.compiled_loss is not None:
            return False
        return self._jit_compile

    @jit_compile.setter
    def jit_compile(self, value: Any) -> None:
        self._jit_compile = value

    @property
    def distribute_strategy(self) -> Any:
        """The strategy in whose scope the model was made, or that of this process."""
        from shardtape.distribute import get_strategy

        return get_strategy() if self._made_in is None else self._made_in

    def _scaled(self, optimizer: Any) -> Any:
        """The optimizer; of a model with a policy of float16 one that scales the loss."""
        from shardtape.keras.mixed_precision import LossScaleOptimizer

        half = self.dtype_policy.name == "mixed_float16"  # type: ignore[attr-defined]
        if half and not isinstance(optimizer, LossScaleOptimizer):
            return LossScaleOptimizer(optimizer)
        return optimizer

    @property
    def _is_compiled(self) -> bool:
        return self.compiled_loss is not None

    def _check_compiled(self) -> None:
        if self.compiled_loss is None:
            raise RuntimeError(
                "You must compile your model before training/testing. Use "
                "`model.compile(optimizer, loss)`."
            )

    def _known_output_names(self, y_pred: Any) -> list[str]:
        names = getattr(self, "output_names", None)
        flat = nest.flatten(y_pred)
        if names and len(names) == len(flat):
            return list(names)
        if isinstance(y_pred, dict):
            return sorted(y_pred)
        return [f"output_{i + 1}" for i in range(len(flat))]

    # ---- metrics ----------------------------------------------------------------------------
    @property
    def metrics(self) -> list[Any]:
        """Metrics of the losses, those of `compile`, and those that the model holds."""
        found: list[Any] = []
        if self.compiled_loss is not None and self.compiled_metrics is not None:
            found = [*self.compiled_loss.metrics, *self.compiled_metrics.metrics]
        known = {id(m) for m in found}
        own = super().metrics  # type: ignore[misc]  # of Layer, which a Model is too
        return found + [m for m in own if id(m) not in known]

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`; those of `compile` are known after the first batch, or where a
        folder or an `.h5` file was loaded."""
        return [m.name for m in self.metrics]

    def _build_compiled(self) -> None:
        """Makes the metrics of `compile` now, where the model knows its outputs."""
        outputs = self._symbolic_outputs()
        if outputs is not None and self.compiled_loss is not None:
            self.compiled_loss.build(outputs)
            self.compiled_metrics.build(outputs)  # type: ignore[union-attr]

    def _symbolic_outputs(self) -> Any:
        network = getattr(self, "_network", None)
        return None if network is None else network.outputs

    def reset_metrics(self) -> None:
        """Forgets what the metrics have gathered."""
        for metric in self.metrics:
            metric.reset_state()

    def reset_states(self) -> None:
        """Forgets the state of layers that keep one from batch to batch."""
        for layer in self.layers:  # type: ignore[attr-defined]
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
                layer.reset_states()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        out: dict[str, Any] = {}
        for metric in self.metrics:
            value = convert_in_graph(metric.result)()
            out.update(value if isinstance(value, dict) else {metric.name: value})
        return out

    # ---- one batch --------------------------------------------------------------------------
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        """The loss of a batch, penalties included; takes it into the running means.

        None for a model without losses.
        """
        self._check_compiled()
        assert self.compiled_loss is not None
        return self.compiled_loss(
            y, y_pred, sample_weight, regularization_losses=self.losses  # type: ignore[attr-defined]
        )  # fmt: skip

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
        """Takes a batch into the metrics of `compile`; returns all results by name."""
        assert self.compiled_metrics is not None
        self.compiled_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Any) -> dict[str, Any]:
        """Trains on one batch; subclasses may define another one.

        Args:
          data: x, (x, y) or (x, y, sample_weight), of tensors.

        Returns metrics by name.
        """
        x, y, sample_weight = unpack(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        if loss is None:
            raise ValueError(
                "the model has nothing to minimise: compile it with a loss, or add one with "
                "`add_loss`"
            )
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)  # type: ignore[attr-defined]
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluates one batch; returns metrics by name."""
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        self.compute_loss(x, y, y_pred, sample_weight)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The predictions of one batch."""
        x, _, _ = unpack(data)
        return self(x, training=False)  # type: ignore[operator]

    # ---- traced steps -----------------------------------------------------------------------
    def _step_function(self, name: str) -> TracedSteps:
        """The traced form of `train_step`, `test_step` or `predict_step`."""
        if self._steps is None:
            self._steps = {}
        found = self._steps.get(name)
        if found is None:
            step, eager = getattr(self, name), self.run_eagerly
            if self._strategy is None:
                found = TracedSteps(step, eager)
            else:
                found = ReplicatedSteps(self._strategy, step, eager, name == "predict_step")
            self._steps[name] = found
        return found

    def _forget_steps(self) -> None:
        """What was traced is of no use any more: layers or the optimizer are others."""
        self._steps = None

    def make_train_function(self, force: bool = False) -> Any:
        """`train_function`, which `fit` calls: a function of an iterator over batches.

        Subclasses may make another one, also for the two kinds below.
        """
        return self._made_function("train", force)

    def make_test_function(self, force: bool = False) -> Any:
        """`test_function`, which `evaluate` calls."""
        return self._made_function("test", force)

    def make_predict_function(self, force: bool = False) -> Any:
        """`predict_function`, which `predict` calls."""
        return self._made_function("predict", force)

    def _made_function(self, kind: str, force: bool) -> Any:
        if force:
            self._forget_steps()
        if force or getattr(self, f"{kind}_function") is None:
            setattr(self, f"{kind}_function", StepFunction(self, f"{kind}_step"))
        return getattr(self, f"{kind}_function")

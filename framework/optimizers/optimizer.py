"""What the Keras-named optimizers share: they hold an update rule and run it on Variables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from shardtape.backend import array_module
from shardtape.context import state
from shardtape.optimizers import custom, graph_op, replicated
from shardtape.optimizers.clipping import (
    global_norm,
    gradient_arrays,
    norm_factor,
    sum_duplicates,
)
from shardtape.optimizers.described import Described
from shardtape.optimizers.learning_rate import checked_rate
from shardtape.optimizers.rule import Rule
from shardtape.optimizers.schedules import LearningRateSchedule
from shardtape.replica_context import across_replicas, current_strategy, scopes
from shardtape.variable import Variable, assigned

# (row ids, values) of a sparse gradient, or the array of a dense one
Gradient = Any


class hyperparameter:
    """An attribute of an optimizer that lives in its rule."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else getattr(optimizer.rule, self._name)

    def __set__(self, optimizer: Any, value: Any) -> None:
        setattr(optimizer.rule, self._name, value)


class Optimizer(Described):
    """Base of the optimizers.

    Args (shared by all):
      learning_rate: a float, a `LearningRateSchedule`, or a callable without arguments.
      weight_decay: None, or the factor of `v -= v * weight_decay * learning_rate` before an update.
      clipnorm: bound of the norm of each variable's gradient.
      clipvalue: bound of the absolute value of each element; without effect beside another.
      global_clipnorm: bound of the norm of all gradients together. Not beside `clipnorm`.
      use_ema, ema_momentum, ema_overwrite_frequency: keep a moving average of the variables, and
        write it over them every so many steps (None: only in `finalize_variable_values`).
      loss_scale_factor: the loss was multiplied by it; gradients are divided by it.
      name: any.
      jit_compile: accepted for programs that pass it; there is nothing to compile.

    Under a parameter server the rule runs on the shards (`rule_config`); what needs all gradients
    stays with the worker (`prepare`).

    A subclass of one's own defines `update_step(gradient, variable)` in ops, and `build`, which
    makes its state with `add_variable_from_reference`; see `optimizers.custom`.
    """

    rule_class: ClassVar[type[Rule]] = custom.CustomRule  # of those that define `update_step`

    weight_decay = hyperparameter()
    clipvalue = hyperparameter()
    use_ema = hyperparameter()
    ema_momentum = hyperparameter()
    ema_overwrite_frequency = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.0,
        name: str | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        jit_compile: bool = True,
        **own: Any,
    ) -> None:
        if "decay" in own:
            raise ValueError(
                "decay is deprecated in the new Keras optimizer, please check the docstring for "
                "valid arguments, or use the legacy optimizer, e.g., "
                f"tf.keras.optimizers.legacy.{type(self).__name__}."
            )
        if own.pop("lr", None) is not None:
            warnings.warn(
                "`lr` is ignored, as Keras 2.15 ignores it: use `learning_rate`, or the legacy "
                f"optimizer tf.keras.optimizers.legacy.{type(self).__name__}.",
                stacklevel=3,
            )
        # the base of one's own optimizers takes the name first
        if isinstance(learning_rate, str) and self.rule_class is custom.CustomRule:
            learning_rate, name = 0.0, learning_rate
        if clipnorm is not None and global_clipnorm is not None:
            raise ValueError(
                "At most one of `clipnorm` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, global_clipnorm={global_clipnorm}."
            )
        if clipnorm or global_clipnorm:
            clipvalue = None  # a bound of the norm goes first in Keras, and goes alone
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(
                f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={ema_momentum}"
            )
        if (
            use_ema
            and ema_overwrite_frequency
            and (not isinstance(ema_overwrite_frequency, int) or ema_overwrite_frequency < 1)
        ):
            raise ValueError(
                "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: "
                f"ema_overwrite_frequency={ema_overwrite_frequency}"
            )
        self.name = name or type(self).__name__
        self.clipnorm = clipnorm
        self.global_clipnorm = global_clipnorm
        self.loss_scale_factor = loss_scale_factor
        self._made_in_trace = state.graph is not None
        self._callable: Any = None
        self._rate: Variable | None = None
        self._iterations: Variable | int = 0
        self._variables: list[Any] = []
        self._slots: dict[int, dict[str, Any]] = {}
        self._built_for: set[int] = set()  # not those whose slots only a checkpoint has made
        self._slot_variables: dict[tuple[int, str], Variable] = {}
        self._slot_scopes: dict[int, str] = {}  # what the names of a variable's slots start with
        self._undecayed: dict[int, str] = {}  # Variables without weight decay: by id their names
        self._added: list[Variable] = []  # by `add_variable` and its sister
        self._averages: dict[int, Variable] = {}  # of those that define `update_step`
        self._index_dict: dict[str, int] = {}
        if callable(learning_rate) and not isinstance(learning_rate, LearningRateSchedule):
            self._callable, learning_rate = learning_rate, float(learning_rate())
        self.rule = self.rule_class(
            checked_rate(learning_rate), weight_decay=weight_decay, clipvalue=clipvalue,
            use_ema=use_ema, ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency, **own,
        )  # fmt: skip
        if current_strategy() is not None:  # they are Variables of the scope, whenever used first
            _ = self.iterations
            if self._callable is None and not isinstance(
                self.rule.learning_rate, LearningRateSchedule
            ):
                _ = self.learning_rate

    # ---- updates on Variables --------------------------------------------------------------------

    def build(self, var_list: Iterable[Any]) -> None:
        """Makes the slots of variables that have none yet."""
        if scopes.replica is not None:  # the slots belong to all replicas
            with across_replicas(scopes.replica.strategy):
                return self.build(var_list)
        _ = self.iterations
        for variable in var_list:
            if variable._id in self._built_for:
                continue
            self._slots_of(variable)
            self._built_for.add(variable._id)
            self._slot_scopes.setdefault(variable._id, self._scope)
            self._index_dict.setdefault(self._var_key(variable), len(self._index_dict))
            if self.use_ema and self._updates_by_step:
                custom.average_of(self, variable)

    def _build_in_scope(self, variables: list[Any]) -> None:
        """`build` as an update does it, whose state has the optimizer's name before its names."""
        self._scope = f"{self.name}/"
        try:
            self.build(variables)
        finally:
            del self._scope

    def minimize(self, loss: Any, var_list: Any, tape: Any = None) -> None:
        """Computes gradients of `loss` and applies them; see `compute_gradients`."""
        self.apply_gradients(self.compute_gradients(loss, var_list, tape))

    def compute_gradients(
        self, loss: Any, var_list: Any, tape: Any = None, grad_loss: Any = None
    ) -> list[Any]:
        """(gradient or None, variable) pairs.

        Args:
          loss: a callable without arguments, or a Tensor that `tape` has recorded.
          var_list: Variables, or a callable that returns them.
          grad_loss: what the gradients are multiplied by, of the loss's shape.
        """
        from shardtape.tape import GradientTape

        if not callable(loss) and tape is None:
            raise ValueError(
                "`tape` is required when a `Tensor` loss is passed. "
                f"Received: loss={loss}, tape={tape}."
            )
        if callable(loss):
            tape = tape or GradientTape()
            with tape:
                if not callable(var_list):
                    tape.watch(var_list)
                loss = loss()
                if callable(var_list):
                    var_list = var_list()
        elif callable(var_list):
            var_list = var_list()
        var_list = list(var_list)
        return list(zip(tape.gradient(loss, var_list, grad_loss), var_list))

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Any, Any]],
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        **ignored: Any,
    ) -> Any:
        """Applies gradients to Variables, in place.

        Args:
          grads_and_vars: pairs; a gradient is a Tensor, an array, IndexedSlices (duplicates are
            summed), or None (skipped with a warning).
          name: accepted, without effect.
          skip_gradients_aggregation: of several replicas (`tf.distribute.MirroredStrategy`) take
            the gradients of the first; they are to be the same everywhere. Else they are summed.

        Inside a traced function or a graph this adds an operation, which updates when it runs.

        Returns: `iterations`, one higher, under the name of what was assigned to; the operation
          where a graph (not a function) is built.

        Raises:
          ValueError: no gradient at all, or a shape that does not fit.
          KeyError: a Variable that the first update and `build` were without.
          RuntimeError: in the scope of a strategy of several replicas, outside of them.
        """
        pairs = list(grads_and_vars)
        if scopes.strategies and current_strategy() is not None:
            aggregate = ignored.get("experimental_aggregate_gradients", True)
            skip = skip_gradients_aggregation or not aggregate
            return replicated.apply(self, pairs, not skip)
        return self._apply_pairs(pairs)

    def _apply_pairs(self, pairs: list[tuple[Any, Any]]) -> Any:
        """`apply_gradients` of gradients that are those of all replicas."""
        if not pairs:
            return self.iterations
        present = [(g, v) for g, v in pairs if g is not None]
        if not present:
            names = ([v.name for _, v in pairs],)
            raise ValueError(f"No gradients provided for any variable: {names}.")
        lacking = [v.name for g, v in pairs if g is None]
        if lacking:
            warnings.warn(
                f"Gradients do not exist for variables {lacking} when minimizing the loss. If "
                "you're using `model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=3,
            )
        self._new = not self._built_for
        if self._keeps_variables and not self._updates_by_step and not self._new:
            self._refuse_others([v for _, v in present])
        self._build_in_scope([v for _, v in pairs])
        if self._updates_by_step:
            return custom.apply(self, present)
        if graph_op.wanted([g for g, _ in present]):
            if self._new:
                graph_op.note_slots(state.graph)
            made = graph_op.add(self, present)
            return assigned(self.iterations, made) if hasattr(made.graph, "captures") else made
        self.run_update([(gradient_arrays(g, v), v) for g, v in present])
        return assigned(self.iterations)

    _keeps_variables = True  # the first update settles which ones; later ones bring no others

    def _refuse_others(self, variables: list[Any]) -> None:
        for variable in variables:
            if variable._id not in self._built_for:
                raise KeyError(
                    f"The optimizer cannot recognize variable {variable.name}: its first update, "
                    "or `build`, was for others. Call `optimizer.build(variables)` with all "
                    "variables before the first update, take an optimizer for each set of "
                    f"variables, or use tf.keras.optimizers.legacy.{type(self).__name__}."
                )

    def run_update(self, pairs: list[tuple[Gradient, Any]]) -> None:
        """Applies gradients that are plain arrays, now: what `apply_gradients` comes down to.

        Args:
          pairs: (array of the variable's shape or (row ids, values), Variable).
        """
        self._apply(pairs)
        if isinstance(self._iterations, int):
            self._iterations += 1
        else:
            self._iterations.assign_add(1)

    def _count_without_gradients(self, traced: Mapping[str, Any]) -> None:
        """Counts an update that got no gradients, as TensorFlow's graph does.

        Weights decay there, and of variables with gradients of rows the slots.

        Args:
          traced: attributes of the update in the graph.
        """
        rate = self._rate_of_update()
        rows = traced["sparse"]
        if len(rows) != len(self._variables):  # some have no gradients
            rows = [False] * len(self._variables)
        for v, sparse in zip(self._variables, rows):
            slots = self._slots_of(v)
            decay = self.rule_of(v).weight_decay
            if decay and not sparse:  # rows are read when they are known, and decay after that
                v.assign_sub(v * decay * rate)
            for name, factor in self.rule.decays.items() if sparse else ():
                if name in slots:
                    slots[name] -= slots[name] * (1 - factor)
        self.iterations.assign_add(1)

    def _begin_again(self) -> None:
        """Called when the state was taken over from a file of Keras's form."""

    _scope = ""  # of the names of slots that are made now
    _new = False  # whether the update that is being applied or traced has made the slots

    def traced(self, variables: int) -> Any:
        """What the operation of one trace hands to `run_traced_update`; None: `run_update`."""
        return None

    def run_traced_update(self, pairs: list[tuple[Gradient, Any]], trace: Any) -> None:
        """As `run_update`, of a trace for which `traced` gave something."""
        self.run_update(pairs)

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Keras 3's form of `apply_gradients`; without variables: those of `build`, in order."""
        grads = list(grads)
        variables = self._variables if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"got {len(grads)} gradients for {len(variables)} variables")
        self.apply_gradients(zip(grads, variables))

    def _apply(self, pairs: list[tuple[Gradient, Any]]) -> None:
        step, rate = self._step(), self._rate_of_update()
        factors = self._factors([g for g, _ in pairs])
        for (gradient, variable), factor in zip(pairs, factors):
            rule = self.rule_of(variable)
            slots = self._slots_of(variable)
            whole = None if variable._holder is None else variable._holder()
            if whole is not None:  # of several replicas: the others get the value of the first
                whole._free_mirrors()
                variable = whole.values[0]
            try:
                array = variable._storage()
                xp = array_module(array)
                if isinstance(gradient, tuple):
                    rows, values = gradient
                    if self.clipvalue:  # Keras clips the rows of repeated ids before it sums them
                        values = xp.clip(values * factor, -self.clipvalue, self.clipvalue)
                        rule, factor = rule.without_clipping(), 1.0
                    rows, values = sum_duplicates(rows, values)
                    rule.rows(xp, array, rows, values, slots, step, rate, factor)
                else:
                    rule.dense(xp, array, gradient, slots, step, rate, factor)
                if getattr(variable, "constraint", None) is not None:
                    variable.assign(variable.constraint(variable.value()))
            finally:
                if whole is not None:
                    whole._share_mirrors()

    def _factors(self, gradients: list[Gradient]) -> list[float]:
        """The scale of each gradient: loss scale and norm clipping."""
        unscale = 1.0 / self.loss_scale_factor if self.loss_scale_factor else 1.0
        arrays = [g[1] if isinstance(g, tuple) else g for g in gradients]
        if self.global_clipnorm and self.global_clipnorm > 0:
            factor = norm_factor(global_norm(arrays) * unscale, self.global_clipnorm)
            return [unscale * factor] * len(gradients)
        if self.clipnorm and self.clipnorm > 0:
            return [
                unscale * norm_factor(global_norm([array]) * unscale, self.clipnorm)
                for array in arrays
            ]
        return [unscale] * len(gradients)

    # ---- moving averages and weight decay --------------------------------------------------------

    def finalize_variable_values(self, var_list: Iterable[Any]) -> None:
        """With `use_ema`: writes the moving averages over the variables."""
        if self._updates_by_step and self.use_ema:
            custom.overwrite(self, var_list)
        elif self.use_ema:
            for variable in var_list:
                average = self._slots_of(variable)["average"]
                if variable._holder is not None:
                    variable.assign(average.copy())
                    continue
                array = variable._storage()
                array[...] = average

    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Variables, or regular expressions of names, that are not decayed. Before `build`."""
        if self._variables:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configured before the optimizer is "
                "built."
            )
        self._undecayed.clear()  # several Variables may be called the same
        for variable in var_list or ():
            self._undecayed[replicated.identity(variable)] = f"^{re.escape(variable.name)}$"
        self.rule.exclude_from_weight_decay = tuple(var_names or ())

    def rule_of(self, variable: Any) -> Rule:
        """The rule for a Variable: without weight decay for one that is excluded from it."""
        rule = self.rule.for_variable(variable.name)
        excluded = bool(self._undecayed) and replicated.identity(variable) in self._undecayed
        return rule.without_decay() if excluded else rule

    # ---- under a parameter server ----------------------------------------------------------------

    def prepare(self, gradients: Mapping[str, Any]) -> float:
        """The worker's share of an update whose rule runs on the shards.

        Clips each gradient by its own norm in place (`clipnorm`), which changes the arrays.

        Args:
          gradients: arrays, or objects with `rows` (unique) and `values`, by variable.

        Returns: the scale to send with the commit: 1 / loss scale, times the global clip factor.
          It is not finite if a norm is not: such a step is to be skipped.
        """
        arrays = [g.values if hasattr(g, "rows") else g for g in gradients.values()]
        unscale = 1.0 / self.loss_scale_factor if self.loss_scale_factor else 1.0
        if self.global_clipnorm and self.global_clipnorm > 0:
            return self._factors(arrays)[0] if arrays else unscale
        for array, factor in zip(arrays, self._factors(arrays)):
            if factor != unscale:
                xp = array_module(array)
                xp.multiply(array, factor / unscale, array)
        return unscale

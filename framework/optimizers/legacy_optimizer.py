"""The base of `tf.keras.optimizers.legacy`: `lr`, `decay`, and Keras 2.10's way to write others."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from shardtape.errors import UnimplementedError
from shardtape.graph.scopes import init_scope
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops.cast import cast
from shardtape.optimizers import custom, optimizer, replicated
from shardtape.optimizers.legacy_numbers import Numbers
from shardtape.optimizers.listing import VariableList
from shardtape.optimizers.rule import shortest
from shardtape.optimizers.schedules import InverseTimeDecay, LearningRateSchedule, serialize
from shardtape.shapes import TensorShape
from shardtape.variable import Variable

_NAMES = {
    ("Adam", "momentum"): "m", ("Adam", "velocity"): "v", ("Adam", "velocity_hat"): "vhat",
    ("Nadam", "momentum"): "m", ("Nadam", "velocity"): "v", ("Adamax", "u"): "v",
    ("RMSprop", "velocity"): "rms", ("RMSprop", "average_gradient"): "mg",
    ("Adadelta", "accumulated_grad"): "accum_grad",
    ("Adadelta", "accumulated_delta_var"): "accum_var",
}  # fmt: skip


class Optimizer(optimizer.Optimizer):
    """Base of the older optimizers, and of one's own in their manner.

    Args:
      name: of an optimizer of one's own; those of this module take it last, as a keyword.
      lr: the older word for `learning_rate`.
      decay: the rate of an update is learning_rate / (1 + decay * updates before it).
      clipnorm, clipvalue, global_clipnorm: see `tf.keras.optimizers.Optimizer`.

    A subclass sets its numbers with `_set_hyper`, makes slots in `_create_slots(var_list)` with
    `add_slot`, and updates in `_resource_apply_dense(grad, var, apply_state)` (and
    `_resource_apply_sparse(grad, var, indices)`), in ops. It runs where the model is: a job under
    a parameter server takes the optimizers of this module, not one's own.
    """

    _updating = True  # the rate of a schedule is that of the next update
    _keeps_variables = False

    @property
    def _count_name(self) -> str:  # type: ignore[override]
        return f"{self._scope}iter"

    def _rate_name(self) -> str:
        return self._numbers.scoped("learning_rate")

    def __init__(self, *args: Any, lr: Any = None, decay: float = 0.0, **kwargs: Any) -> None:
        if decay < 0:
            raise ValueError(f"decay cannot be less than 0. Received: decay={decay}.")
        self._numbers = Numbers()
        self._hyper: dict[str, Any] = {}
        self._own_slots: dict[tuple[int, str], Variable] = {}
        self._initial_decay = decay
        own = self.rule_class is custom.CustomRule
        if lr is not None and not own:
            kwargs["learning_rate"] = lr
        super().__init__(*args, **kwargs)
        self.rule.older = True
        self._numbers.rule, self._numbers.declared = self.rule, not self._made_in_trace

    @property
    def decay(self) -> Any:
        """The decay of the learning rate, a Variable; updates take what was given at first."""
        if "decay" not in self._hyper:
            self._set_hyper("decay", self._initial_decay)
        return self._get_hyper("decay")

    @property
    def learning_rate(self) -> Any:
        """A float32 Variable (assignable), or the schedule."""
        rate = self.rule.learning_rate
        return rate if isinstance(rate, LearningRateSchedule) else super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        optimizer.Optimizer.learning_rate.fset(self, value)  # type: ignore[attr-defined]

    lr = learning_rate

    # ---- numbers of one's own -------------------------------------------------------------------
    def _set_hyper(self, name: str, value: Any) -> None:
        """Sets a number (a float32 Variable from its first use), a schedule or a function."""
        if name == "learning_rate":
            if self._rate is None:
                self._take_rate(value)
            else:
                self.learning_rate = value
        elif isinstance(getattr(type(self), name, None), optimizer.hyperparameter):
            setattr(self, name, value)
        elif isinstance(self._hyper.get(name), Variable) and not callable(value):
            self._hyper[name].assign(value)
        else:
            self._hyper[name] = value

    def _get_hyper(self, name: str, dtype: Any = None) -> Any:
        """What `_set_hyper` was given, as a Variable, or a tensor of a type."""
        value = self._hyper[name] if name in self._hyper else getattr(self, name)
        if name in self._hyper and not callable(value) and not hasattr(value, "dtype"):
            value = self._scalar(value, "float32", self._numbers.scoped(name))
            self._hyper[name] = value
        if callable(value) and not isinstance(value, (LearningRateSchedule, Variable)):
            value = value()
        if dtype is None or isinstance(value, LearningRateSchedule):
            return value
        return cast(value, dtype)

    def _serialize_hyperparameter(self, name: Any) -> Any:
        """What `_set_hyper` was given under a name, fit for `get_config`."""
        if not isinstance(name, str):
            return super()._serialize_hyperparameter(name)
        value = self._get_hyper(name)
        if isinstance(value, LearningRateSchedule):
            return serialize(value)
        return shortest(value)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.__dict__.get("_hyper", {}):
            return self._get_hyper(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "decay" or name in self.__dict__.get("_hyper", {}):
            self._set_hyper(name, value)
        else:
            super().__setattr__(name, value)

    # ---- the learning rate ----------------------------------------------------------------------
    def _decayed_lr(self, var_dtype: Any) -> Any:
        """The learning rate of the next update, as a tensor of a type."""
        rate = cast(super().learning_rate, var_dtype)
        if not self._initial_decay:
            return rate
        falling = cast(self._initial_decay, var_dtype) * cast(self.iterations, var_dtype)
        return rate / (1.0 + falling)

    def _rate_of_update(self) -> float:
        rate = np.float32(self.current_learning_rate())
        if not self._initial_decay:
            return float(rate)
        decay = np.float32(self._initial_decay)
        return float(rate / (np.float32(1) + decay * np.float32(self._step())))

    def rule_config(self) -> dict[str, Any]:
        """As in the base; a decay becomes a schedule.

        Raises UnimplementedError for a decay beside a schedule, and optimizers of one's own.
        """
        self._numbers.take()
        config = super().rule_config()
        if self._initial_decay:
            if isinstance(self.rule.learning_rate, LearningRateSchedule):
                raise UnimplementedError(
                    f"{self.name}: shards take `decay` or a schedule as the learning rate, not both"
                )
            rate = self.current_learning_rate()
            falling = InverseTimeDecay(rate, 1, float(self._initial_decay))
            config["config"]["learning_rate"] = falling.config()
        return config

    # ---- updates --------------------------------------------------------------------------------
    def minimize(  # type: ignore[override]
        self, loss: Any, var_list: Any, grad_loss: Any = None, name: str | None = None,
        tape: Any = None,
    ) -> Any:  # fmt: skip
        """Computes gradients of `loss` and applies them; gives what `apply_gradients` gives.

        Args:
          grad_loss: what the gradients are multiplied by, of the loss's shape.
        """
        pairs = self.compute_gradients(loss, var_list, tape, grad_loss)
        return self.apply_gradients(pairs, name=name)

    def _apply_pairs(self, pairs: list[tuple[Any, Any]]) -> Any:
        return super()._apply_pairs(pairs) if pairs else None

    def _build_in_scope(self, variables: list[Any]) -> None:
        if self._numbers.scope is None:
            self._numbers.scope = f"{self.name}/"
        super()._build_in_scope(variables)

    def run_update(self, pairs: list[tuple[Any, Any]]) -> None:
        """As in the base, with the numbers that were assigned to their Variables."""
        self._numbers.take()
        super().run_update(pairs)

    # ---- updates of one's own -------------------------------------------------------------------
    def build(self, var_list: Any) -> None:
        """Makes the slots of variables that have none yet."""
        variables = list(var_list)
        own = variables if self._updates_by_step else []
        if self._updates_by_step:
            for name in ("learning_rate", *self._hyper):
                self._get_hyper(name)
        new = [v for v in own if v._id not in self._built_for]
        super().build(variables)
        if new:
            with init_scope():
                self._create_slots(new)

    def _create_slots(self, var_list: Any) -> None:
        """Makes the slots of one's own optimizer; nothing where it has none."""

    def add_slot(
        self, var: Any, slot_name: str, initializer: Any = "zeros", shape: Any = None
    ) -> Variable:
        """A Variable that belongs to another one, made once.

        Args:
          initializer: name, function of shape and dtype, or the value.
          shape: default that of `var`.
        """
        key = replicated.identity(var), slot_name
        if key not in self._own_slots:
            value = initializer
            if isinstance(initializer, str) or callable(initializer):
                from shardtape.keras import initializers

                sizes = var.shape if shape is None else TensorShape(shape)
                value = initializers.get(initializer)(sizes, dtype=var.dtype)
            with init_scope():
                made = Variable(
                    value, trainable=False, dtype=var.dtype,
                    name=f"{self.name}/{var.name.removesuffix(':0')}/{slot_name}",
                )  # fmt: skip
            self._own_slots[key] = made
            self._added.append(made)
        return self._own_slots[key]

    def _prepare_local(self, var_device: Any, var_dtype: Any, apply_state: Any) -> None:
        """Puts numbers that all updates share into `apply_state[device, dtype]`."""
        apply_state[var_device, var_dtype]["lr_t"] = self._decayed_lr(var_dtype)

    def update_step(self, gradient: Any, variable: Any) -> None:
        """Updates one Variable by the subclass's `_resource_apply_dense` or `_sparse`."""
        dtype = variable.dtype
        place = getattr(variable, "device", None), dtype
        apply_state: dict[Any, dict[str, Any]] = {place: {}}
        update: Any = self._resource_apply_dense
        given: tuple[Any, ...] = (gradient, variable)
        if isinstance(gradient, IndexedSlices):
            update = self._resource_apply_sparse
            given = (gradient.values, variable, gradient.indices)
        if _takes_state(getattr(update, "__func__", update)):
            self._prepare_local(*place, apply_state)
            update(*given, apply_state=apply_state)
        else:
            update(*given)

    def _resource_apply_dense(self, grad: Any, handle: Any, apply_state: Any = None) -> Any:
        """Updates `handle` by a gradient. Raises NotImplementedError: a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define `_resource_apply_dense`")

    def _resource_apply_sparse(
        self, grad: Any, handle: Any, indices: Any, apply_state: Any = None
    ) -> Any:
        """Updates the rows `indices` of `handle`; they are unique.

        Raises NotImplementedError: a subclass that meets sparse gradients defines it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `_resource_apply_sparse`: the gradient of "
            f"{handle.name} is sparse"
        )

    # ---- slots ----------------------------------------------------------------------------------
    def get_slot_names(self) -> list[str]:
        """The names of the slots of each Variable, in the order in which they are made."""
        own = {name: None for _, name in self._own_slots}
        return [*[name for _, name in self._named_slots()], *own]

    def get_slot(self, var: Any, slot_name: str) -> Any:
        """The slot of a Variable, as a Variable. Raises KeyError for an unknown name."""
        key = replicated.identity(var), slot_name
        if key in self._own_slots:
            return self._own_slots[key]
        for slot, name in self._named_slots():
            if name == slot_name:
                made = self._slots_of(var)[slot]
                return self._slot_variable(var, slot, made)
        raise KeyError(f"no slot {slot_name!r}: there are {self.get_slot_names()}")

    @property
    def weights(self) -> list[Any]:
        """`iterations`, then the slots, each for all Variables."""
        if self._updates_by_step:
            return [self.iterations, *self._added]
        updated = self.updated_variables
        names = self.get_slot_names()
        if self.rule.class_name == "Ftrl":
            slots = [self.get_slot(v, name) for v in updated for name in names]
        else:
            slots = [self.get_slot(v, name) for name in names for v in updated]
        return [self.iterations, *slots]

    @property
    def variables(self) -> Any:
        """`weights`; may be called."""
        return VariableList(self.weights)

    def _count_without_gradients(self, traced: Any) -> None:
        """These count behind the updates, which wait for gradients."""

    def get_weights(self) -> list[Any]:
        """The values of `weights`."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets `weights` from arrays. Raises ValueError where number or shapes do not fit."""
        self._set(self.weights, list(weights))

    def _slot_name(self, variable: Any, slot: str) -> str:
        named = dict(self._named_slots()).get(slot, slot)
        return f"{self.name}/{variable.name.removesuffix(':0')}/{named}"

    def _named_slots(self) -> list[tuple[str, str]]:
        """(name in the rule, name in Keras 2.10) of each slot."""
        kind = self.rule.class_name
        held = self.rule.own_slots
        return [(slot, _NAMES.get((kind, slot), slot)) for slot in held]

    # ---- configuration --------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras has them: of one's own optimizer the name and the clipping."""
        clipping = {n: getattr(self, n) for n in ("clipnorm", "clipvalue", "global_clipnorm")}
        config = {"name": self.name, **{n: v for n, v in clipping.items() if v is not None}}
        if self._updates_by_step:
            return config
        self._numbers.take()
        base = super().get_config()
        more = {n: base[n] for n, usual in _NOT_OF_KERAS.items() if base.get(n) not in usual}
        own = self.rule.own_config()
        return {
            **config, **more, "learning_rate": self._serialize_hyperparameter("learning_rate"),
            "decay": self._initial_decay,
            **{n: v for n, v in own.items() if n not in _NOT_OF_KERAS},
        }  # fmt: skip


@functools.lru_cache(maxsize=64)  # looked at for each Variable of each update
def _takes_state(update: Any) -> bool:
    return "apply_state" in inspect.signature(update).parameters


_NOT_OF_KERAS = {
    "weight_decay": (None,), "use_ema": (False,), "ema_momentum": (0.99,), "lazy": (None, False),
    "ema_overwrite_frequency": (None, 100), "loss_scale_factor": (None,),
}  # fmt: skip

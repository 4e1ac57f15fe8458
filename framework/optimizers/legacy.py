"""`tf.keras.optimizers.legacy`: the optimizers by the arguments that Keras 2.10 and before took.

They are the optimizers of today with `lr` and `decay` accepted; the values are theirs.
"""

from __future__ import annotations

from typing import Any

from shardtape.optimizers import adadelta, adagrad, adam, adamax, ftrl, nadam, rmsprop, sgd
from shardtape.optimizers.listing import VariableList
from shardtape.optimizers.optimizer import Optimizer
from shardtape.optimizers.schedules import InverseTimeDecay, LearningRateSchedule

__all__ = [
    "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop", "SGD",
]  # fmt: skip


_NAMES = {
    ("Adam", "momentum"): "m", ("Adam", "velocity"): "v", ("Adam", "velocity_hat"): "vhat",
    ("Nadam", "momentum"): "m", ("Nadam", "velocity"): "v", ("Adamax", "u"): "v",
    ("RMSprop", "velocity"): "rms", ("RMSprop", "average_gradient"): "mg",
    ("Adadelta", "accumulated_grad"): "accum_grad",
    ("Adadelta", "accumulated_delta_var"): "accum_var",
}  # fmt: skip


class _OldArguments:
    """Takes `lr` for the learning rate, and `decay`, by which it falls: rate / (1 + decay * n)."""

    def __init__(self, *args: Any, lr: Any = None, decay: float = 0.0, **kwargs: Any) -> None:
        if lr is not None:
            kwargs["learning_rate"] = lr
        super().__init__(*args, **kwargs)
        rate = self.rule.learning_rate  # type: ignore[attr-defined]
        if decay and not isinstance(rate, LearningRateSchedule):
            self.learning_rate = InverseTimeDecay(rate, 1, decay)

    def get_slot_names(self) -> list[str]:
        """The names of the slots of each Variable, in the order in which they are made."""
        return [name for _, name in self._named_slots()]

    def get_slot(self, var: Any, slot_name: str) -> Any:
        """The slot of a Variable, as a Variable. Raises KeyError for an unknown name."""
        for slot, name in self._named_slots():
            if name == slot_name:
                made = self._slots_of(var)[slot]  # type: ignore[attr-defined]
                return self._slot_variable(var, slot, made)  # type: ignore[attr-defined]
        raise KeyError(f"no slot {slot_name!r}: there are {self.get_slot_names()}")

    @property
    def weights(self) -> list[Any]:
        """`iterations`, then the slots, each for all Variables."""
        updated = self.updated_variables  # type: ignore[attr-defined]
        names = self.get_slot_names()
        if self.rule.class_name == "Ftrl":  # type: ignore[attr-defined]
            slots = [self.get_slot(v, name) for v in updated for name in names]
        else:
            slots = [self.get_slot(v, name) for name in names for v in updated]
        return [self.iterations, *slots]  # type: ignore[attr-defined]

    @property
    def variables(self) -> Any:
        """`weights`; may be called."""
        return VariableList(self.weights)

    def get_weights(self) -> list[Any]:
        """The values of `weights`."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets `weights` from arrays. Raises ValueError where number or shapes do not fit."""
        self._set(self.weights, list(weights))  # type: ignore[attr-defined]

    def _named_slots(self) -> list[tuple[str, str]]:
        """(name in the rule, name in Keras 2.10) of each slot."""
        kind = self.rule.class_name  # type: ignore[attr-defined]
        held = self.rule.own_slots  # type: ignore[attr-defined]
        return [(slot, _NAMES.get((kind, slot), slot)) for slot in held]


class Adadelta(_OldArguments, adadelta.Adadelta):
    """See `_OldArguments`."""


class Adagrad(_OldArguments, adagrad.Adagrad):
    """See `_OldArguments`."""


class Adam(_OldArguments, adam.Adam):
    """See `_OldArguments`."""


class Adamax(_OldArguments, adamax.Adamax):
    """See `_OldArguments`."""


class Ftrl(_OldArguments, ftrl.Ftrl):
    """See `_OldArguments`."""


class Nadam(_OldArguments, nadam.Nadam):
    """See `_OldArguments`."""


class RMSprop(_OldArguments, rmsprop.RMSprop):
    """See `_OldArguments`."""


class SGD(_OldArguments, sgd.SGD):
    """See `_OldArguments`."""

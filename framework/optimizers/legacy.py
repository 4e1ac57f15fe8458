"""`tf.keras.optimizers.legacy`: the optimizers by the arguments that Keras 2.10 and before took.

They are the optimizers of today with `lr` and `decay` accepted; the values are theirs.
"""

from __future__ import annotations

from typing import Any

from shardtape.optimizers import adadelta, adagrad, adam, adamax, ftrl, nadam, rmsprop, sgd
from shardtape.optimizers.optimizer import Optimizer
from shardtape.optimizers.schedules import InverseTimeDecay, LearningRateSchedule

__all__ = [
    "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop", "SGD",
]  # fmt: skip


class _OldArguments:
    """Takes `lr` for the learning rate, and `decay`, by which it falls: rate / (1 + decay * n)."""

    def __init__(self, *args: Any, lr: Any = None, decay: float = 0.0, **kwargs: Any) -> None:
        if lr is not None:
            kwargs["learning_rate"] = lr
        super().__init__(*args, **kwargs)
        rate = self.rule.learning_rate  # type: ignore[attr-defined]
        if decay and not isinstance(rate, LearningRateSchedule):
            self.learning_rate = InverseTimeDecay(rate, 1, decay)


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

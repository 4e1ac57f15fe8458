"""Adagrad: a learning rate per element, which falls with the squared gradients so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class AdagradRule(Rule):
    """accumulator += grad ** 2; param -= learning_rate * grad / sqrt(accumulator + epsilon).

    Args:
      initial_accumulator_value: >= 0.
      epsilon: inside the root, as in Keras.
      Others as in `Rule`.
    """

    class_name = "Adagrad"
    touches_only_rows = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("accumulator",)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value

    def own_config(self) -> dict[str, Any]:
        return {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        return (dtype.type(learning_rate),)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        (rate,) = f
        accumulator = slots[0]
        xp.multiply(g, g, t)
        xp.add(accumulator, t, accumulator)
        xp.add(accumulator, self.epsilon, t)
        xp.sqrt(t, t)
        xp.multiply(g, rate, u)
        xp.divide(u, t, u)
        xp.subtract(p, u, p)


class Adagrad(Optimizer):
    """Adagrad: `AdagradRule` on Variables.

    Args: those of `AdagradRule` and of `Optimizer`.
    """

    rule_class = AdagradRule
    initial_accumulator_value = hyperparameter()
    epsilon = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Adagrad",
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            initial_accumulator_value=initial_accumulator_value, epsilon=epsilon, **kwargs,
        )  # fmt: skip

"""FTRL-Proximal: follow the regularised leader."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class FtrlRule(Rule):
    """McMahan's FTRL-Proximal; the parameters follow from the slots alone.

    Args:
      learning_rate_power: <= 0; -0.5 divides by the root of the summed squares.
      initial_accumulator_value: >= 0.
      l1_regularization_strength, l2_regularization_strength: >= 0.
      l2_shrinkage_regularization_strength: >= 0, a penalty on the size alone.
      beta: Keras's beta / (2 * learning_rate), added to the L2 strength.
      Others as in `Rule`.
    """

    class_name = "Ftrl"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        not_negative = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for argument, value in not_negative.items():
            if value < 0:
                raise ValueError(
                    f"`{argument}` needs to be positive or zero. Received: {argument}={value}."
                )
        if learning_rate_power > 0:
            raise ValueError(
                "`learning_rate_power` needs to be negative or zero. Received: "
                f"learning_rate_power={learning_rate_power}."
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    @property
    def touches_only_rows(self) -> bool:  # type: ignore[override]
        return self.older

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("accumulator", "linear")

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def _power(self, xp: Any, squares: Any, out: Any) -> None:
        if self.learning_rate_power == -0.5:
            xp.sqrt(squares, out)
        else:
            xp.power(squares, -self.learning_rate_power, out)

    def own_config(self) -> dict[str, Any]:
        return {
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        rate = dtype.type(learning_rate)
        l2 = self.l2_regularization_strength + self.beta / (2.0 * float(rate))
        return rate, dtype.type(2 * l2)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        rate, twice_l2 = f
        squares, linear = slots
        l1, shrinkage = self.l1_regularization_strength, self.l2_shrinkage_regularization_strength
        self._power(xp, squares, t)
        xp.multiply(g, g, u)
        xp.add(squares, u, squares)
        self._power(xp, squares, u)
        xp.subtract(u, t, t)
        xp.divide(t, rate, t)
        xp.multiply(t, p, t)
        xp.subtract(g, t, t)
        xp.add(linear, t, linear)
        if shrinkage:
            xp.multiply(p, 2 * shrinkage, t)
            xp.add(linear, t, linear)
        xp.divide(u, rate, u)
        xp.add(u, twice_l2, u)
        xp.minimum(linear, l1, out=t)
        xp.maximum(t, -l1, out=t)
        xp.subtract(t, linear, t)
        xp.divide(t, u, p)


class Ftrl(Optimizer):
    """FTRL-Proximal: `FtrlRule` on Variables.

    Args: those of `FtrlRule` and of `Optimizer`.
    """

    rule_class = FtrlRule
    learning_rate_power = hyperparameter()
    initial_accumulator_value = hyperparameter()
    l1_regularization_strength = hyperparameter()
    l2_regularization_strength = hyperparameter()
    l2_shrinkage_regularization_strength = hyperparameter()
    beta = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Ftrl",
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            learning_rate_power=learning_rate_power,
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
            beta=beta, **kwargs,
        )  # fmt: skip

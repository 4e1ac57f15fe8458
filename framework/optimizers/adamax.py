"""Adamax: Adam with the largest gradient in place of the second moment."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class AdamaxRule(Rule):
    """u = max(beta_2 * u, |grad|); param -= learning_rate / (1 - beta_1 ** t) * m / (u + epsilon).

    Args:
      beta_1: decay of the first moment.
      beta_2: decay of the largest gradient.
      epsilon: added to the divisor.
      Others as in `Rule`.
    """

    class_name = "Adamax"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    @property
    def touches_only_rows(self) -> bool:  # type: ignore[override]
        return self.older

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("m", "u")

    @property
    def decays(self) -> dict[str, float]:
        return {"m": self.beta_1, "u": self.beta_2}

    def own_config(self) -> dict[str, Any]:
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        power = np.power(dtype.type(self.beta_1), dtype.type(step + 1))
        return dtype.type(learning_rate), dtype.type(1) - power, self.rest(self.beta_1, dtype)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        rate, correction, new_m = f
        m, largest = slots
        xp.subtract(g, m, t)
        xp.multiply(t, new_m, t)
        xp.add(m, t, m)
        xp.absolute(g, t)
        xp.multiply(largest, self.beta_2, largest)
        xp.maximum(largest, t, out=largest)
        xp.add(largest, self.epsilon, t)
        xp.multiply(t, correction, t)
        xp.multiply(m, rate, u)
        xp.divide(u, t, u)
        xp.subtract(p, u, p)


class Adamax(Optimizer):
    """Adamax: `AdamaxRule` on Variables.

    Args: those of `AdamaxRule` and of `Optimizer`.
    """

    rule_class = AdamaxRule
    beta_1 = hyperparameter()
    beta_2 = hyperparameter()
    epsilon = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Adamax",
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **kwargs,
        )  # fmt: skip

"""Lion: steps by the sign of an interpolated momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class LionRule(Rule):
    """param -= learning_rate * sign(beta_1 * m + (1 - beta_1) * grad); m follows with beta_2.

    Args:
      beta_1: in ]0, 1], share of the momentum in the step.
      beta_2: decay of the momentum.
      Others as in `Rule`.
    """

    class_name = "Lion"

    def __init__(
        self,
        learning_rate: Any = 0.0001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        if not 0 < beta_1 <= 1:
            raise ValueError(
                f"`beta_1`={beta_1} must be between ]0, 1]. Otherwise, the optimizer degenerates "
                "to SignSGD."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("momentum",)

    @property
    def decays(self) -> dict[str, float]:
        return {"momentum": self.beta_1}

    def own_config(self) -> dict[str, Any]:
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        return (dtype.type(learning_rate),)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        (rate,) = f
        (m,) = slots
        xp.multiply(m, self.beta_1, t)
        xp.multiply(g, 1 - self.beta_1, u)
        xp.add(t, u, t)
        xp.sign(t, t)
        xp.multiply(t, rate, t)
        xp.subtract(p, t, p)
        xp.multiply(m, self.beta_2, m)
        xp.multiply(g, 1 - self.beta_2, u)
        xp.add(m, u, m)


class Lion(Optimizer):
    """Lion: `LionRule` on Variables.

    Args: those of `LionRule` and of `Optimizer`.
    """

    rule_class = LionRule
    beta_1 = hyperparameter()
    beta_2 = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.0001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Lion",
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            beta_1=beta_1, beta_2=beta_2, **kwargs,
        )  # fmt: skip

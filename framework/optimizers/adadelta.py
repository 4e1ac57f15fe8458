"""Adadelta: steps of the size of the last ones, per element."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class AdadeltaRule(Rule):
    """delta = -rms(past deltas) * grad / rms(past gradients); param += learning_rate * delta.

    Args:
      rho: decay of the two moving averages of squares.
      epsilon: added under the roots.
      Others as in `Rule`.
    """

    class_name = "Adadelta"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.rho = rho
        self.epsilon = epsilon

    @property
    def touches_only_rows(self) -> bool:  # type: ignore[override]
        return self.older

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")

    @property
    def decays(self) -> dict[str, float]:
        return {"accumulated_grad": self.rho}

    def own_config(self) -> dict[str, Any]:
        return {
            "rho": self.rho,
            "epsilon": self.epsilon,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        return dtype.type(learning_rate), self.rest(self.rho, dtype)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        rate, new = f
        squares, deltas = slots
        xp.multiply(g, g, t)
        xp.multiply(t, new, t)
        xp.multiply(squares, self.rho, squares)
        xp.add(squares, t, squares)
        xp.add(deltas, self.epsilon, t)
        xp.sqrt(t, t)
        xp.multiply(t, g, t)
        xp.add(squares, self.epsilon, u)
        xp.sqrt(u, u)
        xp.divide(t, u, t)
        xp.multiply(t, t, u)
        xp.multiply(u, new, u)
        xp.multiply(deltas, self.rho, deltas)
        xp.add(deltas, u, deltas)
        xp.multiply(t, rate, t)
        xp.subtract(p, t, p)


class Adadelta(Optimizer):
    """Adadelta: `AdadeltaRule` on Variables.

    Args: those of `AdadeltaRule` and of `Optimizer`.
    """

    rule_class = AdadeltaRule
    rho = hyperparameter()
    epsilon = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Adadelta",
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            rho=rho, epsilon=epsilon, **kwargs,
        )  # fmt: skip

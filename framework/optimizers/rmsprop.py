"""RMSprop, plain, with momentum, and centered."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class RMSpropRule(Rule):
    """velocity = rho * velocity + (1 - rho) * grad ** 2; param -= rate * grad / sqrt(velocity).

    Args:
      rho: decay of the moving averages.
      momentum: 0 needs no slot.
      epsilon: added under the root; of the `older` one without momentum to the root.
      centered: subtract the square of the gradient's moving average from the velocity.
      lazy: rows without gradient keep their slots and values (Keras decays and moves them).
      Others as in `Rule`.
    """

    class_name = "RMSprop"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        lazy: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered
        self.lazy = lazy

    @property
    def touches_only_rows(self) -> bool:  # type: ignore[override]
        return self.lazy or (self.older and self.momentum > 0)

    @property
    def own_slots(self) -> tuple[str, ...]:
        names = ["velocity"]
        if self.momentum > 0:
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return tuple(names)

    @property
    def decays(self) -> dict[str, float]:
        return {"velocity": self.rho, "average_gradient": self.rho, "momentum": self.momentum}

    def own_config(self) -> dict[str, Any]:
        return {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
            "lazy": self.lazy,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        return dtype.type(learning_rate), self.rest(self.rho, dtype)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        rate, new = f
        velocity = slots[0]
        added = 0.0 if self.older and not self.momentum > 0 else self.epsilon  # under the root
        xp.multiply(velocity, self.rho, velocity)
        xp.multiply(g, g, t)
        xp.multiply(t, new, t)
        xp.add(velocity, t, velocity)
        if self.centered:
            average = slots[2] if self.momentum > 0 else slots[1]
            xp.multiply(average, self.rho, average)
            xp.multiply(g, new, t)
            xp.add(average, t, average)
            xp.multiply(average, average, t)
            xp.subtract(velocity, t, t)
            xp.add(t, added, t)
        else:
            xp.add(velocity, added, t)
        xp.sqrt(t, t)
        if not added:
            xp.add(t, self.epsilon, t)
        xp.multiply(g, rate, u)
        xp.divide(u, t, u)
        if self.momentum > 0:
            momentum = slots[1]
            xp.multiply(momentum, self.momentum, momentum)
            xp.add(momentum, u, momentum)
            xp.subtract(p, momentum, p)
        else:
            xp.subtract(p, u, p)


class RMSprop(Optimizer):
    """RMSprop, plain, with momentum, and centered: `RMSpropRule` on Variables.

    Args: those of `RMSpropRule` and of `Optimizer`.
    """

    rule_class = RMSpropRule
    rho = hyperparameter()
    momentum = hyperparameter()
    epsilon = hyperparameter()
    centered = hyperparameter()
    lazy = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = 100,
        loss_scale_factor: float | None = None,
        name: str = "RMSprop",
        jit_compile: bool = True,
        *,
        lazy: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            rho=rho, momentum=momentum, epsilon=epsilon, centered=centered, lazy=lazy, **kwargs,
        )  # fmt: skip

"""Stochastic gradient descent, with momentum and Nesterov's variant."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class SGDRule(Rule):
    """param -= learning_rate * grad; with momentum m = momentum * m - learning_rate * grad.

    Args:
      momentum: in [0, 1]; 0 needs no slot.
      nesterov: param += momentum * m - learning_rate * grad instead of param += m.
      lazy: rows without gradient keep their momentum (Keras decays it).
      Others as in `Rule`.
    """

    class_name = "SGD"

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        lazy: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        if not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be a float between [0, 1], got {momentum}.")
        self.momentum = momentum
        self.nesterov = nesterov
        self.lazy = lazy

    @property
    def touches_only_rows(self) -> bool:  # type: ignore[override]
        return self.lazy or self.older or not self.momentum

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    @property
    def decays(self) -> dict[str, float]:
        return {"momentum": self.momentum}

    def own_config(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov, "lazy": self.lazy}

    def dense(
        self,
        xp: Any,
        param: Any,
        grad: Any,
        slots: Any,
        step: int,
        learning_rate: float,
        scale: float = 1.0,
    ) -> None:
        if scale != 1.0 and not self.clipvalue and self.weight_decay is None:
            learning_rate, scale = learning_rate * scale, 1.0  # saves a pass over the gradient
        super().dense(xp, param, grad, slots, step, learning_rate, scale)

    def rows(
        self,
        xp: Any,
        param: Any,
        rows: Any,
        grad: Any,
        slots: Any,
        step: int,
        learning_rate: float,
        scale: float = 1.0,
    ) -> None:
        if scale != 1.0 and not self.clipvalue and self.weight_decay is None:
            learning_rate, scale = learning_rate * scale, 1.0  # rounds as `dense` does
        super().rows(xp, param, rows, grad, slots, step, learning_rate, scale)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        (rate,) = f
        xp.multiply(g, rate, t)
        if not self.momentum:
            xp.subtract(p, t, p)
            return
        m = slots[0]
        xp.multiply(m, self.momentum, m)
        xp.subtract(m, t, m)
        if self.nesterov:
            xp.multiply(m, self.momentum, u)
            xp.subtract(u, t, u)
            xp.add(p, u, p)
        else:
            xp.add(p, m, p)

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        return (dtype.type(learning_rate),)


class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's variant: `SGDRule` on Variables.

    Args: those of `SGDRule` and of `Optimizer`.
    """

    rule_class = SGDRule
    momentum = hyperparameter()
    nesterov = hyperparameter()
    lazy = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "SGD",
        jit_compile: bool = True,
        *,
        lazy: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            momentum=momentum, nesterov=nesterov, lazy=lazy, **kwargs,
        )  # fmt: skip

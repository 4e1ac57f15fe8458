"""Adam, and its AMSGrad variant."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule


class AdamRule(Rule):
    """Kingma and Ba's Adam, in Keras's form: epsilon is added to the uncorrected root.

    Args:
      beta_1, beta_2: decay of the first and second moment.
      epsilon: "epsilon hat" of the paper.
      amsgrad: divide by the largest second moment so far.
      lazy: rows without gradient keep their moments and values (Keras decays and moves them).
      Others as in `Rule`.
    """

    class_name = "Adam"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        lazy: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self.lazy = lazy

    @property
    def touches_only_rows(self) -> bool:  # type: ignore[override]
        return self.lazy

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else (
            "momentum", "velocity",
        )  # fmt: skip

    @property
    def decays(self) -> dict[str, float]:
        return {"momentum": self.beta_1, "velocity": self.beta_2}

    def own_config(self) -> dict[str, Any]:
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
            "lazy": self.lazy,
        }

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        # in the variable's type, as Keras does: float32's 0.999 makes 1 - beta_2 differ by 1e-5
        one, number = dtype.type(1), dtype.type(step + 1)
        power_1 = np.power(dtype.type(self.beta_1), number)
        power_2 = np.power(dtype.type(self.beta_2), number)
        alpha = dtype.type(learning_rate) * np.sqrt(one - power_2) / (one - power_1)
        return alpha, self.rest(self.beta_1, dtype), self.rest(self.beta_2, dtype)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        alpha, new_m, new_v = f
        m, v = slots[0], slots[1]
        xp.subtract(g, m, t)
        xp.multiply(t, new_m, t)
        xp.add(m, t, m)
        xp.multiply(g, g, t)
        xp.subtract(t, v, t)
        xp.multiply(t, new_v, t)
        xp.add(v, t, v)
        if self.amsgrad:
            largest = slots[2]
            xp.maximum(largest, v, out=largest)
            v = largest
        xp.sqrt(v, t)
        xp.add(t, self.epsilon, t)
        xp.multiply(m, alpha, u)
        xp.divide(u, t, u)
        xp.subtract(p, u, p)


class Adam(Optimizer):
    """Adam, with Keras's epsilon, and AMSGrad: `AdamRule` on Variables.

    Args: those of `AdamRule` and of `Optimizer`.
    """

    rule_class: ClassVar[type[Rule]] = AdamRule
    beta_1 = hyperparameter()
    beta_2 = hyperparameter()
    epsilon = hyperparameter()
    amsgrad = hyperparameter()
    lazy = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Adam",
        jit_compile: bool = True,
        *,
        lazy: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, amsgrad=amsgrad, lazy=lazy, **kwargs,
        )  # fmt: skip

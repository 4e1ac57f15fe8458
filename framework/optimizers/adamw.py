"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Any

from shardtape.optimizers.adam import Adam, AdamRule


class AdamWRule(AdamRule):
    """`AdamRule` whose weight decay is on by default.

    Args: as `AdamRule`; `weight_decay` must be a number.
    """

    class_name = "AdamW"

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float | None = 0.004, **others: Any
    ) -> None:
        if weight_decay is None:
            raise ValueError(
                "Missing value of `weight_decay` which is required and must be a float value."
            )
        super().__init__(learning_rate, weight_decay=weight_decay, **others)


class AdamW(Adam):
    """Loshchilov and Hutter's AdamW: `AdamWRule` on Variables.

    Args: those of `Adam`; `weight_decay` comes second and must be a number.
    """

    rule_class = AdamWRule

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "AdamW",
        jit_compile: bool = True,
        *,
        lazy: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue,
            global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            name, jit_compile, lazy=lazy, **kwargs,
        )  # fmt: skip

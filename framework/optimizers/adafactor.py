"""Adafactor: steps scaled by the variable's size, second moments kept as rows and columns.

Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shardtape.errors import UnimplementedError
from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule, compute_dtype

_ONLY_WHOLE = (
    "Adafactor cannot run on shards: a step needs means over whole variables, and shards hold rows "
    "of them. Train with tf.keras's fit or a GradientTape in one process, or give the job another "
    "optimizer, such as Adam"
)


class AdafactorRule(Rule):
    """param -= max(epsilon_2, rms(param)) * rate * clipped(grad / sqrt(v)).

    v is the mean of squares as the product of its means over rows and over columns (the slots "r"
    and "c"), for arrays of two and more dimensions. It works on whole variables, never on blocks.

    Args:
      beta_2_decay: the decay of the means is 1 - step ** beta_2_decay.
      epsilon_1: added to squares; epsilon_2: the least size of a variable.
      clip_threshold: bound of the root mean square of a step.
      relative_step: kept and saved. The rate is at most 1 / sqrt(step) whatever it says, and that
        of a schedule, too: so does Keras 2.15.
      Others as in `Rule`.
    """

    class_name = "Adafactor"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("r", "c", "v")

    def own_config(self) -> dict[str, Any]:
        return {
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }

    def initial(self, slot: str, param: Any) -> Any:
        """First value of a slot: "r" lacks param's last axis, "c" the one before it; both are
        empty for arrays of fewer than two dimensions."""
        if slot in ("v", "average"):
            return super().initial(slot, param)
        shape: tuple[int, ...] = (0,)
        if param.ndim >= 2:
            shape = param.shape[:-1] if slot == "r" else (*param.shape[:-2], param.shape[-1])
        zeros = param.reshape(-1)[:0].astype(compute_dtype(param.dtype))
        zeros.resize(shape, refcheck=False)
        return zeros

    def dense(
        self, xp: Any, param: Any, grad: Any, slots: Mapping[str, Any], step: int,
        learning_rate: float, scale: float = 1.0,
    ) -> None:  # fmt: skip
        if not param.size:
            return
        dtype = compute_dtype(param.dtype)
        p, g = param.astype(dtype), xp.asarray(grad).astype(dtype)
        if scale != 1.0:
            g *= dtype.type(scale)
        if self.clipvalue:
            g = xp.clip(g, -self.clipvalue, self.clipvalue)
        if self.weight_decay is not None:
            p -= p * dtype.type(self.weight_decay) * dtype.type(learning_rate)
        p -= self._step_of(xp, p, g, slots, dtype.type, step, learning_rate)
        if self.use_ema:
            average = slots["average"]
            average *= self.ema_momentum
            average += p * (1 - self.ema_momentum)
            if self.ema_overwrite_frequency and (step + 1) % self.ema_overwrite_frequency == 0:
                p = average
        param[...] = p

    def _step_of(
        self, xp: Any, p: Any, g: Any, slots: Mapping[str, Any], number: Any, step: int,
        learning_rate: float,
    ) -> Any:  # fmt: skip
        """What is subtracted; the means are updated."""
        rate, count = number(learning_rate), number(step + 1)
        rate = min(rate, number(1) / np.sqrt(count))
        decay = number(1) - count ** number(self.beta_2_decay)
        squares = g * g + number(self.epsilon_1)
        v = slots["v"]
        if p.ndim >= 2:
            r, c = slots["r"], slots["c"]
            _decayed(r, squares.mean(-1), decay)
            _decayed(c, squares.mean(-2), decay)
            v[...] = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
        else:
            _decayed(v, squares, decay)
        u = g / xp.sqrt(v)
        u /= xp.maximum(number(1), _rms(xp, u) / number(self.clip_threshold))
        return u * (xp.maximum(number(self.epsilon_2), _rms(xp, p)) * rate)

    def rows(
        self, xp: Any, param: Any, rows: Any, grad: Any, slots: Mapping[str, Any], step: int,
        learning_rate: float, scale: float = 1.0,
    ) -> None:  # fmt: skip
        dense = xp.zeros(param.shape, compute_dtype(param.dtype))
        dense[rows] = xp.asarray(grad).reshape((len(rows), *param.shape[1:]))
        self.dense(xp, param, dense, slots, step, learning_rate, scale)


def _decayed(mean: Any, value: Any, decay: Any) -> None:
    mean *= decay
    mean += value * (1 - decay)


def _rms(xp: Any, x: Any) -> Any:
    return xp.sqrt((x * x).mean())


class Adafactor(Optimizer):
    """Adafactor: `AdafactorRule` on Variables, in this process only.

    Args: those of `AdafactorRule` and of `Optimizer`.
    """

    rule_class = AdafactorRule
    beta_2_decay = hyperparameter()
    epsilon_1 = hyperparameter()
    epsilon_2 = hyperparameter()
    clip_threshold = hyperparameter()
    relative_step = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        jit_compile: bool = True,
        name: str = "Adafactor",
        loss_scale_factor: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            beta_2_decay=beta_2_decay, epsilon_1=epsilon_1, epsilon_2=epsilon_2,
            clip_threshold=clip_threshold, relative_step=relative_step, **kwargs,
        )  # fmt: skip

    def rule_config(self) -> dict[str, Any]:
        """Raises UnimplementedError: there is no rule that a shard could run."""
        raise UnimplementedError(_ONLY_WHOLE)

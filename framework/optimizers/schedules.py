"""Learning-rate schedules: functions of the number of updates so far.

They compute in float32 as Keras does, in plain numpy scalars, so that a shard can call them
without the tensor language.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
    "LearningRateSchedule", "PiecewiseConstantDecay", "PolynomialDecay", "deserialize",
    "serialize",
]  # fmt: skip

_f32 = np.float32


def _check_decay_steps(decay_steps: float) -> None:
    if decay_steps <= 0:
        raise ValueError(f"Argument `decay_steps` must be > 0. Received: decay_steps={decay_steps}")


def step_number(step: Any) -> int | float:
    """A Python number of an int, a numpy scalar, a Tensor or a Variable.

    Raises TypeError for a symbolic tensor, which has no value yet.
    """
    if isinstance(step, (int, float)):
        return step
    if hasattr(step, "numpy"):
        step = step.numpy()
    try:
        return np.asarray(step).item()
    except (TypeError, ValueError) as error:
        raise TypeError(f"a schedule needs a step with a value, got {step!r}") from error


def _host(step: Any) -> Any:
    """The numpy array of a tensor; anything else as numpy takes it."""
    return np.asarray(step.numpy() if hasattr(step, "numpy") else step)


class LearningRateSchedule:
    """Base of the schedules. A subclass overrides `__call__`, and `get_config` to be sent."""

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` updates, something that `float` takes."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def value(self, step: int) -> float:
        """The same as a Python float."""
        return float(self(step))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in order "
            "to be serializable."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        return cls(**config)

    def config(self) -> dict[str, Any]:
        """`{"class_name", "config"}`, JSON-able; `schedule_from_config` reads it."""
        return {"class_name": type(self).__name__, "config": self.get_config()}


class _Float32Schedule(LearningRateSchedule):
    """A schedule that is computed by `rate`, on plain scalars."""

    def rate(self, step: float) -> Any:
        """The learning rate as a numpy float32."""
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        from shardtape.tensor import EagerTensor

        if not isinstance(step, (int, float)) and np.ndim(values := _host(step)):
            rates = [self.rate(number) for number in values.reshape(-1).tolist()]
            return EagerTensor(np.asarray(rates, _f32).reshape(values.shape))
        return EagerTensor(_f32(self.rate(step_number(step))))

    def value(self, step: int) -> float:
        return float(self.rate(step))


class ExponentialDecay(_Float32Schedule):
    """initial * decay_rate ** (step / decay_steps); `staircase` rounds the exponent down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        _check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def rate(self, step: float) -> Any:
        p = _f32(step) / _f32(self.decay_steps)
        if self.staircase:
            p = np.floor(p)
        power = np.power(np.float64(_f32(self.decay_rate)), p)  # rounded once, as by Eigen
        return _f32(self.initial_learning_rate) * _f32(power)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class PiecewiseConstantDecay(_Float32Schedule):
    """values[i] for boundaries[i - 1] < step <= boundaries[i]; one value more than boundaries."""

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. "
                f"Received: boundaries={boundaries} of length {len(boundaries)}, and "
                f"values={values} of length {len(values)}."
            )
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def rate(self, step: float) -> Any:
        for boundary, value in zip(self.boundaries, self.values):
            if step <= boundary:
                return _f32(value)
        return _f32(self.values[-1])

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class PolynomialDecay(_Float32Schedule):
    """From initial to end in `decay_steps`, by a polynomial of degree `power`.

    With `cycle` the decay starts again, over a longer run, each time it has ended.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        _check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def rate(self, step: float) -> Any:
        number, steps = _f32(step), _f32(self.decay_steps)
        if self.cycle:
            steps = steps * (np.ceil(number / steps) if number else _f32(1))
        else:
            number = min(number, steps)
        initial, end = _f32(self.initial_learning_rate), _f32(self.end_learning_rate)
        return (initial - end) * np.power(_f32(1) - number / steps, _f32(self.power)) + end

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class InverseTimeDecay(_Float32Schedule):
    """initial / (1 + decay_rate * step / decay_steps); `staircase` rounds the quotient down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        _check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def rate(self, step: float) -> Any:
        p = _f32(step) / _f32(self.decay_steps)
        if self.staircase:
            p = np.floor(p)
        return _f32(self.initial_learning_rate) / (_f32(1) + _f32(self.decay_rate) * p)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class CosineDecay(_Float32Schedule):
    """Half a cosine from the initial rate to `alpha` times it, after an optional linear warm-up.

    With `warmup_target` the rate rises from initial to it in `warmup_steps`, and falls from it.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str | None = None,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def rate(self, step: float) -> Any:
        number, steps = _f32(step), _f32(self.decay_steps)
        initial = _f32(self.initial_learning_rate)
        if self.warmup_target is None:
            return self._cosine(min(number, steps), steps, initial)
        target, warmup = _f32(self.warmup_target), _f32(self.warmup_steps)
        number = min(number, steps + warmup)
        if number < warmup:
            return (target - initial) * (number / warmup) + initial
        return self._cosine(number - warmup, steps, target)

    def _cosine(self, number: Any, steps: Any, start: Any) -> Any:
        cosine = _f32(0.5) * (_f32(1) + np.cos(_f32(math.pi) * (number / steps)))
        return start * (_f32(1 - self.alpha) * cosine + _f32(self.alpha))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(_Float32Schedule):
    """Half a cosine from the initial rate to `alpha` times it, again and again.

    Each run is `t_mul` times as long as the one before and starts at `m_mul` times its rate.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = None,
    ) -> None:
        _check_decay_steps(first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def rate(self, step: float) -> Any:
        one, t_mul = _f32(1), _f32(self.t_mul)
        done = _f32(step) / _f32(self.first_decay_steps)
        if self.t_mul == 1.0:
            restarts = np.floor(done)
            done = done - restarts
        else:
            restarts = np.floor(np.log(one - done * (one - t_mul)) / np.log(t_mul))
            length = t_mul**restarts
            done = (done - (one - length) / (one - t_mul)) / length
        start = _f32(self.m_mul) ** restarts
        cosine = _f32(0.5) * start * (one + np.cos(_f32(math.pi) * done))
        alpha = _f32(self.alpha)
        return _f32(self.initial_learning_rate) * ((one - alpha) * cosine + alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


_SCHEDULES = {
    cls.__name__: cls
    for cls in (
        ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay, InverseTimeDecay, CosineDecay,
        CosineDecayRestarts,
    )
}  # fmt: skip


def serialize(
    learning_rate_schedule: LearningRateSchedule, use_legacy_format: bool = False
) -> dict[str, Any]:
    """A schedule as Keras writes it, with its module.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`.
    """
    from shardtape.keras.saving.serialization import keras_form, plain_form

    write = plain_form if use_legacy_format else keras_form
    form: dict[str, Any] = write(learning_rate_schedule)
    return form


def schedule_from_config(
    config: dict[str, Any],
    custom_objects: dict[str, Any] | None = None,
    use_legacy_format: bool = False,
) -> LearningRateSchedule:
    """The schedule of `serialize`'s dictionary (Keras's own extra entries are ignored).

    Raises ValueError that names an unknown class, or what is no such dictionary.
    """
    if not isinstance(config, dict):
        raise ValueError(
            "A learning-rate schedule is made of the dictionary that `serialize` gives, got "
            f"{config!r}"
        )
    name = config.get("class_name")
    cls = (custom_objects or {}).get(name) or _SCHEDULES.get(name)  # type: ignore[arg-type]
    if cls is None:
        raise ValueError(
            f"unknown learning-rate schedule {name!r}: expected one of {', '.join(_SCHEDULES)}"
        )
    return cls.from_config(config["config"])


deserialize = schedule_from_config

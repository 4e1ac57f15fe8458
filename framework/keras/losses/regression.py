"""Losses between numbers. Functions give one value per example: the mean over the last axis."""

from __future__ import annotations

import math as python_math
from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras.floatx import epsilon, floatx
from shardtape.keras.losses.base import FunctionLoss, PlainLoss, Reduction
from shardtape.ops import math
from shardtape.ops.cast import cast
from shardtape.ops.composites import is_composite
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_mean, reduce_sum
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor


def pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors (ragged ones as they are), the truth in the predictions' dtype."""
    y_pred = y_pred if is_composite(y_pred) else convert_to_tensor(y_pred)
    return cast(y_true, y_pred.dtype), y_pred


def at_least(x: Tensor, low: float) -> Tensor:
    """max(x, low)."""
    return math.maximum(x, convert_to_tensor(low, x.dtype))


def clipped(x: Tensor, low: float, high: float) -> Tensor:
    """x within [low, high]."""
    return math.minimum(at_least(x, low), convert_to_tensor(high, x.dtype))


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_true - y_pred) ** 2)."""
    y_true, y_pred = pair(y_true, y_pred)
    return reduce_mean(math.squared_difference(y_pred, y_true), -1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(abs(y_true - y_pred))."""
    y_true, y_pred = pair(y_true, y_pred)
    return reduce_mean(math.abs(y_pred - y_true), -1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 * mean(abs((y_true - y_pred) / y_true))."""
    y_true, y_pred = pair(y_true, y_pred)
    share = math.abs((y_true - y_pred) / at_least(math.abs(y_true), epsilon()))
    return 100.0 * reduce_mean(share, -1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((log(y_true + 1) - log(y_pred + 1)) ** 2)."""
    y_true, y_pred = pair(y_true, y_pred)
    first = math.log(at_least(y_pred, epsilon()) + 1.0)
    second = math.log(at_least(y_true, epsilon()) + 1.0)
    return reduce_mean(math.squared_difference(first, second), -1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Half the squared error up to `delta`, linear beyond."""
    y_pred = cast(y_pred, dt.as_dtype(floatx()))
    y_true = cast(y_true, y_pred.dtype)
    error = y_pred - y_true
    size = math.abs(error)
    linear = delta * size - 0.5 * delta * delta
    return reduce_mean(where(size <= delta, 0.5 * math.square(error), linear), -1)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """log(cosh(y_pred - y_true))."""
    y_true, y_pred = pair(y_true, y_pred)
    x = y_pred - y_true
    return reduce_mean(x + nn.softplus(-2.0 * x) - python_math.log(2.0), -1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(y_pred - y_true * log(y_pred))."""
    y_true, y_pred = pair(y_true, y_pred)
    return reduce_mean(y_pred - y_true * math.log(y_pred + epsilon()), -1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: Any = -1) -> Tensor:
    """Minus the cosine of the angle between them."""
    if not (isinstance(y_true, Tensor) and isinstance(y_pred, Tensor)) or (
        y_true.dtype is not y_pred.dtype
    ):  # a cast to its own type would be a layer of functional models
        y_true, y_pred = pair(y_true, y_pred)
    return -reduce_sum(nn.l2_normalize(y_true, axis) * nn.l2_normalize(y_pred, axis), axis)


class MeanSquaredError(PlainLoss):
    """See `mean_squared_error`."""

    _function, _name = staticmethod(mean_squared_error), "mean_squared_error"


class MeanAbsoluteError(PlainLoss):
    """See `mean_absolute_error`."""

    _function, _name = staticmethod(mean_absolute_error), "mean_absolute_error"


class MeanAbsolutePercentageError(PlainLoss):
    """See `mean_absolute_percentage_error`."""

    _function, _name = (
        staticmethod(mean_absolute_percentage_error),
        "mean_absolute_percentage_error",
    )


class MeanSquaredLogarithmicError(PlainLoss):
    """See `mean_squared_logarithmic_error`."""

    _function, _name = (
        staticmethod(mean_squared_logarithmic_error),
        "mean_squared_logarithmic_error",
    )


class LogCosh(PlainLoss):
    """See `log_cosh`."""

    _function, _name = staticmethod(log_cosh), "log_cosh"


class Poisson(PlainLoss):
    """See `poisson`."""

    _function, _name = staticmethod(poisson), "poisson"


class Huber(FunctionLoss):
    """See `huber`."""

    def __init__(
        self, delta: float = 1.0, reduction: str = Reduction.AUTO, name: str = "huber_loss"
    ) -> None:
        super().__init__(huber, reduction, name, delta=delta)


class CosineSimilarity(FunctionLoss):
    """See `cosine_similarity`."""

    def __init__(
        self, axis: int = -1, reduction: str = Reduction.AUTO, name: str = "cosine_similarity"
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, axis=axis)

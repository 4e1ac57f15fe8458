"""Means of loss functions as metrics."""

from __future__ import annotations

from typing import Any

from shardtape import nn
from shardtape.keras import losses
from shardtape.keras.metrics.base import Mean, MeanMetricWrapper
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import sqrt, squared_difference
from shardtape.ops.reduce import reduce_sum


class _OfLoss(MeanMetricWrapper):
    _function: Any
    _default_name: str

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(type(self)._function, name or self._default_name, dtype)


class MeanSquaredError(_OfLoss):
    """The mean of squared errors."""

    _function, _default_name = staticmethod(losses.mean_squared_error), "mean_squared_error"


class MeanAbsoluteError(_OfLoss):
    """The mean of absolute errors."""

    _function, _default_name = staticmethod(losses.mean_absolute_error), "mean_absolute_error"


class MeanAbsolutePercentageError(_OfLoss):
    """The mean of absolute errors in per cent of the truth."""

    _function = staticmethod(losses.mean_absolute_percentage_error)
    _default_name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(_OfLoss):
    """The mean of squared errors of logarithms."""

    _function = staticmethod(losses.mean_squared_logarithmic_error)
    _default_name = "mean_squared_logarithmic_error"


class LogCoshError(_OfLoss):
    """The mean of log(cosh(error))."""

    _function, _default_name = staticmethod(losses.log_cosh), "logcosh"


class Poisson(_OfLoss):
    """The mean of the Poisson loss."""

    _function, _default_name = staticmethod(losses.poisson), "poisson"


class KLDivergence(_OfLoss):
    """The mean Kullback-Leibler divergence."""

    _function, _default_name = staticmethod(losses.kl_divergence), "kullback_leibler_divergence"


class Hinge(_OfLoss):
    """The mean hinge loss."""

    _function, _default_name = staticmethod(losses.hinge), "hinge"


class SquaredHinge(_OfLoss):
    """The mean squared hinge loss."""

    _function, _default_name = staticmethod(losses.squared_hinge), "squared_hinge"


class CategoricalHinge(_OfLoss):
    """The mean categorical hinge loss."""

    _function, _default_name = staticmethod(losses.categorical_hinge), "categorical_hinge"


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean binary cross-entropy."""

    def __init__(
        self, name: str = "binary_crossentropy", dtype: Any = None, from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits,
            label_smoothing=label_smoothing,
        )  # fmt: skip


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean cross-entropy of one-hot classes."""

    def __init__(
        self, name: str = "categorical_crossentropy", dtype: Any = None,
        from_logits: bool = False, label_smoothing: float = 0, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(
            losses.categorical_crossentropy, name, dtype, from_logits=from_logits,
            label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean cross-entropy of class numbers."""

    def __init__(
        self, name: str = "sparse_categorical_crossentropy", dtype: Any = None,
        from_logits: bool = False, ignore_class: int | None = None, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(
            losses.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits,
            ignore_class=ignore_class, axis=axis,
        )  # fmt: skip


class RootMeanSquaredError(Mean):
    """The square root of the mean of squared errors."""

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        y_pred = cast(convert_to_tensor(y_pred), self._dtype)
        y_pred, y_true = losses.base.matched(y_pred, cast(convert_to_tensor(y_true), self._dtype))
        return super().update_state(squared_difference(y_pred, y_true), sample_weight)

    def result(self) -> Any:
        return sqrt(super().result())


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between predictions and truth; the loss of this name is negative."""
    return reduce_sum(nn.l2_normalize(y_true, axis) * nn.l2_normalize(y_pred, axis), axis)


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between predictions and truth."""

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)

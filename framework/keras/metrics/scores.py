"""F scores, the coefficient of determination, and means that keep the shape of their values."""

from __future__ import annotations

from typing import Any

from shardtape.keras.losses.base import matched
from shardtape.keras.metrics.base import Mean, Metric, added, check_weights, fitted_weights
from shardtape.ops.array import expand_dims, ones_like, size, zeros_like
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import abs as absolute
from shardtape.ops.math import div_no_nan, is_inf, logical_and, square
from shardtape.ops.reduce import reduce_max, reduce_mean, reduce_sum
from shardtape.ops.selecting import where


class FBetaScore(Metric):
    """The weighted harmonic mean of precision and recall, of one-hot labels by class.

    Args:
      average: None (a score for each class), "micro", "macro" or "weighted".
      beta: how much more recall counts than precision.
      threshold: predictions over it are made; None: the largest of each row.
    """

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
        name: str | None = "fbeta_score", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                "Invalid `average` argument value. Expected one of: {None, 'micro', 'macro', "
                f"'weighted'}}. Received: average={average}"
            )
        if not isinstance(beta, float) or beta <= 0:
            raise ValueError(
                f"Invalid `beta` argument value. It should be a float > 0. Received: beta={beta}"
            )
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise ValueError(
                "Invalid `threshold` argument value. It should verify 0 < threshold <= 1. "
                f"Received: threshold={threshold}"
            )
        self.average, self.beta, self.threshold = average, beta, threshold
        self.axis = None if average == "micro" else 0
        self.built = False

    def _build(self, wanted: Any) -> None:
        if wanted.rank != 2 or wanted[-1] is None:
            raise ValueError(
                "FBetaScore expects 2D inputs with shape (batch_size, output_dim), with output_dim "
                f"fully defined (not None). Received input shapes: y_pred.shape={wanted}"
            )
        sizes = () if self.average == "micro" else (int(wanted[1]),)
        self.true_positives = self.add_weight("true_positives", sizes)
        self.false_positives = self.add_weight("false_positives", sizes)
        self.false_negatives = self.add_weight("false_negatives", sizes)
        self.intermediate_weights = self.add_weight("intermediate_weights", sizes)
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
        y_true, y_pred = cast(y_true, self._dtype), cast(y_pred, self._dtype)
        if not self.built:
            self._build(y_pred.shape)
        if self.threshold is None:
            made = y_pred >= reduce_max(y_pred, -1, keepdims=True)
            made = logical_and(made, absolute(y_pred) > 1e-12)
        else:
            made = y_pred > self.threshold
        made, y_true = cast(made, self._dtype), cast(y_true, self._dtype)

        def total(values: Any) -> Any:
            if sample_weight is not None:
                weights = cast(sample_weight, self._dtype)
                values = values * (expand_dims(weights, 1) if weights.shape.rank == 1 else weights)
            return reduce_sum(values, self.axis)

        return added([
            (self.true_positives, total(made * y_true)),
            (self.false_positives, total(made * (1 - y_true))),
            (self.false_negatives, total((1 - made) * y_true)),
            (self.intermediate_weights, total(y_true)),
        ])  # fmt: skip

    def result(self) -> Any:
        precision = div_no_nan(self.true_positives, self.true_positives + self.false_positives)
        recall = div_no_nan(self.true_positives, self.true_positives + self.false_negatives)
        factor = self.beta**2
        score = div_no_nan(precision * recall * (1 + factor), factor * precision + recall)
        if self.average == "weighted":
            weights = div_no_nan(self.intermediate_weights, reduce_sum(self.intermediate_weights))
            return reduce_sum(score * weights)
        return score if self.average is None else reduce_mean(score)

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; see `FBetaScore`."""

    def __init__(
        self, average: str | None = None, threshold: float | None = None,
        name: str | None = "f1_score", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config


class R2Score(Metric):
    """The share of the variance that predictions explain.

    Args:
      class_aggregation: "uniform_average", "variance_weighted_average" or None (each output).
      num_regressors: of independent variables; more than 0 gives the adjusted score.
    """

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
        name: str | None = "r2_score", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`. Expected one of {known}. "
                f"Received: class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. Received: "
                f"num_regressors={num_regressors}"
            )
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_weight("num_samples", dtype="int32")
        self.built = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true, y_pred = cast(y_true, self._dtype), cast(y_pred, self._dtype)
        if not self.built:
            if y_true.shape.rank != 2 or y_true.shape[-1] is None:
                raise ValueError(
                    "R2Score expects 2D inputs with shape (batch_size, output_dim), with "
                    "output_dim fully defined (not None). Received input shapes: "
                    f"y_pred.shape={y_pred.shape} and y_true.shape={y_true.shape}."
                )
            sizes = (int(y_true.shape[-1]),)
            self.squared_sum = self.add_weight("squared_sum", sizes)
            self.sum = self.add_weight("sum", sizes)
            self.total_mse = self.add_weight("residual", sizes)
            self.count = self.add_weight("count", sizes)
            self.built = True
        weights = convert_to_tensor(1.0, self._dtype)
        if sample_weight is not None:
            weights = cast(sample_weight, self._dtype)
            weights = expand_dims(weights, 1) if weights.shape.rank == 1 else weights
            check_weights(y_true.shape, weights)
        weighted = y_true * weights
        return added([
            (self.sum, reduce_sum(weighted, 0)),
            (self.squared_sum, reduce_sum(y_true * weighted, 0)),
            (self.total_mse, reduce_sum(square(y_true - y_pred) * weights, 0)),
            (self.count, reduce_sum(ones_like(y_true) * weights, 0)),
            (self.num_samples, size(y_true)),
        ])  # fmt: skip

    def result(self) -> Any:
        mean = self.sum / self.count
        total = self.squared_sum - self.sum * mean
        score = 1.0 - self.total_mse / total
        score = where(is_inf(score), zeros_like(score), score)
        if self.class_aggregation == "uniform_average":
            score = reduce_mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = reduce_sum(score * total) / reduce_sum(total)
        if self.num_regressors == 0:
            return score
        n, p = cast(self.num_samples, self._dtype), float(self.num_regressors)
        return 1.0 - (1.0 - score) * (n - 1.0) / (n - p - 1.0)

    def get_config(self) -> dict[str, Any]:
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}


class MeanTensor(Metric):
    """The (weighted) mean of tensors, element by element."""

    def __init__(
        self, name: str | None = "mean_tensor", dtype: Any = None, shape: Any = None
    ) -> None:
        super().__init__(name, dtype)
        self._shape: Any = None
        if shape is not None:
            self._build(tuple(shape))

    def _build(self, sizes: Any) -> None:
        self._shape = sizes
        self._total, self._count = self.add_weight("total", sizes), self.add_weight("count", sizes)

    @property
    def total(self) -> Any:
        return self._total if self._shape is not None else None

    @property
    def count(self) -> Any:
        return self._count if self._shape is not None else None

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        values = cast(values, self._dtype)
        if self._shape is None:
            self._build(tuple(values.shape))
        elif tuple(values.shape) != self._shape:
            raise ValueError(
                "MeanTensor input values must always have the same shape. Expected shape (set "
                f"during the first call): {self._shape}. Got: {values.shape}."
            )
        weights = ones_like(values)
        if sample_weight is not None:
            values, given = fitted_weights(values, sample_weight)
            values, weights = values * given, weights * given
        self._total.assign_add(values)
        return self._count.assign_add(weights)

    def result(self) -> Any:
        if self._shape is None:
            raise ValueError(
                "MeanTensor does not have any value yet. Please call the MeanTensor instance or "
                "use `.update_state(value)` before retrieving the result."
            )
        return div_no_nan(self._total, self._count)


class MeanRelativeError(Mean):
    """The mean of absolute errors over the values of a normalizer."""

    def __init__(self, normalizer: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.normalizer = cast(convert_to_tensor(normalizer), self._dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        y_true, y_pred = cast(y_true, self._dtype), cast(y_pred, self._dtype)
        y_pred, y_true = matched(y_pred, y_true)
        y_pred, normalizer = matched(y_pred, self.normalizer)
        y_pred.shape.assert_is_compatible_with(y_true.shape)
        error = div_no_nan(absolute(y_true - y_pred), normalizer)
        return super().update_state(error, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalizer": self.normalizer.numpy().tolist()}

"""`tf.keras.metrics`."""

from __future__ import annotations

from typing import Any

from shardtape.keras.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    hinge,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from shardtape.keras.losses import categorical_hinge as _categorical_hinge
from shardtape.keras.metrics import experimental
from shardtape.keras.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from shardtape.keras.metrics.auc import AUC
from shardtape.keras.metrics.base import Mean, MeanMetricWrapper, Metric, Sum
from shardtape.keras.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from shardtape.keras.metrics.from_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from shardtape.keras.metrics.from_losses import cosine_similarity as _cosine_similarity
from shardtape.keras.metrics.overlap import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from shardtape.keras.metrics.scores import (
    F1Score,
    FBetaScore,
    MeanRelativeError,
    MeanTensor,
    R2Score,
)
from shardtape.keras.saving.registry import custom_object_scope
from shardtape.keras.saving.serialization import keras_form, looked_up, plain_form

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh

_CLASSES: dict[str, Any] = {
    c.__name__: c
    for c in (
        Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy,
        CategoricalCrossentropy, CategoricalHinge, CosineSimilarity, Hinge, KLDivergence,
        LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, RootMeanSquaredError, SparseCategoricalAccuracy,
        SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, SquaredHinge, Sum,
        TopKCategoricalAccuracy, AUC, FalseNegatives, FalsePositives, Precision, PrecisionAtRecall,
        Recall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity,
        TrueNegatives, TruePositives, BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU, F1Score,
        FBetaScore, MeanRelativeError, MeanTensor, R2Score,
    )
}  # fmt: skip
_FUNCTIONS: dict[str, Any] = {
    **{
        f.__name__: f
        for f in (
            accuracy, binary_accuracy, binary_crossentropy, categorical_accuracy,
            categorical_crossentropy, kl_divergence, mean_absolute_error,
            mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error,
            sparse_categorical_accuracy, sparse_categorical_crossentropy,
            sparse_top_k_categorical_accuracy, top_k_categorical_accuracy, hinge, squared_hinge,
            log_cosh, poisson, _cosine_similarity, _categorical_hinge,
            binary_focal_crossentropy, categorical_focal_crossentropy,
        )
    },
    "mse": mse, "MSE": mse, "mae": mae, "MAE": mae, "mape": mape, "MAPE": mape, "msle": msle,
    "MSLE": msle, "kld": kld, "KLD": kld, "kullback_leibler_divergence": kld, "logcosh": log_cosh,
    "acc": accuracy, "cosine_proximity": _cosine_similarity,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """A metric or function from a name, a config or a callable; None stays None.

    Raises ValueError for an unknown name.
    """
    return looked_up(identifier, _FUNCTIONS, _CLASSES, "metric")


def serialize(metric: Any, use_legacy_format: bool = False) -> Any:
    """A metric or a function as Keras writes it, with its module; None of None.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`; of a function its name.
    """
    return plain_form(metric) if use_legacy_format else keras_form(metric)


def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """As `get`, where names may be those of `custom_objects`; both formats are read."""
    with custom_object_scope(custom_objects):
        return get(config)


__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLD",
    "KLDivergence",
    "LogCoshError",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanRelativeError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "MeanTensor",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "deserialize",
    "experimental",
    "get",
    "hinge",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

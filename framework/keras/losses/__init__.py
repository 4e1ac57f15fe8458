"""`tf.keras.losses`: functions (one value per example) and classes with reductions."""

from __future__ import annotations

from typing import Any

from shardtape.keras.losses.base import FunctionLoss, Loss, Reduction
from shardtape.keras.losses.classification import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    kl_divergence,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from shardtape.keras.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from shardtape.keras.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from shardtape.keras.saving.registry import custom_object_scope
from shardtape.keras.saving.serialization import keras_form, looked_up, plain_form

bce = BCE = binary_crossentropy
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
huber_loss = huber

_FUNCTIONS = {
    **{
        f.__name__: f
        for f in (
            binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy,
            kl_divergence, hinge, squared_hinge, categorical_hinge, cosine_similarity, huber,
            log_cosh, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error,
            mean_squared_logarithmic_error, poisson, binary_focal_crossentropy,
            categorical_focal_crossentropy,
        )
    },
    "bce": bce, "BCE": bce, "mse": mse, "MSE": mse, "mae": mae, "MAE": mae, "mape": mape,
    "MAPE": mape, "msle": msle, "MSLE": msle, "kld": kld, "KLD": kld,
    "kullback_leibler_divergence": kld, "logcosh": log_cosh, "huber_loss": huber,
}  # fmt: skip
_CLASSES: dict[str, Any] = {
    c.__name__: c
    for c in (
        BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy, KLDivergence,
        Hinge, SquaredHinge, CategoricalHinge, CosineSimilarity, Huber, LogCosh,
        MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, BinaryFocalCrossentropy,
        CategoricalFocalCrossentropy,
    )
}  # fmt: skip


def get(identifier: Any) -> Any:
    """A loss from a name ("mse", "MeanSquaredError"), a config or a callable; None stays None.

    Raises ValueError for an unknown name.
    """
    return looked_up(identifier, _FUNCTIONS, _CLASSES, "loss")


def serialize(loss: Any, use_legacy_format: bool = False) -> Any:
    """A loss or a function as Keras writes it, with its module; None of None.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`; of a function its name.
    """
    return plain_form(loss) if use_legacy_format else keras_form(loss)


def deserialize(
    name: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """As `get`, where names may be those of `custom_objects`; both formats are read."""
    with custom_object_scope(custom_objects):
        return get(name)


__all__ = [
    "BCE",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLD",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Reduction",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "huber_loss",
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
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

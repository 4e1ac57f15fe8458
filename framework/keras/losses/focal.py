"""Cross-entropies that weigh examples which are already told well less: focal losses.

Lin et al., Focal Loss for Dense Object Detection (2017).
"""

from __future__ import annotations

from typing import Any

from shardtape import nn
from shardtape.keras.floatx import epsilon
from shardtape.keras.logits import logits_of
from shardtape.keras.losses.base import FunctionLoss, Reduction
from shardtape.keras.losses.classification import elementwise_binary_crossentropy
from shardtape.keras.losses.regression import clipped, pair
from shardtape.ops import math
from shardtape.ops.array import shape
from shardtape.ops.cast import cast
from shardtape.ops.reduce import reduce_mean, reduce_sum
from shardtape.tensor import Tensor


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy times (1 - share of the right class) ** gamma, the mean over `axis`.

    Args:
      apply_class_balancing: weigh class 1 by `alpha`, class 0 by 1 - `alpha`.
    """
    y_true, y_pred = pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    loss = elementwise_binary_focal(
        y_true, y_pred, apply_class_balancing, alpha, gamma, from_logits
    )
    return reduce_mean(loss, axis)


def elementwise_binary_focal(
    y_true: Tensor, y_pred: Tensor, balanced: bool, alpha: float, gamma: float, from_logits: bool
) -> Tensor:
    """`binary_focal_crossentropy` of each single yes or no, in the shape of `y_pred`."""
    p = nn.sigmoid(y_pred) if from_logits else y_pred
    entropy = elementwise_binary_crossentropy(y_true, y_pred, from_logits)
    right = y_true * p + (1.0 - y_true) * (1.0 - p)
    loss = math.pow(1.0 - right, gamma) * entropy
    if balanced:
        loss = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * loss
    return loss


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Cross-entropy of one-hot classes, each term times alpha * (1 - prediction) ** gamma.

    Args:
      alpha: a factor, or one for each class.
    """
    y_true, y_pred = pair(y_true, y_pred)
    if label_smoothing:
        classes = cast(shape(y_true)[axis], y_pred.dtype)
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    y_true.shape.assert_is_compatible_with(y_pred.shape)
    y_pred, from_logits = logits_of(
        y_pred, from_logits, "Softmax", "categorical_focal_crossentropy"
    )
    p = nn.softmax(y_pred, axis) if from_logits else y_pred
    p = clipped(p / reduce_sum(p, axis, keepdims=True), epsilon(), 1.0 - epsilon())
    return reduce_sum(math.pow(1.0 - p, gamma) * alpha * (-y_true * math.log(p)), axis)


class BinaryFocalCrossentropy(FunctionLoss):
    """See `binary_focal_crossentropy`."""

    def __init__(
        self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
        from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str = Reduction.AUTO, name: str = "binary_focal_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(
            binary_focal_crossentropy, reduction, name,
            apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class CategoricalFocalCrossentropy(FunctionLoss):
    """See `categorical_focal_crossentropy`."""

    def __init__(
        self, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool = False,
        label_smoothing: float = 0.0, axis: int = -1, reduction: str = Reduction.AUTO,
        name: str = "categorical_focal_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(
            categorical_focal_crossentropy, reduction, name, alpha=alpha, gamma=gamma,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip

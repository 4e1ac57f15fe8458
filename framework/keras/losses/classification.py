"""Losses between classes and predictions. Functions give one value per example."""

from __future__ import annotations

import functools
import warnings
from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras.floatx import epsilon
from shardtape.keras.logits import logits_of
from shardtape.keras.losses.base import FunctionLoss, PlainLoss, Reduction
from shardtape.keras.losses.regression import at_least, clipped, pair
from shardtape.ops import math
from shardtape.ops.array import reshape, shape, transpose, zeros_like
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_all, reduce_max, reduce_mean, reduce_sum
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Cross-entropy of independent yes-or-no classes, the mean over `axis`."""
    y_true, y_pred = pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return reduce_mean(elementwise_binary_crossentropy(y_true, y_pred, from_logits), axis)


def elementwise_binary_crossentropy(y_true: Tensor, y_pred: Tensor, from_logits: bool) -> Tensor:
    """Cross-entropy of each single yes or no, in the shape of `y_pred`."""
    y_pred, from_logits = logits_of(y_pred, from_logits, "Sigmoid", "binary_crossentropy")
    if from_logits:
        return nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=y_pred)
    small = epsilon()
    p = clipped(y_pred, small, 1.0 - small)
    return -(y_true * math.log(p + small) + (1.0 - y_true) * math.log(1.0 - p + small))


def _of_each_step(function: Any) -> Any:
    """Lets a loss of class distributions take rows of steps: the losses are rows again."""

    @functools.wraps(function)
    def loss(y_true: Any, y_pred: Any, *args: Any, **keywords: Any) -> Any:
        if not hasattr(y_pred, "flat_values"):
            return function(y_true, y_pred, *args, **keywords)
        truth = getattr(y_true, "flat_values", y_true)
        return y_pred.with_flat_values(function(truth, y_pred.flat_values, *args, **keywords))

    return loss


@_of_each_step
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Cross-entropy of distributions (one-hot classes) along `axis`."""
    if isinstance(axis, bool):
        raise ValueError(
            f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}"
        )
    y_true, y_pred = pair(y_true, y_pred)
    if y_pred.shape.rank and y_pred.shape[-1] == 1:
        warnings.warn(
            "In loss categorical_crossentropy, expected y_pred.shape to be (batch_size, "
            f"num_classes) with num_classes > 1. Received: y_pred.shape={y_pred.shape}. Consider "
            "using 'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=2,
        )
    if label_smoothing:
        classes = cast(shape(y_true)[axis], y_pred.dtype)
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    y_true.shape.assert_is_compatible_with(y_pred.shape)
    y_pred, from_logits = logits_of(y_pred, from_logits, "Softmax", "categorical_crossentropy")
    if from_logits:
        return nn.softmax_cross_entropy_with_logits(labels=y_true, logits=y_pred, axis=axis)
    p = y_pred / reduce_sum(y_pred, axis, keepdims=True)
    return -reduce_sum(y_true * math.log(clipped(p, epsilon(), 1.0 - epsilon())), axis)


@_of_each_step
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Tensor:
    """Cross-entropy of class numbers.

    Args:
      axis: that of the classes in `y_pred`.
      ignore_class: examples of this class count nothing: the result's mask says which do.
    """
    y_pred = convert_to_tensor(y_pred)
    y_true = cast(y_true, dt.int64)
    y_pred, from_logits = logits_of(
        y_pred, from_logits, "Softmax", "sparse_categorical_crossentropy"
    )
    if not from_logits:
        y_pred = math.log(clipped(y_pred, epsilon(), 1.0 - epsilon()))
    rank = y_pred.shape.rank
    if rank is None:
        if axis != -1:
            raise ValueError(
                f"Cannot compute sparse categorical crossentropy with `axis={axis}` on an output "
                "tensor with unknown rank"
            )
    elif axis % rank != rank - 1:
        axis %= rank
        y_pred = transpose(y_pred, [*range(axis), *range(axis + 1, rank), axis])
    sizes = shape(y_pred)
    flatten = rank is not None and y_true.shape.rank not in (None, rank - 1)
    if flatten:
        y_true = reshape(y_true, [-1])
        y_pred = reshape(y_pred, [-1, y_pred.shape[-1]])
    if ignore_class is not None:
        loss, counted = _ignoring(y_true, y_pred, ignore_class)
        loss = reshape(loss, sizes[:-1])
        loss._keras_mask = reshape(counted, sizes[:-1])  # type: ignore[attr-defined]
        return loss
    loss = nn.sparse_softmax_cross_entropy_with_logits(labels=y_true, logits=y_pred)
    return reshape(loss, sizes[:-1]) if flatten and rank >= 3 else loss


def _ignoring(y_true: Tensor, y_pred: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    counts = math.not_equal(y_true, convert_to_tensor(ignored, y_true.dtype))
    labels = where(counts, y_true, zeros_like(y_true))
    loss = nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=y_pred)
    return loss * cast(counts, loss.dtype), counts


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum(y_true * log(y_true / y_pred))."""
    y_true, y_pred = pair(y_true, y_pred)
    y_true, y_pred = clipped(y_true, epsilon(), 1.0), clipped(y_pred, epsilon(), 1.0)
    return reduce_sum(y_true * math.log(y_true / y_pred), -1)


def _signs(y_true: Tensor) -> Tensor:
    """Labels 0 and 1 as -1 and 1; others as they are."""
    zero = math.equal(y_true, zeros_like(y_true))
    one = math.equal(y_true, convert_to_tensor(1, y_true.dtype))
    binary = reduce_all(math.logical_or(zero, one))
    return where(binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)), labels -1 and 1 (or 0 and 1)."""
    y_true, y_pred = pair(y_true, y_pred)
    return reduce_mean(at_least(1.0 - _signs(y_true) * y_pred, 0.0), -1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0) ** 2), labels -1 and 1 (or 0 and 1)."""
    y_true, y_pred = pair(y_true, y_pred)
    return reduce_mean(math.square(at_least(1.0 - _signs(y_true) * y_pred, 0.0)), -1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(the largest of the wrong classes - that of the right class + 1, 0)."""
    y_true, y_pred = pair(y_true, y_pred)
    right = reduce_sum(y_true * y_pred, -1)
    wrong = reduce_max((1.0 - y_true) * y_pred, -1)
    return at_least(wrong - right + 1.0, 0.0)


class BinaryCrossentropy(FunctionLoss):
    """See `binary_crossentropy`."""

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str = Reduction.AUTO, name: str = "binary_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(
            binary_crossentropy, reduction, name, from_logits=from_logits,
            label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip
        self.from_logits = from_logits


class CategoricalCrossentropy(FunctionLoss):
    """See `categorical_crossentropy`."""

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str = Reduction.AUTO, name: str = "categorical_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(
            categorical_crossentropy, reduction, name, from_logits=from_logits,
            label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class SparseCategoricalCrossentropy(FunctionLoss):
    """See `sparse_categorical_crossentropy`."""

    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None,
        reduction: str = Reduction.AUTO, name: str = "sparse_categorical_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(
            sparse_categorical_crossentropy, reduction, name, from_logits=from_logits,
            ignore_class=ignore_class,
        )  # fmt: skip


class KLDivergence(PlainLoss):
    """See `kl_divergence`."""

    _function, _name = staticmethod(kl_divergence), "kl_divergence"


class Hinge(PlainLoss):
    """See `hinge`."""

    _function, _name = staticmethod(hinge), "hinge"


class SquaredHinge(PlainLoss):
    """See `squared_hinge`."""

    _function, _name = staticmethod(squared_hinge), "squared_hinge"


class CategoricalHinge(PlainLoss):
    """See `categorical_hinge`."""

    _function, _name = staticmethod(categorical_hinge), "categorical_hinge"

"""`tf.nn`'s functions on softmax and its cross-entropies."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import executing_eagerly
from shardtape.ops.activations import relu_op
from shardtape.ops.array import reshape, shape, transpose, zeros_like
from shardtape.ops.axes import along
from shardtape.ops.cast import cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import abs, add, exp, log, log1p, maximum, minimum, multiply, subtract
from shardtape.ops.node_names import scoped
from shardtape.ops.selecting import where
from shardtape.ops.softmax import (
    log_softmax_op,
    softmax_cross_entropy_op,
    softmax_op,
    sparse_softmax_cross_entropy_op,
)
from shardtape.tensor import Tensor


@takes_composites
def softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """exp(logits) over its sum along `axis` (default the last)."""
    if axis is None or axis == -1:
        return softmax_op(logits, name=name)
    return along(softmax_op, convert_to_tensor(logits), int(axis), name)


def log_softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """logits - log(sum(exp(logits))) along `axis` (default the last)."""
    if axis is None or axis == -1:
        return log_softmax_op(logits, name=name)
    return along(log_softmax_op, convert_to_tensor(logits), int(axis), name)


def _precise(logits: Tensor) -> Tensor:
    return cast(logits, dt.float32) if logits.dtype in dt.HALVES else logits


def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: str | None = None
) -> Tensor:
    """Cross-entropy of softmax(logits) and the distributions `labels`, of the same shape.

    Returns the loss in the shape of `logits` without `axis`, in its dtype.
    """
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels)
    given = logits.dtype
    logits = _precise(logits)
    if labels.dtype is not logits.dtype:
        labels = cast(labels, logits.dtype)
    rank = logits.shape.rank
    if axis != -1 and rank is not None and axis % rank != rank - 1:
        order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
        logits, labels = transpose(logits, order), transpose(labels, order)
    if rank == 2:
        loss, _ = softmax_cross_entropy_op(logits, labels, name=name)
    else:
        sizes = shape(logits)
        matrix = [-1, logits.shape[-1]] if _known_last(logits) else [-1, sizes[-1]]
        loss, _ = softmax_cross_entropy_op(
            reshape(logits, matrix), reshape(labels, matrix), name=name
        )
        loss = reshape(loss, sizes[:-1])
    return loss if loss.dtype is given else cast(loss, given)


def _known_last(x: Tensor) -> bool:
    return x.shape.rank is not None and x.shape[-1] is not None


def sparse_softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, name: str | None = None
) -> Tensor:
    """Cross-entropy of softmax(logits) and the classes `labels` (int32 or int64).

    Args:
      labels: class numbers in [0, classes), of the shape of `logits` without its last axis.
      logits: (..., classes).

    Returns the loss in the shape of `labels`.

    Raises:
      ValueError: ranks or known shapes that do not fit.
      InvalidArgumentError: a label that is no class (on a GPU its loss is NaN).
    """
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels)
    x, rows = logits.shape, labels.shape
    if x.rank == 0:
        raise ValueError(f"`logits` cannot be a scalar. Received logits={logits}`")
    if x.rank is not None and rows.rank is not None:
        if rows.rank != x.rank - 1:
            raise ValueError(
                "`labels.shape.rank` must equal `logits.shape.rank - 1`. Received: "
                f"labels.shape={rows} of rank {rows.rank} and logits.shape={x} of rank {x.rank}"
            )
        if not rows.is_compatible_with(x[:-1]):
            raise ValueError(
                "`labels.shape` must equal `logits.shape` except for the last dimension. "
                f"Received: labels.shape={rows} and logits.shape={x}"
            )
    if labels.dtype not in (dt.int32, dt.int64):
        if labels.dtype.is_floating:
            raise (errors.InvalidArgumentError if executing_eagerly() else TypeError)(
                "labels of sparse_softmax_cross_entropy_with_logits must be int32 or int64, got "
                f"{labels.dtype.name}: use tf.cast"
            )
        labels = cast(labels, dt.int32)
    if x.rank == 2:
        loss, _ = sparse_softmax_cross_entropy_op(logits, labels, name=name)
        return loss
    sizes = shape(labels)
    classes = x[-1] if _known_last(logits) else shape(logits)[-1]
    loss, _ = sparse_softmax_cross_entropy_op(
        reshape(logits, [-1, classes]), reshape(labels, [-1]), name=name
    )
    return reshape(loss, sizes)


@takes_composites
@scoped("logistic_loss")
def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross-entropy of independent classes: labels in [0, 1], elementwise, without overflow.

    Raises ValueError for shapes that differ, or where an argument is missing.
    """
    labels, logits = _both(labels, logits)
    # maximum and minimum share the gradient of a tie as `where(logits >= 0, ...)` would
    positive = maximum(logits, zeros_like(logits))
    small = minimum(-logits, logits)
    return add(subtract(positive, multiply(logits, labels)), log1p(exp(small)), name=name)


def _both(labels: Any, logits: Any) -> tuple[Tensor, Tensor]:
    if labels is None or logits is None:
        raise ValueError(
            f"Both `labels` and `logits` must be provided. Received: labels={labels}, "
            f"logits={logits}"
        )
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels, None if isinstance(labels, Tensor) else logits.dtype)
    if not labels.shape.is_compatible_with(logits.shape):
        raise ValueError(
            f"`logits` and `labels` must have the same shape, received ({logits.shape} vs "
            f"{labels.shape})."
        )
    return labels, logits


def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: str | None = None
) -> Tensor:
    """As `sigmoid_cross_entropy_with_logits`; the loss of positive labels counts `pos_weight`."""
    labels, logits = _both(labels, logits)
    weight = 1.0 + (convert_to_tensor(pos_weight, logits.dtype) - 1.0) * labels
    soft = log1p(exp(-abs(logits))) + relu_op(-logits)
    return add((1.0 - labels) * logits, weight * soft, name=name)


def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """exp(log_input) - log_input * targets; the full loss adds Stirling's approximation.

    Raises ValueError for shapes that differ.
    """
    log_input = convert_to_tensor(log_input)
    targets = convert_to_tensor(targets, None if isinstance(targets, Tensor) else log_input.dtype)
    if not targets.shape.is_compatible_with(log_input.shape):
        raise ValueError(
            "`log_input` and `targets` must have the same shape, received "
            f"({log_input.shape} vs {targets.shape})."
        )
    result = exp(log_input) - log_input * targets
    if compute_full_loss:
        stirling = targets * log(targets) - targets + 0.5 * log(2.0 * 3.141592653589793 * targets)
        small = (targets >= 0.0) & (targets <= 1.0)
        result = result + where(small, zeros_like(targets), stirling)
    return add(result, 0.0, name=name) if name else result

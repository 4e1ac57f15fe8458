"""How often predictions over a threshold are right: what precision, recall and AUC count."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras.losses.base import matched
from shardtape.keras.metrics.base import check_weights, weights_for
from shardtape.ops.array import (
    broadcast_to,
    expand_dims,
    fill,
    one_hot,
    reshape,
    shape,
    stack,
)
from shardtape.ops.cast import cast
from shardtape.ops.clip import clip_by_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.gather import unsorted_segment_sum
from shardtape.ops.math import ceil, maximum
from shardtape.ops.ordering import top_k as largest
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.scanning import cumsum
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor

NEVER = -1e10  # a prediction that no threshold lets through
EDGE = 1e-7  # how far the outer thresholds lie outside 0 and 1


def in_thresholds(thresholds: Any, default: float = 0.5) -> list[float]:
    """Thresholds as a list. Raises ValueError for one outside 0..1."""
    if thresholds is None:
        return [default]
    listed = [float(t) for t in np.ravel(thresholds)]
    wrong = [t for t in listed if not 0 <= t <= 1]
    if wrong:
        raise ValueError(
            f"Threshold values must be in [0, 1]. Received: {wrong} in thresholds={listed}"
        )
    return listed


def spread_thresholds(count: int) -> list[float]:
    """`count` thresholds from 0 to 1; the outer ones let all and nothing through."""
    inner = [(i + 1) * 1.0 / (count - 1) for i in range(count - 2)]
    return [-EDGE, *inner, 1.0 + EDGE]


def confusions(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    thresholds: list[float],
    dtype: dt.DType,
    *,
    spread: bool = False,
    top_k: int | None = None,
    class_id: int | None = None,
    by_label: bool = False,
    label_weights: Any = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(true positives, false positives, true negatives, false negatives) for each threshold.

    Args:
      y_true, y_pred: labels, and predictions, of one shape. Those outside 0..1 are compared as
        they are, or count as 0 and 1 where the thresholds are spread.
      sample_weight: weights that broadcast against them.
      spread: the thresholds are those of `spread_thresholds` (a faster way to the same counts).
      top_k: of each row only the `top_k` largest predictions count as such.
      class_id: only this class, an index into the last axis.
      by_label: counts for each label: (thresholds, labels) instead of (thresholds,).
      label_weights: weights of the labels.

    Raises ValueError for differing shapes, and for weights that do not broadcast.
    """
    y_true = cast(convert_to_tensor(y_true), dtype)
    y_pred = cast(convert_to_tensor(y_pred), dtype)
    y_pred, y_true = matched(y_pred, y_true)
    y_pred.shape.assert_is_compatible_with(y_true.shape)
    weights = None
    if sample_weight is not None:
        weights = weights_for(y_pred.shape, cast(sample_weight, dtype))
        if class_id is not None and y_pred.shape.rank is not None:
            # they weigh the column of one class, not those of all
            check_weights(y_pred.shape[:-1].concatenate([1]), weights)
        weights = broadcast_to(weights, shape(y_pred))
    if top_k is not None:
        y_pred = _only_largest(y_pred, top_k)
    if class_id is not None:
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
        weights = None if weights is None else weights[..., class_id]
    if label_weights is not None:
        spread_weights = broadcast_to(cast(label_weights, dtype), shape(y_pred))
        weights = spread_weights if weights is None else weights * spread_weights
    labels = int(y_pred.shape[-1]) if by_label else 1
    y_true, y_pred = reshape(y_true, [-1, labels]), reshape(y_pred, [-1, labels])
    if weights is not None:
        weights = reshape(weights, [-1, labels])
    true, false = cast(cast(y_true, dt.bool), dtype), 1.0 - cast(cast(y_true, dt.bool), dtype)
    if weights is not None:
        true, false = true * weights, false * weights
    count = _by_bucket if spread else _by_comparing
    counts = count(y_pred, true, false, thresholds)
    return counts if by_label else tuple(reshape(t, [-1]) for t in counts)


def _only_largest(y_pred: Tensor, count: int) -> Tensor:
    """The `count` largest predictions of each row; the others are below every threshold."""
    _, places = largest(y_pred, count, sorted=False)
    kept = reduce_sum(one_hot(places, shape(y_pred)[-1]), -2)
    return where(kept > 0, y_pred, fill(shape(y_pred), convert_to_tensor(NEVER, y_pred.dtype)))


def _by_comparing(y_pred: Tensor, true: Tensor, false: Tensor, thresholds: list[float]) -> Any:
    limits = reshape(convert_to_tensor(thresholds, y_pred.dtype), [-1, 1, 1])
    over = cast(expand_dims(y_pred, 0) > limits, y_pred.dtype)
    under = 1.0 - over
    return tuple(reduce_sum(a * b, 1) for a, b in
                 ((over, true), (over, false), (under, false), (under, true)))  # fmt: skip


def _by_bucket(y_pred: Tensor, true: Tensor, false: Tensor, thresholds: list[float]) -> Any:
    # with even steps the last threshold below a prediction follows from its value alone
    count = len(thresholds)
    within = clip_by_value(y_pred, 0, 1)
    bucket = cast(maximum(ceil(within * (count - 1)) - 1, 0), dt.int32)
    labels = range(int(y_pred.shape[1]))

    def over(weights: Tensor) -> Tensor:
        columns = [unsorted_segment_sum(weights[:, i], bucket[:, i], count) for i in labels]
        return cumsum(stack(columns, 1), reverse=True)

    tp, fp = over(true), over(false)
    return tp, fp, reduce_sum(false, 0) - fp, reduce_sum(true, 0) - tp

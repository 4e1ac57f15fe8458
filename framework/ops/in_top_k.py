"""Whether a class is among the k with the largest predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


def _shape(predictions: Arg, targets: Arg, k: Arg) -> TensorShape:
    rows = TensorShape([predictions.shape.with_rank(2)[0]])
    return rows.merge_with(targets.shape.with_rank(1))


def _samples(rng: np.random.Generator) -> list[Any]:
    made: list[Any] = []
    for kind in (np.int32, np.int64):
        targets = np.array([0, 3, 2, 7], kind)
        predictions = rng.normal(size=(4, 5)).astype(np.float32)
        predictions[1, 3] = np.inf
        made.append(((predictions, targets, kind(2)), {}))
    return made


def _reference(predictions: Any, targets: Any, k: Any) -> np.ndarray:
    out = []
    for row, target in zip(predictions, targets):
        known = 0 <= target < len(row) and np.isfinite(row).all()
        out.append(bool(known and sum(row > row[target]) < k))
    return np.array(out)


@op("InTopKV2", dtypes=frozenset((dt.float32, dt.int32, dt.int64)), dtype=dt.bool, mixed=True,
    host=("k",), shape=_shape, differentiable=False, samples=_samples,
    reference=_reference)  # fmt: skip
def in_top_k_op(xp, predictions, targets, k):
    """predictions (n, classes), targets (n,) to bool (n,); ties at the border are all in."""
    rows, classes = predictions.shape
    if len(targets) != rows:
        raise ValueError(
            f"First dimension of predictions {rows} must match length of targets {len(targets)}"
        )
    valid = (targets >= 0) & (targets < classes)
    own = predictions[xp.arange(rows), xp.where(valid, targets, 0)][:, None]
    above = predictions > own
    # a row with an infinity or NaN is never in, as in TensorFlow
    finite = xp.isfinite(predictions).all(axis=1)
    return valid & finite & (above.sum(axis=1) < int(k))


def in_top_k(targets: Any, predictions: Any, k: int, name: str | None = None) -> Tensor:
    """Whether each target class is among the `k` largest predictions of its row.

    Args:
      targets: int32 or int64 (n,).
      predictions: float32 (n, classes).

    Returns bool (n,).
    """
    targets = convert_to_tensor(targets)
    k = targets.dtype.as_numpy_dtype(k) if isinstance(k, int) else k
    return in_top_k_op(predictions, targets, k, name=name)

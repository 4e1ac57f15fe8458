"""Softmax, its logarithm, and the cross-entropies that TensorFlow computes with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import samples
from shardtape.ops.array import expand_dims
from shardtape.ops.extremes import extreme_over
from shardtape.ops.kernel_errors import shown
from shardtape.ops.leading_sums import sum_over
from shardtape.ops.math import exp
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape

_CLASSES = frozenset((dt.int32, dt.int64))


# A loop over a row costs 40 ns before its first element, so short rows are computed as columns.
_SHORT_ROW, _MANY_ROWS = 40, 16
_BOUND = 64.0  # e**64 is 6e27: sums of 1e10 of them are numbers of float32


def _shifted(xp: Any, x: Any, out: Any = None) -> tuple[Any, int]:
    """`x` less the largest value of each row, and the axis that rows lie along.

    Rows are the last axis, of which there are elements. Short ones come as columns of a fresh
    matrix (256 rows of 10: the cross-entropy takes 12 us in place of 27), others in `out`.
    """
    classes = x.shape[-1]
    if xp is np and classes <= _SHORT_ROW and x.size >= _MANY_ROWS * classes:
        columns = x.reshape(-1, classes).T.copy()
        columns -= np.maximum.reduce(columns, 0)
        return columns, 0
    if xp is np:
        return np.subtract(x, extreme_over(np.maximum, x, (x.ndim - 1,), True), out=out), -1
    return xp.subtract(x, x.max(axis=-1, keepdims=True), out=out), -1


def _sum(xp: Any, x: Any, axis: int) -> Any:
    """Sums of rows as `_shifted` lays them, kept as an axis."""
    return sum_over(xp, x, (axis % x.ndim,), True)


def _bounded(xp: Any, x: Any) -> bool:
    """Whether the exponentials of long rows are far from infinity and zero without a shift.

    Two passes over all elements cost a third of finding each row's largest and taking it off, and
    a number that was not shifted was not rounded either.
    """
    if xp is not np or x.shape[-1] <= _SHORT_ROW or x.size < _MANY_ROWS * x.shape[-1]:
        return False
    return bool(np.maximum.reduce(x, None) <= _BOUND and np.minimum.reduce(x, None) >= -_BOUND)


def _in_rows(values: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """`values` laid as `_shifted` does, in the shape of its input."""
    return values if axis else values.T.copy().reshape(shape)


def _place(xp: Any, out: Any, values: Any, axis: int) -> None:
    """`values` laid as `_shifted` does, in `out`."""
    if not axis:
        xp.copyto(out, values.T.reshape(out.shape))


def _logits_shape(logits: Arg) -> TensorShape:
    return logits.shape.with_rank_at_least(1)


def _check_rank(logits: Any) -> None:
    if not logits.ndim:
        raise ValueError("logits must have >= 1 dimension, got []")


# ---- Softmax --------------------------------------------------------------------------------
def _softmax_reference(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@op("Softmax", dtypes=dt.FLOATING, shape=_logits_shape, samples=samples.normal((2, 3), (4,)),
    reference=_softmax_reference)  # fmt: skip
def softmax_op(xp, logits):
    """exp(logits) over its sum along the last axis; any shape of rank 1 or more."""
    _check_rank(logits)
    if not logits.size:
        return logits.copy()
    y, axis = (logits, -1) if _bounded(xp, logits) else _shifted(xp, logits)
    y = xp.exp(y, out=None if y is logits else y)
    y /= _sum(xp, y, axis)
    return _in_rows(y, axis, logits.shape)


@softmax_op.writes_into(0)
def _(xp, out, logits):
    if logits.size:
        y, axis = (logits, -1) if _bounded(xp, logits) else _shifted(xp, logits, out)
        y = xp.exp(y, out=out if y is logits else y)
        y /= _sum(xp, y, axis)
        _place(xp, out, y, axis)


@softmax_op.gradient
def _(g, y, _logits):
    return (g - reduce_sum(g * y, -1, keepdims=True)) * y


@op("LogSoftmax", dtypes=dt.FLOATING, shape=_logits_shape, samples=samples.normal((2, 3), (4,)),
    reference=lambda x: np.log(_softmax_reference(x)))  # fmt: skip
def log_softmax_op(xp, logits):
    """logits - log(sum(exp(logits))) along the last axis; any shape of rank 1 or more."""
    _check_rank(logits)
    if not logits.size:
        return logits.copy()
    y, axis = _shifted(xp, logits)
    y -= xp.log(_sum(xp, xp.exp(y), axis))
    return _in_rows(y, axis, logits.shape)


@log_softmax_op.writes_into(0)
def _(xp, out, logits):
    if logits.size:
        y, axis = _shifted(xp, logits, out)
        y -= xp.log(_sum(xp, xp.exp(y), axis))
        _place(xp, out, y, axis)


@log_softmax_op.gradient
def _(g, y, _logits):
    return g - reduce_sum(g, -1, keepdims=True) * exp(y)


# ---- cross-entropy with probabilities -------------------------------------------------------
def _dense_shapes(features: Arg, labels: Arg) -> list[TensorShape]:
    both = features.shape.with_rank(2).merge_with(labels.shape.with_rank(2))
    return [both[:1], both]


def _dense_samples(rng: np.random.Generator) -> list[Any]:
    labels = rng.uniform(0.1, 1.0, size=(3, 4))
    return [((rng.normal(size=(3, 4)), labels / labels.sum(-1, keepdims=True)), {})]


def _dense_reference(features: Any, labels: Any) -> Any:
    y = _softmax_reference(features)
    return -(labels * np.log(y)).sum(-1), y - labels


@op("SoftmaxCrossEntropyWithLogits", dtypes=dt.FLOATING, shape=_dense_shapes, outputs=2,
    samples=_dense_samples, reference=_dense_reference)  # fmt: skip
def softmax_cross_entropy_op(xp, features, labels):
    """features, labels (n, classes) to the loss (n,) and its gradient by features (n, classes).

    The gradient is softmax(features) - labels: rows of labels are distributions.
    """
    if features.shape != labels.shape or features.ndim != 2:
        raise ValueError(
            "logits and labels must be broadcastable: logits_size="
            f"{shown(features.shape)} labels_size={shown(labels.shape)}"
        )
    if not features.size:
        return xp.zeros(features.shape[0], features.dtype), features.copy()
    shifted, axis = _shifted(xp, features)
    targets = labels if axis else labels.T
    backprop = xp.exp(shifted)
    total = _sum(xp, backprop, axis)
    shifted -= xp.log(total)
    shifted *= targets
    loss = -xp.add.reduce(shifted, axis)
    backprop /= total
    backprop -= targets
    return loss, _in_rows(backprop, axis, features.shape)


def _by_logits(grads: Any, outputs: Any, features: Any) -> Any:
    """Gradient by the logits of (loss, backprop); both cross-entropies have the same one."""
    g, gg = grads
    by_loss = None if g is None else expand_dims(g, -1) * outputs[1]
    if gg is None:
        return by_loss
    y = softmax_op(features)
    by_backprop = (gg - reduce_sum(gg * y, -1, keepdims=True)) * y
    return by_backprop if by_loss is None else by_loss + by_backprop


def _by_labels(grads: Any, features: Any) -> Any:
    g, gg = grads
    by_loss = None if g is None else expand_dims(g, -1) * -log_softmax_op(features)
    if gg is None:
        return by_loss
    return -gg if by_loss is None else by_loss - gg


@softmax_cross_entropy_op.gradient
def _(grads, outputs, features, _labels):
    return _by_logits(grads, outputs, features), lambda: _by_labels(grads, features)


# ---- cross-entropy with class numbers -------------------------------------------------------
def _sparse_shapes(features: Arg, labels: Arg) -> list[TensorShape]:
    x, rows = features.shape.with_rank(2), labels.shape.with_rank(1)
    count = TensorShape([x[0]]).merge_with(rows)
    return [count, count.concatenate(x[1:])]


def _sparse_samples(rng: np.random.Generator) -> list[Any]:
    return [
        ((rng.normal(size=(3, 4)), np.array([2, 0, 3], np.int32)), {}),
        ((rng.normal(size=(2, 3)), np.array([1, 1], np.int64)), {}),
    ]


def _sparse_reference(features: Any, labels: Any) -> Any:
    return _dense_reference(features, np.eye(features.shape[-1])[labels])


def _sparse_dtype(dtypes: Any, attrs: Any) -> dt.DType:
    if not dtypes[0].is_floating or dtypes[1] not in _CLASSES:
        raise errors.InvalidArgumentError(
            "SparseSoftmaxCrossEntropyWithLogits takes floating logits and int32 or int64 labels, "
            f"not {dtypes[0].name} and {dtypes[1].name}"
        )
    return dtypes[0]


@op("SparseSoftmaxCrossEntropyWithLogits", dtypes=dt.FLOATING | _CLASSES, mixed=True,
    dtype=_sparse_dtype, shape=_sparse_shapes, outputs=2, samples=_sparse_samples,
    reference=_sparse_reference)  # fmt: skip
def sparse_softmax_cross_entropy_op(xp, features, labels):
    """features (n, classes), labels (n,) of classes to the loss (n,) and its gradient by features.

    A label that is no class raises; on a GPU (where looking would cost a wait) its row is NaN.
    """
    if features.ndim != 2 or labels.ndim != 1 or features.shape[0] != labels.shape[0]:
        raise ValueError(
            "logits must be (n, classes) and labels (n,): got logits shape "
            f"{list(features.shape)} and labels shape {list(labels.shape)}"
        )
    rows, classes = features.shape
    if not features.size:
        if rows:
            raise ValueError(f"Must have at least one class, but got logits shape [{rows}, 0]")
        return xp.zeros(0, features.dtype), features.copy()
    if xp is np:
        check_labels(labels, classes)
    backprop, axis = _shifted(xp, features)
    index = xp.arange(rows)
    at = index * classes + labels if axis else labels * xp.int64(rows) + index
    flat = backprop.reshape(-1)
    loss = -flat.take(at)
    xp.exp(backprop, out=backprop)
    total = _sum(xp, backprop, axis)
    loss += xp.log(total.reshape(-1))
    backprop /= total
    flat[at] -= 1
    backprop = _in_rows(backprop, axis, features.shape)
    if xp is not np:
        valid = (labels >= 0) & (labels < classes)
        loss = xp.where(valid, loss, xp.nan)
        backprop = xp.where(valid[:, None], backprop, xp.nan)
    return loss, backprop


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Raises InvalidArgumentError naming a label outside [0, classes)."""
    unsigned = labels.view(np.uint32 if labels.dtype.itemsize == 4 else np.uint64)
    if np.maximum.reduce(unsigned) < classes:  # as unsigned numbers negative ones are large
        return
    bad = labels[(labels < 0) | (labels >= classes)][0]
    shown = " ".join(str(v) for v in labels[:256].tolist())
    raise errors.InvalidArgumentError(
        f"Received a label value of {bad} which is outside the valid range of [0, {classes}).  "
        f"Label values: {shown} [Op:SparseSoftmaxCrossEntropyWithLogits]"
    )


@sparse_softmax_cross_entropy_op.gradient
def _(grads, outputs, features, _labels):
    return _by_logits(grads, outputs, features), None

"""Shares of right predictions. Functions give 1 or 0 for each example."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras.floatx import floatx
from shardtape.keras.metrics.base import MeanMetricWrapper
from shardtape.ops.array import reshape, shape, squeeze
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import equal
from shardtape.ops.positions import argmax
from shardtape.ops.reduce import reduce_mean
from shardtape.tensor import Tensor


def _float(x: Tensor) -> Tensor:
    return cast(x, dt.as_dtype(floatx()))


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Whether they are equal."""
    y_pred, y_true = convert_to_tensor(y_pred), convert_to_tensor(y_true)
    y_true.shape.assert_is_compatible_with(y_pred.shape)
    if y_true.dtype is not y_pred.dtype:
        y_pred = cast(y_pred, y_true.dtype)
    return _float(equal(y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """The share, over the last axis, of predictions that lie on the right side of `threshold`."""
    return reduce_mean(_binary_matches(y_true, y_pred, threshold), -1)


def _binary_matches(y_true: Any, y_pred: Any, threshold: float) -> Tensor:
    y_pred = convert_to_tensor(y_pred)
    y_true = cast(convert_to_tensor(y_true), y_pred.dtype)
    chosen = cast(y_pred > cast(threshold, y_pred.dtype), y_pred.dtype)
    return _float(equal(y_true, chosen))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Whether the largest prediction is that of the one-hot class."""
    return _sparse_matches(argmax(convert_to_tensor(y_true), -1), y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Whether the largest prediction is that of the class, without a last axis of size 1."""
    matches = _sparse_matches(y_true, y_pred)
    alone = (matches.shape.rank or 0) > 1 and matches.shape[-1] == 1
    return squeeze(matches, [-1]) if alone else matches


def _sparse_matches(y_true: Any, y_pred: Any) -> Tensor:
    y_pred, y_true = convert_to_tensor(y_pred), convert_to_tensor(y_true)
    sizes = None
    if y_true.shape.rank is not None and y_true.shape.rank == y_pred.shape.rank:
        sizes = shape(y_true)
        y_true = squeeze(y_true, [-1])
    found = argmax(y_pred, -1)
    if found.dtype is not y_true.dtype:
        found = cast(found, y_true.dtype)
    matches = _float(equal(y_true, found))
    return matches if sizes is None else reshape(matches, sizes)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Whether the class is among the `k` largest predictions."""
    y_pred, y_true = convert_to_tensor(y_pred), convert_to_tensor(y_true)
    sizes = shape(y_true)
    if y_pred.shape.rank is not None and y_pred.shape.rank > 2:
        y_pred = reshape(y_pred, [-1, y_pred.shape[-1]])
    flat = reshape(y_true, [-1]) if y_true.shape.rank != 1 else y_true
    matches = _float(nn.in_top_k(cast(flat, dt.int32), cast(y_pred, dt.float32), k))
    return matches if y_true.shape.rank == 1 else reshape(matches, sizes)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Whether the one-hot class is among the `k` largest predictions."""
    return sparse_top_k_categorical_accuracy(argmax(convert_to_tensor(y_true), -1), y_pred, k)


class Accuracy(MeanMetricWrapper):
    """The share of predictions that equal the labels."""

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """The share of predictions on the right side of `threshold`."""

    def __init__(
        self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        # weights are those of single predictions
        super().__init__(_binary_matches, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """The share of examples whose largest prediction is that of the one-hot class."""

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """The share of examples whose largest prediction is that of the class."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(_sparse_matches, name, dtype)  # weights are those of single predictions


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of examples whose one-hot class is among the `k` largest predictions."""

    def __init__(
        self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of examples whose class is among the `k` largest predictions."""

    def __init__(
        self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)

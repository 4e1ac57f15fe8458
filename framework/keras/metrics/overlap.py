"""Intersection over union of classes."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.keras.metrics.base import Metric
from shardtape.ops.array import gather, reshape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.counting import confusion_matrix
from shardtape.ops.math import div_no_nan, not_equal
from shardtape.ops.matrix_parts import matrix_diag_part
from shardtape.ops.positions import argmax
from shardtape.ops.reduce import reduce_sum


class IoU(Metric):
    """The mean intersection over union of some classes.

    Args:
      num_classes: classes.
      target_class_ids: those whose mean is taken.
      ignore_class: labels of this class count nothing.
      sparse_y_true, sparse_y_pred: class numbers; else the classes lie along `axis`.
    """

    def __init__(
        self, num_classes: int, target_class_ids: Any, name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        self.num_classes, self.target_class_ids = num_classes, list(target_class_ids)
        if self.target_class_ids and max(self.target_class_ids) >= num_classes:
            raise ValueError(
                f"Target class id {max(self.target_class_ids)} is out of range, which is "
                f"[0, {num_classes})."
            )
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_weight("total_confusion_matrix", (num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        true, predicted = convert_to_tensor(y_true), convert_to_tensor(y_pred)
        true = true if self.sparse_y_true else argmax(true, self.axis)
        predicted = predicted if self.sparse_y_pred else argmax(predicted, self.axis)
        true, predicted = reshape(cast(true, dt.int64), [-1]), reshape(cast(predicted, dt.int64),
                                                                       [-1])  # fmt: skip
        weights = None
        if sample_weight is not None:
            weights = reshape(cast(sample_weight, self._dtype), [-1])
        if self.ignore_class is not None:
            counted = not_equal(true, self.ignore_class)
            true, predicted = true[counted], predicted[counted]
            weights = None if weights is None else weights[counted]
        seen = confusion_matrix(true, predicted, self.num_classes, weights, dtype=self._dtype)
        return self.total_cm.assign_add(seen)

    def result(self) -> Any:
        counts = convert_to_tensor(self.total_cm)
        right = matrix_diag_part(counts)
        union = reduce_sum(counts, 0) + reduce_sum(counts, 1) - right
        right, union = gather(right, self.target_class_ids), gather(union, self.target_class_ids)
        there = reduce_sum(cast(not_equal(union, 0), self._dtype))
        return div_no_nan(reduce_sum(div_no_nan(right, union)), there)

    def get_config(self) -> dict[str, Any]:
        own = {
            "num_classes": self.num_classes, "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class, "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred, "axis": self.axis,
        }  # fmt: skip
        return {**super().get_config(), **own}


class MeanIoU(IoU):
    """The mean intersection over union of all classes."""

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class,
                         sparse_y_true, sparse_y_pred, axis)  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["target_class_ids"]
        return {"num_classes": self.num_classes, **config}


class OneHotIoU(IoU):
    """`IoU` of one-hot labels and of a prediction for each class."""

    def __init__(
        self, num_classes: int, target_class_ids: Any, name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False,
                         sparse_y_pred, axis)  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        first = {"num_classes": self.num_classes, "target_class_ids": self.target_class_ids}
        return {**first, **config}


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot labels and of a prediction for each class."""

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


class BinaryIoU(IoU):
    """`IoU` of the classes 0 and 1, a prediction of at least `threshold` being class 1."""

    def __init__(
        self, target_class_ids: Any = (0, 1), threshold: float = 0.5, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        chosen = cast(cast(y_pred, self._dtype) >= self.threshold, self._dtype)
        return super().update_state(y_true, chosen, sample_weight)

    def get_config(self) -> dict[str, Any]:
        base = super().get_config()
        return {"target_class_ids": self.target_class_ids, "threshold": self.threshold,
                "name": base["name"], "dtype": base["dtype"]}  # fmt: skip

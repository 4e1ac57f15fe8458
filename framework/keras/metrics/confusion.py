"""Precision, recall and counts of right and wrong predictions."""

from __future__ import annotations

from typing import Any

from shardtape.keras.metrics.base import Metric, added
from shardtape.keras.metrics.counts import (
    NEVER,
    confusions,
    in_thresholds,
)
from shardtape.ops.array import gather, size, zeros
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import div_no_nan, greater_equal
from shardtape.ops.reduce import reduce_max
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor


def _alone(values: Any, thresholds: list[float]) -> Any:
    """The value itself where there is one threshold."""
    return values[0] if len(thresholds) == 1 else convert_to_tensor(values)


class _Count(Metric):
    _which = 0  # among true positives, false positives, true negatives, false negatives

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.init_thresholds = thresholds
        self.thresholds = in_thresholds(thresholds)
        self.accumulator = self.add_weight("accumulator", (len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        counts = confusions(y_true, y_pred, sample_weight, self.thresholds, self._dtype)
        return added([(self.accumulator, counts[self._which])])

    def result(self) -> Any:
        return _alone(self.accumulator, self.thresholds)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Count):
    """The (weighted) number of predictions over a threshold that are right."""

    _which = 0


class FalsePositives(_Count):
    """The (weighted) number of predictions over a threshold that are wrong."""

    _which = 1


class TrueNegatives(_Count):
    """The (weighted) number of predictions that are rightly not over a threshold."""

    _which = 2


class FalseNegatives(_Count):
    """The (weighted) number of predictions that are wrongly not over a threshold."""

    _which = 3


class _Ratio(Metric):
    """True positives over true positives and a second kind.

    Args:
      thresholds: a number or several, 0.5 where `top_k` is not given.
      top_k: of each row only the largest predictions count as made.
      class_id: only this class, an index into the last axis.
    """

    _second, _second_name = 1, "false_positives"

    def __init__(
        self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None,
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        if thresholds is None and top_k is not None:
            self.thresholds = [NEVER]
        else:
            self.thresholds = in_thresholds(thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_weight("true_positives", shape)
        self._others = self.add_weight(self._second_name, shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        counts = confusions(
            y_true, y_pred, sample_weight, self.thresholds, self._dtype, top_k=self.top_k,
            class_id=self.class_id,
        )  # fmt: skip
        return added([(self.true_positives, counts[0]), (self._others, counts[self._second])])

    def result(self) -> Any:
        found = div_no_nan(self.true_positives, self.true_positives + self._others)
        return _alone(found, self.thresholds)

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Precision(_Ratio):
    """The share of right ones among the predictions over a threshold."""

    @property
    def false_positives(self) -> Any:
        """The counts, by threshold."""
        return self._others


class Recall(_Ratio):
    """The share of the positive examples whose prediction is over a threshold."""

    _second, _second_name = 3, "false_negatives"

    @property
    def false_negatives(self) -> Any:
        """The counts, by threshold."""
        return self._others


class _Constrained(Metric):
    """The best of one rate over all thresholds at which another reaches a value."""

    def __init__(
        self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any
    ) -> None:
        super().__init__(name, dtype)
        if num_thresholds <= 0:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 0. Received: "
                f"num_thresholds={num_thresholds}"
            )
        if value < 0 or value > 1:
            raise ValueError(f"the wanted rate must be in the range [0, 1]. Received: {value}")
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        inner = [(i + 1) * 1.0 / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        self.thresholds = [0.5] if num_thresholds == 1 else [0.0, *inner, 1.0]
        shape = (len(self.thresholds),)
        self.true_positives = self.add_weight("true_positives", shape)
        self.true_negatives = self.add_weight("true_negatives", shape)
        self.false_positives = self.add_weight("false_positives", shape)
        self.false_negatives = self.add_weight("false_negatives", shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        counts = confusions(
            y_true, y_pred, sample_weight, self.thresholds, self._dtype, class_id=self.class_id
        )
        state = (self.true_positives, self.false_positives, self.true_negatives,
                 self.false_negatives)  # fmt: skip
        return added(zip(state, counts))

    def _rates(self) -> tuple[Tensor, Tensor, Tensor]:
        """(sensitivity or recall, specificity, precision), by threshold."""
        tp, fp, tn, fn = (self.true_positives, self.false_positives, self.true_negatives,
                          self.false_negatives)  # fmt: skip
        return div_no_nan(tp, tp + fn), div_no_nan(tn, tn + fp), div_no_nan(tp, tp + fp)

    def _best(self, rate: Tensor, wanted: Tensor) -> Tensor:
        feasible = where(greater_equal(wanted, convert_to_tensor(self.value, wanted.dtype)))
        best = reduce_max(gather(rate, feasible[:, 0]))
        return where(size(feasible) > 0, best, zeros((), rate.dtype))

    def _config(self, name: str) -> dict[str, Any]:
        return {**super().get_config(), "class_id": self.class_id,
                "num_thresholds": self.num_thresholds, name: self.value}  # fmt: skip


class SensitivityAtSpecificity(_Constrained):
    """The highest sensitivity at which the specificity is at least `specificity`."""

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None,
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        sensitivity, specificity, _ = self._rates()
        return self._best(sensitivity, specificity)

    def get_config(self) -> dict[str, Any]:
        return self._config("specificity")


class SpecificityAtSensitivity(_Constrained):
    """The highest specificity at which the sensitivity is at least `sensitivity`."""

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None,
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        sensitivity, specificity, _ = self._rates()
        return self._best(specificity, sensitivity)

    def get_config(self) -> dict[str, Any]:
        return self._config("sensitivity")


class PrecisionAtRecall(_Constrained):
    """The highest precision at which the recall is at least `recall`."""

    def __init__(
        self, recall: float, num_thresholds: int = 200, class_id: int | None = None,
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        recall, _, precision = self._rates()
        return self._best(precision, recall)

    def get_config(self) -> dict[str, Any]:
        return self._config("recall")


class RecallAtPrecision(_Constrained):
    """The highest recall at which the precision is at least `precision`."""

    def __init__(
        self, precision: float, num_thresholds: int = 200, class_id: int | None = None,
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        recall, _, precision = self._rates()
        return self._best(recall, precision)

    def get_config(self) -> dict[str, Any]:
        return self._config("precision")

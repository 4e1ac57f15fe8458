"""The area under the curve of true over false positives, or of precision over recall."""

from __future__ import annotations

from typing import Any

from shardtape.keras.metrics.base import Metric, added
from shardtape.keras.metrics.counts import EDGE, confusions, in_thresholds, spread_thresholds
from shardtape.nn import sigmoid
from shardtape.ops.array import ones_like
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import div_no_nan, log, logical_and, maximum, minimum
from shardtape.ops.reduce import reduce_mean, reduce_sum
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor

_CURVES, _SUMS = ("ROC", "PR"), ("interpolation", "minoring", "majoring")


class AUC(Metric):
    """The area under a curve of rates, over evenly spread thresholds.

    Args:
      num_thresholds: how many.
      curve: "ROC" (true over false positive rate) or "PR" (precision over recall).
      summation_method: "interpolation" (trapezoids; of "PR" along true curves), "minoring" or
        "majoring" (the lower, the higher side of each step).
      thresholds: inner thresholds in place of evenly spread ones.
      multi_label: the area of each label (the last axis), and their mean.
      num_labels: labels, so that the state is there before the first batch.
      label_weights: weights of the labels: in the mean, or of the examples.
      from_logits: predictions go through a sigmoid first.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = _one_of(curve, _CURVES, "curve")
        self.summation_method = _one_of(summation_method, _SUMS, "summation_method")
        if num_labels is not None and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        super().__init__(name, dtype)
        self._init_from_thresholds = thresholds is not None
        if thresholds is None:
            if num_thresholds <= 1:
                raise ValueError(
                    "Argument `num_thresholds` must be an integer > 1. Received: "
                    f"num_thresholds={num_thresholds}"
                )
            self._thresholds = spread_thresholds(num_thresholds)
        else:
            self._thresholds = [-EDGE, *sorted(in_thresholds(thresholds)), 1.0 + EDGE]
        self.num_thresholds = len(self._thresholds)
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights = label_weights
        self._from_logits = from_logits
        self._made = False
        if not multi_label or num_labels:
            self._make_state(num_labels)

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, the outer ones among them."""
        return list(self._thresholds)

    def _make_state(self, labels: int | None) -> None:
        shape = (self.num_thresholds, labels) if self.multi_label else (self.num_thresholds,)
        self.true_positives = self.add_weight("true_positives", shape)
        self.true_negatives = self.add_weight("true_negatives", shape)
        self.false_positives = self.add_weight("false_positives", shape)
        self.false_negatives = self.add_weight("false_negatives", shape)
        self._made = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_pred = convert_to_tensor(y_pred)
        if not self._made:
            if y_pred.shape.rank != 2:
                raise ValueError(
                    "`y_pred` must have rank 2 when `multi_label=True`. Found rank "
                    f"{y_pred.shape.rank}."
                )
            self._make_state(int(y_pred.shape[1]))
        if self._from_logits:
            y_pred = sigmoid(y_pred)
        counts = confusions(
            y_true, y_pred, sample_weight, self._thresholds, self._dtype,
            spread=not self._init_from_thresholds, by_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )  # fmt: skip
        state = (self.true_positives, self.false_positives, self.true_negatives,
                 self.false_negatives)  # fmt: skip
        return added(zip(state, counts))

    def result(self) -> Any:
        tp, fp = convert_to_tensor(self.true_positives), convert_to_tensor(self.false_positives)
        tn, fn = convert_to_tensor(self.true_negatives), convert_to_tensor(self.false_negatives)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _precision_recall_pieces(tp, fp, fn)
        else:
            recall = div_no_nan(tp, tp + fn)
            if self.curve == "ROC":
                x, y = div_no_nan(fp, fp + tn), recall
            else:
                x, y = recall, div_no_nan(tp, tp + fp)
            areas = (x[:-1] - x[1:]) * self._heights(y)
        if not self.multi_label:
            return reduce_sum(areas)
        by_label = reduce_sum(areas, 0)
        if self.label_weights is None:
            return reduce_mean(by_label)
        weights = convert_to_tensor(self.label_weights, by_label.dtype)
        return div_no_nan(reduce_sum(by_label * weights), reduce_sum(weights))

    def _heights(self, y: Tensor) -> Tensor:
        if self.summation_method == "interpolation":
            return (y[:-1] + y[1:]) / 2.0
        return (minimum if self.summation_method == "minoring" else maximum)(y[:-1], y[1:])

    def reset_state(self) -> None:
        if self._made:
            super().reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "num_thresholds": self.num_thresholds, "curve": self.curve,
            "summation_method": self.summation_method, "multi_label": self.multi_label,
            "num_labels": self.num_labels, "label_weights": self.label_weights,
            "from_logits": self._from_logits,
        }  # fmt: skip
        if self._init_from_thresholds:
            own["thresholds"] = self._thresholds[1:-1]
        return {**super().get_config(), **own}


def _one_of(value: str, known: tuple[str, ...], what: str) -> str:
    found = next((k for k in known if k.lower() == str(value).lower()), None)
    if found is None:
        raise ValueError(f'Invalid AUC {what} value: "{value}". Expected values are {list(known)}')
    return found


def _precision_recall_pieces(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """Areas between neighbouring thresholds, where the true positives grow evenly with all.

    Davis and Goadrich, The relationship between precision-recall and ROC curves (2006).
    """
    step = tp[:-1] - tp[1:]
    made = tp + fp
    slope = div_no_nan(step, maximum(made[:-1] - made[1:], 0))
    intercept = tp[1:] - slope * made[1:]
    both = logical_and(made[:-1] > 0, made[1:] > 0)
    ratio = where(both, div_no_nan(made[:-1], maximum(made[1:], 0)), ones_like(made[1:]))
    area = slope * (step + intercept * log(ratio))
    return div_no_nan(area, maximum(tp[1:] + fn[1:], 0))

"""`tf.keras.metrics.experimental.PyMetric`: metrics written in plain Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from shardtape.context import executing_eagerly
from shardtape.graph.py_function import numpy_function, py_function
from shardtape.keras.metrics.base import Metric
from shardtape.ops.array import zeros
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape


class PyMetric(Metric):
    """Base of metrics that use values: `update_state` and `result` run as Python at each step.

    Subclasses define `update_state(y_true, y_pred, sample_weight=None)` on eager tensors,
    `result()` and `reset_state()`, which is called at first, too; what they keep are plain
    attributes.
    """

    _results_are_converted = False  # see `_as_tensor`

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.reset_state()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in cls.__dict__:
            cls.update_state = _at_each_step(cls.update_state)  # type: ignore[method-assign]
        if "result" in cls.__dict__:
            cls.result = _as_tensor(cls.result)  # type: ignore[method-assign]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:  # type: ignore[override]
        """Takes in a batch of eager tensors."""
        raise NotImplementedError("Subclasses should implement `update_state`")

    def result(self) -> Any:
        """The value so far, a number."""
        raise NotImplementedError("Subclasses should implement `result`")

    def reset_state(self) -> None:
        """Forgets what was taken in."""
        raise NotImplementedError("Subclasses should implement `reset_state`")

    def merge_state(self, metrics: Any) -> Any:
        """Takes in what other metrics of the class have taken in."""
        raise NotImplementedError("Subclasses should implement `merge_state`")


def _at_each_step(update: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(update)
    def wrapped(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        given = [y_true, y_pred, *([] if sample_weight is None else [sample_weight])]
        if executing_eagerly():
            return update(self, *[convert_to_tensor(v) for v in given])

        def run(*values: Any) -> Any:
            update(self, *values)
            return zeros([])

        return py_function(run, given, self._dtype)

    return wrapped


def _as_tensor(result: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(result)
    def wrapped(self: Any) -> Any:
        if executing_eagerly():
            return convert_to_tensor(result(self), self._dtype)
        kind = self._dtype.numpy_dtype.type
        made = numpy_function(lambda: kind(result(self)), [], self._dtype)
        made.set_shape(TensorShape([]))
        return made

    return wrapped

"""The learning rate of an optimizer and the count of its updates, on which a schedule depends."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.context import building, state
from shardtape.optimizers.schedules import LearningRateSchedule
from shardtape.variable import Variable


class Rated:
    """What of `Optimizer` concerns its learning rate; its `__init__` sets what is named."""

    rule: Any
    _callable: Any
    _rate: Variable | None
    _iterations: Variable | int
    _variables: list[Any]
    _made_in_trace: bool
    _updating = False  # a schedule then tells the rate of the update that is being made
    _latest: Variable | None = None
    _count_name = "iteration"

    def _rate_name(self) -> str:
        return "learning_rate"

    @property
    def iterations(self) -> Variable:
        """Updates so far, an int64 Variable (assignable)."""
        if not isinstance(self._iterations, Variable):
            self._iterations = self._scalar(self._iterations, "int64", self._count_name)
        return self._iterations

    @iterations.setter
    def iterations(self, variable: Any) -> None:
        if self._variables:
            raise RuntimeError(
                "Cannot set `iterations` to a new Variable after the Optimizer weights have been "
                "created."
            )
        self._iterations = variable

    @property
    def learning_rate(self) -> Any:
        """A float32 Variable (assignable); of a schedule: one of the latest update's rate."""
        rate = self.rule.learning_rate
        if isinstance(rate, LearningRateSchedule):
            if state.graph is not None:
                return self._scheduled_in_graph()
            return rate(self._step()) if self._updating else self._latest_rate()
        if self._callable is not None:
            return self._callable()
        if self._rate is None:
            self._rate = self._scalar(rate, "float32", self._rate_name())
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule):
            self.rule.learning_rate, self._rate, self._callable = value, None, None
            return
        if isinstance(self.rule.learning_rate, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its "
                "`learning_rate` constructor argument, hence its learning rate is not settable. "
                "If you need the learning rate to be settable, you should instantiate the "
                "optimizer with a float `learning_rate` argument."
            )
        self._callable = None
        self.rule.learning_rate = checked_rate(value)
        if self._rate is not None:
            self._rate.assign(self.rule.learning_rate)

    lr = learning_rate

    def _latest_rate(self) -> Variable:
        value = self.rule.learning_rate_at(max(self._step() - 1, 0))
        if self._latest is None:
            self._latest = self._scalar(value, "float32", "current_learning_rate")
        else:
            self._latest.assign(value)
        return self._latest

    def _scheduled_in_graph(self) -> Any:
        """The rate that the schedule gives when the graph runs: of an update or the latest."""
        from shardtape.graph.py_function import numpy_function

        rate, back = self.rule.learning_rate_at, 0 if self._updating else 1
        made = numpy_function(
            lambda n: np.float32(rate(max(int(n) - back, 0))), [self.iterations], np.float32
        )
        made.set_shape([])
        return made

    def _take_rate(self, learning_rate: Any) -> None:
        """Takes over a number, a schedule or a callable, of which a Variable is yet to be made."""
        if callable(learning_rate) and not isinstance(learning_rate, LearningRateSchedule):
            self._callable, learning_rate = learning_rate, float(learning_rate())
        self.rule.learning_rate, self._rate = checked_rate(learning_rate), None

    def _build_learning_rate(self, learning_rate: Any) -> Any:
        """Takes over a number, a schedule or a callable; returns what `learning_rate` is."""
        self._take_rate(learning_rate)
        scheduled = isinstance(self.rule.learning_rate, LearningRateSchedule)
        return self.rule.learning_rate if scheduled else self.learning_rate

    def _step(self) -> int:
        return int(self._iterations)

    def current_learning_rate(self) -> float:
        """The learning rate of the next update."""
        if self._rate is not None:
            return float(self._rate)
        if self._callable is not None:
            return float(np.float32(self._callable()))
        return self.rule.learning_rate_at(self._step())

    def _rate_of_update(self) -> float:
        """The learning rate as the next update takes it."""
        return self.current_learning_rate()

    def _scalar(self, value: Any, dtype: str, name: str) -> Variable:
        return scalar_variable(value, dtype, name, not self._made_in_trace)


def checked_rate(value: Any) -> Any:
    """A schedule as it is, anything else as a float. Raises ValueError where it is neither."""
    if isinstance(value, LearningRateSchedule):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            "Argument `learning_rate` should be float, or an instance of LearningRateSchedule, or "
            f"a callable. Received instead: learning_rate={value!r}"
        ) from None


def scalar_variable(value: Any, dtype: str, name: str, declared: bool) -> Variable:
    """A Variable of an optimizer that is not trained, outside of any graph.

    Args:
      declared: it counts as made with the optimizer, not in the function that is traced.
    """
    with building(None):
        made = Variable(value, trainable=False, name=name, dtype=dtype)
    made._was_declared = declared
    return made

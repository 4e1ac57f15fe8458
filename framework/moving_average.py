"""`tf.train.ExponentialMovingAverage`: smoothed copies of Variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.context import building
from shardtape.ops import math
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.variable import Variable


class ExponentialMovingAverage:
    """Keeps for each Variable an average: `average = decay * average + (1 - decay) * value`.

    Args:
      decay: between 0 and 1.
      num_updates: number of steps so far; the decay is then min(decay, (1 + n) / (10 + n)).
      zero_debias: accepted; averages of Variables start at their values.
      name: of the averages, after the Variables' own.
    """

    def __init__(
        self, decay: Any, num_updates: Any = None, zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:  # fmt: skip
        self._decay, self._num_updates, self._name = decay, num_updates, name
        self._averages: dict[int, Variable] = {}

    @property
    def name(self) -> str:
        return self._name

    def apply(self, var_list: Sequence[Variable] | None = None) -> None:
        """Moves the averages on; the first time makes them.

        Raises:
          ValueError: no Variables are named.
          TypeError: one that is no floating Variable.
        """
        if var_list is None:
            raise ValueError("apply needs the list of Variables to average")
        decay = convert_to_tensor(self._decay)
        if self._num_updates is not None:
            steps = cast(convert_to_tensor(self._num_updates), decay.dtype)
            decay = math.minimum(decay, (1.0 + steps) / (10.0 + steps))
        for variable in var_list:
            if not isinstance(variable, Variable) or not variable.dtype.is_floating:
                raise TypeError(f"The variables must be floating tf.Variables, got {variable!r}")
            average = self._averages.get(variable._id)
            if average is None:
                with building(None):
                    average = self._averages[variable._id] = Variable(
                        variable.numpy(), trainable=False, name=self.average_name(variable)
                    )
            rest = 1.0 - cast(decay, variable.dtype)
            average.assign_sub(rest * (average - variable))

    def average(self, var: Variable) -> Variable | None:
        """The average of a Variable; None before `apply`."""
        return self._averages.get(var._id)

    def average_name(self, var: Variable) -> str:
        """The name that the average has or will have."""
        return f"{var.name.removesuffix(':0')}/{self._name}"

    def variables_to_restore(self, moving_avg_variables: Any = None) -> dict[str, Variable]:
        """By the names of their averages, the Variables whose averages there are or may be."""
        return {self.average_name(v): v for v in moving_avg_variables or ()}

    def _trackable_children(self) -> dict[str, Any]:
        return {f"average-{i}": v for i, v in enumerate(self._averages.values())}

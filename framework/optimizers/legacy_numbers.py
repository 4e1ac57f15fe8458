"""The numbers of a legacy optimizer as Variables: its updates hear `optimizer.beta_1.assign(0.8)`.

A Variable is made when it is read first. They are named as those of Keras 2.10: in the optimizer's
scope where an update was made before one of them was read, else without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers.learning_rate import scalar_variable
from shardtape.optimizers.optimizer import hyperparameter
from shardtape.optimizers.rule import shortest
from shardtape.variable import Variable


class number(hyperparameter):
    """A hyperparameter that reads as a float32 Variable."""

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else optimizer._numbers.variable(self._name)

    def __set__(self, optimizer: Any, value: Any) -> None:
        super().__set__(optimizer, value)
        optimizer._numbers.note(self._name, value)


class Numbers:
    """The Variables of the numbers of one optimizer's rule."""

    def __init__(self) -> None:
        self.rule: Any = None
        self.declared = True
        self.scope: str | None = None  # what their names start with, once there are any
        self._made: dict[str, Variable] = {}

    def scoped(self, name: str) -> str:
        """The name of a Variable made now."""
        if self.scope is None:
            self.scope = ""
        return self.scope + name

    def variable(self, name: str, shown: str | None = None) -> Variable:
        """The Variable of a number of the rule, under another name where one is given."""
        if name not in self._made:
            made = scalar_variable(
                getattr(self.rule, name), "float32", self.scoped(shown or name), self.declared
            )
            self._made[name] = made
        return self._made[name]

    def note(self, name: str, value: Any) -> None:
        """Tells the Variable, where there is one, that the rule's number was set."""
        if name in self._made:
            self._made[name].assign(value)

    def take(self) -> None:
        """Gives the rule what was assigned to the Variables."""
        for name, variable in self._made.items():
            value = np.float32(variable._read_array())
            if value != np.float32(getattr(self.rule, name)):
                setattr(self.rule, name, shortest(value))

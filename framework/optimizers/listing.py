"""The state of an optimizer as Keras lists it: the count of steps, then the slots.

Moving averages come first. Most optimizers list the slots variable by variable, RMSprop slot by
slot; the largest second moments of `amsgrad` come last, and SGD has a momentum also where it uses
none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.optimizers import custom, replicated
from shardtape.variable import Variable

_HAT = "velocity_hat"
_SHORT_NAMES = {"momentum": "m", "velocity": "v", _HAT: "vhat"}  # as Keras names slots


def listed_slots(optimizer: Any) -> list[tuple[str, Any, np.ndarray | None]]:
    """(slot, variable, live array) in Keras's order; None for a slot that ours does without."""
    variables = optimizer.updated_variables
    slots = list(optimizer.rule.slots)
    kind = optimizer.rule.class_name
    held = {(name, v._id): optimizer._slots_of(v)[name] for name in slots for v in variables}

    def each(name: str) -> list[tuple[str, Any, np.ndarray | None]]:
        return [(name, v, held[name, v._id]) for v in variables]

    first = each("average") if "average" in slots else []
    own = [name for name in slots if name not in ("average", _HAT)]
    if kind == "SGD" and not own:
        return [*first, *[("momentum", v, None) for v in variables]]
    if kind == "RMSprop":
        return [*first, *[entry for name in own for entry in each(name)]]
    found = [(name, v, held[name, v._id]) for v in variables for name in own]
    # Adafactor's rows and columns, which vectors have not
    found = [(n, v, array) for n, v, array in found if array.size or not v.shape.num_elements()]
    return [*first, *found, *(each(_HAT) if _HAT in slots else [])]


def short_name(optimizer: Any, slot: str) -> str:
    """The name of a slot in the names of Keras's Variables."""
    return slot if optimizer.rule.class_name == "RMSprop" else _SHORT_NAMES.get(slot, slot)


class _SlotVariable(Variable):
    """A Variable that lives in a slot, which the rule changes in place: reads are copies."""

    _is_input = False

    def value(self) -> Any:
        from shardtape.tensor import EagerTensor

        return EagerTensor(self._array.copy())

    _as_operand = value

    def numpy(self) -> Any:
        return self._array.copy()


class VariableList(list):
    """A list that may be called: `optimizer.variables()` is the older way to write it."""

    def __call__(self) -> list[Any]:
        return self


class ListedState:
    """What of `Optimizer` concerns its state as Variables; its `__init__` sets what is named."""

    name: str
    rule: Any
    iterations: Any
    _variables: list[Any]
    _slots: dict[int, dict[str, Any]]
    _slot_variables: dict[tuple[int, str], Variable]
    _slot_scopes: dict[int, str]
    _added: list[Variable]

    def _slots_of(self, variable: Any) -> dict[str, Any]:
        key = variable._id
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = {}
            self._variables.append(variable)
        for name in self.rule.slots:
            if name not in slots:
                slots[name] = self.rule.initial(name, variable._storage())
        return slots

    @property
    def updated_variables(self) -> list[Any]:
        """The Variables that have slots, in the order of `build`."""
        return list(self._variables)

    @property
    def variables(self) -> list[Any]:
        """The optimizer's own state: `iterations`, then the slots, in Keras's order.

        They share their memory with the slots, so that an assignment is one to the state.
        """
        out: list[Any] = [self.iterations]
        for slot, variable, array in listed_slots(self):
            out.append(self._slot_variable(variable, slot, array))
        return VariableList([*out, *self._added])

    def _slot_variable(self, variable: Any, slot: str, array: Any) -> Any:
        key = (variable._id, slot)
        found = self._slot_variables.get(key)
        if found is None or (array is not None and found._array is not array):
            first = np.zeros(tuple(variable.shape), np.float32) if array is None else array.copy()
            name = self._slot_name(variable, slot)
            found = _SlotVariable(first, trainable=False, name=name)
            if array is not None:
                found.bind(array)
            self._slot_variables[key] = found
        return found

    def _slot_name(self, variable: Any, slot: str) -> str:
        scope = self._slot_scopes.get(variable._id, f"{self.name}/")
        return f"{scope}{short_name(self, slot)}/{variable.name.removesuffix(':0')}"

    def set_weights(self, weights: Any) -> None:
        """Sets `variables` from arrays in their order.

        Raises ValueError before `build`, and where number or shapes do not fit.
        """
        if not self._variables:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. "
                "Please call `optimizer.build(trainable_variables)` to create the optimizer "
                "weights before calling `set_weights()`."
            )
        self._set(self.variables, list(weights))

    def _set(self, variables: list[Any], weights: list[Any]) -> None:
        if len(variables) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on optimizer {self.name} with a weight list "
                f"of length {len(weights)}, but the optimizer was expecting {len(variables)} "
                "weights."
            )
        for variable, array in zip(variables, weights):
            if tuple(variable.shape) != np.shape(array):
                raise ValueError(
                    f"Optimizer variable {variable.name} has shape {variable.shape} not "
                    f"compatible with provided weight shape {np.shape(array)}."
                )
        for variable, array in zip(variables, weights):
            variable.assign(np.asarray(array, variable.dtype.numpy_dtype))

    # ---- optimizers of a user's own -------------------------------------------------------------
    def update_step(self, gradient: Any, variable: Any) -> None:
        """Updates one Variable, in ops; defined by optimizers of one's own, see `custom`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `update_step(gradient, variable)`"
        )

    @property
    def _updates_by_step(self) -> bool:
        return self.rule.class_name == custom.CustomRule.class_name

    def add_variable(
        self, shape: Any, dtype: Any = None, initializer: Any = "zeros", name: str | None = None
    ) -> Variable:
        """Makes a Variable of the optimizer's state."""
        return custom.new_variable(self, shape, dtype, initializer, name)

    def add_variable_from_reference(
        self, model_variable: Any, variable_name: str, shape: Any = None, initial_value: Any = None
    ) -> Variable:
        """Makes a Variable of the state that belongs to one of the model: zeros of its shape."""
        return custom.variable_like(self, model_variable, variable_name, shape, initial_value)

    def _var_key(self, variable: Any) -> str:
        """What `_index_dict` has the place of a Variable under."""
        return f"{variable.name.removesuffix(':0')}_{replicated.identity(variable)}"

    def _serialize_hyperparameter(self, value: Any) -> Any:
        """A setting fit for `get_config`: schedules by their configuration, Variables by value."""
        from shardtape.optimizers import schedules

        if isinstance(value, schedules.LearningRateSchedule):
            return schedules.serialize(value)
        if callable(value):
            return value()
        if not isinstance(value, Variable):
            return value
        held = value.numpy()
        if held.ndim or held.dtype.kind in "biu":
            return held.tolist()
        return float(str(held))  # 0.1, not 0.10000000149011612

    def aggregate_gradients(self, grads_and_vars: Any) -> list[Any]:
        """The pairs with the sums of all replicas; of one replica as they are."""
        return replicated.summed(list(grads_and_vars))

"""The state of an optimizer as Keras lists it: the count of steps, then the slots.

Most optimizers list the slots variable by variable, RMSprop slot by slot; the largest second
moments of `amsgrad` come last, and SGD has a momentum also where it uses none.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from shardtape.optimizers import SGD, Optimizer, RMSprop

_log = logging.getLogger("shardtape")
_HAT = "velocity_hat"
_NAMES = {"momentum": "m", "velocity": "v", _HAT: "vhat"}


def _listed(optimizer: Optimizer) -> list[tuple[str, Any, np.ndarray | None]]:
    """(slot, variable, live array) in Keras's order; None for a slot that ours does without."""
    variables = optimizer.updated_variables
    slots = list(optimizer.rule.slots)
    if isinstance(optimizer, SGD) and not slots:
        return [("momentum", v, None) for v in variables]
    held = {(name, v._id): optimizer._slots_of(v)[name] for name in slots for v in variables}
    if isinstance(optimizer, RMSprop):
        return [(name, v, held[name, v._id]) for name in slots for v in variables]
    usual = [name for name in slots if name != _HAT]
    out = [(name, v, held[name, v._id]) for v in variables for name in usual]
    # Adafactor's rows and columns, which vectors have not
    out = [(name, v, array) for name, v, array in out if array.size or not v.shape.num_elements()]
    last = [name for name in slots if name == _HAT]
    return out + [(name, v, held[name, v._id]) for name in last for v in variables]


def inner(optimizer: Any) -> Any:
    """The optimizer that does the updates: of one that scales the loss what it wraps."""
    return vars(optimizer).get("inner_optimizer", optimizer)


def is_known(optimizer: Any) -> bool:
    """Whether the state of an optimizer can be listed as Keras does."""
    return isinstance(optimizer, Optimizer) and not optimizer.use_ema


def named_arrays(optimizer: Optimizer) -> list[tuple[str, np.ndarray]]:
    """The state with the names that Keras gives it."""
    optimizer = inner(optimizer)
    out: list[tuple[str, np.ndarray]] = [("iteration:0", np.asarray(optimizer._step(), np.int64))]
    for slot, variable, array in _listed(optimizer):
        short = _NAMES.get(slot, slot) if not isinstance(optimizer, RMSprop) else slot
        value = np.zeros(tuple(variable.shape), np.float32) if array is None else array
        out.append((f"{optimizer.name}/{short}/{variable.name}", np.array(value)))
    return out


def arrays(optimizer: Optimizer) -> list[np.ndarray]:
    """The state without names."""
    return [array for _, array in named_arrays(optimizer)]


def restore(optimizer: Optimizer, model: Any, state: list[np.ndarray]) -> None:
    """Takes over what `arrays` or Keras gave; where it does not fit, it warns as Keras does."""
    if not is_known(optimizer):
        _log.warning("The state of the optimizer %s is not taken over", optimizer.name)
        return
    if not model.built:
        return
    optimizer = inner(optimizer)
    optimizer.build(model.trainable_variables)
    if len(state) == 1:  # it had not run yet
        optimizer.iterations.assign(int(state[0]))
        return
    listed = _listed(optimizer)
    fits = len(state) == 1 + len(listed) and all(
        array.shape == (tuple(v.shape) if live is None else live.shape)
        for array, (_, v, live) in zip(state[1:], listed)
    )
    if not fits:
        _log.warning(
            "Skipping variable loading for optimizer '%s', because it has %d variables whereas the "
            "saved optimizer has %d variables.", optimizer.name, 1 + len(listed), len(state)
        )  # fmt: skip
        return
    for (_, _, live), array in zip(listed, state[1:]):
        if live is not None:
            live[...] = np.asarray(array).reshape(live.shape)
    optimizer.iterations.assign(int(state[0]))

"""The state of an optimizer in Keras's files; `optimizers.listing` has its order."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from shardtape.optimizers import Optimizer, legacy
from shardtape.optimizers.listing import listed_slots, short_name

_log = logging.getLogger("shardtape")


def inner(optimizer: Any) -> Any:
    """The optimizer that does the updates: of one that scales the loss what it wraps."""
    return vars(optimizer).get("inner_optimizer", optimizer)


def is_known(optimizer: Any) -> bool:
    """Whether the state of an optimizer can be listed as Keras does."""
    return isinstance(optimizer, Optimizer)


def named_arrays(optimizer: Optimizer) -> list[tuple[str, np.ndarray]]:
    """The state with the names that Keras gives it."""
    optimizer = inner(optimizer)
    if isinstance(optimizer, legacy.Optimizer):
        first, *others = optimizer.weights
        named = [(f"{optimizer.name}/iter:0", first), *[(v.name, v) for v in others]]
        return [(name, v.numpy()) for name, v in named]
    if optimizer._updates_by_step:
        return [(v.name, v.numpy()) for v in optimizer.variables]
    out: list[tuple[str, np.ndarray]] = [("iteration:0", np.asarray(optimizer._step(), np.int64))]
    for slot, variable, array in listed_slots(optimizer):
        short = short_name(optimizer, slot)
        value = np.zeros(tuple(variable.shape), np.float32) if array is None else array
        out.append((f"{optimizer.name}/{short}/{variable.name}", np.array(value)))
    return out


def arrays(optimizer: Optimizer) -> list[np.ndarray]:
    """The state without names."""
    return [array for _, array in named_arrays(optimizer)]


def restore(
    optimizer: Optimizer, model: Any, state: list[np.ndarray], names: list[str] | None = None
) -> None:
    """Takes over what `arrays` or Keras gave; where it does not fit, it warns as Keras does.

    Args:
      names: of the state in an HDF5 file, of which Keras takes what comes before the first that
        does not fit. Where layers were frozen or thawed after `compile`, that is the number of
        steps and the state of the layers before the first of these.
    """
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
    if isinstance(optimizer, legacy.Optimizer):
        wanted = optimizer.weights
        if [a.shape for a in state] == [tuple(v.shape) for v in wanted]:
            optimizer.set_weights(state)
        else:
            _warn(optimizer, len(wanted), len(state))
        return
    if optimizer._updates_by_step:
        own = optimizer.variables
        if [np.shape(a) for a in state] != [tuple(v.shape) for v in own]:
            _warn(optimizer, len(own), len(state))
            return
        for variable, array in zip(own, state):
            variable.assign(np.asarray(array, variable.dtype.numpy_dtype))
        return
    listed = listed_slots(optimizer)
    fits = len(state) == 1 + len(listed) and all(
        array.shape == (tuple(v.shape) if live is None else live.shape)
        for array, (_, v, live) in zip(state[1:], listed)
    )
    if not fits:
        _warn(optimizer, 1 + len(listed), len(state))
        if names is None or not state or np.shape(state[0]) != ():
            return
        wanted = [name for name, _ in named_arrays(optimizer)]
        shapes = [tuple(v.shape) if live is None else live.shape for _, v, live in listed]
        same = [
            a == b and array.shape == shape
            for a, b, array, shape in zip(wanted[1:], names[1:], state[1:], shapes)
        ]
        listed = listed[: (same + [False]).index(False)]
    for (_, _, live), array in zip(listed, state[1:]):
        if live is not None:
            live[...] = np.asarray(array).reshape(live.shape)
    optimizer.iterations.assign(int(state[0]))
    optimizer._begin_again()


def _warn(optimizer: Any, wanted: int, given: int) -> None:
    _log.warning(
        "Skipping variable loading for optimizer '%s', because it has %d variables whereas the "
        "saved optimizer has %d variables.", optimizer.name, wanted, given
    )  # fmt: skip

"""The state of a model in Keras's newer layout: an HDF5 group for each object, by its path.

The path of an object is made of the attributes that lead to it; the members of a list are named by
their classes: `layers/dense_1/vars/0`, `layers/lstm/cell/vars/2`, `optimizer/vars/0`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape.keras.layers.base import Layer
from shardtape.keras.metrics.base import Metric
from shardtape.keras.naming import snake_case
from shardtape.keras.saving import optimizer_state
from shardtape.keras.saving.hdf5_layout import own_weights
from shardtape.keras.saving.lookup_forms import vocabulary_files
from shardtape.optimizers import Optimizer

_log = logging.getLogger("shardtape")
# what leads elsewhere than into the object, or is under another name in these files
_SKIPPED = frozenset(
    ("compiled_loss", "compiled_metrics", "_compile_arguments", "_given", "_network", "_entrance",
     "_own_layers", "_inbound_nodes", "_own_backward", "_added_metrics", "optimizer", "layers",
     "_added_outputs", "_lookup", "_made_weights")
)  # fmt: skip


def objects_with_paths(root: Any) -> Iterator[tuple[str, Any]]:
    """Each layer, metric and optimizer under a model with its path; the model itself first."""
    yield from _walk(root, "", set())


def _walk(item: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(item) in seen:
        return
    seen.add(id(item))
    yield path, item
    for name, value in sorted(_attributes(item).items(), reverse=True):
        inner = f"{path}/{name}" if path else name
        if _has_state(value):
            yield from _walk(value, inner, seen)
        elif isinstance(value, (list, tuple, dict)):
            yield from _walk_members(value, inner, seen)


def _walk_members(members: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    counts: dict[str, int] = {}
    for member in members.values() if isinstance(members, dict) else members:
        if not _has_state(member) or id(member) in seen:
            continue
        name = snake_case(type(member).__name__)
        counts[name] = counts.get(name, -1) + 1
        full = name if counts[name] == 0 else f"{name}_{counts[name]}"
        yield from _walk(member, f"{path}/{full}", seen)


def _attributes(item: Any) -> dict[str, Any]:
    if hasattr(item, "_stateful_members"):
        return item._stateful_members()  # type: ignore[no-any-return]
    if not isinstance(item, Layer):
        return {}
    found = {k: v for k, v in vars(item).items() if k not in _SKIPPED}
    from shardtape.keras.models.model import Model

    if isinstance(item, Model):
        found["layers"] = item.layers
        found["optimizer"] = item.optimizer
        found["metrics"] = item.metrics
    return found


def _has_state(value: Any) -> bool:
    return isinstance(value, (Layer, Metric, Optimizer))


def write_state(
    file: Any, model: Any, include_optimizer: bool = True,
    vocabularies: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Writes the weights of a model, its metrics' and its optimizer's state.

    Args:
      vocabularies: takes those of lookup layers, by the names of their files.

    Raises TypeError for a vocabulary, where it is not given.
    """
    for path, item in objects_with_paths(model):
        group = (file.create_group(path) if path else file).create_group("vars")
        if isinstance(item, Optimizer):
            arrays = optimizer_state.arrays(item) if include_optimizer else []
        elif isinstance(item, Metric):
            arrays = [v.numpy() for v in item.variables]
        else:
            if hasattr(item, "get_vocabulary"):
                if vocabularies is None:
                    raise TypeError(
                        f"the vocabulary of the layer {item.name!r} has no place in HDF5"
                    )
                vocabularies.update(vocabulary_files(path, item))
                continue
            item.save_own_variables(group)
            continue
        for i, array in enumerate(arrays):
            group[str(i)] = array


def read_state(file: Any, model: Any, skip_mismatch: bool = False) -> None:
    """Gives a model the weights of a file and, where it is compiled, the optimizer's state.

    Raises ValueError for another number of weights of a layer or another shape (of a metric's
    state too), unless `skip_mismatch`; then that layer or metric is left as it is, with a warning.
    """
    for path, item in objects_with_paths(model):
        full = f"{path}/vars" if path else "vars"
        stored = file.get(full, {})
        if isinstance(item, Optimizer):
            arrays = [np.asarray(stored[str(i)]) for i in range(len(stored))]
            if arrays:
                optimizer_state.restore(item, model, arrays)
            continue
        try:
            if isinstance(item, Metric):
                if len(stored) == len(item.variables):
                    item.set_weights([np.asarray(stored[str(i)]) for i in range(len(stored))])
            elif own_weights(item) or not _keeps_seed(item):
                item.load_own_variables(stored)
        except ValueError as error:
            if not skip_mismatch:
                raise
            _log.warning("Could not load weights in object %s. Skipping object. %s", item, error)


def _keeps_seed(layer: Any) -> bool:
    """Layers of chance: Keras may keep the state of a generator there, which we have not."""
    return hasattr(layer, "seed") or hasattr(layer, "rate")

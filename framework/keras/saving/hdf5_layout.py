"""Weights in Keras's older HDF5 layout: a group for each layer, with the names of its weights.

The attributes `layer_names` (of the file) and `weight_names` (of a layer's group) hold the order;
where they would be too long for HDF5's header they are cut into `layer_names0`, `layer_names1`...
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from shardtape.variable import Variable

_log = logging.getLogger("shardtape")
KERAS_VERSION = "2.15.0"  # of the Keras whose files these are like
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEADER_BYTES = 64512  # what HDF5 holds in an object's header, less some room
_TOP_LEVEL = "top_level_model_weights"


def h5py_module(purpose: str) -> Any:
    """The package h5py. Raises ImportError that says how to install it, and what needs it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs the package h5py, which is not installed: "
            "run `pip install shardtape[h5]`"
        ) from error
    return h5py


def has_h5py() -> bool:
    """Whether HDF5 files can be read and written here."""
    try:
        h5py_module("")
    except ImportError:
        return False
    return True


def ordered_weights(layer: Any) -> list[Variable]:
    """The weights in the order of these files: trained ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def own_weights(layer: Any) -> list[Variable]:
    """The weights that belong to the layer and to none inside it: trained ones first."""
    return layer._kept_variables()


def write_names(group: Any, name: str, names: list[str]) -> None:
    """Writes a list of names as an attribute, in pieces where it is too long for one."""
    data = [n.encode() for n in names]
    pieces = 1
    arrays = [np.asarray(data)]
    while any(a.nbytes > _HEADER_BYTES for a in arrays):
        pieces += 1
        arrays = np.array_split(np.asarray(data), pieces)
    if pieces == 1:
        group.attrs[name] = data
        return
    for i, array in enumerate(arrays):
        group.attrs[f"{name}{i}"] = array


def read_names(group: Any, name: str) -> list[str]:
    """The list of names that `write_names` or Keras wrote."""
    if name in group.attrs:
        found = list(group.attrs[name])
    else:
        found = []
        while f"{name}{len(found)}" in group.attrs:
            found.append(group.attrs[f"{name}{len(found)}"])
        found = [n for piece in found for n in piece]
    return [n.decode() if isinstance(n, bytes) else str(n) for n in found]


def write_arrays(group: Any, named: list[tuple[str, Any]]) -> None:
    """Writes arrays as datasets of a group, and their names in order."""
    names: list[str] = []
    for name, _ in named:
        unique, copies = name, 0
        while unique in names:
            copies += 1
            unique = f"{name}_{copies}"
        names.append(unique)
    write_names(group, "weight_names", names)
    for name, (_, array) in zip(names, named):
        group.create_dataset(name, data=np.asarray(array))


def read_arrays(group: Any) -> list[np.ndarray]:
    """The arrays of `write_arrays`, in order."""
    return [np.asarray(group[name]) for name in read_names(group, "weight_names")]


def write_layers(group: Any, model: Any) -> None:
    """Writes the weights of a model, layer by layer."""
    layers = model.layers
    write_names(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = KERAS_VERSION.encode()
    for layer in layers:
        write_arrays(group.create_group(layer.name), _named(ordered_weights(layer)))
    write_arrays(group.create_group(_TOP_LEVEL), _named(own_weights(model)))


def _named(weights: list[Variable]) -> list[tuple[str, Any]]:
    return [(v.name, v.numpy()) for v in weights]


def read_layers(group: Any, model: Any) -> None:
    """Gives a model the weights of a file, by the order of the layers that have some.

    Raises ValueError for another number of layers or weights, or another shape.
    """
    _check_version(group)
    layers = [layer for layer in model.layers if ordered_weights(layer)]
    stored = [n for n in read_names(group, "layer_names") if read_names(group[n], "weight_names")]
    if len(stored) != len(layers):
        raise ValueError(
            "Layer count mismatch when loading weights from file. Model expected "
            f"{len(layers)} layers, found {len(stored)} saved layers."
        )
    pairs: list[tuple[Variable, np.ndarray]] = []
    for i, (layer, name) in enumerate(zip(layers, stored)):
        pairs += _paired(
            ordered_weights(layer), read_arrays(group[name]),
            f"layer #{i} (named {layer.name} in the current model, {name} in the save file)",
        )  # fmt: skip
    if _TOP_LEVEL in group:
        pairs += _paired(own_weights(model), read_arrays(group[_TOP_LEVEL]), "top-level weights")
    _assign(pairs)


def read_layers_by_name(group: Any, model: Any, skip_mismatch: bool) -> None:
    """Gives the layers of a model the weights that a file has for their names.

    Raises ValueError for another number of weights or another shape, unless `skip_mismatch`.
    """
    _check_version(group)
    by_name = {layer.name: layer for layer in model.layers}
    pairs: list[tuple[Variable, np.ndarray]] = []
    for i, name in enumerate(read_names(group, "layer_names")):
        if name in by_name:
            weights = ordered_weights(by_name[name])
            shown = f"layer #{i} (named {name})"
            pairs += _taken(weights, read_arrays(group[name]), shown, skip_mismatch)
    own = own_weights(model)
    if _TOP_LEVEL in group:
        shown = "top-level weights"
        pairs += _taken(own, read_arrays(group[_TOP_LEVEL]), shown, skip_mismatch)
    _assign(pairs)


def _taken(
    weights: list[Variable], arrays: list[np.ndarray], shown: str, skip_mismatch: bool
) -> list[tuple[Variable, np.ndarray]]:
    try:
        return _paired(weights, arrays, shown)
    except ValueError as error:
        if not skip_mismatch:
            raise
        _log.warning("Skipping loading of weights: %s", error)
    fits = len(weights) == len(arrays)  # then Keras takes those weights that fit
    pairs = zip(weights, arrays) if fits else ()
    return [(v, a) for v, a in pairs if tuple(v.shape) == a.shape]


def _paired(
    weights: list[Variable], arrays: list[np.ndarray], shown: str
) -> list[tuple[Variable, np.ndarray]]:
    if len(weights) != len(arrays):
        raise ValueError(
            f"Weight count mismatch for {shown}. Layer expects {len(weights)} weight(s). Received "
            f"{len(arrays)} saved weight(s)"
        )
    for variable, array in zip(weights, arrays):
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"Shape mismatch in {shown} for weight {variable.name}. Weight expects shape "
                f"{tuple(variable.shape)}. Received saved weight with shape {array.shape}"
            )
    return list(zip(weights, arrays))


def _assign(pairs: list[tuple[Variable, np.ndarray]]) -> None:
    for variable, array in pairs:
        variable.assign(np.asarray(array, variable.dtype.numpy_dtype))


def _check_version(group: Any) -> None:
    version = group.attrs.get("keras_version", b"1")
    version = version.decode() if isinstance(version, bytes) else str(version)
    if version.startswith(("0", "1")):
        raise ValueError(
            f"the weights were written by Keras {version}, whose layouts of kernels differ: load "
            "and save them with Keras 2 first"
        )

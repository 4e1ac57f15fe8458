"""Configurations that Keras 2.15 wrote, as objects of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.keras import function_code
from shardtape.keras.layers.additions import AddLoss, AddMetric
from shardtape.keras.saving import operation_layers
from shardtape.keras.saving.registry import imported, known
from shardtape.keras.saving.spec_forms import KIND
from shardtape.keras.symbolic import is_keras_tensor
from shardtape.shapes import TensorShape

_CONSTANT = "_CONSTANT_VALUE"
_KERNEL = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
# what Keras writes and does not use
_UNUSED = {
    **{f"SeparableConv{n}D": _KERNEL for n in (1, 2)},
    **{f"DepthwiseConv{n}D": _KERNEL for n in (1, 2)},
    **{f"Conv{n}DTranspose": ("groups",) for n in (1, 2, 3)},
}
_PREFIXES = ("Custom>", "Keras>", "keras>")


def plain_config(value: Any) -> Any:
    """A value of Keras's JSON as ours: `{"class_name", "config"}` for objects, arrays, names.

    Raises ValueError for code (`lambda`) where it may not be run, see `load_model`.
    """
    if isinstance(value, list):
        return [plain_config(v) for v in value]
    if not isinstance(value, dict):
        return value
    name = value.get("class_name")
    if name == "__tuple__":
        return tuple(plain_config(v) for v in value["items"])
    if name == "__ellipsis__":
        return Ellipsis
    if name == KIND:
        return value  # an InputLayer reads it
    if name == "TensorShape":
        return TensorShape(value.get("items"))
    if name in ("__tensor__", "__numpy__"):
        inner = value["config"]
        return np.asarray(inner["value"], inner["dtype"])
    if name == "__bytes__":
        return value["config"]["value"].encode()
    if name == "__lambda__":
        return function_code.function_of(
            value["config"].get("value", ""), "lambda", None, "the configuration"
        )
    if name == "function" and isinstance(value.get("config"), str):
        return value["config"]
    if name is None or "config" not in value:
        return {k: plain_config(v) for k, v in value.items()}
    registered = value.get("registered_name")
    out = {k: plain_config(v) for k, v in value.items() if k not in ("module", "registered_name")}
    found = registered and known(registered) is not None and registered != "Functional"
    elsewhere = None if known(name) is not None else imported(value.get("module"), name)
    out["class_name"] = registered if found else elsewhere or _bare(name)
    for key in _UNUSED.get(name, ()):
        out["config"].pop(key, None)
    return out


def _bare(name: str) -> str:
    if known(name) is not None:
        return name
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def is_keras_form(config: dict[str, Any]) -> bool:
    """Whether a functional model's configuration is Keras's: the calls are with the layers."""
    return "calls" not in config and "input_layers" in config and "layers" in config


def rebuilt_functional(
    config: dict[str, Any], make: Callable[[Any], Any]
) -> tuple[Any, Any, Any, list[Any]]:
    """(inputs, outputs, names of layers in order, tensors added to losses and metrics).

    Args:
      make: function from a layer's entry to the layer.

    Raises ValueError for calls that depend on nothing that is made.
    """
    entries = config["layers"]
    layers = {e["name"]: _layer(e, make) for e in entries}
    made: dict[tuple[str, int], list[Any]] = {}
    waiting: list[tuple[str, int, Any]] = []
    for entry in entries:
        name, layer = entry["name"], layers[entry["name"]]
        if entry["class_name"] == "InputLayer":
            made[name, 0] = [layer.output]
            continue
        start = 1 if called_already(layer) else 0
        for i, node in enumerate(entry["inbound_nodes"]):
            waiting.append((name, start + i, node))
    while waiting:
        left = [w for w in waiting if not _run(w, layers, made)]
        if len(left) == len(waiting):
            names = sorted({name for name, _, _ in left})
            raise ValueError(f"the configuration calls layers on what nothing makes: {names}")
        waiting = left
    names = [e["name"] for e in entries]

    def tensors(value: Any) -> Any:
        if _is_reference(value, ()):
            name, node, place = value[:3]
            if (name, node) not in made:
                raise ValueError(
                    f"the configuration names an output of {name!r}, which nothing makes"
                )
            return made[name, node][place]
        if isinstance(value, dict):
            return {k: tensors(v) for k, v in value.items()}
        return [tensors(v) for v in value]

    added = [t for (name, _), made_of in made.items() for t in made_of
             if isinstance(layers[name], (AddLoss, AddMetric))]  # fmt: skip
    return tensors(config["input_layers"]), tensors(config["output_layers"]), names, added


def _layer(entry: dict[str, Any], make: Callable[[Any], Any]) -> Any:
    if entry["class_name"] in operation_layers.CLASSES:
        return operation_layers.named(entry)
    return make(entry)


def called_already(layer: Any) -> bool:
    """Models that begin with an input have a first call of their own, which is not written."""
    entrance = getattr(layer, "_entrance", None)
    return getattr(layer, "_network", None) is not None and (
        entrance is not None or not hasattr(layer, "_own_layers")
    )


def _is_reference(value: Any, names: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) not in (3, 4):
        return False
    first, node, place = value[:3]
    if not isinstance(first, str) or not isinstance(node, int):
        return False
    if first == _CONSTANT:
        return True
    return isinstance(place, int) and (len(value) == 4 or not names or first in names)


def _run(
    waiting: tuple[str, int, Any], layers: Any, made: dict[tuple[str, int], list[Any]]
) -> bool:
    """Makes one call; False where an input of it is not made yet."""
    name, number, node = waiting
    kwargs: dict[str, Any] = {}

    def value(item: Any) -> Any:
        if _is_reference(item, layers):
            source, index, place = item[:3]
            if len(item) == 4:
                kwargs.update(item[3] or {})
            if source == _CONSTANT:
                return place
            return made[source, index][place]
        if isinstance(item, dict):
            return {k: value(v) for k, v in item.items()}
        if isinstance(item, (list, tuple)):
            return [value(v) for v in item]
        return item

    try:
        first = value(node)
        options = {k: value(v) for k, v in kwargs.items()}
    except KeyError:
        return False
    if isinstance(first, list) and len(first) == 1 and is_keras_tensor(first[0]):
        first = first[0]
    layer = layers[name]
    if isinstance(layer, operation_layers.Named):
        got = layer.on(first, options)
    else:
        got = layer(first, **options)
    made[name, number] = nest.flatten(got)
    return True

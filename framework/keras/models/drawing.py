"""Models as drawings of Graphviz."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from typing import Any

from shardtape import nest
from shardtape.keras.symbolic import OperationCall

_log = logging.getLogger("shardtape")
_DEADLINE_S = 60.0


def model_to_dot(
    model: Any, show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = True,
    rankdir: str = "TB", expand_nested: bool = False, dpi: int = 96, subgraph: bool = False,
    layer_range: Any = None, show_layer_activations: bool = False, show_trainable: bool = False,
) -> str:  # fmt: skip
    """The text of a Graphviz drawing of a model's layers.

    Args:
      subgraph: a part for another drawing.
      layer_range: two patterns: draw from the first layer of such a name to the last.
      show_trainable: write T before layers that are trained, NT before the others.

    Raises ValueError before the model is built, and for patterns that no layer has.
    """
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by "
            "calling the model on a batch of data."
        )
    head = "subgraph" if subgraph else "digraph"
    name = f"cluster_{model.name}" if subgraph else "model"
    lines = [f"{head} {name} {{ rankdir={rankdir}; dpi={dpi}; node [shape=record];"]
    options = (show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    shown = _within(model.layers, layer_range)
    if model._network is None:
        for layer in shown:
            lines.append(f"  {_id(layer)} [label={_quoted(_label(layer, *options))}];")
        return "\n".join([*lines, "}"])
    makers: dict[int, Any] = {}
    for t in model._network.flat_inputs:
        node = t.graph.history.get(t._id)
        layer = node[0].layer if node is not None else None
        name = model._network.producer_name(t)
        if layer_range is not None and layer not in shown:
            continue
        lines.append(
            f"  {_id(t)} [label={_quoted(_label(layer, *options) if layer is not None else name)}];"
        )
        makers[t._id] = t
    for node in model._network.calls:
        if layer_range is not None and node.layer not in shown:
            continue
        lines.append(f"  {_id(node)} [label={_quoted(_label(node.layer, *options, node))}];")
        for t in node.inputs():
            if t._id in makers:
                lines.append(f"  {_id(makers[t._id])} -> {_id(node)};")
        for t in nest.flatten(node.outputs):
            if hasattr(t, "_id"):
                makers[t._id] = node
    return "\n".join([*lines, "}"])


def _within(layers: list[Any], patterns: Any) -> list[Any]:
    """The layers from the first whose name has the first pattern to the last with the second."""
    if patterns is None:
        return layers
    if len(patterns) != 2 or not all(isinstance(p, str) for p in patterns):
        raise ValueError(f"layer_range must be a list of two names, got {patterns}")
    places = []
    for pattern in patterns:
        found = [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
        if not found:
            raise ValueError(
                f"Passed layer_range does not match any layer: {pattern!r} of {patterns}; the "
                f"layers are {[layer.name for layer in layers]}"
            )
        places.append(found)
    first, last = min(places[0]), max(places[1])
    return layers[min(first, last) : max(first, last) + 1]


def _id(x: Any) -> str:
    return f"n{id(x)}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _label(
    layer: Any, shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool,
    node: Any = None,
) -> str:  # fmt: skip
    if isinstance(layer, OperationCall):
        return layer.name
    text = f"{layer.name} | {type(layer).__name__}" if names else type(layer).__name__
    if trainable:
        text = f"{'T' if layer.trainable else 'NT'} | {text}"
    if dtype:
        text += f" | {layer.dtype}"
    activation = getattr(layer, "activation", None)
    if activations and activation is not None:
        text += f" | {getattr(activation, '__name__', activation)}"
    if shapes and node is not None:
        given = [tuple(t.shape) for t in node.inputs()]
        made = [tuple(t.shape) for t in nest.flatten(node.outputs) if hasattr(t, "shape")]
        text += f" | {{input: {_one(given)} | output: {_one(made)}}}"
    return text


def _one(shapes: list[Any]) -> str:
    return str(shapes[0] if len(shapes) == 1 else shapes)


def plot_model(
    model: Any, to_file: Any = "model.png", show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = True, rankdir: str = "TB", expand_nested: bool = False, dpi: int = 96,
    layer_range: Any = None, show_layer_activations: bool = False, show_trainable: bool = False,
) -> None:  # fmt: skip
    """Draws a model's layers into a file.

    Args:
      to_file: a picture needs the program `dot` of Graphviz; where it is missing the drawing's
        text is written beside it, with the ending `.dot`, and a warning says so.

    The other arguments are those of `model_to_dot`.
    """
    text = model_to_dot(model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested,
                        dpi, False, layer_range, show_layer_activations,
                        show_trainable)  # fmt: skip
    base, ending = os.path.splitext(os.fspath(to_file))
    program = shutil.which("dot")
    if ending != ".dot" and program is not None:
        subprocess.run(
            [program, f"-T{ending[1:] or 'png'}", "-o", os.fspath(to_file)], input=text.encode(),
            check=True, timeout=_DEADLINE_S,
        )  # fmt: skip
        return
    with open(f"{base}.dot", "w") as file:
        file.write(text)
    if ending != ".dot":
        _log.warning(
            "Graphviz's program `dot` is not installed: the drawing is %s.dot (install graphviz "
            "to get %s)", base, to_file,
        )  # fmt: skip

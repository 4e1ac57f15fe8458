"""`model.summary()`: a table of layers, shapes and numbers of weights, laid out as Keras does."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

_BREAKS = ("),", "},", "],", "',")


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Writes the table; see `Model.summary`."""
    write = print_fn or _to_stdout
    connected = _has_branches(model)
    heads = ["Layer (type)", "Output Shape", "Param #"]
    if connected:
        heads.append("Connected to")
    width = line_length or (98 if connected else 65)
    ends = list(positions or ([0.3, 0.6, 0.70, 1.0] if connected else [0.45, 0.85, 1.0]))
    if ends[-1] <= 1:
        ends = [int(width * end) for end in ends]
    columns = [int(end) for end in ends]
    if show_trainable:
        width += 11
        columns.append(width)
        heads.append("Trainable")
    columns = columns[: len(heads)]  # positions without a column of their own mean nothing

    def show(layer: Any, level: int, last: bool) -> None:
        fields: list[Any] = [f"{layer.name} ({type(layer).__name__})", _shape(layer), _count(layer)]
        if connected:
            fields.append(_connections(model, layer))
        if show_trainable:
            fields.append("Y" if layer.trainable else "N")
        _row(write, fields, columns, level)
        inner = getattr(layer, "layers", None)
        if expand_nested and inner:
            bar = "|" * (level + 1)
            write(bar + "¯" * (width - 2 * level - 2) + bar)
            for i, sublayer in enumerate(inner):
                show(sublayer, level + 1, i == len(inner) - 1)
            write("|" * level + "¯" * (width - 2 * level) + "|" * level)
            return
        if not last:
            write("|" * level + " " * (width - 2 * level) + "|" * level)

    write(f'Model: "{model.name}"')
    write("_" * width)
    _row(write, heads, columns)
    write("=" * width)
    for layer in _in_range(model.layers, layer_range):
        show(layer, 0, False)
    write("=" * width)
    trained, fixed = _totals(model.trainable_weights), _totals(model.non_trainable_weights)
    for title, (count, size_bytes) in (
        ("Total", (trained[0] + fixed[0], trained[1] + fixed[1])),
        ("Trainable", trained),
        ("Non-trainable", fixed),
    ):
        write(f"{title} params: {count} ({readable_size(size_bytes)})")
    write("_" * width)


def _to_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")


def _row(
    write: Callable[[str], Any], fields: Sequence[Any], ends: Sequence[int], level: int = 0
) -> None:
    """One row; fields that are too long go on in further lines."""
    left = [str(field) for field in fields]
    last = len(ends) - 1
    while any(left):
        line = ""
        for i, end in enumerate(ends):
            cut = end - (ends[i - 1] if i else 0) - (3 if i != last else 0)
            if i == 0:
                cut -= level
                line += "|" * level + " "
            part = left[i][:cut]
            breaks = [part.find(b) + len(b) for b in _BREAKS if b in part]
            if breaks:
                cut = min(breaks)
                part = part[:cut]
            line += part + ("  " if i != last else "")
            left[i] = left[i][cut:]
            line += " " * (end - len(line) - (level if i == last else 0))
        write(line + "|" * level)


def _shape(layer: Any) -> Any:
    if type(layer).__name__ == "InputLayer" and not hasattr(layer, "_saved_shape"):
        return [tuple(layer.output.shape)]
    try:
        return layer.output_shape
    except AttributeError:
        return "multiple"


def _count(layer: Any) -> Any:
    if not layer.built and layer._needs_build():
        return "0 (unused)"
    return layer.count_params()


def _totals(weights: Sequence[Any]) -> tuple[int, int]:
    """(number of elements, bytes)."""
    counts = [(v.shape.num_elements() or 0, v.dtype.size) for v in weights]
    return sum(n for n, _ in counts), sum(n * size for n, size in counts)


def readable_size(size_bytes: float) -> str:
    """Bytes in the largest unit that leaves 1 or more: "1.50 KB"."""
    units = ["Byte", "KB", "MB", "GB", "TB", "PB"]
    for unit in units:
        if size_bytes / 1024 < 1:
            return f"{size_bytes:.2f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.2f} {units[-1]}"


def _has_branches(model: Any) -> bool:
    """Whether the layers are more than a chain."""
    network = getattr(model, "_network", None)
    if network is None or type(model).__name__ == "Sequential":
        return False
    if len(network._flat_inputs) > 1:
        return True
    used: dict[int, int] = {}
    called: dict[int, int] = {}
    for node in network.calls:
        inputs = [t for t in node.inputs() if network.caller_of(t) is not None]
        if len(inputs) > 1:
            return True
        for t in inputs:
            used[t._id] = used.get(t._id, 0) + 1
        called[id(node.layer)] = called.get(id(node.layer), 0) + 1
    return any(n > 1 for n in used.values()) or any(n > 1 for n in called.values())


def _connections(model: Any, layer: Any) -> list[str]:
    network = model._network
    out = []
    of_layer = [node for node in network.calls if node.layer is layer]
    made = {id(node): i for i, node in enumerate(getattr(layer, "_inbound_nodes", of_layer))}
    for node in sorted(of_layer, key=lambda node: made.get(id(node), len(made))):
        for t in node.inputs():
            found = network.caller_of(t)
            if found is None:
                continue
            parent, position = found
            siblings = getattr(parent.layer, "_inbound_nodes", [parent])
            calls = siblings.index(parent) if parent in siblings else 0
            out.append(f"{parent.layer.name}[{calls}][{position}]")
    return out


def _in_range(layers: list[Any], names: Sequence[str] | None) -> list[Any]:
    if not names:
        return layers
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(f"layer_range should be a list or tuple of two names. Received: {names}")
    first = [i for i, layer in enumerate(layers) if re.match(names[0], layer.name)]
    last = [i for i, layer in enumerate(layers) if re.match(names[1], layer.name)]
    if not first or not last:
        raise ValueError(f"Passed layer_names do not match the layer names in the model: {names}")
    low, high = sorted((min(first), max(last)))
    return layers[low : high + 1]

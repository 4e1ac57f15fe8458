"""`tf.print`: values of tensors to a stream, when they are there."""

from __future__ import annotations

import logging
import pprint
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.context import state
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import IO, op
from shardtape.ops.value_text import ragged_text, summarized
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import SymbolicTensor, Tensor
from shardtape.type_spec import composite_spec

_LEVELS = {
    "log(info)": logging.INFO,
    "log(warning)": logging.WARNING,
    "log(error)": logging.ERROR,
}


@op("PrintV2", dtypes=dt.ANY, mixed=True, outputs=0, shape=lambda *inputs, **attrs: [],
    dtype=lambda dtypes, attrs: (), effects=IO, direct=True, differentiable=False,
    widen=False)  # fmt: skip
def print_v2(xp, *inputs, template, stream, summarize):
    """Writes the template with the inputs' values in their places.

    Args:
      template: texts; a number among them stands for that input, a tuple of a kind and numbers
        for a ragged or sparse tensor of those inputs, or for a string without quotes.
      stream: where to: a name, which a saved function keeps, or what takes the whole text.
    """
    _write(stream, "".join(_text(part, inputs, summarize) for part in template))
    return ()


def print(*inputs: Any, **options: Any) -> Any:
    """Writes values, tensors by their value, to standard error.

    In a graph it is an operation that runs in the program's order.

    Args:
      inputs: tensors, Python values, nested structures of both.
      output_stream: sys.stderr, sys.stdout, "file://PATH", a logging level of `tf.compat.v1`'s
        logging, or "log(info)" and its kin.
      summarize: elements shown at both ends of each axis (3); -1 shows all.
      sep, end: between the values, and after the last one.

    Raises ValueError for another stream, TypeError for another option.
    """
    stream = _destination(options.pop("output_stream", sys.stderr))
    summarize = options.pop("summarize", 3)
    sep, end = options.pop("sep", " "), options.pop("end", None)
    name = options.pop("name", None)
    if options:
        raise TypeError(f"tf.print() got an unexpected keyword argument {next(iter(options))!r}")
    template: list[Any] = []
    tensors: list[Any] = []
    for i, value in enumerate(inputs):
        if i:
            template.append(sep)
        template.extend(_parts(value, tensors, bare=len(inputs) == 1))
    template.append("\n" if end is None else end)
    symbolic = state.graph is not None or any(isinstance(t, SymbolicTensor) for t in tensors)
    if symbolic:
        return print_v2(
            *tensors, template=tuple(template), stream=stream, summarize=summarize or 3, name=name
        )
    arrays = [t._host() for t in tensors]
    print_v2.kernel(None, *arrays, template=template, stream=stream, summarize=summarize or 3)
    return None


def _parts(value: Any, tensors: list[Any], bare: bool) -> list[Any]:
    """Texts and places of tensors for one argument."""
    if _is_tensor(value):
        place = _place(value, tensors)
        if isinstance(place, int):
            tensor = tensors[place]
            if bare and tensor.dtype is dt.string and tensor.shape.rank == 0:
                return [("text", place)]
        return [place]
    if isinstance(value, str):
        return [value]
    # structures are printed as Python does, with tensors by their values
    places: list[Any] = []

    class Place:
        def __init__(self, number: int) -> None:
            self.number = number

        def __repr__(self) -> str:
            return f"\0{self.number}\0"

    def placed(leaf: Any) -> Any:
        if _is_tensor(leaf):
            places.append(_place(leaf, tensors))
            return Place(len(places) - 1)
        return leaf

    shown = nest.map_structure(placed, value) if nest.is_nested(value) else value
    pieces = pprint.pformat(shown).split("\0")
    return [places[int(p)] if i % 2 else p for i, p in enumerate(pieces)]


def _is_tensor(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        or hasattr(value, "_as_tensor")
        or hasattr(value, "_as_operand")
        or composite_spec(value) is not None
    )


def _place(value: Any, tensors: list[Any]) -> Any:
    """The number of a tensor among those printed; those of a composite's parts, and its kind."""
    if hasattr(value, "nested_row_splits"):
        kind, parts = "ragged", [value.flat_values, *value.nested_row_splits]
    elif isinstance(value, SparseTensor):
        kind, parts = "sparse", [value.indices, value.values, value.dense_shape]
    else:
        tensors.append(convert_to_tensor(value))
        return len(tensors) - 1
    tensors.extend(map(convert_to_tensor, parts))
    return (kind, *range(len(tensors) - len(parts), len(tensors)))


def _text(part: Any, arrays: Any, summarize: int) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, int):
        return summarized(arrays[part], summarize)
    kind, *numbers = part
    values = [arrays[number] for number in numbers]
    if kind == "text":  # a string alone, without quotes
        return np.asarray(values[0]).item().decode("utf-8", "surrogateescape")
    if kind == "ragged":
        return ragged_text(values[0], values[1:], summarize)
    indices, flat, shape = [summarized(array, summarize) for array in values]
    return f"'SparseTensor(indices={indices}, values={flat}, shape={shape})'"


def _destination(stream: Any) -> str | Callable[[str], None]:
    """The name of a stream, or what takes the text; raises ValueError for anything else."""
    if isinstance(stream, str):
        if stream.startswith("file://") or stream in _LEVELS:
            return stream
    elif hasattr(stream, "write"):
        # by name: notebooks and tests put other streams in the places of the standard ones
        if stream is sys.stdout or stream is sys.__stdout__:
            return "stdout"
        if stream is sys.stderr or stream is sys.__stderr__:
            return "stderr"
        return lambda text: _flushed(stream, text)
    elif callable(stream):
        return lambda text: stream(text.rstrip("\n"))
    raise ValueError(
        f"Unknown output stream, logging level, or function: {stream!r}. Supported are sys.stdout, "
        "sys.stderr, 'file://PATH', 'log(info)', 'log(warning)' and 'log(error)'"
    )


def _write(stream: str | Callable[[str], None], text: str) -> None:
    if not isinstance(stream, str):
        stream(text)
    elif stream in _LEVELS:
        logging.getLogger("shardtape").log(_LEVELS[stream], text.rstrip("\n"))
    elif stream.startswith("file://"):
        path = Path(stream.removeprefix("file://"))
        with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    else:
        _flushed(sys.stdout if stream == "stdout" else sys.stderr, text)


def _flushed(stream: Any, text: str) -> None:
    stream.write(text.encode("utf-8", "replace").decode("utf-8", "replace"))
    stream.flush()

"""`tf.print`: values of tensors to a stream, when they are there."""

from __future__ import annotations

import logging
import pprint
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.context import state
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import IO, op
from shardtape.ops.value_text import summarized
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
def print_v2(xp, *inputs, template, write, summarize):
    """Writes the template with the inputs' values in their places.

    Args:
      template: texts; a number among them stands for that input.
      write: takes the whole text.
    """
    parts = [summarized(inputs[p], summarize) if isinstance(p, int) else p for p in template]
    write("".join(parts))
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
    write = _writer(options.pop("output_stream", sys.stderr))
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
            *tensors, template=tuple(template), write=write, summarize=summarize or 3, name=name
        )
    arrays = [t._host() for t in tensors]
    print_v2.kernel(None, *arrays, template=template, write=write, summarize=summarize or 3)
    return None


def _parts(value: Any, tensors: list[Any], bare: bool) -> list[Any]:
    """Texts and numbers of tensors for one argument."""
    if composite_spec(value) is not None and not hasattr(value, "_as_operand"):
        return [_composite_text(value)] if _has_values(value) else [repr(value)]
    if isinstance(value, Tensor) or hasattr(value, "_as_tensor"):
        tensor = convert_to_tensor(value)
        scalar = tensor.dtype is dt.string and tensor.shape.rank == 0
        if bare and scalar and not isinstance(tensor, SymbolicTensor):
            return [tensor.numpy().decode("utf-8", "surrogateescape")]
        tensors.append(tensor)
        return [len(tensors) - 1]
    if isinstance(value, str):
        return [value]
    # structures are printed as Python does, with tensors by their values
    found: list[int] = []

    class Place:
        def __init__(self, number: int) -> None:
            self.number = number

        def __repr__(self) -> str:
            return f"\0{self.number}\0"

    def place(leaf: Any) -> Any:
        if isinstance(leaf, Tensor) or hasattr(leaf, "_as_tensor"):
            tensors.append(convert_to_tensor(leaf))
            found.append(len(tensors) - 1)
            return Place(found[-1])
        return leaf

    shown = nest.map_structure(place, value) if nest.is_nested(value) else value
    text = pprint.pformat(shown)
    pieces = text.split("\0")
    return [int(p) if i % 2 else p for i, p in enumerate(pieces)]


def _has_values(value: Any) -> bool:
    return not any(
        isinstance(t, SymbolicTensor)
        for t in composite_spec(value)._to_components(value)  # type: ignore[union-attr]
    )


def _composite_text(value: Any) -> str:
    if hasattr(value, "to_list"):
        return _decoded(value.to_list())
    parts = [value.indices, value.values, value.dense_shape]
    indices, values, shape = [summarized(p._host()) for p in parts]
    return f"'SparseTensor(indices={indices}, values={values}, shape={shape})'"


def _decoded(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_decoded(v) for v in value) + "]"
    return repr(value.decode("utf-8", "replace")) if isinstance(value, bytes) else str(value)


def _writer(stream: Any) -> Callable[[str], None]:
    if isinstance(stream, str):
        if stream.startswith("file://"):
            return _FileWriter(stream[len("file://") :])
        if stream in _LEVELS:
            level = _LEVELS[stream]
            return lambda text: logging.getLogger("shardtape").log(level, text.rstrip("\n"))
    if hasattr(stream, "write"):
        # notebooks and tests put other streams in the places of the standard ones
        if stream is sys.stdout or stream is sys.__stdout__:
            return lambda text: _flushed(sys.stdout, text)
        if stream is sys.stderr or stream is sys.__stderr__:
            return lambda text: _flushed(sys.stderr, text)
        return lambda text: _flushed(stream, text)
    if callable(stream):
        return lambda text: stream(text.rstrip("\n"))
    raise ValueError(
        f"Unknown output stream, logging level, or function: {stream!r}. Supported are sys.stdout, "
        "sys.stderr, 'file://PATH', 'log(info)', 'log(warning)' and 'log(error)'"
    )


def _flushed(stream: Any, text: str) -> None:
    stream.write(text.encode("utf-8", "replace").decode("utf-8", "replace"))
    stream.flush()


class _FileWriter:
    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def __call__(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

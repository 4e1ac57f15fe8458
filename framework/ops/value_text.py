"""The text of tensors' values as `tf.print` and `tf.strings.format` write it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# of strings inside of brackets and quotes, as C++ would write them
_ESCAPES = {
    **{code: f"\\{code:03o}" for code in (*range(32), 127)},
    **{ord(c): "\\" + name for c, name in zip("\n\r\t\"'\\", "nrt\"'\\")},
}


def summarized(array: Any, summarize: int = 3) -> str:
    """The values of an array in brackets.

    Args:
      summarize: elements shown at both ends of each axis; -1 shows all.
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return element(array[()])
    if array.size == 0:
        return "[" + "\n" * (array.ndim - 1) + " ...]" if array.shape[0] else "[]"
    return _axis(array, 0, array.ndim, summarize)


def _axis(part: Any, depth: int, rank: int, ends: int) -> str:
    count = part.shape[0]
    shown = range(count)
    if ends >= 0 and count > 2 * ends:
        shown = [*range(ends), -1, *range(count - ends, count)]  # type: ignore[assignment]
    texts = []
    for i in shown:
        if i < 0:
            texts.append("...")
        elif part.ndim == 1:
            texts.append(element(part[i]))
        else:
            texts.append(_axis(part[i], depth + 1, rank, ends))
    between = " " if depth == rank - 1 else "\n" * (rank - depth - 1) + " " * (depth + 1)
    return "[" + between.join(texts) + "]"


def ragged_text(values: Any, splits: Any, summarize: int = 3) -> str:
    """A ragged tensor as nested lists.

    Args:
      values: the array of its flat values.
      splits: the arrays of its row splits, the outermost first.
      summarize: elements shown at both ends of each list; -1 shows all.
    """
    rows = [_listed(value, summarize) for value in np.asarray(values)]
    for offsets in reversed(splits):
        rows = [_bracketed(rows[a:b], summarize) for a, b in zip(offsets[:-1], offsets[1:])]
    return _bracketed(rows, summarize)


def _bracketed(texts: list[str], ends: int) -> str:
    if ends >= 0 and len(texts) > 2 * ends:
        texts = [*texts[:ends], "...", *texts[len(texts) - ends :]]
    return "[" + ", ".join(texts) + "]"


def _listed(value: Any, ends: int) -> str:
    if isinstance(value, np.ndarray):
        return _bracketed([_listed(v, ends) for v in value], ends)
    if isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape").replace("\\", "\\\\").replace("'", "\\'")
        return f"'{text}'"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return str(value) if np.asarray(value).dtype.kind in "iu" else f"{value:f}"


def element(value: Any) -> str:
    """One value: the shortest digits that give it back, as C++ writes them."""
    if isinstance(value, (bytes, bytearray)):
        return '"' + value.decode("utf-8", "surrogateescape").translate(_ESCAPES) + '"'
    kind = np.asarray(value).dtype
    if kind.kind == "b":
        return "1" if value else "0"
    if kind.kind in "iu":
        return str(int(value))
    if kind.kind == "c":
        return f"({number(value.real)},{number(value.imag)})"
    return number(value)


def number(value: Any) -> str:
    """A floating number with 6 (double: 15) digits where they suffice, else with all."""
    kind = np.asarray(value).dtype
    x = float(value)
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    if kind == np.float64:
        short = f"{x:.15g}"
        return short if float(short) == x else f"{x:.17g}"
    short = f"{x:.6g}"
    return short if np.float32(float(short)) == np.float32(x) else f"{x:.9g}"

"""Strings cut into pieces, and numbers as strings and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.text import STRING, mapped, objects, strings
from shardtape.shapes import TensorShape

_LINES = strings([b"a b  c", b"", b" one,two, three ", b"x,,y"])


def _pieces_shape(*args: Arg, **attrs: Any) -> list[TensorShape]:
    return [TensorShape([None, 2]), TensorShape([None]), TensorShape([2])]


def _pieces_dtype(dtypes: Any, attrs: Any) -> tuple[dt.DType, ...]:
    return dt.int64, dt.string, dt.int64


def _sparse(rows: list[list[bytes]]) -> tuple[np.ndarray, ...]:
    """Places (int64 [n, 2]), values and shape of rows of different length."""
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = [piece for row in rows for piece in row]
    return (
        np.array(places, np.int64).reshape(-1, 2),
        objects(values, (len(values),)),
        np.array([len(rows), max((len(r) for r in rows), default=0)], np.int64),
    )


@op("StringSplitV2", dtypes=STRING, dtype=_pieces_dtype, host=("sep",), shape=_pieces_shape,
    outputs=3, dynamic=True, differentiable=False,
    samples=lambda rng: [((_LINES, strings(b"")), {}), ((_LINES, strings(b",")), {}),
                         ((_LINES, strings(b",")), {"maxsplit": 1})])  # fmt: skip
def string_split_v2(xp, input, sep, *, maxsplit=-1):
    """The pieces between `sep` (empty: runs of white space) of a vector of strings."""
    if np.ndim(input) != 1:
        raise ValueError(f"input must be a vector, got shape {list(np.shape(input))}")
    separator = np.asarray(sep, object).item() or None
    return _sparse([s.split(separator, maxsplit) for s in input])


@op("StringSplit", dtypes=STRING, dtype=_pieces_dtype, host=("delimiter",), shape=_pieces_shape,
    outputs=3, dynamic=True, differentiable=False,
    samples=lambda rng: [((_LINES, strings(b"")), {}), ((_LINES, strings(b" ,")), {}),
                         ((_LINES, strings(b",")), {"skip_empty": False})])  # fmt: skip
def string_split_v1(xp, input, delimiter, *, skip_empty=True):
    """The pieces between any of the bytes of `delimiter`; without it, the single bytes."""
    marks = np.asarray(delimiter, object).item()
    if not marks:
        return _sparse([[s[i : i + 1] for i in range(len(s))] for s in input])
    cut = re.compile(b"[" + re.escape(marks) + b"]")
    return _sparse([[p for p in cut.split(s) if p or not skip_empty] if s else [] for s in input])


@op("UnsortedSegmentJoin", dtypes=STRING, host=("segment_ids", "num_segments"), dynamic=True,
    differentiable=False,
    shape=lambda inputs, ids, count, **attrs: TensorShape([None]).concatenate(
        inputs.shape[ids.shape.rank:] if ids.shape.rank is not None else None),
    samples=lambda rng: [((strings([b"a", b"b", b"c"]), np.array([1, 0, 1], np.int32),
                           np.int32(3)), {"separator": ":"})])  # fmt: skip
def unsorted_segment_join_op(
    xp: Any, inputs: Any, segment_ids: Any, num_segments: Any, *, separator: str = ""
) -> Any:
    """Strings of one id joined; int ids of the first axes, `num_segments` results."""
    ids, inputs = np.asarray(segment_ids), np.asarray(inputs)
    if inputs.shape[: ids.ndim] != ids.shape:
        raise ValueError(f"segment_ids {ids.shape} is no prefix of inputs {inputs.shape}")
    inner = inputs.shape[ids.ndim :]
    rows = inputs.reshape(ids.size, -1)
    found: list[list[list[bytes]]] = [
        [[] for _ in range(rows.shape[1])] for _ in range(int(num_segments))
    ]
    for i, row in zip(ids.ravel(), rows):
        if i >= len(found):
            raise ValueError(f"segment_ids has {i}, which is not in [0, {len(found)})")
        if i >= 0:
            for j, s in enumerate(row):
                found[i][j].append(s)
    flat = [separator.encode().join(cell) for segment in found for cell in segment]
    return objects(flat, (len(found), *inner))


# ---- n-grams ----------------------------------------------------------------------------------
@op("StringNGrams", dtypes=STRING, host=("data_splits",), outputs=2, dynamic=True,
    differentiable=False, dtype=lambda dtypes, attrs: (dt.string, dtypes[1]),
    shape=lambda data, splits, **attrs: [TensorShape([None]), splits.shape],
    samples=lambda rng: [
        ((strings([b"a", b"b", b"c", b"d"]), np.array([0, 3, 4])), {
            "separator": "|", "ngram_widths": w, "left_pad": "L", "right_pad": "R",
            "pad_width": p, "preserve_short_sequences": k})
        for w, p, k in (((2,), 0, False), ((1, 3), -1, False), ((3,), 1, False), ((3,), 0, True))
    ])  # fmt: skip
def string_ngrams(
    xp: Any, data: Any, data_splits: Any, *, separator: str, ngram_widths: Sequence[int],
    left_pad: str, right_pad: str, pad_width: int, preserve_short_sequences: bool,
) -> Any:  # fmt: skip
    """Joined runs of each row (strings, splits); `pad_width` -1 pads by the width less one."""
    ends = np.asarray(data_splits).tolist()
    between, before, after = separator.encode(), left_pad.encode(), right_pad.encode()
    out: list[bytes] = []
    splits = [0]
    for a, b in zip(ends[:-1], ends[1:]):
        row = list(data[a:b])
        made: list[bytes] = []
        for width in ngram_widths:
            pad = width - 1 if pad_width < 0 else min(pad_width, width - 1)
            whole = [before] * pad + row + [after] * pad
            made += [between.join(whole[i : i + width]) for i in range(len(whole) - width + 1)]
        if preserve_short_sequences and not made and row:
            made = [between.join(row)]
        out += made
        splits.append(len(out))
    return objects(out, (len(out),)), np.array(splits, np.asarray(data_splits).dtype)


# ---- numbers ----------------------------------------------------------------------------------
_NUMBER = re.compile(
    rb"\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf(inity)?|nan)\s*", re.I
)
_INTEGER = re.compile(rb"\s*[-+]?\d+\s*")


def _to_float(s: bytes) -> float:
    if not _NUMBER.fullmatch(s):
        raise ValueError(f"StringToNumberOp could not correctly convert string: {_shown(s)}")
    return float(s)


def _shown(s: bytes) -> str:
    return s.decode("utf-8", "replace")


@op("StringToNumber", dtypes=STRING, dtype="out_type", shape=same_as(0), differentiable=False,
    samples=lambda rng: [
        ((strings([b"1.5", b"-2e3", b" 7 ", b"inf"]),), {}),
        ((strings([b"12", b"-3"]),), {"out_type": dt.int32}),
        ((strings([b"12", b"-3"]),), {"out_type": dt.int64}),
        ((strings([b"0.1", b".5"]),), {"out_type": dt.float64}),
    ])  # fmt: skip
def string_to_number(xp, string_tensor, *, out_type=dt.float32):
    """The numbers that strings spell."""
    if out_type.is_floating:
        return mapped(_to_float, string_tensor).astype(out_type.numpy_dtype)
    limits = np.iinfo(out_type.numpy_dtype)

    def whole(s: bytes) -> int:
        if not _INTEGER.fullmatch(s) or not limits.min <= int(s) <= limits.max:
            raise ValueError(f"StringToNumberOp could not correctly convert string: {_shown(s)}")
        return int(s)

    return mapped(whole, string_tensor).astype(out_type.numpy_dtype)


@op("AsString", dtypes=dt.NUMERIC | dt.BOOL, dtype=dt.string, shape=same_as(0), widen=False,
    differentiable=False,
    samples=lambda rng: [
        ((np.array([1.5, -2.0, 100.25]),), {}),
        ((np.array([3.25, -2.0], np.float32),), {"precision": 2}),
        ((np.array([3.25, 1e10], np.float32),), {"shortest": True}),
        ((np.array([3.25, 1e10], np.float32),), {"scientific": True}),
        ((np.array([7, -12], np.int32),), {"width": 5, "fill": "0"}),
    ])  # fmt: skip
def as_string_op(xp, input, *, precision=-1, scientific=False, shortest=False, width=-1, fill=""):
    """The text of numbers, as C's printf writes it."""
    input = np.asarray(backend.to_host(input))
    kind = dt.from_numpy(input.dtype)
    if scientific and shortest:
        raise ValueError("Cannot select both scientific and shortest notation")
    if not (kind.is_floating or kind.is_complex) and precision != -1:
        raise ValueError(f"precision not supported for datatype {kind.name}")
    if kind.is_bool:
        return mapped(lambda b: b"true" if b else b"false", input)
    form = "%" + (fill if width >= 0 else "") + (str(width) if width >= 0 else "")
    if kind.is_integer:
        form += "d"
        return mapped(lambda v: (form % int(v)).encode(), input)
    form += (f".{precision}" if precision >= 0 else "") + (
        "e" if scientific else "g" if shortest else "f"
    )
    if kind.is_complex:
        return mapped(lambda v: f"({form % v.real},{form % v.imag})".encode(), input)
    return mapped(lambda v: (form % float(v)).encode(), input)

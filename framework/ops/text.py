"""Elementwise ops on strings: length, case, joining, parts, regular expressions, hashes.

Strings are bytes. Where a unit is "UTF8_CHAR", what is counted is code points.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops.farmhash import fingerprint64
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import axis_index, known_ints
from shardtape.ops.string_hashes import hash64, siphash
from shardtape.ops.value_text import ragged_text, summarized
from shardtape.shapes import UNKNOWN, TensorShape, broadcast_shapes

STRING = frozenset((dt.string,))
_PLACES = frozenset((dt.string, dt.int32, dt.int64))


def strings(*values: Any) -> np.ndarray:
    """An array of strings of nested lists of bytes (one value: that value)."""
    nested = values[0] if len(values) == 1 else list(values)
    flat: list[bytes] = []

    def shape_of(item: Any) -> tuple[int, ...]:
        if isinstance(item, bytes):
            flat.append(item)
            return ()
        inner = [shape_of(i) for i in item]
        return (len(item), *(inner[0] if inner else ()))

    shape = shape_of(nested)
    return objects(flat, shape)


def objects(flat: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An object array of `shape` with the members of `flat`."""
    out = np.empty(len(flat), object)
    for i, item in enumerate(flat):
        out[i] = item
    return out.reshape(shape)


def mapped(function: Callable[..., Any], *arrays: Any) -> np.ndarray:
    """`function` of corresponding elements, as an object array of the broadcast shape."""
    arrays = np.broadcast_arrays(*[np.asarray(a) for a in arrays], subok=False)
    rows = zip(*[a.reshape(-1) for a in arrays])
    return objects([function(*row) for row in rows], arrays[0].shape)


_WORDS = strings([[b"Hello World", b"tensor "], [b" caf\xc3\xa9", b""]])


def _words(*attrs: dict[str, Any]) -> Any:
    return lambda rng: [((_WORDS,), dict(a)) for a in attrs or ({},)]


def characters(s: bytes) -> list[bytes]:
    """The code points of UTF-8, each as the bytes that it has; a wrong byte stands alone."""
    text = s.decode("utf-8", "surrogateescape")
    return [c.encode("utf-8", "surrogateescape") for c in text]


def _check_unit(unit: str) -> None:
    if unit not in ("BYTE", "UTF8_CHAR"):
        raise ValueError(f"unit {unit!r} is neither 'BYTE' nor 'UTF8_CHAR'")


@op("StringLength", dtypes=STRING, dtype=dt.int32, shape=same_as(0), differentiable=False,
    samples=_words({}, {"unit": "UTF8_CHAR"}))  # fmt: skip
def string_length(xp, input, *, unit="BYTE"):
    """The number of bytes or characters of each string; int32."""
    _check_unit(unit)
    count = len if unit == "BYTE" else lambda s: len(characters(s))
    return mapped(count, input).astype(np.int32)


def _case(type_name: str, method: str) -> Any:
    def kernel(xp: Any, input: Any, *, encoding: str = "") -> Any:
        if encoding not in ("", "utf-8"):
            raise ValueError(f"only utf-8 or '' are supported as encoding, got {encoding!r}")
        if encoding:
            return mapped(lambda s: getattr(s.decode("utf-8", "replace"), method)().encode(), input)
        return mapped(lambda s: getattr(s, method)(), input)

    kernel.__name__ = f"string_{method}"
    kernel.__doc__ = f"Strings in {method} case: of ASCII letters, or of all with 'utf-8'."
    return op(type_name, dtypes=STRING, shape=same_as(0), differentiable=False,
              samples=_words({}, {"encoding": "utf-8"}))(kernel)  # fmt: skip


string_lower = _case("StringLower", "lower")
string_upper = _case("StringUpper", "upper")


@op("StringStrip", dtypes=STRING, shape=same_as(0), differentiable=False, samples=_words())
def string_strip(xp, input):
    """Strings without the white space at both ends."""
    return mapped(bytes.strip, input)


def _joined_shape(*inputs: Arg, **attrs: Any) -> TensorShape:
    known = [i.shape for i in inputs if i.shape.rank != 0]
    if not known:
        return TensorShape([])
    shape = known[0]
    for other in known[1:]:
        shape = shape.merge_with(other)
    return shape


@op("StringJoin", dtypes=STRING, shape=_joined_shape, differentiable=False,
    samples=lambda rng: [((_WORDS, _WORDS, strings(b"x")), {"separator": "-"}),
                         ((strings(b"a"), strings(b"b")), {})])  # fmt: skip
def string_join(xp, *inputs, separator=""):
    """Corresponding strings of all inputs, joined; inputs have one shape or are scalars."""
    sizes = {np.shape(i) for i in inputs if np.ndim(i)}
    if len(sizes) > 1:
        raise ValueError("Shapes of all inputs must match")
    between = separator.encode() if isinstance(separator, str) else separator
    return mapped(lambda *parts: between.join(parts), *inputs)


def _reduced_shape(inputs: Arg, axis: Arg, *, keep_dims: bool = False, **attrs: Any) -> Any:
    rank, axes = inputs.shape.rank, known_ints(axis)
    if rank is None or axes is None or None in axes:
        return UNKNOWN
    gone = {axis_index(a, rank) for a in axes}  # type: ignore[arg-type]
    dims = inputs.shape.as_list()
    return TensorShape([1 if i in gone else d for i, d in enumerate(dims)
                        if keep_dims or i not in gone])  # fmt: skip


@op("ReduceJoin", dtypes=STRING, host=("reduction_indices",), shape=_reduced_shape,
    differentiable=False,
    samples=lambda rng: [((_WORDS, np.array(a, np.int32)), k) for a, k in (
        ([0], {}), ([-1], {"separator": "+"}), ([0, 1], {}), ([1, 0], {"keep_dims": True}),
        ([], {}))])  # fmt: skip
def reduce_join_op(xp, inputs, reduction_indices, *, keep_dims=False, separator=""):
    """Strings along axes joined, the first axis of `reduction_indices` first."""
    inputs = np.asarray(inputs)
    rank = inputs.ndim
    axes = [axis_index(int(a), rank) for a in np.atleast_1d(reduction_indices)]
    if len(set(axes)) != len(axes):
        raise ValueError(f"Duplicate reduction dimension in {axes}")
    rest = [i for i in range(rank) if i not in axes]
    outer = tuple(inputs.shape[i] for i in rest)
    rows = inputs.transpose([*rest, *axes[::-1]]).reshape(int(np.prod(outer, dtype=int)), -1)
    joined = objects([separator.encode().join(row) for row in rows], outer)
    return np.expand_dims(joined, tuple(sorted(axes))) if keep_dims else joined


# ---- parts ------------------------------------------------------------------------------------
def _part(s: bytes, pos: Any, length: Any, unit: str) -> bytes:
    whole: Any = s if unit == "BYTE" else characters(s)
    count = len(whole)
    if not -count <= pos <= count:
        raise ValueError(f"pos {pos} out of range for string {s!r}")
    start = pos if pos >= 0 else count + pos
    if length < 0:
        raise ValueError(f"len must be non-negative, got {length}")
    part = whole[start : start + length]
    return part if unit == "BYTE" else b"".join(part)


@op("Substr", dtypes=_PLACES, mixed=True, differentiable=False,
    shape=lambda input, pos, len, **attrs: broadcast_shapes(input.shape, pos.shape),
    samples=lambda rng: [
        ((_WORDS, np.int32(0), np.int32(3)), {}),
        ((strings([b"Hello", b"World"]), np.array([1, -2]), np.array([2, 9])), {}),
        ((strings(b"caf\xc3\xa9s"), np.int32(2), np.int32(2)), {"unit": "UTF8_CHAR"}),
    ])  # fmt: skip
def substr_op(xp, input, pos, len, *, unit="BYTE"):
    """The `len` units from `pos` on (negative: from the end) of each string."""
    _check_unit(unit)
    return mapped(lambda s, p, n: _part(s, int(p), int(n), unit), input, pos, len)


# ---- regular expressions ----------------------------------------------------------------------
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\\x00-\\x7f", "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z",
    "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\t\\n\\v\\f\\r ", "upper": "A-Z",
    "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


@functools.lru_cache(maxsize=256)
def compiled(pattern: bytes) -> re.Pattern[str]:
    """RE2's syntax as a Python pattern. Raises ValueError for what cannot be compiled."""
    text = pattern.decode("utf-8", "surrogateescape")
    for name, members in _CLASSES.items():
        text = text.replace(f"[:{name}:]", members)
    out, inside, i = [], False, 0
    while i < len(text):
        c = text[i]
        if c == "\\" and i + 1 < len(text):
            if text[i + 1] in "pPC":
                raise ValueError(f"the escape \\{text[i + 1]} in {text!r} is not supported")
            out.append({"z": "\\Z"}.get(text[i + 1], text[i : i + 2]))
            i += 2
            continue
        if c == "[":
            if inside:
                out.append("\\[")  # Python warns of a set within a set
                i += 1
                continue
            inside = True
            out.append(c)
            i += 1
            if text[i : i + 1] == "^":
                out.append("^")
                i += 1
            if text[i : i + 1] == "]":
                out.append("\\]")
                i += 1
            continue
        if c == "]":
            inside = False
        # the end of the text, not the place before a last newline
        out.append("\\Z" if c == "$" and not inside and "(?m" not in text else c)
        i += 1
    try:
        return re.compile("".join(out), re.ASCII)
    except re.error as error:
        raise ValueError(f"Invalid pattern: {text}, error: {error}") from None


def _rewrite(text: str) -> Callable[[re.Match[str]], str]:
    parts = re.split(r"\\(.)", text, flags=re.DOTALL)

    def replace(match: re.Match[str]) -> str:
        out = []
        for i, part in enumerate(parts):
            if i % 2 == 0:
                out.append(part)
            elif part.isdigit():
                out.append(match.group(int(part)) or "")
            else:
                out.append(part)
        return "".join(out)

    return replace


@op("RegexReplace", dtypes=STRING, host=("pattern", "rewrite"), shape=same_as(0),
    differentiable=False,
    samples=lambda rng: [
        ((_WORDS, strings(b"[eo]"), strings(b"<\\0>")), {}),
        ((_WORDS, strings(b"(l+)(o)"), strings(b"\\2\\1")), {"replace_global": False}),
        ((_WORDS, strings(b"[[:space:]]+$"), strings(b"_")), {}),
    ])  # fmt: skip
def regex_replace_op(xp, input, pattern, rewrite, *, replace_global=True):
    """Matches of a regular expression replaced; `\\\\1` stands for the first group."""
    found = compiled(_only(pattern))
    replace = _rewrite(_only(rewrite).decode("utf-8", "surrogateescape"))
    count = 0 if replace_global else 1

    def one(s: bytes) -> bytes:
        text = s.decode("utf-8", "surrogateescape")
        return found.sub(replace, text, count=count).encode("utf-8", "surrogateescape")

    return mapped(one, input)


@op("RegexFullMatch", dtypes=STRING, dtype=dt.bool, host=("pattern",), shape=same_as(0),
    differentiable=False,
    samples=lambda rng: [((_WORDS, strings(b".*o.*")), {}), ((_WORDS, strings(b"\\w*")), {})],
    )  # fmt: skip
def regex_full_match_op(xp, input, pattern):
    """Whether each whole string matches."""
    found = compiled(_only(pattern))
    return mapped(
        lambda s: found.fullmatch(s.decode("utf-8", "surrogateescape")) is not None, input
    ).astype(bool)


def _only(value: Any) -> bytes:
    if np.ndim(value):
        raise ValueError(f"Pattern must be scalar, but received {np.shape(value)}")
    return value if isinstance(value, bytes) else np.asarray(value, object).item()


# ---- hashes -----------------------------------------------------------------------------------
def _bucket_samples(**attrs: Any) -> Any:
    return lambda rng: [((_WORDS,), {"num_buckets": 1000, **attrs})]


def _check_buckets(num_buckets: int) -> None:
    if num_buckets < 1:
        raise ValueError(f"num_buckets must be positive, got {num_buckets}")


@op("StringToHashBucketFast", dtypes=STRING, dtype=dt.int64, shape=same_as(0),
    differentiable=False, samples=_bucket_samples())  # fmt: skip
def to_hash_bucket_fast(xp, input, *, num_buckets):
    """FarmHash's fingerprint modulo `num_buckets`; int64."""
    _check_buckets(num_buckets)
    return mapped(lambda s: fingerprint64(s) % num_buckets, input).astype(np.int64)


@op("StringToHashBucketStrong", dtypes=STRING, dtype=dt.int64, shape=same_as(0),
    differentiable=False, samples=_bucket_samples(key=(1, 2)))  # fmt: skip
def to_hash_bucket_strong(xp, input, *, num_buckets, key):
    """SipHash with a key of two numbers, modulo `num_buckets`; int64."""
    _check_buckets(num_buckets)
    return mapped(lambda s: siphash(s, *key) % num_buckets, input).astype(np.int64)


@op("StringToHashBucket", dtypes=STRING, dtype=dt.int64, shape=same_as(0),
    differentiable=False, samples=_bucket_samples())  # fmt: skip
def to_hash_bucket_plain(xp, string_tensor, *, num_buckets):
    """TensorFlow's own 64-bit hash modulo `num_buckets`; int64."""
    _check_buckets(num_buckets)
    return mapped(lambda s: hash64(s) % num_buckets, string_tensor).astype(np.int64)


@op("RaggedText", dtypes=dt.ANY - {dt.resource, dt.variant}, dtype=dt.string, mixed=True,
    shape=lambda *inputs, **attrs: TensorShape([]), differentiable=False, widen=False,
    samples=lambda rng: [
        ((np.array([1, 2, 3], np.int32), np.array([0, 1, 3])), {"summarize": 2})],
    reference=lambda values, splits, summarize: strings(b"[[1], [2, 3]]"))  # fmt: skip
def ragged_as_text(xp, values, *splits, summarize=3):
    """Flat values and the row splits, the outermost first, as nested lists."""
    values, *splits = [backend.to_host(x) for x in (values, *splits)]
    text = ragged_text(values, splits, summarize)
    return strings(text.encode("utf-8", "surrogateescape"))


# ---- text of values ---------------------------------------------------------------------------
@op("StringFormat", dtypes=dt.ANY - {dt.resource, dt.variant}, dtype=dt.string, mixed=True,
    shape=lambda *inputs, **attrs: TensorShape([]), differentiable=False, widen=False,
    samples=lambda rng: [
        ((np.arange(10, dtype=np.int32), strings(b"s")), {"template": "a {} b {}",
                                                         "placeholder": "{}"}),
        ((np.array([[1.5, 1e10], [1 / 3, 2.0]], np.float32),), {"template": "%s!"}),
    ])  # fmt: skip
def string_format(xp, *inputs, template="%s", placeholder="%s", summarize=3):
    """`template` with the values of the inputs in the places of `placeholder`."""
    parts = template.split(placeholder)
    if len(parts) != len(inputs) + 1:
        raise ValueError(
            f"{len(parts) - 1} placeholder(s) in template does not match {len(inputs)} tensor(s)"
        )
    out = parts[0]
    for value, part in zip(inputs, parts[1:]):
        out += summarized(backend.to_host(value), summarize) + part
    return strings(out.encode("utf-8", "surrogateescape"))

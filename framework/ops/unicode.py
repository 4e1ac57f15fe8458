"""Strings and the code points that they encode: decode, encode, transcode."""

from __future__ import annotations

import codecs
from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.text import STRING, mapped, objects, strings
from shardtape.ops.unicode_scripts import LAST, runs
from shardtape.shapes import TensorShape

# what Python calls otherwise than ICU, or reads in the order of the machine
_NAMES = {"utf-16": "utf-16-be", "utf-32": "utf-32-be", "latin-1": "iso8859-1"}
# no text, or what bytes mean depends on those before them
_REFUSED = ("utf-7", "iso2022", "hz", "punycode", "idna", "unicode", "raw", "undefined", "charmap")
_OUTPUT = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}
_ERRORS = ("strict", "replace", "ignore")
_LAST = 0x10FFFF
_TEXTS = strings([b"G\xc3\xb6\xc3\xb6dnight", b"a\xf0\x9f\x98\x8a", b"", b"x\xffy"])


def _codec(encoding: str) -> str:
    """Python's name of an encoding of inputs. Raises ValueError for one that is not known."""
    try:
        found = codecs.lookup(encoding).name
        "".encode(found)  # a LookupError for what encodes no text
    except LookupError:
        found = "undefined"
    if found.startswith(_REFUSED):
        raise ValueError(f"Could not create converter for input encoding: {encoding}")
    return _NAMES.get(found, found)


def _target(encoding: str) -> str:
    found = _OUTPUT.get(encoding.upper())
    if found is None:
        raise ValueError(f"the encoding {encoding!r} is not one of {sorted(_OUTPUT)}")
    return found


def _check_errors(errors: str) -> None:
    if errors not in _ERRORS:
        raise ValueError(f"errors={errors!r} is not one of {_ERRORS}")


def decoded(
    s: bytes, codec: str, errors: str, replacement: int, controls: bool
) -> list[tuple[int, int]]:
    """(code point, byte at which it starts) of a string.

    Args:
      replacement: stands for what is no text, with errors="replace".
      controls: replace the control characters U+0000-U+001F but white space, too.

    Raises ValueError for wrong bytes with errors="strict".
    """
    out: list[tuple[int, int]] = []
    at = 0
    while at < len(s):
        try:
            text = s[at:].decode(codec)
            end = len(s)
            wrong = None
        except UnicodeDecodeError as error:
            text = s[at : at + error.start].decode(codec)
            wrong = (at + error.start, at + error.end)
            end = wrong[0]
        for c in text:
            code = ord(c)
            if controls and code < 32 and c not in "\t\n\r":
                code = replacement
            out.append((code, at))
            at += len(c.encode(codec))
        at = end
        if wrong is not None:
            if errors == "strict":
                raise ValueError(f"Invalid formatting on input string {s!r}")
            if errors == "replace":
                out.append((replacement, wrong[0]))
            at = wrong[1]
    return out


def encoded(code: int, codec: str, errors: str, replacement: int) -> bytes:
    """One code point. Raises ValueError for what is none, with errors="strict"."""
    if not 0 <= code <= _LAST or 0xD800 <= code <= 0xDFFF:
        if errors == "strict":
            raise ValueError(f"Code point is out of range for Unicode, or a surrogate: {code}")
        if errors == "ignore":
            return b""
        code = replacement
    return chr(code).encode(codec)


def _decode_shapes(outputs: int) -> Any:
    def rule(input: Arg, **attrs: Any) -> list[TensorShape]:
        count = input.shape.num_elements()
        splits = TensorShape([None if count is None else count + 1])
        return [splits, *[TensorShape([None])] * (outputs - 1)]

    return rule


def _decode_samples(rng: np.random.Generator) -> Any:
    base = {"input_encoding": "UTF-8"}
    return [
        ((_TEXTS,), base),
        ((_TEXTS,), {**base, "errors": "ignore"}),
        ((strings([b"\x00H\x00i"]),), {"input_encoding": "UTF-16-BE"}),
        ((strings([b"a\x01b"]),), {**base, "replace_control_characters": True}),
    ]


def _decode_all(input: Any, attrs: dict[str, Any]) -> tuple[np.ndarray, Any]:
    _check_errors(attrs["errors"])
    codec = _codec(attrs["input_encoding"])
    rows = [
        decoded(s, codec, attrs["errors"], attrs["replacement_char"],
                attrs["replace_control_characters"])
        for s in np.asarray(input).reshape(-1)
    ]  # fmt: skip
    splits = np.cumsum([0, *[len(r) for r in rows]]).astype(attrs["Tsplits"].numpy_dtype)
    return splits, [pair for row in rows for pair in row]


@op("UnicodeDecode", dtypes=STRING, outputs=2, shape=_decode_shapes(2), dynamic=True,
    dtype=lambda dtypes, attrs: (attrs["Tsplits"], dt.int32), differentiable=False,
    samples=_decode_samples)  # fmt: skip
def unicode_decode_op(xp, input, *, input_encoding, errors="replace", replacement_char=65533,
                      replace_control_characters=False, Tsplits=dt.int64):  # fmt: skip
    """Splits (strings + 1,) and code points of all strings."""
    splits, pairs = _decode_all(input, {
        "input_encoding": input_encoding, "errors": errors, "replacement_char": replacement_char,
        "replace_control_characters": replace_control_characters, "Tsplits": Tsplits,
    })  # fmt: skip
    return splits, np.array([code for code, _ in pairs], np.int32)


@op("UnicodeDecodeWithOffsets", dtypes=STRING, outputs=3, shape=_decode_shapes(3), dynamic=True,
    dtype=lambda dtypes, attrs: (attrs["Tsplits"], dt.int32, dt.int64), differentiable=False,
    samples=_decode_samples)  # fmt: skip
def unicode_decode_with_offsets_op(xp, input, *, input_encoding, errors="replace",
                                   replacement_char=65533, replace_control_characters=False,
                                   Tsplits=dt.int64):  # fmt: skip
    """Splits (strings + 1,), code points and the bytes at which they start, of all strings."""
    splits, pairs = _decode_all(input, {
        "input_encoding": input_encoding, "errors": errors, "replacement_char": replacement_char,
        "replace_control_characters": replace_control_characters, "Tsplits": Tsplits,
    })  # fmt: skip
    codes = np.array([code for code, _ in pairs], np.int32)
    return splits, codes, np.array([at for _, at in pairs], np.int64)


@op("UnicodeEncode", dtypes=frozenset((dt.int32,)), dtype=dt.string, host=("input_splits",),
    differentiable=False, widen=False,
    shape=lambda values, splits, **attrs: TensorShape(
        [None if splits.shape.rank is None or splits.shape[0] is None else splits.shape[0] - 1]),
    samples=lambda rng: [
        ((np.array([71, 246, 128522, 97], np.int32), np.array([0, 2, 2, 4])), {
            "output_encoding": e}) for e in _OUTPUT])  # fmt: skip
def unicode_encode_op(xp, input_values, input_splits, *, output_encoding, errors="replace",
                      replacement_char=65533):  # fmt: skip
    """One string for each row of code points."""
    _check_errors(errors)
    codec = _target(output_encoding)
    pieces = [
        encoded(int(c), codec, errors, replacement_char) for c in backend.to_host(input_values)
    ]
    ends = np.asarray(input_splits).tolist()
    joined = [b"".join(pieces[a:b]) for a, b in zip(ends[:-1], ends[1:])]
    return objects(joined, (len(joined),))


@op("UnicodeTranscode", dtypes=STRING, shape=same_as(0), differentiable=False,
    samples=lambda rng: [((_TEXTS,), {"input_encoding": "UTF-8", "output_encoding": e})
                         for e in _OUTPUT])  # fmt: skip
def unicode_transcode_op(xp, input, *, input_encoding, output_encoding, errors="replace",
                         replacement_char=65533, replace_control_characters=False):  # fmt: skip
    """Strings of one encoding in another."""
    _check_errors(errors)
    source, target = _codec(input_encoding), _target(output_encoding)

    def one(s: bytes) -> bytes:
        found = decoded(s, source, errors, replacement_char, replace_control_characters)
        return b"".join(encoded(c, target, errors, replacement_char) for c, _ in found)

    return mapped(one, input)


@op("UnicodeScript", dtypes=frozenset((dt.int32,)), shape=same_as(0), widen=False,
    differentiable=False,
    samples=lambda rng: [((np.array([[65, 0x3B1, 0x416], [0x5D0, 0x30A2, -1]], np.int32),), {}),
                         ((np.array([0x1F986, 0x110000, 48], np.int32),), {})])  # fmt: skip
def unicode_script_op(xp, input):
    """The number of each code point's script, as the ICU library counts them; -1 for none."""
    firsts, scripts = runs()
    firsts, scripts = xp.asarray(firsts), xp.asarray(scripts)
    inside = (input >= 0) & (input <= LAST)
    found = scripts[xp.searchsorted(firsts, xp.where(inside, input, 0), side="right") - 1]
    return xp.where(inside, found, -1).astype(np.int32)

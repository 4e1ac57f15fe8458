"""The functions of `tf.strings`."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array, text, text_parts, unicode
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged.conversion import from_any, from_tensor
from shardtape.ragged.elementwise import broadcast_flat
from shardtape.ragged.tensor import RaggedTensor


def _text(value: Any) -> Any:
    """A string tensor, ragged where the value is."""
    made = from_any(value)
    if made.dtype is not dt.string:
        raise TypeError(f"expected strings, got {made.dtype.name}")
    return made


def length(input: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """The number of bytes ("UTF8_CHAR": of characters) of each string; int32."""
    return text.string_length(_text(input), unit=unit, name=name)


def lower(input: Any, encoding: str = "", name: str | None = None) -> Any:
    """Lower case: of ASCII letters, or of all with encoding="utf-8"."""
    return text.string_lower(_text(input), encoding=encoding, name=name)


def upper(input: Any, encoding: str = "", name: str | None = None) -> Any:
    """Upper case: of ASCII letters, or of all with encoding="utf-8"."""
    return text.string_upper(_text(input), encoding=encoding, name=name)


def strip(input: Any, name: str | None = None) -> Any:
    """Strings without the white space at both ends."""
    return text.string_strip(_text(input), name=name)


def join(inputs: Any, separator: str = "", name: str | None = None) -> Any:
    """Corresponding strings of a list of tensors, joined."""
    values = [_text(v) for v in inputs]
    if not values:
        return convert_to_tensor("", name=name)
    if any(isinstance(v, RaggedTensor) for v in values):
        flat, rebuild = broadcast_flat(values)
        return rebuild(text.string_join(*flat, separator=separator))
    return text.string_join(*values, separator=separator, name=name)


def reduce_join(
    inputs: Any, axis: Any = None, keepdims: bool = False, separator: str = "",
    name: str | None = None,
) -> Any:  # fmt: skip
    """Strings along `axis` (None: all) joined."""
    x = _text(inputs)
    if isinstance(x, RaggedTensor):
        return _ragged_reduce_join(x, axis, keepdims, separator)
    if axis is None:
        if x.shape.rank is None:
            raise ValueError("the rank of strings that are all joined has to be known")
        axis = list(range(x.shape.rank))[::-1]
    axes = np.array(np.atleast_1d(axis), np.int32)
    return text.reduce_join_op(x, axes, keep_dims=keepdims, separator=separator, name=name)


def _ragged_reduce_join(x: RaggedTensor, axis: Any, keepdims: bool, separator: str) -> Any:
    if axis is None:
        return reduce_join(x.flat_values, None, False, separator)
    at = x._axis(axis if isinstance(axis, int) else int(np.asarray(axis).reshape(-1)[0]))
    if at == 0:
        raise ValueError("strings of different rows of a RaggedTensor cannot be joined")
    if at > 1:
        return x.with_values(reduce_join(x.values, at - 1, keepdims, separator))
    if isinstance(x.values, RaggedTensor):
        raise ValueError("only the last axis of a RaggedTensor of strings can be joined")
    joined = text_parts.unsorted_segment_join_op(
        x.values, cast(x.value_rowids(), dt.int64), cast(x.nrows(), dt.int32), separator=separator
    )
    return array.expand_dims(joined, 1) if keepdims else joined


def substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """`len` units of each string from `pos` on (negative: from the end).

    Raises InvalidArgumentError for a position outside the string.
    """
    return text.substr_op(_text(input), from_any(pos), from_any(len), unit=unit, name=name)


def split(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Any:
    """The pieces of each string between `sep` (white space): a RaggedTensor with one more axis.

    A scalar gives a vector.
    """
    separator = convert_to_tensor("" if sep is None else sep)
    return _rows(input, lambda flat: text_parts.string_split_v2(flat, separator, maxsplit=maxsplit))


def bytes_split(input: Any, name: str | None = None) -> Any:
    """The bytes of each string: a RaggedTensor with one more axis (of a scalar, a vector)."""
    empty = convert_to_tensor("")
    return _rows(input, lambda flat: text_parts.string_split_v1(flat, empty, skip_empty=False))


def _rows(input: Any, pieces: Any) -> Any:
    x = _text(input)
    if isinstance(x, RaggedTensor):
        return x.with_flat_values(_rows(x.flat_values, pieces))
    if x.shape.rank is None:
        raise ValueError("the rank of the strings has to be known")
    if x.shape.rank == 0:
        return pieces(array.reshape(x, [1]))[1]
    if x.shape.rank > 1:
        nested = from_tensor(x, None, None, x.shape.rank - 1, dt.int64)
        return nested.with_flat_values(_rows(nested.flat_values, pieces))
    indices, values, dense_shape = pieces(x)
    return RaggedTensor.from_value_rowids(values, indices[:, 0], dense_shape[0], validate=False)


def regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> Any:
    """Matches of `pattern` (RE2's syntax) replaced by `rewrite`, where \\\\1 is the first group.

    Raises InvalidArgumentError for a pattern that cannot be compiled.
    """
    return text.regex_replace_op(
        _text(input), pattern, rewrite, replace_global=replace_global, name=name
    )


def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Any:
    """Whether `pattern` (RE2's syntax) matches the whole of each string."""
    return text.regex_full_match_op(_text(input), pattern, name=name)


def to_number(input: Any, out_type: Any = dt.float32, name: str | None = None) -> Any:
    """The numbers that strings spell.

    Raises InvalidArgumentError for a string that is no number.
    """
    return text_parts.string_to_number(_text(input), out_type=dt.as_dtype(out_type), name=name)


def as_string(
    input: Any, precision: int = -1, scientific: bool = False, shortest: bool = False,
    width: int = -1, fill: str = "", name: str | None = None,
) -> Any:  # fmt: skip
    """The text of numbers: 6 digits after the point, or `precision`, or the shortest form.

    Strings are what they are. Raises UnimplementedError for a width of strings.
    """
    value = from_any(input)
    if value.dtype is dt.string:
        if width > 0:
            raise errors.UnimplementedError(
                f"as_string pads numbers only, got strings and width={width}"
            )
        return value
    return text_parts.as_string_op(
        value, precision=precision, scientific=scientific, shortest=shortest,
        width=width, fill=fill, name=name,
    )  # fmt: skip


def _value_text(value: Any, summarize: int) -> Any:
    """The text of one tensor, as `format` shows it."""
    if isinstance(value, RaggedTensor):
        parts = (value.flat_values, *value.nested_row_splits)
        return text.ragged_as_text(*parts, summarize=summarize)
    return text.string_format(value, template="%s", placeholder="%s", summarize=summarize)


def format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3,
    name: str | None = None,
) -> Any:  # fmt: skip
    """`template` with the values of tensors in the places of `placeholder`.

    Raises ValueError for another number of placeholders than of tensors.
    """
    tensors = [from_any(t) for t in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
    places = template.count(placeholder)
    if places != len(tensors):
        raise ValueError(
            f"The template expects {places} tensors, but the inputs only has {len(tensors)}. "
            "Please ensure the number of placeholders in template matches inputs length."
        )
    if any(isinstance(t, RaggedTensor) for t in tensors):
        first, *rest = template.split(placeholder)
        parts: list[Any] = [first]
        for value, piece in zip(tensors, rest):
            parts += [_value_text(value, summarize), piece]
        return text.string_join(*map(convert_to_tensor, parts), name=name)
    return text.string_format(
        *tensors, template=template, placeholder=placeholder, summarize=summarize, name=name
    )


def to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """FarmHash's fingerprint of each string modulo `num_buckets`; int64."""
    return text.to_hash_bucket_fast(_text(input), num_buckets=int(num_buckets), name=name)


def to_hash_bucket_strong(input: Any, num_buckets: int, key: Any, name: str | None = None) -> Any:
    """SipHash of each string with a key of two numbers, modulo `num_buckets`; int64."""
    a, b = key
    return text.to_hash_bucket_strong(
        _text(input), num_buckets=int(num_buckets), key=(int(a), int(b)), name=name
    )


def to_hash_bucket(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """TensorFlow's own hash of each string modulo `num_buckets`; int64."""
    return text.to_hash_bucket_plain(_text(input), num_buckets=int(num_buckets), name=name)


def unsorted_segment_join(
    inputs: Any, segment_ids: Any, num_segments: Any, separator: str = "", name: str | None = None
) -> Any:
    """Strings of one id joined."""
    return text_parts.unsorted_segment_join_op(
        _text(inputs), segment_ids, num_segments, separator=separator, name=name
    )


# ---- code points ------------------------------------------------------------------------------
def _code_rows(input: Any, decode: Any, count: int) -> Any:
    """`count` values per code point, each ragged with one more axis than the strings."""
    x = _text(input)
    if isinstance(x, RaggedTensor):
        made = _code_rows(x.flat_values, decode, count)
        return tuple([x.with_flat_values(m) for m in made])
    if x.shape.rank is None:
        raise ValueError("Rank of `input` must be statically known.")
    if x.shape.rank > 1:
        nested = from_tensor(x, None, None, x.shape.rank - 1, dt.int64)
        return _code_rows(nested, decode, count)
    splits, *values = decode(array.reshape(x, [-1]))
    if x.shape.rank == 0:
        return tuple(values)
    return tuple([RaggedTensor.from_row_splits(v, splits, validate=False) for v in values])


def unicode_decode(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    replace_control_characters: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The code points of each string, int32: a RaggedTensor (of a scalar, a vector)."""
    options: dict[str, Any] = {
        "input_encoding": input_encoding,
        "errors": errors,
        "replacement_char": replacement_char,
        "replace_control_characters": replace_control_characters,
    }
    return _code_rows(input, lambda x: unicode.unicode_decode_op(x, **options), 1)[0]


def unicode_decode_with_offsets(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    replace_control_characters: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The code points of each string and the bytes at which they start."""
    options: dict[str, Any] = {
        "input_encoding": input_encoding,
        "errors": errors,
        "replacement_char": replacement_char,
        "replace_control_characters": replace_control_characters,
    }
    return _code_rows(input, lambda x: unicode.unicode_decode_with_offsets_op(x, **options), 2)


def unicode_split(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The characters of each string, as strings of the same encoding."""
    codes = unicode_decode(input, input_encoding, errors, replacement_char)
    return _characters(codes, input_encoding)


def _characters(codes: Any, encoding: str) -> Any:
    flat = codes.flat_values if isinstance(codes, RaggedTensor) else codes
    count = array.shape(flat, out_type=dt.int64)[0]
    made = unicode.unicode_encode_op(flat, array.range(count + 1), output_encoding=encoding)
    return codes.with_flat_values(made) if isinstance(codes, RaggedTensor) else made


def unicode_split_with_offsets(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The characters of each string and the bytes at which they start."""
    codes, offsets = unicode_decode_with_offsets(input, input_encoding, errors, replacement_char)
    return _characters(codes, input_encoding), offsets


def unicode_encode(
    input: Any, output_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The strings that rows of code points (the last axis) spell."""
    codes = from_any(input)
    options: dict[str, Any] = {
        "output_encoding": output_encoding,
        "errors": errors,
        "replacement_char": replacement_char,
    }
    if isinstance(codes, RaggedTensor):
        if isinstance(codes.values, RaggedTensor):
            return codes.with_values(unicode_encode(codes.values, **options))
        if codes.values.shape.rank == 1:
            return unicode.unicode_encode_op(codes.values, codes.row_splits, **options)
        return codes.with_values(unicode_encode(codes.values, **options))
    if codes.shape.rank == 1:
        count = array.shape(codes, out_type=dt.int64)[0]
        splits = array.stack([array.zeros_like(count), count])
        return array.reshape(unicode.unicode_encode_op(codes, splits, **options), [])
    if codes.shape.rank == 2:
        rows = from_tensor(codes, None, None, 1, dt.int64)
        return unicode.unicode_encode_op(rows.values, rows.row_splits, **options)
    nested = from_tensor(codes, None, None, codes.shape.rank - 1, dt.int64)
    return unicode_encode(nested, **options)


def unicode_transcode(
    input: Any, input_encoding: str, output_encoding: str, errors: str = "replace",
    replacement_char: int = 65533, replace_control_characters: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Strings of one encoding in another."""
    return unicode.unicode_transcode_op(
        _text(input), input_encoding=input_encoding, output_encoding=output_encoding,
        errors=errors, replacement_char=replacement_char,
        replace_control_characters=replace_control_characters, name=name,
    )  # fmt: skip


# ---- n-grams ----------------------------------------------------------------------------------
def ngrams(
    data: Any, ngram_width: Any, separator: str = " ", pad_values: Any = None,
    padding_width: int | None = None, preserve_short_sequences: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Runs of `ngram_width` strings of each row, joined by `separator`.

    Args:
      ngram_width: one width or several; those of the first width come first in a row.
      pad_values: a string, or one for the left and one for the right; rows are padded by them.
    """
    x = _text(data)
    if not isinstance(x, RaggedTensor):
        vector = x.shape.rank == 1
        x = array.expand_dims(x, 0) if vector else x
        made = ngrams(from_tensor(x, None, None, x.shape.rank - 1, dt.int64), ngram_width,
                      separator, pad_values, padding_width, preserve_short_sequences)  # fmt: skip
        return made[0] if vector else made.to_tensor("")
    if isinstance(x.values, RaggedTensor):
        return x.with_values(ngrams(x.values, ngram_width, separator, pad_values, padding_width,
                                    preserve_short_sequences))  # fmt: skip
    widths = [ngram_width] if isinstance(ngram_width, int) else list(ngram_width)
    left = right = b""
    if pad_values is not None:
        pair = pad_values if isinstance(pad_values, (list, tuple)) else (pad_values, pad_values)
        left, right = [p.encode() if isinstance(p, str) else p for p in pair]
    width = -1 if padding_width is None else padding_width
    values, splits = text_parts.string_ngrams(
        x.values, x.row_splits, separator=separator, ngram_widths=tuple(widths),
        left_pad=left.decode(), right_pad=right.decode(),
        pad_width=0 if pad_values is None else width,
        preserve_short_sequences=preserve_short_sequences,
    )  # fmt: skip
    return RaggedTensor(values, splits)


def unicode_script(input: Any, name: str | None = None) -> Any:
    """The number of the script of each code point, as the ICU library counts them; int32.

    -1 for what is no code point. Ragged where the code points are.
    """
    if isinstance(input, RaggedTensor):
        return input.with_flat_values(unicode_script(input.flat_values, name))
    return unicode.unicode_script_op(convert_to_tensor(input, dt.int32), name=name)

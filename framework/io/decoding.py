"""Operations between strings and tensors: raw bytes, TensorProtos, csv, base64, compression."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.io import tensor_proto
from shardtape.io.csv_fields import TYPES, Column, Format, columns_of
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import op, same_as
from shardtape.tensor import Tensor

_STRING = frozenset((dt.string,))
_RAW = frozenset(
    (dt.float16, dt.float32, dt.float64, dt.int32, dt.uint16, dt.uint8, dt.int16, dt.int8,
     dt.int64, dt.complex64, dt.complex128, dt.bool, dt.bfloat16)
)  # fmt: skip


def _strings(*values: bytes) -> np.ndarray:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _each(function: Any, array: Any) -> np.ndarray:
    """A function of each string of an array."""
    array = np.asarray(array, object)
    out = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        out[place] = function(array[place])
    return out


# ---- raw bytes ----------------------------------------------------------------------------------
def _raw_shape(bytes: Any, **attrs: Any) -> Any:
    return bytes.shape.concatenate([None])


@op("DecodeRaw", shape=_raw_shape, dtype="out_type", dtypes=_STRING, dynamic=True, widen=False,
    differentiable=False,
    samples=lambda rng: [
        ((_strings(b"\x01\x02\x03\x04", b"abcd"),), {"out_type": dt.int16}),
        ((_strings(b"\x01\x02\x03\x04"),), {"out_type": dt.uint16, "little_endian": False}),
        ((np.array(b"\x00\x01", object),), {"out_type": dt.bool}),
        ((_strings(b"\x00\x00\x80\x3f"),), {"out_type": dt.float32}),
    ])  # fmt: skip
def decode_raw_op(xp, bytes, *, out_type, little_endian=True):
    """The bytes of strings as numbers: shape (...) to (..., length / size of a number)."""
    dtype = dt.as_dtype(out_type).numpy_dtype
    array = np.asarray(bytes, object)
    lengths = {len(b) for b in array.ravel()}
    if len(lengths) > 1:
        raise ValueError(
            f"DecodeRaw requires input strings to all be the same size, got {sorted(lengths)}"
        )
    length = lengths.pop() if lengths else 0
    if length % dtype.itemsize:
        raise ValueError(
            f"Input to DecodeRaw has length {length} that is not a multiple of {dtype.itemsize}, "
            f"the size of {dt.as_dtype(out_type).name}"
        )
    flat = _numbers(b"".join(array.ravel()), dtype, little_endian)
    return flat.reshape(*array.shape, length // dtype.itemsize)


@op("DecodePaddedRaw", shape=lambda input_bytes, fixed_length, **attrs:
    input_bytes.shape.concatenate([None]), dtype="out_type", dtypes=_STRING,
    host=("fixed_length",), dynamic=True, widen=False, differentiable=False,
    samples=lambda rng: [
        ((_strings(b"\x01\x02\x03", b"abcdef"), np.int32(4)), {"out_type": dt.int16}),
    ])  # fmt: skip
def decode_padded_raw_op(xp, input_bytes, fixed_length, *, out_type, little_endian=True):
    """As DecodeRaw of strings that are cut or filled with zeros to `fixed_length` bytes."""
    dtype = dt.as_dtype(out_type).numpy_dtype
    length = int(fixed_length)
    if length <= 0 or length % dtype.itemsize:
        raise ValueError(
            f"fixed_length ({length}) must be a positive multiple of the size of out_type "
            f"({dtype.itemsize})"
        )
    array = np.asarray(input_bytes, object)
    data = b"".join(b[:length].ljust(length, b"\0") for b in array.ravel())
    return _numbers(data, dtype, little_endian).reshape(*array.shape, length // dtype.itemsize)


def _numbers(data: bytes, dtype: np.dtype, little_endian: bool) -> np.ndarray:
    if dtype == np.bool_:
        return np.frombuffer(data, np.uint8) != 0
    if little_endian or dtype.itemsize == 1:
        return np.frombuffer(data, dtype).copy()
    flat = np.frombuffer(data, np.uint8).reshape(-1, dtype.itemsize)
    if dtype.kind == "c":  # each of the two parts is turned round by itself
        flat = flat.reshape(-1, dtype.itemsize // 2)
    return np.ascontiguousarray(flat[:, ::-1]).reshape(-1).view(dtype)


def decode_raw(
    input_bytes: Any,
    out_type: Any,
    little_endian: bool = True,
    fixed_length: Any = None,
    name: str | None = None,
) -> Tensor:
    """The bytes of strings of equal length as numbers of `out_type`.

    Args:
      fixed_length: strings are cut or filled with zeros to so many bytes.

    Raises:
      InvalidArgumentError: lengths that do not fit.
    """
    strings, dtype = convert_to_tensor(input_bytes, dt.string), _checked(out_type, _RAW)
    if fixed_length is not None:
        return decode_padded_raw_op(
            strings, fixed_length, out_type=dtype, little_endian=little_endian, name=name
        )
    return decode_raw_op(strings, out_type=dtype, little_endian=little_endian, name=name)


def _checked(dtype: Any, allowed: Any) -> dt.DType:
    made = dt.as_dtype(dtype)
    if made not in allowed:
        names = ", ".join(sorted(t.name for t in allowed))
        raise errors.InvalidArgumentError(
            f"Value for attr 'out_type' of {made.name} is not in the list of allowed values: "
            f"{names}"
        )
    return made


# ---- TensorProtos -------------------------------------------------------------------------------
_NUMBERS_AND_STRINGS = frozenset(t for t in dt.ALL_TYPES if t.kind != "r")


@op("SerializeTensor", shape=lambda tensor, packed: shapes.TensorShape([]), dtype=dt.string,
    dtypes=_NUMBERS_AND_STRINGS, widen=False, differentiable=False,
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {}), ((np.float64(2.5),), {})])  # fmt: skip
def serialize_tensor_op(xp, tensor, *, packed=False):
    """A tensor as a serialised TensorProto, a scalar string; `packed`: strings as one piece."""
    from shardtape import backend

    return np.array(tensor_proto.encode(backend.to_host(tensor), packed), object)


@op("ParseTensor", shape=lambda serialized, out_type: shapes.UNKNOWN, dtype="out_type",
    dtypes=_STRING, dynamic=True, widen=False, differentiable=False,
    samples=lambda rng: [
        ((np.array(tensor_proto.encode(np.arange(6, dtype=np.int32).reshape(2, 3)), object),),
         {"out_type": dt.int32}),
        ((np.array(tensor_proto.encode(_strings(b"a", b"")), object),), {"out_type": dt.string}),
    ])  # fmt: skip
def parse_tensor_op(xp, serialized, *, out_type):
    """The tensor of a serialised TensorProto."""
    return tensor_proto.decode(np.asarray(serialized, object)[()], dt.as_dtype(out_type))


def serialize_tensor(tensor: Any, name: str | None = None) -> Tensor:
    """A tensor as a serialised TensorProto; `parse_tensor` is the inverse."""
    return serialize_tensor_op(convert_to_tensor(tensor), name=name)


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Tensor:
    """The tensor of a serialised TensorProto.

    Raises:
      InvalidArgumentError: what cannot be parsed, or is of another type.
    """
    return parse_tensor_op(
        convert_to_tensor(serialized, dt.string), out_type=dt.as_dtype(out_type), name=name
    )


# ---- csv ----------------------------------------------------------------------------------------
def _csv_samples(rng: Any) -> Any:
    lines = _strings(b'1,2.5,"a,b"', b"7,,c")
    defaults = np.empty(0, np.int32), np.array([0.5], np.float32), _strings(b"x")
    return [
        ((lines, *defaults), {}),
        ((lines, defaults[0], defaults[2]), {"select_cols": [0, 2]}),
        ((np.array(b"1;NA;", object), *defaults), {"field_delim": ";", "na_value": "NA"}),
        ((np.array(b'1,2,"', object), *defaults), {"use_quote_delim": False}),
    ]


@op("DecodeCSV", shape=lambda records, *defaults, **attrs: [records.shape] * len(defaults),
    dtype=lambda dtypes, attrs: tuple(dtypes[1:]), dtypes=frozenset(TYPES), mixed=True,
    outputs=-1, widen=False, differentiable=False, samples=_csv_samples)  # fmt: skip
def decode_csv_op(
    xp, records, *record_defaults, field_delim=",", use_quote_delim=True, na_value="",
    select_cols=(),
):  # fmt: skip
    """Columns of csv records: strings (...) to one tensor (...) per default."""
    array = np.asarray(records, object)
    form = Format(field_delim.encode(), use_quote_delim, na_value.encode())
    columns = [column_of(d) for d in record_defaults]
    got = columns_of(array.ravel().tolist(), columns, form, list(select_cols) or None)
    return tuple([c.reshape(array.shape) for c in got])


def column_of(default: Any) -> Column:
    """A column out of its default: a scalar, one number in a vector, or an empty vector."""
    array = np.asarray(default)
    if array.size > 1:
        raise ValueError(
            f"There should only be 1 default per field but field has {array.size} defaults"
        )
    dtype = dt.from_numpy(array.dtype)
    return Column(dtype, array.reshape(-1)[0] if array.size else None)


def default_tensors(record_defaults: Sequence[Any]) -> list[Tensor]:
    """Defaults as tensors; a dtype stands for a column whose values are required.

    Raises TypeError for a type that csv columns cannot have.
    """
    out = []
    for value in record_defaults:
        if isinstance(value, dt.DType) or value in (float, int, str, bytes):
            dtype = dt.as_dtype({int: dt.int32}.get(value, value))  # type: ignore[call-overload]
            value = convert_to_tensor(np.empty(0, dtype.numpy_dtype))
        made = convert_to_tensor(value)
        if made.dtype not in TYPES:
            raise TypeError(
                f"a csv column cannot be of type {made.dtype.name}: "
                + ", ".join(t.name for t in TYPES)
            )
        out.append(made)
    return out


def decode_csv(
    records: Any,
    record_defaults: Sequence[Any],
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    name: str | None = None,
    select_cols: Sequence[int] | None = None,
) -> list[Tensor]:
    """Columns of csv records.

    Args:
      records: strings of any shape, one record each.
      record_defaults: one per column: a value that stands for a missing field and gives the type,
        or an empty tensor or a dtype for a column that is required.
      na_value: another text for a missing field.
      select_cols: increasing numbers of the columns that are wanted.

    Returns:
      A tensor of the shape of `records` per column.

    Raises:
      InvalidArgumentError: a record that does not fit.
      ValueError: `select_cols` that do not increase, or not one default for each.
    """
    defaults = default_tensors(record_defaults)
    if select_cols is not None:
        if any(b <= a for a, b in zip(select_cols, select_cols[1:])):
            raise ValueError("select_cols is not strictly increasing.")
        if select_cols and select_cols[0] < 0:
            raise ValueError("select_cols contains negative values.")
        if len(select_cols) != len(defaults):
            raise ValueError("Length of select_cols and record_defaults do not match.")
    got = decode_csv_op(
        convert_to_tensor(records, dt.string), *defaults, field_delim=field_delim,
        use_quote_delim=use_quote_delim, na_value=na_value, select_cols=list(select_cols or ()),
        name=name,
    )  # fmt: skip
    return list(got)


# ---- base64 and compression ---------------------------------------------------------------------
@op("EncodeBase64", shape=same_as(0), dtypes=_STRING, widen=False, differentiable=False,
    samples=lambda rng: [((_strings(b"hello", b"\xff\xfe"),), {}),
                         ((_strings(b"hello"),), {"pad": True})])  # fmt: skip
def encode_base64_op(xp, input, *, pad=False):
    """Strings in web-safe base64."""
    return _each(
        lambda b: base64.urlsafe_b64encode(b) if pad else base64.urlsafe_b64encode(b).rstrip(b"="),
        input,
    )


@op("DecodeBase64", shape=same_as(0), dtypes=_STRING, widen=False, differentiable=False,
    samples=lambda rng: [((_strings(b"aGVsbG8", b"__4"),), {})])  # fmt: skip
def decode_base64_op(xp, input):
    """Strings out of web-safe base64, with or without padding."""
    return _each(_from_base64, input)


def _from_base64(text: bytes) -> bytes:
    stripped = text.rstrip(b"=")
    try:
        return base64.b64decode(stripped + b"=" * (-len(stripped) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(f"Invalid character found in base64: {text!r} ({error})") from None


def encode_base64(input: Any, pad: bool = False, name: str | None = None) -> Tensor:
    """Strings in web-safe base64 (`-` and `_`), without padding unless `pad`."""
    return encode_base64_op(convert_to_tensor(input, dt.string), pad=pad, name=name)


def decode_base64(input: Any, name: str | None = None) -> Tensor:
    """Strings out of web-safe base64. Raises InvalidArgumentError for other characters."""
    return decode_base64_op(convert_to_tensor(input, dt.string), name=name)


def _compressed_samples(rng: Any) -> Any:
    packed = _strings(zlib.compress(b"hello"), zlib.compress(b""))
    return [((packed,), {"compression_type": "ZLIB"}), ((_strings(b"x"),), {})]


@op("DecodeCompressed", shape=same_as(0), dtypes=_STRING, widen=False, differentiable=False,
    samples=_compressed_samples)  # fmt: skip
def decode_compressed_op(xp, bytes, *, compression_type=""):
    """Strings decompressed."""
    unpack = {"": lambda b: b, "ZLIB": zlib.decompress, "GZIP": gzip.decompress}[compression_type]
    try:
        return _each(unpack, bytes)
    except (zlib.error, OSError, EOFError) as error:
        raise ValueError(f"cannot decompress: {error}") from None


def decode_compressed(bytes: Any, compression_type: str = "", name: str | None = None) -> Tensor:
    """Strings decompressed.

    Args:
      compression_type: "" (as they are), "ZLIB" or "GZIP".

    Raises:
      ValueError: another type; InvalidArgumentError: broken data.
    """
    if compression_type not in ("", "ZLIB", "GZIP"):
        raise ValueError(f"compression_type must be '', 'ZLIB' or 'GZIP', got {compression_type!r}")
    return decode_compressed_op(
        convert_to_tensor(bytes, dt.string), compression_type=compression_type, name=name
    )

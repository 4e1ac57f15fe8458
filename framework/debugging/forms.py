"""Assertions on ranks, shapes and types, which need no values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shardtape import dtypes as dt
from shardtape.graph.static import constant_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor


def _label(x: Any) -> str:
    return getattr(x, "name", "") if not isinstance(x, Tensor) or hasattr(x, "op") else ""


def _known(value: Any) -> int:
    found = constant_value(convert_to_tensor(value))
    if found is None:
        raise ValueError("the rank of an assertion has to be known")
    return int(found)


def _shape_of(x: Any) -> tuple[Any, str]:
    tensor = convert_to_tensor(x)
    try:
        name = _label(tensor)
    except AttributeError:  # eager tensors have no name
        name = ""
    return tensor.shape, name


def assert_rank(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError for another rank; what a graph does not know passes."""
    shape, label = _shape_of(x)
    wanted = _known(rank)
    if shape.rank not in (None, wanted):
        raise ValueError(
            f"{_text(message)}Tensor {label} must have rank {wanted}.  Received rank "
            f"{shape.rank}, shape {shape}"
        )


def _text(message: str | None) -> str:
    return f"{message}.  " if message else ""


def assert_rank_at_least(
    x: Any, rank: Any, message: str | None = None, name: str | None = None
) -> None:
    """Raises ValueError for a smaller rank; what a graph does not know passes."""
    shape, label = _shape_of(x)
    wanted = _known(rank)
    if shape.rank is not None and shape.rank < wanted:
        raise ValueError(
            f"{_text(message)}Tensor {label} must have rank at least {wanted}.  Received rank "
            f"{shape.rank}, shape {shape}"
        )


def assert_rank_in(x: Any, ranks: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError for a rank that is not among `ranks`."""
    shape, label = _shape_of(x)
    wanted = tuple(_known(r) for r in ranks)
    if shape.rank is not None and shape.rank not in wanted:
        raise ValueError(
            f"{_text(message)}Tensor {label} must have rank in {wanted}.  Received rank "
            f"{shape.rank}, shape {shape}"
        )


def assert_scalar(tensor: Any, message: str | None = None, name: str | None = None) -> Any:
    """The tensor; raises ValueError where it is no scalar."""
    tensor = convert_to_tensor(tensor)
    if tensor.shape.rank != 0:
        raise ValueError(f"{message or ''}Expected scalar shape, saw shape: {tensor.shape}.")
    return tensor


def assert_type(
    tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None
) -> None:
    """Raises TypeError for another dtype."""
    wanted = dt.as_dtype(tf_type)
    found = getattr(tensor, "dtype", None)
    found = found if isinstance(found, dt.DType) else convert_to_tensor(tensor).dtype
    if found is not wanted:
        text = f"{message}\n" if message else ""
        raise TypeError(f"{text}tensor must be of type {wanted!r}; got {found!r}")


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError for a dtype that is no integer."""
    found = convert_to_tensor(x).dtype
    if not found.is_integer:
        text = f"{message}\n" if message else ""
        raise TypeError(f'{text}Expected "x" to be integer type.  Found: tensor of dtype {found}')


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> dt.DType:
    """The one floating dtype of all.

    Raises ValueError where they differ, or are not floating.
    """
    wanted = None if dtype is None else dt.as_dtype(dtype)
    first = None
    for t in tensors or ():
        if wanted is None:
            wanted, first = t.dtype, t
        elif t.dtype is not wanted:
            like = f" as {first!s}" if first is not None else ""
            raise ValueError(f"{t!s}, type={t.dtype}, must be of the same type ({wanted}){like}.")
    wanted = wanted or dt.float32
    if not wanted.is_floating:
        raise ValueError(f"Expected floating point type, got {wanted}.")
    return wanted


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    return isinstance(tensor, Tensor) and tensor.dtype in dt.NUMERIC


def assert_proper_iterable(values: Any) -> None:
    """Raises TypeError for tensors, arrays and strings, and for what cannot be iterated."""
    import numpy as np

    if isinstance(values, (Tensor, np.ndarray, str, bytes)) or hasattr(values, "dense_shape"):
        raise TypeError(
            f"Expected argument 'values' to be a 'proper' iterable.  Found: {type(values)}"
        )
    if not isinstance(values, Iterable):
        raise TypeError(f"Expected argument 'values' to be iterable.  Found: {type(values)}")


# ---- several shapes ---------------------------------------------------------------------------
def assert_shapes(
    shapes: Any, data: Any = None, summarize: Any = None, message: str | None = None,
    name: str | None = None,
) -> None:  # fmt: skip
    """Checks tensors against shapes with names for sizes: equal names are equal sizes.

    Args:
      shapes: pairs (tensor, shape), or a dict; a shape is a tuple of sizes, names, None or "."
        for any size; a name may begin with "..." or be "*" for any number of axes in front.

    Raises ValueError for sizes that do not fit; what a graph does not know passes.
    """
    pairs = list(shapes.items()) if isinstance(shapes, dict) else list(shapes)
    pairs = [(getattr(x, "deref", lambda x=x: x)(), s) for x, s in pairs]
    found: dict[Any, tuple[int, str]] = {}
    for x, symbols in pairs:
        if isinstance(symbols, str) and not symbols:
            symbols = ()
        if not isinstance(symbols, Iterable):
            symbols = (symbols,)
        tensor = convert_to_tensor(x)
        symbols = list(symbols)
        label = f"Tensor {_name(tensor)}"
        if tensor.shape.rank is None:
            continue
        _check_rank(tensor, symbols, label, message)
        axes = [(i, s) for i, s in enumerate(symbols) if s != "*" and s is not Ellipsis]
        shift = tensor.shape.rank - len(symbols) if len(axes) < len(symbols) else 0
        for i, s in axes:
            size = tensor.shape[i + shift]
            if s in (None, ".") or size is None:
                continue
            place = f"{label} dimension {i}"
            if isinstance(s, int) or (isinstance(s, str) and s.isdigit()):
                wanted, source = int(s), "Specified explicitly"
            elif s in found:
                wanted, other = found[s]
                source = f"Specified by {other[0].lower()}{other[1:]}"
            else:
                found[s] = size, place
                continue
            if size != wanted:
                raise ValueError(
                    f"{_text(message)}{source}.  {place} must have size {wanted}.  Received size "
                    f"{size}, shape {tensor.shape}"
                )


def _name(tensor: Any) -> str:
    return f"shape={tensor.shape} dtype={tensor.dtype.name}"


def _check_rank(tensor: Any, symbols: list[Any], label: str, message: str | None) -> None:
    rank = tensor.shape.rank
    open_front = bool(symbols) and (symbols[0] == "*" or symbols[0] is Ellipsis)
    if open_front:
        if rank < len(symbols) - 1:
            raise ValueError(
                f"{_text(message)}{label} must have rank at least {len(symbols) - 1}.  Received "
                f"rank {rank}, shape {tensor.shape}"
            )
    elif rank != len(symbols):
        raise ValueError(
            f"{_text(message)}{label} must have rank {len(symbols)}.  Received rank {rank}, shape "
            f"{tensor.shape}"
        )

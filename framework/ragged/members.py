"""Functions of single elements that are made of several ops; sums along rows, counts, pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.debugging.numerics import check_numerics
from shardtape.graph.static import constant_value
from shardtape.ops import activations, array, colors, complex_numbers, counting, special
from shardtape.ops.arithmetic import reciprocal_no_nan
from shardtape.ops.cast import bitcast, cast, saturate_cast
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.cross_entropy import sigmoid_cross_entropy_with_logits
from shardtape.ops.image import convert_image_dtype
from shardtape.ops.scanning import cumsum
from shardtape.ragged import partitions
from shardtape.ragged.conversion import coordinates
from shardtape.ragged.elementwise import map_flat_values
from shardtape.ragged.shaped import DynamicRaggedShape
from shardtape.ragged.tensor import RaggedTensor


def _register(function: Callable[..., Any]) -> None:
    @overrides(function.__name__, RaggedTensor)
    def on_flat_values(*args: Any, **kwargs: Any) -> Any:
        return map_flat_values(function, *args, **kwargs)


for _function in (
    activations.silu, activations.gelu, activations.leaky_relu, special.log_sigmoid,
    special.erfcinv, reciprocal_no_nan, complex_numbers.real, complex_numbers.imag,
    complex_numbers.conj, complex_numbers.angle, bitcast, saturate_cast, colors.adjust_gamma,
    colors.adjust_brightness, convert_image_dtype, check_numerics,
    sigmoid_cross_entropy_with_logits,
):  # fmt: skip
    _register(_function)


@overrides("is_non_decreasing", RaggedTensor)
def _rises(x: Any, name: str | None = None) -> Any:
    return counting.is_non_decreasing(x.flat_values, name)


@overrides("is_strictly_increasing", RaggedTensor)
def _rises_strictly(x: Any, name: str | None = None) -> Any:
    return counting.is_strictly_increasing(x.flat_values, name)


@overrides("cumsum", RaggedTensor)
def _cumsum(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> RaggedTensor:
    """Sums along an axis; what rows lack counts as zeros."""
    (at,) = partitions.known_integers(axis, "axis")
    sums = cumsum(x.to_tensor(), x._axis(at), exclusive, reverse, name)
    places = array.stack([cast(c, dt.int64) for c in coordinates(x)], 1)
    return x.with_flat_values(array.gather_nd(sums, places))


@overrides("bincount", RaggedTensor)
def _bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None,
    dtype: Any = dt.int32, name: str | None = None, axis: int | None = None,
    binary_output: bool = False,
) -> Any:  # fmt: skip
    """Counts of all numbers, or with axis=-1 of those of each row."""
    if weights is not None and not isinstance(weights, RaggedTensor):
        raise ValueError(f"weights of a RaggedTensor have to be ragged, got {weights!r}")
    given = None if weights is None else weights.flat_values
    numbers = cast(arr.flat_values, dt.int32)
    if axis != -1:
        return counting.counted(numbers, given, minlength, maxlength, dtype, binary_output)
    if arr.shape.rank != 2:
        raise ValueError(f"bincount with axis=-1 takes rows of numbers, got shape {arr.shape}")
    rows = cast(arr.value_rowids(), dt.int32)
    count = cast(arr.nrows(), dt.int32)
    return counting.counted(numbers, given, minlength, maxlength, dtype, binary_output, rows, count)


@overrides("split", RaggedTensor)
def _split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Any]:
    """Pieces along axis 0 or one whose rows have one length.

    Raises:
      ValueError: a ragged axis, sizes that a graph does not know.
      InvalidArgumentError: pieces that do not make up the whole.
    """
    at = value._axis(partitions.known_integers(axis, "axis")[0])
    if at and value.shape[at] is None:
        raise ValueError(
            "Cannot split a ragged dimension. Got `value` with shape "
            f"{DynamicRaggedShape.from_tensor(value)} and `axis` {axis}."
        )
    whole = value.nrows() if at == 0 else value.shape[at]
    known = whole if isinstance(whole, int) else constant_value(whole)
    if isinstance(num_or_size_splits, (int, np.integer)):
        count = int(num_or_size_splits)
        if count < 1 or (known is not None and int(known) % count):
            raise errors.InvalidArgumentError(_uneven(known, count))
        each = (whole if known is None else int(known)) // count
        ends = [i * each for i in range(count + 1)]
    else:
        sizes = partitions.known_integers(convert_to_tensor(num_or_size_splits), "sizes")
        if min(sizes, default=0) < 0:
            raise errors.InvalidArgumentError(f"`num_or_size_splits` must be non-negative: {sizes}")
        ends = [0, *np.cumsum(sizes).tolist()]
        if known is not None and ends[-1] != int(known):
            raise errors.InvalidArgumentError(_uneven(known, sizes))
    lead = (slice(None),) * at
    return [value[(*lead, slice(a, b))] for a, b in zip(ends, ends[1:])]


def _uneven(known: Any, wanted: Any) -> str:
    return (
        "Cannot exactly split the `axis` dimension of `value` with the given "
        f"`num_or_size_splits`: {known} in {wanted}"
    )

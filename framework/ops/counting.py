"""Counts: of values, in bins, of pairs of labels; polynomials."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.arithmetic import maximum, minimum
from shardtape.ops.cast import cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import ones_like, zeros_like
from shardtape.ops.filling import range as range_
from shardtape.ops.gather import unsorted_segment_sum
from shardtape.ops.joining import concat, stack
from shardtape.ops.reduce import reduce_all, reduce_max
from shardtape.ops.scatter import scatter_nd
from shardtape.ops.selecting import where
from shardtape.ops.shaping import reshape, shape, size
from shardtape.tensor import EagerTensor, Tensor


@takes_composites
def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None,
    dtype: Any = dt.int32, name: str | None = None, axis: int | None = None,
    binary_output: bool = False,
) -> Tensor:  # fmt: skip
    """How often (or with which sum of `weights`) each number 0, 1, ... occurs.

    Args:
      arr: integers that are not negative.
      minlength, maxlength: least and greatest number of bins.
      axis: None counts all; -1 every row of a matrix by itself.
      binary_output: whether a number occurs, 0 or 1.

    Raises InvalidArgumentError for a negative number (eagerly).
    """
    arr = cast(convert_to_tensor(arr), dt.int32)
    weights = None if weights is None else convert_to_tensor(weights)
    if axis is None or len(arr.shape) != 2:
        return counted(arr, weights, minlength, maxlength, dtype, binary_output)
    number = shape(arr)[0]
    rows = reshape(range_(number), [-1, 1])
    return counted(arr, weights, minlength, maxlength, dtype, binary_output, rows, number)


def counted(
    arr: Tensor, weights: Any, minlength: Any, maxlength: Any, dtype: Any, binary_output: bool,
    rows: Any = None, number: Any = None,
) -> Tensor:  # fmt: skip
    """`bincount` of int32 numbers; with the row (broadcast) of each of them, of each of `number`
    rows."""
    if isinstance(arr, EagerTensor) and bool((arr._array < 0).any()):
        raise errors.InvalidArgumentError("bincount: `arr` must hold no negative numbers")
    count = where(size(arr) > 0, reduce_max(concat([reshape(arr, [-1]), [-1]], 0)) + 1, 0)
    if minlength is not None:
        count = maximum(cast(minlength, dt.int32), count)
    if maxlength is not None:
        count = minimum(cast(maxlength, dt.int32), count)
    values = ones_like(arr, dtype) if weights is None else weights
    if rows is None:
        ids, total = where(arr < count, arr, -1), count
    else:
        ids, total = where(arr < count, arr + rows * count, -1), number * count
    got = unsorted_segment_sum(values, ids, total)
    if binary_output:
        got = cast(got > zeros_like(got), got.dtype)
    return got if rows is None else reshape(got, stack([number, count]))


def histogram_fixed_width_bins(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = dt.int32, name: Any = None
) -> Tensor:
    """The bin, of `nbins` equal ones over `value_range`, of every value; what lies outside is in
    the first or last one."""
    x = convert_to_tensor(values)
    low, high = (cast(convert_to_tensor(value_range)[i], x.dtype) for i in (0, 1))
    scaled = (cast(reshape(x, [-1]), dt.float64) - cast(low, dt.float64)) / cast(
        high - low, dt.float64
    )
    bins = cast(nbins, dt.int32)
    from shardtape.ops.rounding import floor

    place = cast(floor(scaled * cast(bins, dt.float64)), dt.int32)
    place = minimum(maximum(place, zeros_like(place)), bins - 1)
    return cast(reshape(place, shape(x)), dtype, name)


def _check_bins(value_range: Any, nbins: Any) -> None:
    """Raises for bounds in the wrong order and for no bins, where the values are known."""
    bounds = convert_to_tensor(value_range)
    if isinstance(bounds, EagerTensor):
        low, high = bounds.numpy().tolist()
        if not low < high:
            raise errors.InvalidArgumentError(
                "value_range should satisfy value_range[0] < value_range[1], but got "
                f"'[{low:g}, {high:g}]' [Op:HistogramFixedWidth]"
            )
    if isinstance(nbins, (int, EagerTensor)) and int(nbins) <= 0:
        raise errors.InvalidArgumentError(
            f"nbins should be a positive number, but got '{int(nbins)}' [Op:HistogramFixedWidth]"
        )


def histogram_fixed_width(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = dt.int32, name: Any = None
) -> Tensor:
    """The number of values in each of `nbins` equal bins over `value_range`."""
    _check_bins(value_range, nbins)
    place = histogram_fixed_width_bins(values, value_range, nbins)
    ones = ones_like(reshape(place, [-1]), dtype)
    return unsorted_segment_sum(ones, reshape(place, [-1]), cast(nbins, dt.int32), name=name)


def _check_classes(what: str, classes: Any, count: Any) -> None:
    """Raises for eager classes outside; in a graph the op that counts refuses them."""
    if not (isinstance(classes, EagerTensor) and isinstance(count, EagerTensor)):
        return
    from shardtape.debugging import assert_less, assert_non_negative

    assert_non_negative(classes, message=f"`{what}` contains negative values.  ")
    assert_less(classes, count, message=f"`{what}` out of bound")


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, weights: Any = None,
    dtype: Any = dt.int32, name: str | None = None,
) -> Tensor:  # fmt: skip
    """How often (with which weight) each label (rows) got each prediction (columns)."""
    labels = cast(convert_to_tensor(labels), dt.int64)
    predictions = cast(convert_to_tensor(predictions), dt.int64)
    if num_classes is None:
        num_classes = maximum(reduce_max(predictions), reduce_max(labels)) + 1
    side = cast(num_classes, dt.int64)
    _check_classes("labels", labels, side)
    _check_classes("predictions", predictions, side)
    if weights is None:
        values = ones_like(predictions, dtype)
    else:
        values = cast(weights, dtype)
        predictions.shape.assert_is_compatible_with(values.shape)
    return scatter_nd(stack([labels, predictions], axis=1), values, stack([side, side]), name=name)


def polyval(coeffs: Any, x: Any, name: str | None = None) -> Tensor:
    """The polynomial with a list of coefficients, the highest first, at `x`.

    Raises ValueError where the coefficients are no list.
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    x = convert_to_tensor(x)
    if not coeffs:
        return zeros_like(x)
    terms = [convert_to_tensor(c, None if isinstance(c, Tensor) else x.dtype) for c in coeffs]
    total = terms[0]
    for c in terms[1:]:
        total = c + total * x
    return total


@takes_composites
def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Whether the elements in their order never get smaller, a bool scalar."""
    flat = reshape(convert_to_tensor(x), [-1])
    return reduce_all(flat[1:] >= flat[:-1], name=name)


@takes_composites
def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Whether the elements in their order always get larger, a bool scalar."""
    flat = reshape(convert_to_tensor(x), [-1])
    return reduce_all(flat[1:] > flat[:-1], name=name)

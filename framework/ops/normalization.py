"""Normalisation: moments, batch normalisation from given moments, unit length."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.array import shape, squeeze, stop_gradient
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import (
    abs,
    divide,
    maximum,
    multiply,
    pow,
    rsqrt,
    sqrt,
    square,
    squared_difference,
)
from shardtape.ops.node_names import scope_itself, scoped
from shardtape.ops.reduce import reduce_max, reduce_mean, reduce_sum
from shardtape.tensor import Tensor


@scoped("l2_normalize")
def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """x over its Euclidean length along `axis` (None: all); the square is at least `epsilon`."""
    axis = dim if axis is None else axis
    x = convert_to_tensor(x)
    total = reduce_sum(square(x), axis, keepdims=True)
    if state.graph is None:
        epsilon = convert_to_tensor(epsilon, x.dtype)  # type: ignore[assignment]
    return multiply(x, rsqrt(maximum(total, epsilon)), name=scope_itself() or name)


def normalize(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """(tensor / norm, norm), the norm with kept axes.

    Args:
      ord: "euclidean", a positive number, or infinity.

    Raises ValueError for another `ord`.
    """
    x = convert_to_tensor(tensor)
    if ord == "euclidean" or ord == 2:
        norm = sqrt(reduce_sum(square(x), axis, keepdims=True))
    elif ord == 1:
        norm = reduce_sum(abs(x), axis, keepdims=True)
    elif ord == float("inf"):
        norm = reduce_max(abs(x), axis, keepdims=True)
    elif isinstance(ord, (int, float)) and ord > 0:
        total = reduce_sum(pow(abs(x), convert_to_tensor(float(ord), x.dtype)), axis, keepdims=True)
        norm = pow(total, convert_to_tensor(1.0 / ord, x.dtype))
    else:
        raise ValueError(f"'ord' must be a supported vector norm, got {ord!r}")
    return divide(x, norm, name=name), norm


@scoped("moments")
def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance over `axes`; float16 and bfloat16 are computed in float32.

    Args:
      shift: not used, as in TensorFlow.
      keepdims: keep the reduced axes with size 1.
    """
    x = convert_to_tensor(x)
    given = x.dtype
    if given in dt.HALVES:
        x = cast(x, dt.float32)
    mean = reduce_mean(x, axes, keepdims=True)
    variance = reduce_mean(squared_difference(x, stop_gradient(mean)), axes, keepdims=True)
    if not keepdims:
        gone = range(x.shape.rank) if axes is None else axes
        mean, variance = squeeze(mean, gone), squeeze(variance, gone)
    if given in dt.HALVES:
        return cast(mean, given), cast(variance, given)
    return mean, variance


def weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance over `axes` where each element counts its weight (it broadcasts)."""
    x = convert_to_tensor(x)
    weights = convert_to_tensor(frequency_weights)
    given = x.dtype
    if given in dt.HALVES:
        x = cast(x, dt.float32)
    if weights.dtype is not x.dtype:
        weights = cast(weights, x.dtype)
    weights = weights + x * 0.0
    total = reduce_sum(weights, axes, keepdims=True)
    mean = reduce_sum(weights * x, axes, keepdims=True) / total
    distance = squared_difference(x, stop_gradient(mean))
    variance = reduce_sum(weights * distance, axes, keepdims=True) / total
    if not keepdims:
        mean, variance = squeeze(mean, axes), squeeze(variance, axes)
    if given in dt.HALVES:
        return cast(mean, given), cast(variance, given)
    return mean, variance


def sufficient_statistics(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """(count, sum, sum of squares, shift) over `axes`, of x - shift."""
    x = convert_to_tensor(x)
    axes = [axes] if isinstance(axes, int) else list(axes)
    count = cast(_product([shape(x)[a] for a in axes]), x.dtype)
    if shift is not None:
        shift = convert_to_tensor(shift, x.dtype)
        x = x - shift
    total = reduce_sum(x, axes, keepdims=keepdims)
    return count, total, reduce_sum(square(x), axes, keepdims=keepdims), shift


def _product(values: list[Any]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = result * value
    return result


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance from `sufficient_statistics`."""
    divisor = 1.0 / convert_to_tensor(counts)
    shifted = mean_ss * divisor
    mean = shifted if shift is None else shifted + shift
    return mean, variance_ss * divisor - square(shifted)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Tensor:
    """(x - mean) * scale / sqrt(variance + epsilon) + offset; scale and offset may be None."""
    x = convert_to_tensor(x)
    factor = rsqrt(convert_to_tensor(variance) + variance_epsilon)
    if scale is not None:
        factor = factor * scale
    shift = -(mean * factor) if offset is None else offset - mean * factor
    return x * _like(factor, x) + _like(shift, x)


def _like(value: Tensor, x: Tensor) -> Tensor:
    return value if value.dtype is x.dtype else cast(value, x.dtype)


def batch_norm_with_global_normalization(
    input: Any,
    mean: Any,
    variance: Any,
    beta: Any,
    gamma: Any,
    variance_epsilon: float,
    scale_after_normalization: bool,
    name: str | None = None,
) -> Tensor:
    """`batch_normalization`; `gamma` scales only where `scale_after_normalization`."""
    return batch_normalization(
        input, mean, variance, beta, gamma if scale_after_normalization else None,
        variance_epsilon, name,
    )  # fmt: skip

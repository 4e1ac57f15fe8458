"""Dropout; the mask comes from the random op, whose streams and seeds it follows."""

from __future__ import annotations

import numbers
from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import random
from shardtape.ops.array import shape
from shardtape.ops.cast import cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import greater_equal, multiply, real_div, subtract
from shardtape.ops.node_names import scoped
from shardtape.tensor import Tensor


@takes_composites
@scoped("dropout")
def dropout(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """Zeroes elements of x with probability `rate`, scales the others by 1 / (1 - rate).

    Args:
      rate: a number in [0, 1) or a scalar tensor. 0 gives x itself.
      noise_shape: the shape of the mask, which broadcasts against x; default that of x.
      seed: op seed; see `tf.random.set_seed`.

    Raises:
      ValueError: a rate out of range, an x that is not floating.
    """
    if isinstance(rate, numbers.Real) and rate == 0:
        random.seeds(seed)  # the op counts where seeds are derived from the number of ops
    return general_dropout(
        x, rate, lambda shape, dtype: random.random_uniform(shape, dtype=dtype, seed=seed),
        noise_shape, name,
    )  # fmt: skip


def _noise_shape(x: Tensor, noise_shape: Any) -> Any:
    if noise_shape is None:
        return x.shape if x.shape.is_fully_defined() else shape(x)
    if isinstance(noise_shape, (list, tuple)) and len(noise_shape) == x.shape.rank:
        sizes = x.shape.as_list()
        dims = [s if n is None else n for s, n in zip(sizes, noise_shape)]
        if None not in dims:
            return dims
        dynamic = shape(x)
        return [dynamic[i] if d is None else d for i, d in enumerate(dims)]
    return noise_shape


def stateless_dropout(
    x: Any, rate: Any, seed: Any, rng_alg: Any = "auto_select", noise_shape: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """As `dropout`, with a mask that follows from `seed` [2]."""
    from shardtape.ops.random_stateless import stateless_uniform

    alg = "auto_select" if rng_alg is None else rng_alg
    return general_dropout(
        x, rate, lambda shape, dtype: stateless_uniform(shape, seed, dtype=dtype, alg=alg),
        noise_shape, name,
    )  # fmt: skip


def general_dropout(
    x: Any, rate: Any, uniform_sampler: Any, noise_shape: Any = None, name: str | None = None
) -> Tensor:
    """As `dropout`, with the numbers in [0, 1) that `uniform_sampler(shape, dtype)` gives."""
    known = isinstance(rate, numbers.Real)
    if known and not 0 <= rate < 1:
        raise ValueError(
            f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}"
        )
    if not known and not isinstance(getattr(rate, "dtype", None), dt.DType):
        raise ValueError(f"`rate` must be a scalar or scalar tensor. Received: rate={rate}")
    x = convert_to_tensor(x)
    if not x.dtype.is_floating:
        raise ValueError(
            "`x.dtype` must be a floating point tensor as `x` will be scaled. Received: "
            f"x_dtype={x.dtype}"
        )
    if known and rate == 0:
        return x
    if known:
        scaled = multiply(x, convert_to_tensor(1 / (1 - rate), x.dtype))
    else:
        rate = convert_to_tensor(rate)
        rate.shape.assert_has_rank(0)
        rate = rate if rate.dtype is x.dtype else cast(rate, x.dtype)
        scaled = real_div(x, subtract(convert_to_tensor(1, x.dtype), rate))
    noise = uniform_sampler(shape=_noise_shape(x, noise_shape), dtype=x.dtype)
    keep = greater_equal(noise, convert_to_tensor(rate, x.dtype))
    # a product is 10 times faster than choosing by a random mask
    return multiply(scaled, cast(keep, x.dtype), name=name)

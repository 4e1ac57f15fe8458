"""Gamma and Poisson numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.backend import philox, rejection
from shardtape.ops import array, samples
from shardtape.ops.broadcasting import sum_to_shape_of
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.incomplete_gamma import igamma, igamma_grad_a
from shardtape.ops.math import divide, maximum, multiply
from shardtape.ops.random import _stream, seeds, shape_input, sizes_of
from shardtape.ops.registry import RANDOM, Arg, broadcast, op
from shardtape.ops.shape_rules import from_vector, known_ints
from shardtape.ops.special import lgamma
from shardtape.shapes import UNKNOWN, TensorShape

_FLOATS = frozenset((dt.float16, dt.float32, dt.float64))
_WIDE = frozenset((dt.float32, dt.float64))
_SIZE = np.array([3], np.int32)
_ALPHA = np.array([0.4, 1.0, 2.5])
_SEED = np.array([5, 9], np.int64)


def _outer(shape: Arg, parameter: Arg, **attrs: Any) -> TensorShape:
    """The given shape, then that of the parameter."""
    sizes = known_ints(shape)
    if sizes is None or parameter.shape.rank is None:
        return UNKNOWN
    return TensorShape(sizes).concatenate(parameter.shape)


def _drawn(
    draw: Callable[..., Any], xp: Any, position: philox.Philox, parameter: Any, count: int
) -> Any:
    flat = parameter.reshape(-1)
    if flat.dtype == np.float16:
        flat = flat.astype(np.float32)
    return draw(xp, position, flat, count)


@op("RandomGamma", shape=_outer, dtypes=_FLOATS, dtype=lambda dtypes, attrs: dtypes[1],
    host=("shape",), effects=RANDOM, widen=False,
    samples=lambda rng: [((_SIZE, _ALPHA), {"seed": 7})])  # fmt: skip
def random_gamma_op(xp, shape, alpha, *, seed=0, seed2=0, _stream_id=0):
    """Gamma numbers of rate 1: shape, then that of alpha."""
    sizes, count = sizes_of(shape)
    blocks = count * alpha.size * philox.BLOCKS_PER_VALUE
    position = _stream(xp, blocks, _stream_id, seed, seed2, "RandomGamma", alpha.dtype)
    made = _drawn(rejection.gamma, xp, position, alpha, count)
    return made.reshape(sizes + alpha.shape).astype(alpha.dtype)


@random_gamma_op.gradient
def _(g, y, _shape, alpha):
    return _by_alpha(g, y, alpha)


def _by_alpha(g: Any, y: Any, alpha: Any) -> Any:
    return sum_to_shape_of(multiply(g, random_gamma_grad(alpha, y)), alpha)


def _grad_reference(alpha: Any, sample: Any) -> Any:
    """By differences of the distribution function."""
    alpha, sample, h = alpha.astype(np.float64), sample.astype(np.float64), 1e-5
    rise = (igamma.kernel(np, alpha + h, sample) - igamma.kernel(np, alpha - h, sample)) / (2 * h)
    gamma = np.vectorize(math.gamma)(alpha)
    return -rise / (sample ** (alpha - 1) * np.exp(-sample) / gamma)


@op("RandomGammaGrad", dtypes=_WIDE, broadcasts=True, shape=broadcast, differentiable=False,
    samples=samples.uniform(0.4, 4.0, [(2, 3), (2, 3)], [(3,), (2, 3)]),
    reference=_grad_reference)  # fmt: skip
def random_gamma_grad(xp, alpha, sample):
    """The derivative by alpha of gamma numbers of which each keeps its place in the distribution.

    Figurnov, Mohamed and Mnih, Implicit Reparameterization Gradients (2018): minus the derivative
    of the distribution function by alpha over the density.
    """
    wide, x = alpha.astype(np.float64), sample.astype(np.float64)
    log_density = (wide - 1) * xp.log(x) - x - lgamma.kernel(xp, wide)
    rise = igamma_grad_a.kernel(xp, wide, x)
    return (-rise * xp.exp(-log_density)).astype(alpha.dtype)


@op("RandomPoissonV2", shape=_outer, dtypes=_FLOATS | {dt.int32, dt.int64}, dtype="dtype",
    host=("shape",), effects=RANDOM, widen=False, differentiable=False,
    samples=lambda rng: [((_SIZE, np.array([0.5, 30.0])), {"seed": 7})])  # fmt: skip
def random_poisson_op(xp, shape, rate, *, dtype=dt.int64, seed=0, seed2=0, _stream_id=0):
    """Poisson numbers: shape, then that of rate."""
    sizes, count = sizes_of(shape)
    blocks = count * rate.size * philox.BLOCKS_PER_VALUE
    position = _stream(xp, blocks, _stream_id, seed, seed2, "RandomPoissonV2", rate.dtype, dtype)
    made = _drawn(rejection.poisson, xp, position, rate, count)
    return made.reshape(sizes + rate.shape).astype(dt.as_dtype(dtype).numpy_dtype)


def _repeats(shape: Any, parameter: Any) -> tuple[tuple[int, ...], int]:
    sizes, count = sizes_of(shape)
    rank = parameter.ndim
    if rank and sizes[-rank:] != parameter.shape:
        raise ValueError(
            f"Shape {list(sizes)} must end with the shape of the parameter {list(parameter.shape)}"
        )
    return sizes, count // parameter.size if parameter.size else 0


@op("StatelessRandomGammaV2", shape=from_vector(0), dtypes=_FLOATS,
    dtype=lambda dtypes, attrs: dtypes[2], host=("shape", "seed"), widen=False,
    samples=lambda rng: [((np.array([2, 3], np.int32), _SEED, _ALPHA), {})])  # fmt: skip
def stateless_random_gamma_op(xp, shape, seed, alpha):
    """Gamma numbers of rate 1 that follow from `seed` [2]; `shape` ends with that of alpha."""
    sizes, count = _repeats(shape, alpha)
    position = philox.from_stateless_seed(int(seed[0]), int(seed[1]))
    return _drawn(rejection.gamma, xp, position, alpha, count).reshape(sizes).astype(alpha.dtype)


@stateless_random_gamma_op.gradient
def _(g, y, _shape, _seed, alpha):
    return _by_alpha(g, y, alpha)


@op("StatelessRandomPoisson", shape=from_vector(0), dtypes=_FLOATS, dtype="dtype",
    host=("shape", "seed"), widen=False, differentiable=False,
    samples=lambda rng: [((np.array([4, 2], np.int32), _SEED, np.array([0.5, 30.0])),
                          {"dtype": dt.int32})])  # fmt: skip
def stateless_random_poisson_op(xp, shape, seed, lam, *, dtype=dt.int32):
    """Poisson numbers that follow from `seed` [2]; `shape` ends with that of lam."""
    sizes, count = _repeats(shape, lam)
    position = philox.from_stateless_seed(int(seed[0]), int(seed[1]))
    made = _drawn(rejection.poisson, xp, position, lam, count).reshape(sizes)
    return made.astype(dt.as_dtype(dtype).numpy_dtype)


# ---- public functions -------------------------------------------------------------------------
def random_gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = dt.float32, seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Gamma numbers: `shape`, then the broadcast shape of `alpha` and the rates `beta` (1)."""
    kind = dt.as_dtype(dtype)
    alpha = convert_to_tensor(alpha, kind)
    beta = convert_to_tensor(1.0 if beta is None else beta, kind)
    wide = alpha + array.zeros_like(beta)
    made = random_gamma_op(shape_input(shape), wide, **seeds(seed))
    return _scaled(made, beta, name)


def _scaled(made: Any, beta: Any, name: str | None) -> Any:
    tiny = np.finfo(np.float32 if made.dtype in dt.HALVES else made.dtype.numpy_dtype).tiny
    least = convert_to_tensor(np.asarray(tiny).astype(made.dtype.numpy_dtype)[()])
    return maximum(least, divide(made, beta), name=name)


def random_poisson(
    shape: Any, lam: Any, dtype: Any = dt.float32, seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Poisson numbers: `shape`, then that of the rates `lam`."""
    lam = convert_to_tensor(lam, dtype_hint=dt.float32)
    return random_poisson_op(
        shape_input(shape), lam, dtype=dt.as_dtype(dtype), **seeds(seed), name=name
    )


def stateless_gamma(
    shape: Any, seed: Any, alpha: Any, beta: Any = None, dtype: Any = dt.float32,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Gamma numbers of the given shape that follow from `seed` [2].

    Args:
      alpha, beta: shapes and rates (1); both broadcast, and `shape` ends with what they make.
    """
    kind = dt.as_dtype(dtype)
    alpha = convert_to_tensor(alpha, kind)
    beta = convert_to_tensor(1.0 if beta is None else beta, kind)
    wide = alpha + array.zeros_like(beta)
    made = stateless_random_gamma_op(shape_input(shape), convert_to_tensor(seed), wide)
    return _scaled(made, beta, name)


def stateless_poisson(
    shape: Any, seed: Any, lam: Any, dtype: Any = dt.int32, name: str | None = None
) -> Any:
    """Poisson numbers of the given shape that follow from `seed` [2]; `shape` ends with that of
    the rates `lam`."""
    lam = convert_to_tensor(lam, dtype_hint=dt.float32)
    return stateless_random_poisson_op(
        shape_input(shape), convert_to_tensor(seed), lam, dtype=dt.as_dtype(dtype), name=name
    )

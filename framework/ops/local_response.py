"""Local response normalisation: each value by the squares of its neighbours in other channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape


def _shape(input: Arg, *rest: Arg, **attrs: Any) -> TensorShape:
    return input.shape.with_rank(4)


def _samples(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(1, 2, 2, 7))
    return [
        ((x,), {}),
        ((x,), {"depth_radius": 1, "bias": 1.5, "alpha": 0.4, "beta": 0.75}),
    ]


def _near(xp: Any, x: Any, radius: int) -> Any:
    """The sum over the channels at most `radius` away.

    Rows of channels with zeros around them lie one after the other, so that a sum of 2 n members is
    one of n members and the same sum n places on, for all rows at once.
    """
    depth = x.shape[-1]
    radius = min(radius, max(depth - 1, 0))
    wide = depth + 2 * radius
    rows = xp.zeros((*x.shape[:-1], wide), x.dtype)
    rows[..., radius : radius + depth] = x
    part = rows.reshape(-1)
    sums = xp.zeros(part.shape, x.dtype)
    total = sums[: max(part.size - 2 * radius, 0)]
    left, length, first = 2 * radius + 1, 1, 0
    while True:
        if left & 1:
            total += part[first : first + total.size]
            first += length
        left >>= 1
        if not left:
            return sums.reshape(rows.shape)[..., :depth]
        part = part[:-length] + part[length:]
        length *= 2


def _power(xp: Any, base: Any, beta: float) -> Any:
    return xp.sqrt(base) if beta == 0.5 else base**beta


@op("LRN", dtypes=frozenset((dt.float16, dt.float32)), shape=_shape,
    samples=_samples)  # fmt: skip
def lrn_op(xp, input, *, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    """input / (bias + alpha * sum of the near squares) ** beta; (b, h, w, channels)."""
    if input.ndim != 4:
        raise ValueError(f"in must be 4-dimensional, got {list(input.shape)}")
    x = input.astype(np.float32)
    base = bias + alpha * _near(xp, x * x, depth_radius)
    return (x / _power(xp, base, beta)).astype(input.dtype)


@lrn_op.gradient
def _(g, y, input, *, depth_radius, bias, alpha, beta):
    return lrn_grad_op(g, input, y, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta)


def _grad_samples(rng: np.random.Generator) -> Any:
    x, g = rng.normal(size=(1, 2, 2, 7)), rng.normal(size=(1, 2, 2, 7))
    made = []
    for attrs in ({}, {"depth_radius": 1, "bias": 1.5, "alpha": 0.4, "beta": 0.75}):
        made.append(((g, x, lrn_op.kernel(np, x, **attrs)), attrs))
    return made


@op("LRNGrad", dtypes=frozenset((dt.float16, dt.float32)), shape=_shape,
    samples=_grad_samples)  # fmt: skip
def lrn_grad_op(xp, input_grads, input_image, output_image, *, depth_radius=5, bias=1.0,
                alpha=1.0, beta=0.5):  # fmt: skip
    """The gradient of `lrn_op`."""
    x, g = input_image.astype(np.float32), input_grads.astype(np.float32)
    base = bias + alpha * _near(xp, x * x, depth_radius)
    direct = g / _power(xp, base, beta)
    shared = _near(xp, direct * x / base, depth_radius)
    return (direct - 2 * alpha * beta * x * shared).astype(input_grads.dtype)


def local_response_normalization(
    input: Any, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5,
    name: str | None = None,
) -> Any:  # fmt: skip
    """input / (bias + alpha * sum of the squares of the near channels) ** beta.

    Args:
      input: (batch, height, width, channels), float16 or float32.
      depth_radius: how many channels to each side are near.
    """
    return lrn_op(
        convert_to_tensor(input, dtype_hint=dt.float32), depth_radius=int(depth_radius),
        bias=float(bias), alpha=float(alpha), beta=float(beta), name=name,
    )  # fmt: skip

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
    """The sum over the channels at most `radius` away."""
    depth = x.shape[-1]
    sums = xp.zeros((*x.shape[:-1], depth + 1), x.dtype)
    xp.cumsum(x, axis=-1, out=sums[..., 1:])
    places = xp.arange(depth)
    above = xp.minimum(places + radius + 1, depth)
    below = xp.maximum(places - radius, 0)
    return sums[..., above] - sums[..., below]


@op("LRN", dtypes=frozenset((dt.float16, dt.float32)), shape=_shape,
    samples=_samples)  # fmt: skip
def lrn_op(xp, input, *, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    """input / (bias + alpha * sum of the near squares) ** beta; (b, h, w, channels)."""
    if input.ndim != 4:
        raise ValueError(f"in must be 4-dimensional, got {list(input.shape)}")
    near = _near(xp, (input * input).astype(np.float64), depth_radius)
    return (input / (bias + alpha * near) ** beta).astype(input.dtype)


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
    x, g = input_image.astype(np.float64), input_grads.astype(np.float64)
    base = bias + alpha * _near(xp, x * x, depth_radius)
    shared = _near(xp, g * x / base ** (beta + 1), depth_radius)
    return (g / base**beta - 2 * alpha * beta * x * shared).astype(input_grads.dtype)


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

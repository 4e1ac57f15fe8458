"""The largest of each window together with its place: `tf.nn.max_pool_with_argmax`."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import pool_arrays
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.pool import _PLANE, _TYPES, _axes, _pool_shape, _value_samples, max_pool_grad
from shardtape.ops.registry import Arg, op
from shardtape.ops.windows import padding_attrs, per_dimension
from shardtape.shapes import TensorShape


def _shapes(
    input: Arg, *, ksize: Any, strides: Any, padding: str, **attrs: Any
) -> list[TensorShape]:
    return [_pool_shape(input, ksize=ksize, strides=strides, padding=padding)] * 2


def _samples(rng: np.random.Generator) -> Any:
    made = _value_samples(_PLANE)(rng)
    inputs, attrs = made[0]
    twice = (np.concatenate([inputs[0], inputs[0][:, ::-1]]),)
    return [
        *made,
        (twice, {**attrs, "Targmax": dt.int32}),
        (twice, {**attrs, "include_batch_in_index": True}),
    ]


@op("MaxPoolWithArgmax", dtypes=_TYPES, shape=_shapes, outputs=2, widen=False,
    dtype=lambda dtypes, attrs: (dtypes[0], dt.as_dtype(attrs["Targmax"])),
    samples=_samples)  # fmt: skip
def max_pool_with_argmax_op(xp, input, *, ksize, strides, padding, Targmax=dt.int64,
                            include_batch_in_index=False):  # fmt: skip
    """The largest of each window and its place in the flat image, both (n, oh, ow, c).

    The place is (row * width + column) * c + channel; with `include_batch_in_index` that in the
    flat batch. Of equals it is the first.
    """
    if input.ndim != 4:
        raise ValueError(f"Input must be 4-dimensional, got rank {input.ndim}")
    axes = _axes(input.shape[1:-1], ksize, strides, padding, "NHWC", ())
    count = input.size if include_batch_in_index else input.size // max(1, len(input))
    flat = xp.arange(count, dtype=np.int64)
    places = xp.broadcast_to(flat.reshape((-1, *input.shape[1:])), input.shape)
    largest = pool_arrays.largest(xp, input, axes)
    return largest, pool_arrays.picked(xp, input, places, axes)


@max_pool_with_argmax_op.gradient
def _(g, y, input, *, ksize, strides, padding):
    return max_pool_grad(input, y[0], g[0], ksize=ksize, strides=strides, padding=padding)


MaxPoolWithArgmax = namedtuple("MaxPoolWithArgmax", ["output", "argmax"])


def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    output_dtype: Any = dt.int64,
    include_batch_in_index: bool = False,
    name: str | None = None,
) -> Any:
    """The largest of each window and where it lies: (values, places), both (n, oh, ow, c).

    Args:
      ksize, strides: an int, or a list of 1, 2 or 4 ints.
      padding: "SAME" or "VALID".
      output_dtype: int32 or int64, of the places.
      include_batch_in_index: count places through the whole batch, not through each image.

    Raises:
      ValueError: another layout than NHWC.
      TypeError: a padding that is no string.
    """
    if data_format != "NHWC":
        raise ValueError(
            "`data_format` values other than 'NHWC' are not supported by max_pool_with_argmax. "
            f"Received: data_format={data_format}"
        )
    if not isinstance(padding, str):
        raise TypeError(f"Expected 'SAME' or 'VALID' for argument 'padding' not {padding!r}")
    targets = dt.as_dtype(output_dtype)
    if targets not in (dt.int32, dt.int64):
        raise ValueError(f"`output_dtype` must be int32 or int64, got {targets.name}")
    values, places = max_pool_with_argmax_op(
        convert_to_tensor(input), ksize=per_dimension(ksize, 2, "NHWC", "ksize"),
        strides=per_dimension(strides, 2, "NHWC", "strides"), padding=padding_attrs(padding, 4)[0],
        Targmax=targets, include_batch_in_index=bool(include_batch_in_index), name=name,
    )  # fmt: skip
    return MaxPoolWithArgmax(values, places)

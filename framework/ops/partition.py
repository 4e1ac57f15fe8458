"""Rows sorted into several tensors by a number, and put together again."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.constants import DATA, int_scalar
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.gather import gather_op
from shardtape.ops.joining import with_zeros
from shardtape.ops.registry import Arg, op
from shardtape.ops.shaping import reshape, shape
from shardtape.shapes import UNKNOWN, TensorShape


def _partition_shape(data: Arg, partitions: Arg, *, num_partitions: int) -> list[TensorShape]:
    if data.shape.rank is None or partitions.shape.rank is None:
        return [UNKNOWN] * num_partitions
    rest = data.shape[partitions.shape.rank :]
    return [TensorShape([None]).concatenate(rest)] * num_partitions


@op(
    "DynamicPartition",
    dtypes=DATA,
    mixed=True,
    dynamic=True,
    outputs=lambda attrs, count: attrs["num_partitions"],
    shape=_partition_shape,
    samples=lambda rng: [
        ((rng.normal(size=(4, 2)), np.array([1, 0, 1, 1], np.int32)), {"num_partitions": 3}),
        ((rng.normal(size=(2, 2)), np.array([[1, 0], [1, 1]], np.int32)), {"num_partitions": 2}),
    ],
)
def dynamic_partition_op(xp, data, partitions, *, num_partitions):
    """The rows of `data` by the number that `partitions` gives them, in their order."""
    if (
        partitions.size
        and xp is np
        and not 0 <= partitions.min() <= partitions.max() < num_partitions
    ):
        raise errors.InvalidArgumentError(
            f"partitions holds a number that is not in [0, {num_partitions}) [Op:DynamicPartition]"
        )
    return tuple([data[partitions == i] for i in range(num_partitions)])


@dynamic_partition_op.gradient
def _(g, y, data, partitions, *, num_partitions):
    from shardtape.ops.filling import range as range_
    from shardtape.ops.shaping import size

    places = reshape(range_(size(partitions)), shape(partitions))
    sorted_places = dynamic_partition_op(places, partitions, num_partitions=num_partitions)
    rows = dynamic_stitch_op(*sorted_places, *with_zeros(g, y), N=num_partitions)
    return reshape(rows, shape(data)), None


def _stitch_shape(*args: Arg, N: int) -> TensorShape:
    indices, data = args[:N], args[N:]
    for i, d in zip(indices, data):
        if i.shape.rank is not None and d.shape.rank is not None:
            return TensorShape([None]).concatenate(d.shape[i.shape.rank :])
    return UNKNOWN


def _stitch_samples(rng: np.random.Generator) -> Any:
    i = lambda *v: np.array(v, np.int32)
    return [
        ((i(0, 2), i(1, 3), rng.normal(size=(2, 2)), rng.normal(size=(2, 2))), {"N": 2}),
        ((i(1), i(0), rng.normal(size=(1,)), rng.normal(size=(1,))), {"N": 2}),
    ]


@op(
    "DynamicStitch",
    dtypes=DATA,
    mixed=True,
    dynamic=True,
    dtype=lambda dtypes, attrs: dtypes[attrs["N"]],
    shape=_stitch_shape,
    samples=_stitch_samples,
)
def dynamic_stitch_op(xp, *inputs, N):
    """Rows of N tensors (the last N inputs) at the places that N index tensors name.

    A later tensor wins where a place is named twice.
    """
    indices, data = inputs[:N], inputs[N:]
    rest = data[0].shape[indices[0].ndim :]
    rows = 1 + max((int(i.max().item()) for i in indices if i.size), default=-1)
    out = xp.zeros((rows, *rest), data[0].dtype)
    for i, d in zip(indices, data):
        if i.size:
            out[i.reshape(-1)] = d.reshape(-1, *rest)
    return out


@dynamic_stitch_op.gradient
def _(g, _y, *inputs, N):
    return [None] * N + [gather_op(g, i, int_scalar(0)) for i in inputs[:N]]


def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: Any = None) -> list:
    """The rows of `data` sorted into `num_partitions` tensors by the numbers in `partitions`."""
    partitions = convert_to_tensor(partitions, dtype_hint=dt.int32)
    got = dynamic_partition_op(data, partitions, num_partitions=num_partitions, name=name)
    return list(got)


def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Any:
    """One tensor out of rows `data[m]` at the places `indices[m]`."""
    indices = [convert_to_tensor(i, dtype_hint=dt.int32) for i in indices]
    data = [convert_to_tensor(d) for d in data]
    if len(indices) != len(data):
        raise ValueError(
            f"dynamic_stitch needs as many data as indices, got {len(indices)} indices and "
            f"{len(data)} data"
        )
    return dynamic_stitch_op(*indices, *data, N=len(indices), name=name)

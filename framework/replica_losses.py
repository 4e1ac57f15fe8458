"""Losses of a batch that replicas share; here one replica has all of it."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.distribute.strategy import get_strategy
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_sum


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Any:
    """The sum of the losses of examples divided by the size of the global batch.

    Args:
      per_example_loss: (batch, ...).
      sample_weight: per example.
      global_batch_size: that of this batch times the number of replicas by default.

    Raises ValueError for a batch size that is no positive integer scalar.
    """
    losses = convert_to_tensor(per_example_loss)
    kind = losses.dtype
    if sample_weight is not None:
        weight = cast(convert_to_tensor(sample_weight), kind)
        rank, own = losses.shape.rank, weight.shape.rank
        for _ in range((rank or 0) - (own or 0)):
            weight = array.expand_dims(weight, -1)
        losses = losses * weight
    if global_batch_size is None:
        count = array.shape(losses)[0] if losses.shape.rank else convert_to_tensor(1, dt.int32)
        global_batch_size = count * get_strategy().num_replicas_in_sync
    size = convert_to_tensor(global_batch_size)
    if size.shape.rank != 0:
        raise ValueError(f"global_batch_size must be scalar, got {size.shape}")
    if not size.dtype.is_integer:
        raise ValueError(f"global_batch_size must be an int, got {size.dtype.name}")
    return reduce_sum(losses) / cast(size, kind)


def scale_regularization_loss(regularization_loss: Any) -> Any:
    """The loss divided by the number of replicas."""
    return reduce_sum(regularization_loss) / get_strategy().num_replicas_in_sync

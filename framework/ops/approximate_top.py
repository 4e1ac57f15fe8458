"""`tf.math.approx_max_k` and `approx_min_k`; on this hardware they are exact."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from shardtape.ops import array
from shardtape.ops.arithmetic import negative
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.ordering import top_k
from shardtape.tensor import Tensor

ApproxTopK = namedtuple("ApproxTopK", ["values", "indices"])


def approx_max_k(
    operand: Any, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The k largest values along an axis and their places, largest first.

    Args:
      operand: numbers. k: how many.
      reduction_dimension: the axis.
      recall_target, reduction_input_size_override, aggregate_to_topk: accepted: the result is
        exact, and there is nothing to trade.

    Raises InvalidArgumentError where the axis is shorter than k.
    """
    x = convert_to_tensor(operand)
    rank = x.shape.rank
    if rank is None:
        raise ValueError("approx_max_k and approx_min_k need an operand of known rank")
    axis = reduction_dimension % rank
    if axis == rank - 1:
        found = top_k(x, k, name=name)
        return ApproxTopK(found[0], found[1])
    order = [i for i in range(rank) if i != axis] + [axis]
    back = np.argsort(order).tolist()
    values, places = top_k(array.transpose(x, order), k, name=name)
    return ApproxTopK(array.transpose(values, back), array.transpose(places, back))


def approx_min_k(
    operand: Any, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The k smallest values along an axis and their places, smallest first; as `approx_max_k`."""
    x = negative(convert_to_tensor(operand))
    values, places = approx_max_k(x, k, reduction_dimension, name=name)
    return ApproxTopK(negative(values), places)

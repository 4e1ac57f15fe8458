"""An op on the last axis, applied along another one."""

from __future__ import annotations

from collections.abc import Callable

from shardtape import errors
from shardtape.ops.array import transpose
from shardtape.tensor import Tensor


def last_axis_order(rank: int, axis: int) -> list[int]:
    """The permutation that swaps `axis` and the last axis; it is its own inverse.

    Raises InvalidArgumentError for an axis that the rank does not have.
    """
    if not -rank <= axis < rank:
        raise errors.InvalidArgumentError(
            f"`dim` must be in the range [{-rank}, {rank}) where {rank} is the number of "
            f"dimensions in the input. Received: dim={axis}"
        )
    order = list(range(rank))
    axis %= rank
    order[axis], order[-1] = order[-1], order[axis]
    return order


def along(function: Callable[..., Tensor], x: Tensor, axis: int, name: str | None) -> Tensor:
    """`function(x, name=)`, which works on the last axis, along `axis`."""
    rank = x.shape.rank
    if axis == -1 or (rank is not None and axis == rank - 1):
        return function(x, name=name)
    if rank is None:
        raise ValueError(f"axis {axis} of a tensor of unknown rank: only the last one can be taken")
    order = last_axis_order(rank, axis)
    return transpose(function(transpose(x, order)), order, name=name)

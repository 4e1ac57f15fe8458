"""Masks: which steps of a sequence are padding. They ride on tensors as `_keras_mask`."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.ops.cast import cast
from shardtape.ops.compare import logical_and
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.shaping import size
from shardtape.tensor import Tensor


def mask_of(x: Any) -> Any:
    """The mask of a tensor (bool, False where it is padding), None where it has none."""
    return getattr(x, "_keras_mask", None)


def masks_of(inputs: Any) -> Any:
    """The masks in the structure of `inputs`; None where no tensor has one."""
    if isinstance(inputs, Tensor):
        return mask_of(inputs)
    flat = [mask_of(t) for t in nest.flatten(inputs)]
    if all(mask is None for mask in flat):
        return None
    return nest.pack_sequence_as(inputs, flat)


def set_masks(outputs: Any, masks: Any) -> None:
    """Puts masks on tensors, in the order of both structures."""
    flat = nest.flatten(outputs)
    for tensor, mask in zip(flat, nest.flatten(masks)):
        if isinstance(tensor, Tensor):
            tensor._keras_mask = mask  # type: ignore[attr-defined]


def combined(a: Any, b: Any) -> Any:
    """True where both are; None stands for a mask that is True everywhere."""
    if a is None or b is None:
        return b if a is None else a
    return logical_and(a, b)


def valid_share(mask: Any, dtype: Any) -> Any:
    """The mask as factors whose mean is 1, so that the mean over all is that over valid ones."""
    factors = cast(mask, dtype)
    return factors * (cast(size(factors), dtype) / reduce_sum(factors))


def weights_under(mask: Any, sample_weight: Any, dtype: Any) -> Any:
    """Sample weights with those of masked values set to 0; the mask alone where there are none."""
    factors = cast(mask, dtype)
    if sample_weight is None:
        return factors
    weight = cast(convert_to_tensor(sample_weight), dtype)
    ranks = weight.shape.rank, factors.shape.rank
    if None not in ranks and ranks[0] == ranks[1] + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]  # a column, as `fit` makes of one weight for each example
    while weight.shape.rank is not None and 0 < weight.shape.rank < factors.shape.rank:
        weight = weight[..., None]
    return weight * factors

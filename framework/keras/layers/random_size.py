"""Layers that change the height or the width of images at random in training."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import image
from shardtape.keras.layers.augmentation import _ImageLayer
from shardtape.ops.array import shape, stack
from shardtape.ops.cast import cast
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _RandomSize(_ImageLayer):
    """Base: one factor for a batch, by which the size along `_axis` of (batch, h, w, c) changes.

    Args:
      factor: changes are drawn from [-factor, factor], or from a pair.
      interpolation: a method of `tf.image.resize`.
    """

    _axis: int

    def __init__(self, factor: Any, interpolation: str = "bilinear", seed: int | None = None,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(seed, **kwargs)
        self.factor, self.interpolation = factor, interpolation
        several = isinstance(factor, (tuple, list))
        self._low, self._high = factor if several else (-factor, factor)
        if self._high < self._low:
            raise ValueError(
                "`factor` argument cannot have an upper bound less than the lower bound. "
                f"Received: factor={factor}"
            )
        if self._low < -1.0 or self._high < -1.0:
            raise ValueError(
                f"`factor` argument must have values larger than -1. Received: factor={factor}"
            )

    def _changed(self, images: Any, training: Any) -> Tensor:
        drawn = self._random_generator.random_uniform([], 1.0 + self._low, 1.0 + self._high)
        sizes = [shape(images)[1], shape(images)[2]]
        old = cast(sizes[self._axis - 1], dt.float32)
        sizes[self._axis - 1] = cast(drawn * old, dt.int32)
        made = image.resize(images, stack(sizes), self.interpolation)
        if hasattr(made, "set_shape"):
            known = images.shape.as_list()
            known[self._axis] = None
            made.set_shape(known)
        return cast(made, self._dtype)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        sizes = TensorShape(input_shape).as_list()
        sizes[self._axis - 4] = None
        return TensorShape(sizes)

    def _own_config(self) -> dict[str, Any]:
        return {
            **super()._own_config(), "factor": self.factor, "interpolation": self.interpolation,
        }  # fmt: skip


class RandomHeight(_RandomSize):
    """Images of another height in training, drawn once for a batch; see `_RandomSize`."""

    _axis = 1


class RandomWidth(_RandomSize):
    """Images of another width in training, drawn once for a batch; see `_RandomSize`."""

    _axis = 2

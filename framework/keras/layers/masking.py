"""Masking: marks steps that are padding."""

from __future__ import annotations

from typing import Any

from shardtape.keras.layers.base import Layer
from shardtape.keras.masks import set_masks
from shardtape.ops.cast import cast
from shardtape.ops.compare import not_equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_any
from shardtape.ops.shaping import squeeze
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class Masking(Layer):
    """Zeroes steps all of whose features are `mask_value`; layers that follow skip them."""

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = mask_value

    def _valid(self, inputs: Any) -> Tensor:
        differs = not_equal(inputs, convert_to_tensor(self.mask_value, inputs.dtype))
        return reduce_any(differs, axis=-1, keepdims=True)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor:
        return squeeze(self._valid(inputs), [-1])

    def call(self, inputs: Any) -> Tensor:
        valid = self._valid(inputs)
        outputs = inputs * cast(valid, inputs.dtype)
        set_masks(outputs, squeeze(valid, [-1]))
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}

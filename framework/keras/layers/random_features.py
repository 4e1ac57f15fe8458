"""`RandomFourierFeatures`: Rahimi and Recht, Random Features for Large-Scale Kernel Machines."""

from __future__ import annotations

import math as python_math
from typing import Any

from shardtape.keras import initializers
from shardtape.keras.layers.base import Layer
from shardtape.ops import math
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.random import random_uniform
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_NAMED = ("gaussian", "laplacian")


class RandomFourierFeatures(Layer):
    """cos(x @ kernel / scale + bias): inner products of it come near a kernel of distances.

    Args:
      output_dim: number of features.
      kernel_initializer: "gaussian", "laplacian", or an initializer.
      scale: width of the kernel; default sqrt(inputs / 2) for "gaussian", else 1. It is the one
        weight that is trained, with `trainable=True`.
    """

    def __init__(
        self, output_dim: int, kernel_initializer: Any = "gaussian", scale: float | None = None,
        trainable: bool = False, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable=trainable, name=name, **kwargs)
        if output_dim <= 0:
            raise ValueError(f"`output_dim` should be a positive integer. Received: {output_dim}")
        if isinstance(kernel_initializer, str) and kernel_initializer.lower() not in _NAMED:
            raise ValueError(
                f"Unsupported `kernel_initializer`: {kernel_initializer} Expected one of: "
                f"{list(_NAMED)}"
            )
        if scale is not None and scale <= 0.0:
            raise ValueError(
                f"When provided, `scale` should be a positive float. Received: {scale}"
            )
        self.output_dim, self.kernel_initializer, self.scale = output_dim, kernel_initializer, scale

    def build(self, input_shape: Any) -> None:
        inputs = TensorShape(input_shape)[-1]
        if inputs is None:
            raise ValueError("The last dimension of the inputs must be known, got None")
        kind = self.kernel_initializer
        gaussian = isinstance(kind, str) and kind.lower() == "gaussian"
        make: Any = kind
        if gaussian:
            make = initializers.RandomNormal(stddev=1.0)
        elif isinstance(kind, str):
            make = _cauchy
        self.unscaled_kernel = self.add_weight(
            "unscaled_kernel", (inputs, self.output_dim), initializer=make, trainable=False
        )
        self.bias = self.add_weight(
            "bias", (self.output_dim,), trainable=False,
            initializer=initializers.RandomUniform(0.0, 2 * python_math.pi),
        )  # fmt: skip
        first = self.scale
        if first is None:
            first = python_math.sqrt(inputs / 2.0) if gaussian else 1.0
        self.kernel_scale = self.add_weight(
            "kernel_scale", (1,), initializer=initializers.Constant(first), trainable=True
        )
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        inputs = convert_to_tensor(inputs)
        kernel = (1.0 / convert_to_tensor(self.kernel_scale)) * self.unscaled_kernel
        return math.cos(matmul(inputs, kernel) + self.bias)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape([*TensorShape(input_shape)[:-1], self.output_dim])

    def get_config(self) -> dict[str, Any]:
        kind = self.kernel_initializer
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "kernel_initializer": kind if isinstance(kind, str) else initializers.serialize(kind),
            "scale": self.scale,
        }


def _cauchy(shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    """The distribution whose characteristic function is that of the Laplacian kernel."""
    return math.tan(python_math.pi * (random_uniform(shape, dtype=dtype) - 0.5))

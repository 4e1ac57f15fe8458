"""Activation functions with parameters, as layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras import activations, constraints, initializers, regularizers
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.ops.cast import cast
from shardtape.ops.math import exp
from shardtape.ops.reduce import reduce_logsumexp
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _Elementwise(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)


class ReLU(_Elementwise):
    """Rectified linear: x above `threshold`, negative_slope * (x - threshold) below, at most
    `max_value`."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0,
        threshold: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope),
                            ("threshold", threshold)):  # fmt: skip
            if name != "max_value" and value is None or value is not None and value < 0:
                raise ValueError(
                    f"{name} of a ReLU layer cannot be a negative value. Received: {value}"
                )
        self.max_value = None if max_value is None else float(max_value)
        self.negative_slope, self.threshold = float(negative_slope), float(threshold)

    def call(self, inputs: Any) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(_Elementwise):
    """x above 0, alpha * x below."""

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        alpha = kwargs.pop("negative_slope", alpha)
        super().__init__(**kwargs)
        if alpha is None:
            raise ValueError(
                "The alpha value of a Leaky ReLU layer cannot be None. Expecting a float. "
                "Received: None"
            )
        self.alpha = float(alpha)

    def call(self, inputs: Any) -> Tensor:
        return nn.leaky_relu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": float(np.float32(self.alpha))}


class ELU(_Elementwise):
    """x above 0, alpha * (exp(x) - 1) below."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = float(alpha)

    def call(self, inputs: Any) -> Tensor:
        return activations.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(_Elementwise):
    """exp(x) over its sum along `axis` (an int or several).

    A mask takes away the share of positions where it is False.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        if mask is not None:
            far = -65504.0 if inputs.dtype is dt.float16 else -1e9
            inputs = inputs + (1.0 - cast(mask, inputs.dtype)) * far
        axes = list(self.axis) if isinstance(self.axis, (list, tuple)) else [self.axis]
        if len(axes) == 1:
            return activations.softmax(inputs, axis=axes[0])
        return exp(inputs - reduce_logsumexp(inputs, axes, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class ThresholdedReLU(_Elementwise):
    """x above `theta`, 0 below."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if theta is None or theta < 0:
            raise ValueError(
                f"Theta of a Thresholded ReLU layer cannot be None or negative. Received: {theta}"
            )
        self.theta = float(theta)

    def call(self, inputs: Any) -> Tensor:
        return inputs * cast(inputs > self.theta, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}


class PReLU(_Elementwise):
    """x above 0, alpha * x below, where `alpha` is trained.

    Args:
      shared_axes: axes (from 1 on) along which all positions have one `alpha`.
    """

    def __init__(
        self, alpha_initializer: Any = "zeros", alpha_regularizer: Any = None,
        alpha_constraint: Any = None, shared_axes: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        several = isinstance(shared_axes, (list, tuple)) or shared_axes is None
        self.shared_axes = shared_axes if several else [shared_axes]

    def build(self, input_shape: Any) -> None:
        full = TensorShape(input_shape)
        sizes = full.as_list()[1:]
        for axis in self.shared_axes or ():
            sizes[axis - 1] = 1
        self.alpha = self.add_weight(
            "alpha", sizes, initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer, constraint=self.alpha_constraint,
        )  # fmt: skip
        shared = self.shared_axes or range(1, len(full))
        self.input_spec = InputSpec(
            ndim=len(full), axes={i: full[i] for i in range(1, len(full)) if i not in shared}
        )
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        return nn.relu(inputs) - self.alpha * nn.relu(-inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }

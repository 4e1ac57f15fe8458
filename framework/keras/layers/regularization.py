"""Layers that act in training only: dropout and noise."""

from __future__ import annotations

import math
import numbers
from typing import Any

from shardtape.keras.image_layout import image_data_format
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.random_seed import RandomGenerator
from shardtape.ops.array import identity, shape
from shardtape.ops.cast import cast
from shardtape.ops.compare import greater_equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _RandomLayer(Layer):
    """A layer that draws random numbers in training.

    Args:
      rng_type: "stateful" keeps the state in a Variable, "stateless" draws the same numbers each
        time, "legacy_stateful" (default) takes them from the ops' own streams.
      force_generator: True is "stateful".
    """

    def __init__(
        self, seed: int | None = None, force_generator: bool = False, rng_type: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.seed = seed
        kind = RandomGenerator.RNG_STATEFUL if force_generator and rng_type is None else rng_type
        self._random_generator = RandomGenerator(seed, kind)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._random_generator.prepare()
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)


class Dropout(_RandomLayer):
    """In training zeroes a share `rate` of the inputs and scales the others by 1 / (1 - rate).

    Args:
      noise_shape: shape of the mask, which broadcasts; None takes the size of the inputs.
      seed: op seed of the mask.
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        if isinstance(rate, (int, float)) and not 0 <= rate <= 1:
            raise ValueError(
                f"Invalid value {rate} received for `rate`, expected a value between 0 and 1."
            )
        self.rate, self.noise_shape = rate, noise_shape

    def _get_noise_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def call(self, inputs: Any, training: Any = None) -> Tensor:
        if isinstance(self.rate, numbers.Real) and self.rate == 0:
            return identity(inputs)
        if not training:
            return identity(inputs)
        noise_shape = self._get_noise_shape(inputs)
        return self._random_generator.dropout(inputs, self.rate, noise_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "noise_shape": self.noise_shape,
            "seed": self.seed,
        }


def _layout(data_format: str | None) -> str:
    found = image_data_format() if data_format is None else data_format
    if found not in ("channels_last", "channels_first"):
        raise ValueError(
            '`data_format` must be "channels_last" or "channels_first". Received: '
            f"data_format={data_format}."
        )
    return found


class SpatialDropout1D(Dropout):
    """`Dropout` of whole channels of (batch, steps, channels)."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def _get_noise_shape(self, inputs: Any) -> Any:
        sizes = shape(inputs)
        return [sizes[0], 1, sizes[2]]


class SpatialDropout2D(Dropout):
    """`Dropout` of whole channels of (batch, rows, columns, channels)."""

    def __init__(self, rate: float, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.data_format = _layout(data_format)
        self.input_spec = InputSpec(ndim=4)

    def _get_noise_shape(self, inputs: Any) -> Any:
        sizes = shape(inputs)
        if self.data_format == "channels_first":
            return [sizes[0], sizes[1], 1, 1]
        return [sizes[0], 1, 1, sizes[3]]


class SpatialDropout3D(Dropout):
    """`Dropout` of whole channels of (batch, depth, rows, columns, channels)."""

    def __init__(self, rate: float, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.data_format = _layout(data_format)
        self.input_spec = InputSpec(ndim=5)

    def _get_noise_shape(self, inputs: Any) -> Any:
        sizes = shape(inputs)
        if self.data_format == "channels_first":
            return [sizes[0], sizes[1], 1, 1, 1]
        return [sizes[0], 1, 1, 1, sizes[4]]


class GaussianDropout(_RandomLayer):
    """In training multiplies by normal values of mean 1 and variance rate / (1 - rate)."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = rate

    def call(self, inputs: Any, training: Any = None) -> Tensor:
        if not training or not 0 < self.rate < 1:
            return inputs
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * self._random_generator.random_normal(
            shape(inputs), 1.0, deviation, inputs.dtype
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class AlphaDropout(_RandomLayer):
    """Dropout for `selu`: mean and variance of the inputs stay as they are."""

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate, self.noise_shape = rate, noise_shape

    def call(self, inputs: Any, training: Any = None) -> Tensor:
        if not training or not 0 < self.rate < 1:
            return inputs
        low = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
        sizes = shape(inputs) if self.noise_shape is None else self.noise_shape
        drawn = self._random_generator.random_uniform(sizes, dtype=inputs.dtype)
        keep = cast(greater_equal(drawn, convert_to_tensor(self.rate, inputs.dtype)), inputs.dtype)
        scale = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        return scale * (inputs * keep + low * (1 - keep)) - scale * low * self.rate

    def get_config(self) -> dict[str, Any]:
        # which Keras leaves out
        shape = {} if self.noise_shape is None else {"noise_shape": self.noise_shape}
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, **shape}


class GaussianNoise(_RandomLayer):
    """In training adds normal values of mean 0 and deviation `stddev`."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs: Any, training: Any = None) -> Tensor:
        if not training:
            return inputs
        noise = self._random_generator.random_normal(shape(inputs), 0.0, self.stddev, inputs.dtype)
        return inputs + noise

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class ActivityRegularization(Layer):
    """Hands its inputs on, and adds their penalty to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        from shardtape.keras.regularizers import L1L2

        super().__init__(activity_regularizer=L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l1": self.l1, "l2": self.l2}

"""TensorFlow's own initializers, beside Keras's: those of `tf` (TF2) and of `tf.compat.v1`.

They are Keras's classes with other ways to draw and other defaults. TF2's draw from stateless ops
if they have a seed, else from the stateful ones, which `tf.random.set_seed` seeds. TF1's always
draw from stateful ops, take a default dtype, and may be called with `partition_info`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras import initializers as keras
from shardtape.keras.random_seed import RandomGenerator
from shardtape.ops import random
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor


class _Stateful:
    """Draws from the stateful ops with one op seed, for every draw the same."""

    def __init__(self, seed: int | None) -> None:
        self._seed = seed

    def random_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dt.float32,
        nonce: Any = None,
    ) -> Tensor:  # fmt: skip
        return random.random_normal(shape, mean, stddev, dtype, self._seed)

    def random_uniform(
        self, shape: Any, minval: Any, maxval: Any, dtype: Any, nonce: Any = None
    ) -> Tensor:
        return random.random_uniform(shape, minval, maxval, dtype, self._seed)

    def truncated_normal(
        self, shape: Any, mean: Any, stddev: Any, dtype: Any, nonce: Any = None
    ) -> Tensor:
        return random.truncated_normal(shape, mean, stddev, dtype, self._seed)


# ---- TF2 --------------------------------------------------------------------------------------
class _V2:
    _rng_type = RandomGenerator.RNG_LEGACY_STATEFUL  # no warning of repeated values

    def _make_generator(self, seed: int | None) -> Any:
        if seed is None:
            return _Stateful(None)
        return RandomGenerator(seed, RandomGenerator.RNG_STATELESS)


class RandomUniform(_V2, keras.RandomUniform):
    """Uniform values: `tf.random_uniform_initializer`."""


class RandomNormal(_V2, keras.RandomNormal):
    """Normal values: `tf.random_normal_initializer`."""


class Constant(keras.Constant):
    """One value, or the values of a list: `tf.constant_initializer`.

    A call without a dtype makes that of the value. Raises TypeError for a value that is no Python
    scalar, list, tuple or array.
    """

    def __init__(self, value: Any = 0) -> None:
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(
                f"Invalid type for initial value: {type(value).__name__}. Expected Python scalar, "
                "list or tuple of values, or numpy.ndarray."
            )
        super().__init__(value)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        kind = convert_to_tensor(self.value).dtype if dtype is None else dtype
        return super().__call__(shape, kind, **kwargs)


zeros_initializer = keras.Zeros
ones_initializer = keras.Ones
constant_initializer = Constant
random_uniform_initializer = RandomUniform
random_normal_initializer = RandomNormal


# ---- TF1 --------------------------------------------------------------------------------------
class _V1:
    """Adds TF1's `dtype` to an initializer: what a call without a dtype makes."""

    _rng_type = RandomGenerator.RNG_LEGACY_STATEFUL
    dtype: dt.DType = dt.float32

    def _make_generator(self, seed: int | None) -> Any:
        return _Stateful(seed)

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, **kwargs: Any
    ) -> Tensor:
        return super().__call__(shape, self.dtype if dtype is None else dtype, **kwargs)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype.name}  # type: ignore[misc]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class ZerosV1(_V1, keras.Zeros):
    """Zeros: `tf.compat.v1.zeros_initializer`."""

    def __init__(self, dtype: Any = dt.float32) -> None:
        self.dtype = dt.as_dtype(dtype)


class OnesV1(_V1, keras.Ones):
    """Ones: `tf.compat.v1.ones_initializer`."""

    def __init__(self, dtype: Any = dt.float32) -> None:
        self.dtype = dt.as_dtype(dtype)


class ConstantV1(_V1, keras.Constant):
    """One value, or the values of a list: `tf.compat.v1.constant_initializer`."""

    def __init__(self, value: Any = 0, dtype: Any = dt.float32, verify_shape: bool = False) -> None:
        super().__init__(value)
        self.dtype = dt.as_dtype(dtype)


class RandomUniformV1(_V1, keras.RandomUniform):
    """Uniform values: `tf.compat.v1.random_uniform_initializer`."""

    def __init__(
        self, minval: Any = 0.0, maxval: Any = None, seed: int | None = None,
        dtype: Any = dt.float32,
    ) -> None:  # fmt: skip
        super().__init__(minval, maxval, seed)
        self.dtype = dt.as_dtype(dtype)


class RandomNormalV1(_V1, keras.RandomNormal):
    """Normal values: `tf.compat.v1.random_normal_initializer`."""

    def __init__(
        self, mean: Any = 0.0, stddev: Any = 1.0, seed: int | None = None,
        dtype: Any = dt.float32,
    ) -> None:  # fmt: skip
        super().__init__(mean, stddev, seed)
        self.dtype = dt.as_dtype(dtype)


class TruncatedNormalV1(_V1, keras.TruncatedNormal):
    """Truncated normal values: `tf.compat.v1.truncated_normal_initializer`."""

    def __init__(
        self, mean: Any = 0.0, stddev: Any = 1.0, seed: int | None = None,
        dtype: Any = dt.float32,
    ) -> None:  # fmt: skip
        super().__init__(mean, stddev, seed)
        self.dtype = dt.as_dtype(dtype)


class VarianceScalingV1(_V1, keras.VarianceScaling):
    """Values of variance `scale` / n: `tf.compat.v1.variance_scaling_initializer`."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
        seed: int | None = None, dtype: Any = dt.float32,
    ) -> None:  # fmt: skip
        super().__init__(scale, mode, distribution, seed)
        self.dtype = dt.as_dtype(dtype)


class GlorotUniformV1(_V1, keras.GlorotUniform):
    """`tf.compat.v1.glorot_uniform_initializer`, the default of `get_variable`."""

    def __init__(self, seed: int | None = None, dtype: Any = dt.float32) -> None:
        super().__init__(seed)
        self.dtype = dt.as_dtype(dtype)


class GlorotNormalV1(_V1, keras.GlorotNormal):
    """`tf.compat.v1.glorot_normal_initializer`."""

    def __init__(self, seed: int | None = None, dtype: Any = dt.float32) -> None:
        super().__init__(seed)
        self.dtype = dt.as_dtype(dtype)


class OrthogonalV1(_V1, keras.Orthogonal):
    """`tf.compat.v1.orthogonal_initializer`."""

    def __init__(self, gain: float = 1.0, seed: int | None = None, dtype: Any = dt.float32) -> None:
        super().__init__(gain, seed)
        self.dtype = dt.as_dtype(dtype)


class IdentityV1(_V1, keras.Identity):
    """`tf.compat.v1.initializers.identity`."""

    def __init__(self, gain: float = 1.0, dtype: Any = dt.float32) -> None:
        super().__init__(gain)
        self.dtype = dt.as_dtype(dtype)


def he_normal(seed: int | None = None) -> VarianceScalingV1:
    """TF1's He normal: truncated normal of variance 2 / in."""
    return VarianceScalingV1(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: int | None = None) -> VarianceScalingV1:
    """TF1's He uniform: within sqrt(6 / in)."""
    return VarianceScalingV1(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> VarianceScalingV1:
    """TF1's LeCun normal: truncated normal of variance 1 / in."""
    return VarianceScalingV1(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: int | None = None) -> VarianceScalingV1:
    """TF1's LeCun uniform: within sqrt(3 / in)."""
    return VarianceScalingV1(1.0, "fan_in", "uniform", seed)

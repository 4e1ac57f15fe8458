"""Keras's initializers: objects that make a variable's first value from its shape and dtype.

With a seed the values are those of Keras 2.15. An initializer draws from stateless ops, so that
a second call of the same object repeats its values (and warns if it was given no seed).
`Orthogonal` agrees to rounding, because its QR decomposition is another library's.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras.floatx import floatx
from shardtape.keras.random_seed import RandomGenerator
from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.ops import filling
from shardtape.ops import math as ops
from shardtape.ops.convert import constant as constant_tensor
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.tensor import SymbolicTensor, Tensor

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal",
    "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "constant", "deserialize",
    "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity",
    "lecun_normal", "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform",
    "serialize", "truncated_normal", "variance_scaling", "zeros",
]  # fmt: skip

_ALLOWED = ("partition_shape", "partition_offset", "layout", "partition_info")
# the standard deviation of a standard normal cut off at two of its standard deviations
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base of all initializers: `initializer(shape, dtype=None) -> Tensor`."""

    _used = False

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """An initializer from what `get_config` gave."""
        return cls(**{name: value for name, value in config.items() if name != "dtype"})

    def _sizes(self, shape: Any, kwargs: dict[str, Any], partition: bool = True) -> list[int]:
        unknown = [name for name in kwargs if name not in _ALLOWED]
        if unknown:
            raise TypeError(
                f"Unknown keyword arguments: {unknown}. Allowed keyword arguments: {_ALLOWED}."
            )
        if "partition_shape" in kwargs:
            if not partition:
                raise ValueError(
                    f"{type(self).__name__} initializer doesn't support partition-related "
                    "arguments."
                )
            shape = kwargs["partition_shape"]
        return _int_list(shape)

    def _dtype(self, dtype: Any, allowed: Callable[[dt.DType], bool], what: str) -> dt.DType:
        made = dt.as_dtype(floatx() if dtype is None else dtype)
        if not allowed(made):
            raise ValueError(f"Expected {what}, got {made}.")
        return made


def _int_list(shape: Any) -> list[int]:
    if isinstance(shape, (list, tuple)) and None in shape:
        raise ValueError(
            f"the shape {tuple(shape)} of a weight has a size that is not known (None): give the "
            "layer inputs whose last axes have sizes"
        )
    if isinstance(shape, TensorShape):
        return [int(size) for size in shape.as_list()]  # type: ignore[arg-type]
    if isinstance(shape, Tensor):
        shape = shape.numpy()  # type: ignore[attr-defined]
    return [int(size) for size in np.asarray(shape, np.int64).reshape(-1)]


def _is_number(dtype: dt.DType) -> bool:
    return dtype.is_floating or dtype.is_integer or dtype.is_complex or dtype.is_bool


def _is_floating(dtype: dt.DType) -> bool:
    return dtype.is_floating


class Zeros(Initializer):
    """All zeros (False)."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs)
        return filling.zeros(sizes, self._dtype(dtype, _is_number, "numeric or boolean dtype"))


class Ones(Initializer):
    """All ones (True)."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs)
        return filling.ones(sizes, self._dtype(dtype, _is_number, "numeric or boolean dtype"))


class Constant(Initializer):
    """One value everywhere.

    Args:
      value: a scalar; a list or array of as many elements as the shape has is laid out in it.
    """

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs)
        kind = dt.as_dtype(floatx() if dtype is None else dtype)
        if isinstance(self.value, Tensor):
            return filling.fill(sizes, convert_to_tensor(self.value, kind))
        return constant_tensor(self.value, kind, sizes)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class _Random(Initializer):
    """An initializer that draws.

    `_rng_type` says how: Keras's own repeat their values, those of TF1 go on in a stream.
    """

    _rng_type = RandomGenerator.RNG_STATELESS

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._random_generator = self._make_generator(seed)

    def _make_generator(self, seed: int | None) -> RandomGenerator:
        return RandomGenerator(seed, self._rng_type)

    def _nonce(self, kwargs: dict[str, Any]) -> int | None:
        """Distinguishes the parts of a partitioned variable; warns of repeated values."""
        offset = kwargs.get("partition_offset")
        if offset is not None:
            return hash(offset) if offset else None
        if self._used and self.seed is None and self._rng_type == RandomGenerator.RNG_STATELESS:
            warnings.warn(
                f"The initializer {type(self).__name__} is unseeded and being called multiple "
                "times, which will return identical values each time (even if the initializer "
                "is unseeded). Please update your code to provide a seed to the initializer, or "
                "avoid using the same initializer instance more than once.",
                stacklevel=3,
            )
        self._used = True
        return None


class RandomUniform(_Random):
    """Values uniform in [minval, maxval), of a floating or integer dtype."""

    def __init__(self, minval: Any = -0.05, maxval: Any = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs)
        dtype = self._dtype(
            dtype, lambda d: d.is_floating or d.is_integer, "float or integer dtype"
        )
        return self._random_generator.random_uniform(
            sizes, self.minval, self.maxval, dtype, self._nonce(kwargs)
        )

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(_Random):
    """Normal values."""

    _draws = "random_normal"

    def __init__(self, mean: Any = 0.0, stddev: Any = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs)
        dtype = self._dtype(dtype, _is_floating, "floating point type")
        draw = getattr(self._random_generator, self._draws)
        return draw(sizes, self.mean, self.stddev, dtype, self._nonce(kwargs))

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal values; those beyond two standard deviations are drawn again."""

    _draws = "truncated_normal"


class VarianceScaling(_Random):
    """Values whose variance is `scale` / n.

    Args:
      scale: positive.
      mode: what n is: "fan_in", "fan_out" or "fan_avg".
      distribution: "truncated_normal", "untruncated_normal" or "uniform".
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        if scale <= 0.0:
            raise ValueError(f"`scale` must be positive float. Received: scale={scale}.")
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of the {modes}.")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        distributions = ("uniform", "truncated_normal", "untruncated_normal")
        if distribution not in distributions:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}."
                f"Allowed distributions: {distributions}."
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs)
        dtype = self._dtype(dtype, _is_floating, "floating point type")
        fan_in, fan_out = compute_fans(sizes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        variance = self.scale / max(1.0, fan[self.mode])
        draws, nonce = self._random_generator, self._nonce(kwargs)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return draws.random_uniform(sizes, -limit, limit, dtype, nonce)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return draws.random_normal(sizes, 0.0, stddev, dtype, nonce)
        return draws.truncated_normal(sizes, 0.0, stddev / _TRUNCATED_STDDEV, dtype, nonce)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "seed": self.seed,
        }


def compute_fans(shape: Sequence[int]) -> tuple[int, int]:
    """(inputs, outputs) of a unit for a weight of this shape: (..., in, out)."""
    if len(shape) < 1:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class _Scaled(VarianceScaling):
    _arguments: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self._arguments, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Scaled):
    """Uniform within sqrt(6 / (in + out)) (Glorot and Bengio, 2010)."""

    _arguments = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (in + out) (Glorot and Bengio, 2010)."""

    _arguments = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Scaled):
    """Uniform within sqrt(6 / in) (He et al., 2015)."""

    _arguments = 2.0, "fan_in", "uniform"


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / in (He et al., 2015)."""

    _arguments = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Scaled):
    """Uniform within sqrt(3 / in) (Klambauer et al., 2017)."""

    _arguments = 1.0, "fan_in", "uniform"


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / in (Klambauer et al., 2017)."""

    _arguments = 1.0, "fan_in", "truncated_normal"


class Orthogonal(_Random):
    """Orthogonal rows or columns, whichever are fewer (Saxe et al., 2014); rank 2 or more."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs, partition=False)
        dtype = self._dtype(dtype, _is_floating, "floating point type")
        if len(sizes) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. Received: "
                f"shape={sizes} of rank {len(sizes)}."
            )
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        flat = [max(rows, columns), min(rows, columns)]
        drawn = self._drawn_now(flat, dtype, self._nonce(kwargs))
        # QR has no kernel for halves
        wide: Any = drawn.astype(np.float64 if drawn.dtype == np.float64 else np.float32)
        q, r = np.linalg.qr(wide)
        q *= np.sign(np.diagonal(r))
        q = q.T if rows < columns else q
        return ops.multiply(convert_to_tensor(q.reshape(sizes).astype(drawn.dtype)), self.gain)

    def _drawn_now(self, shape: list[int], dtype: dt.DType, nonce: int | None) -> np.ndarray:
        from shardtape.graph.plan import evaluate_now

        drawn = self._random_generator.random_normal(shape, dtype=dtype, nonce=nonce)
        if isinstance(drawn, SymbolicTensor):
            return np.asarray(evaluate_now(drawn))
        return drawn.numpy()

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zero elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        sizes = self._sizes(shape, kwargs, partition=False)
        dtype = self._dtype(dtype, _is_floating, "floating point type")
        if len(sizes) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. Received: "
                f"shape={sizes} of rank {len(sizes)}."
            )
        eye = np.eye(*sizes, dtype=dtype.numpy_dtype)
        return ops.multiply(convert_to_tensor(eye), self.gain)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


# ---- look-up ----------------------------------------------------------------------------------
_CLASSES = (
    Zeros, Ones, Constant, RandomUniform, RandomNormal, TruncatedNormal, VarianceScaling,
    GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal,
    Identity,
)  # fmt: skip


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_BY_NAME: dict[str, type[Initializer]] = {
    alias: cls
    for cls in _CLASSES
    for name in (cls.__name__,)
    for alias in (name, _snake_case(name), f"{name}V2", f"{_snake_case(name)}V2")
}
_BY_NAME |= {
    "normal": RandomNormal, "uniform": RandomUniform, "one": Ones, "zero": Zeros,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """An initializer from an instance, a class, a name ("glorot_uniform") or a config.

    Any other callable comes back as it is, None as None. Raises ValueError for the rest.
    """
    from shardtape.keras.saving.serialization import function_name

    identifier = function_name(identifier)
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")


def serialize(initializer: Any, use_legacy_format: bool = False) -> Any:
    """The class name and config of an initializer, fit for JSON.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`.
    """
    if initializer is None:
        return None
    if not hasattr(initializer, "get_config"):  # a function of the user's
        if not callable(initializer):
            return initializer
        from shardtape.keras.saving.serialization import function_form, plain_form

        return plain_form(initializer) if use_legacy_format else function_form(initializer)
    name = type(initializer).__name__
    if use_legacy_format:
        return {"class_name": name, "config": initializer.get_config()}
    if not type(initializer).__module__.startswith("shardtape."):  # also one called `Ones`
        from shardtape.keras.saving.serialization import keras_form

        return keras_form(initializer)
    return {
        "module": "keras.initializers" if name in _BY_NAME else None,
        "class_name": name,
        "config": initializer.get_config(),
        "registered_name": None if name in _BY_NAME else name,
    }


def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """An initializer from its name or what `serialize` gave. Raises ValueError naming it."""
    if isinstance(config, str):
        config = {"class_name": config, "config": {}}
    if not isinstance(config, dict):
        raise ValueError(f"Could not interpret initializer identifier: {config}")
    from shardtape.keras.saving.serialization import without_modules

    with custom_object_scope(custom_objects):
        config = without_modules(config)
    name = config.get("class_name")
    cls = known(name, custom_objects) or _BY_NAME.get(name)
    if cls is not None and not hasattr(cls, "from_config"):
        return cls  # a function
    if cls is None:
        raise ValueError(
            f"Unknown initializer: {name!r}. Known are {', '.join(sorted(_BY_NAME))}; pass your "
            "own class in `custom_objects`, or the object itself."
        )
    return cls.from_config(dict(config.get("config") or {}))


# ---- Keras's lower-case names -----------------------------------------------------------------
zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal

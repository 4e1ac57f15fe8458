"""Stateless random ops: the values follow from a seed `[2]` that the caller passes.

The seed is scrambled to a Philox key and counter (`StatelessRandomGetKeyCounter`), which the
drawing ops take as inputs, as in TensorFlow. "philox" and "auto_select" are the same algorithm
here; "threefry" has no kernel, as on TensorFlow's CPU.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.backend import philox
from shardtape.graph.scopes import name_scope
from shardtape.ops import math
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.joining import stack
from shardtape.ops.random import (
    categorical_inputs,
    categorical_shape,
    checked_dtype,
    integer_range,
    scaled,
    shape_input,
    sizes_of,
)
from shardtape.ops.registry import op, same_as
from shardtape.ops.shape_rules import from_vector
from shardtape.tensor import Tensor

_MASK64 = 2**64 - 1
_FLOATS = (dt.float16, dt.bfloat16, dt.float32, dt.float64)
_INTS = (dt.int32, dt.int64)
_FULL_INTS = (*_INTS, dt.uint32, dt.uint64)


class Algorithm(enum.Enum):
    """Generators by TensorFlow's numbers."""

    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


def algorithm_number(alg: Any) -> int:
    """The number of an algorithm given by number, member or name. Raises ValueError."""
    if isinstance(alg, Algorithm):
        return alg.value
    if isinstance(alg, (int, np.integer)):
        return int(alg)
    if alg is None:
        return Algorithm.AUTO_SELECT.value
    if not isinstance(alg, str):
        raise TypeError(
            f"Can't convert argument `alg` (of value {alg} and type {type(alg)}) to int."
        )
    name = alg.strip().lower().replace("-", "").replace("_", "")
    for member in Algorithm:
        if member.name.lower().replace("_", "") == name:
            return member.value
    raise ValueError(
        f"Argument `alg` got unsupported value {alg}. Supported values are philox for the Philox "
        "algorithm, threefry for the ThreeFry algorithm, and auto_select for auto-selection."
    )


# ---- kernels ----------------------------------------------------------------------------------
def _position(key: np.ndarray, counter: np.ndarray, alg: np.ndarray) -> philox.Philox:
    number = int(alg)
    if number not in (Algorithm.PHILOX.value, Algorithm.AUTO_SELECT.value):
        raise ValueError(f"Unsupported algorithm id: {number}")
    if key.shape != (1,):
        raise ValueError(f"key must have shape [1], not {list(key.shape)}")
    if counter.ndim != 1 or counter.shape[0] < 2:
        raise ValueError(
            f"counter must be a vector with length at least 2; got shape: {list(counter.shape)}"
        )
    low, high = int(counter[0]) & _MASK64, int(counter[1]) & _MASK64
    return philox.Philox(int(key[0]) & _MASK64, low | high << 64)


_KEY = np.array([7], np.uint64), np.array([0, 9], np.uint64), np.int32(1)
_SHAPE = np.array([2, 3], np.int32)
_HOST = ("shape", "key", "counter", "alg")


def _fill_op(type_name: str, distribution: Any, name: str, dtype: dt.DType, text: str) -> Any:
    def kernel(xp, shape, key, counter, alg, *, dtype=dtype):
        sizes, count = sizes_of(shape)
        position = _position(key, counter, alg)
        return distribution(xp, position, count, dt.as_dtype(dtype).numpy_dtype).reshape(sizes)

    kernel.__name__, kernel.__doc__, kernel.__module__ = name, text, __name__
    return op(
        type_name, shape=from_vector(0), dtype="dtype", host=_HOST, widen=False,
        differentiable=False, samples=lambda rng: [((_SHAPE, *_KEY), {})],
    )(kernel)  # fmt: skip


stateless_random_uniform_op = _fill_op(
    "StatelessRandomUniformV2", philox.uniform, "stateless_random_uniform_op", dt.float32,
    "Floats uniform in [0, 1).",
)  # fmt: skip
stateless_random_normal_op = _fill_op(
    "StatelessRandomNormalV2", philox.normal, "stateless_random_normal_op", dt.float32,
    "Standard normals.",
)  # fmt: skip
stateless_truncated_normal_op = _fill_op(
    "StatelessTruncatedNormalV2", philox.truncated_normal, "stateless_truncated_normal_op",
    dt.float32, "Standard normals of magnitude below 2.",
)  # fmt: skip
stateless_random_uniform_full_int_op = _fill_op(
    "StatelessRandomUniformFullIntV2", philox.full_integers,
    "stateless_random_uniform_full_int_op", dt.uint64, "Integers over the dtype's whole range.",
)  # fmt: skip


@op(
    "StatelessRandomUniformIntV2",
    shape=from_vector(0),
    dtype=lambda dtypes, attrs: dtypes[4],
    host=(*_HOST, "minval", "maxval"),
    widen=False,
    differentiable=False,
    samples=lambda rng: [((_SHAPE, *_KEY, np.int32(-3), np.int32(9)), {})],
)
def stateless_random_uniform_int_op(xp, shape, key, counter, alg, minval, maxval):
    """Integers uniform in [minval, maxval), two scalars of type int32 or int64."""
    sizes, count = sizes_of(shape)
    if not count:
        return xp.empty(sizes, minval.dtype)
    low, high = integer_range(minval, maxval)
    position = _position(key, counter, alg)
    return philox.integers(xp, position, count, low, high, minval.dtype).reshape(sizes)


@op(
    "StatelessShuffle",
    shape=same_as(0),
    dtypes=dt.ANY,
    host=("key", "counter", "alg"),
    widen=False,
    differentiable=False,
    samples=lambda rng: [((rng.normal(size=(5, 2)), *_KEY), {})],
)
def stateless_shuffle_op(xp, value, key, counter, alg):
    """The rows of `value` in random order; scalars come back as they are."""
    if value.ndim == 0 or value.size <= 1:
        return value
    order = philox.permutation(_position(key, counter, alg), value.shape[0])
    return xp.take(value, xp.asarray(order), axis=0)


def _pair(seed: np.ndarray) -> tuple[int, int]:
    if seed.shape != (2,):
        raise ValueError(f"seed must have shape [2], not {list(seed.shape)}")
    return int(seed[0]), int(seed[1])


@op(
    "StatelessRandomGetKeyCounter",
    shape=lambda seed: [shapes.TensorShape([1]), shapes.TensorShape([2])],
    dtype=lambda dtypes, attrs: (dt.uint64, dt.uint64),
    host=("seed",),
    outputs=2,
    widen=False,
    differentiable=False,
    samples=lambda rng: [((np.array([5, -9], np.int64),), {})],
)
def get_key_counter_op(xp, seed):
    """A seed [2] to a key (1,) and a counter (2,), both uint64 on the host."""
    made = philox.from_stateless_seed(*_pair(seed))
    counter = [made.counter & _MASK64, made.counter >> 64]
    return np.array([made.key], np.uint64), np.array(counter, np.uint64)


@op(
    "StatelessMultinomial",
    shape=lambda logits, num_samples, seed, **attrs: categorical_shape(logits, num_samples),
    dtype="output_dtype",
    dtypes=dt.FLOATING,
    host=("num_samples", "seed"),
    widen=False,
    differentiable=False,
    samples=lambda rng: [((rng.normal(size=(2, 4)), np.int32(3), np.array([5, 9])), {})],
)
def stateless_multinomial_op(xp, logits, num_samples, seed, *, output_dtype=dt.int64):
    """Classes drawn with probabilities softmax(logits): (rows, classes) to (rows, num_samples)."""
    count, _ = categorical_inputs(logits, num_samples)
    position = philox.from_stateless_seed(*_pair(seed))
    drawn = philox.categorical(xp, position, logits, count)
    return drawn.astype(dt.as_dtype(output_dtype).numpy_dtype)


# ---- public functions -------------------------------------------------------------------------
def key_counter_alg(seed: Any, alg: Any, user: str = "") -> tuple[Tensor, Tensor, Tensor]:
    """The inputs key, counter and alg of the drawing op named `user`, from a seed [2]."""
    number = algorithm_number(alg)
    seed = convert_to_tensor(seed, name="StatelessRandomGetKeyCounter/seed")
    key, counter = get_key_counter_op(seed, name="StatelessRandomGetKeyCounter")
    return key, counter, convert_to_tensor(np.int32(number), name=f"{user}alg")


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dt.float32,
    name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:
    """Values uniform in [minval, maxval) that follow from `seed`.

    Args:
      shape: sizes, a vector.
      seed: two integers, int32 or int64.
      minval, maxval: bounds, 0 and 1 by default for floats; both None for the whole range of an
        integer dtype.
      dtype: a float, int32 or int64; uint32 and uint64 for the whole range.

    Raises:
      ValueError: a dtype without that distribution, or one of two integer bounds missing.
    """
    dtype = checked_dtype(dtype, (*_FLOATS, *_FULL_INTS))
    if dtype.is_integer:
        if (minval is None) != (maxval is None):
            raise ValueError(
                f"For integer `dtype` argument {dtype}, argument `minval` and `maxval` must be "
                f"both None or not None. Got `minval`={minval} and `maxval`={maxval}."
            )
        if minval is not None and dtype not in _INTS:
            raise ValueError(
                f"Argument `dtype` got invalid value {dtype} when argument `minval` is not None. "
                f"Please don't use unsigned integers in this case."
            )
    elif maxval is None:
        maxval = 1
    with name_scope(name, "stateless_random_uniform") as scope:
        sizes = shape_input(shape)
        if dtype.is_integer and minval is None:
            drawn = key_counter_alg(seed, alg)
            return stateless_random_uniform_full_int_op(
                sizes, *drawn, dtype=dtype, name=scope or None
            )
        minval = convert_to_tensor(minval, dtype, name="min")
        maxval = convert_to_tensor(maxval, dtype, name="max")
        if dtype.is_integer:
            drawn = key_counter_alg(seed, alg)
            return stateless_random_uniform_int_op(
                sizes, *drawn, minval, maxval, name=scope or None
            )
        drawn = key_counter_alg(seed, alg, "StatelessRandomUniformV2/")
        unit = stateless_random_uniform_op(
            sizes, *drawn, dtype=dtype, name="StatelessRandomUniformV2"
        )
        span = math.subtract(maxval, minval, name="sub")
        return math.add(math.multiply(unit, span, name="mul"), minval, name=scope or None)


def stateless_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dt.float32,
    name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:
    """Normal values that follow from `seed` [2]; mean and stddev broadcast with `shape`."""
    return _normal(
        "stateless_random_normal", stateless_random_normal_op, shape, seed, mean, stddev, dtype,
        name, alg,
    )  # fmt: skip


def stateless_truncated_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dt.float32,
    name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:
    """Normal values within two standard deviations that follow from `seed` [2]."""
    return _normal(
        "stateless_truncated_normal", stateless_truncated_normal_op, shape, seed, mean, stddev,
        dtype, name, alg,
    )  # fmt: skip


def _normal(
    default_name: str, unit_op: Any, shape: Any, seed: Any, mean: Any, stddev: Any, dtype: Any,
    name: str | None, alg: Any,
) -> Tensor:  # fmt: skip
    dtype = checked_dtype(dtype, _FLOATS)
    with name_scope(name, default_name) as scope:
        sizes = shape_input(shape)
        mean = convert_to_tensor(mean, dtype, name="mean")
        stddev = convert_to_tensor(stddev, dtype, name="stddev")
        drawn = key_counter_alg(seed, alg, f"{unit_op.type}/")
        unit = unit_op(sizes, *drawn, dtype=dtype, name=unit_op.type)
        return scaled(unit, mean, stddev, scope)


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = dt.int64, name: str | None = None
) -> Tensor:
    """Classes drawn with the probabilities softmax(logits) that follow from `seed` [2].

    Shapes: logits (rows, classes), result (rows, num_samples) of int64 or int32.
    """
    with name_scope(name, "stateless_categorical"):
        logits = convert_to_tensor(logits, name="logits")
        count = convert_to_tensor(num_samples, dt.int32, name="StatelessMultinomial/num_samples")
        seed = convert_to_tensor(seed, name="StatelessMultinomial/seed")
        return stateless_multinomial_op(
            logits, count, seed, output_dtype=checked_dtype(dtype, _INTS),
            name="StatelessMultinomial",
        )  # fmt: skip


def stateless_shuffle(
    value: Any, seed: Any, alg: Any = "auto_select", name: str | None = None
) -> Tensor:
    """`value` (any dtype) with its rows in the random order that follows from `seed` [2]."""
    with name_scope(name, "stateless_shuffle"):
        return stateless_shuffle_op(
            convert_to_tensor(value), *key_counter_alg(seed, alg), name="StatelessShuffle"
        )


def split(seed: Any, num: int = 2, alg: Any = "auto_select") -> Tensor:
    """`num` new seeds from one: shape (num, 2) of the seed's dtype."""
    seed = convert_to_tensor(seed)
    return stateless_uniform([num, 2], seed, None, None, seed.dtype, alg=alg)


def fold_in(seed: Any, data: Any, alg: Any = "auto_select") -> Tensor:
    """A new seed [2] from a seed and an integer scalar, of the integer's dtype."""
    data = convert_to_tensor(data)
    return stack([stateless_uniform([], seed, None, None, data.dtype, alg=alg), data])

"""Stateful random ops and the public functions on them, with TensorFlow's names and values.

Which stream an op draws from is `shardtape.backend.random`'s affair, what it makes of the words
`shardtape.backend.philox`'s. `gamma` and `poisson` are not offered.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.backend import philox, random
from shardtape.context import next_id, state
from shardtape.graph.scopes import name_scope
from shardtape.ops import math
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import RANDOM, Arg, op, same_as
from shardtape.ops.shape_rules import from_vector, known_int
from shardtape.ops.shaping import host_shape
from shardtape.tensor import Tensor

_SHAPE = np.array([2, 3], np.int32)
_FLOATS = (dt.float16, dt.bfloat16, dt.float32, dt.float64)
_INTS = (dt.int32, dt.int64)


# ---- kernels ----------------------------------------------------------------------------------
def sizes_of(shape: np.ndarray) -> tuple[tuple[int, ...], int]:
    """The sizes in a shape input, and the number of elements. Raises ValueError."""
    if shape.dtype.kind not in "iu":
        raise ValueError(
            f"Value for attr 'T' of {shape.dtype} is not in the list of allowed values: int32, "
            "int64"
        )
    if shape.ndim != 1:
        raise ValueError(
            f"shape must be a vector of {{int32,int64}}, got shape {list(np.shape(shape))}"
        )
    sizes = tuple(shape.tolist())
    count = 1
    for size in sizes:
        if size < 0:
            raise ValueError(f"Dimension {size} must be >= 0")
        count *= size
    return sizes, count


def _stream(xp: Any, blocks: int, stream: int, seed: int, seed2: int, *kind: Any) -> philox.Philox:
    """The position of this op's stream: a node's own, or the one that equal eager ops share."""
    identity: Any = stream or (xp is np, seed, seed2, *kind)
    return random.take(identity, seed, seed2, blocks)


def _filled(distribution: Any, kind: str) -> Any:
    def kernel(xp, shape, *, dtype=dt.float32, seed=0, seed2=0, _stream_id=0):
        sizes, count = sizes_of(shape)
        numpy_dtype = dt.as_dtype(dtype).numpy_dtype
        blocks = count * philox.BLOCKS_PER_VALUE
        position = _stream(xp, blocks, _stream_id, seed, seed2, kind, numpy_dtype, shape.dtype)
        return distribution(xp, position, count, numpy_dtype).reshape(sizes)

    return kernel


def _fill_op(type_name: str, distribution: Any, name: str, text: str) -> Any:
    kernel = _filled(distribution, type_name)
    kernel.__name__, kernel.__doc__, kernel.__module__ = name, text, __name__
    return op(
        type_name, shape=from_vector(0), dtype="dtype", host=("shape",), effects=RANDOM,
        widen=False, differentiable=False, samples=lambda rng: [((_SHAPE,), {"seed": 7})],
    )(kernel)  # fmt: skip


random_uniform_op = _fill_op(
    "RandomUniform", philox.uniform, "random_uniform_op", "Floats uniform in [0, 1)."
)
random_standard_normal_op = _fill_op(
    "RandomStandardNormal", philox.normal, "random_standard_normal_op", "Standard normals."
)
truncated_normal_op = _fill_op(
    "TruncatedNormal", philox.truncated_normal, "truncated_normal_op",
    "Standard normals of magnitude below 2.",
)  # fmt: skip


def integer_range(minval: Any, maxval: Any) -> tuple[int, int]:
    """Bounds of integer draws. Raises ValueError unless they are scalars in order."""
    for name, bound in (("minval", minval), ("maxval", maxval)):
        if bound.ndim:
            raise ValueError(f"{name} must be 0-D, got shape {list(bound.shape)}")
    low, high = int(minval), int(maxval)
    if low >= high:
        raise ValueError(f"Need minval < maxval, got {low} >= {high}")
    return low, high


@op(
    "RandomUniformInt",
    shape=from_vector(0),
    dtype=lambda dtypes, attrs: dtypes[1],
    host=("shape", "minval", "maxval"),
    effects=RANDOM,
    widen=False,
    differentiable=False,
    samples=lambda rng: [((_SHAPE, np.int32(-3), np.int32(9)), {"seed": 7})],
)
def random_uniform_int_op(xp, shape, minval, maxval, *, seed=0, seed2=0, _stream_id=0):
    """Integers uniform in [minval, maxval), two scalars of type int32 or int64."""
    sizes, count = sizes_of(shape)
    low, high = integer_range(minval, maxval)
    blocks = count * philox.BLOCKS_PER_VALUE
    kind = "RandomUniformInt", minval.dtype, shape.dtype
    position = _stream(xp, blocks, _stream_id, seed, seed2, *kind)
    return philox.integers(xp, position, count, low, high, minval.dtype).reshape(sizes)


@op(
    "RandomShuffle",
    shape=same_as(0),
    dtypes=dt.ANY,
    effects=RANDOM,
    widen=False,
    differentiable=False,
    samples=lambda rng: [((rng.normal(size=(5, 2)),), {"seed": 7}), ((np.array(1.0),), {})],
)
def random_shuffle_op(xp, value, *, seed=0, seed2=0, _stream_id=0):
    """The rows of `value` in random order; scalars come back as they are."""
    if value.ndim == 0 or value.size <= 1 or value.shape[0] <= 1:
        return value
    rows = value.shape[0]
    position = _stream(xp, (rows + 2) // 4, _stream_id, seed, seed2, "RandomShuffle", value.dtype)
    return xp.take(value, xp.asarray(philox.permutation(position, rows)), axis=0)


def categorical_shape(logits: Arg, num_samples: Arg, *rest: Any, **attrs: Any) -> Any:
    """(rows of logits, number of samples)."""
    if logits.shape.rank not in (None, 2):
        raise ValueError(f"Shape must be rank 2 but is rank {logits.shape.rank}")
    return shapes.TensorShape([logits.shape[0], known_int(num_samples)])


def categorical_inputs(logits: Any, num_samples: Any) -> tuple[int, int]:
    """Samples per row, and the blocks that TensorFlow reserves for them. Raises ValueError."""
    if logits.ndim != 2:
        raise ValueError(f"logits should be a matrix, got shape {list(logits.shape)}")
    count = int(num_samples)
    if count < 0:
        raise ValueError(f"num_samples should be nonnegative, got {count}")
    if logits.shape[1] == 0 and count:
        raise ValueError("num_classes should be positive, got 0")
    # two words for each double, and a row's number of samples rounded up to whole blocks
    reserved = logits.shape[0] * (count + 3) // 4 * 4 * 2
    return count, reserved * philox.BLOCKS_PER_VALUE


@op(
    "Multinomial",
    shape=categorical_shape,
    dtype="output_dtype",
    dtypes=dt.FLOATING,
    host=("num_samples",),
    effects=RANDOM,
    widen=False,
    differentiable=False,
    samples=lambda rng: [((rng.normal(size=(2, 4)), np.int32(3)), {"seed": 7})],
)
def multinomial_op(
    xp, logits, num_samples, *, seed=0, seed2=0, output_dtype=dt.int64, _stream_id=0
):
    """Classes drawn with probabilities softmax(logits): (rows, classes) to (rows, num_samples)."""
    count, blocks = categorical_inputs(logits, num_samples)
    dtype = dt.as_dtype(output_dtype).numpy_dtype
    position = _stream(xp, blocks, _stream_id, seed, seed2, "Multinomial", logits.dtype, dtype)
    return philox.categorical(xp, position, logits, count).astype(dtype)


# ---- public functions -------------------------------------------------------------------------
def seeds(op_seed: int | None) -> dict[str, Any]:
    """The attributes of a stateful random op: its two seeds, and in a graph its own stream."""
    seed, seed2 = random.get_seed(op_seed)
    attrs = {"seed": seed or 0, "seed2": seed2 or 0}
    if state.graph is not None:
        attrs["_stream_id"] = next_id()
    return attrs


def shape_input(shape: Any) -> Any:
    """The shape input of a random op; in a graph a constant named "shape"."""
    if state.graph is None and type(shape) is not int:  # a number is no shape, as in TensorFlow
        return host_shape(shape)
    return convert_to_tensor(shape, name="shape", hint_integer=True)


def checked_dtype(dtype: Any, accepted: tuple[dt.DType, ...]) -> dt.DType:
    """The DType. Raises ValueError where it is not among `accepted`."""
    made = dt.as_dtype(dtype)
    if made not in accepted:
        raise ValueError(
            f"Argument `dtype` got invalid value {made}. Accepted dtypes are {accepted}."
        )
    return made


def scaled(unit: Tensor, mean: Any, stddev: Any, scope: str) -> Tensor:
    """unit * stddev + mean, under TensorFlow's node names."""
    mean = convert_to_tensor(mean, unit.dtype, name="mean")
    stddev = convert_to_tensor(stddev, unit.dtype, name="stddev")
    return math.add(math.multiply(unit, stddev, name="mul"), mean, name=scope or None)


def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dt.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Values uniform in [minval, maxval).

    Args:
      shape: sizes, a vector.
      minval, maxval: bounds; for floats 0 and 1 by default, and tensors that broadcast with
        `shape`; for integers scalars, maxval required.
      dtype: float16, bfloat16, float32, float64, int32 or int64.
      seed: op seed; see `tf.random.set_seed`.

    Raises:
      ValueError: another dtype, or an integer dtype without maxval.
    """
    dtype = checked_dtype(dtype, (*_FLOATS, *_INTS))
    if maxval is None:
        if dtype.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {dtype!r}")
        maxval = 1
    with name_scope(name, "random_uniform") as scope:
        sizes = shape_input(shape)
        from_zero = type(minval) is int and minval == 0
        to_one = type(maxval) is int and maxval == 1
        if not (from_zero and to_one) or dtype.is_integer:
            minval = convert_to_tensor(minval, dtype, name="min")
            maxval = convert_to_tensor(maxval, dtype, name="max")
        drawn = seeds(seed)
        if dtype.is_integer:
            return random_uniform_int_op(sizes, minval, maxval, name=scope or None, **drawn)
        unit = random_uniform_op(sizes, dtype=dtype, name="RandomUniform", **drawn)
        if from_zero:
            return unit if to_one else math.multiply(unit, maxval, name="Mul")
        span = math.subtract(maxval, minval, name="sub")
        return math.add(math.multiply(unit, span, name="mul"), minval, name=scope or None)


def random_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dt.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal values of a floating dtype; mean and stddev broadcast with `shape`."""
    return _normal(
        "random_normal", random_standard_normal_op, shape, mean, stddev, dtype, seed, name
    )


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dt.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal values; those beyond two standard deviations are dropped and drawn again."""
    return _normal("truncated_normal", truncated_normal_op, shape, mean, stddev, dtype, seed, name)


def _normal(
    default_name: str, unit_op: Any, shape: Any, mean: Any, stddev: Any, dtype: Any, seed: Any,
    name: str | None,
) -> Tensor:  # fmt: skip
    dtype = dt.as_dtype(dtype)
    with name_scope(name, default_name) as scope:
        sizes = shape_input(shape)
        mean = convert_to_tensor(mean, dtype, name="mean")
        stddev = convert_to_tensor(stddev, dtype, name="stddev")
        if dtype not in _FLOATS:
            raise errors.InvalidArgumentError(
                f"Value for attr 'dtype' of {dtype.name} is not in the list of allowed values: "
                f"half, bfloat16, float, double [Op:{unit_op.type}]"
            )
        unit = unit_op(sizes, dtype=dtype, name=unit_op.type, **seeds(seed))
        return scaled(unit, mean, stddev, scope)


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """`value` (any dtype) with its rows in random order."""
    value = convert_to_tensor(value, name=f"{name or 'RandomShuffle'}/value")
    return random_shuffle_op(value, name=name, **seeds(seed))


def categorical(
    logits: Any,
    num_samples: Any,
    dtype: Any = None,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Classes drawn with the probabilities softmax(logits).

    Args:
      logits: floats (rows, classes).
      num_samples: samples per row.
      dtype: int64 (default) or int32.

    Returns:
      (rows, num_samples).
    """
    return _categorical("categorical", logits, num_samples, dtype, seed, name)


def multinomial(
    logits: Any,
    num_samples: Any,
    seed: int | None = None,
    name: str | None = None,
    output_dtype: Any = None,
) -> Tensor:
    """TF1's name of `categorical`."""
    return _categorical("multinomial", logits, num_samples, output_dtype, seed, name)


def _categorical(
    default_name: str, logits: Any, num_samples: Any, dtype: Any, seed: Any, name: str | None
) -> Tensor:
    with name_scope(name, default_name):
        logits = convert_to_tensor(logits, name="logits")
        dtype = checked_dtype(dtype or dt.int64, _INTS)
        count = convert_to_tensor(num_samples, dt.int32, name="Multinomial/num_samples")
        return multinomial_op(logits, count, output_dtype=dtype, name="Multinomial", **seeds(seed))


def set_seed(seed: int) -> None:
    """Sets the global seed: `tf.random.set_seed`."""
    random.set_seed(seed)


def set_random_seed(seed: int) -> None:
    """TF1's `set_random_seed`: that of the graph that is being built, else the global one."""
    if state.graph is None:
        random.set_seed(seed)
    else:
        state.graph.seed = seed


get_seed = random.get_seed

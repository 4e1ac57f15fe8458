"""The functions on tensors of `tf.keras.backend`, under Keras's names and with its arguments."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras import floatx as _floatx
from shardtape.ops import activations, array, compare, math, positions, reduce, scanning
from shardtape.ops.activations import relu as _relu
from shardtape.ops.cast import cast as _cast
from shardtape.ops.clip import clip_by_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.normalization import l2_normalize as _l2_normalize
from shardtape.ops.random import random_normal as _normal
from shardtape.ops.random import random_uniform as _uniform
from shardtape.ops.random import truncated_normal as _truncated
from shardtape.sparse_tensor import SparseTensor
from shardtape.variable import Variable

equal, not_equal = compare.equal, compare.not_equal
greater, greater_equal = compare.greater, compare.greater_equal
less, less_equal = compare.less, compare.less_equal
abs, exp, log, square = math.abs, math.exp, math.log, math.square
sign, round, sin, cos, tanh = math.sign, math.round, math.sin, math.cos, math.tanh
cumprod, cumsum = scanning.cumprod, scanning.cumsum
maximum, minimum = math.maximum, math.minimum


def sqrt(x: Any) -> Any:
    """The square root; of negative numbers 0."""
    x = convert_to_tensor(x)
    return math.sqrt(clip_by_value(x, 0.0, np.inf))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""
    made = activations.elu(x)
    return made if alpha == 1 else array.where(made > 0, made, alpha * made)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    from shardtape.keras.activations import sigmoid as make

    return make(x)


def softplus(x: Any) -> Any:
    """log(exp(x) + 1)."""
    return activations.softplus(x)


def softsign(x: Any) -> Any:
    """x / (1 + abs(x))."""
    return activations.softsign(x)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros in the shape of x."""
    return array.zeros_like(x, dtype, name)


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones in the shape of x."""
    return array.ones_like(x, dtype, name)


def expand_dims(x: Any, axis: int = -1) -> Any:
    """x with an axis of size 1 more, by default the last."""
    return array.expand_dims(x, axis)


def reshape(x: Any, shape: Any) -> Any:
    """x in another shape."""
    return array.reshape(x, shape)


def stack(x: Any, axis: int = 0) -> Any:
    """A list of tensors along a new axis."""
    return array.stack(x, axis)


def tile(x: Any, n: Any) -> Any:
    """x repeated `n` times along each axis; a number is for all of them."""
    return array.tile(x, [n] if isinstance(n, int) else n)


def gather(reference: Any, indices: Any) -> Any:
    """The rows of `reference` at `indices`."""
    return array.gather(reference, indices)


def shape(x: Any) -> Any:
    """The shape of x, an int32 vector."""
    return array.shape(x)


def stop_gradient(variables: Any) -> Any:
    """A tensor, or a list of tensors, that gradients do not flow through."""
    if isinstance(variables, (list, tuple)):
        return [array.stop_gradient(v) for v in variables]
    return array.stop_gradient(variables)


def _reduction(function: Any, name: str) -> Any:
    def reduced(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = convert_to_tensor(x)
        if x.dtype is dt.bool and name in ("mean", "std", "var"):
            x = _cast(x, _floatx.floatx())
        return function(x, axis, keepdims)

    reduced.__name__ = reduced.__qualname__ = name
    reduced.__doc__ = f"`{name}` over `axis` (None: all)."
    return reduced


sum = _reduction(reduce.reduce_sum, "sum")
mean = _reduction(reduce.reduce_mean, "mean")
prod = _reduction(reduce.reduce_prod, "prod")
max = _reduction(reduce.reduce_max, "max")
min = _reduction(reduce.reduce_min, "min")
std = _reduction(reduce.reduce_std, "std")
var = _reduction(reduce.reduce_variance, "var")
logsumexp = _reduction(reduce.reduce_logsumexp, "logsumexp")


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether any element over `axis` is not zero."""
    return reduce.reduce_any(_cast(x, dt.bool), axis, keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements over `axis` are not zero."""
    return reduce.reduce_all(_cast(x, dt.bool), axis, keepdims)


def argmax(x: Any, axis: int = -1) -> Any:
    """The place of the largest element."""
    return positions.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """The place of the smallest element."""
    return positions.argmin(x, axis)


def pow(x: Any, a: Any) -> Any:
    """x ** a."""
    return math.pow(x, a)


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x within min_value..max_value (None: no limit)."""
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else max_value
    return clip_by_value(x, low, high)


def cast(x: Any, dtype: Any) -> Any:
    """x in another dtype."""
    return _cast(x, dtype)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A constant of Keras's default dtype."""
    from shardtape.ops.convert import constant as make

    return make(value, dtype or _floatx.floatx(), shape)


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A Variable of Keras's default dtype."""
    return Variable(
        np.asarray(value), dtype=dt.as_dtype(dtype or _floatx.floatx()), name=name,
        constraint=constraint,
    )  # fmt: skip


def _sizes(shape: Any) -> Any:
    return shape if isinstance(shape, int) else tuple(shape)


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A Variable of zeros."""
    return variable(np.zeros(_sizes(shape)), dtype, name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A Variable of ones."""
    return variable(np.ones(_sizes(shape)), dtype, name)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    """A Variable with ones on its diagonal."""
    return variable(np.eye(size), dtype, name)


def dtype(x: Any) -> str:
    """The name of the dtype."""
    return x.dtype.name


def ndim(x: Any) -> int | None:
    """The number of axes."""
    return x.shape.rank


def int_shape(x: Any) -> tuple[int | None, ...] | None:
    """The static shape as a tuple."""
    return None if getattr(x.shape, "rank", 0) is None else tuple(x.shape)


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor or Variable."""
    from shardtape.tensor import is_tensor as check

    return check(x)


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(x.shape.as_list()))


def dot(x: Any, y: Any) -> Any:
    """The product of the last axis of x and the last but one of y; x may be sparse."""
    if isinstance(x, SparseTensor):
        from shardtape.sparse import sparse_dense_matmul

        return sparse_dense_matmul(x, y)
    x, y = convert_to_tensor(x), convert_to_tensor(y)
    ranks = [x.shape.rank, y.shape.rank]
    if None in ranks or builtins.max(ranks) <= 2:
        return matmul(x, y) if ranks[0] == ranks[1] else _tensordot(x, y)
    if y.shape.rank == 1:
        return _tensordot(x, y)
    x_sizes, y_sizes = _known_sizes(x), _known_sizes(y)
    last = y.shape.rank - 1
    rows = array.reshape(x, [-1, x_sizes[-1]])
    moved = array.transpose(y, [last - 1, *builtins.range(last - 1), last])
    columns = array.reshape(moved, [y_sizes[-2], -1])
    return array.reshape(matmul(rows, columns), [*x_sizes[:-1], *y_sizes[:-2], *y_sizes[-1:]])


def _tensordot(x: Any, y: Any) -> Any:
    from shardtape.ops.contraction import tensordot

    second = y.shape.rank - 2 if y.shape.rank > 1 else 0
    return tensordot(x, y, [[x.shape.rank - 1], [second]])


def _known_sizes(x: Any) -> list[Any]:
    """The sizes of a tensor, as numbers where they are known."""
    found = array.unstack(array.shape(x))
    return [size if n is None else n for n, size in zip(x.shape.as_list(), found)]


def transpose(x: Any) -> Any:
    """x with its axes in reversed order."""
    return array.transpose(x)


def permute_dimensions(x: Any, pattern: Any) -> Any:
    """x with its axes in another order."""
    return array.transpose(x, pattern)


def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Tensors joined along an axis; sparse ones give a sparse one."""
    tensors = list(tensors)
    if tensors and builtins.all(isinstance(t, SparseTensor) for t in tensors):
        from shardtape.sparse import concat

        return concat(axis if axis >= 0 else axis + tensors[0].shape.rank, tensors)
    return array.concat(list(tensors), axis)


def flatten(x: Any) -> Any:
    """x as a vector."""
    return array.reshape(x, [-1])


def batch_flatten(x: Any) -> Any:
    """x with all axes but the first joined."""
    x = convert_to_tensor(x)
    return array.reshape(x, array.stack([-1, reduce.reduce_prod(array.shape(x)[1:])]))


def squeeze(x: Any, axis: Any) -> Any:
    """x without an axis of size 1."""
    return array.squeeze(x, [axis])


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element of an axis `rep` times."""
    return array.repeat(x, rep, axis)


def one_hot(indices: Any, num_classes: int) -> Any:
    """One-hot vectors of indices."""
    return array.one_hot(indices, num_classes)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Numbers from start to stop, of the type of these where `dtype` is "int32".

    Of one number below 0 there are none.
    """
    if stop is None:
        nothing = isinstance(start, (int, float, np.number)) and start < 0
        start, stop = 0, 0 if nothing else start
    made = array.range(start, stop, step)
    return made if dtype == "int32" else _cast(made, dtype)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two values (or of what two functions give).

    Args:
      condition: one for all, one for each element, a vector along the last axis, or one for each
        first places of more than one axis.

    Raises ValueError where there are more conditions than elements.
    """
    from shardtape.graph.control_flow import cond

    choices = then_expression, else_expression
    condition = convert_to_tensor(condition)
    condition = condition if condition.dtype is dt.bool else _cast(condition, dt.bool)
    if not condition.shape.rank:
        made = [e if callable(e) else lambda value=e: value for e in choices]
        return cond(condition, made[0], made[1])
    first, second = [convert_to_tensor(e() if callable(e) else e) for e in choices]
    more = (first.shape.rank or 0) - condition.shape.rank
    if more < 0:
        raise ValueError(
            "Rank of `condition` should be less than or equal to rank of `then_expression` and "
            f"`else_expression`. ndim(condition)={condition.shape.rank}, "
            f"ndim(then_expression)={first.shape.rank}"
        )
    for _ in builtins.range(more if condition.shape.rank > 1 else 0):
        condition = array.expand_dims(condition, -1)
    return array.where(condition, first, second)


def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """The rectified x."""
    from shardtape.keras.activations import relu as full

    if alpha == 0.0 and max_value is None and threshold == 0.0:
        return _relu(x)
    return full(x, alpha=alpha, max_value=max_value, threshold=threshold)


def softmax(x: Any, axis: int = -1) -> Any:
    """The softmax over an axis, or several axes together."""
    from shardtape.keras.activations import softmax as make

    return make(x, axis)


def hard_sigmoid(x: Any) -> Any:
    """x / 5 + 1/2 within 0..1."""
    from shardtape.keras.activations import hard_sigmoid as make

    return make(x)


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x divided by its norm over an axis."""
    return _l2_normalize(x, axis)


def _seeded(seed: Any) -> int:
    """Without a seed numpy's generator gives one, as in Keras."""
    return int(np.random.randint(10_000_000)) if seed is None else seed


def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None,
                  seed: Any = None) -> Any:  # fmt: skip
    """Normal random numbers."""
    return _normal(shape, mean, stddev, dt.as_dtype(dtype or _floatx.floatx()), _seeded(seed))


def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None,
                   seed: Any = None) -> Any:  # fmt: skip
    """Uniform random numbers."""
    return _uniform(shape, minval, maxval, dt.as_dtype(dtype or _floatx.floatx()), _seeded(seed))


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None,
                     seed: Any = None) -> Any:  # fmt: skip
    """Normal random numbers within two deviations."""
    return _truncated(shape, mean, stddev, dt.as_dtype(dtype or _floatx.floatx()), _seeded(seed))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Keras's loss of each element."""
    from shardtape.keras.losses.classification import elementwise_binary_crossentropy as loss

    return loss(convert_to_tensor(target), convert_to_tensor(output), from_logits)


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Keras's loss of each row."""
    from shardtape.keras.losses import categorical_crossentropy as loss

    return loss(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1,
    ignore_class: int | None = None,
) -> Any:  # fmt: skip
    """Keras's loss of each row, by the number of its class."""
    from shardtape.keras.losses import sparse_categorical_crossentropy as loss

    return loss(target, output, from_logits=from_logits, axis=axis, ignore_class=ignore_class)


def gradients(loss: Any, variables: Any) -> Any:
    """Raises RuntimeError: gradients of what ran already need a GradientTape."""
    raise RuntimeError("K.gradients is not supported in eager mode: use a tf.GradientTape")

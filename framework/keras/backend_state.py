"""The functions of `tf.keras.backend` on Variables, modes, loops and functions of tensors."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import context, nest
from shardtape.keras import floatx as _floatx
from shardtape.keras.backend_functions import (
    cast,
    random_normal,
    random_uniform,
    switch,
    variable,
)
from shardtape.keras.symbolic import is_keras_tensor, stood_for
from shardtape.ops import array, mapping
from shardtape.ops import dropout as _dropout
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.in_top_k import in_top_k as _in_top_k
from shardtape.ops.ordering import reverse as _reverse
from shardtape.sparse_tensor import SparseTensor
from shardtape.sparse_tensor import to_dense as _to_dense
from shardtape.tensor import Tensor


def backend() -> str:
    """The name of what Keras runs on."""
    return "tensorflow"


def eval(x: Any) -> Any:
    """The value of a tensor as an array, a sparse one's with all elements; others as they are."""
    x = to_dense(x)
    return x.numpy() if hasattr(x, "numpy") else x


def batch_get_value(tensors: Any) -> list[Any]:
    """The values of tensors and Variables."""
    return [x.numpy() for x in tensors]


def batch_set_value(tuples: Any) -> None:
    """Assigns to Variables: (Variable, array) pairs."""
    for x, value in tuples:
        x.assign(np.asarray(value, x.dtype.numpy_dtype))


def update(x: Any, new_x: Any) -> Any:
    """Assigns to a Variable."""
    return x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Adds to a Variable."""
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtracts from a Variable."""
    return x.assign_sub(decrement)


def moving_average_update(x: Any, value: Any, momentum: Any) -> Any:
    """x = momentum * x + (1 - momentum) * value, of a Variable."""
    value = convert_to_tensor(value, x.dtype)
    return x.assign_sub((convert_to_tensor(x) - value) * (1.0 - momentum))


def manual_variable_initialization(value: Any) -> None:
    """Without effect: Variables have a value from the beginning."""


def cast_to_floatx(x: Any) -> Any:
    """A tensor or an array in Keras's default dtype."""
    if hasattr(x, "numpy") or isinstance(x, Tensor):
        return x if x.dtype.name == _floatx.floatx() else cast(x, _floatx.floatx())
    return np.asarray(x, dtype=_floatx.floatx())


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False,
    name: str | None = None, ragged: bool = False,
) -> Any:  # fmt: skip
    """A symbolic input of a full shape, or of a number of axes; Keras leaves its name out."""
    from shardtape.keras.layers import Input

    if shape is None:
        shape = (None,) * (ndim or 0)
    return Input(batch_shape=tuple(shape), dtype=dtype or _floatx.floatx(), sparse=sparse,
                 ragged=ragged)  # fmt: skip


def function(
    inputs: Any, outputs: Any, updates: Any = None, name: Any = None, **kwargs: Any
) -> Any:
    """A function from values of symbolic inputs to those of symbolic outputs, as arrays.

    Raises ValueError for `updates`, which belong to TensorFlow 1.
    """
    from shardtape.keras.models import Model

    if updates:
        raise ValueError("`updates` argument is not supported during eager execution.")
    model = Model(inputs, outputs)

    def run(values: Any) -> Any:
        made = model(values)
        if isinstance(outputs, (list, tuple)) and not isinstance(made, (list, tuple)):
            made = [made]
        return nest.map_structure(lambda t: t.numpy() if hasattr(t, "numpy") else t, made)

    return run


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x in training, else `alt`; both may be functions without arguments."""
    if training is None:
        training = bool(context.state.training)
    if isinstance(training, (bool, int, np.bool_, np.integer)):
        chosen = x if training else alt
        return chosen() if callable(chosen) else chosen
    return switch(training, x, alt)


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x where it is no training, else `alt`."""
    return in_train_phase(alt, x, training)


@contextlib.contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """Layers act as in training (1) or not (0) inside the block."""
    if value not in (0, 1):
        raise ValueError("Expected learning phase to be 0 or 1.")
    with context.training_phase(bool(value)):
        yield


def foldl(fn: Any, elems: Any, initializer: Any = None, name: Any = None) -> Any:
    """fn(accumulated, element) over the first axis, from the first one."""
    return mapping.foldl(fn, elems, initializer)


def foldr(fn: Any, elems: Any, initializer: Any = None, name: Any = None) -> Any:
    """As `foldl`, from the last one."""
    return mapping.foldr(fn, elems, initializer)


def map_fn(fn: Any, elems: Any, name: Any = None, dtype: Any = None) -> Any:
    """fn of each element of the first axis."""
    return mapping.map_fn(fn, elems, dtype=dtype)


def dropout(x: Any, level: Any, noise_shape: Any = None, seed: Any = None) -> Any:
    """Zeros instead of a share of x, the rest scaled up."""
    seed = int(np.random.randint(10_000_000)) if seed is None else seed
    return _dropout.dropout(x, level, noise_shape, seed)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """Ones with the probability p, else zeros."""
    drawn = random_uniform(shape, dtype=dtype, seed=seed)
    return cast(drawn <= p, drawn.dtype)


random_binomial = random_bernoulli


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: Any = None, seed: Any = None
) -> Any:
    """A Variable of normal random numbers."""
    return variable(random_normal(shape, mean, scale, dtype, _seed(seed)), dtype, name)


def _seed(seed: Any) -> int:
    """Without a seed numpy's generator gives one, from more numbers than for tensors."""
    return int(np.random.randint(1_000_000_000)) if seed is None else seed


def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: Any = None, seed: Any = None
) -> Any:
    """A Variable of uniform random numbers."""
    return variable(random_uniform(shape, low, high, dtype, _seed(seed)), dtype, name)


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether the target of each row is among its k largest predictions."""
    return _in_top_k(targets, predictions, k)


def is_sparse(tensor: Any) -> bool:
    """Whether it is a SparseTensor, or a symbolic input of such."""
    return isinstance(stood_for(tensor), SparseTensor)


def _between_layers(function: str, tensor: Any, **arguments: Any) -> Any:
    from shardtape.keras.layers.instance_members import BackendCall

    return BackendCall(function, arguments)(tensor)


def to_dense(tensor: Any) -> Any:
    """A SparseTensor as a tensor; anything else as it is."""
    if is_keras_tensor(tensor) and is_sparse(tensor):
        return _between_layers("to_dense", tensor)
    return _to_dense(tensor) if is_sparse(tensor) else tensor


def repeat(x: Any, n: int) -> Any:
    """Each row of a matrix n times along a new second axis."""
    return array.tile(array.expand_dims(x, 1), [1, n, 1])


def reverse(x: Any, axes: Any) -> Any:
    """x in reversed order along axes."""
    return _reverse(x, [axes] if isinstance(axes, int) else list(axes))


def print_tensor(x: Any, message: str = "", summarize: int = 3) -> Any:
    """Writes a message and x to stdout when it is computed; returns x."""
    from shardtape.ops.printing import print as write

    if is_keras_tensor(x) and x.graph.shows_calls:
        return _between_layers("print_tensor", x, message=message, summarize=summarize)
    write(message, x, output_stream=sys.stdout, summarize=summarize)
    return x


def binary_focal_crossentropy(
    target: Any, output: Any, apply_class_balancing: bool = False, alpha: float = 0.25,
    gamma: float = 2.0, from_logits: bool = False,
) -> Any:  # fmt: skip
    """The focal loss of each element."""
    from shardtape.keras.losses.focal import elementwise_binary_focal as loss

    y_true, y_pred = convert_to_tensor(target), convert_to_tensor(output)
    return loss(y_true, y_pred, apply_class_balancing, alpha, gamma, from_logits)


def categorical_focal_crossentropy(
    target: Any, output: Any, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
    axis: int = -1,
) -> Any:  # fmt: skip
    """The focal loss of each row of classes."""
    from shardtape.keras.losses import categorical_focal_crossentropy as loss

    return loss(target, output, alpha, gamma, from_logits, axis=axis)

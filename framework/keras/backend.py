"""`tf.keras.backend`: settings, names and small helpers of Keras programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import context
from shardtape.keras.backend_functions import (
    abs,
    all,
    any,
    arange,
    argmax,
    argmin,
    batch_flatten,
    binary_crossentropy,
    cast,
    categorical_crossentropy,
    clip,
    concatenate,
    constant,
    cos,
    count_params,
    cumprod,
    cumsum,
    dot,
    dtype,
    elu,
    equal,
    exp,
    expand_dims,
    eye,
    flatten,
    gather,
    gradients,
    greater,
    greater_equal,
    hard_sigmoid,
    int_shape,
    is_tensor,
    l2_normalize,
    less,
    less_equal,
    log,
    logsumexp,
    max,
    maximum,
    mean,
    min,
    minimum,
    ndim,
    not_equal,
    one_hot,
    ones,
    ones_like,
    permute_dimensions,
    pow,
    prod,
    random_normal,
    random_uniform,
    relu,
    repeat_elements,
    reshape,
    round,
    shape,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    softsign,
    sparse_categorical_crossentropy,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    stop_gradient,
    sum,
    switch,
    tanh,
    tile,
    transpose,
    truncated_normal,
    var,
    variable,
    zeros,
    zeros_like,
)
from shardtape.keras.floatx import epsilon, floatx, set_epsilon, set_floatx
from shardtape.keras.naming import reset_names, unique_object_name
from shardtape.keras.recurrence import rnn
from shardtape.keras.symbolic import forget_graphs, is_keras_tensor
from shardtape.variable import Variable

__all__ = [
    "abs",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "batch_flatten",
    "binary_crossentropy",
    "cast",
    "categorical_crossentropy",
    "clip",
    "concatenate",
    "constant",
    "cos",
    "count_params",
    "cumprod",
    "cumsum",
    "dot",
    "dtype",
    "elu",
    "equal",
    "exp",
    "expand_dims",
    "eye",
    "flatten",
    "gather",
    "gradients",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "int_shape",
    "is_tensor",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "logsumexp",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "ndim",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "permute_dimensions",
    "pow",
    "prod",
    "random_normal",
    "random_uniform",
    "relu",
    "repeat_elements",
    "reshape",
    "round",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "sum",
    "switch",
    "tanh",
    "tile",
    "transpose",
    "truncated_normal",
    "var",
    "variable",
    "zeros",
    "zeros_like",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "get_value",
    "image_data_format",
    "is_keras_tensor",
    "learning_phase",
    "rnn",
    "set_epsilon",
    "set_floatx",
    "set_learning_phase",
    "set_value",
]


def clear_session() -> None:
    """Starts the automatic names and the symbolic graph anew."""
    reset_names()
    forget_graphs()


def get_uid(prefix: str = "") -> int:
    """1, 2, ... for the same prefix."""
    name = unique_object_name(prefix, zero_based=False)
    return int(name.rsplit("_", 1)[1])


def image_data_format() -> str:
    """The default layout of images."""
    return "channels_last"


def learning_phase() -> Any:
    """Whether layers act as in training by default; False unless it was set."""
    return bool(context.state.training)


def set_learning_phase(value: Any) -> None:
    """Lets layers of this thread act as in training (1, True) or not (0, False)."""
    if value not in (0, 1):
        raise ValueError("Expected learning phase to be 0 or 1.")
    context.state.training = bool(value)


def get_value(x: Any) -> Any:
    """The value of a tensor or Variable as an array; anything else as it is."""
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x: Variable, value: Any) -> None:
    """Assigns an array to a Variable."""
    x.assign(np.asarray(value, x.dtype.numpy_dtype))

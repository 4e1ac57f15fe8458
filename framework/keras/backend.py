"""`tf.keras.backend`: settings, names and small helpers of Keras programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import context
from shardtape.graph.scopes import name_scope
from shardtape.keras import backend_experimental as experimental
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
from shardtape.keras.backend_layers import (
    batch_dot,
    batch_normalization,
    bias_add,
    conv1d,
    conv2d,
    conv2d_transpose,
    conv3d,
    ctc_batch_cost,
    ctc_decode,
    ctc_label_dense_to_sparse,
    depthwise_conv2d,
    local_conv1d,
    local_conv2d,
    normalize_batch_in_training,
    pool2d,
    pool3d,
    resize_images,
    resize_volumes,
    separable_conv2d,
    spatial_2d_padding,
    spatial_3d_padding,
    temporal_padding,
)
from shardtape.keras.backend_state import (
    backend,
    batch_get_value,
    batch_set_value,
    binary_focal_crossentropy,
    cast_to_floatx,
    categorical_focal_crossentropy,
    dropout,
    eval,
    foldl,
    foldr,
    function,
    in_test_phase,
    in_top_k,
    in_train_phase,
    is_sparse,
    learning_phase_scope,
    manual_variable_initialization,
    map_fn,
    moving_average_update,
    placeholder,
    print_tensor,
    random_bernoulli,
    random_binomial,
    random_normal_variable,
    random_uniform_variable,
    repeat,
    reverse,
    to_dense,
    update,
    update_add,
    update_sub,
)
from shardtape.keras.floatx import epsilon, floatx, set_epsilon, set_floatx
from shardtape.keras.image_layout import image_data_format, set_image_data_format
from shardtape.keras.naming import reset_names, unique_object_name
from shardtape.keras.recurrence import rnn
from shardtape.keras.symbolic import forget_graphs
from shardtape.keras.symbolic import is_keras_tensor as _is_keras_tensor
from shardtape.type_spec import composite_spec
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
    "experimental",
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
    "backend",
    "batch_dot",
    "batch_get_value",
    "batch_normalization",
    "batch_set_value",
    "bias_add",
    "binary_focal_crossentropy",
    "cast_to_floatx",
    "categorical_focal_crossentropy",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "ctc_batch_cost",
    "ctc_decode",
    "ctc_label_dense_to_sparse",
    "depthwise_conv2d",
    "dropout",
    "eval",
    "foldl",
    "foldr",
    "function",
    "in_test_phase",
    "in_top_k",
    "in_train_phase",
    "is_sparse",
    "learning_phase_scope",
    "local_conv1d",
    "local_conv2d",
    "manual_variable_initialization",
    "map_fn",
    "moving_average_update",
    "name_scope",
    "normalize_batch_in_training",
    "placeholder",
    "pool2d",
    "pool3d",
    "print_tensor",
    "random_bernoulli",
    "random_binomial",
    "random_normal_variable",
    "random_uniform_variable",
    "repeat",
    "reset_uids",
    "resize_images",
    "resize_volumes",
    "reverse",
    "separable_conv2d",
    "set_image_data_format",
    "spatial_2d_padding",
    "spatial_3d_padding",
    "temporal_padding",
    "to_dense",
    "update",
    "update_add",
    "update_sub",
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
    """Starts the automatic names and the symbolic graph anew, and forgets the learning phase."""
    reset_names()
    forget_graphs()
    context.state.training = None


def get_uid(prefix: str = "") -> int:
    """1, 2, ... for the same prefix."""
    name = unique_object_name(prefix, zero_based=False)
    return int(name.rsplit("_", 1)[1])


def reset_uids() -> None:
    """Starts the numbers of automatic names anew."""
    reset_names()


def learning_phase() -> int:
    """1 where layers act as in training by default, else 0, as it is unless it was set."""
    return int(bool(context.state.training))


def is_keras_tensor(x: Any) -> bool:
    """True for what `Input` and layers called on it give. Raises ValueError for no tensor."""
    if not is_tensor(x) and composite_spec(x) is None:
        raise ValueError(
            f"Unexpectedly found an instance of type `{type(x)}`. Expected a symbolic tensor "
            "instance."
        )
    return _is_keras_tensor(x)


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

"""Shardtape: TensorFlow's language on numpy and cupy, trained on a sharded parameter server.

import shardtape as tf
"""

import shardtape.backend

# isort: split
import sys as _sys
import warnings as _warnings
from typing import Any as _Any

from shardtape import (
    audio,
    autodiff,
    autograph,
    bitwise,
    compat,
    config,
    data,
    debugging,
    distribute,
    dtypes,
    errors,
    experimental,
    image,
    initializers,
    io,
    keras,
    linalg,
    lookup,
    math,
    nest,
    nn,
    optimizers,
    profiler,
    quantization,
    queue,
    ragged,
    random,
    raw_ops,
    saved_model,
    sets,
    signal,
    sparse,
    strings,
    summary,
    sysconfig,
    test,
    train,
    types,
    version,
)
from shardtape import graph as graph
from shardtape.absent import estimator, feature_column
from shardtape.absent import explain_missing_names as _explain_missing_names
from shardtape.aggregation import AggregationMethod
from shardtape.context import executing_eagerly
from shardtape.critical_section import CriticalSection
from shardtape.custom_gradient import custom_gradient, grad_pass_through, recompute_grad
from shardtape.data.specs import OptionalSpec
from shardtape.debugging import (
    Assert,
    assert_equal,
    assert_greater,
    assert_less,
    assert_rank,
)
from shardtape.devices import DeviceSpec, device
from shardtape.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    bool,
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    qint8,
    qint16,
    qint32,
    quint8,
    quint16,
    resource,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
    variant,
)
from shardtape.gradient_registry import RegisterGradient, no_gradient
from shardtape.graph.control_flow import case, cond, switch_case, while_loop
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import function
from shardtape.graph.grouping import (
    get_current_name_scope,
    get_static_value,
    group,
    identity_n,
    inside_function,
    is_symbolic_tensor,
    no_op,
    shape_n,
    tuple,
)
from shardtape.graph.ir import Graph, Operation
from shardtape.graph.placeholders import placeholder, placeholder_with_default
from shardtape.graph.py_function import numpy_function, py_function
from shardtape.graph.scopes import control_dependencies, init_scope, name_scope
from shardtape.graph.symbolic_gradients import gradients, hessians
from shardtape.graph.vectorize import vectorized_map
from shardtape.indexed_slices import IndexedSlices
from shardtape.indexed_slices_spec import IndexedSlicesSpec
from shardtape.io.tensor_proto import make_ndarray, make_tensor_proto
from shardtape.logger import get_logger
from shardtape.module import Module
from shardtape.ops import dispatch as _dispatch
from shardtape.ops import operators as _operators
from shardtape.ops.array import (
    argsort,
    batch_to_space,
    boolean_mask,
    broadcast_dynamic_shape,
    broadcast_static_shape,
    broadcast_to,
    concat,
    dynamic_partition,
    dynamic_stitch,
    ensure_shape,
    expand_dims,
    eye,
    fill,
    gather,
    gather_nd,
    histogram_fixed_width,
    histogram_fixed_width_bins,
    identity,
    linspace,
    meshgrid,
    one_hot,
    ones,
    ones_like,
    pad,
    range,
    rank,
    repeat,
    reshape,
    reverse,
    reverse_sequence,
    roll,
    scatter_nd,
    searchsorted,
    sequence_mask,
    shape,
    size,
    slice,
    sort,
    space_to_batch,
    space_to_batch_nd,
    split,
    squeeze,
    stack,
    stop_gradient,
    tensor_scatter_nd_add,
    tensor_scatter_nd_max,
    tensor_scatter_nd_min,
    tensor_scatter_nd_sub,
    tensor_scatter_nd_update,
    tile,
    transpose,
    unique,
    unique_with_counts,
    unravel_index,
    unstack,
    where,
    zeros,
    zeros_like,
)
from shardtape.ops.clip import (
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
)
from shardtape.ops.clock import timestamp
from shardtape.ops.contraction import (
    einsum,
    tensordot,
)
from shardtape.ops.convert import (
    constant,
    convert_to_tensor,
    register_tensor_conversion_function,
)
from shardtape.ops.indexing import (
    strided_slice,
)
from shardtape.ops.linalg import matmul
from shardtape.ops.mapping import foldl, foldr, map_fn, scan
from shardtape.ops.math import (
    abs,
    acos,
    acosh,
    add,
    add_n,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitcast,
    cast,
    complex,
    cos,
    cosh,
    divide,
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    pow,
    round,
    saturate_cast,
    scalar_mul,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    truediv,
    truncatediv,
    truncatemod,
)
from shardtape.ops.norms import (
    norm,
)
from shardtape.ops.positions import argmax, argmin
from shardtape.ops.printing import print
from shardtape.ops.rarer_convolutions import (
    extract_volume_patches,
    parallel_stack,
    required_space_to_batch_paddings,
)
from shardtape.ops.reduce import (
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from shardtape.ops.scanning import cumsum
from shardtape.ops.spelling import edit_distance, fingerprint
from shardtape.ops.systems import (
    eig,
    eigvals,
)
from shardtape.plain_initializers import (
    constant_initializer,
    ones_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    zeros_initializer,
)
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.ragged.tensor import RaggedTensor
from shardtape.shapes import TensorShape
from shardtape.sparse_tensor import SparseTensor, SparseTensorSpec
from shardtape.step import Step
from shardtape.tape import GradientTape, UnconnectedGradients
from shardtape.tensor import Tensor, is_tensor
from shardtape.tensor_array import TensorArray, TensorArraySpec
from shardtape.type_spec import TypeSpec, type_spec_from_value
from shardtape.variable import Variable
from shardtape.variable_creation import variable_creator_scope
from shardtape.variable_synchronization import VariableAggregation, VariableSynchronization

_operators.attach_to_variables(Variable)
# Kernels meet infinities and NaNs in the course of their work, and TensorFlow says nothing then.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"shardtape\.")

newaxis = None
losses, metrics = keras.losses, keras.metrics
as_string = strings.as_string
matrix_square_root = linalg.sqrtm
realdiv, guarantee_const = truediv, identity
__version__ = version.VERSION
_explain_missing_names(_sys.modules[__name__])

# Names that belong to packages above: handed on when they are first asked for, so that the
# language itself needs neither Ray nor gRPC.
_FROM_ABOVE = {"Trainer": "shardtape.workers.trainer"}


def __getattr__(name: str) -> _Any:
    if name in _FROM_ABOVE:
        import importlib

        found = getattr(importlib.import_module(_FROM_ABOVE[name]), name)
        globals()[name] = found
        return found
    from shardtape.absent import missing_text

    known = [n for n in globals() if not n.startswith("_")]
    raise AttributeError(missing_text("tf", name, known))


def __dir__() -> list[str]:
    return sorted(n for n in {*globals(), *_FROM_ABOVE} if not n.startswith("_"))

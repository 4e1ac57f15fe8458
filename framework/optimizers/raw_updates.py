"""TensorFlow's update ops by their own names: what hand-written training loops call."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.backend.blas import add_scaled
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import WRITES, op
from shardtape.ops.state import apply_resource
from shardtape.optimizers.sgd import SGDRule
from shardtape.tensor import SymbolicTensor
from shardtape.variable_spec import variable_of

_descent = SGDRule()
# Up to here one pass over all is faster than many over blocks (401,408 float32: 68 and 81 us).
_WHOLE_ELEMENTS = 1 << 19


@op("ResourceApplyGradientDescent", shape=lambda *args: [], dtype=lambda dtypes, attrs: (),
    outputs=0, effects=WRITES, mixed=True, differentiable=False, retains=False,
    widen=False)  # fmt: skip
def apply_gradient_descent(xp, var, alpha, delta):
    """var -= alpha * delta."""
    array = var._storage()
    if array.shape != delta.shape:
        raise ValueError(f"var and delta do not have the same shape {array.shape} {delta.shape}")
    if xp is np and add_scaled(-float(alpha), delta, array):
        return
    if array.size > _WHOLE_ELEMENTS:
        _descent.dense(xp, array, delta, {}, 0, float(alpha))
    else:
        array -= alpha * delta


def resource_apply_gradient_descent(
    var: Any, alpha: Any, delta: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """`tf.raw_ops.ResourceApplyGradientDescent`: var -= alpha * delta, in place.

    Args:
      var: handle of a Variable.
      alpha: scalar of the Variable's type.
      delta: the gradient, of its shape and type.

    Raises:
      InvalidArgumentError: another shape.
    """
    variable = variable_of(var) if type(var) is SymbolicTensor else var
    dtype = variable.dtype
    inputs = (convert_to_tensor(alpha, dtype), convert_to_tensor(delta, dtype))
    return apply_resource(apply_gradient_descent, variable, inputs, None, name)

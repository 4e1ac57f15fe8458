"""Optimizers of a user's own: subclasses of `Optimizer` that define `update_step` in ops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from shardtape.context import building, state
from shardtape.errors import UnimplementedError
from shardtape.indexed_slices import IndexedSlices
from shardtape.optimizers.replicated import components, identity
from shardtape.optimizers.rule import Rule
from shardtape.variable import Variable


class CustomRule(Rule):
    """Holds the settings of an optimizer that updates by `update_step`; it updates nothing."""

    class_name = "custom"

    @property
    def slots(self) -> tuple[str, ...]:
        return ()

    def own_config(self) -> dict[str, Any]:
        return {}


def only_here(optimizer: Any) -> UnimplementedError:
    """What a job under a parameter server is told."""
    return UnimplementedError(
        f"{type(optimizer).__name__} defines `update_step`, which runs where the model is: shards "
        "run the optimizers of tf.keras.optimizers (SGD, Adam, Adagrad, RMSprop, ...)"
    )


def new_variable(
    optimizer: Any, shape: Any, dtype: Any, initializer: Any, name: str | None
) -> Variable:
    """A Variable of an optimizer's state."""
    from shardtape.keras import initializers
    from shardtape.keras.floatx import floatx
    from shardtape.shapes import TensorShape

    dtype = floatx() if dtype is None else dtype
    make = initializers.get(initializer)
    with building(None):
        value = make if not callable(make) else make(TensorShape(shape), dtype=dtype)
        made = Variable(value, trainable=False, name=name, dtype=dtype)
    optimizer._added.append(made)
    return made


def variable_like(
    optimizer: Any, reference: Any, name: str, shape: Any = None, initial: Any = None
) -> Variable:
    """A Variable of the shape and type of another one; zeros where no value is given."""
    array = reference._read_array()
    if initial is None:
        value: Any = np.zeros(array.shape if shape is None else tuple(shape), array.dtype)
    else:
        value = initial.numpy() if hasattr(initial, "numpy") else initial
    with building(None):
        made = Variable(
            value, trainable=False, dtype=reference.dtype,
            name=f"{optimizer._scope}{name}/{reference.name.removesuffix(':0')}",
        )  # fmt: skip
    optimizer._added.append(made)
    return made


def apply(optimizer: Any, pairs: list[tuple[Any, Any]]) -> Any:
    """Clips, decays, runs `update_step` for each (gradient, Variable), counts; all in ops.

    Sparse gradients come to `update_step` with each row once. Gives what counting gives.
    """
    optimizer._updating = True
    try:
        return _apply(optimizer, pairs)
    finally:
        del optimizer._updating


def _apply(optimizer: Any, pairs: list[tuple[Any, Any]]) -> Any:
    from shardtape.ops.convert import convert_to_tensor

    gradients = [_tensor(g) for g, _ in pairs]
    variables = [v for _, v in pairs]
    rate = optimizer.learning_rate
    decay = optimizer.weight_decay
    for variable in variables if decay else ():
        if optimizer.rule_of(variable).weight_decay:
            for _ in components(variable):
                taken = convert_to_tensor(variable)
                variable.assign_sub(taken * _cast(rate, taken.dtype) * _cast(decay, taken.dtype))
    for gradient, variable in zip(_clipped(optimizer, gradients), variables):
        gradient = _summed(gradient)
        for _ in components(variable):
            optimizer.update_step(gradient, variable)
    if optimizer.use_ema:
        _average(optimizer, variables)
    counted = optimizer.iterations.assign_add(1)
    for variable in variables:
        if getattr(variable, "constraint", None) is not None:
            for _ in components(variable):
                variable.assign(variable.constraint(convert_to_tensor(variable)))
    return counted


def average_of(optimizer: Any, variable: Any) -> Variable:
    """The Variable of the moving average of another one, which it starts as."""
    key = identity(variable)
    found = optimizer._averages.get(key)
    if found is None:
        found = variable_like(optimizer, variable, "average", initial=variable._read_array())
        optimizer._averages[key] = found
    return found


def overwrite(optimizer: Any, variables: Iterable[Any]) -> None:
    """Writes the moving averages over the Variables."""
    for variable in variables:
        variable.assign(average_of(optimizer, variable))


def _average(optimizer: Any, variables: list[Any]) -> None:
    from shardtape.graph.control_flow import cond
    from shardtape.ops.convert import convert_to_tensor

    for variable in variables:
        average, value = average_of(optimizer, variable), convert_to_tensor(variable)
        share = _cast(optimizer.ema_momentum, value.dtype)
        average.assign(share * average + (1 - share) * value)
    every = optimizer.ema_overwrite_frequency
    if not every:
        return
    due = (convert_to_tensor(optimizer.iterations) + 1) % every
    if state.graph is None:
        if int(due) == 0:
            overwrite(optimizer, variables)
        return

    def write() -> Any:
        overwrite(optimizer, variables)
        return due

    cond(due == 0, write, lambda: due)


def _tensor(gradient: Any) -> Any:
    from shardtape.ops.convert import convert_to_tensor

    return gradient if isinstance(gradient, IndexedSlices) else convert_to_tensor(gradient)


def _summed(gradient: Any) -> Any:
    """A sparse gradient with the sum of each row's values, others as they are."""
    from shardtape.ops.array import shape, unique
    from shardtape.ops.gather import unsorted_segment_sum

    if not isinstance(gradient, IndexedSlices):
        return gradient
    rows, places = unique(gradient.indices)
    sums = unsorted_segment_sum(gradient.values, places, shape(rows)[0])
    return IndexedSlices(sums, rows, gradient.dense_shape)


def _unscaled(gradient: Any, scale: Any) -> Any:
    if not isinstance(gradient, IndexedSlices):
        return gradient / scale
    return IndexedSlices(gradient.values / scale, gradient.indices, gradient.dense_shape)


def _clipped(optimizer: Any, gradients: list[Any]) -> list[Any]:
    from shardtape.ops import clip

    scale = optimizer.loss_scale_factor
    if scale:
        gradients = [_unscaled(g, scale) for g in gradients]
    if optimizer.clipnorm and optimizer.clipnorm > 0:
        return [clip.clip_by_norm(g, optimizer.clipnorm) for g in gradients]
    if optimizer.global_clipnorm and optimizer.global_clipnorm > 0:
        return list(clip.clip_by_global_norm(gradients, optimizer.global_clipnorm)[0])
    if optimizer.clipvalue and optimizer.clipvalue > 0:
        bound = optimizer.clipvalue
        return [clip.clip_by_value(g, -bound, bound) for g in gradients]
    return gradients


def _cast(value: Any, dtype: Any) -> Any:
    from shardtape.ops.cast import cast

    return cast(value, dtype)

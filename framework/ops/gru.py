"""A whole GRU over a sequence as one op, and its gradient as one; see `lstm`.

Columns of gates are in Keras's order: update, reset, candidate. The reset gate acts after the
recurrent product (`reset_after`, as cuDNN does).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.lstm import _check
from shardtape.ops.recurrent_derivatives import (
    absent,
    buffer,
    by_tape,
    recurrent_gradient,
    slopes,
    step_loop,
)
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape


def _shapes(
    projected: Arg, recurrent: Arg, bias: Arg, h: Arg, mask: Arg, **attrs: Any
) -> list[TensorShape]:
    steps, batch, width = projected.shape.with_rank(3).as_list()
    units = recurrent.shape.with_rank(2)[0]
    sequence = TensorShape([steps, batch, units])
    gates = TensorShape([steps, batch, width])
    return [sequence, TensorShape([batch, units]), gates, sequence]


def _samples(rng: np.random.Generator) -> list[Any]:
    def one(steps: int, batch: int, units: int, masked: bool) -> Any:
        mask = (rng.random((steps, batch)) > 0.4).astype(np.float64) if masked else np.zeros(0)
        return (
            rng.normal(size=(steps, batch, 3 * units)), rng.normal(size=(units, 3 * units)),
            rng.normal(size=(3 * units,)), rng.normal(size=(batch, units)), mask,
        )  # fmt: skip

    return [(one(3, 2, 2, False), {}), (one(4, 3, 1, True), {}), (one(1, 2, 1, False), {})]


def _reference(projected: Any, recurrent: Any, bias: Any, h: Any, mask: Any) -> tuple[Any, ...]:
    """The definition, step by step."""

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    outputs, gates, inner = [], [], []
    for t, x in enumerate(projected):
        (x_z, x_r, x_n), (r_z, r_r, r_n) = np.split(x, 3, 1), np.split(h @ recurrent + bias, 3, 1)
        z, r = sigmoid(x_z + r_z), sigmoid(x_r + r_r)
        n = np.tanh(x_n + r * r_n)
        keep = mask[t][:, None] != 0 if mask.ndim == 2 else np.ones((len(h), 1), bool)
        h = np.where(keep, z * h + (1 - z) * n, h)
        outputs.append(h)
        gates.append(np.concatenate([z, r, n], 1))
        inner.append(r_n)
    return np.array(outputs), h, np.array(gates), np.array(inner)


@op("GRUSequence", dtypes=dt.FLOATING, outputs=4, shape=_shapes, samples=_samples,
    reference=_reference)  # fmt: skip
def gru_sequence(xp, projected, recurrent, bias, h, mask):
    """A GRU with tanh and sigmoid over steps.

    Args:
      projected: inputs times kernel plus the inputs' bias, [steps, batch, 3 * units].
      recurrent: weights of the last output, [units, 3 * units].
      bias: of the recurrent product, [3 * units].
      h: first output, [batch, units].
      mask: [steps, batch]; where it is 0 the output stays as it was. Empty: no mask.

    Returns (outputs [steps, batch, units], last output, gates [steps, batch, 3 * units], the
    candidate's recurrent products [steps, batch, units]).
    """
    units = _check(projected, recurrent, 3)
    steps, batch, _ = projected.shape
    outputs = xp.empty((steps, batch, units), projected.dtype)
    inner, gates = xp.empty_like(outputs), xp.empty(projected.shape, projected.dtype)
    product = xp.empty((batch, 3 * units), projected.dtype)
    half = projected.dtype.type(0.5)
    gone = None if mask.ndim < 2 else (mask == 0)[..., None]
    for t in range(steps):
        g, y, x = gates[t], outputs[t], projected[t]
        both, n = g[:, : 2 * units], g[:, 2 * units :]
        xp.matmul(h, recurrent, out=product)
        product += bias
        # a sigmoid is a tanh of half the argument
        xp.add(product[:, : 2 * units], x[:, : 2 * units], out=both)
        both *= half
        xp.tanh(both, out=both)
        both *= half
        both += half
        inner[t] = product[:, 2 * units :]
        xp.multiply(g[:, units : 2 * units], inner[t], out=n)
        n += x[:, 2 * units :]
        xp.tanh(n, out=n)
        xp.subtract(h, n, out=y)
        y *= g[:, :units]
        y += n
        if gone is not None:
            xp.copyto(y, h, where=gone[t])
        h = y
    return outputs, h.copy(), gates, inner


@gru_sequence.gradient
def _(g, y, projected, recurrent, bias, h, mask):
    seeds = [absent(projected.dtype) if s is None else s for s in g]
    made = gru_sequence_grad(projected, recurrent, bias, h, mask, y[0], y[2], y[3], *seeds)
    return (*made, None)


def _gradient_shapes(projected: Arg, recurrent: Arg, bias: Arg, h: Arg, *rest: Arg) -> list[Any]:
    return [projected.shape, recurrent.shape, bias.shape, h.shape]


def _gradient_samples(rng: np.random.Generator) -> list[Any]:
    made: list[Any] = []
    for k, (inputs, _) in enumerate(_samples(rng)):
        y = _reference(*inputs)
        seeds = [np.zeros(0) if k == 1 and i > 1 else rng.normal(size=a.shape)
                 for i, a in enumerate(y)]  # fmt: skip
        made.append(((*inputs, y[0], y[2], y[3], *seeds), {}))
    return made


@op("GRUSequenceGrad", dtypes=dt.FLOATING, outputs=4, shape=_gradient_shapes,
    shape_only=("projected", "bias"), samples=_gradient_samples)  # fmt: skip
def gru_sequence_grad(xp, projected, recurrent, bias, h, mask, outputs, gates, inner, g_outputs,
                      g_h, g_gates, g_inner):  # fmt: skip
    """Gradients of `gru_sequence`'s first four inputs, from its results and their gradients."""
    steps, batch, units = outputs.shape
    one = projected.dtype.type(1)
    more = None if g_gates.ndim < 2 else g_gates * slopes(gates, 3)
    d_projected = xp.empty(gates.shape, gates.dtype)
    d = buffer(xp, "gru products", gates.shape, gates.dtype)  # gradients of recurrent products
    d_h = xp.zeros_like(h) if g_h.ndim < 2 else g_h.copy()
    kept = None if mask.ndim < 2 else (mask != 0)[..., None]
    turned = xp.ascontiguousarray(recurrent.T)
    rest, direct = xp.empty((2, batch, units), gates.dtype)
    passed = None
    for t in range(steps - 1, -1, -1):
        if g_outputs.ndim > 1:
            d_h += g_outputs[t]
        if kept is not None:  # what a masked step hands on as it is
            passed = d_h * ~kept[t]
            d_h *= kept[t]
        z, r, n = gates[t, :, :units], gates[t, :, units : 2 * units], gates[t, :, 2 * units :]
        part, product = d_projected[t], d[t]
        d_z, d_r, d_n = part[:, :units], part[:, units : 2 * units], part[:, 2 * units :]
        xp.multiply(d_h, z, out=direct)
        xp.subtract(d_h, direct, out=rest)  # what flows through the candidate
        xp.subtract(outputs[t - 1] if t else h, n, out=d_z)
        d_z *= z
        d_z *= rest
        xp.multiply(n, n, out=d_n)
        xp.subtract(one, d_n, out=d_n)
        d_n *= rest
        if more is not None:
            d_z += more[t, :, :units]
            d_n += more[t, :, 2 * units :]
        xp.multiply(d_n, r, out=rest)
        xp.subtract(one, r, out=d_r)
        d_r *= rest
        d_r *= inner[t]
        if more is not None:
            d_r += more[t, :, units : 2 * units]
        if g_inner.ndim > 1:
            rest += g_inner[t]
        product[:, : 2 * units] = part[:, : 2 * units]
        product[:, 2 * units :] = rest
        xp.matmul(product, turned, out=d_h)
        d_h += direct
        if kept is not None:
            d_h += passed
    return d_projected, recurrent_gradient(xp, h, outputs, d), d.sum((0, 1)), d_h


@gru_sequence_grad.gradient
def _(g, _y, projected, recurrent, bias, h, mask, _outputs, _gates, _inner, g_outputs, g_h,
      g_gates, g_inner):  # fmt: skip
    seeds = [g_outputs, g_h, g_gates, g_inner]
    made, by_seed = by_tape(_in_ops, [projected, recurrent, bias, h], mask, seeds, g)
    return (*made, None, None, None, None, *by_seed)


def _in_ops(inputs: list[Any], mask: Any) -> tuple[Any, ...]:
    """`gru_sequence` in ordinary ops, which have derivatives of any order."""
    from shardtape.ops import math
    from shardtape.ops.array import concat, split
    from shardtape.ops.linalg import matmul

    projected, recurrent, bias, h = inputs

    def step(x: Any, states: list[Any]) -> tuple[list[Any], list[Any]]:
        [h] = states
        x_z, x_r, x_n = split(x, 3, axis=1)
        r_z, r_r, r_n = split(matmul(h, recurrent) + bias, 3, axis=1)
        z, r = math.sigmoid(x_z + r_z), math.sigmoid(x_r + r_r)
        n = math.tanh(x_n + r * r_n)
        return [concat([z, r, n], 1), r_n], [z * h + (1.0 - z) * n]

    [outputs], [gates, inner], [h] = step_loop(step, projected, [h], mask)
    return outputs, h, gates, inner

"""A whole LSTM over a sequence as one op, and its gradient as one.

Keras's loop over steps costs a dozen small operations per step; here the state lives in buffers
that are made once, all products that do not depend on the next step are made for the whole
sequence at once, and the gradient of the recurrent weights is one product. The gradient of the
gradient is built of ordinary ops (`recurrent_derivatives`).

Columns of gates are in Keras's order: input, forget, candidate, output. An input or gradient that
is not there is an empty vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.recurrent_derivatives import (
    absent,
    by_tape,
    recurrent_gradient,
    slopes,
    step_loop,
)
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape


def _check(projected: Any, recurrent: Any, gates: int) -> int:
    """The number of units. Raises ValueError for sizes that do not fit."""
    units = recurrent.shape[0]
    if projected.shape[-1] != gates * units or recurrent.shape[1] != gates * units:
        raise ValueError(
            f"{gates} gates of {units} units need {gates * units} columns: projected inputs have "
            f"{projected.shape[-1]}, recurrent weights {recurrent.shape[1]}"
        )
    return units


def _shapes(
    projected: Arg, recurrent: Arg, h: Arg, c: Arg, mask: Arg, **attrs: Any
) -> list[TensorShape]:
    steps, batch, width = projected.shape.with_rank(3).as_list()
    units = recurrent.shape.with_rank(2)[0]
    sequence, last = TensorShape([steps, batch, units]), TensorShape([batch, units])
    return [sequence, last, last, sequence, TensorShape([steps, batch, width])]


def _samples(rng: np.random.Generator) -> list[Any]:
    def one(steps: int, batch: int, units: int, masked: bool) -> Any:
        mask = (rng.random((steps, batch)) > 0.4).astype(np.float64) if masked else np.zeros(0)
        return (
            rng.normal(size=(steps, batch, 4 * units)), rng.normal(size=(units, 4 * units)),
            rng.normal(size=(batch, units)), rng.normal(size=(batch, units)), mask,
        )  # fmt: skip

    return [(one(3, 2, 2, False), {}), (one(4, 3, 1, True), {}), (one(1, 2, 1, False), {})]


def _reference(projected: Any, recurrent: Any, h: Any, c: Any, mask: Any) -> tuple[Any, ...]:
    """The definition, step by step."""

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    outputs, cells, gates = [], [], []
    for t, x in enumerate(projected):
        i, f, n, o = np.split(x + h @ recurrent, 4, axis=1)
        i, f, n, o = sigmoid(i), sigmoid(f), np.tanh(n), sigmoid(o)
        new = f * c + i * n
        keep = mask[t][:, None] != 0 if mask.ndim == 2 else np.ones((len(h), 1), bool)
        h, c = np.where(keep, o * np.tanh(new), h), np.where(keep, new, c)
        outputs.append(h)
        cells.append(c)
        gates.append(np.concatenate([i, f, n, o], 1))
    return np.array(outputs), h, c, np.array(cells), np.array(gates)


@op("LSTMSequence", dtypes=dt.FLOATING, outputs=5, shape=_shapes, samples=_samples,
    reference=_reference)  # fmt: skip
def lstm_sequence(xp, projected, recurrent, h, c, mask):
    """An LSTM with tanh and sigmoid over steps.

    Args:
      projected: inputs times kernel plus bias, [steps, batch, 4 * units].
      recurrent: weights of the last output, [units, 4 * units].
      h, c: first output and memory, [batch, units].
      mask: [steps, batch]; where it is 0 output and memory stay as they were. Empty: no mask.

    Returns (outputs [steps, batch, units], last output, last memory, memories [steps, batch,
    units], gates [steps, batch, 4 * units]).
    """
    units = _check(projected, recurrent, 4)
    steps, batch, width = projected.shape
    outputs = xp.empty((steps, batch, units), projected.dtype)
    cells, gates = xp.empty_like(outputs), xp.empty(projected.shape, projected.dtype)
    scratch = xp.empty((batch, units), projected.dtype)
    # a sigmoid is a tanh of half the argument, so that one tanh serves all columns
    half, shift = xp.full(width, 0.5, projected.dtype), xp.full(width, 0.5, projected.dtype)
    half[2 * units : 3 * units], shift[2 * units : 3 * units] = 1, 0
    gone = None if mask.ndim < 2 else (mask == 0)[..., None]
    for t in range(steps):
        g, new, y = gates[t], cells[t], outputs[t]
        xp.matmul(h, recurrent, out=g)
        g += projected[t]
        g *= half
        xp.tanh(g, out=g)
        g *= half
        g += shift
        xp.multiply(g[:, units : 2 * units], c, out=new)
        xp.multiply(g[:, :units], g[:, 2 * units : 3 * units], out=scratch)
        new += scratch
        xp.tanh(new, out=scratch)
        xp.multiply(g[:, 3 * units :], scratch, out=y)
        if gone is not None:
            xp.copyto(new, c, where=gone[t])
            xp.copyto(y, h, where=gone[t])
        h, c = y, new
    return outputs, h.copy(), c.copy(), cells, gates


@lstm_sequence.gradient
def _(g, y, projected, recurrent, h, c, mask):
    seeds = [absent(projected.dtype) if s is None else s for s in g]
    made = lstm_sequence_grad(projected, recurrent, h, c, mask, y[0], y[3], y[4], *seeds)
    return (*made, None)


def _gradient_shapes(projected: Arg, recurrent: Arg, h: Arg, c: Arg, *rest: Arg) -> list[Any]:
    return [projected.shape, recurrent.shape, h.shape, c.shape]


def _gradient_samples(rng: np.random.Generator) -> list[Any]:
    made: list[Any] = []
    for k, (inputs, _) in enumerate(_samples(rng)):
        y = _reference(*inputs)
        seeds = [np.zeros(0) if k == 1 and i > 1 else rng.normal(size=a.shape)
                 for i, a in enumerate(y)]  # fmt: skip
        made.append(((*inputs, y[0], y[3], y[4], *seeds), {}))
    return made


@op("LSTMSequenceGrad", dtypes=dt.FLOATING, outputs=4, shape=_gradient_shapes,
    shape_only=("projected",), samples=_gradient_samples)  # fmt: skip
def lstm_sequence_grad(xp, projected, recurrent, h, c, mask, outputs, cells, gates, g_outputs,
                       g_h, g_c, g_cells, g_gates):  # fmt: skip
    """Gradients of `lstm_sequence`'s first four inputs, from its results and their gradients."""
    steps, batch, units = outputs.shape
    one = projected.dtype.type(1)
    more = None if g_gates.ndim < 2 else g_gates * slopes(gates, 4)
    d = xp.empty(gates.shape, gates.dtype)
    d_h = xp.zeros_like(h) if g_h.ndim < 2 else g_h.copy()
    d_c = xp.zeros_like(c) if g_c.ndim < 2 else g_c.copy()
    kept = None if mask.ndim < 2 else (mask != 0)[..., None]
    turned = xp.ascontiguousarray(recurrent.T)
    total, squashed = xp.empty((2, batch, units), gates.dtype)
    passed_h = passed_c = None
    for t in range(steps - 1, -1, -1):
        if g_outputs.ndim > 1:
            d_h += g_outputs[t]
        if g_cells.ndim > 1:
            d_c += g_cells[t]
        if kept is not None:  # what a masked step hands on as it is
            passed_h, passed_c = d_h * ~kept[t], d_c * ~kept[t]
            d_h *= kept[t]
            d_c *= kept[t]
        g, part = gates[t], d[t]
        f, n, o = g[:, units : 2 * units], g[:, 2 * units : 3 * units], g[:, 3 * units :]
        # slopes of sigmoids times what a gate is multiplied with; they all stay in the cache
        xp.subtract(one, g, out=part)
        part *= g
        xp.multiply(n, n, out=total)
        xp.subtract(one, total, out=total)
        xp.multiply(total, g[:, :units], out=part[:, 2 * units : 3 * units])
        part[:, :units] *= n
        part[:, units : 2 * units] *= cells[t - 1] if t else c
        xp.tanh(cells[t], out=squashed)
        part[:, 3 * units :] *= squashed
        part[:, 3 * units :] *= d_h
        squashed *= squashed
        xp.subtract(one, squashed, out=squashed)
        xp.multiply(o, d_h, out=total)
        total *= squashed
        total += d_c
        three = part[:, : 3 * units].reshape(batch, 3, units)
        three *= total[:, None, :]
        if more is not None:
            part += more[t]
        xp.matmul(part, turned, out=d_h)
        xp.multiply(total, f, out=d_c)
        if kept is not None:
            d_h += passed_h
            d_c += passed_c
    return d, recurrent_gradient(xp, h, outputs, d), d_h, d_c


@lstm_sequence_grad.gradient
def _(g, _y, projected, recurrent, h, c, mask, _outputs, _cells, _gates, g_outputs, g_h, g_c,
      g_cells, g_gates):  # fmt: skip
    seeds = [g_outputs, g_h, g_c, g_cells, g_gates]
    made, by_seed = by_tape(_in_ops, [projected, recurrent, h, c], mask, seeds, g)
    return (*made, None, None, None, None, *by_seed)


def _in_ops(inputs: list[Any], mask: Any) -> tuple[Any, ...]:
    """`lstm_sequence` in ordinary ops, which have derivatives of any order."""
    from shardtape.ops import math
    from shardtape.ops.array import concat, split
    from shardtape.ops.linalg import matmul

    projected, recurrent, h, c = inputs

    def step(x: Any, states: list[Any]) -> tuple[list[Any], list[Any]]:
        h, c = states
        i, f, n, o = split(x + matmul(h, recurrent), 4, axis=1)
        i, f, n, o = math.sigmoid(i), math.sigmoid(f), math.tanh(n), math.sigmoid(o)
        c = f * c + i * n
        return [concat([i, f, n, o], 1)], [o * math.tanh(c), c]

    [outputs, cells], [gates], [h, c] = step_loop(step, projected, [h, c], mask)
    return outputs, h, c, cells, gates

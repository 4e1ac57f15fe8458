"""Connectionist temporal classification: labels without times (Graves et al., ICML 2006)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import multiply
from shardtape.ops.reduce import reduce_min, reduce_sum
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.scanning import cumsum
from shardtape.ops.shaping import transpose
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.sparse_tensor import SparseTensor

_FLOATS = frozenset((dt.float32, dt.float64))
_HOST = ("labels", "label_length", "logit_length")


def _samples(rng: np.random.Generator) -> Any:
    labels = np.array([[1, 1, 2], [2, 0, 0]], np.int32)
    lengths = np.array([3, 1], np.int32), np.array([5, 4], np.int32)
    return [
        ((rng.normal(size=(5, 2, 3)), labels, *lengths), {}),
        ((rng.normal(size=(5, 2, 3)), labels % 2, np.array([2, 1], np.int32), lengths[1]),
         {"blank": 2}),
    ]  # fmt: skip


def _batch(logits: Arg, *rest: Arg, **attrs: Any) -> TensorShape:
    return UNKNOWN if logits.shape.rank is None else TensorShape([logits.shape[1]])


def _log_sum(xp: Any, *parts: Any) -> Any:
    """log(sum(exp(parts))), -inf where all are."""
    most = parts[0]
    for p in parts[1:]:
        most = xp.maximum(most, p)
    safe = xp.where(xp.isfinite(most), most, 0.0)
    return xp.log(sum(xp.exp(p - safe) for p in parts)) + safe


class _Lattice:
    """Scores of all ways to spell the labels, with blanks between, each held for some time."""

    def __init__(self, xp, logits, labels, label_length, logit_length, blank):
        self.xp = xp
        x = logits.astype(np.float64)
        top = x.max(-1, keepdims=True)
        self.log_y = x - top - xp.log(xp.exp(x - top).sum(-1, keepdims=True))
        self.steps, count, classes = x.shape
        width = 2 * labels.shape[1] + 1
        spelled = np.full((count, width), blank, np.int64)
        spelled[:, 1::2] = labels
        places = np.arange(width)
        within = places < 2 * label_length[:, None] + 1
        skips = np.zeros((count, width), bool)
        skips[:, 2:] = (spelled[:, 2:] != spelled[:, :-2]) & (spelled[:, 2:] != blank)
        ends = (places == 2 * label_length[:, None]) | (places == 2 * label_length[:, None] - 1)
        spelled = np.where(within, spelled, blank)
        self.spelled, self.within = xp.asarray(spelled), xp.asarray(within)
        self.skips, self.ends = xp.asarray(skips), xp.asarray(ends)
        self.one_hot = xp.asarray(np.eye(classes)[spelled])  # (batch, places, classes)
        self.lengths = xp.asarray(np.asarray(logit_length))
        self.forward = self._forward()
        self.total = _log_sum_over(xp, xp.where(self.ends, self._last(), -np.inf))

    def _emitted(self, t):
        return self.xp.take_along_axis(self.log_y[t], self.spelled, axis=1)

    def _shifted(self, x, by):
        """Moved along the places, to the right for by > 0; what comes in is -inf."""
        xp = self.xp
        hole = xp.full((x.shape[0], min(abs(by), x.shape[1])), -np.inf)
        if by > 0:
            return xp.concatenate([hole, x[:, :-by]], axis=1)
        return xp.concatenate([x[:, -by:], hole], axis=1)

    def _forward(self):
        xp = self.xp
        first = xp.where(xp.arange(self.spelled.shape[1]) < 2, self._emitted(0), -np.inf)
        out = [xp.where(self.within, first, -np.inf)]
        for t in range(1, self.steps):
            before = out[-1]
            jump = xp.where(self.skips, self._shifted(before, 2), -np.inf)
            made = _log_sum(xp, before, self._shifted(before, 1), jump) + self._emitted(t)
            made = xp.where(self.within, made, -np.inf)
            out.append(xp.where((t < self.lengths)[:, None], made, before))
        return out

    def _last(self):
        return self.forward[-1]

    def posteriors(self):
        """The chance of each class at each time, given the labels: (time, batch, classes)."""
        xp = self.xp
        later = xp.where(self.ends, 0.0, -np.inf)
        known = xp.isfinite(self.total)
        total = xp.where(known, self.total, 0.0)[:, None]
        out = []
        for t in reversed(range(self.steps)):
            chance = xp.exp(self.forward[t] + later - total)
            chance = xp.where((t < self.lengths)[:, None] & known[:, None], chance, 0.0)
            out.append(xp.einsum("bs,bsc->bc", chance, self.one_hot))
            ahead = later + self._emitted(t)
            # a place is skipped by the way that ends two places later
            jumped = self._shifted(xp.where(self.skips, ahead, -np.inf), -2)
            made = _log_sum(xp, ahead, self._shifted(ahead, -1), jumped)
            later = xp.where((t < self.lengths)[:, None], made, later)
        return xp.stack(out[::-1])


def _log_sum_over(xp: Any, x: Any) -> Any:
    most = x.max(-1)
    safe = xp.where(xp.isfinite(most), most, 0.0)
    return xp.log(xp.exp(x - safe[:, None]).sum(-1)) + safe


def _spellings(logits, labels, label_length, logit_length, *, blank=0):
    """By the definition: the sum over all paths that collapse to the labels."""
    losses = []
    for b in range(logits.shape[1]):
        x = np.asarray(logits[: logit_length[b], b], np.float64)
        y = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        wanted, total = list(labels[b, : label_length[b]]), 0.0
        for path in itertools.product(range(x.shape[1]), repeat=len(x)):
            if [k for k, _ in itertools.groupby(path) if k != blank] == wanted:
                total += np.prod([y[t, k] for t, k in enumerate(path)])
        losses.append(-np.log(total))
    return np.array(losses)


@op("CTCLossDense", dtypes=_FLOATS, host=_HOST, shape=_batch, samples=_samples,
    reference=_spellings)  # fmt: skip
def ctc_loss_op(xp, logits, labels, label_length, logit_length, *, blank=0):
    """-log of the chance of the labels (batch, most) under logits (time, batch, classes)."""
    made = _Lattice(xp, logits, labels, label_length, logit_length, blank)
    return (-made.total).astype(logits.dtype)


@ctc_loss_op.gradient
def _(g, _y, logits, labels, label_length, logit_length, *, blank):
    slope = ctc_slope_op(logits, labels, label_length, logit_length, blank=blank)
    return multiply(array.reshape(g, [1, -1, 1]), slope)


def _slope_reference(logits, labels, label_length, logit_length, *, blank=0):
    """The chances of classes, less those among the paths that collapse to the labels."""
    out = np.zeros(logits.shape)
    for b in range(logits.shape[1]):
        x = np.asarray(logits[: logit_length[b], b], np.float64)
        y = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        wanted, total, seen = list(labels[b, : label_length[b]]), 0.0, np.zeros(x.shape)
        for path in itertools.product(range(x.shape[1]), repeat=len(x)):
            if [k for k, _ in itertools.groupby(path) if k != blank] == wanted:
                chance = np.prod([y[t, k] for t, k in enumerate(path)])
                total += chance
                seen[np.arange(len(x)), list(path)] += chance
        out[: len(x), b] = y - seen / total
    return out


@op("CTCLossDenseGrad", dtypes=_FLOATS, host=_HOST, shape=same_as(0), samples=_samples,
    reference=_slope_reference)  # fmt: skip
def ctc_slope_op(xp, logits, labels, label_length, logit_length, *, blank=0):
    """The derivative of the sum of the losses by the logits; 0 where no path spells the labels."""
    made = _Lattice(xp, logits, labels, label_length, logit_length, blank)
    used = xp.arange(made.steps)[:, None] < made.lengths
    used = (used & xp.isfinite(made.total))[..., None]
    slope = xp.where(used, xp.exp(made.log_y), 0.0) - made.posteriors()
    return slope.astype(logits.dtype)


# ---- decoding ---------------------------------------------------------------------------------
@op("CTCGreedyDecoder", dtypes=_FLOATS, outputs=4, host=("inputs", "sequence_length"),
    dtype=lambda dtypes, attrs: (dt.int64, dt.int64, dt.int64, dtypes[0]),
    dynamic=True, widen=False, differentiable=False,
    shape=lambda inputs, *rest, **attrs: [TensorShape([None, 2]), TensorShape([None]),
                                          TensorShape([2]), TensorShape([None, 1])],
    samples=lambda rng: [((rng.normal(size=(6, 2, 3)).astype(np.float32),
                           np.array([6, 4], np.int32)), {"merge_repeated": m})
                         for m in (True, False)])  # fmt: skip
def ctc_greedy_decoder_op(xp, inputs, sequence_length, *, merge_repeated=False, blank_index=-1):
    """Indices, values and shape of the likeliest labels, and -sum of their logits (batch, 1)."""
    blank = blank_index % inputs.shape[2]
    indices, values, most = [], [], 0
    scores = np.zeros((inputs.shape[1], 1), inputs.dtype)
    for b in range(inputs.shape[1]):
        x = inputs[: int(sequence_length[b]), b]
        best = x.argmax(-1)
        scores[b, 0] = -x.max(-1).sum() if len(x) else 0.0
        path = best.tolist()
        if merge_repeated:
            path = [k for k, _ in itertools.groupby(path)]
        found = [k for k in path if k != blank]
        most = max(most, len(found))
        indices += [(b, i) for i in range(len(found))]
        values += found
    return (
        np.array(indices, np.int64).reshape(-1, 2), np.array(values, np.int64),
        np.array([inputs.shape[1], most], np.int64), scores,
    )  # fmt: skip


# ---- public functions -------------------------------------------------------------------------
def ctc_loss(
    labels: Any, logits: Any, label_length: Any, logit_length: Any, logits_time_major: bool = True,
    unique: Any = None, blank_index: int | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """-log of the chance of the labels of each sequence (batch,).

    Args:
      labels: (batch, most) integers, or a SparseTensor of them.
      logits: (time, batch, classes), or (batch, time, classes) without `logits_time_major`.
      label_length: how many labels each has; not needed for a SparseTensor.
      logit_length: how many times each has.
      blank_index: the class that is no label: default the first, for a SparseTensor the last;
        negative from the end.

    Raises ValueError where a length is missing.
    """
    logits = convert_to_tensor(logits)
    if not logits_time_major:
        logits = transpose(logits, [1, 0, 2])
    if logit_length is None:
        raise ValueError("Argument `logit_length` must not be None.")
    if isinstance(labels, SparseTensor):
        from shardtape.sparse import to_dense

        rows = array.shape(logits)[1]
        label_length = array.bincount(
            labels.indices[:, 0], minlength=rows, maxlength=rows, dtype=dt.int32
        )
        labels = to_dense(labels)
        blank_index = -1 if blank_index is None else blank_index
    elif label_length is None:
        raise ValueError("Argument `label_length` must not be None for dense labels.")
    blank = 0 if blank_index is None else int(blank_index)
    if blank < 0:
        blank += logits.shape[-1]
    return ctc_loss_op(
        logits, convert_to_tensor(labels), convert_to_tensor(label_length),
        convert_to_tensor(logit_length), blank=blank, name=name,
    )  # fmt: skip


def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: int | None = None
) -> Any:
    """The likeliest class at each time, without blanks.

    Args:
      inputs: logits (time, batch, classes).
      merge_repeated: a class that is repeated without a blank between counts once.
      blank_index: default the last class.

    Returns:
      ([SparseTensor of the labels (batch, most)], -sum of the logits (batch, 1)).
    """
    indices, values, shape, scores = ctc_greedy_decoder_op(
        convert_to_tensor(inputs), convert_to_tensor(sequence_length, dt.int32),
        merge_repeated=merge_repeated, blank_index=-1 if blank_index is None else int(blank_index),
    )  # fmt: skip
    return [SparseTensor(indices, values, shape)], scores


def ctc_unique_labels(labels: Any, name: str | None = None) -> tuple[Any, Any]:
    """The different labels of each row in their order, and the place of each label among them.

    Args:
      labels: integers (batch, most).

    Returns:
      (int64 (batch, most), filled up with 0; int32 (batch, most)).
    """
    labels = cast(convert_to_tensor(labels), dt.int64)
    same = array.expand_dims(labels, 1) == array.expand_dims(labels, 2)
    most = array.shape(labels)[1]
    order = array.range(most)
    first = reduce_min(array.where(same, order, most), -1)  # the first place of each label
    is_first = first == order
    rank = cumsum(cast(is_first, dt.int32), 1) - 1
    places = array.gather(rank, first, batch_dims=1)
    spread = array.one_hot(array.where(is_first, rank, -1), most, dtype=dt.int64)
    return reduce_sum(spread * array.expand_dims(labels, -1), 1), places

"""CTC decoding by a search over prefixes: `tf.nn.ctc_beam_search_decoder`.

A prefix has two chances: of the paths that spell it and end in a blank, and of those that end in
its last label (Graves, Supervised Sequence Labelling, chapter 7.5). A beam keeps the likeliest.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import op
from shardtape.shapes import TensorShape
from shardtape.sparse_tensor import SparseTensor

_NEVER = -math.inf


def _either(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == _NEVER else a + math.log1p(math.exp(b - a))


class _Prefix:
    """Labels that were read so far, with the logarithms of their chances now and a step ago."""

    __slots__ = ("parent", "label", "children", "whole", "blank", "spoken",
                 "old_whole", "old_blank")  # fmt: skip

    def __init__(self, parent: _Prefix | None, label: int) -> None:
        self.parent, self.label = parent, label
        self.children: dict[int, _Prefix] = {}
        self.whole = self.blank = self.spoken = _NEVER
        self.old_whole = self.old_blank = _NEVER

    def stay(self, scores: Any, blank: int) -> None:
        """Reads one more step without a new label; `old_*` of all prefixes are set before."""
        parent = self.parent
        if parent is not None:
            if parent.whole > _NEVER:  # it is in the beam: this prefix may also begin now
                same = parent.label == self.label
                self.spoken = _either(self.spoken, parent.old_blank if same else parent.old_whole)
            self.spoken += scores[self.label]
        self.blank = self.old_whole + scores[blank]
        self.whole = _either(self.blank, self.spoken)

    def leave(self) -> None:
        self.whole = self.blank = self.spoken = _NEVER

    def labels(self) -> list[int]:
        found, at = [], self
        while at.parent is not None:
            found.append(at.label)
            at = at.parent
        return found[::-1]


class _Beam:
    """The `width` likeliest prefixes."""

    def __init__(self, width: int) -> None:
        self._width, self._order = width, itertools.count()
        self._heap: list[tuple[float, int, _Prefix]] = []

    @property
    def least(self) -> float:
        """What a prefix has to be likelier than to come in."""
        return self._heap[0][0] if len(self._heap) == self._width else _NEVER

    def push(self, prefix: _Prefix) -> None:
        entry = (prefix.whole, -next(self._order), prefix)
        if len(self._heap) < self._width:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)[2].leave()

    def ranked(self) -> list[_Prefix]:
        return [prefix for _, _, prefix in sorted(self._heap, reverse=True)]


def _search(scores: np.ndarray, width: int) -> list[_Prefix]:
    """The likeliest prefixes after all steps of log chances (steps, classes)."""
    blank = scores.shape[1] - 1
    root = _Prefix(None, -1)
    root.whole = root.blank = 0.0
    kept = [root]
    for step in scores:
        beam, listed = _Beam(width), step.tolist()
        for prefix in kept:
            prefix.old_whole, prefix.old_blank = prefix.whole, prefix.blank
        for prefix in kept:
            prefix.stay(listed, blank)
        for prefix in kept:
            beam.push(prefix)
        for prefix in kept:
            if prefix.old_whole > beam.least:
                _grow(prefix, step, beam, blank)
        kept = beam.ranked()
    return kept


def _grow(prefix: _Prefix, step: np.ndarray, beam: _Beam, blank: int) -> None:
    """Offers the prefix with one more label each to the beam."""
    chances = step[:blank] + prefix.old_whole
    if prefix.label >= 0:
        chances[prefix.label] = step[prefix.label] + prefix.old_blank
    for label in np.flatnonzero(chances > beam.least).tolist():
        child, chance = prefix.children.get(label), float(chances[label])
        if (child is not None and child.whole > _NEVER) or chance <= beam.least:
            continue
        if child is None:
            child = prefix.children[label] = _Prefix(prefix, label)
        child.blank, child.spoken, child.whole = _NEVER, chance, chance
        beam.push(child)


def _samples(rng: np.random.Generator) -> Any:
    x, lengths = 2 * rng.normal(size=(6, 2, 4)).astype(np.float32), np.array([6, 4], np.int32)
    return [
        ((x, lengths), {"beam_width": 10, "top_paths": 3, "merge_repeated": False}),
        ((x, lengths), {"beam_width": 2, "top_paths": 2}),
        ((x[:, ::-1], lengths), {"beam_width": 40, "top_paths": 1, "merge_repeated": False}),
    ]


@op("CTCBeamSearchDecoder", dtypes=frozenset((dt.float32, dt.float64)), dynamic=True, widen=False,
    differentiable=False, host=("inputs", "sequence_length"), samples=_samples,
    outputs=lambda attrs, count: 3 * attrs["top_paths"] + 1,
    dtype=lambda dtypes, attrs: (dt.int64,) * 3 * attrs["top_paths"] + (dtypes[0],),
    shape=lambda inputs, lengths, *, top_paths, **attrs: [
        *[TensorShape([None, 2])] * top_paths, *[TensorShape([None])] * top_paths,
        *[TensorShape([2])] * top_paths, TensorShape([None, top_paths])])  # fmt: skip
def ctc_beam_search_decoder_op(
    xp, inputs, sequence_length, *, beam_width, top_paths, merge_repeated=True
):
    """Indices, values and shapes of the `top_paths` likeliest spellings, and their log chances.

    `inputs` are logits (time, batch, classes), the last class is the blank.
    """
    if inputs.ndim != 3:
        raise ValueError(f"inputs is not a 3-Tensor: it has shape {list(inputs.shape)}")
    steps, count, classes = inputs.shape
    if top_paths > beam_width:
        raise ValueError(
            f"requested more paths than the beam width: top_paths={top_paths}, "
            f"beam_width={beam_width}"
        )
    if sequence_length.shape != (count,):
        raise errors.FailedPreconditionError(
            f"len(sequence_length) != batch_size. len(sequence_length): "
            f"{list(sequence_length.shape)} batch_size: {count}"
        )
    if count and sequence_length.max() > steps:
        raise errors.FailedPreconditionError(
            f"sequence_length {sequence_length.tolist()} must not be above {steps}, the time steps "
            "of inputs"
        )
    wide = inputs.astype(np.float64)
    top = wide.max(-1, keepdims=True) if classes else wide
    scores = wide - top - np.log(np.exp(wide - top).sum(-1, keepdims=True))
    spelled: list[list[list[int]]] = [[] for _ in range(top_paths)]
    chances = np.full((count, top_paths), _NEVER, inputs.dtype)
    for b in range(count):
        found = _search(scores[: int(sequence_length[b]), b], beam_width)
        if len(found) < top_paths:
            raise ValueError(
                f"Less leaves in the beam search than requested: {len(found)} of {top_paths} for "
                f"sequence {b}"
            )
        for path, prefix in enumerate(found[:top_paths]):
            labels = prefix.labels()
            if merge_repeated:
                labels = [label for label, _ in itertools.groupby(labels)]
            spelled[path].append(labels)
            chances[b, path] = prefix.whole
    parts = [list(_sparse(rows)) for rows in spelled]
    return (*[p[0] for p in parts], *[p[1] for p in parts], *[p[2] for p in parts], chances)


def _sparse(rows: list[list[int]]) -> Iterator[np.ndarray]:
    places = [(b, i) for b, row in enumerate(rows) for i in range(len(row))]
    yield np.array(places, np.int64).reshape(-1, 2)
    yield np.array([label for row in rows for label in row], np.int64)
    yield np.array([len(rows), max(map(len, rows), default=0)], np.int64)


def ctc_beam_search_decoder(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[SparseTensor], Any]:
    """The likeliest spellings of each sequence, found by a beam search.

    Args:
      inputs: logits (time, batch, classes); the last class is the blank.
      sequence_length: int32 (batch,), the time steps of each.
      beam_width: how many prefixes are kept at each step.
      top_paths: how many spellings are wanted, at most `beam_width`.

    Returns:
      (a list of `top_paths` int64 SparseTensors (batch, longest), log chances (batch, top_paths)).

    Raises:
      InvalidArgumentError: more paths than the beam holds.
      FailedPreconditionError: lengths that do not fit `inputs`.
    """
    got = ctc_beam_search_decoder_op(
        convert_to_tensor(inputs), convert_to_tensor(sequence_length, dt.int32),
        beam_width=int(beam_width), top_paths=int(top_paths), merge_repeated=False,
    )  # fmt: skip
    n = int(top_paths)
    paths = [SparseTensor(got[i], got[n + i], got[2 * n + i]) for i in range(n)]
    return paths, got[-1]

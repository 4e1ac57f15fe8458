"""Distances of sequences, fingerprints of data, repeats that are left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.farmhash import fingerprint64
from shardtape.ops.reduce import reduce_max, reduce_sum
from shardtape.ops.registry import Arg, op
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.sparse_tensor import SparseTensor


def _levenshtein(a: list[Any], b: list[Any]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def _sequences(indices: Any, values: Any) -> dict[tuple[int, ...], list[Any]]:
    rows: dict[tuple[int, ...], list[Any]] = {}
    for place, value in zip(indices.tolist(), values.tolist()):
        rows.setdefault(tuple(place[:-1]), []).append(value)
    return rows


def _distance_samples(rng: np.random.Generator) -> Any:
    i64 = lambda x: np.array(x, np.int64)
    hypothesis = i64([[0, 0], [0, 1], [1, 0], [2, 0]]), i64([1, 2, 7, 5]), i64([3, 2])
    truth = i64([[0, 0], [1, 0], [1, 1]]), i64([1, 8, 7]), i64([3, 2])
    return [((*hypothesis, *truth), {"normalize": n}) for n in (True, False)]


@op("EditDistance", dtypes=dt.NUMERIC | {dt.string}, dtype=dt.float32, mixed=True, widen=False,
    host=(0, 1, 2, 3, 4, 5), dynamic=True, differentiable=False, samples=_distance_samples,
    shape=lambda *args, **attrs: UNKNOWN)  # fmt: skip
def edit_distance_op(
    xp, hypothesis_indices, hypothesis_values, hypothesis_shape, truth_indices, truth_values,
    truth_shape, *, normalize=True,
):  # fmt: skip
    """Levenshtein distances of the sequences in two sparse tensors, by the leading indices."""
    if len(hypothesis_shape) != len(truth_shape):
        raise ValueError(f"Expected hypothesis.ndims == truth.ndims, got {len(hypothesis_shape)} "
                         f"and {len(truth_shape)}")  # fmt: skip
    left = _sequences(hypothesis_indices, hypothesis_values)
    right = _sequences(truth_indices, truth_values)
    sizes = np.maximum(hypothesis_shape[:-1], truth_shape[:-1])
    out = np.zeros(tuple(int(n) for n in sizes), np.float32)
    for place in np.ndindex(*out.shape):
        a, b = left.get(place, []), right.get(place, [])
        distance = float(_levenshtein(a, b))
        if normalize:
            distance = distance / len(b) if b else (np.inf if distance else 0.0)
        out[place] = distance
    return out


def edit_distance(
    hypothesis: SparseTensor, truth: SparseTensor, normalize: bool = True,
    name: str | None = "edit_distance",
) -> Any:  # fmt: skip
    """Levenshtein distances of sequences: SparseTensors (..., length) to float32 (...).

    Args:
      normalize: divide by the length of the truth.

    Raises TypeError for what is no SparseTensor.
    """
    parts: list[Any] = []
    for which, sparse in (("hypothesis", hypothesis), ("truth", truth)):
        if not isinstance(sparse, SparseTensor):
            raise TypeError(f"{which.capitalize()} must be a SparseTensor, got {sparse!r}")
        parts += [sparse.indices, sparse.values, sparse.dense_shape]
    return edit_distance_op(*parts, normalize=normalize, name=name)


def _fingerprint_shape(data: Arg, method: Arg) -> TensorShape:
    return TensorShape([None, 8]) if data.shape.rank is None else TensorShape([data.shape[0], 8])


@op("Fingerprint", dtypes=dt.NUMERIC | {dt.string}, dtype=dt.uint8, mixed=True, widen=False,
    host=(0, 1), differentiable=False, shape=_fingerprint_shape,
    samples=lambda rng: [((np.array([[1, 2], [3, 4]], np.int32), np.array(b"farmhash64", object)),
                          {})])  # fmt: skip
def fingerprint_op(xp, data, method):
    """64-bit fingerprints (n, 8) uint8 of the rows of `data`."""
    if np.asarray(method).item() != b"farmhash64":
        raise ValueError(f"Unsupported fingerprint method: {np.asarray(method).item()!r}")
    if data.ndim == 0:
        raise ValueError("data must be at least a vector")
    if data.dtype == object:
        rows = data.reshape(len(data), -1)
        if rows.shape[1] == 1:
            texts = [row[0] for row in rows]
        else:
            texts = [b"".join(fingerprint64(s).to_bytes(8, "little") for s in r) for r in rows]
    else:
        texts = [np.ascontiguousarray(row).tobytes() for row in data]
    made = [fingerprint64(t).to_bytes(8, "little") for t in texts]
    return np.frombuffer(b"".join(made), np.uint8).reshape(len(data), 8).copy()


def fingerprint(data: Any, method: Any = "farmhash64", name: str | None = None) -> Any:
    """64-bit fingerprints (n, 8) uint8 of the rows of a tensor."""
    return fingerprint_op(convert_to_tensor(data), convert_to_tensor(method, dt.string), name=name)


def collapse_repeated(labels: Any, seq_length: Any, name: str | None = None) -> tuple[Any, Any]:
    """Labels (batch, length) without what repeats the one before it, and the new lengths.

    What is left is moved to the front; zeros fill the rest.
    """
    labels = convert_to_tensor(labels)
    lengths = convert_to_tensor(seq_length)
    if labels.shape.rank not in (2, None):
        raise errors.InvalidArgumentError(f"labels must be a matrix, got {labels.shape}")
    first = array.ones_like(labels[:, :1], dt.bool)
    kept = array.concat([first, labels[:, 1:] != labels[:, :-1]], 1)
    width = array.shape(labels)[1]
    kept = kept & array.sequence_mask(lengths, width)
    counts = reduce_sum(cast(kept, lengths.dtype), 1)
    # the kept ones in front, in their order
    order = array.argsort(cast(~kept, dt.int32), axis=1, stable=True)
    moved = array.gather(labels, order, batch_dims=1)
    most = reduce_max(counts)
    inside = array.sequence_mask(counts, width)
    made = array.where(inside, moved, array.zeros_like(moved))
    return made[:, : cast(most, dt.int32)], counts

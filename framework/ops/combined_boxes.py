"""Choosing boxes of several classes at once: `tf.image.combined_non_max_suppression`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.boxes import Edges, apart_boxes
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import known_int
from shardtape.shapes import TensorShape


class CombinedNonMaxSuppression(NamedTuple):
    """Boxes (batch, n, 4), scores and classes (batch, n), how many of them count (batch,)."""

    nmsed_boxes: Any
    nmsed_scores: Any
    nmsed_classes: Any
    valid_detections: Any


def _kept_size(per_class: int, total: int, classes: int, padded: bool) -> int:
    return min(total, per_class * classes) if padded else total


def _shapes(
    boxes: Arg, scores: Arg, max_output_size_per_class: Arg, max_total_size: Arg, *rest: Arg,
    pad_per_class: bool = False, clip_boxes: bool = True,
) -> list[TensorShape]:  # fmt: skip
    batch = boxes.shape.with_rank(4)[0]
    classes = scores.shape.with_rank(3)[2]
    per_class, total = known_int(max_output_size_per_class), known_int(max_total_size)
    size = total
    if pad_per_class:
        known = per_class is not None and total is not None and classes is not None
        size = _kept_size(per_class, total, classes, True) if known else None  # type: ignore[arg-type]
    return [
        TensorShape([batch, size, 4]), TensorShape([batch, size]), TensorShape([batch, size]),
        TensorShape([batch]),
    ]  # fmt: skip


def _samples(rng: np.random.Generator) -> Any:
    corners = rng.uniform(0, 1, (2, 6, 1, 2)).astype(np.float32)
    sizes = rng.uniform(0.2, 0.7, corners.shape).astype(np.float32)
    shared = np.concatenate([corners, corners + sizes], -1)
    own = np.concatenate([shared, shared * np.float32(0.7), shared + np.float32(0.1)], 2)
    scores = rng.uniform(0, 1, (2, 6, 3)).astype(np.float32)

    def numbers(per_class: int, total: int, iou: float, least: float) -> Any:
        return np.int32(per_class), np.int32(total), np.float32(iou), np.float32(least)

    return [
        ((shared, scores, *numbers(2, 4, 0.5, 0.0)), {}),
        ((own, scores, *numbers(3, 12, 0.2, 0.3)), {"clip_boxes": False}),
        ((own[..., ::-1], scores, *numbers(2, 12, 0.3, 0.5)), {"pad_per_class": True}),
    ]


def _check(boxes: Any, scores: Any, per_class: int, total: int, iou: float, least: float) -> None:
    if boxes.ndim != 4 or boxes.shape[3] != 4:
        raise ValueError(
            f"boxes must be 4-D with 4 columns (batch, n, classes or 1, 4), got {boxes.shape}"
        )
    if scores.ndim != 3:
        raise ValueError(f"scores must be 3-D (batch, n, classes), got {scores.shape}")
    if boxes.shape[:2] != scores.shape[:2]:
        raise ValueError(
            "boxes and scores must have the same batch size and number of boxes, got "
            f"{boxes.shape} and {scores.shape}"
        )
    if boxes.shape[2] not in (1, scores.shape[2]):
        raise ValueError(
            f"third dimension of boxes must be either 1 or num classes, got {boxes.shape} and "
            f"{scores.shape[2]} classes"
        )
    if per_class <= 0:
        raise ValueError(f"max_output_size_per_class must be positive, got {per_class}")
    if total <= 0:
        raise ValueError(f"max_total_size must be > 0, got {total}")
    if not 0 <= iou <= 1:
        raise ValueError(f"iou_threshold must be in [0, 1], got {iou}")


def _heap_order(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places by falling score; equal ones as a binary heap gives them that was filled in order.

    TensorFlow takes its candidates from C++'s priority queue: what is put in rises past smaller
    ones; where the largest was, the larger child moves up (of equal ones the right) down to a
    leaf, and the last of the heap rises from there.
    """
    value = scores.tolist()
    heap: list[int] = []

    def rise(hole: int, item: int) -> None:
        of_item = value[item]
        while hole and value[heap[above := (hole - 1) // 2]] < of_item:
            heap[hole] = heap[above]
            hole = above
        heap[hole] = item

    for place in places.tolist():
        heap.append(place)
        rise(len(heap) - 1, place)
    out = []
    while heap:
        out.append(heap[0])
        last = heap.pop()
        size, hole = len(heap), 0
        if not size:
            break
        while (right := 2 * hole + 2) < size:
            child = right - (value[heap[right]] < value[heap[right - 1]])
            heap[hole] = heap[child]
            hole = child
        if right == size:  # a left child alone
            heap[hole] = heap[right - 1]
            hole = right - 1
        rise(hole, last)
    return np.array(out, np.int64)


_NOTHING: Any = (-1.0, -1, None)  # a place that no box takes
_FEW = 16  # so many are sorted by insertion


def _introsorted(keys: list[float]) -> list[int]:
    """Places by rising key, equal ones as C++'s `std::sort` (of GNU's library) leaves them.

    Parts of more than 16 are split around the median of three, from the middle outwards; insertion
    then sorts the whole.
    """
    order = list(range(len(keys)))

    def swap(a: int, b: int) -> None:
        order[a], order[b] = order[b], order[a]

    def less(a: int, b: int) -> bool:
        return keys[order[a]] < keys[order[b]]

    def split(first: int, last: int) -> int:
        a, b, c = first + 1, first + (last - first) // 2, last - 1
        low, high = (a, b) if less(a, b) else (b, a)
        swap(first, high if less(high, c) else c if less(low, c) else low)
        pivot, left, right = keys[order[first]], first + 1, last
        while True:
            while keys[order[left]] < pivot:
                left += 1
            right -= 1
            while pivot < keys[order[right]]:
                right -= 1
            if left >= right:
                return left
            swap(left, right)
            left += 1

    waiting = [(0, len(keys))]
    while waiting:
        first, last = waiting.pop()
        while last - first > _FEW:
            cut = split(first, last)
            waiting.append((cut, last))
            last = cut
    for i in range(1, len(order)):  # of equal ones the first stays first
        item, hole = order[i], i
        while hole and keys[item] < keys[order[hole - 1]]:
            order[hole] = order[hole - 1]
            hole -= 1
        order[hole] = item
    return order


def _ranked(found: list[Any], size: int) -> list[Any]:
    """What was found by falling score, of which the first `size` are wanted."""
    real = sorted([e for e in found if e is not _NOTHING], key=lambda entry: -entry[0])
    least = real[size - 1][0] if len(real) >= size else -1.0
    wanted = [e[0] for e in real if e[0] >= least]
    if len(set(wanted)) < len(wanted) or -1.0 in wanted:  # rarely: it takes longer
        order = _introsorted([-entry[0] for entry in found])
        return [found[i] for i in order if found[i] is not _NOTHING]
    return real


def _chosen(
    edges: Edges, scores: np.ndarray, per_class: int, iou: float, least: float
) -> np.ndarray:
    """The boxes of one class."""
    kept = apart_boxes(edges, scores, per_class, iou, least)
    # what lies below the last one of a full choice was not looked at
    last = scores[kept[-1]] if len(kept) == per_class else least
    seen = scores[(scores >= last) & (scores > least)]
    if len(np.unique(seen)) == len(seen):
        return kept
    order = _heap_order(scores, np.flatnonzero(scores > least))
    return apart_boxes(edges, scores, per_class, iou, least, order)


@op("CombinedNonMaxSuppression", dtypes=frozenset((dt.float32,)), outputs=4,
    dtype=lambda dtypes, attrs: (dt.float32, dt.float32, dt.float32, dt.int32), shape=_shapes,
    host=(0, 1, 2, 3, 4, 5), widen=False, differentiable=False, dynamic=True,
    samples=_samples)  # fmt: skip
def combined_non_max_suppression_op(
    xp, boxes, scores, max_output_size_per_class, max_total_size, iou_threshold, score_threshold,
    *, pad_per_class=False, clip_boxes=True,
):  # fmt: skip
    """For each image the boxes of the highest scores over all classes, filled up with zeros."""
    per_class, total = int(max_output_size_per_class), int(max_total_size)
    limits = float(iou_threshold), float(score_threshold)
    _check(boxes, scores, per_class, total, *limits)
    count, _, classes = scores.shape
    size = _kept_size(per_class, total, classes, pad_per_class)
    out = np.zeros((count, size, 4), np.float32)
    best, kinds = np.zeros((2, count, size), np.float32)
    valid = np.zeros(count, np.int32)
    for b in range(count):
        found: list[Any] = []  # with the places of each class that it does not fill
        for c in range(classes):
            if c < boxes.shape[2]:  # else all classes share the boxes of the first
                own = boxes[b, :, c]
                edges = Edges(own)
            kept = _chosen(edges, scores[b, :, c], per_class, *limits)
            found += [(float(scores[b, i, c]), c, own[i]) for i in kept]
            found += [_NOTHING] * (per_class - len(kept))
        found = _ranked(found, size)
        valid[b] = min(size, len(found))
        for i, (value, c, box) in enumerate(found[:size]):
            out[b, i] = np.clip(box, 0, 1) if clip_boxes else box
            best[b, i], kinds[b, i] = value, c
    return out, best, kinds, valid


def combined_non_max_suppression(
    boxes: Any, scores: Any, max_output_size_per_class: Any, max_total_size: Any,
    iou_threshold: Any = 0.5, score_threshold: Any = float("-inf"), pad_per_class: bool = False,
    clip_boxes: bool = True, name: str | None = None,
) -> CombinedNonMaxSuppression:  # fmt: skip
    """Chooses boxes of each class by falling score, then the best of all classes.

    Args:
      boxes: (batch, n, q, 4) corners (y1, x1, y2, x2); q is 1 (the same for all classes) or the
        number of classes.
      scores: (batch, n, classes).
      max_output_size_per_class, max_total_size: how many are kept of a class and of an image.
      iou_threshold: a box that overlaps a better one of its class by more is dropped.
      score_threshold: boxes with a score that is not above it are dropped.
      pad_per_class: the result has min(max_total_size, max_output_size_per_class * classes) rows,
        else max_total_size.
      clip_boxes: results lie between 0 and 1.

    Returns:
      (nmsed_boxes, nmsed_scores, nmsed_classes, valid_detections); rows from
      `valid_detections` on are zero.

    Raises InvalidArgumentError for shapes, sizes and thresholds that cannot be.
    """
    limits = [convert_to_tensor(n, dt.float32) for n in (iou_threshold, score_threshold)]
    per_class = convert_to_tensor(max_output_size_per_class, dt.int32)
    total = convert_to_tensor(max_total_size, dt.int32)
    got = combined_non_max_suppression_op(
        convert_to_tensor(boxes, dt.float32), convert_to_tensor(scores, dt.float32), per_class,
        total, *limits, pad_per_class=bool(pad_per_class), clip_boxes=bool(clip_boxes), name=name,
    )  # fmt: skip
    return CombinedNonMaxSuppression(*got)

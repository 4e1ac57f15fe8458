"""Boxes on images: drawing them, and choosing among those that overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op, same_as
from shardtape.shapes import TensorShape

_FLOATS = frozenset((dt.float16, dt.float32))
# the colours of boxes one after the other where none are given
_COLORS = np.array(
    [[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1], [0.5, 0.5, 0, 1],
     [0.5, 0, 0, 1], [0, 0, 0.5, 1], [0, 1, 1, 1], [1, 0, 1, 1]], np.float32
)  # fmt: skip


def _drawing_samples(rng: np.random.Generator) -> Any:
    images = rng.uniform(0.0, 1.0, (2, 6, 7, 3))
    boxes = np.array([[[0.1, 0.2, 0.8, 0.9], [-0.5, 0.1, 0.4, 2.0]],
                      [[0.0, 0.0, 1.0, 1.0], [0.6, 0.6, 0.5, 0.9]]])  # fmt: skip
    return [
        ((images, boxes.astype(np.float32), np.zeros((0, 4), np.float32)), {}),
        ((images[..., :1], boxes.astype(np.float32), np.zeros((0, 4), np.float32)), {}),
        ((images, boxes[:, :1].astype(np.float32), np.array([[0.2, 0.4, 0.6]], np.float32)), {}),
    ]


@op("DrawBoundingBoxesV2", dtypes=_FLOATS, shape=same_as(0), host=("boxes", "colors"),
    widen=False, differentiable=False, samples=_drawing_samples)  # fmt: skip
def draw_bounding_boxes_op(xp, images, boxes, colors):
    """Images (b, h, w, c) with the edges of boxes (b, n, 4), (y1, x1, y2, x2) from 0 to 1."""
    count, height, width, depth = images.shape
    if depth not in (1, 3, 4):
        raise ValueError(f"Channel depth should be 1 (GRY), 3 (RGB) or 4 (RGBA), got {depth}")
    if boxes.ndim != 3 or boxes.shape[0] != count or boxes.shape[2] != 4:
        raise ValueError(f"boxes should have shape ({count}, n, 4), got {list(boxes.shape)}")
    palette = colors if colors.size else _COLORS
    if colors.size and colors.shape[-1] < depth:
        raise ValueError(f"colors need {depth} channels, got {list(colors.shape)}")
    out = xp.array(images, copy=True)
    for b in range(count):
        for i, box in enumerate(boxes[b]):
            color = np.ones(1, np.float32) if depth == 1 and not colors.size else (
                palette[i % len(palette)][:depth]
            )  # fmt: skip
            _draw(xp, out[b], box, xp.asarray(color.astype(images.dtype)), height, width)
    return out


def _draw(xp: Any, image: Any, box: Any, color: Any, height: int, width: int) -> None:
    top, left = int(box[0] * np.float32(height - 1)), int(box[1] * np.float32(width - 1))
    bottom, right = int(box[2] * np.float32(height - 1)), int(box[3] * np.float32(width - 1))
    if top > bottom or left > right:
        return
    if top >= height or bottom < 0 or left >= width or right < 0:
        return
    rows = slice(max(top, 0), min(bottom, height - 1) + 1)
    columns = slice(max(left, 0), min(right, width - 1) + 1)
    if top >= 0:
        image[top, columns] = color
    if bottom < height:
        image[bottom, columns] = color
    if left >= 0:
        image[rows, left] = color
    if right < width:
        image[rows, right] = color


def draw_bounding_boxes(images: Any, boxes: Any, colors: Any, name: str | None = None) -> Any:
    """Images with the edges of boxes drawn on them.

    Args:
      images: (batch, height, width, 1, 3 or 4).
      boxes: (batch, boxes, 4): y1, x1, y2, x2, from 0 to 1.
      colors: (colors, channels), taken in turn; None for a palette.

    Raises InvalidArgumentError for other shapes.
    """
    images = convert_to_tensor(images, dtype_hint=dt.float32)
    boxes = convert_to_tensor(boxes, dt.float32)
    colors = convert_to_tensor(np.zeros((0, 4), np.float32) if colors is None else colors,
                               dt.float32)  # fmt: skip
    return draw_bounding_boxes_op(images, boxes, colors, name=name)


# ---- choosing ---------------------------------------------------------------------------------
Shared = Callable[[int, np.ndarray], np.ndarray]
_LEAST_LOOKED_AT = 32  # candidates whose overlaps are computed at once; numpy pays for each call


class Edges:
    """The edges and areas of boxes (n, 4) given by any two corners that face each other."""

    def __init__(self, boxes: np.ndarray) -> None:
        lines = np.ascontiguousarray(boxes.T, np.float32)
        self.low = np.minimum(lines[:2], lines[2:])  # y1, x1
        self.high = np.maximum(lines[:2], lines[2:])
        high, wide = self.high - self.low
        self.area = high * wide

    def overlaps(self, ours: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The intersection of boxes at places (k,) with others (m,) over their union: (k, m)."""
        ours = ours[:, None]
        sides = np.minimum(self.high[:, ours], self.high[:, None, others])
        sides -= np.maximum(self.low[:, ours], self.low[:, None, others])
        np.maximum(sides, 0, out=sides)
        both = sides[0] * sides[1]
        first, second = self.area[ours], self.area[others]
        whole = first + second - both
        some = (first > 0) & (second > 0)
        return np.where(some, both / np.where(whole > 0, whole, 1), 0)


def apart_boxes(
    edges: Edges, scores: np.ndarray, most: int, threshold: float, least: float,
    order: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Places (k,) int32 of boxes by falling score, of which no two overlap by more.

    Args:
      order: the places with scores over `least` by falling score; by default of equal scores the
        first comes first.

    As `chosen_boxes` without `sigma`: candidates are looked at in blocks, against those chosen
    before and against each other. Of 500 boxes 50, one core: 0.2 ms; one after the other 2.8 ms.
    """
    scores = scores.astype(np.float32)
    if order is None:
        waiting = np.flatnonzero(scores > least)
        waiting = waiting[np.argsort(-scores[waiting], kind="stable")]
    else:
        waiting = order
    kept = np.empty(max(0, min(most, waiting.size)), np.int32)
    count = first = 0
    while first < waiting.size and count < len(kept):
        # more than are still wanted are looked at in vain
        block = waiting[first : first + max(_LEAST_LOOKED_AT, len(kept) - count)]
        first += len(block)
        if count:
            before = edges.overlaps(kept[:count], block)
            block = block[(before <= threshold).all(0)]
        over = ~(edges.overlaps(block, block) <= threshold)
        dropped = np.zeros(len(block), np.bool_)
        for place, best in enumerate(block):
            if dropped[place]:
                continue
            kept[count] = best
            count += 1
            if count == len(kept):
                break
            dropped |= over[place]
    return kept[:count]


def chosen_boxes(
    shared: Shared, scores: np.ndarray, most: int, threshold: float, least: float, sigma: float
) -> tuple[list[int], list[float]]:
    """Boxes by falling score; those that overlap a chosen one are dropped, or lowered."""
    current = scores.astype(np.float32).copy()
    waiting = np.flatnonzero(current > least)  # in order: of equal scores the first is chosen
    kept: list[int] = []
    values: list[float] = []
    decay = np.float32(-0.5 / sigma) if sigma > 0 else np.float32(0)
    while waiting.size and len(kept) < most:
        place = int(np.argmax(current[waiting]))
        best = int(waiting[place])
        kept.append(best)
        values.append(float(current[best]))
        waiting = np.delete(waiting, place)
        common = shared(best, waiting)
        if sigma > 0:
            # soft suppression knows no threshold, as in TensorFlow
            current[waiting] *= np.exp(decay * common * common)
            waiting = waiting[current[waiting] > least]
        else:
            waiting = waiting[common <= threshold]
    return kept, values


def _choice_samples(rng: np.random.Generator) -> Any:
    corners = rng.uniform(0, 1, (6, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.3, 0.6, (6, 2))], 1)
    scores = rng.uniform(0, 1, 6).astype(np.float32)
    boxes = boxes.astype(np.float32)
    limits = np.int32(4), np.float32(0.3), np.float32(0.1)
    return [((boxes, scores, *limits, np.float32(s)), {}) for s in (0.0, 0.5)]


def _choice_shapes(boxes: Arg, *rest: Arg, **attrs: Any) -> list[TensorShape]:
    return [TensorShape([None]), TensorShape([None]), TensorShape([])]


@op("NonMaxSuppressionV5", dtypes=frozenset((dt.float32,)), outputs=3, dynamic=True,
    dtype=lambda dtypes, attrs: (dt.int32, dtypes[0], dt.int32), shape=_choice_shapes,
    host=(0, 1, 2, 3, 4, 5), widen=False, differentiable=False,
    samples=_choice_samples)  # fmt: skip
def non_max_suppression_v5(
    xp, boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma, *,
    pad_to_max_output_size=False,
):  # fmt: skip
    """Indices (k,) int32 and scores of chosen boxes, and how many they are."""
    edges, sigma = Edges(boxes), float(soft_nms_sigma)
    limits = int(max_output_size), float(iou_threshold), float(score_threshold)
    if sigma > 0:
        kept, values = chosen_boxes(
            lambda best, others: edges.overlaps(np.array([best]), others)[0], scores, *limits, sigma
        )
    else:
        kept = apart_boxes(edges, scores, *limits)
        values = scores[kept]
    count = len(kept)
    size = int(max_output_size) if pad_to_max_output_size else count
    places, best = np.zeros(size, np.int32), np.zeros(size, scores.dtype)
    places[:count], best[:count] = kept, values
    return places, best, np.array(count, np.int32)


def non_max_suppression_with_scores(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), soft_nms_sigma: Any = 0.0, name: str | None = None,
) -> Any:  # fmt: skip
    """As `non_max_suppression`, with the scores of the chosen boxes.

    Args:
      soft_nms_sigma: above 0, boxes that overlap a chosen one keep a lower score, whatever
        `iou_threshold` says.

    Returns:
      (indices int32, scores).
    """
    indices, values, _ = _v5(
        boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma, False
    )
    return indices, values


def non_max_suppression_padded(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), pad_to_max_output_size: bool = False,
    name: str | None = None, sorted_input: bool = False, canonicalized_coordinates: bool = False,
    tile_size: int = 512,
) -> Any:  # fmt: skip
    """As `non_max_suppression`: (indices, how many of them count), filled up with zeros with
    `pad_to_max_output_size`."""
    indices, _, count = _v5(
        boxes, scores, max_output_size, iou_threshold, score_threshold, 0.0,
        pad_to_max_output_size,
    )  # fmt: skip
    return indices, count


def _v5(
    boxes: Any, scores: Any, most: Any, threshold: Any, least: Any, sigma: Any, pad: bool
) -> Any:
    numbers = [convert_to_tensor(n, dt.float32) for n in (threshold, least, sigma)]
    return non_max_suppression_v5(
        convert_to_tensor(boxes, dt.float32), convert_to_tensor(scores, dt.float32),
        convert_to_tensor(most, dt.int32), *numbers, pad_to_max_output_size=pad,
    )  # fmt: skip


@op("NonMaxSuppressionWithOverlaps", dtypes=frozenset((dt.float32,)), dtype=dt.int32,
    dynamic=True, shape=lambda *args, **attrs: TensorShape([None]), host=(0, 1, 2, 3, 4),
    widen=False, differentiable=False,
    samples=lambda rng: [((np.array([[1, 0.6, 0], [0.6, 1, 0.2], [0, 0.2, 1]], np.float32),
                           np.array([0.3, 0.9, 0.5], np.float32), np.int32(3), np.float32(0.5),
                           np.float32(0.1)), {})])  # fmt: skip
def non_max_suppression_overlaps_op(
    xp, overlaps, scores, max_output_size, overlap_threshold, score_threshold
):
    """Indices (k,) int32 of chosen boxes of which each two's overlap is given (n, n)."""
    kept, _ = chosen_boxes(
        lambda best, others: overlaps[others, best], scores, int(max_output_size),
        float(overlap_threshold), float(score_threshold), 0.0,
    )  # fmt: skip
    return np.array(kept, np.int32)


def non_max_suppression_overlaps(
    overlaps: Any, scores: Any, max_output_size: Any, overlap_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), name: str | None = None,
) -> Any:  # fmt: skip
    """As `non_max_suppression`, by a matrix of overlaps (n, n)."""
    return non_max_suppression_overlaps_op(
        convert_to_tensor(overlaps, dt.float32), convert_to_tensor(scores, dt.float32),
        convert_to_tensor(max_output_size, dt.int32),
        convert_to_tensor(overlap_threshold, dt.float32),
        convert_to_tensor(score_threshold, dt.float32), name=name,
    )  # fmt: skip

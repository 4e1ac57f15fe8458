"""Random crops that keep enough of an object: `sample_distorted_bounding_box`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.backend import philox
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.random import _stream, seeds
from shardtape.ops.random_stateless import _pair
from shardtape.ops.registry import RANDOM, Arg, op
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_EPSILON = 1e-7
_Crop = tuple[int, int, int, int]  # y, x, height, width


class Words:
    """Words of a Philox stream one after the other, as numbers of several kinds."""

    def __init__(self, state: philox.Philox) -> None:
        self._state, self._block, self._rest = state, 0, []  # type: ignore[var-annotated]

    def _next(self) -> int:
        if not self._rest:
            made = philox.words(np, self._state.skip(self._block), 16)
            self._block += 4
            self._rest = made.tolist()[::-1]
        return self._rest.pop()

    def unit(self) -> np.float32:
        """Uniform in [0, 1)."""
        return np.float32(self._next() & 0x7FFFFF) / np.float32(1 << 23)

    def unit64(self) -> float:
        """Uniform in [0, 1), with 52 bits."""
        high = self._next() & 0xFFFFF
        return (high << 32 | self._next()) / 2**52

    def below(self, n: int) -> int:
        """Uniform in 0..n-1."""
        if n & (n - 1) == 0:
            return self._next() & (n - 1)
        last = 2**32 - 1 - ((2**32 - 1) % n + 1)
        while (word := self._next()) > last:
            pass
        return word % n


def _nearest(value: np.float32) -> int:
    return int(np.rint(value))


def _crop(
    height: int, width: int, areas: tuple[float, float], ratio: np.float32, words: Words
) -> _Crop | None:
    """A random crop with this ratio of width to height; None where no size fits."""
    least, most = (
        np.float32(np.float32(a) * np.float32(width) * np.float32(height)) for a in areas
    )
    if most <= 0 or ratio <= 0 or width <= 0 or height <= 0 or least > most:
        return None
    low = _nearest(np.sqrt(least / ratio))
    high = _nearest(np.sqrt(most / ratio))
    if _nearest(high * ratio) > width:
        high = int((width + 0.5 - _EPSILON) / float(ratio))
        if _nearest(high * ratio) > width:
            high -= 1
    high = min(high, height)
    rows = min(low, high)
    if rows < high:
        rows += words.below(high - rows + 1)
    columns = _nearest(rows * ratio)
    # rounding may have left the range of areas by a little
    if np.float32(rows * columns) < least:
        rows += 1
        columns = _nearest(rows * ratio)
    if np.float32(rows * columns) > most:
        rows -= 1
        columns = _nearest(rows * ratio)
    area = np.float32(rows * columns)
    if not least <= area <= most or not 0 < rows <= height or not 0 < columns <= width:
        return None
    y = words.below(height - rows) if rows < height else 0
    x = words.below(width - columns) if columns < width else 0
    return y, x, rows, columns


def _covers(crop: _Crop, objects: list[_Crop], covered: float) -> bool:
    """Whether it holds at least this part of one of the objects."""
    y, x, height, width = crop
    if height * width < 1:
        return False
    for top, left, rows, columns in objects:
        area = np.float32(max(rows, 0) * max(columns, 0))
        if area < 1:
            continue
        shared_rows = max(min(y + height, top + rows) - max(y, top), 0)
        shared_columns = max(min(x + width, left + columns) - max(x, left), 0)
        if np.float32(shared_rows * shared_columns) / area >= covered:
            return True
    return False


def _checked(
    image_size: Any, boxes: Any, covered: float, ratios: Any, areas: Any, attempts: int,
    whole_image: bool,
) -> None:  # fmt: skip
    """Raises ValueError for arguments that make no sense."""
    if image_size.shape != (3,):
        raise ValueError(f"image_size must contain 3 elements, got shape {image_size.shape}")
    if boxes.ndim != 3 or boxes.shape[-1] != 4:
        raise ValueError(f"bounding_boxes must be [batch, boxes, 4], got shape {boxes.shape}")
    if len(ratios) != 2 or min(ratios) <= 0:
        raise ValueError(f"aspect_ratio_range must be two positive numbers, got {list(ratios)}")
    if len(areas) != 2 or min(areas) <= 0 or max(areas) > 1:
        raise ValueError(f"area_range must be two numbers in (0, 1], got {list(areas)}")
    if attempts <= 0:
        raise ValueError(f"max_attempts must be positive, got {attempts}")
    if covered < 0:
        raise ValueError(f"min_object_covered must be non-negative, got {covered}")
    if not boxes.size and not whole_image:
        raise ValueError(
            "No bounding boxes provided as input: give use_image_if_no_bounding_boxes=True to "
            "crop from the whole image"
        )
    outside = boxes[(boxes < 0) | (boxes > 1)]
    if outside.size:
        raise ValueError(f"All bounding box coordinates must be in [0.0, 1.0]: {outside[0]}")


def _sampled(
    xp: Any, image_size: Any, boxes: Any, covered: Any, ratios: Any, areas: Any, attempts: int,
    whole_image: bool, stream: Callable[[], philox.Philox],
) -> tuple[Any, Any, Any]:  # fmt: skip
    boxes, covered = np.asarray(backend.to_host(boxes)), float(covered)
    _checked(image_size, boxes, covered, ratios, areas, attempts, whole_image)
    height, width = int(image_size[0]), int(image_size[1])
    objects: list[_Crop] = []
    scale = np.array([height, width, height, width], np.float32)
    for top, left, bottom, right in (boxes.reshape(-1, 4) * scale).astype(np.int32).tolist():
        objects.append((top, left, bottom - top, right - left))
    objects = objects or [(0, 0, height, width)]
    words = Words(stream())
    crop: _Crop = (0, 0, height, width)
    low, high = (np.float32(r) for r in ratios)
    for _ in range(attempts):
        ratio = np.float32(words.unit() * np.float32(high - low) + low)
        found = _crop(height, width, (areas[0], areas[1]), ratio, words)
        if found is not None and _covers(found, objects, covered):
            crop = found
            break
    y, x, rows, columns = crop
    box = np.array([y, x, y + rows, x + columns], np.float32) / scale
    begin, size = np.array([[y, x, 0], [rows, columns, -1]], image_size.dtype)
    return xp.asarray(begin), xp.asarray(size), xp.asarray(box.reshape(1, 1, 4))


def _shapes(*inputs: Arg, **attrs: Any) -> list[TensorShape]:
    return [TensorShape([3]), TensorShape([3]), TensorShape([1, 1, 4])]


def _dtypes(dtypes: Any, attrs: Any) -> Any:
    return dtypes[0], dtypes[0], dt.float32


def _samples(rng: np.random.Generator, *seed: Any) -> Any:
    boxes = np.array([[[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.8]]], np.float32)
    size = np.array([33, 57, 3], np.int32)
    return [
        ((size, boxes, np.float32(0.2), *seed), {}),
        ((size, boxes, np.float32(0.9), *seed), {"area_range": (0.4, 1.0)}),
    ]


@op("SampleDistortedBoundingBoxV2", shape=_shapes, outputs=3, dtype=_dtypes, effects=RANDOM,
    host=("image_size", "min_object_covered"), dtypes=frozenset((dt.float32,)), widen=False,
    differentiable=False, samples=_samples)  # fmt: skip
def sample_distorted_bounding_box_op(
    xp, image_size, bounding_boxes, min_object_covered, *, seed=0, seed2=0,
    aspect_ratio_range=(0.75, 1.33), area_range=(0.05, 1.0), max_attempts=100,
    use_image_if_no_bounding_boxes=False, _stream_id=0,
):  # fmt: skip
    """Where a random crop of an image begins, its size, and it as a box of fractions."""
    kind = "SampleDistortedBoundingBoxV2", image_size.dtype
    return _sampled(
        xp, image_size, bounding_boxes, min_object_covered, aspect_ratio_range, area_range,
        int(max_attempts), use_image_if_no_bounding_boxes,
        lambda: _stream(xp, int(max_attempts), _stream_id, seed, seed2, *kind),
    )  # fmt: skip


@op("StatelessSampleDistortedBoundingBox", shape=_shapes, outputs=3, dtype=_dtypes,
    host=("image_size", "min_object_covered", "seed"), dtypes=frozenset((dt.float32,)),
    widen=False, differentiable=False,
    samples=lambda rng: _samples(rng, np.array([5, -9], np.int64)))  # fmt: skip
def stateless_sample_distorted_bounding_box_op(
    xp, image_size, bounding_boxes, min_object_covered, seed, *,
    aspect_ratio_range=(0.75, 1.33), area_range=(0.05, 1.0), max_attempts=100,
    use_image_if_no_bounding_boxes=False,
):  # fmt: skip
    """As `sample_distorted_bounding_box_op`; the seed [2] decides."""
    return _sampled(
        xp, image_size, bounding_boxes, min_object_covered, aspect_ratio_range, area_range,
        int(max_attempts), use_image_if_no_bounding_boxes,
        lambda: philox.from_stateless_seed(*_pair(seed)),
    )  # fmt: skip


def _attributes(ratios: Any, areas: Any, attempts: Any, whole_image: Any) -> dict[str, Any]:
    return {
        "aspect_ratio_range": (0.75, 1.33) if ratios is None else tuple(ratios),
        "area_range": (0.05, 1.0) if areas is None else tuple(areas),
        "max_attempts": 100 if attempts is None else attempts,
        "use_image_if_no_bounding_boxes": bool(whole_image),
    }


class SampleDistortedBoundingBoxV2(NamedTuple):
    """Where a crop begins, its size and its box."""

    begin: Tensor
    size: Tensor
    bboxes: Tensor


class StatelessSampleDistortedBoundingBox(NamedTuple):
    """Where a crop begins, its size and its box."""

    begin: Tensor
    size: Tensor
    bboxes: Tensor


def sample_distorted_bounding_box(
    image_size: Any, bounding_boxes: Any, seed: int = 0, min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None, area_range: Any = None, max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: bool | None = None, name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """A random crop that holds a part of an object; the whole image where no attempt succeeds.

    Args:
      image_size: [height, width, channels], integers.
      bounding_boxes: float32 [batch, boxes, 4], y and x of two corners as fractions of the image.
      seed: 0 draws anew in each process.
      min_object_covered: which part of one of the boxes the crop has to hold.
      aspect_ratio_range: of width to height, default (0.75, 1.33).
      area_range: parts of the image, default (0.05, 1).
      max_attempts: default 100.
      use_image_if_no_bounding_boxes: without boxes, take the whole image as one.

    Returns:
      where it begins [y, x, 0] and its size [height, width, -1] for `tf.slice`; the box [1, 1, 4].
    """
    drawn = seeds(seed) if seed else {}
    attributes = _attributes(
        aspect_ratio_range, area_range, max_attempts, use_image_if_no_bounding_boxes
    )
    drawn_box = sample_distorted_bounding_box_op(
        convert_to_tensor(image_size), convert_to_tensor(bounding_boxes, dt.float32),
        convert_to_tensor(min_object_covered, dt.float32), name=name, **drawn, **attributes,
    )  # fmt: skip
    return SampleDistortedBoundingBoxV2(*drawn_box)


def stateless_sample_distorted_bounding_box(
    image_size: Any, bounding_boxes: Any, seed: Any, min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None, area_range: Any = None, max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: bool | None = None, name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """As `sample_distorted_bounding_box`; the seed, two integers, decides."""
    attributes = _attributes(
        aspect_ratio_range, area_range, max_attempts, use_image_if_no_bounding_boxes
    )
    drawn_box = stateless_sample_distorted_bounding_box_op(
        convert_to_tensor(image_size), convert_to_tensor(bounding_boxes, dt.float32),
        convert_to_tensor(min_object_covered, dt.float32), seed, name=name, **attributes,
    )  # fmt: skip
    return StatelessSampleDistortedBoundingBox(*drawn_box)

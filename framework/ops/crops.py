"""Boxes of images in one size, and what flows back to the images and to the boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend, errors
from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.resizing import _IMAGES, _apply, _check
from shardtape.ops.shape_rules import known_ints
from shardtape.shapes import TensorShape

_FLOAT = frozenset((dt.float32,))


def _crop_shape(image: Arg, boxes: Arg, ind: Arg, size: Arg, **attrs: Any) -> TensorShape:
    dims = known_ints(size) or [None, None]
    count = boxes.shape[0] if boxes.shape.rank else None
    depth = image.shape[3] if image.shape.rank else None
    return TensorShape([count, dims[0], dims[1], depth])


@op("CropAndResize", dtypes=_IMAGES, dtype=dt.float32, mixed=True,
    host=("box_ind", "crop_size"), shape=_crop_shape, widen=False,
    samples=lambda rng: [
        ((rng.normal(size=(2, 5, 6, 2)).astype(np.float32),
          np.array([[0, 0, 1, 1], [0.2, 0.6, 1.3, 0.2]], np.float32), np.array([0, 1], np.int32),
          np.array([3, 4], np.int32)), {"method": m, "extrapolation_value": -1.0})
        for m in ("bilinear", "nearest")
    ])  # fmt: skip
def crop_and_resize_op(xp, image, boxes, box_ind, crop_size, *, method="bilinear",
                       extrapolation_value=0.0):  # fmt: skip
    """Boxes (y1, x1, y2, x2), from 0 to 1, of images in one size; float32."""
    height, width = _check(crop_size)
    x = image.astype(np.float32)
    out = []
    for box, i in zip(_on_host(boxes), box_ind):
        if not 0 <= i < x.shape[0]:
            raise errors.OutOfRangeError("box_index has values outside [0, batch_size)")
        rows = _axis(box[0], box[2], height, x.shape[1])
        columns = _axis(box[1], box[3], width, x.shape[2])
        out.append(_cropped(xp, x[int(i)], rows, columns, method, extrapolation_value))
    return xp.stack(out) if out else xp.zeros((0, height, width, x.shape[3]), np.float32)


def _on_host(boxes: Any) -> np.ndarray:
    return np.asarray(backend.to_host(boxes), np.float32)


def _crop_gradient_reference(
    grads: Any, boxes: Any, ind: Any, sizes: Any, method: str = "bilinear"
) -> np.ndarray:
    total = np.zeros(sizes)
    _, height, width, _ = sizes
    high, wide = grads.shape[1:3]
    for n, i, j in np.ndindex(grads.shape[:3]):
        top, left, bottom, right = boxes[n].astype(np.float64)
        y = (top + (bottom - top) * i / (high - 1)) * (height - 1)
        x = (left + (right - left) * j / (wide - 1)) * (width - 1)
        if not (0 <= y <= height - 1 and 0 <= x <= width - 1):
            continue
        for row, column in np.ndindex(height, width):
            if method == "nearest":
                share = float(row == int(y + 0.5) and column == int(x + 0.5))
            else:
                share = max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
            total[ind[n], row, column] += share * grads[n, i, j]
    return total.astype(np.float32)


def _boxes_gradient_reference(grads: Any, image: Any, boxes: Any, ind: Any) -> np.ndarray:
    """By differences of the crops, written out."""

    def loss(n: int, box: np.ndarray) -> float:
        total, sizes = 0.0, np.array(image.shape[1:3])
        for place in np.ndindex(grads.shape[1:3]):
            share = [i / (c - 1) if c > 1 else 0.5 for i, c in zip(place, grads.shape[1:3])]
            at = (box[:2] + (box[2:] - box[:2]) * share) * (sizes - 1)
            if (at < 0).any() or (at > sizes - 1).any():
                continue
            near = [np.maximum(0, 1 - np.abs(np.arange(s) - a)) for s, a in zip(sizes, at)]
            value = np.einsum("ijc,i,j->c", image[ind[n]].astype(np.float64), *near)
            total += (value * grads[(n, *place)]).sum()
        return total

    made, h = np.zeros(boxes.shape), 1e-4
    for n, k in np.ndindex(boxes.shape):
        step = h * np.eye(4)[k]
        made[n, k] = (loss(n, boxes[n] + step) - loss(n, boxes[n] - step)) / (2 * h)
    return made


@op("CropAndResizeGradImage", dtypes=_FLOAT, dtype=dt.float32, mixed=True,
    host=("box_ind", "image_size"), widen=False,
    shape=lambda grads, boxes, ind, size, **attrs: TensorShape(known_ints(size)),
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 4, 2)).astype(np.float32),
          np.array([[0, 0, 1, 1], [0.2, 0.6, 1.3, 0.2]], np.float32), np.array([0, 1], np.int32),
          np.array([2, 5, 6, 2], np.int32)), {"method": m})
        for m in ("bilinear", "nearest")
    ], reference=_crop_gradient_reference)  # fmt: skip
def crop_and_resize_grad_image_op(xp, grads, boxes, box_ind, image_size, *, method="bilinear"):
    """What flows back from the boxes to images of a size, added up where boxes overlap."""
    _, height, width, _ = sizes = image_size.tolist()
    total = xp.zeros(sizes, np.float32)
    for g, box, i in zip(grads, _on_host(boxes), box_ind):
        rows = _axis(box[0], box[2], g.shape[0], height)
        columns = _axis(box[1], box[3], g.shape[1], width)
        taps = _nearest_tap if method == "nearest" else _two_taps
        # what lies outside was not read
        down = taps(rows, height) * ((rows >= 0) & (rows <= height - 1))[:, None]
        across = taps(columns, width) * ((columns >= 0) & (columns <= width - 1))[:, None]
        total[int(i)] += _apply(xp, g[None], down.T, across.T)[0]
    return total


@crop_and_resize_op.gradient
def _(g, _y, image, boxes, box_ind, _size, *, method):
    def by_image() -> Any:
        sizes = array.shape(image)
        back = crop_and_resize_grad_image_op(g, boxes, box_ind, sizes, method=method)
        return cast(back, image.dtype)

    return (
        by_image if image.dtype.is_floating else None,
        lambda: crop_and_resize_grad_boxes_op(g, image, boxes, box_ind),
    )


@crop_and_resize_grad_image_op.gradient
def _(g, _y, grads, boxes, box_ind, _size, *, method):
    size = array.shape(grads)[1:3]
    return (
        crop_and_resize_op(g, boxes, box_ind, size, method=method),
        lambda: crop_and_resize_grad_boxes_op(grads, g, boxes, box_ind),
    )


@op("CropAndResizeGradBoxes", dtypes=_IMAGES, dtype=dt.float32, mixed=True, host=("box_ind",),
    widen=False, shape=lambda grads, image, boxes, ind: boxes.shape, differentiable=False,
    samples=lambda rng: [
        ((rng.normal(size=(2, *size, 2)).astype(np.float32),
          rng.normal(size=(2, 5, 6, 2)).astype(np.float32),
          np.array([[0.13, 0.22, 0.71, 0.93], [0.23, 0.61, 1.33, 0.27]], np.float32),
          np.array([0, 1], np.int32)), {})
        for size in ((3, 4), (1, 3))
    ], reference=_boxes_gradient_reference)  # fmt: skip
def crop_and_resize_grad_boxes_op(xp, grads, image, boxes, box_ind):
    """What flows back to the corners of the boxes, by bilinear interpolation."""
    x, g = image.astype(np.float32), grads.astype(np.float32)
    made = []
    for g_box, box, i in zip(g, _on_host(boxes), box_ind):
        one = x[int(i)]
        rows, columns = [
            _axis(box[k], box[k + 2], g_box.shape[k], one.shape[k]) for k in (0, 1)
        ]  # fmt: skip
        inside = _inside(rows, one.shape[0])[:, None] & _inside(columns, one.shape[1])[None, :]
        g_box = g_box * xp.asarray(inside)[:, :, None]
        sides = []
        for k, at in enumerate((rows, columns)):
            taps = [_two_taps(rows, one.shape[0]), _two_taps(columns, one.shape[1])]
            taps[k] = _slopes(at, one.shape[k])
            by_place = (_apply(xp, one[None], *taps)[0] * g_box).sum((2, 1 - k))
            ends = xp.asarray(_shares(g_box.shape[k], one.shape[k]))
            sides.append((ends * by_place[:, None]).sum(0))
        made.append(xp.stack([sides[0][0], sides[1][0], sides[0][1], sides[1][1]]))
    return xp.stack(made) if made else xp.zeros((0, 4), np.float32)


def _inside(at: np.ndarray, size: int) -> np.ndarray:
    return (at >= 0) & (at <= size - 1)


def _slopes(at: np.ndarray, size: int) -> np.ndarray:
    """The derivative of a value between two pixels: the upper one less the lower."""
    made = np.zeros((len(at), size), np.float32)
    rows = np.arange(len(at))
    np.add.at(made, (rows, np.clip(np.ceil(at).astype(np.int64), 0, size - 1)), 1)
    np.add.at(made, (rows, np.clip(np.floor(at).astype(np.int64), 0, size - 1)), -1)
    return made


def _shares(count: int, size: int) -> np.ndarray:
    """(count, 2): how far each place moves with the begin and with the end of a box."""
    if count == 1:
        return np.full((1, 2), 0.5 * (size - 1), np.float32)
    end = np.arange(count, dtype=np.float32) * np.float32((size - 1) / (count - 1))
    return np.stack([np.float32(size - 1) - end, end], 1)


def _nearest_tap(at: np.ndarray, size: int) -> np.ndarray:
    made = np.zeros((len(at), size), np.float32)
    made[np.arange(len(at)), _nearest(at, size)] = 1
    return made


def _nearest(at: np.ndarray, size: int) -> np.ndarray:
    """Whole positions; of two that are as near the one further from zero."""
    whole = np.trunc(at)
    away = whole + (np.abs(at - whole) >= 0.5) * np.sign(at)
    return np.clip(away.astype(np.int64), 0, size - 1)


def _axis(begin: Any, end: Any, count: int, size: int) -> np.ndarray:
    if count > 1:
        scale = (end - begin) * np.float32(size - 1) / np.float32(count - 1)
        return begin * np.float32(size - 1) + np.arange(count, dtype=np.float32) * scale
    return np.array([np.float32(0.5) * (begin + end) * np.float32(size - 1)], np.float32)


def _cropped(xp: Any, x: Any, rows: np.ndarray, columns: np.ndarray, method: str,
             outside: float) -> Any:  # fmt: skip
    inside = ((rows >= 0) & (rows <= x.shape[0] - 1))[:, None] & (
        (columns >= 0) & (columns <= x.shape[1] - 1)
    )[None, :]
    if method == "nearest":
        r, c = _nearest(rows, x.shape[0]), _nearest(columns, x.shape[1])
        found = xp.take(xp.take(x, xp.asarray(r), axis=0), xp.asarray(c), axis=1)
    else:
        taps = _two_taps(rows, x.shape[0]), _two_taps(columns, x.shape[1])
        found = _apply(xp, x[None], *taps)[0]
    return xp.where(xp.asarray(inside)[:, :, None], found, np.float32(outside))


def _two_taps(at: np.ndarray, size: int) -> np.ndarray:
    made = np.zeros((len(at), size), np.float32)
    low = np.floor(at)
    share = at - low
    rows = np.arange(len(at))
    np.add.at(made, (rows, np.clip(low.astype(np.int64), 0, size - 1)), 1 - share)
    np.add.at(made, (rows, np.clip(np.ceil(at).astype(np.int64), 0, size - 1)), share)
    return made


def crop_and_resize(
    image: Any, boxes: Any, box_indices: Any, crop_size: Any, method: str = "bilinear",
    extrapolation_value: float = 0.0, name: str | None = None,
) -> Any:  # fmt: skip
    """Boxes (y1, x1, y2, x2), from 0 to 1, of the images `box_indices`, in one size; float32."""
    boxes = convert_to_tensor(boxes, dt.float32)
    return crop_and_resize_op(
        image, boxes, box_indices, crop_size, method=method,
        extrapolation_value=float(extrapolation_value), name=name,
    )  # fmt: skip

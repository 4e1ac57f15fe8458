"""Measures of images: differences of neighbours, edges, PSNR, SSIM, overlapping boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.activations import relu
from shardtape.ops.boxes import Edges, apart_boxes
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.convolutions import depthwise_conv2d
from shardtape.ops.cross_entropy import softmax
from shardtape.ops.image import convert_image_dtype
from shardtape.ops.math import abs, log, pow, square, squared_difference
from shardtape.ops.poolings import avg_pool
from shardtape.ops.reduce import reduce_mean, reduce_prod, reduce_sum
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape


def total_variation(images: Any, name: str | None = None) -> Any:
    """The sum of absolute differences of neighbours, per image."""
    x = convert_to_tensor(images)
    if x.shape.rank not in (3, 4):
        raise ValueError("'images' must be either 3 or 4-dimensional.")
    axes = None if x.shape.rank == 3 else [1, 2, 3]
    down = abs(x[..., 1:, :, :] - x[..., :-1, :, :])
    right = abs(x[..., :, 1:, :] - x[..., :, :-1, :])
    return reduce_sum(down, axes) + reduce_sum(right, axes)


def image_gradients(image: Any) -> tuple[Any, Any]:
    """Differences to the next row and to the next column, 0 at the end; (b, h, w, c)."""
    x = convert_to_tensor(image)
    if x.shape.rank != 4:
        raise ValueError(f"image_gradients expects a 4D tensor, got {x.shape}")
    down = x[:, 1:] - x[:, :-1]
    right = x[:, :, 1:] - x[:, :, :-1]
    return (
        array.concat([down, array.zeros_like(x[:, :1])], 1),
        array.concat([right, array.zeros_like(x[:, :, :1])], 2),
    )


def sobel_edges(image: Any) -> Any:
    """Sobel's filters: (batch, height, width, channels, 2), vertical then horizontal."""
    x = convert_to_tensor(image)
    kernel = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], x.dtype.numpy_dtype)
    both = np.stack([kernel, kernel.T], -1)[:, :, None, :]
    depth = x.shape[-1]
    filters = convert_to_tensor(np.tile(both, (1, 1, depth, 1)))
    padded = array.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
    made = depthwise_conv2d(padded, filters, [1, 1, 1, 1], "VALID")
    return array.reshape(made, array.concat([array.shape(x), [2]], 0))


# ---- comparison of two images -----------------------------------------------------------------
def _in_float(a: Any, b: Any, max_val: Any) -> tuple[Any, Any, Any]:
    a, b = convert_to_tensor(a), convert_to_tensor(b)
    limit = cast(convert_to_tensor(max_val), a.dtype)
    limit = convert_image_dtype(limit, dt.float32)
    return convert_image_dtype(a, dt.float32), convert_image_dtype(b, dt.float32), limit


def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Any:
    """The peak signal-to-noise ratio in decibel, per image (..., height, width, channels)."""
    a, b, limit = _in_float(a, b, max_val)
    if not a.shape[-1:].is_compatible_with(b.shape[-1:]):
        raise ValueError(f"Shapes {a.shape} and {b.shape} are incompatible")
    error = reduce_mean(squared_difference(a, b), [-3, -2, -1])
    ten = np.float32(np.log(10.0))
    return 20 * log(limit) / ten - np.float32(10 / np.log(10)) * log(error)


def _window(size: int, sigma: float) -> Any:
    at = np.arange(size, dtype=np.float32) - (size - 1) / 2
    one = -0.5 * np.square(at) / np.square(np.float32(sigma))
    both = convert_to_tensor((one[None, :] + one[:, None]).reshape(1, -1).astype(np.float32))
    return array.reshape(softmax(both), [size, size, 1, 1])


def _ssim_parts(
    x: Any, y: Any, limit: Any, size: int, sigma: float, k1: float, k2: float
) -> tuple[Any, Any]:
    """SSIM and its contrast-structure part per channel."""
    filters = array.tile(_window(size, sigma), [1, 1, x.shape[-1], 1])

    def smooth(image: Any) -> Any:
        shape = array.shape(image)
        flat = array.reshape(image, array.concat([[-1], shape[-3:]], 0))
        made = depthwise_conv2d(flat, filters, [1, 1, 1, 1], "VALID")
        return array.reshape(made, array.concat([shape[:-3], array.shape(made)[1:]], 0))

    c1, c2 = square(k1 * limit), square(k2 * limit)
    mean_x, mean_y = smooth(x), smooth(y)
    product, squares = mean_x * mean_y * 2, square(mean_x) + square(mean_y)
    luminance = (product + c1) / (squares + c1)
    spread = smooth(square(x) + square(y))
    contrast = (smooth(x * y) * 2 - product + c2) / (spread - squares + c2)
    return luminance * contrast, contrast


def ssim(
    img1: Any, img2: Any, max_val: Any, filter_size: int = 11, filter_sigma: float = 1.5,
    k1: float = 0.01, k2: float = 0.03, return_index_map: bool = False,
) -> Any:  # fmt: skip
    """The structural similarity per image; -1..1.

    Raises ValueError or InvalidArgumentError for images smaller than the filter.
    """
    a, b, limit = _in_float(img1, img2, max_val)
    _check_sizes(a, b, filter_size)
    found, _ = _ssim_parts(a, b, limit, filter_size, filter_sigma, k1, k2)
    if return_index_map:
        return reduce_mean(found, [-1])
    return reduce_mean(reduce_mean(found, [-3, -2]), [-1])


def _check_sizes(a: Any, b: Any, size: int) -> None:
    a.shape.assert_is_compatible_with(b.shape)
    if a.shape.rank is None or a.shape.rank < 3:
        raise ValueError(f"images need at least 3 axes, got {a.shape}")
    if any(d is not None and d < size for d in a.shape[-3:-1]):
        raise ValueError(f"the images {a.shape} are smaller than filter_size={size}")


_POWER_FACTORS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim_multiscale(
    img1: Any, img2: Any, max_val: Any, power_factors: Any = _POWER_FACTORS,
    filter_size: int = 11, filter_sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03,
) -> Any:  # fmt: skip
    """The structural similarity over several scales, per image."""
    a, b, limit = _in_float(img1, img2, max_val)
    _check_sizes(a, b, filter_size)
    parts = []
    found = None
    for k in range(len(power_factors)):
        if k:
            a, b = _halved(a), _halved(b)
        found, contrast = _ssim_parts(a, b, limit, filter_size, filter_sigma, k1, k2)
        parts.append(relu(reduce_mean(contrast, [-3, -2])))
    parts[-1] = relu(reduce_mean(found, [-3, -2]))
    stacked = array.stack(parts, -1)
    weighted = reduce_prod(pow(stacked, convert_to_tensor(list(power_factors), dt.float32)), [-1])
    return reduce_mean(weighted, [-1])


def _halved(x: Any) -> Any:
    shape = array.shape(x)
    flat = array.reshape(x, array.concat([[-1], shape[-3:]], 0))
    height, width = flat.shape[1], flat.shape[2]
    if height is not None and width is not None and (height % 2 or width % 2):
        flat = array.pad(flat, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]], "SYMMETRIC")
    made = avg_pool(flat, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    return array.reshape(made, array.concat([shape[:-3], array.shape(made)[1:]], 0))


# ---- boxes ------------------------------------------------------------------------------------
def _boxes(rng: np.random.Generator) -> Any:
    corners = rng.uniform(0, 0.6, (6, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + np.float32(0.4)], 1)
    scores = rng.permutation(6).astype(np.float32) / 6
    return [((boxes, scores, np.int32(4), np.float32(t), np.float32(-1)), {}) for t in (0.2, 0.6)]


def _kept_shape(boxes: Arg, *args: Arg, **attrs: Any) -> TensorShape:
    return TensorShape([None])


@op("NonMaxSuppressionV3", dtypes=frozenset((dt.float16, dt.float32)), dtype=dt.int32, mixed=True,
    host=("boxes", "scores", "max_output_size", "iou_threshold", "score_threshold"),
    shape=_kept_shape, dynamic=True, differentiable=False, widen=False,
    samples=_boxes)  # fmt: skip
def non_max_suppression_op(xp, boxes, scores, max_output_size, iou_threshold, score_threshold):
    """The boxes (y1, x1, y2, x2) with the highest scores that overlap little; int32 indices."""
    limits = int(max_output_size), float(iou_threshold), float(score_threshold)
    return apart_boxes(Edges(boxes), scores, *limits)


def non_max_suppression(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), name: str | None = None,
) -> Any:  # fmt: skip
    """The indices of at most `max_output_size` boxes (y1, x1, y2, x2), by falling scores, no two
    of which overlap by more than `iou_threshold`."""
    boxes, scores = convert_to_tensor(boxes), convert_to_tensor(scores)
    limits = [convert_to_tensor(np.float32(t)) if isinstance(t, (int, float)) else t
              for t in (iou_threshold, score_threshold)]  # fmt: skip
    return non_max_suppression_op(boxes, scores, max_output_size, *limits, name=name)

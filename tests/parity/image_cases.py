"""Calls of `tf.image`; see `function_cases.py` for how they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_RNG = np.random.default_rng(3)
IMAGE = _RNG.uniform(0, 1, (6, 5, 3)).astype(np.float32)
OTHER = np.clip(IMAGE + _RNG.normal(0, 0.1, IMAGE.shape), 0, 1).astype(np.float32)
BYTES = (IMAGE * 255).astype(np.uint8)
BATCH = np.stack([BYTES, 255 - BYTES])
LARGE = _RNG.uniform(0, 1, (2, 24, 26, 3)).astype(np.float32)
NEAR = np.clip(LARGE + _RNG.normal(0, 0.05, LARGE.shape), 0, 1).astype(np.float32)
HUGE = _RNG.uniform(0, 1, (1, 180, 180, 1)).astype(np.float32)
METHODS = ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian",
           "mitchellcubic"]  # fmt: skip

_CORNERS = np.random.RandomState(5).uniform(0, 1, (8, 2))
BOXES = np.concatenate([_CORNERS, _CORNERS + 0.5], 1).astype(np.float32)
SCORES = np.random.RandomState(6).uniform(0, 1, 8).astype(np.float32)

CASES: dict[str, Callable[[Any], Any]] = {
    "draw_boxes": lambda tf: tf.image.draw_bounding_boxes(
        np.zeros((1, 8, 9, 3), np.float32), [[[0.1, 0.2, 0.7, 0.9], [0.3, -0.5, 1.5, 0.4]]], None
    ),
    "draw_boxes_gray": lambda tf: tf.image.draw_bounding_boxes(
        np.zeros((1, 6, 5, 1), np.float32), [[[0.0, 0.25, 1.0, 0.75]]], None
    ),
    "draw_boxes_colors": lambda tf: tf.image.draw_bounding_boxes(
        np.zeros((2, 8, 9, 3), np.float32), np.float32([[[0.1, 0.2, 0.7, 0.9]] * 2] * 2),
        np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 0.7]], np.float32),
    ),
    "nms_scores": lambda tf: list(tf.image.non_max_suppression_with_scores(
        BOXES, SCORES, 5, soft_nms_sigma=0.5
    )),
    "nms_padded": lambda tf: list(tf.image.non_max_suppression_padded(
        BOXES, SCORES, 6, 0.4, 0.2, pad_to_max_output_size=True
    )),
    "nms_overlaps": lambda tf: tf.image.non_max_suppression_overlaps(
        np.abs(np.cos(np.arange(64.0))).reshape(8, 8).astype(np.float32), SCORES, 4, 0.7
    ),
    "resize": lambda tf: [tf.image.resize(IMAGE, [4, 9], m) for m in METHODS],
    "resize_antialias": lambda tf: [
        tf.image.resize(LARGE, [7, 9], m, antialias=True)
        for m in ("bilinear", "bicubic", "lanczos3", "gaussian")
    ],
    "resize_bytes": lambda tf: [tf.image.resize(BATCH, [3, 3]), tf.image.resize(BYTES, [6, 5])],
    "resize_ratio": lambda tf: tf.image.resize(LARGE, [10, 20], preserve_aspect_ratio=True),
    "resize_with_pad": lambda tf: tf.image.resize_with_pad(IMAGE, 10, 7),
    "crop_or_pad": lambda tf: [
        tf.image.resize_with_crop_or_pad(IMAGE, h, w) for h, w in ((3, 8), (9, 2), (7, 4))
    ],
    "crop_and_resize": lambda tf: tf.image.crop_and_resize(
        LARGE, [[0.1, 0.2, 0.8, 0.9], [0.0, 0.0, 1.2, 1.0]], [0, 1], [5, 4]
    ),
    "brightness": lambda tf: [
        tf.image.adjust_brightness(IMAGE, 0.3), tf.image.adjust_brightness(BYTES, 0.3),
        tf.image.adjust_brightness(BYTES, -0.4),
    ],
    "contrast": lambda tf: [
        tf.image.adjust_contrast(IMAGE, 2.0), tf.image.adjust_contrast(BYTES, 0.5)
    ],
    "gamma": lambda tf: [
        tf.image.adjust_gamma(IMAGE, 0.5, 0.9), tf.image.adjust_gamma(BYTES, 2.0)
    ],
    "hue": lambda tf: [tf.image.adjust_hue(IMAGE, 0.2), tf.image.adjust_hue(BYTES, -0.3)],
    "saturation": lambda tf: [
        tf.image.adjust_saturation(IMAGE, 2.0), tf.image.adjust_saturation(BYTES, 0.5)
    ],
    "grayscale": lambda tf: [
        tf.image.rgb_to_grayscale(IMAGE), tf.image.rgb_to_grayscale(BYTES),
        tf.image.grayscale_to_rgb(tf.constant(IMAGE[:, :, :1])),
    ],
    "spaces": lambda tf: [
        tf.image.rgb_to_hsv(IMAGE), tf.image.hsv_to_rgb(IMAGE), tf.image.rgb_to_yiq(IMAGE),
        tf.image.yiq_to_rgb(IMAGE), tf.image.rgb_to_yuv(IMAGE), tf.image.yuv_to_rgb(IMAGE),
    ],
    "flips": lambda tf: [
        tf.image.flip_left_right(IMAGE), tf.image.flip_up_down(BATCH), tf.image.transpose(IMAGE),
        *[tf.image.rot90(IMAGE, k) for k in range(5)],
    ],
    "crops": lambda tf: [
        tf.image.central_crop(IMAGE, 0.5), tf.image.central_crop(LARGE, 0.7),
        tf.image.crop_to_bounding_box(IMAGE, 1, 2, 3, 2),
        tf.image.pad_to_bounding_box(IMAGE, 1, 2, 9, 8),
    ],
    "types": lambda tf: [
        tf.image.convert_image_dtype(BYTES, tf.float32),
        tf.image.convert_image_dtype(IMAGE, tf.uint8),
        tf.image.convert_image_dtype(BYTES, tf.int16),
    ],
    "standardization": lambda tf: [
        tf.image.per_image_standardization(IMAGE), tf.image.per_image_standardization(BATCH),
        tf.image.per_image_standardization(np.full((2, 2, 1), 7.0, np.float32)),
    ],
    "psnr": lambda tf: [tf.image.psnr(IMAGE, OTHER, 1.0), tf.image.psnr(BATCH, 255 - BATCH, 255)],
    "ssim": lambda tf: [
        tf.image.ssim(LARGE, NEAR, 1.0),
        tf.image.ssim(LARGE, NEAR, 1.0, filter_size=7, k1=0.02),
    ],
    "ssim_multiscale": lambda tf: tf.image.ssim_multiscale(HUGE, HUGE * 0.9, 1.0),
    "edges": lambda tf: [
        tf.image.sobel_edges(tf.constant(LARGE)), *tf.image.image_gradients(tf.constant(LARGE)),
        tf.image.total_variation(tf.constant(LARGE)), tf.image.total_variation(tf.constant(IMAGE)),
    ],
    "patches": lambda tf: [
        tf.image.extract_patches(LARGE, [1, 3, 3, 1], [1, 5, 4, 1], [1, 1, 1, 1], "VALID"),
        tf.image.extract_patches(LARGE, [1, 3, 2, 1], [1, 7, 5, 1], [1, 2, 1, 1], "SAME"),
    ],
    "suppression": lambda tf: tf.image.non_max_suppression(
        np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3], [0, 0, 0.1, 0.1]], np.float32),
        np.array([0.9, 0.8, 0.7, 0.6], np.float32), 3,
    ),
    "png": lambda tf: [
        tf.io.decode_png(tf.io.encode_png(BYTES)), tf.image.decode_png(tf.io.encode_png(BYTES), 1),
        tf.io.decode_image(tf.io.encode_png(BYTES)),
        tf.io.decode_image(tf.io.encode_png(BYTES), dtype=tf.float32),
    ],
    "stateless": lambda tf: [
        tf.image.stateless_random_flip_left_right(IMAGE, (1, 2)),
        tf.image.stateless_random_flip_up_down(IMAGE, (5, 2)),
        tf.image.stateless_random_brightness(IMAGE, 0.2, (3, 4)),
        tf.image.stateless_random_contrast(IMAGE, 0.2, 0.5, (3, 4)),
        tf.image.stateless_random_hue(IMAGE, 0.2, (3, 4)),
        tf.image.stateless_random_saturation(IMAGE, 0.5, 1.0, (3, 4)),
        tf.image.stateless_random_crop(IMAGE, (3, 3, 3), (3, 4)),
    ],
}  # fmt: skip

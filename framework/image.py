"""`tf.image`."""

from shardtape.ops.boxes import (
    draw_bounding_boxes,
    non_max_suppression_overlaps,
    non_max_suppression_padded,
    non_max_suppression_with_scores,
)
from shardtape.ops.colors import (
    adjust_brightness,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    grayscale_to_rgb,
    hsv_to_rgb,
    per_image_standardization,
    rgb_to_grayscale,
    rgb_to_hsv,
    rgb_to_yiq,
    rgb_to_yuv,
    yiq_to_rgb,
    yuv_to_rgb,
)
from shardtape.ops.combined_boxes import combined_non_max_suppression
from shardtape.ops.crops import crop_and_resize
from shardtape.ops.distorted_boxes import (
    sample_distorted_bounding_box,
    stateless_sample_distorted_bounding_box,
)
from shardtape.ops.glimpses import extract_glimpse
from shardtape.ops.image import adjust_contrast, convert_image_dtype
from shardtape.ops.image_files import (
    adjust_jpeg_quality,
    decode_and_crop_jpeg,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    extract_jpeg_shape,
    is_jpeg,
)
from shardtape.ops.image_geometry import (
    central_crop,
    crop_to_bounding_box,
    extract_patches,
    flip_left_right,
    flip_up_down,
    pad_to_bounding_box,
    resize_with_crop_or_pad,
    rot90,
    transpose,
)
from shardtape.ops.image_quality import (
    image_gradients,
    non_max_suppression,
    psnr,
    sobel_edges,
    ssim,
    ssim_multiscale,
    total_variation,
)
from shardtape.ops.image_random import (
    random_brightness,
    random_contrast,
    random_crop,
    random_flip_left_right,
    random_flip_up_down,
    random_hue,
    random_jpeg_quality,
    random_saturation,
    stateless_random_brightness,
    stateless_random_contrast,
    stateless_random_crop,
    stateless_random_flip_left_right,
    stateless_random_flip_up_down,
    stateless_random_hue,
    stateless_random_jpeg_quality,
    stateless_random_saturation,
)
from shardtape.ops.resizing import ResizeMethod, resize, resize_with_pad

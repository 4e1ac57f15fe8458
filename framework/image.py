"""`tf.image`."""

from shardtape.ops.image import adjust_contrast, convert_image_dtype
from shardtape.ops.resizing import ResizeMethod, crop_and_resize, resize, resize_with_pad

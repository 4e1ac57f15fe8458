"""`tf.image`."""

from shardtape.ops.image import adjust_contrast, convert_image_dtype

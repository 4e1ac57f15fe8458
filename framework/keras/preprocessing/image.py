"""`tf.keras.preprocessing.image`."""

from shardtape.keras.preprocessing.affine import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
)
from shardtape.keras.preprocessing.image_batches import (
    DirectoryIterator,
    Iterator,
    NumpyArrayIterator,
)
from shardtape.keras.preprocessing.image_files import (
    array_to_img,
    img_to_array,
    load_img,
    save_img,
    smart_resize,
)
from shardtape.keras.preprocessing.image_generator import ImageDataGenerator
from shardtape.keras.preprocessing.image_random import (
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)

__all__ = [
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "img_to_array",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "smart_resize",
]

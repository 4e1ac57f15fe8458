"""`tf.keras.preprocessing`: data from folders and arrays, texts, sequences and images."""

from shardtape.keras.preprocessing import image, sequence, text
from shardtape.keras.preprocessing.folders import (
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from shardtape.keras.preprocessing.timeseries import timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]

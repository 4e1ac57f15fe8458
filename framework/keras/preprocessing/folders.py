"""Datasets of the images or texts in a folder: `tf.keras.utils.image_dataset_from_directory`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import image as images
from shardtape import io, strings
from shardtape.data import Dataset
from shardtape.errors import UnimplementedError
from shardtape.keras.preprocessing.files import Listing, check_split, list_files, part_of
from shardtape.keras.preprocessing.image_files import smart_resize
from shardtape.ops.array import expand_dims, one_hot
from shardtape.ops.audio import decode_wav
from shardtape.ops.cast import cast

IMAGE_FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


_IMAGES = "images"


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    **kwargs: Any,
) -> Any:
    """A Dataset of (images, labels), from a folder with a folder for each class.

    Args:
      labels: "inferred" from the folders, a list in the order of the files, or None.
      label_mode: "int" (int32), "binary" (float32, one column), "categorical" (one-hot) or None.
      color_mode: "rgb", "rgba" or "grayscale".
      batch_size: None gives single images.
      image_size: (height, width) that all images get.
      shuffle: in an order that `seed` decides, and another one in each epoch.
      validation_split: share of the files that are held back for the "validation" subset.
      subset: "training", "validation", or "both" (two Datasets).
      crop_to_aspect_ratio: cut what does not fit instead of changing the proportions.

    Returns: the Dataset, float32 images (batch, height, width, channels) of 0..255; it has
      `class_names` and `file_paths`.

    Raises ValueError for options that make no sense, and for a folder without images.
    """
    if kwargs:
        raise TypeError(f"Unknown keywords argument(s): {tuple(kwargs)}")
    if color_mode not in _CHANNELS:
        raise ValueError(
            '`color_mode` must be one of {"rgb", "rgba", "grayscale"}. Received: '
            f"color_mode={color_mode}"
        )
    high, wide = image_size
    channels = _CHANNELS[color_mode]

    def load(path: Any) -> Any:
        image = images.decode_image(io.read_file(path), channels, expand_animations=False)
        image.set_shape((None, None, channels))
        if crop_to_aspect_ratio:
            image = smart_resize(image, (high, wide), interpolation)
        else:
            image = images.resize(image, (high, wide), interpolation)
        image.set_shape((high, wide, channels))
        return image

    return _dataset(directory, labels, label_mode, class_names, batch_size, shuffle, seed,
                    validation_split, subset, follow_links, load, IMAGE_FORMATS,
                    _IMAGES)  # fmt: skip


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
) -> Any:
    """A Dataset of (texts, labels), from a folder with a folder of .txt files for each class.

    Args:
      max_length: bytes of a text that are kept.

    The other arguments are those of `image_dataset_from_directory`.
    """

    def load(path: Any) -> Any:
        text = io.read_file(path)
        return text if max_length is None else strings.substr(text, 0, max_length)

    return _dataset(directory, labels, label_mode, class_names, batch_size, shuffle, seed,
                    validation_split, subset, follow_links, load, (".txt",),
                    "text files")  # fmt: skip


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
) -> Any:
    """A Dataset of (sounds, labels), from a folder with a folder of .wav files for each class.

    Args:
      sampling_rate: only None, the rate of the files.
      output_sequence_length: samples of a sound: longer ones are cut, shorter ones end in zeros.
        Default those of the longest sound of a batch.
      ragged: give ragged tensors of the sounds as they are.

    The other arguments are those of `image_dataset_from_directory`.

    Returns: the Dataset, float32 sounds (batch, samples, channels) of -1..1.

    Raises UnimplementedError for another sampling rate.
    """
    if ragged and output_sequence_length is not None:
        raise ValueError("Cannot set both `ragged` and `output_sequence_length`")
    if sampling_rate is not None and sampling_rate <= 0:
        raise ValueError(
            f"`sampling_rate` should be higher than 0. Received: sampling_rate={sampling_rate}"
        )
    if sampling_rate is not None:
        raise UnimplementedError(
            "audio_dataset_from_directory keeps the sampling rate of the files: leave "
            "sampling_rate=None and resample the sounds before"
        )
    length = -1 if output_sequence_length is None else output_sequence_length

    def load(path: Any) -> Any:
        return decode_wav(io.read_file(path), -1, length)[0]

    def together(data: Any, size: int) -> Any:
        if ragged:
            return data.ragged_batch(size)
        return data.padded_batch(size) if output_sequence_length is None else data.batch(size)

    return _dataset(directory, labels, label_mode, class_names, batch_size, shuffle, seed,
                    validation_split, subset, follow_links, load, (".wav",),
                    "audio files", together)  # fmt: skip


def _batched(data: Any, size: int) -> Any:
    return data.batch(size)


def _dataset(
    directory: Any, labels: Any, label_mode: str | None, class_names: Any, batch_size: int | None,
    shuffle: bool, seed: int | None, share: float | None, subset: str | None, follow_links: bool,
    load: Callable[[Any], Any], formats: tuple[str, ...], what: str, together: Any = _batched,
) -> Any:  # fmt: skip
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(
            '`label_mode` argument must be one of "int", "categorical", "binary", or None. '
            f"Received: label_mode={label_mode}"
        )
    if isinstance(labels, str) and labels != "inferred":
        raise ValueError(
            "`labels` argument should be a list/tuple of integer labels, of the same size as the "
            "number of files in the target directory. If you wish to infer the labels from the "
            'subdirectory names in the target directory, pass `labels="inferred"`. Received: '
            f"labels={labels}"
        )
    if label_mode is None:
        labels = None
    check_split(share, subset, shuffle, seed)
    # Keras draws a seed also where nothing is shuffled, and for all orders the same
    seed = int(np.random.randint(1_000_000)) if seed is None else seed
    listing = list_files(directory, labels, formats, class_names, shuffle, seed, follow_links)
    count = len(listing.class_names)
    if label_mode == "binary" and count != 2:
        raise ValueError(
            'When passing `label_mode="binary"`, there must be exactly 2 class_names. Received: '
            f"class_names={listing.class_names}"
        )

    def made(part: Listing, named: str | None, shuffle: bool = shuffle) -> Any:
        if not part.paths:
            of = f"{named} " if named else ""
            raise ValueError(f"No {of}{what} found in directory {directory}. Allowed formats: "
                             f"{formats}")  # fmt: skip
        data = _pairs(part, label_mode, count, load)
        data = data if what == _IMAGES else data.prefetch(-1)
        if batch_size is None:
            data = data.shuffle(1024, seed=seed) if shuffle else data
        else:
            data = data.shuffle(batch_size * 8, seed=seed) if shuffle else data
            data = together(data, batch_size)
        data = data.prefetch(-1) if what == _IMAGES else data
        data.class_names, data.file_paths = listing.class_names, part.paths
        return data

    if subset == "both":
        # of two datasets Keras shuffles the one to train on
        return tuple(made(part_of(listing, share, name), name, shuffle and name == "training")
                     for name in ("training", "validation"))  # fmt: skip
    return made(part_of(listing, share, subset), subset)


def _pairs(part: Listing, mode: str | None, count: int, load: Callable[[Any], Any]) -> Any:
    loaded = Dataset.from_tensor_slices(part.paths).map(load, num_parallel_calls=-1)
    if part.labels is None:
        return loaded
    labels = Dataset.from_tensor_slices(part.labels)
    if mode == "binary":
        labels = labels.map(lambda y: expand_dims(cast(y, dt.float32), -1))
    elif mode == "categorical":
        labels = labels.map(lambda y: one_hot(y, count))
    return Dataset.zip((loaded, labels))

"""Batches of changed images for `ImageDataGenerator`: from arrays, and from folders."""

from __future__ import annotations

import os
from collections.abc import Iterator as Iterators
from typing import Any

import numpy as np

from shardtape.errors import NotFoundError
from shardtape.keras.data_sequence import Sequence
from shardtape.keras.floatx import floatx
from shardtape.keras.preprocessing.image_files import array_to_img, img_to_array, load_img
from shardtape.keras.progress_bar import tell

FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")


class Iterator(Sequence):
    """Endless batches of `n` examples; as a Sequence it has `len` batches."""

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def __len__(self) -> int:
        return (self.n + self.batch_size - 1) // self.batch_size

    def _seed(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def __getitem__(self, idx: int) -> Any:
        if idx >= len(self):
            raise ValueError(
                f"Asked to retrieve element {idx}, but the Sequence has length {len(self)}"
            )
        self._seed()
        if self.index_array is None:
            self._set_index_array()
        first = self.batch_size * idx
        return self._batch(self.index_array[first : first + self.batch_size])  # type: ignore[index]

    def on_epoch_end(self) -> None:
        self._set_index_array()

    def reset(self) -> None:
        """The next batch is the first one again."""
        self.batch_index = 0

    def __iter__(self) -> Iterators[Any]:
        return self

    def __next__(self) -> Any:
        self._seed()
        if self.batch_index == 0:
            self._set_index_array()
        if not self.n:
            raise ValueError("there are no images")
        first = self.batch_index * self.batch_size % self.n
        self.batch_index = self.batch_index + 1 if self.n > first + self.batch_size else 0
        return self._batch(self.index_array[first : first + self.batch_size])  # type: ignore[index]

    next = __next__

    def _batch(self, rows: np.ndarray) -> Any:
        raise NotImplementedError


class Saving:
    """Writes each image of a batch into a folder, to look at what is trained on.

    Args:
      folder: where to; None writes nothing.
      prefix: of the files' names, which go on with the image's number and a random one.
      kind: "png", "jpeg" or another format of Pillow.
      data_format: the layout of the images.
    """

    def __init__(self, folder: Any, prefix: str, kind: str, data_format: str | None = None) -> None:
        self._folder, self._prefix, self._kind = folder, prefix, kind
        self._data_format = data_format

    def write(self, images: np.ndarray, rows: np.ndarray) -> None:
        if self._folder is None:
            return
        for image, row in zip(images, rows):
            name = f"{self._prefix}_{row}_{np.random.randint(10**7)}.{self._kind}"
            picture = array_to_img(image, self._data_format, scale=True)
            picture.save(os.path.join(os.fspath(self._folder), name))


def part_of(count: int, share: float, subset: str | None) -> slice:
    """Which of `count` examples are in a subset: the first `share` of them are for validation.

    Raises ValueError for another subset than "training", "validation" or None (all).
    """
    if subset is None:
        return slice(None)
    if subset not in ("training", "validation"):
        raise ValueError(f'Invalid subset name: {subset};expected "training" or "validation".')
    border = int(count * share)
    return slice(0, border) if subset == "validation" else slice(border, None)


class NumpyArrayIterator(Iterator):
    """Batches of arrays; see `ImageDataGenerator.flow`."""

    def __init__(
        self, x: Any, y: Any, generator: Any, batch_size: int = 32, shuffle: bool = False,
        sample_weight: Any = None, seed: int | None = None, subset: str | None = None,
        dtype: Any = None, saving: Saving | None = None,
    ) -> None:  # fmt: skip
        self._saving = saving
        self.dtype = floatx() if dtype is None else dtype
        more = [np.asarray(v) for v in x[1]] if isinstance(x, tuple) else []
        x = x[0] if isinstance(x, tuple) else x
        for name, other in (("labels", y), ("sample_weight", sample_weight)):
            if other is not None and len(other) != len(x):
                raise ValueError(
                    f"`x` (images tensor) and `{name}` should have the same length. Found: "
                    f"x.shape = {np.asarray(x).shape}, {name}.shape = {np.asarray(other).shape}"
                )
        part = part_of(len(x), generator._validation_split, subset)
        self.x = np.asarray(x, dtype=self.dtype)[part]
        self.x_misc = [np.asarray(v)[part] for v in more]
        self.y = None if y is None else np.asarray(y)[part]
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)[part]
        if self.x.ndim != 4:
            raise ValueError(
                "Input data in `NumpyArrayIterator` should have rank 4. You passed an array with "
                f"shape {self.x.shape}"
            )
        self.image_data_generator = generator
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _batch(self, rows: np.ndarray) -> Any:
        made = np.stack([self.image_data_generator._changed(self.x[i]) for i in rows])
        made = made.astype(self.dtype)
        if self._saving is not None:
            self._saving.write(made, rows)
        images: Any = made if not self.x_misc else [made, *(v[rows] for v in self.x_misc)]
        if self.y is None:
            return images
        if self.sample_weight is None:
            return images, self.y[rows]
        return images, self.y[rows], self.sample_weight[rows]


class FileIterator(Iterator):
    """Batches of images that are read from files when they are asked for."""

    filepaths: list[str]

    def _load_as(
        self, generator: Any, target_size: tuple[int, int], color_mode: str, interpolation: str,
        keep_aspect_ratio: bool, dtype: Any, saving: Saving | None,
    ) -> None:  # fmt: skip
        self.image_data_generator, self._saving = generator, saving
        self.target_size, self.color_mode = tuple(target_size), color_mode
        self.dtype = floatx() if dtype is None else dtype
        self._loading = {"color_mode": color_mode, "target_size": self.target_size,
                         "interpolation": interpolation,
                         "keep_aspect_ratio": keep_aspect_ratio}  # fmt: skip

    @property
    def image_shape(self) -> tuple[int, ...]:
        channels = {"rgb": 3, "rgba": 4}.get(self.color_mode, 1)
        if self.image_data_generator.data_format == "channels_first":
            return channels, *self.target_size
        return *self.target_size, channels

    def _loaded(self, rows: np.ndarray) -> np.ndarray:
        """The images of `rows`, changed."""
        paths, layout = self.filepaths, self.image_data_generator.data_format
        made = np.stack([
            self.image_data_generator._changed(
                img_to_array(load_img(paths[i], **self._loading), layout)  # type: ignore[arg-type]
            )
            for i in rows
        ]).astype(self.dtype)  # fmt: skip
        if self._saving is not None:
            self._saving.write(made, rows)
        return made


class DirectoryIterator(FileIterator):
    """Batches of the images in a folder; see `ImageDataGenerator.flow_from_directory`.

    Attributes:
      class_indices: the number of each class; filenames, labels: of all images.
    """

    def __init__(
        self, directory: Any, generator: Any, target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb", classes: Any = None, class_mode: str | None = "categorical",
        batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        follow_links: bool = False, subset: str | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False, dtype: Any = None, saving: Saving | None = None,
    ) -> None:  # fmt: skip
        if class_mode not in ("categorical", "binary", "sparse", "input", None):
            raise ValueError(
                f"Invalid class_mode: {class_mode}; expected one of: "
                "{'categorical', 'binary', 'sparse', 'input', None}"
            )
        folder = os.fspath(directory)
        if not os.path.isdir(folder):
            raise NotFoundError(f"Could not find directory {folder}")
        self.directory, self.class_mode = folder, class_mode
        self._load_as(generator, target_size, color_mode, interpolation, keep_aspect_ratio,
                      dtype, saving)  # fmt: skip
        names = list(classes or sorted(
            d for d in os.listdir(folder) if os.path.isdir(os.path.join(folder, d))
        ))  # fmt: skip
        self.class_indices = {name: i for i, name in enumerate(names)}
        self.num_classes = len(names)
        share = generator._validation_split
        low, high = (0.0, share) if subset == "validation" else (share, 1.0)
        self.filenames: list[str] = []
        numbers: list[int] = []
        for i, name in enumerate(names):
            found = _images(folder, name, follow_links)
            if subset is not None:
                found = found[int(low * len(found)) : int(high * len(found))]
            self.filenames += found
            numbers += [i] * len(found)
        self.classes = np.asarray(numbers, "int32")
        self.samples = len(self.filenames)
        tell(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def filepaths(self) -> list[str]:  # type: ignore[override]
        return [os.path.join(self.directory, name) for name in self.filenames]

    @property
    def labels(self) -> np.ndarray:
        return self.classes

    def _batch(self, rows: np.ndarray) -> Any:
        made = self._loaded(rows)
        labels = self.classes[rows]
        if self.class_mode is None:
            return made
        if self.class_mode == "input":
            return made, made.copy()
        if self.class_mode == "categorical":
            return made, np.eye(self.num_classes, dtype=self.dtype)[labels]
        return made, labels.astype(self.dtype)


def _images(folder: str, name: str, follow_links: bool) -> list[str]:
    found = []
    walked = os.walk(os.path.join(folder, name), followlinks=follow_links)
    for root, _, files in sorted(walked, key=lambda entry: entry[0]):
        found += [os.path.relpath(os.path.join(root, f), folder) for f in sorted(files)
                  if f.lower().endswith(FORMATS)]  # fmt: skip
    return found

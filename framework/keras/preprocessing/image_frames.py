"""Batches of the images that a table names, for `ImageDataGenerator.flow_from_dataframe`."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from shardtape.keras.preprocessing.image_batches import FORMATS, FileIterator, Saving, part_of
from shardtape.keras.progress_bar import tell

_MODES = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)


class FrameIterator(FileIterator):
    """Batches of images by a table of file names and labels.

    Attributes:
      class_indices: the number of each class; filenames, filepaths, labels: of all images.
    """

    def __init__(
        self, frame: Any, directory: Any, generator: Any, x_col: str, y_col: Any,
        weight_col: str | None, target_size: tuple[int, int], color_mode: str, classes: Any,
        class_mode: str | None, batch_size: int, shuffle: bool, seed: int | None,
        subset: str | None, interpolation: str, dtype: Any, validate: bool, saving: Saving,
    ) -> None:  # fmt: skip
        if class_mode not in _MODES:
            raise ValueError(f"Invalid class_mode: {class_mode}; expected one of: {_MODES}")
        if class_mode == "multi_output" and not isinstance(y_col, (list, tuple)):
            raise TypeError(
                'If class_mode="multi_output", y_col must be a list. Received '
                f"{type(y_col).__name__}."
            )
        self.class_mode = class_mode
        self._load_as(generator, target_size, color_mode, interpolation, False, dtype, saving)
        names = np.asarray(frame[x_col], object)
        wrong = next((n for n in names if not isinstance(n, str)), None)
        if wrong is not None:
            raise TypeError(f"All values in column x_col={x_col} must be strings, got {wrong!r}.")
        root = "" if directory is None else os.fspath(directory)
        keep = np.ones(len(names), bool)
        if validate:
            keep = np.array([_is_image(os.path.join(root, n)) for n in names], bool)
            if not keep.all():
                warnings.warn(
                    f"Found {int((~keep).sum())} invalid image filename(s) in x_col={x_col!r}. "
                    "These filename(s) will be ignored.", stacklevel=3,
                )  # fmt: skip
        columns: Any = None
        if class_mode in ("binary", "categorical", "sparse"):
            columns = [np.asarray(frame[y_col], object)]
            keep &= self._number_classes(columns[0][keep], classes, y_col, columns[0])
        elif class_mode in ("raw", "multi_output"):
            several = y_col if isinstance(y_col, (list, tuple)) else [y_col]
            columns = [np.asarray(frame[c]) for c in several]
        rows = np.flatnonzero(keep)
        rows = rows[part_of(len(rows), generator._validation_split, subset)]
        self.filenames = [str(n) for n in names[rows]]
        self.filepaths = [os.path.join(root, n) for n in self.filenames]
        self.samples = len(rows)
        self.sample_weight = None if weight_col is None else np.asarray(frame[weight_col])[rows]
        self._read_labels(None if columns is None else [c[rows] for c in columns], y_col)
        said = f" belonging to {len(self.class_indices)} classes" if hasattr(
            self, "class_indices") else ""  # fmt: skip
        what = "validated " if validate else "non-validated "
        tell(f"Found {self.samples} {what}image filenames{said}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _number_classes(
        self, labels: np.ndarray, classes: Any, y_col: Any, every: np.ndarray
    ) -> np.ndarray:
        """Gives the classes their numbers; the rows (of `every`) that have one of them."""
        several = (list, tuple) if self.class_mode == "categorical" else ()
        for label in labels:
            if not isinstance(label, (str, *several)):
                raise TypeError(
                    f"If class_mode={self.class_mode!r}, y_col={y_col!r} column values must be "
                    f"strings{' or lists of them' if several else ''}, got {label!r}; cast them "
                    'with `.astype(str)`, or take class_mode="raw" for numbers.'
                )
        found = {c for v in labels for c in (v if isinstance(v, (list, tuple)) else [v])}
        if self.class_mode == "binary" and len(found if classes is None else classes) != 2:
            raise ValueError(
                'If class_mode="binary" there must be 2 classes. '
                f"{len(found if classes is None else classes)} were given."
            )
        if classes is None:
            self.class_indices = {c: i for i, c in enumerate(sorted(found))}
            return np.ones(len(every), bool)
        self.class_indices = {c: i for i, c in enumerate(classes)}
        return np.array([
            any(c in self.class_indices for c in v) if isinstance(v, (list, tuple))
            else v in self.class_indices for v in every
        ], bool)  # fmt: skip

    def _read_labels(self, columns: Any, y_col: Any) -> None:
        if columns is None:
            return
        if self.class_mode == "raw":
            self._targets: Any = (
                np.stack(columns, 1) if isinstance(y_col, (list, tuple)) else columns[0]
            )
        elif self.class_mode == "multi_output":
            self._targets = [
                np.array([np.asarray(v) for v in c]) if c.dtype == object else c for c in columns
            ]
        else:
            number = self.class_indices
            self.classes = [
                [number[c] for c in v if c in number] if isinstance(v, (list, tuple)) else number[v]
                for v in columns[0]
            ]

    @property
    def labels(self) -> Any:
        if self.class_mode in ("raw", "multi_output"):
            return self._targets
        return self.classes

    def _batch(self, rows: np.ndarray) -> Any:
        images = self._loaded(rows)
        if self.class_mode is None:
            return images
        if self.class_mode == "input":
            labels: Any = images.copy()
        elif self.class_mode == "raw":
            labels = self._targets[rows]
        elif self.class_mode == "multi_output":
            labels = [target[rows] for target in self._targets]
        elif self.class_mode == "categorical":
            labels = np.zeros((len(rows), len(self.class_indices)), self.dtype)
            for i, row in enumerate(rows):
                labels[i, self.classes[row]] = 1
        else:
            labels = np.asarray([self.classes[row] for row in rows], self.dtype)
        if self.sample_weight is None:
            return images, labels
        return images, labels, self.sample_weight[rows]


def _is_image(path: str) -> bool:
    return path.lower().endswith(FORMATS) and os.path.isfile(path)

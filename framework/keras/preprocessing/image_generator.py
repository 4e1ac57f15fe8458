"""`ImageDataGenerator`: batches of images that are changed at random, in numpy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.keras.floatx import floatx
from shardtape.keras.image_layout import image_data_format
from shardtape.keras.preprocessing.affine import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
)
from shardtape.keras.preprocessing.image_batches import (
    DirectoryIterator,
    NumpyArrayIterator,
    Saving,
)
from shardtape.keras.preprocessing.image_frames import FrameIterator

_SMALL = 1e-6


class ImageDataGenerator:
    """Changes images at random and standardises them.

    Args:
      featurewise_center, featurewise_std_normalization: by the mean and deviation of all images,
        which `fit` learns; samplewise_...: by those of each image.
      zca_whitening: turn the pixels of all images so that they are not correlated, by a matrix
        that `fit` learns; zca_epsilon: keeps it finite.
      rotation_range: degrees.
      width_shift_range, height_shift_range: a share (below 1), pixels, or a list to choose from.
      brightness_range: (least, greatest) factor.
      shear_range: degrees. zoom_range: z for 1 - z to 1 + z, or (least, greatest).
      channel_shift_range: how far colours are shifted.
      fill_mode, cval: what lies outside; see `affine.resampled`.
      rescale: factor of all values. preprocessing_function: function of one image, runs first.
      validation_split: share of the images that is the "validation" subset.
    """

    def __init__(
        self, featurewise_center: bool = False, samplewise_center: bool = False,
        featurewise_std_normalization: bool = False, samplewise_std_normalization: bool = False,
        zca_whitening: bool = False, zca_epsilon: float = 1e-06, rotation_range: float = 0,
        width_shift_range: Any = 0.0, height_shift_range: Any = 0.0, brightness_range: Any = None,
        shear_range: float = 0.0, zoom_range: Any = 0.0, channel_shift_range: float = 0.0,
        fill_mode: str = "nearest", cval: float = 0.0, horizontal_flip: bool = False,
        vertical_flip: bool = False, rescale: float | None = None,
        preprocessing_function: Callable[[Any], Any] | None = None,
        data_format: str | None = None, validation_split: float = 0.0,
        interpolation_order: int = 1, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.data_format = image_data_format() if data_format is None else data_format
        if self.data_format not in ("channels_first", "channels_last"):
            raise ValueError(
                '`data_format` should be `"channels_last"` or `"channels_first"`. Received: '
                f"{data_format}"
            )
        first = self.data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                "`validation_split` must be strictly between 0 and 1.  Received: "
                f"{validation_split}"
            )
        if brightness_range is not None and len(brightness_range) != 2:
            raise ValueError(
                "`brightness_range should be tuple or list of two floats. Received: "
                f"{brightness_range}"
            )
        if isinstance(zoom_range, (float, int)):
            zoom_range = [1 - zoom_range, 1 + zoom_range]
        elif len(zoom_range) != 2:
            raise ValueError(
                "`zoom_range` should be a float or a tuple or list of two floats. Received: "
                f"{zoom_range}"
            )
        if zca_whitening and featurewise_std_normalization:
            warnings.warn("ImageDataGenerator: zca_whitening takes the place of "
                          "featurewise_std_normalization", stacklevel=2)  # fmt: skip
            featurewise_std_normalization = False
        self.featurewise_center = (
            featurewise_center or featurewise_std_normalization or zca_whitening
        )
        self.featurewise_std_normalization = featurewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.zca_whitening_matrix: Any = None
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.brightness_range, self.zoom_range = brightness_range, list(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode, self.cval, self.interpolation_order = fill_mode, cval, interpolation_order
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self._validation_split = validation_split
        self.dtype = floatx() if dtype is None else dtype
        self.mean: Any = None
        self.std: Any = None

    # ---- batches ----------------------------------------------------------------------------
    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True,
        sample_weight: Any = None, seed: int | None = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", subset: str | None = None,
        ignore_class_split: bool = False,
    ) -> NumpyArrayIterator:  # fmt: skip
        """Endless batches of arrays of images: x, (x, y) or (x, y, weight).

        Args:
          save_to_dir: a folder into which the changed images are written, to look at them.
        """
        return NumpyArrayIterator(x, y, self, batch_size, shuffle, sample_weight, seed, subset,
                                  self.dtype,
                                  self._saving(save_to_dir, save_prefix, save_format))  # fmt: skip

    def flow_from_directory(
        self, directory: Any, target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb",
        classes: Any = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int | None = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", follow_links: bool = False,
        subset: str | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:  # fmt: skip
        """Endless batches (images, labels) of a folder with a folder for each class.

        Args:
          target_size: (height, width) of the images.
          class_mode: "categorical" (one-hot), "binary", "sparse", "input" (the images) or None.
        """
        return DirectoryIterator(directory, self, target_size, color_mode, classes, class_mode,
                                 batch_size, shuffle, seed, follow_links, subset, interpolation,
                                 keep_aspect_ratio, self.dtype,
                                 self._saving(save_to_dir, save_prefix, save_format))  # fmt: skip

    def flow_from_dataframe(
        self, dataframe: Any, directory: Any = None, x_col: str = "filename",
        y_col: Any = "class", weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb", classes: Any = None,
        class_mode: str | None = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, save_to_dir: Any = None, save_prefix: str = "",
        save_format: str = "png", subset: str | None = None, interpolation: str = "nearest",
        validate_filenames: bool = True, **kwargs: Any,
    ) -> FrameIterator:  # fmt: skip
        """Endless batches (images, labels[, weights]) of the files that a table names.

        Args:
          dataframe: a pandas DataFrame, or a mapping of names to columns.
          directory: where the names in column `x_col` begin; None takes them as whole paths.
          y_col: the column of labels, a list of columns for "multi_output" and "raw".
          class_mode: "categorical" (one-hot), "binary", "sparse", "input" (the images), "raw"
            (numbers as they are), "multi_output" (a list of arrays) or None.
          validate_filenames: leave out rows whose file is not there or is no image.
        """
        if "has_ext" in kwargs:
            raise ValueError("has_ext is not taken any more: filenames in column `x_col` need "
                             "their extension")  # fmt: skip
        kwargs.pop("sort", None), kwargs.pop("drop_duplicates", None)
        if kwargs:
            raise TypeError(f"flow_from_dataframe() got unexpected arguments: {sorted(kwargs)}")
        return FrameIterator(dataframe, directory, self, x_col, y_col, weight_col, target_size,
                             color_mode, classes, class_mode, batch_size, shuffle, seed, subset,
                             interpolation, self.dtype, validate_filenames,
                             self._saving(save_to_dir, save_prefix, save_format))  # fmt: skip

    def _saving(self, folder: Any, prefix: str, kind: str) -> Saving:
        return Saving(folder, prefix, kind, self.data_format)

    def _changed(self, x: np.ndarray) -> np.ndarray:
        x = np.array(x, self.dtype)
        return self.standardize(self.apply_transform(x, self.get_random_transform(x.shape)))

    # ---- single images ----------------------------------------------------------------------
    def standardize(self, x: np.ndarray) -> np.ndarray:
        """An image by the function, the factor, the means and the deviations; changes it."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + _SMALL
        for wanted, learned in ((self.featurewise_center, self.mean),
                                (self.zca_whitening, self.zca_whitening_matrix),
                                (self.featurewise_std_normalization, self.std)):  # fmt: skip
            if wanted and learned is None:
                raise ValueError(
                    "This ImageDataGenerator standardises by all images, but has not been fit on "
                    "any: call `.fit(numpy_data)` first"
                )
        if self.featurewise_center:
            x -= self.mean
        if self.featurewise_std_normalization:
            x /= self.std + _SMALL
        if self.zca_whitening:
            x = np.reshape(x.reshape(1, -1) @ self.zca_whitening_matrix, x.shape)
        return x

    def get_random_transform(
        self, img_shape: tuple[int, ...], seed: int | None = None
    ) -> dict[str, Any]:
        """Random numbers of one change, drawn from numpy's generator."""
        if seed is not None:
            np.random.seed(seed)
        turn = self.rotation_range
        theta = np.random.uniform(-turn, turn) if turn else 0
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = np.random.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        zx, zy = 1.0, 1.0
        if self.zoom_range != [1, 1]:
            zx, zy = np.random.uniform(self.zoom_range[0], self.zoom_range[1], 2)
        flips = [np.random.random() < 0.5, np.random.random() < 0.5]
        reach = self.channel_shift_range
        colour = np.random.uniform(-reach, reach) if reach else None
        bright = None if self.brightness_range is None else np.random.uniform(
            *self.brightness_range)  # fmt: skip
        return {
            "theta": theta, "tx": tx, "ty": ty, "shear": shear, "zx": zx, "zy": zy,
            "flip_horizontal": int(flips[0] and self.horizontal_flip),
            "flip_vertical": int(flips[1] and self.vertical_flip),
            "channel_shift_intensity": colour, "brightness": bright,
        }  # fmt: skip

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """An image changed as `get_random_transform` says; what is not named is left out."""
        p = transform_parameters
        row, column, channel = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = apply_affine_transform(
            x, p.get("theta", 0), p.get("tx", 0), p.get("ty", 0), p.get("shear", 0),
            p.get("zx", 1), p.get("zy", 1), row, column, channel, self.fill_mode, self.cval,
            self.interpolation_order,
        )  # fmt: skip
        if p.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, p["channel_shift_intensity"], channel)
        if p.get("flip_horizontal"):
            x = np.flip(x, column)
        if p.get("flip_vertical"):
            x = np.flip(x, row)
        if p.get("brightness") is not None:
            usual = 2 if image_data_format() == "channels_last" else 0  # of images without a layout
            x = apply_brightness_shift(np.moveaxis(x, channel, usual), p["brightness"], False)
            x = np.moveaxis(x, usual, channel)
        return np.array(x, self.dtype)

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """An image changed at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learns means and deviations of the channels of images, of the layout `data_format`.

        Args:
          augment: of `rounds` times the images, changed at random.
        """
        x = np.array(x, self.dtype)
        if x.ndim != 4:
            raise ValueError(
                f"Input to `.fit()` should have rank 4. Got array with shape: {x.shape}"
            )
        if seed is not None:
            np.random.seed(seed)
        if augment:
            x = np.stack([self.random_transform(one) for _ in range(rounds) for one in x])
        axes = (0, self.row_axis, self.col_axis)
        self.mean = np.mean(x, axis=axes, keepdims=True)[0]
        self.std = np.std(x - self.mean, axis=axes, keepdims=True)[0]
        if self.zca_whitening:
            rows = np.reshape(x - self.mean, (len(x), -1))
            turn, spread, _ = np.linalg.svd(rows.T, full_matrices=False)
            # directions without any spread stay as small as epsilon makes them
            factor = np.sqrt(len(x)) / (spread + self.zca_epsilon)
            self.zca_whitening_matrix = (turn * factor) @ turn.T


def _shift(given: Any, size: int) -> float:
    """Pixels of a move along an axis of `size` pixels."""
    if not np.any(given):
        return 0
    try:
        pixels = np.random.choice(given) * np.random.choice([-1, 1])
    except ValueError:  # a share or a number of pixels, no list to choose from
        pixels = np.random.uniform(-given, given)
    return pixels * size if np.max(given) < 1 else pixels

"""`tf.keras.applications.imagenet_utils`: how pixels are scaled, what the classes are called."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from shardtape.keras.downloads import get_file
from shardtape.keras.floatx import floatx
from shardtape.keras.image_layout import layout_of
from shardtape.ops.array import transpose
from shardtape.ops.bias import bias_add
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor

_INDEX = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_MEANS_BGR = (103.939, 116.779, 123.68)  # of ImageNet
MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, of 0 to 1


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images (..., height, width, 3) of 0 to 255, scaled as a network expects it.

    Args:
      data_format: "channels_first" where the colours come first; default `image_data_format()`.
      mode: "caffe" (BGR, minus the means of ImageNet), "tf" (-1 to 1) or "torch" (0 to 1, minus
        means, over deviations).

    Returns: an array for an array (floats are changed in place), else a tensor.
    """
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(
            f"Expected mode to be one of `caffe`, `tf` or `torch`. Received: mode={mode}"
        )
    if isinstance(x, np.ndarray):
        x = x if np.issubdtype(x.dtype, np.floating) else x.astype(floatx())
    else:
        x = convert_to_tensor(x)
        x = x if x.dtype.is_floating else cast(x, floatx())
    if layout_of(data_format) == "channels_last":
        return _scaled(x, mode)
    if isinstance(x, np.ndarray):
        return np.moveaxis(_scaled(np.moveaxis(x, -3, -1), mode), -1, -3)
    before = list(range(x.shape.rank - 3))
    count = len(before)
    moved = transpose(x, [*before, count + 1, count + 2, count])
    return transpose(_scaled(moved, mode), [*before, count + 2, count, count + 1])


def _scaled(x: Any, mode: str) -> Any:
    """`preprocess_input` of floats whose last axis is that of the colours."""
    in_place = not isinstance(x, Tensor)

    def as_own(values: Any) -> Any:
        return np.asarray(values, x.dtype) if in_place else convert_to_tensor(values, x.dtype)

    if mode == "tf":
        if in_place:
            x /= 127.5
            x -= 1.0
            return x
        return x / 127.5 - 1.0
    if mode == "torch":
        if in_place:
            x /= 255.0
            x -= as_own(MEANS)
            x /= as_own(DEVIATIONS)
            return x
        return bias_add(x / 255.0, -as_own(MEANS)) / as_own(DEVIATIONS)
    x = x[..., ::-1]
    if in_place:
        x -= as_own(_MEANS_BGR)
        return x
    return bias_add(x, -as_own(_MEANS_BGR))


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The `top` likeliest classes (WordNet id, name, score) of each row of 1000 predictions.

    The names are downloaded on first use; see `get_file`.
    """
    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != 1000:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape "
            f"(samples, 1000)). Found array with shape: {preds.shape}"
        )
    path = get_file("imagenet_class_index.json", _INDEX, cache_subdir="models",
                    file_hash="c2c37ea517e94d9795004a39431a14cb")  # fmt: skip
    with open(path, encoding="utf-8") as file:
        names = json.load(file)
    out = []
    for row in preds:
        best = row.argsort()[-top:][::-1]
        scored = [(*names[str(i)], row[i]) for i in best]
        out.append(sorted(scored, key=lambda entry: entry[2], reverse=True))
    return out

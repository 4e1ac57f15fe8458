"""Images (batch, height, width, channels) in another size."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array, resampling
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.few_taps import along_columns, along_rows
from shardtape.ops.math import minimum, round
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import known_ints
from shardtape.shapes import TensorShape

_IMAGES = frozenset((dt.uint8, dt.int8, dt.int16, dt.uint16, dt.int32, dt.int64, *dt.FLOATING))
_SMOOTH = frozenset((dt.float32, dt.float64))


def _resized_shape(images: Arg, size: Arg, *args: Arg, **attrs: Any) -> TensorShape:
    shape = images.shape.with_rank(4)
    dims = known_ints(size) or [None, None]
    return TensorShape([shape[0], dims[0], dims[1], shape[3]])


def _samples(*attrs: dict[str, Any]) -> Any:
    def make(rng: np.random.Generator) -> Any:
        x = rng.normal(size=(1, 4, 5, 2))
        sizes = [np.array([7, 3], np.int32), np.array([2, 9], np.int32)]
        return [((x, s), dict(a)) for a in attrs for s in sizes]

    return make


_HALF: tuple[dict[str, Any], ...] = ({"half_pixel_centers": True}, {"align_corners": True}, {})


def _apply(
    xp: Any, images: Any, rows: np.ndarray, columns: np.ndarray, kind: Any = np.float32
) -> Any:
    """rows (out, in) and columns (out, in) applied to axes 1 and 2, in the type of `kind`."""
    x = images.astype(kind)
    batch, height, width, channels = x.shape
    rows, columns = xp.asarray(rows.astype(kind)), xp.asarray(columns.astype(kind))
    flat = x.reshape(batch, height, width * channels)
    if xp is np:
        x = along_rows(rows, flat).reshape(batch, rows.shape[0], width, channels)
        return along_columns(columns, x)
    x = xp.matmul(rows, flat).reshape(batch, rows.shape[0], width, channels)
    return xp.matmul(columns, x)


def _check(size: Any) -> tuple[int, int]:
    height, width = [int(s) for s in size]
    if height <= 0 or width <= 0:
        raise ValueError(f"output dimensions must be positive, got {[height, width]}")
    return height, width


def _linear(type_name: str, kind: str) -> Any:
    def kernel(
        xp: Any, images: Any, size: Any, *, align_corners: bool = False,
        half_pixel_centers: bool = False,
    ) -> Any:  # fmt: skip
        out = _check(size)
        rows, columns = resampling.matrices(
            kind, images.shape[1:3], out, align_corners, half_pixel_centers
        )
        return _apply(xp, images, rows, columns)

    kernel.__name__ = f"resize_{kind}_op"
    kernel.__doc__ = f"Images in another size, {kind}; float32."
    made = op(type_name, dtypes=_IMAGES, dtype=dt.float32, host=("size",), shape=_resized_shape,
              samples=_samples(*_HALF), widen=False)(kernel)  # fmt: skip

    @made.gradient
    def _(g, _y, images, _size, *, align_corners, half_pixel_centers):
        if not images.dtype.is_floating:
            return None
        return cast(
            resize_back(g, images, kind=kind, align_corners=align_corners,
                        half_pixel_centers=half_pixel_centers),
            images.dtype,
        )  # fmt: skip

    return made


def _back_reference(g: Any, images: Any, kind: str, align_corners: bool,
                    half_pixel_centers: bool) -> np.ndarray:  # fmt: skip
    rows, columns = resampling.matrices(
        kind, images.shape[1:3], g.shape[1:3], align_corners, half_pixel_centers
    )
    return np.einsum("oh,pw,bopc->bhwc", rows, columns, g)


@op("ResizeBack", dtypes=_IMAGES, mixed=True, shape_only=("images",),
    dtype=lambda dtypes, attrs: dt.float64 if dtypes[1] is dt.float64 else dt.float32,
    shape=lambda g, images, **attrs: images.shape, widen=False,
    samples=lambda rng: [
        ((rng.normal(size=(1, 7, 3, 2)).astype(np.float32),
          np.zeros((1, 4, 5, 2), np.float32)), {
            "kind": kind, "align_corners": False, "half_pixel_centers": True})
        for kind in ("bilinear", "bicubic")
    ], reference=_back_reference)  # fmt: skip
def resize_back(xp, g, images, *, kind, align_corners, half_pixel_centers):
    """The gradient of a resized image, in the size of `images`."""
    rows, columns = resampling.matrices(
        kind, images.shape[1:3], g.shape[1:3], align_corners, half_pixel_centers
    )
    kind = np.float64 if images.dtype == np.float64 else np.float32
    return _apply(xp, g, rows.T, columns.T, kind)


@resize_back.gradient
def _(g, _y, gradient, _images, *, kind, align_corners, half_pixel_centers):
    forward = {"bilinear": resize_bilinear_op, "bicubic": resize_bicubic_op}[kind]
    size = array.shape(gradient)[1:3]
    return forward(
        g, size, align_corners=align_corners, half_pixel_centers=half_pixel_centers
    ), None


resize_bilinear_op = _linear("ResizeBilinear", "bilinear")
resize_bicubic_op = _linear("ResizeBicubic", "bicubic")


@op("ResizeArea", dtypes=_IMAGES, dtype=dt.float32, host=("size",), shape=_resized_shape,
    samples=_samples({}, {"align_corners": True}), widen=False, differentiable=False)  # fmt: skip
def resize_area_op(xp, images, size, *, align_corners=False):
    """Images in another size, each pixel the mean of the area that it covers; float32."""
    out = _check(size)
    rows, columns = resampling.matrices("area", images.shape[1:3], out, align_corners, False)
    return _apply(xp, images, rows, columns)


@op("ResizeNearestNeighbor", dtypes=_IMAGES, host=("size",), shape=_resized_shape, widen=False,
    samples=_samples(*_HALF))  # fmt: skip
def resize_nearest_op(xp, images, size, *, align_corners=False, half_pixel_centers=False):
    """Images in another size, each pixel the nearest one."""
    height, width = _check(size)
    rows = resampling.nearest(images.shape[1], height, align_corners, half_pixel_centers)
    columns = resampling.nearest(images.shape[2], width, align_corners, half_pixel_centers)
    taken = xp.take(images, xp.asarray(rows), axis=1)
    return xp.take(taken, xp.asarray(columns), axis=2)


@resize_nearest_op.gradient
def _(g, _y, images, size, *, align_corners, half_pixel_centers):
    return resize_nearest_back(
        g, array.shape(images)[1:3], align_corners=align_corners,
        half_pixel_centers=half_pixel_centers,
    )  # fmt: skip


@op("ResizeNearestNeighborGrad", dtypes=_IMAGES, host=("size",), shape=_resized_shape,
    samples=_samples(*_HALF), widen=False)  # fmt: skip
def resize_nearest_back(xp, grads, size, *, align_corners=False, half_pixel_centers=False):
    """The gradient of an image that was resized to its nearest pixels."""
    height, width = _check(size)
    out = grads
    for axis, count in ((1, height), (2, width)):
        places = resampling.nearest(count, grads.shape[axis], align_corners, half_pixel_centers)
        spread = np.zeros((count, grads.shape[axis]), np.float64)
        spread[places, np.arange(len(places))] = 1
        spread = xp.asarray(spread.astype(grads.dtype))
        out = xp.moveaxis(xp.tensordot(spread, out, axes=([1], [axis])), 0, axis)
    return out


@resize_nearest_back.gradient
def _(g, _y, grads, _size, *, align_corners, half_pixel_centers):
    return resize_nearest_op(
        g, array.shape(grads)[1:3], align_corners=align_corners,
        half_pixel_centers=half_pixel_centers,
    )  # fmt: skip


def _scaled_samples(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(1, 6, 5, 2)).astype(np.float32)
    zero = np.zeros(2, np.float32)
    return [
        ((x, np.array([3, 7], np.int32), np.array([0.5, 1.4], np.float32), zero),
         {"kernel_type": kind, "antialias": anti})
        for kind in ("lanczos3", "lanczos5", "gaussian", "triangle", "keyscubic", "mitchellcubic",
                     "box")
        for anti in (True, False)
    ]  # fmt: skip


@op("ScaleAndTranslate", dtypes=_IMAGES, dtype=dt.float32, host=("size", "scale", "translation"),
    shape=_resized_shape, samples=_scaled_samples, widen=False)  # fmt: skip
def scale_and_translate_op(xp, images, size, scale, translation, *, kernel_type="lanczos3",
                           antialias=True):  # fmt: skip
    """Images in another size by a kernel; float32."""
    rows, columns = _span_matrices(images, size, scale, translation, kernel_type, antialias)
    return _apply(xp, images, rows, columns)


def _span_matrices(images: Any, size: Any, scale: Any, translation: Any, kind: str,
                   antialias: bool) -> list[np.ndarray]:  # fmt: skip
    out = _check(size)
    return [
        resampling.spans(images.shape[i + 1], out[i], float(scale[i]), float(translation[i]), kind,
                         antialias)
        for i in (0, 1)
    ]  # fmt: skip


@scale_and_translate_op.gradient
def _(g, _y, images, size, scale, translation, *, kernel_type, antialias):
    return scale_and_translate_back(
        g, images, scale, translation, kernel_type=kernel_type, antialias=antialias
    )


def _scaled_back_reference(g: Any, images: Any, scale: Any, translation: Any, kernel_type: str,
                           antialias: bool) -> np.ndarray:  # fmt: skip
    rows, columns = _span_matrices(images, g.shape[1:3], scale, translation, kernel_type, antialias)
    return np.einsum("oh,pw,bopc->bhwc", rows, columns, g)


@op("ScaleAndTranslateGrad", dtypes=_SMOOTH, dtype=dt.float32, host=("scale", "translation"),
    shape_only=("original_image",), shape=lambda g, image, *args, **attrs: image.shape,
    differentiable=False, widen=False, reference=_scaled_back_reference,
    samples=lambda rng: [((rng.normal(size=(1, 3, 7, 2)).astype(np.float32),
        np.zeros((1, 6, 5, 2), np.float32), np.array([0.5, 1.4], np.float32),
        np.zeros(2, np.float32)), {"kernel_type": "lanczos3", "antialias": True})])  # fmt: skip
def scale_and_translate_back(xp, grads, original_image, scale, translation, *,
                             kernel_type="lanczos3", antialias=True):  # fmt: skip
    """The gradient of `scale_and_translate_op`."""
    rows, columns = _span_matrices(
        original_image, grads.shape[1:3], scale, translation, kernel_type, antialias
    )
    return _apply(xp, grads, rows.T, columns.T)


# ---- public functions -------------------------------------------------------------------------
class ResizeMethod:
    """Names of the methods of `tf.image.resize`."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"
    BICUBIC = "bicubic"
    AREA = "area"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    GAUSSIAN = "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


_ANTIALIASED = {
    "bilinear": "triangle", "bicubic": "keyscubic", "lanczos3": "lanczos3",
    "lanczos5": "lanczos5", "gaussian": "gaussian", "mitchellcubic": "mitchellcubic",
}  # fmt: skip


def batched(images: Any) -> tuple[Any, bool]:
    """Images with a batch axis, and whether they had one.

    Raises ValueError for another rank than 3 and 4.
    """
    x = convert_to_tensor(images)
    if x.shape.rank == 3:
        return array.expand_dims(x, 0), False
    if x.shape.rank == 4:
        return x, True
    raise ValueError("'images' must have either 3 or 4 dimensions.")


def resize(
    images: Any, size: Any, method: Any = ResizeMethod.BILINEAR,
    preserve_aspect_ratio: bool = False, antialias: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Images in another size; float32, but with "nearest" (and where nothing changes) as given.

    Args:
      images: (batch, height, width, channels) or without the batch.
      size: (height, width).
      method: a name of `ResizeMethod`.
      preserve_aspect_ratio: the largest size within `size` of the same ratio.
      antialias: a kernel that grows with the reduction.

    Raises:
      ValueError: an unknown method, another rank or another form of `size`.
    """
    if str(method) not in ("nearest", "area") and str(method) not in _ANTIALIASED:
        raise ValueError(f"Resize method is not implemented: {method}")
    x, had_batch = batched(images)
    new = cast(convert_to_tensor(size), dt.int32)
    if not new.shape.is_compatible_with([2]):
        raise ValueError("'size' must be a 1-D Tensor of 2 elements: new_height, new_width")
    if preserve_aspect_ratio:
        new = _within(array.shape(x)[1:3], new)
    result = _resized(x, new, str(method), antialias)
    return result if had_batch else array.squeeze(result, [0])


def _within(old: Any, new: Any) -> Any:
    have, want = cast(old, dt.float32), cast(new, dt.float32)
    scale = want / have
    smallest = minimum(scale[0], scale[1])
    return cast(round(have * smallest), dt.int32)


def _resized(x: Any, size: Any, method: str, antialias: bool) -> Any:
    from shardtape.graph.static import constant_value

    known = constant_value(size)
    if known is not None and x.shape[1:3].as_list() == [int(d) for d in known]:
        return x if method == "nearest" else cast(x, dt.float32)
    if method == "nearest":
        return resize_nearest_op(x, size, half_pixel_centers=True)
    if method == "area":
        return resize_area_op(x, size)
    if method not in _ANTIALIASED:
        raise ValueError(f"Resize method is not implemented: {method}")
    if not antialias and method in ("bilinear", "bicubic"):
        chosen = resize_bilinear_op if method == "bilinear" else resize_bicubic_op
        return chosen(x, size, half_pixel_centers=True)
    scale = cast(size, dt.float32) / cast(array.shape(x)[1:3], dt.float32)
    return scale_and_translate_op(
        x, size, scale, array.zeros([2]), kernel_type=_ANTIALIASED[method], antialias=antialias
    )


def resize_with_pad(
    image: Any, target_height: int, target_width: int, method: Any = ResizeMethod.BILINEAR,
    antialias: bool = False,
) -> Any:  # fmt: skip
    """The image resized without distortion, with zeros around it."""
    from shardtape.ops.image_geometry import pad_to_bounding_box

    x, had_batch = batched(image)
    height, width = [cast(d, dt.float32) for d in array.unstack(array.shape(x)[1:3], 2)]
    ratio = array.where(
        width / target_width > height / target_height,
        width / target_width, height / target_height,
    )  # fmt: skip
    from shardtape.ops.math import floor, maximum

    high, wide = height / ratio, width / ratio
    top = maximum(cast(floor((target_height - high) / 2), dt.int32), 0)
    left = maximum(cast(floor((target_width - wide) / 2), dt.int32), 0)
    size = array.stack([cast(floor(high), dt.int32), cast(floor(wide), dt.int32)])
    result = pad_to_bounding_box(
        resize(x, size, method, antialias=antialias), top, left, target_height, target_width
    )
    return result if had_batch else array.squeeze(result, [0])

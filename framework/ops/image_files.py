"""Image files: PNG, JPEG, GIF and BMP to pixels and back, by the package Pillow.

Pixels of JPEG files are TensorFlow's bit for bit, but for those of CMYK, of unusual grids of
colours, and of a `ratio`.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.image import convert_image_dtype
from shardtape.ops.jpeg_pixels import decode_fast
from shardtape.ops.registry import Arg, op
from shardtape.ops.text import STRING, objects
from shardtape.shapes import TensorShape

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_JPEG = ("JPEG", "MPO")  # MPO: a JPEG file of several pictures, as cameras write them
_COUNTS = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 3, "CMYK": 3, "YCbCr": 3}


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError:
        raise errors.UnimplementedError(
            "image files are read and written by the package Pillow: pip install pillow"
        ) from None
    return PIL.Image


def _opened(data: bytes, formats: tuple[str, ...]) -> Any:
    image = _pillow()
    try:
        return image.open(io.BytesIO(data), formats=formats)
    except (image.UnidentifiedImageError, OSError, SyntaxError) as error:
        raise errors.InvalidArgumentError(
            f"the data is no {' or '.join(formats)} image that can be decoded: {error}"
        ) from None


def pixels(
    data: bytes, channels: int, formats: tuple[str, ...], sixteen: bool = False,
    fast: bool = True, interpolate: bool = True,
) -> Any:  # fmt: skip
    """(height, width, channels), uint8 or uint16.

    Args:
      fast, interpolate: how JPEG files are decoded, see `jpeg_pixels.decode_fast`.

    Raises InvalidArgumentError for data of another format, or that is damaged.
    """
    opened = _opened(data, formats)
    if opened.format in _JPEG and fast and channels in (0, 1, 3):
        try:
            found = decode_fast(opened, channels == 1, interpolate)
        except OSError as error:
            raise errors.InvalidArgumentError(f"the image is damaged: {error}") from None
        if found is not None:
            found = np.repeat(found, 3, 2) if channels == 3 and found.shape[2] == 1 else found
            return found.astype(np.uint16) * 257 if sixteen else found
        opened = _opened(data, formats)
    if opened.mode.startswith("I;16") or opened.mode == "I":
        found = np.asarray(opened).astype(np.uint16)[:, :, None]
        found = np.repeat(found, max(channels, 1), 2)
        return found if sixteen else (found >> 8).astype(np.uint8)
    count = channels or (4 if opened.mode == "P" and "transparency" in opened.info
                         else _COUNTS.get(opened.mode, 3))  # fmt: skip
    try:
        if count == 1 and opened.mode in ("RGB", "RGBA", "P") and opened.format == "PNG":
            return _gray(np.asarray(opened.convert("RGB")), sixteen)
        converted = opened.convert(_MODES[count])
    except OSError as error:
        raise errors.InvalidArgumentError(f"the image is damaged: {error}") from None
    found = np.asarray(converted)
    found = found[:, :, None] if found.ndim == 2 else found
    return found.astype(np.uint16) * 257 if sixteen else found


def _gray(rgb: np.ndarray, sixteen: bool) -> np.ndarray:
    """The grey that libpng makes with TensorFlow's weights."""
    wide = rgb.astype(np.int64)
    gray = (wide[..., :1] * 9798 + wide[..., 1:2] * 19235 + wide[..., 2:] * 3735) >> 15
    return (gray * 257).astype(np.uint16) if sixteen else gray.astype(np.uint8)


def _image_shape(contents: Arg, *, channels: int = 0, **attrs: Any) -> TensorShape:
    return TensorShape([None, None, channels or None])


def _given(image: np.ndarray, kind: str, **options: Any) -> np.ndarray:
    return objects([written(image, kind, **options)], (1,)).reshape(())


def written(image: np.ndarray, kind: str, **options: Any) -> bytes:
    """The file of an image (height, width, channels) of uint8 or uint16."""
    if image.ndim != 3 or image.shape[2] not in _MODES:
        raise ValueError(f"an image is (height, width, 1..4 channels), got {image.shape}")
    if image.dtype == np.uint16:
        if image.shape[2] != 1:
            raise errors.UnimplementedError("PNG files of 16 bits are written with one channel")
        made = _pillow().fromarray(image[:, :, 0])
    else:
        made = _pillow().fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


_PICTURE = (np.arange(4 * 5 * 3) * 4 % 256).astype(np.uint8).reshape(4, 5, 3)


def _scalar(contents: Any) -> bytes:
    if np.ndim(contents):
        raise ValueError(f"contents must be scalar but got shape {np.shape(contents)}")
    return np.asarray(contents, object).item()


_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP"}


def _kind(data: bytes, channels: int, op_type: str) -> str:
    """The format of an image that an op reads; all but DecodeBmp tell it by the first bytes.

    Raises ValueError for other data, numbers of channels that the format has not, and BMP files
    elsewhere than in DecodeBmp and DecodeImage.
    """
    if not data:
        raise ValueError("Input is empty.")
    kind = next((k for start, k in _FORMATS.items() if data.startswith(start)), None)
    if kind is None:
        raise ValueError("Unknown image file format. One of JPEG, PNG, GIF, BMP required.")
    if kind == "JPEG" and channels == 4:
        raise ValueError("JPEG does not support 4 channels")
    if kind == "GIF" and channels not in (0, 3):
        raise ValueError(f"channels must be 0 or 3 for GIF, got {channels}")
    if kind == "BMP" and channels not in (0, 3, 4):
        raise ValueError(f"`channels` must be 0, 3 or 4 for BMP, but got {channels}")
    if op_type == "DecodeBmp" and kind != "BMP":
        raise ValueError(
            f"Trying to decode {kind} format using DecodeBmp op. Use `decode_{kind.lower()}` or "
            "`decode_image` instead."
        )
    if kind == "BMP" and op_type not in ("DecodeBmp", "DecodeImage"):
        raise ValueError(
            "Trying to decode BMP format using a wrong op. Use `decode_bmp` or `decode_image` "
            f"instead. Op used: {op_type}"
        )
    return kind


def _frames(data: bytes) -> np.ndarray:
    """The frames of a GIF file: (frames, height, width, 3)."""
    from PIL import ImageSequence

    opened = _opened(data, ("GIF",))
    return np.stack([np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(opened)])


def _only_frame(data: bytes, sixteen: bool = False) -> np.ndarray:
    frames = _frames(data)
    if len(frames) != 1:
        raise ValueError(
            f"Got {len(frames)} frames, but animated gifs can only be decoded by tf.io.decode_gif "
            "or tf.io.decode_image"
        )
    return frames[0].astype(np.uint16) * 257 if sixteen else frames[0]


@op("DecodePng", dtypes=STRING, dtype="dtype", shape=_image_shape, dynamic=True,
    differentiable=False, samples=lambda rng: [
        ((_given(_PICTURE, "PNG"),), {}), ((_given(_PICTURE, "PNG"),), {"channels": 4}),
        ((_given(_PICTURE[:, :, :1], "PNG"),), {"channels": 3}),
        ((_given(_PICTURE[:, :, :1], "PNG"),), {"dtype": dt.uint16}),
    ])  # fmt: skip
def decode_png_op(xp, contents, *, channels=0, dtype=dt.uint8):
    """The pixels of a PNG or JPEG file, or of a GIF file of one frame."""
    data, sixteen = _scalar(contents), dtype is dt.uint16
    kind = _kind(data, channels, "DecodePng")
    return _only_frame(data, sixteen) if kind == "GIF" else pixels(data, channels, (kind,), sixteen)


@op("DecodeJpeg", dtypes=STRING, dtype=dt.uint8, shape=_image_shape, dynamic=True,
    differentiable=False, samples=lambda rng: [((_given(np.full((8, 8, 3), 90, np.uint8),
        "JPEG"),), {}), ((_given(np.full((8, 8, 3), 90, np.uint8), "JPEG"),), {"channels": 1})],
    )  # fmt: skip
def decode_jpeg_op(xp, contents, *, channels=0, ratio=1, fancy_upscaling=True,
                   try_recover_truncated=False, acceptable_fraction=1.0,
                   dct_method=""):  # fmt: skip
    """The pixels of a JPEG file, in 1/`ratio` of its size; of a PNG file, or a GIF's one frame."""
    data = _scalar(contents)
    kind = _kind(data, channels, "DecodeJpeg")
    if kind == "GIF":
        return _only_frame(data)
    if ratio == 1 or kind == "PNG":
        fast = dct_method != "INTEGER_ACCURATE"
        return pixels(data, channels, (kind,), fast=fast, interpolate=fancy_upscaling)
    opened = _opened(data, ("JPEG",))
    size = -(-opened.size[0] // ratio), -(-opened.size[1] // ratio)
    count = channels or _COUNTS.get(opened.mode, 3)
    opened.draft(_MODES[count], size)
    found = np.asarray(opened.convert(_MODES[count]).resize(size))
    return found[:, :, None] if found.ndim == 2 else found


@op("DecodeGif", dtypes=STRING, dtype=dt.uint8, dynamic=True, differentiable=False,
    shape=lambda contents: TensorShape([None, None, None, 3]),
    samples=lambda rng: [((_given(np.zeros((4, 5, 3), np.uint8), "GIF"),), {})])  # fmt: skip
def decode_gif_op(xp, contents):
    """The frames of a GIF file, or a PNG or JPEG file as one: (frames, height, width, 3)."""
    data = _scalar(contents)
    kind = _kind(data, 3, "DecodeGif")
    return _frames(data) if kind == "GIF" else pixels(data, 3, (kind,))[None]


@op("DecodeBmp", dtypes=STRING, dtype=dt.uint8, shape=_image_shape, dynamic=True,
    differentiable=False,
    samples=lambda rng: [((_given(_PICTURE, "BMP"),), {})])  # fmt: skip
def decode_bmp_op(xp, contents, *, channels=0):
    """The pixels of a BMP file."""
    data = _scalar(contents)
    return pixels(data, channels, (_kind(data, channels, "DecodeBmp"),))


@op("DecodeImage", dtypes=STRING, dtype="dtype", dynamic=True, differentiable=False,
    shape=lambda contents, **attrs: TensorShape(None), widen=False,
    samples=lambda rng: [((_given(_PICTURE, "PNG"),), {}), ((_given(_PICTURE, "BMP"),), {}),
        ((_given(_PICTURE, "PNG"),), {"dtype": dt.float32})])  # fmt: skip
def decode_image_op(xp, contents, *, channels=0, dtype=dt.uint8, expand_animations=True):
    """The pixels of a PNG, JPEG, GIF or BMP file; floats from 0 to 1."""
    data = _scalar(contents)
    kind = _kind(data, channels, "DecodeImage")
    if kind == "GIF":
        found = _frames(data)
        found = found if expand_animations else found[0]
    else:
        found = pixels(data, channels, (kind,), dtype is dt.uint16)
    if dtype.is_floating:
        return (found * (1.0 / 255)).astype(dtype.numpy_dtype)
    return found.astype(dtype.numpy_dtype)


@op("EncodePng", dtypes=frozenset((dt.uint8, dt.uint16)), dtype=dt.string,
    shape=lambda image, **attrs: TensorShape([]), differentiable=False, widen=False,
    samples=lambda rng: [((_PICTURE,), {})])  # fmt: skip
def encode_png_op(xp, image, *, compression=-1):
    """A PNG file of an image."""
    from shardtape import backend

    level = {} if compression < 0 else {"compress_level": compression}
    return _given(np.asarray(backend.to_host(image)), "PNG", **level)


@op("EncodeJpeg", dtypes=frozenset((dt.uint8,)), dtype=dt.string,
    shape=lambda image, **attrs: TensorShape([]), differentiable=False, widen=False,
    samples=lambda rng: [((_PICTURE,), {})])  # fmt: skip
def encode_jpeg_op(xp, image, *, format="", quality=95, progressive=False, optimize_size=False,
                   chroma_downsampling=True, density_unit="in", x_density=300, y_density=300,
                   xmp_metadata=""):  # fmt: skip
    """A JPEG file of an image."""
    from shardtape import backend

    pixels_ = np.asarray(backend.to_host(image))
    if pixels_.ndim != 3 or pixels_.shape[2] not in (1, 3):
        raise ValueError(f"image must have 1 or 3 channels, got shape {list(pixels_.shape)}")
    wanted = {"": pixels_.shape[2], "default": pixels_.shape[2], "grayscale": 1, "rgb": 3}
    if wanted.get(format) != pixels_.shape[2]:
        raise ValueError(
            f"format {format} expects {wanted[format]} channels, got {list(pixels_.shape)}"
            if format in wanted else f"format is '', 'grayscale' or 'rgb', got {format!r}"
        )  # fmt: skip
    if not 0 <= quality <= 100:
        raise ValueError(f"quality must be in [0,100], got {quality}")
    if density_unit not in _DENSITY_UNITS:
        raise ValueError(f"density_unit is 'in' or 'cm', got {density_unit!r}")
    made = written(
        pixels_, "JPEG", quality=quality, progressive=progressive, optimize=optimize_size,
        subsampling="4:2:0" if chroma_downsampling else "4:4:4",
    )  # fmt: skip
    density = struct.pack(
        ">BHH", _DENSITY_UNITS[density_unit], x_density & 0xFFFF, y_density & 0xFFFF
    )
    xmp = b""
    if xmp_metadata:
        held = _XMP + (xmp_metadata.encode() if isinstance(xmp_metadata, str) else xmp_metadata)
        xmp = b"\xff\xe1" + struct.pack(">H", len(held) + 2) + held
    made = made[:_DENSITY_AT] + density + made[_DENSITY_AT + 5 : _JFIF_END] + xmp + made[_JFIF_END:]
    return objects([made], (1,)).reshape(())


@op("EncodeJpegVariableQuality", dtypes=frozenset((dt.uint8,)), dtype=dt.string, mixed=True,
    host=("quality",), shape=lambda images, quality: TensorShape([]), differentiable=False,
    widen=False, samples=lambda rng: [((_PICTURE, np.int32(50)), {})])  # fmt: skip
def encode_jpeg_quality_op(xp, images, quality):
    """A JPEG file of an image, of a quality that every run gives."""
    return encode_jpeg_op.kernel(xp, images, quality=int(quality))


# a JPEG file begins with a JFIF segment of 20 bytes that says how dense its pixels are
_DENSITY_UNITS = {"in": 1, "cm": 2}
_DENSITY_AT, _JFIF_END = 13, 20
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


# ---- public functions -------------------------------------------------------------------------
def decode_png(
    contents: Any, channels: int = 0, dtype: Any = dt.uint8, name: str | None = None
) -> Any:
    """The pixels (height, width, channels) of a PNG file (also of JPEG, and GIF of one frame).

    Args:
      channels: 0 as in the file, else 1, 3 or 4.
      dtype: uint8 or uint16.
    """
    return decode_png_op(contents, channels=channels, dtype=dt.as_dtype(dtype), name=name)


def _check_decoding(function: str, fancy_upscaling: bool, dct_method: str) -> None:
    if dct_method not in ("", "INTEGER_FAST", "INTEGER_ACCURATE"):
        raise errors.InvalidArgumentError(
            f"{function}: dct_method must be one of '', 'INTEGER_FAST' and 'INTEGER_ACCURATE', "
            f"got {dct_method!r}"
        )
    if not fancy_upscaling and dct_method == "INTEGER_ACCURATE":
        raise errors.UnimplementedError(
            f"{function}: fancy_upscaling=False together with dct_method='INTEGER_ACCURATE' is not "
            "part of this framework; leave one of them out"
        )


def decode_jpeg(
    contents: Any, channels: int = 0, ratio: int = 1, fancy_upscaling: bool = True,
    try_recover_truncated: bool = False, acceptable_fraction: float = 1, dct_method: str = "",
    name: str | None = None,
) -> Any:  # fmt: skip
    """The pixels (height, width, channels) of a JPEG file (also of PNG, and GIF of one frame).

    Args:
      channels: 0 as in the file, else 1 or 3.
      ratio: 1, 2, 4 or 8: the size is divided by it.
      fancy_upscaling: colours of a coarser grid are interpolated, else repeated.
      dct_method: "" or "INTEGER_FAST", which are the same, or "INTEGER_ACCURATE", the finer.
        Files of CMYK, and any file with a `ratio`, are always decoded by the latter.

    Raises:
      UnimplementedError: `fancy_upscaling=False` with "INTEGER_ACCURATE".
    """
    _check_decoding("decode_jpeg", fancy_upscaling, dct_method)
    return decode_jpeg_op(
        contents, channels=channels, ratio=ratio, fancy_upscaling=fancy_upscaling,
        dct_method=dct_method, name=name,
    )  # fmt: skip


def decode_and_crop_jpeg(
    contents: Any, crop_window: Any, channels: int = 0, ratio: int = 1,
    fancy_upscaling: bool = True, try_recover_truncated: bool = False,
    acceptable_fraction: float = 1, dct_method: str = "", name: str | None = None,
) -> Any:  # fmt: skip
    """A part of the pixels of a JPEG file, as `decode_jpeg` and `crop_to_bounding_box` give it.

    Args:
      crop_window: (4,): first row, first column, height, width.

    Raises InvalidArgumentError for a window that is not inside the image.
    """
    _check_decoding("decode_and_crop_jpeg", fancy_upscaling, dct_method)
    whole = decode_jpeg(
        contents, channels, ratio, fancy_upscaling, dct_method=dct_method, name=name
    )
    top, left, height, width = array.unstack(cast(convert_to_tensor(crop_window), dt.int32), 4)
    begin, size = array.stack([top, left, 0]), array.stack([height, width, -1])
    return array.slice(whole, begin, size)


def extract_jpeg_shape(contents: Any, output_type: Any = dt.int32, name: str | None = None) -> Any:
    """The shape (3,) of the pixels of a JPEG file."""
    return cast(array.shape(decode_jpeg(contents)), output_type, name=name)


def decode_gif(contents: Any, name: str | None = None) -> Any:
    """The frames (frames, height, width, 3) of a GIF file, uint8; a PNG or JPEG file is one."""
    return decode_gif_op(contents, name=name)


def decode_bmp(contents: Any, channels: int = 0, name: str | None = None) -> Any:
    """The pixels (height, width, channels) of a BMP file, uint8."""
    return decode_bmp_op(contents, channels=channels, name=name)


def decode_image(
    contents: Any, channels: Any = 0, dtype: Any = dt.uint8, name: str | None = None,
    expand_animations: bool = True,
) -> Any:  # fmt: skip
    """The pixels of a PNG, JPEG, GIF or BMP file.

    Args:
      dtype: uint8, uint16 or float32 (0..1).
      expand_animations: GIF files give all frames, (frames, height, width, 3); else the first.
    """
    return decode_image_op(
        contents, channels=channels or 0, dtype=dt.as_dtype(dtype),
        expand_animations=expand_animations, name=name,
    )  # fmt: skip


def encode_png(image: Any, compression: int = -1, name: str | None = None) -> Any:
    """The PNG file of an image (height, width, channels) of uint8 or uint16."""
    return encode_png_op(convert_to_tensor(image), compression=compression, name=name)


def encode_jpeg(
    image: Any, format: str = "", quality: int = 95, progressive: bool = False,
    optimize_size: bool = False, chroma_downsampling: bool = True, density_unit: str = "in",
    x_density: int = 300, y_density: int = 300, xmp_metadata: str = "", name: str | None = None,
) -> Any:  # fmt: skip
    """The JPEG file of an image (height, width, 1 or 3 channels) of uint8.

    Args:
      format: "", or "grayscale" or "rgb" to be sure of the channels.
      quality: 0 to 100.
      density_unit, x_density, y_density: pixels per "in" or "cm", as a note in the file.
      xmp_metadata: XMP text to put into the file.

    Raises:
      InvalidArgumentError: another number of channels, or an argument out of its range.
    """
    return encode_jpeg_op(
        convert_to_tensor(image), format=format, quality=quality, progressive=progressive,
        optimize_size=optimize_size, chroma_downsampling=chroma_downsampling,
        density_unit=density_unit, x_density=x_density, y_density=y_density,
        xmp_metadata=xmp_metadata, name=name,
    )  # fmt: skip


def is_jpeg(contents: Any, name: str | None = None) -> Any:
    """Whether a string begins as a JPEG file does."""
    from shardtape.ops.text_functions import substr

    return substr(contents, 0, 3) == convert_to_tensor(b"\xff\xd8\xff")


def adjust_jpeg_quality(image: Any, jpeg_quality: Any, dct_method: str = "",
                        name: str | None = None) -> Any:  # fmt: skip
    """The image after a JPEG file of a quality of 0..100."""
    _check_decoding("adjust_jpeg_quality", True, dct_method)
    image = convert_to_tensor(image)
    as_bytes = convert_image_dtype(image, dt.uint8, saturate=True)
    file = encode_jpeg_quality_op(as_bytes, convert_to_tensor(jpeg_quality, dt.int32))
    made = decode_jpeg(file, channels=image.shape[-1] or 0, dct_method=dct_method)
    return convert_image_dtype(made, image.dtype, saturate=True)

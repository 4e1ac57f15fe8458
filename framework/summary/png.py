"""Pictures as PNG files, from arrays of pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from shardtape import errors

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels to PNG's numbers: grey, grey+alpha, RGB, RGBA


def to_bytes_range(pixels: np.ndarray) -> np.ndarray:
    """Pixels as uint8, by the rule of `tf.image.convert_image_dtype(..., saturate=True)`.

    Floating point in [0, 1] is scaled to [0, 255] and clipped, integers lose their lower bits,
    booleans become 0 and 255.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.view(np.uint8) * np.uint8(255)
    if pixels.dtype.kind in "iu":
        limit = np.iinfo(pixels.dtype).max
        if limit > 255:
            return np.clip(pixels // ((limit + 1) // 256), 0, 255).astype(np.uint8)
        return np.maximum(pixels, 0).astype(np.uint8) * np.uint8(256 // (limit + 1))
    scaled = np.clip(pixels.astype(np.float64) * 255.5, 0.0, 255.0)
    return np.nan_to_num(scaled).astype(np.uint8)


# Layout: the signature, then chunks of
#   uint32 length (big-endian), 4 letters, data[length], uint32 CRC-32 of letters and data
# IHDR: width, height, bits per channel, colour type, compression, filter, interlace.
# IDAT: zlib stream of rows, each with a filter byte in front; filter 2 stores the difference to
# the row above, which compresses pictures and costs one subtraction.
def encode(pixels: np.ndarray) -> bytes:
    """One picture, (height, width, channels) uint8 with 1 to 4 channels, as a PNG file.

    Raises:
      InvalidArgumentError: for another shape or element type, or for an empty picture.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in _COLOR_TYPES:
        raise errors.InvalidArgumentError(
            "a picture is uint8 with shape (height, width, channels) and 1, 2, 3 or 4 channels; "
            f"got {pixels.dtype} with shape {pixels.shape}"
        )
    height, width, channels = pixels.shape
    if height == 0 or width == 0:
        raise errors.InvalidArgumentError(f"a picture of shape {pixels.shape} has no pixels")
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = 2
    flat = pixels.reshape(height, -1)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.data, 6))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""What the ops of image files take: TensorFlow 2.15 tells the format by the data, not by the op."""

import io
import re
from typing import Any

import numpy as np
import PIL.Image
import pytest

import shardtape as tf

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def file(kind: str, frames: int = 1) -> bytes:
    """A file of the pixels; those of further frames are brighter."""
    made = [PIL.Image.fromarray(PIXELS + np.uint8(40 * i)) for i in range(frames)]
    out = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": made[1:]} if frames > 1 else {}
    made[0].save(out, kind, **more)
    return out.getvalue()


# (function, format, channels, shape, mean of the pixels, which TensorFlow gives)
TAKEN = [
    ("decode_jpeg", "PNG", 0, (4, 4, 3), 24), ("decode_jpeg", "PNG", 1, (4, 4, 1), 22),
    ("decode_jpeg", "PNG", 4, (4, 4, 4), 81), ("decode_jpeg", "GIF", 3, (4, 4, 3), 24),
    ("decode_png", "GIF", 0, (4, 4, 3), 24), ("decode_png", "JPEG", 3, (4, 4, 3), 22),
]  # fmt: skip


@pytest.mark.parametrize(("function", "kind", "channels", "shape", "mean"), TAKEN)
def test_png_jpeg_and_gif_are_told_apart(
    function: str, kind: str, channels: int, shape: tuple[int, ...], mean: int
) -> None:
    found = getattr(tf.io, function)(file(kind), channels=channels)
    assert found.shape == shape and found.dtype == tf.uint8
    assert abs(found.numpy().mean() - mean) <= 0.5 + (1.5 if kind == "JPEG" else 0)


def test_a_gif_op_gives_other_images_as_one_frame() -> None:
    assert (tf.io.decode_gif(file("PNG")).numpy() == PIXELS[None]).all()
    assert tf.io.decode_gif(file("GIF", 3)).shape == (3, 4, 4, 3)


def test_the_first_of_several_pictures_is_that_of_a_plain_jpeg_file() -> None:
    noise = np.random.RandomState(0).randint(0, 256, (24, 20, 3)).astype(np.uint8)
    out = io.BytesIO()
    first, second = PIL.Image.fromarray(noise), PIL.Image.fromarray(noise[::-1].copy())
    first.save(out, "MPO", save_all=True, append_images=[second])
    several = out.getvalue()
    plain = several.replace(b"MPF\0", b"---\0")  # the mark of further pictures
    assert PIL.Image.open(io.BytesIO(several)).format == "MPO"
    assert PIL.Image.open(io.BytesIO(plain)).format == "JPEG"
    for options in ({}, {"channels": 1}, {"fancy_upscaling": False}):
        found, wanted = (tf.io.decode_jpeg(data, **options) for data in (several, plain))
        np.testing.assert_array_equal(found, wanted)


REFUSED = [
    ("decode_jpeg", file("GIF", 3), 0, "Got 3 frames, but animated gifs can only be decoded by"),
    ("decode_png", file("BMP"), 0, "Trying to decode BMP format using a wrong op."),
    ("decode_bmp", file("PNG"), 0, "Trying to decode PNG format using DecodeBmp op. Use `decode_p"),
    ("decode_image", file("JPEG"), 4, "JPEG does not support 4 channels"),
    ("decode_image", file("GIF"), 1, "channels must be 0 or 3 for GIF, got 1"),
    ("decode_bmp", file("BMP"), 1, "`channels` must be 0, 3 or 4 for BMP, but got 1"),
    ("decode_png", b"", 0, "Input is empty."),
    ("decode_jpeg", b"junk", 0, "Unknown image file format. One of JPEG, PNG, GIF, BMP required."),
]


@pytest.mark.parametrize(("function", "data", "channels", "text"), REFUSED)
def test_other_data_is_refused_in_tensorflows_words(
    function: str, data: bytes, channels: int, text: str
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(text)):
        getattr(tf.io, function)(data, channels=channels)

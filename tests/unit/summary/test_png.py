"""PNG files, read back by Pillow."""

import io

import numpy as np
import pytest
from PIL import Image

from shardtape import errors
from shardtape.summary import png


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (64, 3)])
def test_pixels_come_back(channels, mode, height, width):
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    image = Image.open(io.BytesIO(png.encode(pixels)))
    image.load()
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


def test_views_are_fine():
    pixels = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)[1, ::2, ::-1]
    image = np.asarray(Image.open(io.BytesIO(png.encode(pixels))))
    np.testing.assert_array_equal(image, pixels)


def test_conversion_to_bytes():
    assert png.to_bytes_range(np.array([-1, 0, 0.5, 1, 2, np.nan])).tolist() == [
        0, 0, 127, 255, 255, 0,
    ]  # fmt: skip
    assert png.to_bytes_range(np.array([0, 256, 65535], np.uint16)).tolist() == [0, 1, 255]
    assert png.to_bytes_range(np.array([-5, 0, 127], np.int8)).tolist() == [0, 0, 254]
    assert png.to_bytes_range(np.array([False, True])).tolist() == [0, 255]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 5), (0, 4, 3), (1, 4, 4, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(errors.InvalidArgumentError, match="picture"):
        png.encode(np.zeros(shape, np.uint8))

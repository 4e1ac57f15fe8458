"""Image files that cannot be compared byte by byte, and what is refused."""

import base64
import hashlib
import json
import pathlib

import numpy as np
import pytest

import shardtape as tf

PICTURE = (np.arange(16 * 16 * 3) % 251).astype(np.uint8).reshape(16, 16, 3)


def test_png_gives_back_what_was_written():
    for image in (PICTURE, PICTURE[:, :, :1], PICTURE[:, :, :1].astype(np.uint16) * 200):
        found = tf.io.decode_png(tf.io.encode_png(image), dtype=tf.as_dtype(image.dtype))
        np.testing.assert_array_equal(found, image)


def test_jpeg_is_near():
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    found = tf.io.decode_jpeg(tf.io.encode_jpeg(smooth, quality=100)).numpy().astype(int)
    assert found.shape == (16, 16, 3) and np.abs(found - smooth).max() <= 3
    assert tf.io.decode_jpeg(tf.io.encode_jpeg(smooth), channels=1).shape == (16, 16, 1)
    assert tf.io.decode_jpeg(tf.io.encode_jpeg(smooth), ratio=2).shape == (8, 8, 3)
    assert bool(tf.io.is_jpeg(tf.io.encode_jpeg(smooth)))


def test_any_format_is_found_out():
    assert tf.io.decode_image(tf.io.encode_png(PICTURE)).dtype is tf.uint8
    floats = tf.io.decode_image(tf.io.encode_png(PICTURE), dtype=tf.float32)
    assert floats.dtype is tf.float32 and float(tf.reduce_max(floats)) <= 1.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        tf.io.decode_image(b"nothing of the kind")
    with pytest.raises(tf.errors.InvalidArgumentError, match="no PNG image"):
        tf.io.decode_png(b"\x89PNG broken")


def test_pipelines_decode():
    files = tf.data.Dataset.from_tensors(tf.io.encode_png(PICTURE))
    resized = files.map(lambda f: tf.image.resize(tf.io.decode_png(f, channels=3), [8, 8]))
    (image,) = resized
    assert image.shape == (8, 8, 3) and image.dtype is tf.float32


def test_sizes_and_crops_are_checked():
    with pytest.raises(ValueError, match="3 or 4 dimensions"):
        tf.image.resize(tf.zeros([2, 2]), [1, 1])
    with pytest.raises(ValueError, match="not implemented"):
        tf.image.resize(tf.zeros([2, 2, 1]), [3, 3], "cubist")
    with pytest.raises(ValueError, match="target \\+ offset"):
        tf.image.crop_to_bounding_box(tf.zeros([4, 4, 1]), 2, 2, 3, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="value.shape >= size"):
        tf.image.random_crop(tf.zeros([2, 2, 1]), [3, 3, 1])
    with pytest.raises(ValueError, match="central_fraction"):
        tf.image.central_crop(tf.zeros([4, 4, 1]), 1.5)


def test_what_a_jpeg_file_says_of_itself():
    picture = tf.fill([9, 9, 3], tf.constant(7, tf.uint8))

    def begin(**options):
        made = tf.io.encode_jpeg(picture, **options)
        assert tf.io.decode_jpeg(made).shape == (9, 9, 3)
        return made.numpy()[13:22]

    # units, densities, no thumbnail, the next segment; TensorFlow 2.15's bytes
    assert begin() == b"\x01\x01,\x01,\x00\x00\xff\xdb"
    assert begin(density_unit="cm", x_density=118, y_density=7) == b"\x02\0v\0\x07\0\0\xff\xdb"
    assert begin(xmp_metadata="<x/>")[-2:] == b"\xff\xe1"
    assert begin(format="rgb") == begin()
    for options, text in (
        ({"density_unit": "x"}, "density_unit is 'in' or 'cm'"),
        ({"quality": 101}, r"quality must be in \[0,100\], got 101"),
        ({"format": "grayscale"}, "format grayscale expects 1 channels"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            tf.io.encode_jpeg(picture, **options)


def test_a_part_of_a_jpeg_and_its_shape():
    smooth = np.linspace(0, 255, 20 * 16 * 3).astype(np.uint8).reshape(20, 16, 3)
    file = tf.io.encode_jpeg(smooth, quality=95)
    assert tf.io.extract_jpeg_shape(file).numpy().tolist() == [20, 16, 3]
    assert tf.image.extract_jpeg_shape(file, tf.int64).dtype is tf.int64
    part = tf.image.decode_and_crop_jpeg(file, [3, 2, 8, 5])
    np.testing.assert_array_equal(part, tf.io.decode_jpeg(file)[3:11, 2:7])
    gray = tf.function(lambda f, w: tf.io.decode_and_crop_jpeg(f, w, channels=1))
    assert gray(file, tf.constant([0, 0, 4, 16])).shape == (4, 16, 1)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_and_crop_jpeg(file, [15, 0, 8, 8])


def test_casts_are_found_beside_the_types():
    assert tf.dtypes.cast([1.7], tf.int32).numpy().tolist() == [1]
    assert tf.dtypes.complex(1.0, 2.0).numpy() == 1 + 2j
    assert tf.dtypes.saturate_cast(300, tf.uint8).numpy() == 255


@pytest.mark.parametrize("name", ["decode_jpeg", "decode_and_crop_jpeg"])
def test_how_a_jpeg_is_decoded_is_not_passed_over(name):
    """The numbers are TensorFlow 2.15's for dct_method="INTEGER_ACCURATE"."""
    picture = np.kron(np.arange(48).reshape(4, 4, 3) * 5, np.ones((4, 4, 1))).astype(np.uint8)
    file = tf.io.encode_jpeg(picture, quality=80)
    window = () if name == "decode_jpeg" else ([0, 0, 16, 16],)
    decode = getattr(tf.io, name)
    made = decode(file, *window, dct_method="INTEGER_ACCURATE")
    assert made[5, 7].numpy().tolist() == [79, 84, 88]
    fast = decode(file, *window)
    np.testing.assert_array_equal(fast, decode(file, *window, dct_method="INTEGER_FAST"))
    assert (fast.numpy() != made.numpy()).any()
    with pytest.raises(tf.errors.UnimplementedError, match="fancy_upscaling=False together with"):
        decode(file, *window, fancy_upscaling=False, dct_method="INTEGER_ACCURATE")
    with pytest.raises(tf.errors.InvalidArgumentError, match="got 'FAST'"):
        decode(file, *window, dct_method="FAST")


_JPEG = json.loads(pathlib.Path(__file__).with_name("jpeg_2_15.json").read_text())


@pytest.mark.parametrize("name", _JPEG["files"])
def test_jpeg_files_have_tensorflows_pixels_bit_for_bit(name):
    file = base64.b64decode(_JPEG["files"][name])
    for call, digest in zip(_JPEG["calls"], _JPEG["pixels"][name], strict=True):
        found = tf.io.decode_jpeg(file, **call).numpy()
        assert hashlib.sha256(found).hexdigest() == digest, call
    np.testing.assert_array_equal(tf.io.decode_image(file), tf.io.decode_jpeg(file))


def test_a_damaged_jpeg_is_refused():
    file = base64.b64decode(_JPEG["files"]["half both ways"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="damaged|can be decoded"):
        tf.io.decode_jpeg(file[: len(file) // 2])

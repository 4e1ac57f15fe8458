"""`ImageDataGenerator` of images whose channels come first; the figures are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

Generator = tf.keras.preprocessing.image.ImageDataGenerator
IMAGES = (np.arange(2 * 3 * 4 * 5) % 50).reshape(2, 3, 4, 5).astype(np.float32)


@pytest.mark.parametrize(("name", "axis"), [("flip_horizontal", -1), ("flip_vertical", -2)])
def test_flips(name, axis):
    made = Generator(data_format="channels_first").apply_transform(IMAGES[0], {name: True})
    np.testing.assert_array_equal(made, np.flip(IMAGES[0], axis))


def test_means_of_channels():
    generator = Generator(
        data_format="channels_first", featurewise_center=True, featurewise_std_normalization=True
    )
    generator.fit(IMAGES)
    assert generator.mean.shape == (3, 1, 1)
    np.testing.assert_allclose(generator.mean.ravel(), IMAGES.mean((0, 2, 3)), rtol=1e-6)
    batch = next(generator.flow(IMAGES, batch_size=2, shuffle=False))
    np.testing.assert_allclose(batch.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(batch.std((0, 2, 3)), 1, rtol=1e-5)


def test_moves_are_shares_of_rows_and_columns():
    generator = Generator(
        data_format="channels_first", width_shift_range=0.4, height_shift_range=0.4
    )
    last = Generator(width_shift_range=0.4, height_shift_range=0.4)
    changes = [g.get_random_transform(shape, seed=3) for g, shape in
               ((generator, (3, 4, 5)), (last, (4, 5, 3)))]  # fmt: skip
    assert changes[0] == changes[1]
    first = generator.apply_transform(IMAGES[0], changes[0])
    moved = last.apply_transform(np.moveaxis(IMAGES[0], 0, -1), changes[1])
    np.testing.assert_allclose(first, np.moveaxis(moved, -1, 0), rtol=1e-6)


def test_axes_and_layouts():
    generator = Generator(data_format="channels_first")
    assert (generator.channel_axis, generator.row_axis, generator.col_axis) == (1, 2, 3)
    assert Generator().channel_axis == 3
    with pytest.raises(ValueError, match="`data_format` should be"):
        Generator(data_format="x")


def test_files(tmp_path):
    (tmp_path / "c").mkdir()
    image = tf.keras.utils.array_to_img(IMAGES[0], "channels_first", scale=False)
    image.save(tmp_path / "c" / "a.png")
    generator = Generator(data_format="channels_first", brightness_range=(1, 1))
    found = generator.flow_from_directory(tmp_path, target_size=(4, 5))
    assert found.image_shape == (3, 4, 5)
    np.testing.assert_array_equal(next(found)[0][0], IMAGES[0])

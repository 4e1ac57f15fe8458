"""How `ImageDataGenerator` reads pixels at other places, against scipy's own resampling."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras.preprocessing.affine import resampled

ndimage = pytest.importorskip("scipy.ndimage")


@pytest.mark.parametrize("mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_resampled_equals_scipy(mode: str, order: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    image, matrix = rng.rand(7, 9), np.eye(2) + 0.3 * rng.normal(size=(2, 2))
    offset = 3 * rng.normal(size=2)
    wanted = ndimage.affine_transform(image, matrix, offset, order=order, mode=mode, cval=0.5)
    np.testing.assert_allclose(
        resampled(image, matrix, offset, order, mode, 0.5), wanted, atol=1e-14
    )


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"data_format": "channels_second"}, ValueError, "data_format"),
        ({"zoom_range": [1, 2, 3]}, ValueError, "zoom_range"),
        ({"validation_split": 1.5}, ValueError, "validation_split"),
        ({"brightness_range": (1,)}, ValueError, "brightness_range"),
    ],
)
def test_options_that_are_refused(options: dict, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        tf.keras.preprocessing.image.ImageDataGenerator(**options)


def test_means_are_learned_first() -> None:
    generator = tf.keras.preprocessing.image.ImageDataGenerator(featurewise_center=True)
    batches = generator.flow(np.ones((2, 3, 3, 1)), batch_size=2)
    with pytest.raises(ValueError, match="call `.fit"):
        next(batches)
    with pytest.raises(ValueError, match="length 1"):
        batches[1]


def test_trains_a_model() -> None:
    x = np.random.RandomState(0).rand(20, 6, 6, 1)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(rotation_range=10)
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    batches = generator.flow(x, x.mean((1, 2, 3)), batch_size=8)
    history = model.fit(batches, epochs=2, steps_per_epoch=3, verbose=0)
    assert len(history.history["loss"]) == 2
    assert np.isfinite(history.history["loss"]).all()

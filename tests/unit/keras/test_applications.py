"""What networks of `tf.keras.applications` refuse, and weights from a file."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

APPS = tf.keras.applications


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: APPS.MobileNetV2(weights="imagenet"),
            tf.errors.UnimplementedError,
            "weights=None",
        ),
        (lambda: APPS.VGG16(weights=None, input_shape=(16, 16, 3)), ValueError, "at least 32x32"),
        (lambda: APPS.ResNet50(weights=None, input_shape=(32, 32)), ValueError, "three integers"),
        (lambda: APPS.VGG19(weights=None, input_shape=(None, None, 3)), ValueError, "static"),
        (lambda: APPS.imagenet_utils.decode_predictions(np.ones((1, 10))), ValueError, "1000"),
        (lambda: APPS.imagenet_utils.preprocess_input(np.ones(3), mode="x"), ValueError, "mode"),
    ],
)
def test_refuses(make: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_weights_of_a_file_and_a_given_input(tmp_path: Any) -> None:
    options = {"input_shape": (32, 32, 3), "alpha": 0.35, "include_top": False}
    first = APPS.MobileNetV2(weights=None, **options)
    first.save_weights(str(tmp_path / "weights"))
    entrance = tf.keras.Input((32, 32, 3))
    second = APPS.MobileNetV2(
        weights=str(tmp_path / "weights"), input_tensor=entrance, alpha=0.35, include_top=False
    )
    x = np.random.RandomState(0).rand(1, 32, 32, 3).astype(np.float32)
    np.testing.assert_allclose(second(x), first(x), atol=1e-6)


def test_the_deep_ones_are_as_deep_as_their_names_say() -> None:
    for make, layers in ((APPS.ResNet101, 101), (APPS.ResNet152, 152)):
        model = make(weights=None, input_shape=(32, 32, 3), classes=3)
        counted = [x for x in model.layers if hasattr(x, "kernel") and "_0_" not in x.name]
        assert len(counted) == layers

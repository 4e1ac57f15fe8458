"""Networks of `tf.keras.applications` beside those of Keras 2.15, what they refuse, their files."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf

APPS = tf.keras.applications
_FOLDER = Path(__file__).parent
RECORDED = json.loads((_FOLDER / "applications_2_15.json").read_text())
_spec = importlib.util.spec_from_file_location("recorded", _FOLDER / "record_applications.py")
assert _spec is not None and _spec.loader is not None
recorded: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recorded)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: APPS.MobileNetV2(weights="imagenet"),
            tf.errors.UnimplementedError,
            "weights=None .* weights='path/of/the/file' of Keras's .h5",
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


@pytest.fixture
def empty_weights(monkeypatch: Any) -> None:
    """First weights of zeros: drawing those of all networks takes a minute."""

    def zeros(self: Any, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.zeros(tuple(shape))  # memory that nobody writes into

    monkeypatch.setattr(tf.keras.initializers.VarianceScaling, "__call__", zeros)


def _before_in(model: Any) -> Any:
    """A function from a layer to the names of the layers whose outputs it takes."""
    made_by = {
        t._id: x.name
        for x in model.layers
        for node in x.inbound_nodes
        for t in tf.nest.flatten(node.outputs)
    }
    return lambda layer: [made_by[t._id] for t in layer.inbound_nodes[0].inputs()]


@pytest.mark.parametrize(
    ("which", "expected"), list(zip(recorded.STRUCTURES, RECORDED["structures"], strict=True)),
    ids=[f"{name}-{'-'.join(options)}" for name, options in recorded.STRUCTURES],
)  # fmt: skip
def test_is_made_of_what_keras_makes_it(which: Any, expected: Any, empty_weights: None) -> None:
    name, options = which
    tf.keras.backend.clear_session()
    model = getattr(APPS, name)(weights=None, **options)
    assert recorded.structure(model, _before_in(model)) == expected


@pytest.mark.parametrize(
    ("which", "expected"), list(zip(recorded.COMPUTED, RECORDED["computed"], strict=True)),
    ids=[name for name, _, _ in recorded.COMPUTED],
)  # fmt: skip
def test_computes_what_keras_computes(which: Any, expected: Any, empty_weights: None) -> None:
    name, options, size = which
    model = getattr(APPS, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3), **options
    )
    found = recorded.computed(recorded.numbers(model, size))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * expected[0])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("mobilenet", [-1.0, 0.0]), ("inception_v3", [-1.0, 0.0]), ("xception", [-1.0, 0.0]),
        ("resnet_v2", [-1.0, 0.0]), ("efficientnet", [0.0, 127.5]),
        ("efficientnet_v2", [0.0, 127.5]), ("convnext", [0.0, 127.5]), ("regnet", [0.0, 127.5]),
        ("nasnet", [-1.0, 0.0]), ("inception_resnet_v2", [-1.0, 0.0]),
        ("resnet_rs", [0.0, 127.5]),
        ("densenet", [-0.485 / 0.229, (0.5 - 0.485) / 0.229]),
        ("vgg16", [-103.939, 127.5 - 103.939]),
    ],
)  # fmt: skip
def test_scales_images_as_each_network_wants_them(module: str, expected: Any) -> None:
    x = np.array([[0.0, 0.0, 0.0], [127.5, 127.5, 127.5]])
    made = getattr(APPS, module).preprocess_input(x)
    np.testing.assert_allclose(np.asarray(made)[:, 0], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("ending", ["h5", "weights.h5", "keras"])
def test_weights_of_keras_files(ending: str, tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    path = str(tmp_path / f"saved.{ending}")
    options = {"input_shape": (32, 32, 3), "alpha": 0.25, "include_top": False}
    first = APPS.MobileNet(weights=None, **options)
    first.save(path) if ending == "keras" else first.save_weights(path)
    second = APPS.MobileNet(weights=path, **options)
    np.testing.assert_array_equal(second.get_weights()[0], first.get_weights()[0])
    np.testing.assert_array_equal(second.get_weights()[-1], first.get_weights()[-1])
    assert not second.optimizer


def test_the_deep_ones_are_as_deep_as_their_names_say() -> None:
    for make, layers in ((APPS.ResNet101, 101), (APPS.ResNet152, 152)):
        model = make(weights=None, input_shape=(32, 32, 3), classes=3)
        counted = [x for x in model.layers if hasattr(x, "kernel") and "_0_" not in x.name]
        assert len(counted) == layers


def test_models_with_layers_of_their_own_are_loaded(tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    x = tf.keras.Input((3,))
    h = APPS.convnext.LayerScale(0.5, 3)(x)
    model = tf.keras.Model(x, APPS.inception_resnet_v2.CustomScaleLayer(0.25)([x, h]))
    path = str(tmp_path / "saved.keras")
    model.save(path)
    given = np.array([[1.0, 2.0, 4.0]], np.float32)
    for made in (model, tf.keras.models.load_model(path)):
        assert made(given).numpy().tolist() == [[1.125, 2.25, 4.5]]


def test_a_nasnet_of_any_size_takes_images() -> None:
    model = APPS.NASNetMobile(weights=None, include_top=False, pooling="avg")
    assert model(np.ones((1, 97, 97, 3), np.float32)).shape == (1, 1056)


def test_numbers_of_classes_and_names_of_the_head() -> None:
    tf.keras.backend.clear_session()
    small = {"weights": None, "input_shape": (32, 32, 3), "classes": 3}
    first, second = APPS.RegNetX002(**small), APPS.RegNetX002(**small)
    assert [m.layers[-1].name for m in (first, second)] == ["1head_dense", "2head_dense"]
    assert first.layers[-1].activation.__name__ == "linear"

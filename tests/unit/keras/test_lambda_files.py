"""Lambda layers: configurations, files, copies; the results are Keras 2.15's."""

import base64
import json
import marshal
import zipfile

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras import function_code

keras = tf.keras
layers = keras.layers
ONES = np.ones((1, 3), np.float32)
factor = 3.0


def named(x, c=2.0):
    return x * c


def with_cell(q):
    return lambda x, s=5: x * q + s


MAKERS = {
    "lambda": (lambda: layers.Lambda(lambda x: x * 2), 2.0),
    "named": (lambda: layers.Lambda(named, arguments={"c": 4.0}), 4.0),
    "cell": (lambda: layers.Lambda(with_cell(3.0)), 8.0),
    "global": (lambda: layers.Lambda(lambda x: x * factor), 3.0),
}


@pytest.fixture(autouse=True)
def fresh():
    keras.backend.clear_session()


def model_of(kind):
    make, result = MAKERS[kind]
    return keras.Sequential([keras.Input((3,)), make()]), np.full((1, 3), result, np.float32)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("kind", MAKERS)
def test_files_of_one_piece(tmp_path, name, kind):
    pytest.importorskip("h5py")
    model, result = model_of(kind)
    model.save(tmp_path / name)
    for own in (None, {"named": named}):
        with pytest.raises(ValueError, match="holds the code of a Python function.*safe_mode=Fals"):
            keras.models.load_model(tmp_path / name, custom_objects=own)
    loaded = keras.models.load_model(tmp_path / name, safe_mode=False)
    np.testing.assert_array_equal(loaded(ONES), result)
    with pytest.raises(ValueError, match="safe_mode=False"):  # it was allowed for that file only
        keras.models.load_model(tmp_path / name)


@pytest.mark.parametrize("kind", MAKERS)
def test_folders_give_the_saved_computation_or_the_layers(tmp_path, kind, caplog):
    model, result = model_of(kind)
    model.save(tmp_path / "d")
    safe = keras.models.load_model(tmp_path / "d")
    np.testing.assert_array_equal(safe(ONES), result)
    assert "gives the saved computation" in caplog.text
    loaded = keras.models.load_model(tmp_path / "d", safe_mode=False)
    np.testing.assert_array_equal(loaded(ONES), result)
    assert isinstance(loaded.layers[-1], layers.Lambda)


@pytest.mark.parametrize("kind", MAKERS)
def test_copies_and_configurations(kind):
    model, result = model_of(kind)
    clone = keras.models.clone_model(model)
    np.testing.assert_array_equal(clone(ONES), result)
    assert clone.layers[-1].function is model.layers[-1].function
    x = keras.Input((3,))
    clone = keras.models.clone_model(keras.Model(x, MAKERS[kind][0]()(x)))
    np.testing.assert_array_equal(clone(ONES), result)
    for load in (
        lambda: keras.Sequential.from_config(model.get_config()),
        lambda: keras.models.model_from_json(model.to_json()),
        lambda: layers.deserialize(layers.serialize(model.layers[-1])),
    ):
        with pytest.raises(ValueError, match="safe_mode=False"):
            load()
    described = keras.utils.serialize_keras_object(model.layers[-1])
    again = keras.utils.deserialize_keras_object(described, safe_mode=False)
    np.testing.assert_array_equal(again(ONES), result)


def test_the_configuration_is_in_keras_form():
    function = with_cell(3.0)
    config = layers.Lambda(function, name="c", output_shape=(3,)).get_config()
    code, defaults, closure = config.pop("function")
    assert (defaults, closure) == ((5,), (3.0,))
    assert marshal.loads(base64.b64decode(code)) == function.__code__
    assert config == {
        "name": "c", "trainable": True, "dtype": "float32", "function_type": "lambda",
        "module": __name__, "output_shape": (3,), "output_shape_type": "raw",
        "output_shape_module": None, "arguments": {},
    }  # fmt: skip


def test_functions_with_a_known_name_need_no_code(tmp_path):
    pytest.importorskip("h5py")

    @keras.utils.register_keras_serializable(package="lambda_files")
    def tripled(x):
        return 3 * x

    for function, result in ((tripled, 3.0), (tf.nn.relu, 1.0), (tf.math.exp, np.exp(1.0))):
        keras.Sequential([keras.Input((3,)), layers.Lambda(function)]).save(tmp_path / "m.keras")
        loaded = keras.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(loaded(ONES), np.full((1, 3), result), rtol=1e-6)


def test_code_of_another_python_is_not_run(tmp_path):
    pytest.importorskip("h5py")
    model, _ = model_of("lambda")
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as old:
        files = {n: old.read(n) for n in old.namelist()}
    metadata = json.loads(files["metadata.json"])
    assert metadata["python_version"] == function_code.PYTHON
    files["metadata.json"] = json.dumps({**metadata, "python_version": "2.7"}).encode()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for name, content in files.items():
            new.writestr(name, content)
    with pytest.raises(ValueError, match=r"code that Python 2\.7 compiled"):
        keras.models.load_model(tmp_path / "m.keras", safe_mode=False)


def test_what_has_neither_name_nor_code():
    class Callable:
        def __call__(self, x):
            return x

    with pytest.raises(NotImplementedError, match="is no function with a known name"):
        layers.Lambda(Callable()).get_config()


def test_shapes_and_masks():
    def shape(**options):
        return tuple(layers.Lambda(lambda x: x + 1, **options).compute_output_shape((None, 3)))

    assert shape(output_shape=(7,)) == (None, 7)
    assert shape() == (None, 3)
    assert shape(output_shape=lambda s: (s[0], 9)) == (None, 9)
    x, mask = tf.ones((2, 3)), tf.constant([True, False])
    assert layers.Lambda(lambda x: x).compute_mask(x, mask) is None
    assert layers.Lambda(lambda x: x, mask=lambda x, m: m).compute_mask(x, mask) is mask
    seeing = layers.Lambda(lambda x, mask=None: x if mask is None else x + 5)
    np.testing.assert_array_equal(seeing(x, mask=mask), np.full((2, 3), 6.0))
    np.testing.assert_array_equal(seeing(x), np.ones((2, 3)))

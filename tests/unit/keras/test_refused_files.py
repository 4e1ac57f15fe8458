"""Files of models that cannot be loaded: the classes of TensorFlow 2.15's errors."""

import pickle

import pytest

import shardtape as tf

keras = tf.keras


def _hidden():
    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    return Own  # nobody can import it


Hidden = _hidden()


@pytest.mark.parametrize("name", ["junk.keras", "junk.h5"])
@pytest.mark.parametrize("content", [b"junk", b""])
def test_a_file_of_something_else_is_an_os_error(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OSError, match=name) as raised:
        keras.models.load_model(path)
    with pytest.raises(tf.errors.DataLossError):  # as of any damaged file here
        keras.models.load_model(path)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_folder_without_a_model_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="holds no Keras model"):
        keras.models.load_model(tmp_path)


@pytest.mark.parametrize("ending, kind", [("keras", TypeError), ("h5", ValueError)])
def test_a_class_that_nobody_knows(tmp_path, ending, kind):
    path = str(tmp_path / f"model.{ending}")
    keras.Sequential([keras.Input((2,)), Hidden()]).save(path)
    with pytest.raises(kind, match="Unknown object: 'Own'"):
        keras.models.load_model(path)
    assert len(keras.models.load_model(path, custom_objects={"Own": Hidden}).layers) == 1


def test_a_class_that_nobody_knows_in_json():
    text = keras.Sequential([keras.Input((2,)), Hidden()]).to_json()
    with pytest.raises(TypeError, match="Unknown object: 'Own'"):
        keras.models.model_from_json(text)

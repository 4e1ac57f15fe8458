"""Shapes that a summary shows, sizes that do not fit, and other shown forms; all of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers


def test_a_functional_model_has_the_shapes_of_its_own_tensors():
    x = keras.Input((None, None, 3))
    base = keras.Model(x, layers.Conv2D(4, 3, padding="same")(x), name="base")
    entrance = keras.Input((32, 32, 3))
    outer = keras.Model(entrance, base(entrance))
    assert base.output_shape == (None, None, None, 4)
    assert base.input_shape == (None, None, None, 3)
    assert outer.layers[1].output.shape == [None, None, None, 4]
    base(keras.Input((64, 16, 3)))
    assert base.output_shape == (None, None, None, 4)
    lines = []
    outer.summary(print_fn=lines.append)
    assert any("base (Functional)           (None, None, None, 4)" in line for line in lines)


def test_preprocess_input_of_symbolic_images():
    def names(module):
        keras.backend.clear_session()
        x = keras.Input((8, 8, 3))
        model = keras.Model(x, module.preprocess_input(x))
        return [layer.name for layer in model.layers[1:]], model(tf.ones((1, 8, 8, 3)))[0, 0, 0]

    made, values = names(keras.applications.vgg16)
    assert made == ["tf.__operators__.getitem", "tf.nn.bias_add"]
    np.testing.assert_allclose(values, [-102.939, -115.779, -122.68], rtol=1e-6)
    made, values = names(keras.applications.densenet)
    assert made == ["tf.math.truediv", "tf.nn.bias_add", "tf.math.truediv_1"]
    np.testing.assert_allclose(values, [-2.1007793, -2.0182073, -1.7870152], rtol=1e-5)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(("layer", "rank"), [("Conv1D", 1), ("Conv2D", 2), ("Conv3D", 3)])
def test_inputs_too_small_for_a_convolution(layer, rank, symbolic):
    made = getattr(layers, layer)(2, 7, name="small")
    x = keras.Input((3,) * rank + (1,)) if symbolic else np.ones((1, *(3,) * rank, 1), np.float32)
    with pytest.raises(ValueError, match="is <= 0 due to downsampling in small"):
        made(x)
    assert getattr(layers, layer)(2, 4, padding="same")(x).shape[1] == 3


def test_no_data_at_all():
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="Failed to find data adapter"):
            call()


def test_the_width_of_a_progress_bar(capsys):
    bar = keras.utils.Progbar(2, width=10)
    bar.add(1)
    assert "1/2 [====>.....] - ETA: 0s" in capsys.readouterr().out
    bar.add(1)
    assert "2/2 [==========] - 0s" in capsys.readouterr().out


def test_initializers_are_shown_as_objects():
    assert repr(keras.initializers.GlorotUniform()).startswith("<shardtape.keras.initializers.")

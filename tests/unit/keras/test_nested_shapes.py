"""Shapes and layers that a summary shows of nested models; the tables are of Keras 2.15."""

import numpy as np

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

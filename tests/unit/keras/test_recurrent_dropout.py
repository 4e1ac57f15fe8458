"""Dropout of recurrent layers, with the numbers of TensorFlow 2.15 for the same seeds."""

import numpy as np
import pytest

import shardtape as tf

layers = tf.keras.layers
DROP, RECUR = {"dropout": 0.5}, {"recurrent_dropout": 0.5}

# layer, options, outputs of the first sample of two: eagerly, in a function, in its second call;
# then a number that the function draws after the layer
RECORDED = [
    ("SimpleRNN", {"activation": "relu", **DROP}, [3, 9, 21], [3, 7, 17], [1, 3, 9], 0.055544138),
    ("SimpleRNN", DROP | RECUR, [0.995, 1, 1], [0.995, 1, 0.995], [0.762, 0.987, 1], 0.40639675),
    ("LSTM", DROP, [0.704, 0.947, 0.987], [0.704, 0.947, 0.987], [0.37, 0.911, 0.929], 0.38538742),
    ("LSTM", RECUR, [0.704, 0.913, 0.947], [0.704, 0.945, 0.985], [0.704, 0.943, 0.986],
     0.38538742),
    ("LSTM", DROP | RECUR, [0.542, 0.852, 0.932], [0.734, 0.955, 0.946], [0.482, 0.841, 0.979],
     0.3020407),
    ("LSTM", {"activation": "relu", **DROP}, [2.722, 11.297, 36.894], [2.722, 9.273, 30.833],
     [0.534, 2.207, 9.888], 0.38538742),
    ("GRU", DROP, [0.018, 0.035, 0.051], [0.018, 0.035, 0.051], [0.114, 0.116, 0.199], 0.7787856),
    ("GRU", DROP | RECUR, [0.018, 0.036, 0.053], [0.018, 0.131, 0.143], [0.115, 0.198, 0.208],
     0.52111566),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "eager", "first", "second", "after"), RECORDED)
def test_masks_are_those_of_keras(kind, options, eager, first, second, after):
    ones = dict.fromkeys(
        ("kernel_initializer", "recurrent_initializer", "bias_initializer"), "ones"
    )
    layer = getattr(layers, kind)(2, return_sequences=True, **ones, **options)
    x = tf.ones((2, 3, 2))
    layer(x)
    tf.random.set_seed(1)
    np.testing.assert_allclose(layer(x, training=True)[0, :, 0], eager, atol=6e-4)
    tf.random.set_seed(1)
    run = tf.function(lambda t: (layer(t, training=True), tf.random.uniform(())))
    y, drawn = run(x)
    np.testing.assert_allclose(y[0, :, 0], first, atol=6e-4)
    np.testing.assert_allclose(drawn, after, rtol=1e-6)
    np.testing.assert_allclose(run(x)[0][0, :, 0], second, atol=6e-4)


@pytest.mark.parametrize("built", [False, True])
def test_a_model_that_its_first_step_builds_keeps_its_random_numbers(built):
    tf.keras.utils.set_random_seed(3)
    rng = np.random.RandomState(0)
    x = rng.rand(300, 100)
    y = (x[:, :50].sum(1) > x[:, 50:].sum(1)).astype("float32")
    traces = []

    class Spy(layers.Layer):
        def call(self, inputs, training=None):
            traces.append(training)
            return inputs

    first = {"input_shape": (100,)} if built else {}
    model = tf.keras.Sequential(
        [layers.Dense(16, activation="relu", **first), layers.Dropout(0.5), Spy(),
         layers.Dense(1, activation="sigmoid")]
    )  # fmt: skip
    model.compile("rmsprop", "binary_crossentropy")
    got = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    wanted = [0.7155802845954895, 0.7046077847480774, 0.6861047148704529]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert traces.count(True) == (2 if built else 3)

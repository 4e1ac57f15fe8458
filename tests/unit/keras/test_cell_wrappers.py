"""Cells around cells, and the convolution that subclasses may change; numbers of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.sin(np.arange(24.0).reshape(2, 4, 3)).astype("float32")


def _cell(units=3):
    constant = K.initializers.Constant
    return K.layers.LSTMCell(
        units, kernel_initializer=constant(0.2), recurrent_initializer=constant(0.1)
    )


@pytest.mark.parametrize(
    ("wrap", "rows"),
    [
        (tf.nn.RNNCellResidualWrapper,
         [[0.42347, -0.53267, -0.98864], [0.85454, 0.00903, -0.82834]]),
        (lambda c: tf.nn.RNNCellResidualWrapper(c, residual_fn=lambda i, o: i * 2 + o),
         [[0.83559, -1.07669, -1.98863], [1.69119, 0.00018, -1.67456]]),
        (tf.nn.RNNCellDropoutWrapper, [[0.01135] * 3, [0.01788] * 3]),
        (lambda c: tf.nn.RNNCellDeviceWrapper(c, "/cpu:0"), [[0.01135] * 3, [0.01788] * 3]),
    ],
)  # fmt: skip
def test_outputs(wrap, rows):
    wrapped = wrap(_cell())
    assert list(wrapped.state_size) == [3, 3] and wrapped.output_size == 3
    np.testing.assert_allclose(K.layers.RNN(wrapped)(X), rows, atol=1e-5)


def test_dropped_outputs_and_states():
    tf.random.set_seed(0)
    half = tf.nn.RNNCellDropoutWrapper(_cell(64), output_keep_prob=0.5, seed=3)
    zeros = K.layers.RNN(half, return_sequences=True)(X).numpy() == 0
    assert 0.35 < zeros.mean() < 0.65 and not (zeros == zeros[:, :1]).all()
    states = [tf.ones([2, 64]), tf.ones([2, 64])]
    _, new = tf.nn.RNNCellDropoutWrapper(_cell(64), state_keep_prob=0.5)(X[:, 0], states)
    assert all(0.3 < (s.numpy() == 0).mean() < 0.7 for s in new)


def test_the_same_members_at_all_steps():
    same = tf.nn.RNNCellDropoutWrapper(
        _cell(64), output_keep_prob=0.5, variational_recurrent=True, dtype=tf.float32
    )
    plain = K.layers.RNN(_cell(64), return_sequences=True)(X).numpy()
    made = K.layers.RNN(same, return_sequences=True)(X).numpy()
    zeros = made == 0
    assert (zeros == zeros[:1, :1]).all() and 0.2 < zeros.mean() < 0.8
    np.testing.assert_allclose(made[~zeros], 2 * plain[~zeros], rtol=1e-5)


def test_trains_and_is_made_anew():
    wrapped = tf.nn.RNNCellResidualWrapper(_cell())
    model = K.Sequential([K.layers.RNN(wrapped, input_shape=(4, 3)), K.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, np.ones((2, 1)), verbose=0)
    assert len(model.trainable_variables) == 5
    config = tf.nn.RNNCellDropoutWrapper(_cell(), input_keep_prob=0.5).get_config()
    again = tf.nn.RNNCellDropoutWrapper.from_config(config)
    assert again.input_keep_prob == 0.5 and again.cell.units == 3


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tf.nn.RNNCellDropoutWrapper(_cell(), 1.5), ValueError, "between 0 and 1: 1.5"),
        (lambda: tf.nn.RNNCellDropoutWrapper(3), AttributeError, "no method `call`"),
        (lambda: tf.nn.RNNCellDropoutWrapper(_cell(), variational_recurrent=True), ValueError,
         "dtype must be provided"),
        (lambda: tf.nn.RNNCellResidualWrapper(_cell(4))(X[:, 0], [tf.zeros([2, 4])] * 2),
         ValueError, "shapes to match"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_kernel_that_a_subclass_changes():
    class Standardized(K.layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            mean, var = tf.nn.moments(kernel, axes=[0, 1, 2], keepdims=True)
            return super().convolution_op(inputs, (kernel - mean) / tf.sqrt(var + 1e-10))

    layer = Standardized(2, 2, bias_initializer="ones")
    x = np.sin(np.arange(32.0)).reshape(1, 4, 4, 2).astype("float32")
    layer.build(x.shape)
    layer.kernel.assign(np.cos(np.arange(16.0)).reshape(2, 2, 2, 2))
    wanted = [-1.99874, -0.47892, 2.73038, -0.32018, 2.55856, 3.5777]
    np.testing.assert_allclose(np.ravel(layer(x))[:6], wanted, atol=1e-5)

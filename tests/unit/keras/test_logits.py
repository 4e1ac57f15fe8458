"""Cross-entropies of what softmax and sigmoid made. The numbers are TensorFlow 2.15's."""

import gc
import weakref

import numpy as np
import pytest

import shardtape as tf

keras, layers = tf.keras, tf.keras.layers

X = np.linspace(-1, 1, 40).reshape(20, 2).astype(np.float32)
Y = np.eye(2, dtype=np.float32)[(X.sum(1) > 0).astype(int)]
PAIRS = ("softmax", "binary_crossentropy"), ("sigmoid", "categorical_crossentropy")


def dense(activation=None, units=2, **named):
    first = keras.initializers.RandomUniform(seed=1)
    return layers.Dense(units, activation, kernel_initializer=first, **named)


ENDS = {
    "dense": lambda activation: [dense(activation)],
    "activation": lambda activation: [dense(), layers.Activation(activation)],
    "layer": lambda activation: [
        dense(), layers.Softmax() if activation == "softmax" else layers.Activation(activation)
    ],
    "nested": lambda activation: [keras.Sequential([keras.Input((2,)), dense(activation)])],
}  # fmt: skip


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("activation, loss", PAIRS)
def test_the_logits_of_either_activation_are_taken(activation, loss, end, eager):
    model = keras.Sequential([keras.Input((2,)), *ENDS[end](activation)])
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=eager)
    known = [0.6998, 0.6782] if activation == "softmax" else [0.7036, 0.6220]
    history = model.fit(X, Y, epochs=2, shuffle=False, batch_size=8, verbose=0).history
    np.testing.assert_allclose(history["loss"], known, atol=1e-4)


# [inside the same function, of what another function returned] for each loss
LOOPS = {
    ("softmax", "BinaryCrossentropy"): [0.7012, 0.7094],
    ("softmax", "BinaryFocalCrossentropy"): [0.1810, 0.1831],
    ("sigmoid", "CategoricalCrossentropy"): [0.7094, 0.7012],
    ("sigmoid", "CategoricalFocalCrossentropy"): [0.0458, 0.0445],
}


@pytest.mark.parametrize("activation, loss", LOOPS)
def test_the_logits_are_forgotten_where_another_function_returns(activation, loss):
    model = keras.Sequential([keras.Input((2,)), dense(activation)])
    measure = getattr(keras.losses, loss)()
    returned = tf.function(lambda x: model(x))
    whole = tf.function(lambda x, y: measure(y, model(x)))
    same, other = LOOPS[activation, loss]
    x, y = tf.constant(X), tf.constant(Y)
    found = [measure(y, model(x)), whole(x, y), measure(y, returned(x))]
    np.testing.assert_allclose(found, [same, same, other], atol=1e-4)
    nested = tf.function(lambda x, y: measure(y, returned(x)))
    assert float(nested(x, y)) == pytest.approx(other, abs=1e-4)


def test_metrics_take_the_logits_where_no_cast_is_between():
    model = keras.Sequential([keras.Input((2,)), dense("softmax")])
    assert float(keras.metrics.BinaryCrossentropy()(Y, model(X))) == pytest.approx(0.7012, abs=1e-4)
    half = keras.Sequential([keras.Input((2,)), dense("softmax", dtype="mixed_bfloat16")])
    assert float(keras.metrics.BinaryCrossentropy()(Y, half(X))) == pytest.approx(0.7094, abs=1e-3)


Z, T = tf.constant([[1.0, -2, 0.5], [3, 0.1, 0.2]]), tf.constant([[1.0, 0, 0], [0, 1, 0]])
OWN = [0.5046, 3.0096]  # from the logits
MADE = {
    "softmax": (keras.activations.softmax, OWN, OWN),
    "sigmoid": (keras.activations.sigmoid, OWN, OWN),
    "backend": (keras.backend.sigmoid, OWN, OWN),
    "plain sigmoid": (tf.nn.sigmoid, [0.7004, 1.3511], [0.7004, 1.3511]),
    "other axis": (lambda z: keras.activations.softmax(z, 0), OWN, OWN),
    "two axes": (lambda z: keras.backend.softmax(z, (0, 1)), OWN, OWN),
}


@pytest.mark.parametrize("made", MADE)
def test_backend_cross_entropies_take_the_logits_of_keras_functions(made):
    function, eager, graph = MADE[made]

    def loss(z):
        return keras.backend.categorical_crossentropy(T, function(z))

    np.testing.assert_allclose(loss(Z), eager, atol=1e-4)
    np.testing.assert_allclose(tf.function(loss)(Z), graph, atol=1e-4)


def test_the_backend_binary_losses_are_of_single_elements():
    loss = keras.backend.binary_crossentropy(T, keras.activations.softmax(Z))
    np.testing.assert_allclose(
        loss, [[0.3133, 0.1269, 0.9741], [3.0486, 0.6444, 0.7981]], atol=1e-4
    )
    plain = keras.backend.binary_crossentropy(T, tf.nn.softmax(Z))
    np.testing.assert_allclose(
        plain, [[0.5046, 0.0305, 0.4560], [2.2652, 3.0096, 0.0560]], atol=1e-4
    )
    focal = keras.backend.binary_focal_crossentropy(T, keras.activations.softmax(Z))
    np.testing.assert_allclose(
        focal, [[0.0492, 0.0001, 0.1306], [2.4485, 0.5824, 0.0024]], atol=1e-4
    )


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_class_numbers_beside_a_binary_loss_are_refused(activation, eager):
    model = keras.Sequential([keras.Input((2,)), dense(activation, 3)])
    model.compile("sgd", "binary_crossentropy", run_eagerly=eager)
    with pytest.raises(ValueError, match="must have the same shape"):
        model.fit(X, (X.sum(1) > 0).astype(int), verbose=0)


def test_the_logits_live_as_long_as_the_result():
    logits = tf.ones((2, 3)) * 2
    gone = weakref.ref(logits)
    made = keras.activations.softmax(logits)
    del logits
    gc.collect()
    assert gone() is not None
    del made
    gc.collect()
    assert gone() is None

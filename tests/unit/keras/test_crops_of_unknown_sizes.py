"""Crops of images whose size is known only when they come; the figures are Keras 2.15's."""

import numpy as np

import shardtape as tf

layers = tf.keras.layers
IMAGES = tf.reshape(tf.range(72.0), (2, 6, 6, 1))


def test_the_middle():
    given = tf.keras.Input((None, None, 1))
    made = layers.CenterCrop(2, 3)(given)
    assert tuple(made.shape) == (None, 2, 3, 1)
    model = tf.keras.Model(given, made)
    assert model(IMAGES)[0, ..., 0].numpy().tolist() == [[13, 14, 15], [19, 20, 21]]
    smaller = model(IMAGES[:, :2, :2]).numpy()
    np.testing.assert_allclose(smaller, layers.CenterCrop(2, 3)(IMAGES[:, :2, :2]).numpy())


def test_anywhere():
    given = tf.keras.Input((None, None, 1))
    model = tf.keras.Model(given, layers.RandomCrop(2, 3)(given))
    part = model(IMAGES, training=True)[0, ..., 0].numpy()
    assert (np.diff(part, axis=1) == 1).all() and (np.diff(part, axis=0) == 6).all()
    assert model(IMAGES[:, :1], training=True).shape == (2, 2, 3, 1)


def test_a_model_trains_on_crops():
    given = tf.keras.Input((None, None, 3))
    cut = layers.RandomCrop(height=8, width=8)(given)
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(cut))
    model = tf.keras.Model(given, layers.Dense(1)(pooled))
    model.compile("sgd", "mse")
    history = model.fit(np.ones((4, 10, 12, 3)), np.ones((4, 1)), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]

"""Losses and metrics that leave a class out, and metrics of functions; numbers of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
PREDICTED = np.array([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
WEIGHTS = np.array([0.5, 2, 1])


def test_losses():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)
    np.testing.assert_allclose(loss([1, 0, 1], PREDICTED), 0.28990927, rtol=1e-5)
    weighted = loss([1, 0, 1], PREDICTED, sample_weight=WEIGHTS)
    np.testing.assert_allclose(weighted, 0.2341234, rtol=1e-5)
    function = keras.losses.sparse_categorical_crossentropy
    mask = function([[[1], [0]]], PREDICTED[None, :2], ignore_class=0)._keras_mask
    assert mask.numpy().tolist() == [[True, False]]


def test_metrics_count_the_others():
    metric = keras.metrics.SparseCategoricalCrossentropy(ignore_class=0)
    metric.update_state([1, 0, 1], PREDICTED)
    np.testing.assert_allclose([metric.result(), metric.count], [0.28990924, 2], rtol=1e-5)
    metric.reset_state()
    metric.update_state([1, 0, 1], PREDICTED, sample_weight=WEIGHTS)
    np.testing.assert_allclose([metric.result(), metric.count], [0.31216452, 1.5], rtol=1e-5)


def test_in_fit_with_weights():
    model = keras.Sequential([keras.layers.Dense(2, "softmax", kernel_initializer="ones")])
    metric = keras.metrics.SparseCategoricalCrossentropy(ignore_class=0, name="q")
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)
    model.compile("sgd", loss, metrics=[metric], weighted_metrics=[])
    got = model.evaluate(PREDICTED, np.array([1, 0, 1]), verbose=0)
    np.testing.assert_allclose(got, [0.6931472, 0.6931472], rtol=1e-5)
    got = model.evaluate(PREDICTED, np.array([1, 0, 1]), sample_weight=WEIGHTS, verbose=0)
    np.testing.assert_allclose(got, [0.5198604, 0.6931472], rtol=1e-5)


def test_names_of_metrics_of_functions():
    wrapper = keras.metrics.MeanMetricWrapper
    assert wrapper(keras.losses.mse).name == "mean_metric_wrapper"
    assert wrapper(keras.losses.mse, name="zz").name == "zz"


@pytest.mark.parametrize(
    "layer", ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "SeparableConv2D"]
)
def test_convolutions_are_not_dilated_and_strided(layer):
    with pytest.raises(ValueError, match="not supported in conjunction with `dilation_rate > 1`"):
        getattr(keras.layers, layer)(2, 2, strides=2, dilation_rate=2)

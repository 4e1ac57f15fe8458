"""UpSampling2D and Resizing by the methods of tf.image.resize; numbers of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

X = np.array([[0.12573022, -0.13210486, 0.64042264], [0.10490011, -0.5356694, 0.36159506]])
LAYERS = tf.keras.layers

# the second of four rows, and the gradient of a sum weighed by 0, 1, 2 ...
SECOND_ROW_AND_GRADIENT = {
    "bilinear": (
        [0.1205227, 0.1205227, 0.0026831, -0.1151565, -0.232996, 0.034908, 0.3028119, 0.5707157,
         0.5707157],
        [40.416664, 57.75, 75.08332, 134.916656, 152.249985, 169.583344],
    ),
    "bicubic": (
        [0.1568821, 0.1214154, 0.0010476, -0.1645062, -0.2157004, 0.0165156, 0.3511012, 0.5826655,
         0.6666586],
        [31.522911, 47.967037, 68.84745, 144.29277, 155.752548, 181.61731],
    ),
    "lanczos3": (
        [0.213933, 0.1208795, -0.0381107, -0.2115343, -0.2260833, 0.0174868, 0.3361298, 0.5754918,
         0.7232285],
        [25.068218, 40.559677, 63.593536, 152.535095, 157.183044, 191.060425],
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", SECOND_ROW_AND_GRADIENT)
def test_methods_of_enlarging(method):
    row, gradient = SECOND_ROW_AND_GRADIENT[method]
    x = tf.constant(X.reshape(1, 2, 3, 1), tf.float32)
    layer = LAYERS.UpSampling2D((2, 3), interpolation=method)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        total = tf.reduce_sum(y * np.arange(36, dtype=np.float32).reshape(1, 4, 9, 1))
    np.testing.assert_allclose(y[0, 1, :, 0], row, atol=2e-6)
    np.testing.assert_allclose(tf.reshape(tape.gradient(total, x), [-1]), gradient, rtol=2e-6)
    same = LAYERS.UpSampling2D.from_config(layer.get_config())
    np.testing.assert_array_equal(same(x), y)
    np.testing.assert_allclose(LAYERS.Resizing(4, 9, interpolation=method)(x), y, atol=1e-6)


@pytest.fixture
def mixed_policy():
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("first", [False, True])
def test_bilinear_enlarging_gives_float32_under_any_policy(first, mixed_policy):
    inputs = tf.keras.Input((3, 4, 5) if first else (4, 5, 3))
    layout = "channels_first" if first else "channels_last"
    made = LAYERS.UpSampling2D(interpolation="bilinear", data_format=layout)(inputs)
    assert made.dtype == tf.float32
    assert made.shape.as_list() == ([None, 3, 8, 10] if first else [None, 8, 10, 3])
    assert LAYERS.Dense(2)(made).dtype == tf.float16
    assert LAYERS.Resizing(3, 4)(inputs).dtype == tf.float16


def test_bilinear_enlarging_is_one_operation():
    layer = LAYERS.UpSampling2D(interpolation="bilinear")
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec([2, 4, 5, 3])).graph
    types = [node.type for node in graph.get_operations()]
    assert types.count("ResizeBilinear") == 1
    assert "GatherNd" not in types


def test_methods_that_there_are_not():
    with pytest.raises(NotImplementedError, match="cubic"):
        LAYERS.UpSampling2D(interpolation="cubic")

"""`seed` of LSTM and GRU: which masks it is for. Values of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
X = np.ones([2, 3, 4], np.float32)
# kind, arguments, outputs of the first call in training, the next number of the global stream
CASES = [
    ("LSTM", {"dropout": 0.5},
     [[-0.5371, 0.1427, -0.6898], [-0.285, 0.1762, -0.5533]], 0.165131),
    ("LSTM", {"recurrent_dropout": 0.5},
     [[-0.3646, 0.113, -0.6569], [-0.2398, 0.0978, -0.5214]], 0.522203),
    ("LSTM", {"dropout": 0.5, "recurrent_dropout": 0.4},
     [[-0.5129, 0.5153, -0.8649], [-0.3009, 0.1225, -0.7413]], 0.088688),
    ("LSTM", {"dropout": 0.5, "unroll": True},
     [[-0.1461, 0.1967, 0.425], [-0.1461, 0.1967, 0.425]], 0.522203),
    ("LSTM", {"dropout": 0.5, "activation": "relu"},
     [[0.0, 0.1712, 0.6409], [0.0, 0.1712, 0.6409]], 0.522203),
    ("GRU", {"dropout": 0.5},
     [[-0.618, 0.2497, -0.5628], [-0.6356, 0.6241, -0.2667]], 0.165131),
    ("GRU", {"dropout": 0.5, "recurrent_dropout": 0.4},
     [[-0.7367, -0.0575, -0.8774], [-0.6744, 0.6778, -0.2025]], 0.738866),
    ("GRU", {"dropout": 0.5, "reset_after": False},
     [[-0.5244, -0.4834, -0.5525], [-0.5244, -0.4834, -0.5525]], 0.992167),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arguments", "first", "following"), CASES)
def test_masks_and_what_is_left_of_the_stream(kind, arguments, first, following):
    keras.utils.set_random_seed(1)
    layer = getattr(keras.layers, kind)(
        3, kernel_initializer=keras.initializers.GlorotUniform(1),
        recurrent_initializer=keras.initializers.Orthogonal(2), seed=3, **arguments,
    )  # fmt: skip
    np.testing.assert_allclose(layer(X, training=True), first, atol=2e-4)
    layer(X, training=True)
    np.testing.assert_allclose(tf.random.uniform([2])[0], following, atol=1e-6)

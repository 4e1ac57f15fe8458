"""Which seeds layers get whose weights are made in a replica, read off TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

FIRST, SECOND = [[0.04436207, -0.5400542]], [[-0.5012498, -0.85836136]]


def following():
    return tf.keras.initializers.GlorotUniform()((1, 2)).numpy()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (tf.distribute.MirroredStrategy, FIRST),
        (lambda: tf.distribute.OneDeviceStrategy("/cpu:0"), SECOND),
    ],
)
@pytest.mark.parametrize("in_function", [False, True])
def test_a_mirrored_replica_draws_from_pythons_random_numbers(make, expected, in_function):
    strategy = make()
    tf.keras.utils.set_random_seed(0)
    with strategy.scope():
        layer = tf.keras.layers.Dense(2)

    def run(x):
        return strategy.run(layer, args=(x,))

    out = (tf.function(run) if in_function else run)(tf.ones((1, 3)))
    np.testing.assert_allclose(out, [[0.5466684, -1.9665937]], rtol=1e-5)
    # Keras's own generator is where it was before, and Python's is one further
    np.testing.assert_allclose(following(), expected, rtol=1e-5)


def test_weights_made_in_the_scope_draw_from_keras():
    strategy = tf.distribute.MirroredStrategy()
    tf.keras.utils.set_random_seed(0)
    with strategy.scope():
        tf.keras.layers.Dense(2).build((None, 3))
    np.testing.assert_allclose(following(), SECOND, rtol=1e-5)


def test_an_input_context_says_which_pipeline_it_is():
    shown = str(tf.distribute.InputContext(num_input_pipelines=3, input_pipeline_id=1))
    assert shown == "tf.distribute.InputContext(input pipeline id 1, total: 3)"

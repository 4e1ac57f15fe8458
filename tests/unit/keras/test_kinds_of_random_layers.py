"""`rng_type` of layers that draw, and arguments of TensorFlow's names; values of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

layers = tf.keras.layers
X = np.ones((1, 2, 4), "float32")
# Which elements are kept in two calls, seed 5.
KEPT = {
    ("stateful", layers.Dropout): ("10010011", "10010110"),
    ("stateful", layers.SpatialDropout1D): ("10011001", "01100110"),
    ("stateless", layers.Dropout): ("01101001", "01101001"),
    ("stateless", layers.SpatialDropout1D): ("01100110", "01100110"),
}


@pytest.mark.parametrize("kind, layer", KEPT)
def test_dropouts_keep_what_kerass_keep(kind, layer):
    made = layer(0.5, seed=5, rng_type=kind)
    for wanted in KEPT[kind, layer]:
        got = made(X, training=True).numpy().ravel()
        np.testing.assert_array_equal(got, [2.0 * int(c) for c in wanted])
    assert made.variables == [] and "rng_type" not in made.get_config()


def test_kinds_of_other_layers():
    noise = layers.GaussianNoise(0.5, rng_type="stateless", seed=3)
    np.testing.assert_allclose(noise(np.ones((1, 2)), training=True), [[0.6642076, 1.8380252]])
    forced = layers.Dropout(0.5, seed=5, force_generator=True)(X, training=True).numpy().ravel()
    np.testing.assert_array_equal(forced, [2.0, 0, 0, 2, 0, 0, 2, 2])
    with pytest.raises(ValueError, match="Invalid `rng_type`"):
        layers.Dropout(0.5, rng_type="nope")


def test_a_stateful_dropout_in_a_model_goes_on():
    model = tf.keras.Sequential([layers.Dropout(0.5, seed=5, rng_type="stateful")])
    step = tf.function(lambda: model(X, training=True))
    first, second = step().numpy().ravel(), step().numpy().ravel()
    np.testing.assert_array_equal([first, second], [[2.0, 0, 0, 2, 0, 0, 2, 2],
                                                    [2.0, 0, 0, 2, 0, 2, 2, 0]])  # fmt: skip


def test_names_that_are_not_marked_as_used():
    graph = tf.Graph()
    names = [graph.unique_name("a", mark_as_used=m) for m in (True, True, False, False, True)]
    assert names == ["a", "a_1", "a_2", "a_2", "a_2"]


def test_matrices_are_added_by_name():
    ones = tf.ones((2, 2))
    for operator, diagonal in [
        (tf.linalg.LinearOperatorIdentity(2), 2.0), (tf.linalg.LinearOperatorZeros(2), 1.0),
        (tf.linalg.LinearOperatorScaledIdentity(2, 3.0), 4.0),
    ]:  # fmt: skip
        np.testing.assert_array_equal(operator.add_to_tensor(mat=ones)[0], [diagonal, 1.0])

"""Moving averages, creators of Variables, dropout by a sampler, distances of sequences."""

import numpy as np
import pytest

import shardtape as tf


def test_a_moving_average_follows():  # the numbers are TensorFlow 2.15's
    averages = tf.train.ExponentialMovingAverage(0.9)
    v = tf.Variable(1.0, name="v")
    assert averages.average(v) is None
    averages.apply([v])
    v.assign(3.0)
    averages.apply([v])
    assert averages.average(v).numpy() == pytest.approx(1.2)
    assert averages.average(v).name == "v/ExponentialMovingAverage:0"
    early = tf.train.ExponentialMovingAverage(0.9, num_updates=tf.constant(3))
    early.apply([v])
    v.assign(5.0)
    early.apply([v])
    assert early.average(v).numpy() == pytest.approx(5 - 2 * 4 / 13)
    with pytest.raises(ValueError, match="list of Variables"):
        averages.apply()
    with pytest.raises(TypeError, match="floating"):
        averages.apply([tf.Variable(1)])


def test_a_moving_average_in_a_function_and_in_a_checkpoint(tmp_path):
    averages = tf.train.ExponentialMovingAverage(0.5)
    v = tf.Variable([1.0, 2.0])
    averages.apply([v])

    @tf.function
    def step():
        v.assign_add([2.0, 2.0])
        averages.apply([v])

    step()
    step()
    np.testing.assert_allclose(averages.average(v), [3.5, 4.5])
    path = tf.train.Checkpoint(averages=averages).save(tmp_path / "a")
    averages.average(v).assign([0.0, 0.0])
    tf.train.Checkpoint(averages=averages).restore(path)
    np.testing.assert_allclose(averages.average(v), [3.5, 4.5])


def test_creators_change_what_variables_are_made():
    asked = []

    def named(prefix):
        def creator(next_creator, **kwargs):
            asked.append(prefix)
            kwargs["name"] = prefix + (kwargs.get("name") or "")
            return next_creator(**kwargs)

        return creator

    with tf.variable_creator_scope(named("a_")):
        with tf.variable_creator_scope(named("b_")):
            v = tf.Variable(1.0, name="v")
        layer = tf.keras.layers.Dense(1)
        layer.build((None, 2))
    assert v.name == "a_b_v:0" and asked[:2] == ["b_", "a_"]
    assert type(v) is type(tf.Variable(1.0)) and isinstance(v, tf.Variable)
    assert all(w.name.rsplit("/", 1)[-1].startswith("a_") for w in layer.weights)
    assert tf.Variable(1.0, name="v").name == "v:0"


def test_dropout_by_a_sampler():
    x = tf.ones([6])
    made = tf.nn.experimental.stateless_dropout(x, 0.5, [1, 2])
    assert made.numpy().tolist() == [2, 0, 2, 0, 0, 2]  # as TensorFlow 2.15 draws
    half = tf.nn.experimental.general_dropout(x, 0.5, lambda shape, dtype: tf.fill(shape, 0.7))
    assert half.numpy().tolist() == [2.0] * 6
    with pytest.raises(ValueError, match="range"):
        tf.nn.experimental.stateless_dropout(x, 1.5, [1, 2])


def test_distances_of_sequences():
    one = tf.sparse.from_dense(tf.constant([["a", "b"], ["x", ""], ["q", ""]]))
    two = tf.sparse.from_dense(tf.constant([["a", ""], ["y", "x"], ["", ""]]))
    assert tf.edit_distance(one, two).numpy().tolist() == [1.0, 0.5, np.inf]
    assert tf.edit_distance(one, two, normalize=False).numpy().tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(TypeError, match="Hypothesis must be a SparseTensor"):
        tf.edit_distance([1], two)


def test_repeats_are_left_out():
    labels, lengths = tf.nn.collapse_repeated([[1, 1, 2, 2, 3], [0, 0, 1, 3, 3]], [5, 3])
    assert labels.numpy().tolist() == [[1, 2, 3], [0, 1, 0]]
    assert lengths.numpy().tolist() == [3, 2]


def test_fingerprints():
    assert tf.fingerprint(["abc"]).numpy().tolist() == [[105, 243, 231, 116, 160, 179, 165, 36]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unsupported fingerprint method"):
        tf.fingerprint(["abc"], method="md5")

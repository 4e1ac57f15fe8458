"""Generators and Variables in strategies of one replica: as TensorFlow 2.15 has them."""

import pytest

import shardtape as tf

IN_A_REPLICA, OUTSIDE = -0.87930447, 0.43842274


@pytest.mark.parametrize(
    "strategy",
    [tf.distribute.MirroredStrategy(["cpu:0"]), tf.distribute.OneDeviceStrategy("cpu:0")],
)
def test_made_in_the_scope(strategy):
    with strategy.scope():
        generator = tf.random.Generator.from_seed(1)
    draw = tf.function(lambda: strategy.run(lambda: generator.normal([])))
    assert strategy.run(lambda: generator.normal([])).numpy() == pytest.approx(IN_A_REPLICA)
    assert draw().numpy() == pytest.approx(-1.5822568)
    assert generator.normal([]).numpy() == pytest.approx(1.6307176)
    assert generator.state.numpy().tolist() == [769, 0, 0]
    made_inside = strategy.run(lambda: tf.random.Generator.from_seed(1).normal([]))
    assert made_inside.numpy() == pytest.approx(IN_A_REPLICA)


def test_made_outside():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    generator = tf.random.Generator.from_seed(1)
    assert strategy.run(lambda: generator.normal([])).numpy() == pytest.approx(OUTSIDE)
    default = tf.distribute.get_strategy()
    made_inside = default.run(lambda: tf.random.Generator.from_seed(1).normal([]))
    assert made_inside.numpy() == pytest.approx(OUTSIDE)


def test_variables_of_a_mirroring_strategy_are_shown_with_their_replica():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    reads = {
        "synchronization": tf.VariableSynchronization.ON_READ,
        "aggregation": tf.VariableAggregation.SUM,
    }
    with strategy.scope():
        weight, total = tf.Variable(1.0), tf.Variable(2.0, **reads)
        layer = tf.keras.layers.Dense(1)
        layer.build((None, 1))
    own = "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy={}>"
    assert repr(weight) == str(weight) == f"MirroredVariable:{{\n  0: {own.format('1.0')}\n}}"
    assert repr(total) == f"SyncOnReadVariable:{{\n  0: {own.format('2.0')}\n}}"
    assert repr(layer.bias).startswith("MirroredVariable:{\n  0: <tf.Variable 'bias:0'")
    assert repr(weight.assign(3.0)).startswith("<tf.Variable 'UnreadVariable'")
    with tf.distribute.OneDeviceStrategy("cpu:0").scope():
        assert repr(tf.Variable(1.0)) == own.format("1.0")
    assert repr(tf.Variable(1.0)) == own.format("1.0")

"""Generators in strategies of one replica: TensorFlow 2.15's numbers."""

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

"""Strategies of one replica, logical devices, profiles, and traces for the Graphs page."""

import pstats

import pytest

import shardtape as tf


def test_one_replica_runs_and_reduces():
    strategy = tf.distribute.MirroredStrategy()
    assert strategy.num_replicas_in_sync == 1 and not tf.distribute.has_strategy()
    with strategy.scope():
        assert tf.distribute.get_strategy() is strategy
        assert tf.distribute.in_cross_replica_context()
        value = strategy.run(lambda x: x + 1.0, args=(tf.constant([1.0, 3.0]),))
    assert float(strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=0)) == 6.0
    assert float(strategy.reduce("mean", value, axis=0)) == 3.0
    assert strategy.reduce("sum", value, axis=None).numpy().tolist() == [2.0, 4.0]
    dataset = tf.data.Dataset.range(3)
    assert strategy.experimental_distribute_dataset(dataset) is dataset
    with pytest.raises(AttributeError, match="tf.Trainer"):
        tf.distribute.TPUStrategy  # noqa: B018


def test_code_in_a_replica_knows_it():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")

    def inside():
        context = tf.distribute.get_replica_context()
        assert context.replica_id_in_sync_group == 0
        return context.all_reduce("sum", tf.constant(2.0))

    assert float(strategy.run(inside)) == 2.0


def test_logical_devices():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    try:
        assert len(tf.config.list_logical_devices("CPU")) == 2
    finally:
        tf.config.set_logical_device_configuration(cpu, [])
    assert len(tf.config.list_logical_devices("CPU")) == 1


def test_profiles_are_written(tmp_path):
    with tf.profiler.experimental.Profile(str(tmp_path)):
        tf.reduce_sum(tf.ones([3]))
    (file,) = tmp_path.glob("plugins/profile/*/*.pstats")
    assert pstats.Stats(str(file)).total_calls > 0  # type: ignore[attr-defined]
    with pytest.raises(tf.errors.UnavailableError):
        tf.profiler.experimental.stop()


def test_graphs_of_functions_are_traced(tmp_path):
    @tf.function
    def scaled(x):
        return x * 2.0 + 1.0

    with pytest.raises(ValueError, match="trace_on"):
        tf.summary.trace_export("none", step=0)
    writer = tf.summary.create_file_writer(str(tmp_path))
    tf.summary.trace_on(graph=True)
    scaled(tf.constant(1.0))
    with writer.as_default():
        tf.summary.trace_export("scaled", step=0)
    writer.flush()
    (file,) = tmp_path.iterdir()
    assert b"AddV2" in file.read_bytes()

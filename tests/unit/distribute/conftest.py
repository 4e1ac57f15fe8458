"""Strategies with a replica on each of two logical CPUs."""

import pytest

import shardtape as tf
from shardtape.checkpoint import pending


@pytest.fixture
def strategy():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    yield tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
    tf.config.set_logical_device_configuration(cpu, [])
    while pending._waiting:  # partial restores would look at what other tests make
        pending._waiting.pop().close()

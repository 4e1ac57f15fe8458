"""Device names, `tf.device` and what `tf.config` lists; texts checked on TensorFlow 2.15."""

import numpy as np
import pytest
from unit.backend import strict_device

from shardtape import backend, devices, errors
from shardtape.context import state
from shardtape.devices import DeviceSpec
from shardtape.graph.ir import Graph
from shardtape.ops.filling import fill
from shardtape.ops.random import random_uniform


@pytest.mark.parametrize(
    "text, name",
    [
        ("/gpu:0", "/device:GPU:0"),
        ("GPU", "/device:GPU:*"),
        ("cpu:1", "/device:CPU:1"),
        ("/device:CPU:0", "/device:CPU:0"),
        ("/job:ps/task:1", "/job:ps/task:1"),
        ("/job:ps/cpu:0", "/job:ps/device:CPU:0"),
        ("/job:localhost/replica:0/task:0/device:GPU:2",) * 2,
        ("", ""),
    ],
)
def test_names_are_parsed_and_written(text, name):
    spec = DeviceSpec.from_string(text)
    assert spec.to_string() == name
    assert DeviceSpec.from_string(name) == spec and hash(DeviceSpec.from_string(name)) == hash(spec)


@pytest.mark.parametrize(
    "text, message",
    [
        ("foo", "Unknown attribute 'foo' is encountered while parsing the device spec: 'foo'."),
        ("/foo:0", "Unknown attribute 'foo' is encountered"),
        ("/cpu:0/gpu:0", "Multiple device types are not allowed"),
        ("/CPU:x", "invalid literal for int"),
    ],
)
def test_wrong_names_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        devices.device(text)


def test_specs_merge_and_change():
    spec = DeviceSpec.from_string("/job:ps/task:1/gpu:2")
    assert repr(spec) == (
        "<DeviceSpec(job=ps, replica=None, task=1, device_type=GPU, device_index=2)>"
    )
    assert spec.replace(task=3).to_string() == "/job:ps/task:3/device:GPU:2"
    inner = DeviceSpec.from_string("/cpu:1")
    assert spec.make_merged_spec(inner).to_string() == "/job:ps/task:1/device:CPU:1"
    assert devices.canonical_name("gpu:0") == "/job:localhost/replica:0/task:0/device:GPU:0"


def test_blocks_nest_in_a_graph():
    with Graph().as_default():
        with devices.device("/job:ps"), devices.device("/task:2/cpu:0"):
            assert fill([1], 1.0).device == "/job:ps/task:2/device:CPU:0"
            with devices.device(None):
                assert fill([1], 1.0).device == ""
        assert fill([1], 1.0).device == ""
        with pytest.raises(RuntimeError, match="does not support functions"):
            devices.device(lambda op: "/cpu:0")


def test_gpu_falls_back_to_the_cpu_unless_told_not_to(monkeypatch):
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    with devices.device("/GPU:0"):
        assert fill([1], 1.0).device.endswith("CPU:0")
    assert state.device is None and not backend.accelerated
    devices.set_soft_device_placement(False)
    try:
        with pytest.raises(errors.InvalidArgumentError, match="GPU:0 unknown device"):
            devices.device("/GPU:0").__enter__()
    finally:
        devices.set_soft_device_placement(True)


def test_other_processes_are_refused_in_eager_mode():
    with pytest.raises(errors.InvalidArgumentError, match="/job:ps.*unknown device"):
        devices.device("/job:ps/task:1").__enter__()


def test_ops_run_where_the_block_says():
    with strict_device.whole_program():
        assert fill([2], 1.0).device.endswith("CPU:0")
        with devices.device("/GPU:0"):
            drawn = random_uniform([2], seed=3)
            assert drawn.device == devices.canonical_name("GPU:0")
            assert (drawn * 2.0).device.endswith("GPU:0")
        assert (drawn * 2.0).device.endswith("GPU:0")  # ops follow their inputs
        with devices.device("/CPU:0"):
            assert (drawn * 2.0).device.endswith("CPU:0")
        assert isinstance(drawn.numpy(), np.ndarray)


def test_what_is_listed(monkeypatch):
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    monkeypatch.setattr(devices, "_visible", {})
    cpu, *gpus = devices.list_physical_devices()
    assert repr(cpu) == "PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')"
    assert [d.name for d in gpus] == ["/physical_device:GPU:0", "/physical_device:GPU:1"]
    assert devices.list_physical_devices("GPU") == gpus
    devices.set_visible_devices(gpus[1], "GPU")
    assert devices.get_visible_devices() == [cpu, gpus[1]]
    assert [d.name for d in devices.list_logical_devices()] == ["/device:CPU:0", "/device:GPU:0"]
    devices.set_visible_devices([], "GPU")
    assert devices.list_logical_devices("GPU") == []
    with pytest.raises(ValueError, match="Unrecognized device"):
        devices.set_visible_devices(devices.PhysicalDevice("/physical_device:GPU:7", "GPU"))
    devices.set_memory_growth(gpus[0], True)


def test_asking_for_a_gpu_without_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(errors.FailedPreconditionError, match=r"shardtape\[gpu\]"):
        backend.require_accelerator()

"""Raw ops that are made of public functions: results and names of outputs of TensorFlow 2.15."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import shardtape as tf

_HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("record_raw_ops", _HERE / "record_raw_ops.py")
assert _spec is not None and _spec.loader is not None
_recorder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_recorder)
_RECORDED = json.loads((_HERE / "raw_ops_2_15.json").read_text())


def test_every_case_is_recorded():
    assert [name for name, _, _ in _RECORDED] == [name for name, _ in _recorder.CASES]


@pytest.mark.parametrize("place", range(len(_recorder.CASES)),
                         ids=[name for name, _ in _recorder.CASES])  # fmt: skip
def test_results(place, monkeypatch):
    monkeypatch.setattr(_recorder, "CASES", [_recorder.CASES[place]])
    ((name, fields, outputs),) = _recorder.results(tf)
    _, wanted_fields, wanted = _RECORDED[place]
    assert fields == wanted_fields
    # the last output of the third version is room that kernels of GPUs use
    for got, want in zip(outputs[:5], wanted[:5], strict=True):
        if isinstance(want, list) and want and isinstance(want[0], str):
            assert got == want
        else:
            np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=2e-5, atol=1e-6)


def test_buckets_of_each_type():
    def places(values, dtype, boundaries):
        made = tf.raw_ops.Bucketize(input=tf.constant(values, dtype), boundaries=boundaries)
        return made.numpy().tolist()

    # recorded from TensorFlow 2.15: doubles are compared as such, integers as single floats
    near = [0.99999999999, 1.0, 1.00000000001]
    assert places(near, tf.float64, [1.0]) == [0, 1, 1]
    assert places([16777217, 16777215, 33554433], tf.int32, [16777216.0, 33554432.0]) == [1, 0, 2]


def test_variables_by_their_handles():
    v = tf.Variable([1.0, 2.0, 3.0])
    raw = tf.raw_ops
    raw.ResourceScatterAdd(resource=v.handle, indices=[0, 0], updates=[10.0, 20.0])
    raw.ResourceScatterUpdate(resource=v.handle, indices=[2], updates=[7.0])
    raw.AssignAddVariableOp(resource=v.handle, value=[1.0, 1.0, 1.0])
    assert raw.ReadVariableOp(resource=v.handle, dtype=tf.float32).numpy().tolist() == [32, 3, 8]
    raw.ResourceScatterNdUpdate(ref=v.handle, indices=[[1]], updates=[5.0])
    assert raw.ResourceGather(resource=v.handle, indices=[1, 0], dtype=tf.float32
                              ).numpy().tolist() == [5, 32]  # fmt: skip

    @tf.function
    def step(x):
        raw.AssignSubVariableOp(resource=v.handle, value=x)
        return raw.VariableShape(input=v.handle)

    assert step(tf.constant([1.0, 1.0, 1.0])).numpy().tolist() == [3]
    assert v.numpy().tolist() == [31, 4, 7]


def test_tables_by_their_handles():
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    raw, handle = tf.raw_ops, table.resource_handle
    raw.LookupTableInsertV2(
        table_handle=handle, keys=["a", "b"], values=tf.constant([1, 2], tf.int64)
    )
    found = raw.LookupTableFindV2(table_handle=handle, keys=["b", "c"], default_value=tf.constant(
        9, tf.int64))  # fmt: skip
    assert found.numpy().tolist() == [2, 9]
    assert raw.LookupTableSizeV2(table_handle=handle) == 2


def test_gradients_flow_through():
    x = tf.constant([[1.0, 2.0], [3.0, 5.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.raw_ops.BatchMatMulV3(x=x, y=x, Tout=tf.float32)
    np.testing.assert_allclose(tape.gradient(y, x), [[7, 12], [10, 15]])


def test_what_is_refused():
    with pytest.raises(TypeError, match="only takes keyword args"):
        tf.raw_ops.Cross([1.0, 0, 0], [0, 1.0, 0])
    with pytest.raises(TypeError, match=r"takes \['a', 'b'\]"):
        tf.raw_ops.Cross(a=[1.0, 0, 0])
    with pytest.raises(TypeError, match="got .*'c'"):
        tf.raw_ops.Cross(a=[1.0, 0, 0], b=[1.0, 0, 0], c=1)
    assert tf.raw_ops.Cross(a=[1.0, 0, 0], b=[0, 1.0, 0], T=tf.float32).numpy().tolist() == [
        0,
        0,
        1,
    ]

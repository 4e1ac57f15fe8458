"""Methods and attributes of tensors, Variables, shapes and types, as TensorFlow 2.15 has them."""

import numpy as np
import pytest

import shardtape as tf


def test_limits_of_types():
    given = {"float32": (0, 1), "float64": (0, 1), "int8": (0, 127), "uint8": (0, 255),
             "uint16": (0, 65535), "int64": (0, 2**63 - 1), "uint64": (0, 2**64 - 1),
             "bool": (False, True)}  # fmt: skip
    for name, limits in given.items():
        assert tf.as_dtype(name).limits == limits
    for kind in (tf.float16, tf.bfloat16, tf.complex64, tf.string):
        with pytest.raises(ValueError, match="does not have defined limits"):
            _ = kind.limits
    assert tf.complex64.is_numeric and tf.bfloat16.is_numeric
    assert not tf.string.is_numeric and not tf.bool.is_numeric
    assert tf.float32.is_subtype_of(tf.float32) and not tf.float32.is_subtype_of(tf.float64)
    assert tf.int32.most_specific_common_supertype([tf.int32]) is tf.int32
    assert tf.int32.most_specific_common_supertype([tf.int64]) is None


def test_shapes_below_and_above():
    known, open_ = tf.TensorShape([2, 3]), tf.TensorShape([None, 3])
    assert known.is_subtype_of(open_) and not open_.is_subtype_of(known)
    assert known.is_subtype_of(tf.TensorShape(None))
    assert not known.is_subtype_of(tf.TensorShape([2, 3, 1]))
    assert not tf.TensorShape(None).is_subtype_of(known)
    assert known.most_specific_common_supertype([tf.TensorShape([2, 4])]).as_list() == [2, None]
    assert known.most_specific_common_supertype([3]) is None


def test_rows_of_a_batch_are_set():
    v = tf.Variable(np.arange(12.0).reshape(2, 3, 2))
    rows = tf.IndexedSlices(tf.constant([[[9.0, 9]], [[8.0, 8]]], tf.float64), [[1], [2]])
    wanted = [[[0, 1], [9, 9], [4, 5]], [[6, 7], [8, 9], [8, 8]]]
    assert v.batch_scatter_update(rows).numpy().tolist() == wanted
    assert v.numpy().tolist() == wanted
    v.assign(np.arange(12.0).reshape(2, 3, 2))

    @tf.function
    def update(indices):
        v.batch_scatter_update(tf.IndexedSlices(rows.values, indices))

    update(tf.constant([[1], [2]]))
    assert v.numpy().tolist() == wanted
    flat = tf.Variable(tf.zeros(4))
    flat.batch_scatter_update(tf.IndexedSlices(tf.constant([5.0, 6.0]), tf.constant([3, 1])))
    assert flat.numpy().tolist() == [0, 6, 0, 5]
    with pytest.raises(TypeError, match="must be a `tf.IndexedSlices`"):
        flat.batch_scatter_update(3)


def test_members_of_variables():
    v = tf.Variable([1.0, 2.0])
    assert bool(v.is_initialized()) and v.is_initialized().dtype is tf.bool
    with pytest.raises(RuntimeError, match="not supported when eager"):
        _ = v.initial_value
    assert tf.function(lambda: v.initial_value)() is None
    assert v.experimental_ref() == v.ref()
    assert v.read_value_no_copy().numpy().tolist() == [1, 2]
    with pytest.raises(ValueError, match="not compatible"):
        v.set_shape([3])
    counter = tf.Variable(1)
    assert int(counter.count_up_to(3)) == 1 and int(counter) == 2
    counter.count_up_to(3)
    with pytest.raises(tf.errors.OutOfRangeError, match="limit of 3"):
        counter.count_up_to(3)
    with pytest.raises(TypeError, match="float32"):
        v.count_up_to(3)
    assert complex(tf.Variable(3.0)) == 3 + 0j


def test_members_of_tensors():
    x = tf.constant([3.0])
    assert x.cpu().numpy().tolist() == [3] and not x.is_packed
    assert x.experimental_ref() == x.ref()
    with pytest.raises(NotImplementedError, match=r"\.numpy\(\)"):
        x.eval()
    with pytest.raises(NotImplementedError, match="undefined when eager"):
        x.consumers()
    with pytest.raises(AttributeError, match="value_index is undefined"):
        _ = x.value_index


def test_how_a_model_runs():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    assert model.run_eagerly is False and model.jit_compile is None
    model.compile("sgd", "mse")
    assert model.run_eagerly is False and model.jit_compile is False
    seen = []

    class Noted(tf.keras.layers.Layer):
        def call(self, x):
            seen.append(tf.executing_eagerly())
            return x

    noted = tf.keras.Sequential([Noted(), tf.keras.layers.Dense(1)])
    noted.compile("sgd", "mse")
    x = np.ones((4, 2), np.float32)
    noted.fit(x, x[:, :1], epochs=1, verbose=0)
    assert seen and not any(seen)
    noted.run_eagerly = True
    assert noted.run_eagerly is True
    seen.clear()
    noted.fit(x, x[:, :1], epochs=1, verbose=0)
    assert seen and all(seen)
    model.compile("sgd", "mse", jit_compile=True)
    assert model.jit_compile is True
    with pytest.raises(ValueError, match="at the same time"):
        model.compile("sgd", "mse", jit_compile=True, run_eagerly=True)

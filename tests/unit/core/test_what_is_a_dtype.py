"""What `tf.as_dtype` takes and refuses; recorded from TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

TAKEN = [
    ("float", "float32"), ("half", "float16"), ("double", "float64"), ("string", "string"),
    (float, "float32"), (bool, "bool"), (object, "string"), (3, "int32"), (1, "float32"),
    (np.int32, "int32"), (np.str_, "string"), (np.bytes_, "string"), (np.bool_, "bool"),
    (np.longlong, "int64"), (np.intc, "int32"), (np.dtype("S3"), "string"),
    (np.dtype(">i4"), "int32"), (np.dtype("O"), "string"), (np.array([1]), "int64"),
    (tf.bfloat16.as_numpy_dtype, "bfloat16"), ("qint8", "qint8"), (tf.float32, "float32"),
]  # fmt: skip
REFUSED = [
    "int", "str", "foo", "f", "<f4", "i4", "INT32", "bool_", "long", "complex", "S", "U5", "uint",
    int, complex, str, bytes, None, 99, False, [1], np.datetime64, np.dtype("M8"), np.void,
    np.integer, np.floating, np.generic, tf.constant(1), tf.TensorSpec([], tf.int8), tf.DType,
]  # fmt: skip


@pytest.mark.parametrize("value, name", TAKEN, ids=repr)
def test_what_is_taken(value, name):
    assert tf.as_dtype(value).name == name


@pytest.mark.parametrize("value", REFUSED, ids=repr)
def test_what_is_refused(value):
    with pytest.raises(TypeError) as caught:
        tf.as_dtype(value)
    text = f"Cannot convert the argument `type_value`: {value!r} to a TensorFlow DType."
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "make",
    [lambda d: tf.cast([1.5], d), lambda d: tf.constant([1], d), lambda d: tf.zeros([2], d),
     lambda d: tf.Variable([1], dtype=d), lambda d: tf.TensorSpec([2], d),
     lambda d: tf.TensorArray(d, 2), lambda d: tf.keras.layers.Dense(2, dtype=d),
     lambda d: tf.keras.metrics.Mean(dtype=d), lambda d: tf.saturate_cast([1.5], d),
     lambda d: tf.py_function(lambda: 1, [], d)],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [int, "int", "f4", str])
def test_functions_refuse_it_too(make, dtype):
    with pytest.raises(TypeError, match="to a TensorFlow DType"):
        make(dtype)


def test_numpys_functions_keep_numpys_rules():
    tnp = tf.experimental.numpy
    for given, name in [(int, "int64"), (float, "float64"), ("f4", "float32"), ("int", "int64"),
                        (complex, "complex128"), (bool, "bool")]:  # fmt: skip
        assert tnp.ones(2, dtype=given).dtype.name == name
        assert tnp.array([1], dtype=given).dtype.name == name
        assert tnp.zeros_like([1], dtype=given).dtype.name == name
    assert tnp.sum(tnp.array([1, 2]), dtype=float).dtype == tf.float64
    assert tnp.arange(3, dtype=int).dtype == tf.int64
    made = tf.numpy_function(lambda: np.int64(1), [], int)  # eagerly the dtype is what it gives
    assert made.dtype == tf.int64


def test_names_of_policies():
    assert tf.keras.layers.Dense(2, dtype="mixed_float16").compute_dtype == "float16"
    with pytest.raises(ValueError, match="mixed precision Policy"):
        tf.keras.mixed_precision.Policy("int")
    with pytest.raises(ValueError, match="configuration of a Policy"):
        tf.keras.layers.Dense(2, dtype={"a": 1})

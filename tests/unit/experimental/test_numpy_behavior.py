"""NumPy's behaviour of tensors, which a process turns on once: so in processes of their own."""

import subprocess
import sys

import numpy as np
import pytest

import shardtape as tf

_PROGRAM = """
import numpy as np
import shardtape as tf

tnp = tf.experimental.numpy
tnp.experimental_enable_numpy_behavior({options})
x = tf.constant([[1, 2], [3, 4]])
assert x.T.numpy().tolist() == [[1, 3], [2, 4]]
assert x.reshape(-1).shape == (4,) and x.reshape((4, 1)).shape == (4, 1)
assert x.astype("float32").dtype is tf.float32 and x.size == 4
assert int(np.sum(x)) == 10 and int(x.max()) == 4 and x.mean(0).numpy().tolist() == [2.0, 3.0]
assert (x + 1.5).dtype is tf.float64 and (x + tf.constant([1.0])).dtype is tf.float64
assert tnp.ones([2]).dtype is tnp.arange(3.0).dtype is tf.float64
assert (tnp.asarray(1) + 1.5).dtype is tnp.asarray([1, 2.5]).dtype is tf.float64
assert tnp.asarray(1.5).dtype is tnp.sin([1.5]).dtype is tnp.add(1.5, 2.5).dtype is tf.{floating}
assert tnp.asarray([1.5, True]).dtype is tnp.result_type(1.5) is tf.{floating}
assert tnp.asarray(1j).dtype is tnp.result_type(1j) is tf.{complex}
rounded = round(tf.constant([2.7, 1.2]))
assert rounded.dtype is tf.float32 and rounded.numpy().tolist() == [3.0, 1.0]
for places in ([5], ([0, 1], [7, 0])):
    try:
        x[places]
    except tf.errors.InvalidArgumentError:
        continue
    raise AssertionError(places)
a, square = tf.constant([1.0, 2.0]), tf.ones([2, 2])
for left, right, product in (
    (a, a, 5.0), (square, a, [3.0, 3.0]), (a, square, [3.0, 3.0]), (a, [1.0, 2.0], 5.0),
    (tf.ones([3, 2, 2]), a, [[3.0, 3.0]] * 3), (a, tf.ones([3, 2, 2]), [[3.0, 3.0]] * 3),
    ([1.0, 2.0], square, [3.0, 3.0]), (tf.Variable(a), a, 5.0), (a, tf.Variable(a), 5.0),
):
    got = left @ right
    assert got.numpy().tolist() == product and got.dtype is tf.float32, (left, right, got)
    unknown = tf.function(lambda p, q: p @ q, input_signature=[tf.TensorSpec(None)] * 2)
    assert unknown(left, right).numpy().tolist() == product
assert (tf.constant([1, 2]) @ a).dtype is tf.float64
with tf.GradientTape() as tape:
    tape.watch(a)
    y = a @ a
assert tape.gradient(y, a).numpy().tolist() == [2.0, 4.0]
half, one, tiny = tf.constant([1.0], tf.float16), tf.constant([1]), tf.constant([1], tf.int8)
for got, kind in (
    (a + [1.5, 2.5], "float32"), (a + [1], "float32"), (half + [1.5], "float16"),
    (one + [1], "int32"), (one + [1.5], "float64"), (a + np.array([1.5]), "float64"),
    (a + np.array(1.5), "float32"), (one + 10**12, "int64"), (tiny + [300], "int16"),
    (tiny + [3], "int8"), (a + [1j], "complex64"), (tf.Variable([1]) + 1.5, "float64"),
):
    assert got.dtype.name == kind, (got, kind)
assert (tf.constant([True]) & tf.constant([False])).numpy().tolist() == [False]
assert (x == 2).numpy().tolist() == [[False, True], [False, False]]
with tf.GradientTape() as tape:
    v = tf.constant([1.0, 2.0])
    tape.watch(v)
    y = tf.reduce_sum(v.reshape(2, 1) * 2)
assert tape.gradient(y, v).numpy().tolist() == [2.0, 2.0]
cube, place = tnp.arange(24).reshape(2, 3, 4), np.arange(24).reshape(2, 3, 4)
for key in ((slice(None), (True, False, True)), (1, (0, 0, 1), np.array([0, 1, 1])), [1, 0],
            (slice(None), [0, 2], slice(1, 3)), (..., [1]), place % 5 == 0):
    assert (cube[key].numpy() == place[key]).all(), key
assert (cube[tf.constant([1, 0])].numpy() == place[[1, 0]]).all()
with tf.GradientTape() as tape:
    tape.watch(v)
    z = tf.reduce_sum(v[[1, 1, 0]] * tf.constant([1.0, 2.0, 5.0]))
assert tape.gradient(z, v).numpy().tolist() == [5.0, 3.0]
"""


@pytest.mark.parametrize(
    ("options", "floating", "complex_"),
    [("", "float64", "complex128"), ("prefer_float32=True", "float32", "complex64")],
)
def test_methods_and_promotion(options, floating, complex_):
    """The types are those of TensorFlow 2.15."""
    program = _PROGRAM.format(options=options, floating=floating, complex=complex_)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_tensors_have_no_array_methods_before():
    with pytest.raises(AttributeError):
        tf.constant([1]).reshape(1)


def test_types_of_results():
    tnp = tf.experimental.numpy
    for values, kind in (
        ((tnp.int32, tnp.float32), tf.float64), (("int32", tf.float32), tf.float64),
        ((1, 2.0), tf.float64), ((tf.constant(1), tf.constant(1.0)), tf.float64),
        ((tnp.int8, tnp.uint8), tf.int16), ((tnp.float16, tnp.int8), tf.float16),
        ((np.array([1]), np.float32(2)), tf.float64), ((int, float), tf.float64),
        ((tnp.complex64, tnp.float64), tf.complex128), ((1, tnp.float32), tf.float32),
        ((tnp.int32, 1.5), tf.float64), ((tf.bfloat16, tf.float32), tf.float32),
        ((tf.string,), tf.string), ((True,), tf.bool), ((), tf.float64),
        ((tf.Variable(1.0), [1]), tf.float32), (("float",), tf.float64),
    ):  # fmt: skip
        assert tnp.result_type(*values) is kind, (values, kind)
    assert tnp.promote_types(int, tf.float32) == np.float64


def test_gradients_flow_through_array_functions():
    tnp = tf.experimental.numpy
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tnp.sum(tnp.dot(x, tnp.transpose(x)) * tnp.tril(x))
    gradient = tape.gradient(y, x).numpy()
    step = 1e-6
    moved = x.numpy()
    moved[1, 0] += step
    ahead = np.sum(moved @ moved.T * np.tril(moved))
    here = np.sum(x.numpy() @ x.numpy().T * np.tril(x.numpy()))
    np.testing.assert_allclose(gradient[1, 0], (ahead - here) / step, rtol=1e-4)


def test_dlpack_shares_the_values():
    x = tf.constant([1.0, 2.0])
    back = tf.experimental.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(x))
    assert back.numpy().tolist() == [1.0, 2.0] and back.dtype is tf.float32
    assert np.from_dlpack(x).tolist() == [1.0, 2.0]


def test_what_is_absent_says_so():
    for call in (
        lambda: tf.estimator.Estimator,
        lambda: tf.feature_column.numeric_column,
        lambda: tf.experimental.dtensor.create_mesh,
    ):
        with pytest.raises(AttributeError, match="is not part of this framework"):
            call()


def test_other_promotions_are_refused():
    with pytest.raises(ValueError, match="promotion mode other does not exist"):
        tf.experimental.numpy.experimental_enable_numpy_behavior(dtype_conversion_mode="other")

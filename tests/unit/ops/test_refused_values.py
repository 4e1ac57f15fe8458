"""Values that TensorFlow 2.15 refuses and NumPy would take, in TensorFlow's words."""

import numpy as np
import pytest

import shardtape as tf

NAN, INF = float("nan"), float("inf")
ONES = np.ones((2, 2), np.float32)
TALL = np.ones((2, 3), np.float32)
SQUARE = "Input matrix must be square."
INVALID = "The input might not be valid."

REFUSED = [
    (lambda: tf.math.in_top_k([0], [[1.0, 2.0], [2.0, 3.0]], 1),
     "First dimension of predictions 2 must match length of targets 1"),
    (lambda: tf.histogram_fixed_width([1.0], [5.0, 1.0]),
     "value_range should satisfy value_range[0] < value_range[1], but got '[5, 1]'"),
    (lambda: tf.histogram_fixed_width([1.0], [0.0, 1.0], 0),
     "nbins should be a positive number, but got '0'"),
    (lambda: tf.linalg.band_part(ONES, 5, 0),
     "num_lower must be negative or less or equal to number of rows (2) got: 5"),
    (lambda: tf.linalg.band_part(TALL, 0, 5),
     "num_upper must be negative or less or equal to number of columns (3) got: 5"),
    (lambda: tf.linalg.eigh([[NAN, 1.0], [1.0, 2.0]]), INVALID),
    (lambda: tf.linalg.eigvalsh([[NAN, 1.0], [1.0, 2.0]]), INVALID),
    (lambda: tf.linalg.eig([[NAN, 1.0], [1.0, 2.0]]), INVALID),
    (lambda: tf.range(0.0, INF), "Requires ((limit - start) / delta) <= 9223372036854775807"),
    (lambda: tf.range(0.0, NAN), "Requires start <= limit when delta > 0"),
    (lambda: tf.function(lambda n: tf.range(0.0, n))(tf.constant(INF)),
     "Requires ((limit - start) / delta) <= 9223372036854775807"),
    (lambda: tf.math.confusion_matrix([5], [1], 3),
     "`labels` out of bound\nCondition x < y did not hold.\nFirst 1 elements of x:\n[5]"),
    (lambda: tf.math.confusion_matrix([1], [5], 3), "`predictions` out of bound"),
    (lambda: tf.math.confusion_matrix([-1], [1], 3), "`labels` contains negative values."),
    (lambda: tf.linalg.solve(ONES, tf.ones((3, 1))), "Input matrix and rhs are incompatible."),
    (lambda: tf.linalg.solve(TALL, tf.ones((2, 1))),
     "First input (lhs) must be a square matrix."),
    (lambda: tf.linalg.solve(tf.ones((3, 2, 2)), tf.ones((4, 2, 1))),
     "All input tensors must have the same outer dimensions."),
    (lambda: tf.linalg.solve(tf.ones((1, 2, 2)), tf.ones((4, 2, 1))),
     "All input tensors must have the same outer dimensions."),
    (lambda: tf.linalg.solve(ONES, tf.ones((4, 2, 1))),
     "All input tensors must have the same rank."),
    (lambda: tf.linalg.inv(TALL), SQUARE),
    (lambda: tf.linalg.det(TALL), SQUARE),
    (lambda: tf.linalg.slogdet(TALL), SQUARE),
    (lambda: tf.linalg.eigh(TALL), SQUARE),
    (lambda: tf.linalg.eig(TALL), SQUARE),
]  # fmt: skip


@pytest.mark.parametrize("call, text", REFUSED)
def test_the_words_of_refusals(call, text):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        call()
    assert text in str(raised.value)
    assert "gufunc" not in str(raised.value)


def test_singular_values_of_nan_are_nan():
    both = np.array([[[1.0, 2.0], [3.0, 4.0]], [[NAN, 1.0], [1.0, 2.0]]], np.float32)
    s, u, v = tf.linalg.svd(both)
    np.testing.assert_allclose(s[0], [5.4649854, 0.36596614], rtol=1e-5)
    np.testing.assert_allclose(u[0] @ tf.linalg.diag(s[0]) @ tf.transpose(v[0]), both[0], rtol=1e-4)
    assert all(np.isnan(part[1]).all() for part in (s, u, v))
    assert np.isnan(tf.linalg.svd(both[1], compute_uv=False)).all()


def test_images_of_other_channels():
    with pytest.raises(ValueError, match="are incompatible"):
        tf.image.psnr(tf.ones((4, 4, 3)), tf.ones((4, 4, 1)), 1.0)
    assert tf.image.psnr(tf.ones((2, 4, 4, 3)), tf.ones((1, 4, 4, 3)), 1.0).shape == (2,)


@pytest.mark.parametrize("kind", ["int", "complex", "i4", int, complex, "foo"])
def test_names_that_only_numpy_has(kind):
    with pytest.raises(TypeError, match="Cannot convert the argument `type_value`"):
        tf.cast([1.5], kind)


@pytest.mark.parametrize("kind", ["half", "float", "double", float, bool, np.int64, np.dtype("i4")])
def test_names_that_are_taken(kind):
    assert tf.cast([1.5], kind).dtype == tf.as_dtype(kind)


def test_the_threefry_generator_draws_nothing():
    generator = tf.random.Generator.from_seed(1, alg="threefry")
    for draw in (generator.normal, generator.uniform):
        with pytest.raises(tf.errors.UnimplementedError, match="ThreeFry"):
            draw([2])


@pytest.mark.parametrize("name, rank", [("fft", 1), ("ifft", 1), ("fft2d", 2), ("ifft2d", 2)])
def test_spectra_of_python_numbers(name, rank):
    values = [1 + 0j, 2] if rank == 1 else [[1 + 0j, 2]]
    made = getattr(tf.signal, name)(values)
    assert made.dtype == tf.complex128
    wanted = [3, -1] if name.startswith("f") else [1.5, -0.5]
    np.testing.assert_allclose(np.reshape(made, -1), wanted)
    assert getattr(tf.signal, name)(np.array(values, np.complex64)).dtype == tf.complex64
    assert getattr(tf.signal, name)(np.real(values).tolist()).dtype == tf.complex64


def test_select_keeps_the_type_of_the_choices():
    a = tf.constant([1.0, 2.0, 4.0])
    made = tf.experimental.numpy.select([a > 3, a > 1], [a, -a])
    assert made.dtype == tf.float32
    np.testing.assert_array_equal(made, [0, -2, 4])

"""The signs of singular vectors and eigenvectors are those of TensorFlow 2.15 on a CPU."""

import numpy as np
import pytest

import shardtape as tf


def _symmetric(size, dtype=np.float64):
    a = np.random.RandomState(size).randn(size, size)
    return (a + a.T).astype(dtype)


@pytest.mark.parametrize(
    ("matrix", "right"),
    [
        ([[1, 2], [3, 4], [5, 6]], [[0.6196295, 0.7848945], [0.7848945, -0.6196295]]),
        ([[1, 2], [3, 4]], [[0.5760484, 0.8174156], [0.8174156, -0.5760484]]),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_singular_vectors(matrix, right, full):
    a = tf.constant(matrix, tf.float64)
    s, u, v = tf.linalg.svd(a, full_matrices=full)
    np.testing.assert_allclose(v.numpy(), right, atol=1e-6)
    made = u[:, :2] @ tf.linalg.diag(s) @ tf.transpose(v)
    np.testing.assert_allclose(made.numpy(), matrix, atol=1e-12)
    stacked = tf.linalg.svd(tf.stack([a, -a]))[2]
    np.testing.assert_allclose(np.abs(stacked[1]), np.abs(right), atol=1e-6)
    np.testing.assert_allclose(stacked[0].numpy(), right, atol=1e-6)


@pytest.mark.parametrize(
    ("matrix", "first"),
    [
        (_symmetric(2), [-0.918, 0.397]),
        (_symmetric(3), [-0.224, -0.228, 0.948]),
        (_symmetric(3, np.float32), [0.224, 0.228, 0.948]),
        (_symmetric(5), [0.230, 0.136, 0.281, -0.835, -0.391]),
        (_symmetric(5, np.float32), [-0.230, 0.136, -0.281, -0.835, -0.391]),
        (_symmetric(8), [-0.631, -0.215, 0.310, 0.194, 0.097, -0.366, -0.199, -0.489]),
    ],
)
def test_eigenvectors(matrix, first):
    values, vectors = (t.numpy() for t in tf.linalg.eigh(matrix))
    np.testing.assert_allclose(vectors[0], first, atol=6e-4)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-5)


def test_what_has_no_signs_to_choose_is_left_alone():
    for matrix in (np.zeros((3, 3)), np.eye(3), np.zeros((0, 3, 3)), np.ones((1, 1))):
        values, vectors = tf.linalg.eigh(matrix)
        np.testing.assert_allclose(matrix @ vectors.numpy(), vectors.numpy() * values[..., None, :])
        s, u, v = tf.linalg.svd(matrix)
        made = u @ tf.linalg.diag(s) @ tf.linalg.matrix_transpose(v)
        np.testing.assert_allclose(made.numpy(), matrix, atol=1e-12)

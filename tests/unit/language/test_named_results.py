"""Ops with several outputs give them names: those of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

A = np.array([[2.0, 1.0], [1.0, 3.0]], np.float32)
IMAGE = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
WINDOW = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
BOX = [[[0.0, 0.0, 1.0, 1.0]]]

# call, the name of the tuple and those of its members
CASES = [
    (lambda: tf.linalg.lu(A), "Lu", "lu p"),
    (lambda: tf.linalg.qr(A), "Qr", "q r"),
    (lambda: tf.nn.max_pool_with_argmax(IMAGE, 2, 2, "VALID"), "MaxPoolWithArgmax",
     "output argmax"),
    (lambda: tf.math.approx_max_k(A, 1), "ApproxTopK", "values indices"),
    (lambda: tf.math.approx_max_k(A, 1, 0), "ApproxTopK", "values indices"),
    (lambda: tf.math.approx_min_k(A, 1), "ApproxTopK", "values indices"),
    (lambda: tf.image.sample_distorted_bounding_box([4, 4, 3], BOX, seed=1),
     "SampleDistortedBoundingBoxV2", "begin size bboxes"),
    (lambda: tf.image.stateless_sample_distorted_bounding_box([4, 4, 3], BOX, seed=[1, 2]),
     "StatelessSampleDistortedBoundingBox", "begin size bboxes"),
    (lambda: tf.raw_ops.Unique(x=[1, 1, 2]), "Unique", "y idx"),
    (lambda: tf.raw_ops.Svd(input=A), "Svd", "s u v"),
    (lambda: tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=A, labels=A),
     "SoftmaxCrossEntropyWithLogits", "loss backprop"),
    (lambda: tf.raw_ops.TopKV2(input=[1.0, 2.0], k=1), "TopKV2", "values indices"),
    (lambda: tf.raw_ops.SelfAdjointEigV2(input=A), "SelfAdjointEigV2", "e v"),
    (lambda: tf.raw_ops.MaxPoolWithArgmax(input=IMAGE, **WINDOW), "MaxPoolWithArgmax",
     "output argmax"),
    (lambda: tf.raw_ops.ListDiff(x=[1, 2], y=[1]), "ListDiff", "out idx"),
]  # fmt: skip


@pytest.mark.parametrize("call, name, members", CASES)
def test_results_have_names(call, name, members):
    for made in (call(), tf.function(call)()):
        assert type(made).__name__ == name
        assert made._fields == tuple(members.split())
    inside = tf.function(lambda: getattr(call(), members.split()[-1]))()
    assert inside.shape == call()[-1].shape  # the values of random ones differ


def test_a_list_of_outputs_is_a_list():
    assert type(tf.raw_ops.Unpack(value=[1, 2], num=2)) is list
    halves = tf.raw_ops.Split(axis=0, value=[1.0, 2.0], num_split=2)
    assert type(halves) is list and [h.numpy().tolist() for h in halves] == [[1.0], [2.0]]


def test_the_factors_are_under_their_names():
    found = tf.linalg.qr(A)
    np.testing.assert_allclose(found.q @ found.r, A, rtol=1e-5)
    both = tf.linalg.lu(A)
    np.testing.assert_allclose(tf.linalg.lu_reconstruct(both.lu, both.p), A)

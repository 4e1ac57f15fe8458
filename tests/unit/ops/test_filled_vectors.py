"""A tensor of one number as a shape of zeros and ones is the size of a vector, as in TensorFlow."""

import numpy as np

import shardtape as tf


def test_one_number_is_the_size_of_a_vector():
    count = tf.constant(3)
    for make, value in ((tf.ones, 1), (tf.zeros, 0)):
        np.testing.assert_array_equal(make(count), np.full(3, value, "float32"))
        np.testing.assert_array_equal(tf.function(make)(count), np.full(3, value, "float32"))
        data = tf.data.Dataset.from_tensors(np.zeros((3, 2)))
        made = next(iter(data.map(lambda x, make=make: make(tf.shape(x)[0], tf.int32))))
        np.testing.assert_array_equal(made, np.full(3, value, "int32"))
    np.testing.assert_array_equal(tf.experimental.numpy.ones(count), np.ones(3))

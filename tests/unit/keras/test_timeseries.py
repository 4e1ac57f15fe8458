"""`timeseries_dataset_from_array`: dtypes and specs that TensorFlow 2.15 gives, and the windows."""

import numpy as np
import pytest

import shardtape as tf

make = tf.keras.utils.timeseries_dataset_from_array


@pytest.mark.parametrize(
    ("data", "targets", "wanted"),
    [
        ([0, 1, 2, 3], [3, 4], [((None, None), tf.int32), ((None,), tf.int32)]),
        (np.arange(4), np.arange(2), [((None, None), tf.int64), ((None,), tf.int64)]),
        ([0.0, 1.0, 2.0, 3.0], None, [((None, None), tf.float32)]),
        (np.ones((4, 2)), [1, 2], [((None, None, 2), tf.float64), ((None,), tf.int32)]),
        (np.ones((4, 2), "f4"), np.ones((4, 1)),
         [((None, None, 2), tf.float32), ((None, 1), tf.float64)]),
    ],
)  # fmt: skip
def test_specs(data, targets, wanted):
    specs = tf.nest.flatten(make(data, targets, sequence_length=3, batch_size=2).element_spec)
    assert [(tuple(s.shape), s.dtype) for s in specs] == wanted
    single = tf.nest.flatten(make(data, targets, sequence_length=3, batch_size=None).element_spec)
    assert [tuple(s.shape) for s in single] == [shape[1:] for shape, _ in wanted]


def test_windows_of_lists():
    got = list(make([0, 1, 2, 3, 4, 5], [3, 4, 5], sequence_length=3, batch_size=2))
    assert [x.numpy().tolist() for x, _ in got] == [[[0, 1, 2], [1, 2, 3]], [[2, 3, 4]]]
    assert [y.numpy().tolist() for _, y in got] == [[3, 4], [5]]

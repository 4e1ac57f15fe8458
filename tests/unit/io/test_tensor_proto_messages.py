"""tf.make_tensor_proto and make_ndarray against the bytes of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

CASES = [
    ([[1.0, 2.0]], {}, "08011208120208011202080222080000803f00000040"),
    (["a", "b"], {}, "0807120412020802420161420162"),
    (7, {"dtype": tf.int64, "shape": [2, 2]}, "080912081202080212020802520107"),
    (True, {}, "080a12005a0101"),
    ([1.5], {"dtype": tf.float16}, "08131204120208016a02807c"),
    ([1 + 2j], {}, "08121204120208016210000000000000f03f0000000000000040"),
    (np.zeros((2, 0), np.float32), {}, "08011206120208021200"),
    (np.arange(3, dtype=np.uint8), {}, "08041204120208032203000102"),
    ([1, 2], {"shape": [3]}, "08031204120208033a020102"),
    (np.float64(2.0), {}, "0802120032080000000000000040"),
]


@pytest.mark.parametrize(("values", "options", "wanted"), CASES)
def test_messages_have_tensorflows_bytes(values, options, wanted):
    assert tf.make_tensor_proto(values, **options).SerializeToString().hex() == wanted


def test_arrays_come_back():
    for values, options, _ in CASES[:8]:
        got = tf.make_ndarray(tf.make_tensor_proto(values, **options))
        want = np.broadcast_to(tf.constant(values, options.get("dtype")).numpy(), got.shape)
        np.testing.assert_array_equal(got, want)
    assert tf.make_ndarray(tf.make_tensor_proto([1, 2], shape=[3])).tolist() == [1, 2, 2]


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError):
        tf.make_tensor_proto([1.5], dtype=tf.int32)
    with pytest.raises(ValueError, match="Too many elements"):
        tf.make_tensor_proto([1.0, 2.0, 3.0], shape=[2])
    with pytest.raises(TypeError, match="Expected a tensor of shape"):
        tf.make_tensor_proto([1.0], shape=[2], verify_shape=True)

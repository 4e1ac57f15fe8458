"""`tf.keras.backend` beside results of Keras 2.15 (recorded: shapes, sums of absolute values)."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
B = K.backend

# (call, [shape, sum of absolute values, first two numbers] of each result); f gives normal numbers
RECORDED: Any = [
    ("B.batch_dot(f(2, 3, 4), f(2, 4, 5))", [[[2, 3, 5], 61.0871, [3.574, -4.7002]]]),
    ("B.batch_dot(f(2, 3, 4), f(2, 3, 5), axes=(1, 1))", [[[2, 4, 5], 58.3703, [6.784, -2.2923]]]),
    ("B.batch_dot(f(3, 4), f(3, 4), axes=1)", [[[3, 1], 6.4137, [2.5734, 3.4175]]]),
    (
        "B.batch_dot(f(2, 3, 4, 5), f(2, 6, 5, 7))",
        [[[2, 3, 4, 6, 7], 1775.1668, [-0.6912, -1.4969]]],
    ),
    ("B.batch_dot(f(2, 3, 4), f(2, 4), axes=(2, 1))", [[[2, 3], 16.2303, [3.0473, 5.732]]]),
    (
        "B.batch_normalization(f(2, 3, 4), f(4), f(4) ** 2, f(4), f(4))",
        [[[2, 3, 4], 33.1432, [-1.2936, -0.4636]]],
    ),
    (
        "B.normalize_batch_in_training(f(2, 4, 4, 3), f(3), f(3), [0, 1, 2])",
        [
            [[2, 4, 4, 3], 123.4011, [0.4175, 2.2918]],
            [[3], 0.5239, [0.1395, 0.1796]],
            [[3], 3.0831, [1.2458, 0.9579]],
        ],
    ),
    (
        "B.normalize_batch_in_training(f(2, 4, 4, 3), None, None, [0, 1])",
        [
            [[2, 4, 4, 3], 77.1482, [0.795, 0.3346]],
            [[4, 3], 3.1748, [0.7958, 0.0448]],
            [[4, 3], 10.6997, [1.4825, 1.1267]],
        ],
    ),
    ("B.bias_add(f(2, 3, 4), f(3, 4))", [[[2, 3, 4], 33.8711, [4.0338, -1.0542]]]),
    (
        "B.binary_focal_crossentropy(tf.sigmoid(f(2, 3)), tf.sigmoid(f(2, 3)), True, 0.3, 1.5)",
        [[[2, 3], 0.7675, [0.0336, 0.1184]]],
    ),
    (
        "B.categorical_focal_crossentropy(tf.eye(3), f(3, 3), from_logits=True)",
        [[[3], 0.3535, [0.0232, 0.0833]]],
    ),
    (
        'B.conv1d(f(2, 8, 3), f(3, 3, 4), padding="causal", dilation_rate=2)',
        [[[2, 8, 4], 144.2881, [0.5211, -1.5283]]],
    ),
    (
        'B.conv2d(f(2, 6, 6, 3), f(3, 3, 3, 4), (2, 2), "same")',
        [[[2, 3, 3, 4], 233.5978, [0.2988, 4.872]]],
    ),
    (
        'B.conv2d_transpose(f(1, 4, 4, 3), f(3, 3, 5, 3), (1, 8, 8, 5), (2, 2), "same")',
        [[[1, 8, 8, 5], 671.4988, [-3.8086, -0.6774]]],
    ),
    (
        "B.conv3d(f(1, 4, 4, 4, 2), f(2, 2, 2, 2, 3))",
        [[[1, 3, 3, 3, 3], 240.4657, [3.2382, -3.3377]]],
    ),
    (
        "B.depthwise_conv2d(f(2, 5, 5, 3), f(3, 3, 3, 2))",
        [[[2, 3, 3, 6], 229.3662, [5.7157, 4.0722]]],
    ),
    (
        'B.separable_conv2d(f(2, 5, 5, 3), f(3, 3, 3, 2), f(1, 1, 6, 4), padding="same")',
        [[[2, 5, 5, 4], 735.9965, [2.2171, 3.216]]],
    ),
    (
        "B.local_conv1d(f(2, 8, 3), f(6, 9, 4), (3,), (1,))",
        [[[2, 6, 4], 120.2761, [-1.9406, -3.3371]]],
    ),
    (
        "B.local_conv2d(f(2, 5, 5, 3), f(9, 27, 2), (3, 3), (1, 1), (3, 3))",
        [[[2, 3, 3, 2], 154.7266, [5.9195, 0.8348]]],
    ),
    (
        'B.pool2d(f(2, 6, 6, 3), (2, 2), (2, 2), "same", pool_mode="avg")',
        [[[2, 3, 3, 3], 24.4351, [1.2429, 0.5695]]],
    ),
    ("B.pool3d(f(1, 4, 4, 4, 2), (2, 2, 2))", [[[1, 3, 3, 3, 2], 84.4711, [1.7641, 2.2409]]]),
    ("B.temporal_padding(f(2, 3, 4), (1, 2))", [[[2, 6, 4], 20.7821, [0.0, 0.0]]]),
    (
        "B.spatial_2d_padding(f(1, 3, 4, 2), ((1, 2), (0, 1)))",
        [[[1, 6, 5, 2], 20.7821, [0.0, 0.0]]],
    ),
    ("B.spatial_3d_padding(f(1, 2, 2, 2, 1))", [[[1, 4, 4, 4, 1], 9.3301, [0.0, 0.0]]]),
    (
        'B.resize_images(f(1, 3, 4, 2), 2, 3, "channels_last", "bilinear")',
        [[[1, 6, 12, 2], 99.7058, [1.7641, 0.4002]]],
    ),
    (
        'B.resize_volumes(f(1, 2, 2, 2, 1), 2, 1, 3, "channels_last")',
        [[[1, 4, 2, 6, 1], 55.9807, [1.7641, 1.7641]]],
    ),
    (
        "B.ctc_batch_cost([[1, 2], [0, 1]], tf.nn.softmax(f(2, 5, 4)), [[5], [5]], [[2], [2]])",
        [[[2, 1], 9.4309, [5.3634, 4.0675]]],
    ),
    (
        "B.ctc_decode(tf.nn.softmax(f(2, 5, 4)), tf.constant([5, 5]))[0]",
        [[[2, 5], 7.0, [0.0, 0.0]]],
    ),
    (
        "B.ctc_decode(tf.nn.softmax(f(2, 5, 4)), tf.constant([5, 5]))[1]",
        [[[2, 1], 6.7518, [3.3219, 3.4298]]],
    ),
    (
        "tf.sparse.to_dense(B.ctc_label_dense_to_sparse([[1, 2], [0, 1]], [2, 1]))",
        [[[2, 2], 3.0, [1.0, 2.0]]],
    ),
    ("B.foldl(lambda a, x: a - x, tf.constant([1.0, 2.0, 3.0]))", [[[], 4.0, [-4.0]]]),
    (
        "B.foldr(lambda a, x: a - x, tf.constant([1.0, 2.0, 3.0]), tf.constant(10.0))",
        [[[], 4.0, [4.0]]],
    ),
    (
        "B.in_top_k(tf.constant([[0.2, 0.8], [0.6, 0.4]]), tf.constant([1, 1]), 1)",
        [[[2], 1.0, [1.0, 0.0]]],
    ),
    ("B.repeat(f(2, 3), 2)", [[[2, 2, 3], 16.4574, [1.7641, 0.4002]]]),
    ("B.reverse(f(2, 3), [0, 1])", [[[2, 3], 8.2287, [-0.9773, 1.8676]]]),
    ("B.random_bernoulli((1000,), 0.3, seed=1)", [[[1000], 280.0, [1.0, 0.0]]]),
    ("B.dropout(tf.ones((1000,)), 0.5, seed=1)", [[[1000], 940.0, [0.0, 0.0]]]),
    ("B.random_normal_variable((2,), 0.0, 1.0, seed=3)", [[[2], 1.9402, [1.0617, -0.8786]]]),
    ("B.random_uniform_variable((2,), 0.0, 1.0, seed=3)", [[[2], 0.747, [0.3869, 0.36]]]),
    ("B.to_dense(tf.sparse.from_dense([[1.0, 0.0]]))", [[[1, 2], 1.0, [1.0, 0.0]]]),
    (
        "B.ctc_decode(tf.nn.softmax(f(2, 5, 4)), tf.constant([5, 5]), False, 5, 2)[0]",
        [[[2, 5], 9.0, [0.0, -1.0]], [[2, 5], 8.0, [0.0, 2.0]]],
    ),
    (
        "B.ctc_decode(tf.nn.softmax(f(2, 5, 4)), tf.constant([5, 5]), False, 5, 2)[1]",
        [[[2, 2], 9.9512, [-2.159, -2.456]]],
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _no_global_seed() -> None:
    """Streams of op seeds alone, from their beginning: calls of one seed go on in one stream."""
    tf.random.set_seed(None)


@pytest.mark.parametrize(("call", "expected"), RECORDED, ids=[c for c, _ in RECORDED])
def test_gives_what_keras_gives(call: str, expected: Any) -> None:
    generator = np.random.RandomState(0)

    def f(*sizes: int) -> Any:
        return tf.constant(generator.randn(*sizes).astype(np.float32))

    made = eval(call, {"tf": tf, "B": B, "f": f})
    made = list(made) if isinstance(made, (list, tuple)) else [made]
    assert len(made) == len(expected)
    for found, (shape, total, first) in zip(made, expected):
        array = np.asarray(found.numpy(), np.float64)
        assert list(array.shape) == shape
        np.testing.assert_allclose(np.abs(array).sum(), total, rtol=2e-5, atol=1e-3)
        np.testing.assert_allclose(array.ravel()[:2], first, atol=2e-4)


def test_variables_are_read_and_set() -> None:
    v, w = B.variable([1.0, 2.0]), B.variable([3.0])
    B.batch_set_value([(v, [5.0, 6.0]), (w, [7.0])])
    assert [x.tolist() for x in B.batch_get_value([v, w])] == [[5.0, 6.0], [7.0]]
    B.update(v, [3.0, 4.0])
    B.update_add(v, [1.0, 1.0])
    B.update_sub(v, [0.5, 0.5])
    np.testing.assert_array_equal(v.numpy(), [3.5, 4.5])
    moving = B.variable([1.0, 2.0])
    B.moving_average_update(moving, [3.0, 3.0], 0.9)
    np.testing.assert_allclose(moving.numpy(), [1.2, 2.1], rtol=1e-6)
    assert B.eval(tf.constant([1.0])).tolist() == [1.0]
    assert B.cast_to_floatx(np.array([1, 2])).dtype == np.float32
    assert B.cast_to_floatx(tf.constant([1, 2])).dtype == tf.float32


def test_functions_of_symbolic_tensors() -> None:
    x = B.placeholder((None, 2))
    assert B.placeholder(ndim=2, dtype="int32").shape.as_list() == [None, None]
    ones = np.ones((1, 2), np.float32)
    twice, more = B.function([x], [x * 2.0, x + 2.0])([ones])
    np.testing.assert_array_equal([twice, more], [[[2.0, 2.0]], [[3.0, 3.0]]])
    product = B.batch_dot(B.placeholder((None, 3, 4)), B.placeholder((None, 4, 5)))
    assert product.shape.as_list() == [None, 3, 5]
    model = K.Sequential([K.layers.Dense(3, input_shape=(2,)), K.layers.Dense(1)])
    hidden = B.function([model.input], [model.layers[0].output])
    np.testing.assert_allclose(hidden([ones])[0], model.layers[0](ones), rtol=1e-6)
    with pytest.raises(ValueError, match="updates"):
        B.function([x], [x], updates=[1])


def test_phases_and_settings(capsys: Any) -> None:
    assert B.backend() == "tensorflow"
    assert B.in_train_phase(1, 2) == 2 and B.in_test_phase(1, lambda: 2) == 1
    assert B.in_train_phase(lambda: 1, 2, training=True) == 1
    with B.learning_phase_scope(1):
        assert B.learning_phase() == 1 and B.in_train_phase(1, 2) == 1
    assert B.learning_phase() == 0
    B.print_tensor(tf.constant([1.0]), "message")
    assert "message [1]" in capsys.readouterr().out
    B.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match="Unknown `data_format`: x"):
        B.set_image_data_format("x")
    with pytest.raises(ValueError, match="axis 0"):
        B.batch_dot(tf.ones((2, 3)), tf.ones((2, 3)), axes=(0, 1))
    assert B.is_sparse(tf.sparse.from_dense([[1.0]])) and not B.is_sparse(tf.ones(1))
    assert not B.is_sparse(tf.IndexedSlices(tf.ones((1, 2)), tf.constant([0]), tf.constant([3, 2])))

"""`index_shuffle` and normals between bounds, bit for bit as TensorFlow 2.15 on one thread."""

import numpy as np
import pytest

import shardtape as tf

shuffle = tf.random.experimental.index_shuffle
bounded = tf.random.stateless_parameterized_truncated_normal


@pytest.mark.parametrize(
    "index, dtype, seed, largest, expected",
    [
        (range(4), tf.int32, [5, 9], 3, [2, 0, 1, 3]),
        (range(10), tf.int64, [5, 8], 9, [3, 8, 0, 1, 2, 7, 6, 9, 4, 5]),
        ([0, 1, 100000], tf.int32, [1, 2], 10**6, [207224, 141433, 259131]),
        (
            [0, 1, 100000],
            tf.int64,
            [1, 2],
            10**12,
            [560705115234, 560635926003, 756145724587],
        ),
        (
            [0, 1, 100000],
            tf.uint64,
            [1, 2],
            2**63,
            [8278034143891181295, 2496423255058746977, 77435371882066017],
        ),
        ([0, 65535, 65536], tf.int32, [1, 2], 65536, [55891, 15003, 55891]),
        (0, tf.int32, [-1, 2], 100, 14),
        (0, tf.int32, [1, 2], 0, 0),
    ],
)
def test_places_are_tensorflows(index, dtype, seed, largest, expected):
    index = tf.constant(list(index) if isinstance(index, range) else index, dtype)
    made = shuffle(index, seed, largest)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made.numpy(), np.array(expected, dtype.as_numpy_dtype))


def test_every_index_has_a_place_of_its_own():
    assert sorted(shuffle(tf.range(1000), [3, 4], 999).numpy()) == list(range(1000))


def test_places_in_traces_and_with_a_seed_for_each():
    traced = tf.function(lambda i: shuffle(i, [5, 8], 9))
    spec = traced.get_concrete_function(tf.TensorSpec([None], tf.int64)).structured_outputs
    assert spec.shape.as_list() == [None]
    assert list(tf.data.Dataset.range(10).map(traced).as_numpy_iterator()) == [
        *(3, 8, 0, 1, 2, 7, 6, 9, 4, 5),
    ]
    both = shuffle(tf.constant([0, 1]), [[5, 9], [5, 8]], tf.constant([3, 9])).numpy()
    np.testing.assert_array_equal(both, [2, 8])


@pytest.mark.parametrize(
    "index, seed, largest",
    [(4, [1, 2], 3), (-1, [1, 2], 3), ([[0]], [1, 2], 4), (0, [1, 2, 3], 4), ([0, 1], [1, 2], [5])],
)
def test_places_that_are_refused(index, seed, largest):
    with pytest.raises(tf.errors.InvalidArgumentError):
        shuffle(index, seed, largest)
    with pytest.raises(tf.errors.InvalidArgumentError, match="float32"):
        shuffle(1.0, seed, largest)


# Recorded from TensorFlow 2.15: shape, seed, means, stddevs, minvals, maxvals, values.
BOUNDED = [
    ([2, 3], [1, 2], 0.0, 1.0, -2.0, 2.0, [0.544110119342804, 0.20738030970096588,
     0.0735643208026886, 0.04643455147743225, -1.301589846611023, -0.9538565278053284]),
    ([5], [1, 2], 0.0, 1.0, 3.0, 5.0, [3.0513298511505127, 3.001145601272583, 3.3942105770111084,
     3.6768383979797363, 3.2490196228027344]),
    ([5], [1, 2], 0.0, 1.0, 0.5, 0.7, [0.668812096118927, 0.5384090542793274, 0.6992446184158325,
     0.5320774912834167, 0.5878702998161316]),
]  # fmt: skip


@pytest.mark.parametrize("shape, seed, mean, stddev, low, high, expected", BOUNDED)
def test_bounded_normals_are_tensorflows(shape, seed, mean, stddev, low, high, expected):
    made = bounded(shape, seed, mean, stddev, low, high).numpy()
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made.ravel(), np.float32(expected))


BROADCAST = [
    -0.1423118100189212,
    2.295494907378978,
    0.27811861438469954,
    2.200718557601929,
    1.4670600849817608,
    3.1198203776663966,
]
HALF = [3.185546875, 3.587890625, 3.732421875, 3.54296875, 3.3359375, 3.01171875, 3.03125]
MIRRORED = [-5.03264856338501, -5.000728607177734, -5.250740051269531]


def test_bounded_normals_of_several_parameters():
    c = lambda v: tf.constant(v, tf.float64)
    made = bounded([3, 2], [1, 2], c([[0.0], [1.0], [2.0]]), c([1.0, 2.0]), c(-2.0), c([3.0, 9.0]))
    np.testing.assert_allclose(made.numpy(), np.reshape(BROADCAST, (3, 2)), rtol=1e-15)
    half = bounded([7], [1, 2], *[tf.constant(v, tf.float16) for v in (0, 1, 3, 9)]).numpy()
    np.testing.assert_array_equal(half, np.float16(HALF))
    mirrored = bounded([3], [1, 2], 0.0, 1.0, -np.inf, -5.0).numpy()
    np.testing.assert_array_equal(mirrored, np.float32(MIRRORED))


def test_bounded_normals_have_the_moments_of_their_density():
    made = bounded([20000], [3, 4], 1.0, 2.0, 0.0, 3.0).numpy()
    x = np.linspace(0, 3, 3001)
    density = np.exp(-(((x - 1) / 2) ** 2) / 2)
    mean = (x * density).sum() / density.sum()
    assert made.min() >= 0 and made.max() <= 3
    assert abs(made.mean() - mean) < 0.02


@pytest.mark.parametrize(
    "shape, parameters",
    [([3], (0.0, -1.0, -2.0, 2.0)), ([3], (0.0, 1.0, 2.0, -2.0)),
     ([3], (0.0, 1.0, -np.inf, np.inf)), ([2, 2], ([0.0, 1.0, 2.0], 1.0, -2.0, 2.0))],
)  # fmt: skip
def test_bounded_normals_that_are_refused(shape, parameters):
    with pytest.raises(tf.errors.InvalidArgumentError):
        bounded(shape, [1, 2], *parameters)

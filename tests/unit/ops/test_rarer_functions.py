"""Rarer functions of tf.nn, tf.image, tf.random and tf itself; the numbers are TensorFlow 2.15's.

A sum over the result, weighted by cosines of the places, stands for the whole result.
"""

import numpy as np
import pytest

import shardtape as tf

V = np.sin(np.arange(40.0) ** 2).reshape(1, 4, 5, 2)
F = np.cos(np.arange(54.0)).reshape(3, 3, 3, 2)
D = np.cos(np.arange(36.0)).reshape(3, 3, 2, 2)
G = np.sin(np.arange(80.0)).reshape(1, 4, 5, 4)
VOLUME = np.sin(np.arange(480.0)).reshape(2, 4, 5, 6, 2)
ONES = (1, 1, 1, 1)


def _conv(x, count, padding):
    return tf.nn.conv2d(x, tf.constant(F[:, :, :2]), 1, padding)


def _blocks(rates, padding):
    return tf.nn.with_space_to_batch(V, rates, padding, _conv, filter_shape=[3, 3])


@pytest.mark.parametrize(
    ("call", "shape", "total"),
    [
        (lambda: tf.nn.atrous_conv2d_transpose(V, F, [1, 8, 9, 3], 2, "VALID"), (1, 8, 9, 3),
         -2.93285974),
        (lambda: tf.nn.atrous_conv2d_transpose(V, F, [1, 4, 5, 3], 2, "SAME"), (1, 4, 5, 3),
         -0.20720957),
        (lambda: tf.nn.depthwise_conv2d_backprop_input([1, 4, 5, 2], D, G, ONES, "SAME"),
         (1, 4, 5, 2), -4.7478063),
        (lambda: tf.nn.depthwise_conv2d_backprop_filter(V, [3, 3, 2, 2], G, ONES, "SAME"),
         (3, 3, 2, 2), -4.25688243),
        (lambda: _blocks([1, 2], "SAME"), (1, 4, 5, 2), -2.71967601),
        (lambda: _blocks([1, 2], "VALID"), (1, 2, 1, 2), 3.95909891),
        (lambda: _blocks([2, 1], "SAME"), (1, 4, 5, 2), -2.33158233),
        (lambda: _blocks([1, 1], "VALID"), (1, 2, 3, 2), 2.01741049),
        (lambda: tf.extract_volume_patches(VOLUME, (1, 2, 2, 3, 1), (1, 1, 2, 2, 1), "VALID"),
         (2, 3, 2, 2, 24), 8.98603126),
        (lambda: tf.extract_volume_patches(VOLUME, (1, 3, 2, 2, 1), (1, 2, 2, 1, 1), "SAME"),
         (2, 2, 3, 6, 24), 6.86914021),
    ],
)  # fmt: skip
def test_sums(call, shape, total):
    found = call().numpy()
    assert found.shape == shape
    weights = np.cos(np.arange(found.size)).reshape(shape)
    assert np.sum(found * weights) == pytest.approx(total, rel=1e-7)
    np.testing.assert_allclose(tf.function(call)(), found, rtol=1e-10)


def test_volume_patches_that_do_not_fit():
    # as TensorFlow 2.15: one plane too few is no patch, two are refused
    ones = (1, 1, 1, 1, 1)
    assert tf.extract_volume_patches(VOLUME, (1, 5, 2, 2, 1), ones, "VALID").shape[1] == 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="size would be negative: -1"):
        tf.extract_volume_patches(VOLUME, (1, 6, 2, 2, 1), ones, "VALID")


def test_paddings_of_blocks():
    for base, paddings, crops in (
        (None, [[0, 1], [0, 2]], [[0, 1], [0, 2]]),
        ([[1, 0], [2, 1]], [[1, 0], [2, 4]], [[0, 0], [0, 3]]),
    ):
        found = tf.required_space_to_batch_paddings([5, 6], [2, 4], base)
        assert [t.numpy().tolist() for t in found] == [paddings, crops]


@pytest.mark.parametrize(
    ("centered", "normalized", "offsets", "rows"),
    [
        (True, True, [0.3, -0.4], [[15, 16, 17, 18], [22, 23, 24, 25], [29, 30, 31, 32]]),
        (True, True, [-1.0, 0.5], [[0, 0, 0, 0], [4, 5, 6, 7], [11, 12, 13, 14]]),
        (True, False, [1.0, 2.0], [[34, 35, 0, 0], [41, 42, 0, 0], [0, 0, 0, 0]]),
        (False, True, [0.3, -0.4], [[0, 0, 8, 9], [0, 0, 15, 16], [0, 0, 22, 23]]),
        (False, False, [-2.2, -3.0], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]),
        (False, False, [2.4, 3.6], [[18, 19, 20, 21], [25, 26, 27, 28], [32, 33, 34, 35]]),
    ],
)
def test_glimpses(centered, normalized, offsets, rows):
    x = np.arange(1, 43, dtype=np.float32).reshape(1, 6, 7, 1)
    found = tf.image.extract_glimpse(x, (3, 4), [offsets], centered, normalized, "zero")
    np.testing.assert_array_equal(found[0, :, :, 0], rows)


def test_noise_around_glimpses():
    x = (np.random.RandomState(0).rand(1, 6, 7, 2) + [0, 100]).astype("float32")
    made = {n: tf.image.extract_glimpse(x, (60, 60), [[0.0, 0.0]], noise=n).numpy()[0, :20]
            for n in ("uniform", "gaussian")}  # fmt: skip
    # uniform noise has the range of the whole image, gaussian noise that of each channel
    assert made["uniform"].min() < 5 and 95 < made["uniform"][..., 0].max() <= x.max()
    assert abs(made["gaussian"][..., 0].mean() - x[..., 0].mean()) < 0.05
    assert made["gaussian"][..., 1].min() >= x[..., 1].min()
    with pytest.raises(tf.errors.InvalidArgumentError, match="uniform, gaussian, or zero"):
        tf.image.extract_glimpse(x, (3, 4), [[0.0, 0.0]], noise="x")


def test_largest_and_smallest():
    x = tf.constant([[1.0, 5, 2, 5], [4.0, 3, 9, 1]])
    values, places = tf.math.approx_max_k(x, 2)
    assert values.numpy().tolist() == [[5, 5], [9, 4]]
    assert places.numpy().tolist() == [[1, 3], [2, 0]]
    values, places = tf.nn.approx_min_k(x, 1, reduction_dimension=0)
    assert values.numpy().tolist() == [[1, 3, 2, 1]] and places.numpy().tolist() == [[0, 1, 0, 1]]


def test_frequencies_of_classes():
    options = {"num_true": 1, "unique": False, "range_max": 5, "distortion": 0.75}
    drawn = tf.random.fixed_unigram_candidate_sampler(
        [[1], [2]], num_sampled=2000, unigrams=[1.0, 2, 3, 4], num_reserved_ids=1, seed=1, **options
    )
    np.testing.assert_allclose(drawn.true_expected_count, [[256.7484], [431.79764]], rtol=1e-6)
    counts = np.bincount(drawn.sampled_candidates, minlength=5)
    wanted = 2000 * np.array([0, 1, 2, 3, 4]) ** 0.75 / (np.array([1, 2, 3, 4]) ** 0.75).sum()
    assert counts[0] == 0 and np.abs(counts - wanted).max() < 4 * np.sqrt(wanted.max())
    expected = wanted[drawn.sampled_candidates.numpy()]
    np.testing.assert_allclose(drawn.sampled_expected_count, expected, rtol=1e-5)


def test_classes_of_a_file(tmp_path):
    path = tmp_path / "words"
    path.write_text("the,5\nof,0\nand,7\n")
    drawn = tf.nn.fixed_unigram_candidate_sampler(
        [[0]], 1, 2, unique=True, range_max=3, vocab_file=str(path), seed=3
    )
    assert sorted(drawn.sampled_candidates.numpy().tolist()) == [0, 2]
    for wrong, text in (({}, "vocab_file or unigrams"), ({"unigrams": [1.0]}, "range_max is 3")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            tf.nn.fixed_unigram_candidate_sampler([[0]], 1, 2, True, 3, **wrong)


def test_parallel_stack():
    stacked = tf.function(lambda: tf.parallel_stack([tf.constant([1, 2]), tf.constant([3, 4])]))()
    assert stacked.numpy().tolist() == [[1, 2], [3, 4]]
    with pytest.raises(RuntimeError, match="not compatible with eager"):
        tf.parallel_stack([1, 2])


@pytest.mark.parametrize("call", [lambda x, y: x % y, tf.function(lambda x, y: x % y)])
def test_a_rest_of_zero_has_the_sign_of_the_dividend(call):
    x, y = tf.constant([-3.0, 3.0, -0.0, -1.0, 7.5]), tf.constant([3.0, -3.0, 2.0, np.inf, -2.0])
    rest = call(x, y).numpy()
    np.testing.assert_array_equal(rest, [0.0, 0.0, 0.0, np.inf, -0.5])
    np.testing.assert_array_equal(np.signbit(rest), [True, False, True, False, True])


def test_grids_of_vectors_of_two_dtypes_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot compute Mul"):
        tf.meshgrid([1, 2], [1.0, 2.0])
    with pytest.raises(TypeError):
        tf.function(lambda: tf.meshgrid([1, 2], [1.0, 2.0]))()


@pytest.mark.parametrize("run", [lambda call: call, tf.function])
def test_sparse_gradients_by_indices_of_two_dtypes_are_added(run):
    table = tf.Variable([[1.0], [2.0], [3.0]])

    def slopes():
        with tf.GradientTape() as tape:
            long = tf.reduce_sum(tf.gather(table, tf.constant([1, 2], tf.int64)))
            y = long + tf.reduce_sum(tf.gather(table, [0, 1]))
        return tape.gradient(y, table)

    made = run(slopes)()
    assert made.indices.dtype is tf.int64
    np.testing.assert_array_equal(tf.convert_to_tensor(made).numpy(), [[1.0], [2.0], [1.0]])

"""Random ops: errors, shapes in graphs, gradients of what is around them, devices."""

import numpy as np
import pytest
from unit.backend import strict_device

import shardtape as tf
from shardtape.errors import InvalidArgumentError
from shardtape.graph.ir import Graph
from shardtape.ops.registry import REGISTRY


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: tf.random.uniform([2], dtype=tf.int32), ValueError, "Must specify maxval"),
        (lambda: tf.random.uniform([2], dtype=tf.uint8), ValueError, "invalid value"),
        (lambda: tf.random.uniform([-2]), InvalidArgumentError, "Dimension -2 must be >= 0"),
        (lambda: tf.random.uniform([[2]]), InvalidArgumentError, "shape must be a vector"),
        (lambda: tf.random.uniform(2), InvalidArgumentError, "shape must be a vector"),
        (lambda: tf.random.uniform([2.5]), InvalidArgumentError, "int32, int64"),
        (lambda: tf.random.uniform([2], 5, 5, tf.int32), InvalidArgumentError, "Need minval"),
        (lambda: tf.random.normal([2], dtype=tf.int32), TypeError, "int32"),
        (lambda: tf.random.normal([2], 0, 1, tf.int32), InvalidArgumentError, "half, bfloat16"),
        (lambda: tf.random.categorical([1.0, 2.0], 3), InvalidArgumentError, "matrix"),
        (lambda: tf.random.categorical([[1.0, 2.0]], -3), InvalidArgumentError, "nonnegative"),
        (lambda: tf.random.categorical([[1.0]], 1, tf.int8), ValueError, "invalid value"),
        (lambda: tf.random.stateless_uniform([2], [1, 2, 3]), InvalidArgumentError, r"shape \[2\]"),
        (
            lambda: tf.random.stateless_uniform([2], [1, 2], None, 5, tf.int64),
            ValueError,
            "both None or not None",
        ),
        (
            lambda: tf.random.stateless_uniform([2], [1, 2], 0, 5, tf.uint32),
            ValueError,
            "unsigned",
        ),
        (
            lambda: tf.random.stateless_uniform([2], [1, 2], alg="threefry"),
            InvalidArgumentError,
            "Unsupported algorithm id: 2",
        ),
        (lambda: tf.random.Generator.from_seed(1, alg="xx"), ValueError, "unsupported value xx"),
        (lambda: tf.random.Generator(), ValueError, "copy_from"),
        (
            lambda: tf.random.Generator.from_seed(1).uniform([2], 1, None, tf.int32),
            ValueError,
            "both `None` or both non-`None`",
        ),
    ],
)
def test_wrong_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_empty_and_scalar_shapes():
    assert tf.random.uniform([0, 3]).shape == (0, 3)
    assert tf.random.normal([]).shape == ()
    assert tf.random.stateless_truncated_normal([0], [1, 2]).shape == (0,)
    assert tf.random.shuffle(tf.zeros([0, 2])).shape == (0, 2)
    assert tf.random.categorical(tf.zeros([0, 3]), 4).shape == (0, 4)
    assert tf.random.uniform(tf.TensorShape([2, 1])).shape == (2, 1)


def test_shuffle_takes_any_dtype_and_moves_whole_rows():
    shuffled = tf.random.shuffle([b"a", b"b", b"c"], seed=1)
    assert sorted(shuffled.numpy().tolist()) == [b"a", b"b", b"c"]
    rows = tf.random.shuffle(np.arange(20).reshape(10, 2), seed=1).numpy()
    np.testing.assert_array_equal(rows[:, 0] + 1, rows[:, 1])


def test_shapes_are_inferred_in_a_graph():
    with Graph().as_default():
        x = tf.placeholder(tf.float32, (None, 4))
        assert tf.random.uniform([2, 3]).shape.as_list() == [2, 3]
        assert tf.random.normal(tf.shape(x)).shape.as_list() == [None, 4]
        assert tf.random.categorical(x, 5).shape.as_list() == [None, 5]
        assert tf.random.shuffle(x).shape.as_list() == [None, 4]
        assert tf.random.uniform([2], 1, 5, tf.int64).dtype is tf.int64


def test_gradients_flow_to_mean_and_deviation():
    mean, deviation = tf.constant([0.5, 1.0]), tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch([mean, deviation])
        drawn = tf.random.normal([3, 2], mean, deviation, seed=1)
    by_mean, by_deviation = tape.gradient(drawn, [mean, deviation])
    np.testing.assert_allclose(by_mean.numpy(), [3, 3])
    unit = (drawn.numpy() - mean.numpy()) / 2
    np.testing.assert_allclose(by_deviation.numpy(), unit.sum(), rtol=1e-5)


def test_a_generator_in_a_function_moves_with_each_call():
    made = tf.random.Generator.from_seed(7)
    eager = tf.random.Generator.from_seed(7)

    @tf.function
    def draw():
        return made.normal([3])

    for _ in range(4):
        np.testing.assert_array_equal(draw().numpy(), eager.normal([3]).numpy())
    np.testing.assert_array_equal(made.state.numpy(), eager.state.numpy())
    assert made.key.numpy() == 0


def test_generators_are_copied_reset_and_global():
    made = tf.random.Generator.from_seed(7)
    copy = tf.random.Generator(copy_from=made)
    first = made.uniform([2]).numpy()
    np.testing.assert_array_equal(copy.uniform([2]).numpy(), first)
    made.reset_from_seed(7)
    np.testing.assert_array_equal(made.uniform([2]).numpy(), first)
    made.reset([7, 0, 0])
    np.testing.assert_array_equal(made.uniform([2]).numpy(), first)
    made.reset_from_key_counter(0, [7, 0])
    np.testing.assert_array_equal(made.uniform([2]).numpy(), first)
    tf.random.set_global_generator(made)
    assert tf.random.get_global_generator() is made
    apart = [tf.random.Generator.from_non_deterministic_state() for _ in range(2)]
    assert apart[0].uniform([]).numpy() != apart[1].uniform([]).numpy()


RANDOM_OPS = [
    name
    for name in REGISTRY
    if name.startswith(("Random", "Stateless", "TruncatedNormal", "Multinomial"))
]


@pytest.mark.parametrize("name", RANDOM_OPS)
def test_kernels_stay_on_the_device(name):
    op = REGISTRY[name]
    for inputs, attrs in op.samples(np.random.default_rng(0)):
        inputs = [np.asarray(x) for x in inputs]
        outputs = (0, 1) if name == "StatelessRandomGetKeyCounter" else ()
        tf.random.set_seed(1)
        got = strict_device.run(op, inputs, attrs, host_outputs=outputs)
        if op.effects == "random" and not attrs:
            continue  # unseeded
        tf.random.set_seed(1)
        want = op.kernel(np, *inputs, **op.bind_attrs(attrs))
        np.testing.assert_equal(got, want)


# ---- gradients by the shape of gamma distributions: TensorFlow 2.15's figures --------------------
ALPHA, BETA = [[1.0], [3.0], [5.0]], [[3.0, 4.0]]


def test_gamma_has_gradients_by_both_parameters():
    tf.random.set_seed(3)
    alpha, beta = tf.constant(ALPHA), tf.constant(BETA)
    with tf.GradientTape() as tape:
        tape.watch([alpha, beta])
        loss = tf.reduce_mean(tf.square(tf.random.gamma([4], alpha, beta)))
    by_alpha, by_beta = tape.gradient(loss, [alpha, beta])
    expected = [[0.08609164], [0.24914473], [0.2171289]]
    np.testing.assert_allclose(by_alpha, expected, rtol=2e-6)
    np.testing.assert_allclose(by_beta, [[-0.32247272, -0.30163997]], rtol=2e-6)


@pytest.mark.parametrize("run", [lambda f: f, tf.function], ids=["eager", "function"])
def test_stateless_gamma_has_gradients_by_both_parameters(run):
    def gradients(alpha, beta):
        with tf.GradientTape() as tape:
            tape.watch([alpha, beta])
            made = tf.random.stateless_gamma([5, 3, 2], [12, 34], alpha, beta)
            loss = tf.reduce_mean(tf.square(made))
        return tape.gradient(loss, [alpha, beta])

    by_alpha, by_beta = run(gradients)(tf.constant(ALPHA), tf.constant(BETA))
    expected = [[0.08607851], [0.1435446], [0.41835538]]
    np.testing.assert_allclose(by_alpha, expected, rtol=2e-6)
    np.testing.assert_allclose(by_beta, [[-0.69639945, -0.22588657]], rtol=2e-6)


def test_random_gamma_grad():
    made = tf.raw_ops.RandomGammaGrad(alpha=tf.constant(ALPHA), sample=[[0.5], [2.0], [9.0]])
    np.testing.assert_allclose(made, [[0.80697906], [0.8565715], [1.3671181]], rtol=2e-6)

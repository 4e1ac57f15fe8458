"""Sizes of 1 that are refused where NumPy would broadcast them: TensorFlow 2.15's answers."""

import numpy as np
import pytest

import shardtape as tf

# equation, shapes, what TensorFlow says of them
MISMATCHES = [
    ("ij,jk->ik", (1, 1), (2, 1), "Expected dimension 1 at axis 0 of the input shaped [2,1]"),
    ("i,i->", (2,), (1,), "Expected dimension 2 at axis 0 of the input shaped [1]"),
    ("ij,ij->ij", (2, 1), (2, 3), "Expected dimension 1 at axis 1 of the input shaped [2,3]"),
    ("bij,bjk->bik", (1, 2, 2), (4, 2, 2), "Expected dimension 1 at axis 0 of the input shaped"),
    ("ii,i->i", (1, 2), (2,), "Expected dimension 1 at axis 1 of the input shaped [1,2]"),
]


@pytest.mark.parametrize("equation, a, b, text", MISMATCHES)
def test_labels_of_einsum_do_not_broadcast(equation, a, b, text):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.einsum(equation, tf.ones(a), tf.ones(b))
    assert text in str(raised.value)
    with pytest.raises(ValueError):
        tf.function(lambda x, y: tf.einsum(equation, x, y))(tf.ones(a), tf.ones(b))
    anything = [tf.TensorSpec(None), tf.TensorSpec(None)]
    loose = tf.function(lambda x, y: tf.einsum(equation, x, y), input_signature=anything)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        loose(tf.ones(a), tf.ones(b))
    assert text in str(raised.value)


def test_the_diagonal_of_what_is_not_square():
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.einsum("ii->i", tf.ones((1, 2)))
    assert "Expected dimension 1 at axis 1 of the input shaped [1,2] but got" in str(raised.value)


def test_a_rank_that_does_not_fit_an_equation():
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.einsum("ij->i", tf.ones((2, 2, 2)))
    assert "Expected input 0 to have rank 2 but got: 3" in str(raised.value)


@pytest.mark.parametrize(
    "sizes", [((1, 2, 3), (4, 3, 2)), ((4, 2, 3), (3, 2)), ((4, 2, 3), (1, 3, 2))]
)
def test_an_ellipsis_broadcasts_and_so_does_its_gradient(sizes):
    rng = np.random.default_rng(0)
    a, b = (tf.constant(rng.normal(size=s)) for s in sizes)

    def product(x, y):
        with tf.GradientTape() as tape:
            tape.watch((x, y))
            made = tf.einsum("...ij,...jk->...ik", x, y)
            total = tf.reduce_sum(made**2)
        return made, tape.gradient(total, (x, y))

    def by_matmul(x, y):
        with tf.GradientTape() as tape:
            tape.watch((x, y))
            total = tf.reduce_sum(tf.matmul(x, y) ** 2)
        return tape.gradient(total, (x, y))

    for call in (product, tf.function(product)):
        made, gradients = call(a, b)
        np.testing.assert_allclose(made, np.matmul(a.numpy(), b.numpy()))
        for got, wanted in zip(gradients, by_matmul(a, b)):
            np.testing.assert_allclose(got, wanted)


def test_sizes_of_an_ellipsis_that_differ():
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.einsum("...ij,...jk->...ik", tf.ones((3, 2, 2)), tf.ones((4, 2, 2)))
    assert "compatible batch dimensions: [3,2,2] vs. [4,2,2]" in str(raised.value)


UPDATES = [
    ((3,), [[0], [1]], [5.0], "Outer dimensions of indices and update must match"),
    ((2, 2), [[0]], [5.0], "Inner dimensions of output shape must match"),
    ((2, 2), [[0]], [[5.0]], "imensions of output"),
    ((2, 2), [[0], [1]], [[1.0, 2.0]], "Outer dimensions of indices and update must match"),
    ((3,), [[0], [1]], 5.0, "Updates shape must have rank at least one. Found:[]"),
]


@pytest.mark.parametrize("kind", ["update", "add", "sub", "min", "max"])
@pytest.mark.parametrize("shape, indices, updates, text", UPDATES)
def test_updates_at_index_vectors_do_not_broadcast(kind, shape, indices, updates, text):
    function = getattr(tf, f"tensor_scatter_nd_{kind}")
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        function(tf.ones(shape), indices, updates)
    assert text in str(raised.value)
    with pytest.raises(ValueError):
        tf.function(function)(tf.ones(shape), indices, updates)
    v = tf.Variable(tf.ones(shape))
    with pytest.raises(tf.errors.InvalidArgumentError):
        getattr(v, f"scatter_nd_{kind}")(indices, updates)
    np.testing.assert_array_equal(v, np.ones(shape))


@pytest.mark.parametrize("shape, indices, updates, text", UPDATES)
def test_scatter_nd_does_not_broadcast(shape, indices, updates, text):
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.scatter_nd(indices, updates, shape)
    with pytest.raises(ValueError):
        tf.function(lambda i, u: tf.scatter_nd(i, u, shape))(indices, updates)


@pytest.mark.parametrize("kind", ["update", "add", "sub", "mul", "div", "min", "max"])
def test_rows_take_updates_of_their_shape_or_a_scalar(kind):
    def slices(values, indices):
        return tf.IndexedSlices(tf.constant(values), tf.constant(indices))

    for shape, values, rows in [
        ((3,), [5.0], [0, 1]),
        ((2, 2), [5.0], [0]),
        ((2, 2), [5.0, 6.0], [0, 1]),
        ((2, 2), [[5.0, 6.0]], [0, 1]),
    ]:
        v = tf.Variable(tf.ones(shape))
        with pytest.raises(tf.errors.InvalidArgumentError):
            getattr(v, f"scatter_{kind}")(slices(values, rows))
        np.testing.assert_array_equal(v, np.ones(shape))
    v = tf.Variable(tf.ones(3))
    getattr(v, f"scatter_{kind}")(slices(5.0, [0, 1]))
    wanted = {"update": 5, "add": 6, "sub": -4, "mul": 5, "div": 0.2, "min": 1, "max": 5}[kind]
    np.testing.assert_allclose(v, [wanted, wanted, 1], rtol=1e-6)


def test_batches_of_rows_take_updates_of_their_shape():
    v = tf.Variable(tf.ones((2, 3)))
    for values, rows in [
        ([[5.0]], [[0], [1]]),
        ([[5.0, 6.0]], [[0, 1], [1, 0]]),
        (5.0, [[0], [1]]),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError):
            v.batch_scatter_update(tf.IndexedSlices(tf.constant(values), tf.constant(rows)))
    v.batch_scatter_update(tf.IndexedSlices(tf.constant([[5.0], [6.0]]), tf.constant([[0], [1]])))
    np.testing.assert_array_equal(v, [[5, 1, 1], [1, 6, 1]])

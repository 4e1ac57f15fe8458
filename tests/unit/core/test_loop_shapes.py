"""Shapes of loop variables: what TensorFlow 2.15 refuses in a graph, and with which words."""

import re

import pytest

import shardtape as tf

INVARIANTS = "Use tf.autograph.experimental.set_loop_options to set shape invariants."


def grow(x):
    return tf.concat([x, [1.0]], 0)


def looped(body, start, count=3, **options):
    """`body` on the second of two loop variables, `count` times."""
    return tf.while_loop(
        lambda i, x: i < count, lambda i, x: (i + 1, body(x)), (0, start), **options
    )[1]


@pytest.mark.parametrize(("body", "start", "options", "text"), [
    (grow, [1.0], {}, "enters the loop with shape (1,), but has shape (2,) after one iteration"),
    (lambda x: x[None], [1.0], {}, "with shape (1,), but has shape (1, 1) after one iteration"),
    (lambda x: x[:, :1], [[1.0, 2.0]], {"shape_invariants": (tf.TensorShape([]),
     tf.TensorShape([None, 2]))}, "with shape (None, 2), but has shape (None, 1) after one"),
])  # fmt: skip
def test_a_loop_refuses_a_body_that_changes_shapes(body, start, options, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        tf.function(lambda: looped(body, tf.constant(start), **options))()
    assert "use the `shape_invariants` argument of tf.while_loop" in str(caught.value)


@pytest.mark.parametrize(
    "spec", [tf.TensorShape([None]), tf.TensorSpec([None]), tf.TensorShape(None)]
)
def test_open_shapes_and_eager_loops_may_grow(spec):
    assert looped(grow, tf.constant([1.0])).shape == (4,)
    open_shapes = (tf.TensorShape([]), spec)
    f = tf.function(lambda: looped(grow, tf.constant([1.0]), shape_invariants=open_shapes))
    assert f().shape == (4,)
    parts = {"n": tf.constant([1]), "x": tf.constant([1.0])}
    nested = tf.function(
        lambda: looped(
            lambda d: {"n": d["n"] + 1, "x": grow(d["x"])}, parts,
            shape_invariants=(tf.TensorShape([]), {"x": spec, "n": tf.TensorShape([1])}),
        )
    )  # fmt: skip
    assert nested()["x"].shape == (4,)


def test_shapes_that_are_only_less_known_are_taken():
    # TensorFlow refuses these as well; here less may be known of shapes than there
    f = tf.function(lambda n: looped(lambda x: tf.zeros([n]) + x, tf.constant([1.0])))
    assert f(tf.constant(1)).shape == (1,)
    ragged = tf.function(lambda x: looped(lambda y: tf.concat([y, y], 0), x, 1))
    assert ragged(tf.ragged.constant([[1.0], [2.0, 3.0]])).to_list() == [[1], [2, 3], [1], [2, 3]]


def test_structures_that_do_not_fit():
    with pytest.raises(ValueError, match="1 shapes for 2 loop variables"):
        tf.function(
            lambda: looped(grow, tf.constant([1.0]), shape_invariants=(tf.TensorShape([]),))
        )()
    with pytest.raises(ValueError, match="returns 0 tensors for 1 loop variables"):
        tf.function(lambda: tf.while_loop(lambda i: i < 5, lambda i: None, [tf.constant(0)]))()
    with pytest.raises(TypeError, match="with type tf.int32 but has type tf.float32 after one"):
        tf.function(
            lambda: tf.while_loop(lambda i: i < 5, lambda i: [1.0 * tf.cast(i, "float32")], [0])
        )()


def in_a_for(x):
    for _ in tf.range(3):
        x = grow(x)
    return x


def in_a_while(x):
    while tf.reduce_sum(x) < 4.0:
        x = grow(x)
    return x


def over_a_tensor(x):
    for i in tf.constant([1.0, 2.0]):
        x = tf.concat([x, [i]], 0)
    return x


@pytest.mark.parametrize("function", [in_a_for, in_a_while, over_a_tensor])
def test_statements_refuse_it_too_and_name_the_variable(function):
    text = "'x' has shape (1,) before the loop, but shape (2,) after one iteration. " + INVARIANTS
    with pytest.raises(ValueError, match=re.escape(text)):
        tf.function(function)(tf.constant([1.0]))
    wide = tf.function(function, input_signature=[tf.TensorSpec([None])])
    assert wide(tf.constant([1.0])).shape in ((3,), (4,))


def with_options(x, shape):
    for _ in tf.range(3):
        tf.autograph.experimental.set_loop_options(shape_invariants=[(x, shape)])
        x = grow(x)
    return x


def test_options_of_a_statement_open_shapes():
    f = tf.function(with_options)
    assert f(tf.constant([1.0]), tf.TensorShape([None])).shape == (4,)
    text = (
        "'x' has shape (1,) before the loop, which does not conform with the shape invariant (2,)"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        f(tf.constant([1.0]), tf.TensorShape([2]))


def over_a_dataset(x):
    for _ in tf.data.Dataset.range(3):
        x = grow(x)
    return x


def first_made_inside(n):
    for _ in tf.range(2):
        y = tf.zeros([n])
    return y


def test_loops_over_datasets_and_names_of_the_body_take_any_shape():
    assert tf.function(over_a_dataset)(tf.constant([1.0])).shape == (4,)
    assert tf.function(first_made_inside)(tf.constant(3)).shape == (3,)


def leaks():
    found = []
    for i in tf.range(3):
        found.append(i)
    return found


def test_a_tensor_of_a_turn_cannot_be_returned():
    with pytest.raises(tf.errors.InaccessibleTensorError, match="out of scope"):
        tf.function(leaks)()

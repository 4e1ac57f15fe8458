"""TensorArray and what is made of it: errors, growth, loops, branches, higher gradients."""

import numpy as np
import pytest

import shardtape as tf


def test_bounds_types_and_shapes():
    with pytest.raises(tf.errors.OutOfRangeError, match="not resizeable"):
        tf.TensorArray(tf.float32, size=1).write(3, 1.0)
    with pytest.raises(ValueError, match="dtype is float32"):
        tf.TensorArray(tf.float32, size=1).write(0, tf.constant(1))
    with pytest.raises(ValueError, match="Inconsistent shapes"):
        tf.TensorArray(tf.float32, size=2).write(0, 1.0).write(1, [1.0])
    with pytest.raises(tf.errors.OutOfRangeError, match="read from index 4"):
        tf.TensorArray(tf.float32, size=1).read(4)


def test_members_are_read_once_unless_kept():
    once = tf.TensorArray(tf.float32, size=1).write(0, 1.0)
    once.read(0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="clear_after_read"):
        once.read(0)
    kept = tf.TensorArray(tf.float32, size=1, clear_after_read=False).write(0, 1.0)
    assert float(kept.read(0)) == float(kept.read(0)) == 1.0


def test_holes_are_zeros_where_the_shape_is_known():
    array = tf.TensorArray(tf.float32, size=3, element_shape=[2]).write(1, [1.0, 2.0])
    assert array.stack().numpy().tolist() == [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]


def test_graph_errors_name_the_place():
    @tf.function
    def beyond(i):
        return tf.TensorArray(tf.float32, size=1).write(i, 1.0).stack()

    with pytest.raises(tf.errors.OutOfRangeError, match="index 3"):
        beyond(tf.constant(3))


def test_old_lists_stay_as_they_were():
    @tf.function
    def versions(x):
        first = tf.TensorArray(tf.float32, size=2, element_shape=[]).write(0, x)
        second = first.write(0, x * 10.0)
        third = first.write(1, x * 100.0)
        return first.stack(), second.stack(), third.stack()

    got = [v.numpy().tolist() for v in versions(tf.constant(1.0))]
    assert got == [[1.0, 0.0], [10.0, 0.0], [1.0, 100.0]]


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function])
def test_gradients_through_loops_that_read_and_write(wrap):
    @wrap
    def running(x):
        n = tf.shape(x)[0]
        rows = tf.TensorArray(tf.float32, size=n).unstack(x)
        out = tf.TensorArray(tf.float32, size=n)

        def body(i, total, out):
            total = total + rows.read(i) ** 2
            return i + 1, total, out.write(i, total)

        _, _, out = tf.while_loop(
            lambda i, *_: i < n, body, (tf.constant(0), tf.constant(0.0), out)
        )
        return out.stack()

    x = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(running(x))
    assert float(loss) == 1 + 5 + 14
    np.testing.assert_allclose(tape.gradient(loss, x), [6.0, 8.0, 6.0])


def test_branches_carry_lists_and_their_gradients():
    @tf.function
    def chosen(p, x):
        out = tf.TensorArray(tf.float32, size=2, element_shape=[])
        if p:
            out = out.write(0, x * 2.0)
        else:
            out = out.write(1, x * 3.0)
        return tf.reduce_sum(out.stack())

    x = tf.constant(5.0)
    for p, slope in ((True, 2.0), (False, 3.0)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = chosen(tf.constant(p), x)
        assert float(y) == 5.0 * slope and float(tape.gradient(y, x)) == slope


def test_long_loops_cost_what_their_turns_cost():
    @tf.function
    def many(n):
        out = tf.TensorArray(tf.float32, size=n, element_shape=[])
        for i in tf.range(n):
            out = out.write(i, tf.cast(i, tf.float32))
        return tf.reduce_sum(out.stack())

    assert float(many(tf.constant(3000))) == 3000 * 2999 / 2


def test_map_fn_says_what_does_not_fit():
    with pytest.raises(ValueError, match="fn_output_signature says"):
        tf.map_fn(lambda x: tf.cast(x, tf.float32), tf.constant([1, 2]))
    with pytest.raises(ValueError, match="1\\+ dimensional"):
        tf.map_fn(lambda x: x, tf.constant(1))
    with pytest.raises(ValueError, match="different numbers of rows"):
        tf.map_fn(lambda x: x[0], (tf.constant([1]), tf.constant([1, 2])))
    with pytest.raises(TypeError, match="not callable"):
        tf.map_fn(3, tf.constant([1]))


def test_scan_without_rows_needs_an_initializer():
    with pytest.raises(ValueError, match="at least one row"):
        tf.scan(lambda a, b: a + b, tf.zeros([0]))


def test_map_fn_says_which_results_cannot_be_rows():
    spec = tf.TensorArraySpec([], tf.float32)
    with pytest.raises(ValueError, match="fn_output_signature has TensorArraySpec"):
        tf.map_fn(tf.sparse.from_dense, tf.ones([2, 3]), fn_output_signature=spec)
    dataset = tf.data.DatasetSpec(tf.TensorSpec([], tf.int64))
    with pytest.raises(ValueError, match="fn_output_signature has DatasetSpec.*use tf.TensorSpec"):
        tf.map_fn(tf.data.Dataset.range, tf.range(2), fn_output_signature=dataset)


def test_members_that_were_read_are_zeros_in_the_whole():
    ta = tf.TensorArray(tf.float32, size=3)
    for i, row in enumerate([[1.0, 2.0], [3.0, 10.0], [5.0, 7.0]]):
        ta = ta.write(i, row)
    np.testing.assert_array_equal(ta.read(1).numpy(), [3, 10])
    np.testing.assert_array_equal(ta.stack().numpy(), [[1, 2], [0, 0], [5, 7]])
    np.testing.assert_array_equal(ta.stack().numpy(), [[1, 2], [0, 0], [5, 7]])  # it stays
    np.testing.assert_array_equal(ta.concat().numpy(), [1, 2, 0, 0, 5, 7])
    np.testing.assert_array_equal(ta.gather([2, 1]).numpy(), [[5, 7], [0, 0]])


def test_members_of_strings_are_tensors_in_a_function():
    words = tf.constant(["ab", "c"])

    @tf.function
    def read():
        array = tf.TensorArray(tf.string, 2).scatter([1, 0], words)
        one = tf.py_function(lambda x: x.numpy() + b"!", [array.read(0)], tf.string)
        mapped = tf.map_fn(lambda x: tf.py_function(lambda v: v.numpy() * 2, [x], tf.string), words)
        return one, mapped

    one, mapped = read()
    assert one.numpy() == b"c!" and mapped.numpy().tolist() == [b"abab", b"cc"]


def test_the_size_has_to_be_given():
    for make in (
        lambda: tf.TensorArray(tf.int32),
        lambda: tf.TensorArray(tf.int32, dynamic_size=True),
        tf.function(lambda: tf.TensorArray(tf.int32).size()),
    ):
        with pytest.raises(ValueError, match="size"):
            make()
    assert tf.TensorArray(tf.int32, 0, dynamic_size=True).write(0, 4).stack().numpy() == [4]

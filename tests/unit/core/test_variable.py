"""Variables: TensorFlow's printed forms and rules of assignment."""

import copy
import pickle

import numpy as np
import pytest

import shardtape as tf


def test_printed_forms():
    v = tf.Variable([1, 2, 3], dtype=tf.float32)
    assert repr(v) == (
        "<tf.Variable 'Variable:0' shape=(3,) dtype=float32, "
        "numpy=array([1., 2., 3.], dtype=float32)>"
    )
    c = tf.Variable([[1, 2], [3, 4], [5, 6]], name="weights")
    assert repr(c) == (
        "<tf.Variable 'weights:0' shape=(3, 2) dtype=int32, numpy=\n"
        "array([[1, 2],\n       [3, 4],\n       [5, 6]], dtype=int32)>"
    )
    assert type(v).__name__ == "ResourceVariable"
    assert isinstance(v, tf.Variable)


def test_unknown_shape_takes_any_value():
    d = tf.Variable([1, 2, 3], shape=tf.TensorShape(None))
    assert "shape=<unknown>" in repr(d)
    d.assign([[1, 2], [3, 4]])
    np.testing.assert_array_equal(d.numpy(), [[1, 2], [3, 4]])


def test_strings_and_complex_numbers():
    s = tf.Variable(["gato", "cavalo"])
    assert "dtype=string" in repr(s)
    assert list(s.numpy()) == [b"gato", b"cavalo"]
    assert tf.Variable([[1 + 2j]]).dtype is tf.complex128


def test_assignments():
    v = tf.Variable([1.0, 2.0])
    v.assign([5.0, 6.0])
    v.assign_add([1.0, 1.0])
    got = v.assign_sub([0.5, 0.5])
    np.testing.assert_array_equal(got.numpy(), [5.5, 6.5])
    with pytest.raises(ValueError, match="Shape mismatch"):
        v.assign([1.0])
    with pytest.raises((TypeError, ValueError), match="Variable:0"):
        v.assign_add(tf.constant([1, 2]))


def test_an_update_in_place_never_shows_in_a_value_that_was_read():
    v = tf.Variable(np.arange(6.0, dtype=np.float32))
    read = v.value()
    view = v.value().numpy()
    v.assign_add(np.ones(6, np.float32))
    v.assign_add(np.ones(6, np.float32))
    np.testing.assert_array_equal(read.numpy(), np.arange(6))
    np.testing.assert_array_equal(view, np.arange(6))
    np.testing.assert_array_equal(v.numpy(), np.arange(6) + 2)


def test_an_assigned_tensor_is_not_changed_by_later_updates():
    t = tf.constant([1.0, 2.0])
    v = tf.Variable([0.0, 0.0])
    v.assign(t)
    v.assign_add([5.0, 5.0])
    np.testing.assert_array_equal(t.numpy(), [1.0, 2.0])


def test_what_nobody_holds_is_updated_in_place():
    v = tf.Variable(np.zeros(1000, np.float32))
    v.assign_add(np.ones(1000, np.float32))
    address = v._array.ctypes.data
    v.assign_add(np.ones(1000, np.float32))
    assert v._array.ctypes.data == address


def test_names_follow_scopes():
    with tf.name_scope("layer"):
        v = tf.Variable(1.0, name="w")
    assert v.name == "layer/w:0"


def test_a_pickled_variable_is_one_of_its_own_with_the_value():
    v = tf.Variable([1.0, 2.0], trainable=False, name="kept", constraint=abs)
    for again in (pickle.loads(pickle.dumps(v)), copy.deepcopy(v)):
        v.assign([3.0, 4.0])
        np.testing.assert_array_equal(again, [1.0, 2.0])
        assert (again.name, again.trainable, again.constraint) == ("kept:0", False, abs)
        v.assign([1.0, 2.0])


def test_sparse_read_has_a_sparse_gradient():
    table = tf.Variable(np.arange(12.0, dtype=np.float32).reshape(4, 3))
    with tf.GradientTape() as tape:
        rows = table.sparse_read([2, 0, 2])
    g = tape.gradient(rows, table)
    assert isinstance(g, tf.IndexedSlices)
    np.testing.assert_array_equal(g.indices.numpy(), [2, 0, 2])
    dense = tf.convert_to_tensor(g).numpy()
    np.testing.assert_array_equal(dense[:, 0], [1, 0, 2, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in"):
        table.sparse_read([4])


def test_missing_initial_value():
    with pytest.raises(ValueError, match="initial_value"):
        tf.Variable()


def test_parts_at_index_vectors():
    v = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    got = v.scatter_nd_update(indices=[[0, 0], [1, 2]], updates=[100.0, 200.0])
    np.testing.assert_array_equal(got.numpy(), [[100, 2, 3], [4, 5, 200]])
    v.scatter_nd_add([[0], [0]], tf.ones([2, 3]))  # named twice: added twice
    v.scatter_nd_sub([[1, 0]], [1.0])
    v.scatter_nd_max([[1, 0], [1, 1]], [7.0, 0.0])
    v.scatter_nd_min([[1, 2]], [20.0])
    np.testing.assert_array_equal(v.numpy(), [[102, 4, 5], [7, 5, 20]])
    np.testing.assert_array_equal(v.gather_nd([[1, 2], [0, 1]]).numpy(), [20, 4])
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not index"):
        v.scatter_nd_update([[2, 0]], [1.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="the indices need"):
        v.scatter_nd_update([[0]], [[1.0]])


def test_parts_are_updated_in_functions_and_read_by_tapes():
    v = tf.Variable([1.0, 2.0, 3.0])

    @tf.function
    def update(value):
        return v.scatter_nd_update([[1]], [value]) * 2.0

    before = v.read_value()
    np.testing.assert_array_equal(update(tf.constant(9.0)).numpy(), [2, 18, 6])
    np.testing.assert_array_equal(before.numpy(), [1, 2, 3])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(v.gather_nd([[1], [1], [2]]))
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(y, v)).numpy(), [0, 2, 1])


def test_what_an_assignment_gives():
    # names and values of TensorFlow 2.15
    v, w = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.Variable(1.0, name="w")
    shown = "<tf.Variable 'UnreadVariable' shape=() dtype=float32, numpy=2.0>"
    assert repr(w.assign_add(1.0)) == shown and str(w.assign(2.0)) == shown
    rows = tf.IndexedSlices(tf.constant([[5.0, 6.0]]), [0])
    for got in (v.assign(v), v.scatter_update(rows), v.scatter_nd_update([[0, 0]], [9.0]),
                v[1, 1].assign(7.0)):  # fmt: skip
        assert got.name == "UnreadVariable" and isinstance(got, tf.Variable) and got is not v
    assert v.numpy().tolist() == got.numpy().tolist() == [[9.0, 6.0], [3.0, 7.0]]

    kept = w.assign(1.0)
    assert repr(kept.assign(2.0).assign_add(3.0)).endswith("numpy=5.0>")
    w.assign(8.0)
    assert kept.numpy() == 8 and w.name == "w:0"
    with tf.GradientTape() as tape:
        y = w.assign(3.0) * w
    assert tape.gradient(y, w).numpy() == 6
    copied = copy.deepcopy(w)
    assert type(copied) is type(w) and copied.assign(1.0).numpy() == 1 and w.numpy() == 3
    assert copy.deepcopy(kept).assign(2.0).numpy() == 2 and w.numpy() == 3


def test_a_variable_has_no_len():
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(TypeError, match="has no len"):
        len(v)
    assert [float(x) for x in v] == [1.0, 2.0] and len(v.value()) == 2


def test_what_assignments_give_in_functions_is_read_where_it_is_used():
    """The numbers are TensorFlow 2.15's."""
    v = tf.Variable(0.0)

    @tf.function
    def twice():
        a = v.assign_add(1.0)
        c = a * 1.0
        b = v.assign_add(1.0)
        return a, c, b

    assert [float(x) for x in twice()] == [2.0, 1.0, 2.0]

    @tf.function
    def chained():
        given = v.assign(5.0)
        assert isinstance(given, tf.Variable) and given.name == "UnreadVariable"
        given.assign_add(1.0)
        with tf.control_dependencies([given, v.assign_add(2.0)]):
            return tf.identity(given)

    assert float(chained()) == float(v) == 8.0
    [made] = [n for n in chained.get_concrete_function().graph.get_operations()
              if n.type == "ReadVariableOp"]  # fmt: skip
    assert "AssignVariableOp" in [
        n.type for n in chained.get_concrete_function().graph.get_operations()
    ]
    assert made.outputs[0].shape == ()

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            y = v.assign(x) * 3.0
        return tape.gradient(y, v)

    assert float(slope(2.0)) == 3.0


def test_what_an_assignment_gives_is_pickled_as_the_variable():
    v = tf.Variable([1.0, 2.0], name="held")
    again = pickle.loads(pickle.dumps(v.assign_add([1.0, 1.0])))
    again.assign_add([10.0, 10.0])
    assert again.name == "held:0" and again.numpy().tolist() == [12.0, 13.0]
    assert v.numpy().tolist() == [2.0, 3.0]

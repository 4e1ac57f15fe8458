"""GradientTape: values worked out by hand or taken from the calculus."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import logger


def test_derivative_of_a_square():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert tape.gradient(y, x).numpy() == 6.0


def test_second_derivative_by_nested_tapes():
    x = tf.Variable(2.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x * x * x
        first = inner.gradient(y, x)
    second = outer.gradient(first, x)
    assert (first.numpy(), second.numpy()) == (12.0, 12.0)


def test_variables_are_watched_and_constants_are_not():
    v, c = tf.Variable(2.0), tf.constant(5.0)
    with tf.GradientTape() as tape:
        y = v * c
    assert [w.ref() for w in tape.watched_variables()] == [v.ref()]
    gv, gc = tape.gradient(y, [v, c])
    assert gv.numpy() == 5.0
    assert gc is None


def test_untrainable_variables_and_an_unwatching_tape():
    v = tf.Variable(2.0, trainable=False)
    with tf.GradientTape() as tape:
        y = v * v
    assert tape.gradient(y, v) is None
    w = tf.Variable(3.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(w)
        y = w * v
    assert tape.gradient(y, w).numpy() == 2.0
    assert len(tape.watched_variables()) == 1


def test_sources_keep_their_structure_and_unused_ones_give_none_or_zeros():
    a, b = tf.Variable(1.0), tf.Variable([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        y = a * 4.0
    got = tape.gradient(y, {"a": a, "b": [b]})
    assert got["a"].numpy() == 4.0
    assert got["b"] == [None]
    zeros = tape.gradient(y, b, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_array_equal(zeros.numpy(), [0.0, 0.0])


def test_a_tape_gives_one_gradient_unless_it_is_persistent():
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="non-persistent"):
        tape.gradient(y, x)
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert tape.gradient(z, x).numpy() == 108.0
    assert tape.gradient(y, x).numpy() == 6.0
    assert tape.gradient(z, y).numpy() == 18.0


def test_intermediate_result_as_source():
    x = tf.constant([1.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    np.testing.assert_array_equal(tape.gradient(z, y).numpy(), [2.0, 18.0])


def test_the_gradient_of_several_targets_is_that_of_their_sum():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        targets = {"a": x * x, "b": 1.0 / x}
    assert tape.gradient(targets, x).numpy() == 3.75


def test_output_gradients_weigh_the_targets():
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = x * x
    got = tape.gradient(y, x, output_gradients=tf.constant([10.0, 100.0]))
    np.testing.assert_array_equal(got.numpy(), [20.0, 400.0])


def test_gradients_are_summed_back_over_broadcast_axes():
    x = tf.Variable([[1.0], [2.0]])
    b = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        y = x + b
        z = y * b
    gx, gb = tape.gradient(z, [x, b])
    np.testing.assert_array_equal(gx.numpy(), [[6.0], [6.0]])
    np.testing.assert_array_equal(gb.numpy(), [2 * 1 + 3 + 2 * 1.0, 3 + 8.0, 3 + 12.0])


def test_stop_recording_and_reset():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = y * y
        assert tape.gradient(z, x) is None
    with tf.GradientTape() as tape:
        y = x * x
        tape.reset()
        w = x * 3.0
    assert tape.gradient(w, x).numpy() == 3.0


def test_a_value_read_before_an_update_keeps_what_it_was():
    v = tf.Variable([1.0, 2.0])
    before = v.read_value()
    with tf.GradientTape() as tape:
        y = v * v
    v.assign_add([10.0, 10.0])
    np.testing.assert_array_equal(before.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(tape.gradient(y, v).numpy(), [2.0, 4.0])


def test_accumulated_gradients_do_not_change_each_other():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a = x + x
        b = a + x
        c = b + a
    np.testing.assert_array_equal(tape.gradient(c, x).numpy(), [5.0, 5.0])
    np.testing.assert_array_equal(tape.gradient(c, a).numpy(), [2.0, 2.0])
    np.testing.assert_array_equal(tape.gradient(c, b).numpy(), [1.0, 1.0])
    np.testing.assert_array_equal(tape.gradient(c, x).numpy(), [5.0, 5.0])


def test_watching_what_is_no_tensor_is_an_error():
    with tf.GradientTape() as tape, pytest.raises(ValueError, match="not tf.Tensor"):
        tape.watch("x")


def test_integers_are_warned_of(caplog, monkeypatch):
    monkeypatch.setattr(logger, "_counts", {})
    x = tf.constant(3)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert tape.gradient(y, x) is None
    assert "must be floating" in caplog.text


def test_errors_are_those_of_tensorflow():
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = x * x
    with pytest.raises(ValueError, match="Unknown value for unconnected_gradients: 'some'"):
        tape.gradient(y, x, unconnected_gradients="some")
    with pytest.raises(TypeError, match="received None"):
        tape.gradient(None, x)
    with pytest.raises(ValueError, match="Tape is not recording"), tape.stop_recording():
        pass
    with pytest.raises(tf.errors.InvalidArgumentError, match="be a float tensor but is a int32"):
        x * tf.Variable(1)


def test_a_sparse_gradient_prints_its_parts():
    a = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = tf.gather(a, [0, 0, 1])
    assert str(tape.gradient(y, a)) == (
        "IndexedSlices(indices=tf.Tensor([0 0 1], shape=(3,), dtype=int32), "
        "values=tf.Tensor([1. 1. 1.], shape=(3,), dtype=float32), "
        "dense_shape=tf.Tensor([2], shape=(1,), dtype=int32))"
    )


def test_a_variable_that_is_an_operand_is_a_source_across_writes():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        before = v * 2.0
        read = v.read_value()
        v.assign_add([1.0, 1.0])
        total = before + v * v + read * read * read + tf.matmul([[1.0, 2.0]], v[:, None])[0]
    # 2 from before; 2 (v + 1); 3 v^2; [1, 2] from each of the two results
    np.testing.assert_allclose(tape.gradient(total, v), [2 + 4 + 3 + 2, 2 + 6 + 12 + 4])
    np.testing.assert_allclose(tape.gradient(total, read), [3.0, 12.0])


def test_second_derivative_by_a_variable_that_is_an_operand():
    v = tf.Variable(3.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = v * v * v
        first = inner.gradient(y, v)
    assert float(first) == 27.0 and float(outer.gradient(first, v)) == 18.0
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        y = v * v
    assert tape.gradient(y, v) is None

"""Errors of users while a function is traced: TensorFlow 2.15's classes and the telling part."""

import numpy as np
import pytest

import shardtape as tf

X = tf.constant([1.0, 2.0])
MIXED = "does not match type int32 of argument"


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda: tf.constant(1) + tf.constant(1.0), TypeError,
         f"Input 'y' of 'AddV2' Op has type float32 that {MIXED} 'x'"),
        (lambda: tf.matmul(tf.ones([1, 1], tf.int32), tf.ones([1, 1])), TypeError,
         f"Input 'b' of 'MatMul' Op has type float32 that {MIXED} 'a'"),
        (lambda: tf.equal(tf.constant(1), tf.constant(1.0)), TypeError, MIXED),
        (lambda: tf.where(True, tf.constant(1), tf.constant(1.0)), TypeError, "SelectV2"),
        (lambda: tf.concat([tf.constant([1]), tf.constant([1.0])], 0), TypeError,
         r"of 'ConcatV2' Op have types \[int32, float32\] that don't all match"),
        (lambda: tf.sigmoid(tf.constant(1)), TypeError,
         "Value passed to parameter 'x' has DataType int32 not in list of allowed values"),
        (lambda: tf.gather(X, 1.5), TypeError, "parameter 'indices' has DataType float32"),
        (lambda: X + None, ValueError, r"convert a value \(None\) with an unsupported type"),
        (lambda: X + "a", TypeError, "str|string"),
        (lambda: tf.fill([2], [1, 2]), ValueError, "Shape must be rank 0 but is rank 1"),
        (lambda: tf.zeros([-1]), ValueError, "must be >= 0"),
        (lambda: tf.broadcast_to(X, [3]), ValueError, "Dimensions must be equal, but are 2 and 3"),
        (lambda: object(), TypeError, "must return zero or more Tensors"),
    ],
)  # fmt: skip
def test_in_a_function(function, error, text):
    with pytest.raises(error, match=text):
        tf.function(lambda: function())()


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda: tf.constant(1) + tf.constant(1.0), tf.errors.InvalidArgumentError,
         r"cannot compute AddV2 as input #1\(zero-based\) was expected to be a int32 tensor"),
        (lambda: tf.constant(1) + 1.5, tf.errors.InvalidArgumentError, "AddV2"),
        (lambda: tf.constant(1) * 1.5, TypeError, "Cannot convert 1.5 to EagerTensor of dtype"),
        (lambda: X + None, ValueError, r"convert a value \(None\)"),
        (lambda: tf.cast("1", tf.float32), tf.errors.UnimplementedError, "Cast string to float"),
        (lambda: X.set_shape([3]), ValueError, r"\(2,\) is not compatible with supplied shape"),
        (lambda: tf.nn.max_pool2d(tf.ones([2, 3]), 2, 2, "SAME"),
         tf.errors.InvalidArgumentError, "must be 4 or 5-dimensional"),
        (lambda: tf.one_hot([1], -2), tf.errors.InvalidArgumentError, "must be non-negative"),
    ],
)  # fmt: skip
def test_eagerly(function, error, text):
    with pytest.raises(error, match=text):
        function()


def test_a_tensor_of_a_trace_cannot_be_used_after_it():
    kept = []

    @tf.function
    def f(x):
        kept.append(x * 2.0)
        return x

    f(X)
    with pytest.raises(TypeError, match="is out of scope"):
        kept[0] + 1.0
    with pytest.raises(TypeError, match="out of scope"):
        tf.function(lambda: kept[0] + np.float32(1.0))()


@pytest.mark.parametrize(
    "function", [list, lambda x: [v for v in x], lambda x: (lambda a, b: a)(*x)]
)
def test_a_symbolic_tensor_is_not_iterated(function):
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError, match="Iterating over a symbolic"):
        tf.function(lambda x: function(x), autograph=False)(X)


def test_a_loop_that_autograph_converts_iterates():
    @tf.function
    def total(x):
        s = tf.zeros([])
        for v in x:
            s += v
        return s

    assert total(X).numpy() == 3.0


def test_tensors_of_a_finished_trace_are_refused():
    kept = []

    @tf.function
    def leaks(x):
        kept.append(x + 1)
        return x

    leaks(tf.constant(1))
    variable = tf.Variable(5)

    @tf.function
    def takes():
        return kept[0] * 2

    uses = (
        lambda: kept[0] + 1,
        lambda: variable.assign(kept[0]),
        lambda: variable.assign_add(kept[0]),
        lambda: leaks(kept[0]),
        takes,
    )
    for use in uses:
        with pytest.raises(TypeError, match="out of scope") as caught:
            use()
        assert type(caught.value) is TypeError
    assert variable.numpy() == 5

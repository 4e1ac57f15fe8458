"""AutoGraph converts the `__call__` of objects, as TensorFlow does."""

import functools

import pytest

import shardtape as tf


class Doubled(tf.Module):
    def __call__(self, x, n=3):
        for _ in tf.range(n):
            if x > 100.0:
                break
            x = x * 2.0
        return x


def doubled(x, n):
    for _ in tf.range(n):
        x = x * 2.0
    return x


class Inherits(Doubled):
    pass


class Plain:
    def __call__(self, x):
        if x > 0:
            x = x + 1.0
        return x


class Unconverted:
    @tf.autograph.experimental.do_not_convert
    def __call__(self, x):
        return x + 1.0 if x > 0 else x


class Layer(tf.keras.layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Doubled(), 24.0),
        (Inherits(), 24.0),
        (functools.partial(Doubled(), n=4), 48.0),
        (functools.partial(functools.partial(doubled), n=2), 12.0),
        (Plain(), 4.0),
        (Layer(Plain()), 4.0),
    ],
)
def test_objects_are_called_in_functions_and_are_functions(made, expected):
    x = tf.constant(3.0)

    @tf.function
    def caller(x):
        return made(x)

    assert float(caller(x)) == expected
    assert float(tf.function(made)(x)) == expected
    assert [float(v) for v in tf.data.Dataset.from_tensors(x).map(made)] == [expected]


def test_a_method_with_a_signature_that_calls_an_object():
    class Export(tf.Module):
        def __init__(self, inner):
            self.inner = inner

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def __call__(self, x):
            return self.inner(x, 5)

    export = Export(Doubled())
    assert float(export(tf.constant(3.0))) == 96.0
    assert float(tf.function(lambda x: export(x))(tf.constant(3.0))) == 96.0


def test_what_is_marked_stays_as_it_is():
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
        tf.function(Unconverted())(tf.constant(1.0))
    assert float(Unconverted()(tf.constant(1.0))) == 2.0

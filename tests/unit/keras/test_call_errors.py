"""Errors of a layer's `call` name the layer and its arguments; texts are those of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf


class Strict(tf.keras.layers.Layer):
    def call(self, x, mode="a", flag=None, training=False):
        raise ValueError("bad thing")


class Raising(tf.keras.layers.Layer):
    def __init__(self, error, **kwargs):
        super().__init__(**kwargs)
        self.error = error

    def call(self, x):
        raise self.error


class Product(tf.keras.layers.Layer):
    def call(self, x):
        return tf.matmul(x, tf.ones((7, 7)))


class Around(tf.keras.layers.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)


X = tf.ones((2, 3))


def test_text_of_keras_with_given_and_default_arguments():
    with pytest.raises(ValueError) as caught:
        Strict(name="l")(X, flag=[X, 1], training=True)
    assert str(caught.value) == (
        "Exception encountered when calling layer 'l' (type Strict).\n\nbad thing\n\n"
        "Call arguments received by layer 'l' (type Strict):\n"
        "  • x=tf.Tensor(shape=(2, 3), dtype=float32)\n  • mode=a\n"
        "  • flag=['tf.Tensor(shape=(2, 3), dtype=float32)', '1']\n  • training=True"
    )


def test_nested_inputs_and_positional_arguments():
    with pytest.raises(ValueError) as caught:
        Strict(name="l")([X, {"a": X}], "b")
    lines = str(caught.value).splitlines()[-4:]
    tensor = "'tf.Tensor(shape=(2, 3), dtype=float32)'"
    assert lines == [
        f"  • x=[{tensor}, {{'a': {tensor}}}]", "  • mode='b'", "  • flag=None",
        "  • training=False",
    ]  # fmt: skip


class Pair(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


class Coded(Exception):
    def __init__(self, code):
        super().__init__(f"code {int(code)}")


@pytest.mark.parametrize(
    ("error", "kind", "own"),
    [
        (KeyError("key"), KeyError, "key"),
        (Coded("7"), RuntimeError, "code 7"),
        (NotImplementedError(), NotImplementedError, ""),
        (Pair(1, 2), RuntimeError, "1"),
        (tf.errors.NotFoundError(None, None, "gone"), tf.errors.NotFoundError, "gone"),
    ],
)
def test_classes_are_kept_where_they_take_a_text(error, kind, own):
    with pytest.raises(kind) as caught:
        Raising(error, name="r")(X)
    assert type(caught.value) is kind
    text = getattr(caught.value, "message", None) or caught.value.args[0]
    who = "layer 'r' (type Raising)"
    assert text.startswith(f"Exception encountered when calling {who}.\n\n{own}\n\nCall arguments")


def test_only_the_innermost_layer_tells():
    with pytest.raises(ValueError) as caught:
        Around(Around(Strict(name="l"), name="m"), name="o")(X)
    assert str(caught.value).count("Exception encountered") == 1
    assert "calling layer 'l' (type Strict)" in str(caught.value)


class Unbuilt(tf.keras.layers.Layer):
    def build(self, shape):
        raise ValueError("in build")


def test_build_and_specs_are_told_by_the_layer_around():
    with pytest.raises(ValueError, match="^in build$"):
        Unbuilt()(X)
    with pytest.raises(ValueError, match=r"layer 'o' \(type Around\).\n\nin build\n"):
        Around(Unbuilt(), name="o")(X)
    dense = tf.keras.layers.Dense(4, name="dense")
    dense(X)
    with pytest.raises(ValueError, match='^Input 0 of layer "dense" is incompatible'):
        dense(tf.ones((2, 5)))
    with pytest.raises(TypeError, match="^Dense.call"):
        dense(X, tf.ones(3))


def test_inputs_of_a_model_are_checked_before_its_call():
    entrance = tf.keras.Input((3,), name="x")
    model = tf.keras.Model(entrance, tf.keras.layers.Dense(2)(entrance), name="m")
    with pytest.raises(ValueError, match='^Input 0 of layer "m" is incompatible'):
        model(tf.ones((2, 5)))
    with pytest.raises(ValueError, match='^Missing data for input "x"'):
        model({"y": X})
    with pytest.raises(ValueError, match=r"layer 'o' \(type Around\).\n\nInput 0 of layer"):
        Around(model, name="o")(tf.ones((2, 5)))


def test_symbolic_calls_quote_as_keras_does():
    with pytest.raises(ValueError) as caught:
        Product(name="p")(tf.keras.Input((3,)))
    text = str(caught.value)
    assert text.startswith('Exception encountered when calling layer "p" (type Product).\n\n')
    assert text.endswith("  • x=tf.Tensor(shape=(None, 3), dtype=float32)")


def test_functional_subclassed_and_fit():
    entrance = tf.keras.Input((None,))
    model = tf.keras.Model(entrance, Product(name="p")(entrance))
    told = r"Exception encountered when calling layer 'p' \(type Product\)"
    with pytest.raises(tf.errors.InvalidArgumentError, match=told):
        model(X)

    class Sub(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = Product(name="p")

        def call(self, x):
            return self.inner(x)

    x, y = np.ones((2, 3), "float32"), np.ones((2, 7))
    for eagerly, kind in ((False, ValueError), (True, tf.errors.InvalidArgumentError)):
        sub = Sub()
        sub.compile("sgd", "mse", run_eagerly=eagerly)
        with pytest.raises(kind, match=told):
            sub.fit(x, y, verbose=0)


def test_ragged_arrays_and_open_arguments():
    class Open(tf.keras.layers.Layer):
        def call(self, x, *args, **kwargs):
            raise TypeError("no")

    with pytest.raises(TypeError) as caught:
        Open()(tf.ragged.constant([[1], [2, 3]]), 1, "a", foo=X, bar=np.ones(2))
    lines = str(caught.value).splitlines()[-3:]
    assert lines[:2] == ["  • x=<tf.RaggedTensor [[1], [2, 3]]>", "  • args=('1', \"'a'\")"]
    assert lines[2].startswith(
        "  • kwargs={'foo': 'tf.Tensor(shape=(2, 3), dtype=float32)', 'bar': 'array([1., 1.])'"
    )

"""Functions for types of one's own; what is expected here TensorFlow 2.15 gives, too."""

import typing

import pytest

import shardtape as tf


class Masked(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor

    def lists(self):
        return self.values.numpy().tolist(), self.mask.numpy().tolist()


X = Masked([1.0, -2.0, 3.0], [True, True, False])
Y = Masked([4.0, 5.0, 6.0], [False, True, True])


@pytest.fixture
def registered():
    """Registers what a test needs, and takes it back."""
    done = []

    def register(decorator, function):
        done.append(decorator(function))
        return done[-1]

    yield register
    for function in done:
        tf.experimental.unregister_dispatch_for(function)


def test_operators_take_no_function_over(registered):
    registered(
        tf.experimental.dispatch_for_api(tf.concat, {"values": list[Masked]}),
        lambda values, axis: 1,
    )
    before = tf.multiply
    with pytest.raises(TypeError):
        tf.constant([1.0]) * X
    assert tf.multiply is before


def test_one_function(registered):
    def stacked(values: typing.List[Masked], axis=0):  # noqa: UP006 - the older way to write it
        return Masked(
            tf.stack([v.values for v in values], axis), tf.stack([v.mask for v in values], axis)
        )

    registered(tf.experimental.dispatch_for_api(tf.stack), stacked)
    assert tf.stack([X, Y], axis=1, name="s").lists() == (
        [[1.0, 4.0], [-2.0, 5.0], [3.0, 6.0]], [[True, False], [True, True], [False, True]],
    )  # fmt: skip
    assert tf.stack(values=[X, Y]).values.shape == (2, 3)
    assert tf.stack([tf.constant(1), 2]).numpy().tolist() == [1, 2]

    def joined(values, axis):
        return Masked(
            tf.concat([v.values for v in values], axis), tf.concat([v.mask for v in values], axis)
        )

    decorator = tf.experimental.dispatch_for_api(tf.concat, {"values": list[Masked]})
    registered(decorator, joined)
    assert tf.concat(axis=0, values=[X, Y]).values.numpy().tolist() == [1, -2, 3, 4, 5, 6]

    def product(a: Masked, b: Masked | tf.Tensor):
        return "product"

    registered(tf.experimental.dispatch_for_api(tf.matmul), product)
    assert tf.matmul(X, Y) == tf.linalg.matmul(X, tf.ones([1])) == "product"
    with pytest.raises(ValueError):
        tf.matmul(tf.ones([1]), X)
    with pytest.raises(ValueError):
        tf.stack([X, tf.constant([1.0])])


def test_functions_of_one_element(registered):
    def handler(api_func, x):
        return Masked(api_func(x.values), x.mask)

    unary, original = tf.experimental.dispatch_for_unary_elementwise_apis, tf.abs
    registered(unary(Masked), handler)
    assert tf.abs is not original
    mask = [True, True, False]
    assert tf.abs(X).lists() == tf.math.abs(X).lists() == ([1.0, 2.0, 3.0], mask)
    assert tf.ones_like(X, dtype=tf.int32).lists() == ([1, 1, 1], mask)
    assert tf.cast(X, tf.int32).lists() == tf.cast(X, dtype=tf.int32).lists() == ([1, -2, 3], mask)
    assert tf.nn.leaky_relu(X, alpha=0.5).lists() == ([1.0, -1.0, 3.0], mask)
    assert tf.clip_by_value(X, 0.0, 2.0).lists() == ([1.0, 0.0, 2.0], mask)
    assert tf.square(x=X).lists() == ([1.0, 4.0, 9.0], mask)
    assert tf.strings.as_string(X).lists()[0] == [b"1.000000", b"-2.000000", b"3.000000"]
    assert tf.function(lambda x: tf.nn.relu(x))(X).lists() == ([1.0, 0.0, 3.0], mask)
    with pytest.raises(ValueError):
        tf.reduce_sum(X)
    with pytest.raises(ValueError, match="already been registered"):
        unary(Masked)(lambda api_func, x: x)
    tf.experimental.unregister_dispatch_for(handler)
    assert tf.abs is tf.math.abs is original
    with pytest.raises(ValueError):
        tf.abs(X)
    with pytest.raises(ValueError, match="was not registered"):
        tf.experimental.unregister_dispatch_for(handler)
    unary(Masked)(handler)  # which the fixture takes back


def test_functions_of_two_elements(registered):
    def both(api_func, x, y):
        return Masked(api_func(x.values, y.values), x.mask & y.mask)

    def left(api_func, x, y):
        return Masked(api_func(x.values, y), x.mask)

    binary = tf.experimental.dispatch_for_binary_elementwise_apis
    registered(binary(Masked, Masked), both)
    registered(binary(Masked, tf.Tensor), left)
    mask = [False, True, False]
    for run in (tf.add, tf.function(lambda x, y: tf.add(x, y))):
        assert run(X, Y).lists() == ([5.0, 3.0, 9.0], mask)
    assert tf.math.add(x=X, y=Y, name="a").lists() == ([5.0, 3.0, 9.0], mask)
    assert tf.maximum(X, Y).lists() == ([4.0, 5.0, 6.0], mask)
    assert tf.math.floordiv(X, Y).lists() == ([0.0, -1.0, 0.0], mask)
    assert tf.pow(X, Y).lists() == ([1.0, -32.0, 729.0], mask)
    assert tf.add(X, tf.constant(1.0)).lists() == ([2.0, -1.0, 4.0], [True, True, False])
    with pytest.raises(ValueError):
        tf.add(X, 1.0)
    asserts = tf.experimental.dispatch_for_binary_elementwise_assert_apis
    registered(asserts(Masked, Masked), lambda assert_func, x, y: "asserted")
    assert tf.debugging.assert_less(X, Y, message="m") == "asserted"


def test_operators_with_tensors(registered):
    binary = tf.experimental.dispatch_for_binary_elementwise_apis
    registered(binary(tf.Tensor, Masked), lambda f, x, y: Masked(f(x, y.values), y.mask))
    registered(binary(Masked, tf.Tensor), lambda f, x, y: Masked(f(x.values, y), x.mask))
    two, mask = tf.constant(2.0), [True, True, False]
    for run in (lambda f: f(two, X), lambda f: tf.function(f)(two, X)):
        assert run(lambda t, x: t * x).lists() == ([2.0, -4.0, 6.0], mask)
        assert run(lambda t, x: t - x).lists() == ([1.0, 4.0, -1.0], mask)
        assert run(lambda t, x: t**x).lists() == ([2.0, 0.25, 8.0], mask)
        assert run(lambda t, x: t // x).lists() == ([2.0, -1.0, 0.0], mask)
        assert run(lambda t, x: t < x).lists() == ([False, False, True], mask)
        assert run(lambda t, x: x - t).lists() == ([-1.0, -4.0, 1.0], mask)
    with pytest.raises(TypeError):
        X * 2.0
    with pytest.raises(TypeError):
        two @ X


def test_signatures_that_are_wrong():
    api = tf.experimental.dispatch_for_api
    for decorator, function, text in (
        (api(tf.add, {"q": Masked}), lambda x, y, name=None: 1, "unknown parameter"),
        (api(tf.add), lambda x, y, name=None: 1, "needs a parameter"),
        (api(tf.add, {"x": Masked}), lambda a, b: 1, "does not match"),
    ):
        with pytest.raises(ValueError, match=text):
            decorator(function)
    with pytest.raises(ValueError, match="does not support dispatch"):
        api(len, {"x": Masked})


def test_layers_of_functions_keep_their_names(registered):
    registered(tf.experimental.dispatch_for_unary_elementwise_apis(Masked), lambda api_func, x: x)
    x = tf.keras.Input([2])
    model = tf.keras.Model(x, tf.abs(tf.exp(x)))
    assert [layer.name for layer in model.layers[1:]] == ["tf.math.exp", "tf.math.abs"]

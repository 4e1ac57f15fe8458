"""What an `input_signature` takes and refuses; checked with TensorFlow 2.15."""

import functools

import numpy as np
import pytest

import shardtape as tf

S = tf.TensorSpec([])


def made(function, *specs):
    return tf.function(function, input_signature=list(specs))


def test_nested_values():
    @tf.function(input_signature=[(S, tf.TensorSpec([2]))])
    def scaled(pair):
        return pair[0] * pair[1]

    @tf.function(input_signature=[{"a": tf.TensorSpec([2]), "b": tf.TensorSpec([1], tf.int32)}])
    def of_dict(d):
        return d["a"], d["b"]

    @tf.function(input_signature=[[tf.TensorSpec([2]), (S, {"k": tf.TensorSpec([2, 2])})], S])
    def deep(a, z):
        return a[0] * a[1][0], a[1][1]["k"] * z

    np.testing.assert_array_equal(scaled((1.0, [1.0, 2.0])), [1, 2])
    np.testing.assert_array_equal(scaled((2, np.array([1.0, 2.0]))), [2, 4])
    a, b = of_dict({"b": [3], "a": [1.0, 2.0]})
    assert a.numpy().tolist() == [1, 2] and b.numpy().tolist() == [3]
    first, second = deep([[1.0, 2.0], (3.0, {"k": [[1.0, 2.0], [3.0, 4.0]]})], 5.0)
    assert first.numpy().tolist() == [3, 6] and second.numpy().tolist() == [[5, 10], [15, 20]]
    assert scaled.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "value", [[1.0, [1.0, 2.0]], (1.0,), (1.0, [1.0, 2.0, 3.0]), (1.0, {"a": 2.0}), [1]]
)
def test_nested_values_of_another_structure(value):
    function = made(lambda pair: pair[0] * pair[1], (S, tf.TensorSpec([2])))
    with pytest.raises(TypeError, match="Binding inputs to tf.function"):
        function(value)


def test_keys_of_another_dict():
    function = made(lambda d: d["a"], {"a": S})
    with pytest.raises(TypeError, match="Binding inputs to tf.function"):
        function({"b": 1.0})


@pytest.mark.parametrize(
    ("function", "specs", "text"),
    [
        (lambda x, y: x, [S], "input_signature missing type constraint for y"),
        (lambda x: x, [], "input_signature missing type constraint for x"),
        (lambda x: x, [S, S], "input_signature contains 1 extra type constraints"),
        (lambda: 1, [S, S], "input_signature contains 2 extra type constraints"),
        (lambda x, *, k: x, [S], "keyword-only parameter `k` must have a default value"),
        (lambda x: x, [3], "must be a possibly nested sequence of TensorSpec objects"),
        (lambda x: x, S, "must be either a tuple or a list"),
    ],
)
def test_specs_that_do_not_fit_are_refused_at_once(function, specs, text):
    with pytest.raises(TypeError, match=text):
        tf.function(function, input_signature=specs)


def test_methods_count_without_self():
    class Doubles:
        @tf.function(input_signature=[S])
        def of(self, x):
            return x * 2

    assert Doubles().of(3.0).numpy() == 6
    with pytest.raises(TypeError, match="missing type constraint for y"):

        class Wrong:
            @tf.function(input_signature=[S])
            def of(self, x, y):
                return x


def test_parameters_without_a_spec_keep_their_defaults():
    def plus(x, y=2.0, *, k=1.0):
        return x + y + k

    assert made(plus, S)(1.0).numpy() == 4
    assert made(plus, S)(1.0, 2.0, k=1.0).numpy() == 4
    assert made(plus, S, S)(1.0, 5.0).numpy() == 7
    assert made(plus, S, S)(1.0).numpy() == 4
    assert made(plus, S, S, S)(1.0, k=3.0).numpy() == 6
    assert made(functools.partial(plus, 1.0), S)(2.0).numpy() == 4
    assert made(plus, S).get_concrete_function()(tf.constant(1.0)).numpy() == 4
    for arguments, keywords in [((1.0, 3.0), {}), ((1.0,), {"k": 2.0})]:
        with pytest.raises(TypeError, match=r"Can not cast [23].0 to Literal"):
            made(plus, S)(*arguments, **keywords)


def test_lists_of_arguments():
    def both(x, *a):
        return x, a

    x, rest = made(both, S, S, S)(1.0, 2.0, 3.0)
    assert (x.numpy(), [v.numpy() for v in rest]) == (1, [2, 3])
    assert made(both, S)(1.0)[1] == ()
    for count in (1, 3):
        with pytest.raises(TypeError, match="Binding inputs to tf.function"):
            made(both, S, S)(*[1.0] * count)
    with pytest.raises(TypeError, match="unexpected keyword argument 'k'"):
        made(lambda x, **options: x, S)(1.0, k=2.0)


def test_what_does_not_bind_is_told_with_arguments_and_signature():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)])
    def declared(a, b=3):
        return a

    @tf.function
    def free(a, b=2, *, c=3):
        return a

    specs = (
        "(a: TensorSpec(shape=(None,), dtype=tf.float32, name=None), "
        "b: TensorSpec(shape=(), dtype=tf.int32, name=None) = <captured_default_value>)."
    )
    for call, reason, rest in (
        (lambda: declared(b=2), "missing a required argument: 'a'",
         "Received args: () and kwargs: {'b': 2} for signature: " + specs),
        (lambda: declared([1.0], 2, 3), "too many positional arguments",
         "Received args: ([1.0], 2, 3) and kwargs: {} for signature: " + specs),
        (lambda: declared(1.0), "Can not cast TensorSpec(shape=(), dtype=tf.float32, name=None) to "
         "TensorSpec(shape=(None,), dtype=tf.float32, name=None)",
         "Received args: (1.0,) and kwargs: {} for signature: " + specs),
        (lambda: free(1, d=2), "got an unexpected keyword argument 'd'",
         "Received args: (1,) and kwargs: {'d': 2} for signature: "
         "(a, b=<captured_default_value>, *, c=<captured_default_value>)."),
    ):  # fmt: skip
        with pytest.raises(TypeError) as caught:
            call()
        text = f"Binding inputs to tf.function failed due to `{reason}`. {rest}"
        assert str(caught.value) == text


def test_functions_are_shown_as_objects():
    class Holder:
        @tf.function
        def method(self):
            return 1

    for function in (tf.function(lambda: 1), Holder().method, Holder.method):
        assert ".Function object at 0x" in repr(function)
    slices = tf.IndexedSlices(tf.constant([1.0]), tf.constant([0]))
    assert ".IndexedSlices object at 0x" in repr(slices)
    assert ".TensorArray object at 0x" in repr(tf.TensorArray(tf.float32, 2))

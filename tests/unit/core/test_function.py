"""tf.function: traces, captured tensors, variables, gradients through the call."""

import numpy as np
import pytest

import shardtape as tf


def test_one_trace_for_each_signature_and_python_runs_once_for_each():
    seen = []

    @tf.function
    def double(x):
        seen.append(x)
        return x + x

    assert double(tf.constant(2.0)).numpy() == 4.0
    assert double(tf.constant(3.0)).numpy() == 6.0
    assert double(tf.constant([1, 2])).numpy().tolist() == [2, 4]
    assert double(3).numpy() == 6
    assert double(4).numpy() == 8
    assert len(seen) == 4
    assert double.experimental_get_tracing_count() == 4


def test_nested_arguments_and_results():
    @tf.function
    def f(batch, *, scale=2.0):
        return {"sum": batch["b"] + batch["a"][0] * scale, "none": None, "text": "t"}

    got = f({"b": tf.constant(1.0), "a": [tf.constant(5.0)]})
    assert got["sum"].numpy() == 11.0
    assert got["none"] is None
    assert got["text"] == "t"


def test_gradients_of_arguments_variables_and_captured_tensors():
    v, c = tf.Variable(3.0), tf.constant(4.0)

    @tf.function
    def f(x):
        return x * x * v + c * x

    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, c])
        y = f(x)
    assert y.numpy() == 20.0
    assert tape.gradient(y, x).numpy() == 16.0
    assert tape.gradient(y, v).numpy() == 4.0
    assert tape.gradient(y, c).numpy() == 2.0


def test_gradients_of_higher_order_through_a_call():
    @tf.function
    def f(x):
        return tf.sin(x) * x

    x = tf.constant(0.7)
    with tf.GradientTape() as t3:
        t3.watch(x)
        with tf.GradientTape() as t2:
            t2.watch(x)
            with tf.GradientTape() as t1:
                t1.watch(x)
                y = f(x)
            first = t1.gradient(y, x)
        second = t2.gradient(first, x)
    third = t3.gradient(second, x)
    s, c = np.sin(0.7), np.cos(0.7)
    assert first.numpy() == pytest.approx(c * 0.7 + s, rel=1e-5)
    assert second.numpy() == pytest.approx(-s * 0.7 + 2 * c, rel=1e-5)
    assert third.numpy() == pytest.approx(-c * 0.7 - 3 * s, rel=1e-5)


def test_a_tape_inside_a_function():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(v * v * x)
        g = tape.gradient(loss, v)
        v.assign_sub(0.1 * g)
        return loss

    assert step(tf.constant(1.0)).numpy() == 5.0
    np.testing.assert_allclose(v.numpy(), [0.8, 1.6], rtol=1e-6)
    step(tf.constant(1.0))
    np.testing.assert_allclose(v.numpy(), [0.64, 1.28], rtol=1e-6)


def test_effects_happen_in_the_programs_order():
    v = tf.Variable(1.0)

    @tf.function
    def f():
        v.assign_add(1.0)
        first = v.read_value()
        v.assign(v * 10.0)
        return first, v.read_value()

    for _ in range(4):
        v.assign(1.0)
        first, second = f()
        assert (first.numpy(), second.numpy()) == (2.0, 20.0)


def test_variables_are_made_on_the_first_call_only():
    class Layer:
        w = None

    layer = Layer()

    @tf.function
    def good(x):
        if layer.w is None:
            layer.w = tf.Variable(2.0)
        return x * layer.w

    assert good(tf.constant(3.0)).numpy() == 6.0
    assert good(tf.constant([3.0])).numpy() == [6.0]

    @tf.function
    def bad(x):
        return x * tf.Variable(2.0)

    with pytest.raises(ValueError, match="singleton"):
        bad(tf.constant(1.0))
        bad(tf.constant([1.0]))


def test_functions_call_functions_and_methods_are_functions():
    class Model:
        def __init__(self, k):
            self.k = tf.Variable(k)

        @tf.function
        def inner(self, x):
            return x * self.k

        @tf.function
        def __call__(self, x):
            return self.inner(x) + 1.0

    a, b = Model(2.0), Model(5.0)
    assert (a(tf.constant(3.0)).numpy(), b(tf.constant(3.0)).numpy()) == (7.0, 16.0)
    with tf.GradientTape() as tape:
        y = a(tf.constant(3.0))
    assert tape.gradient(y, a.k).numpy() == 3.0


def test_input_signature_gives_one_trace_and_checks():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def total(x):
        return tf.reduce_sum(x)

    assert total(tf.constant([1.0, 2.0])).numpy() == 3.0
    assert total([1.0, 2.0, 3.0]).numpy() == 6.0
    assert total.experimental_get_tracing_count() == 1
    with pytest.raises(TypeError, match="Can not cast TensorSpec"):
        total(tf.constant([1, 2]))


def test_concrete_functions():
    @tf.function
    def f(x, y):
        return x + y

    concrete = f.get_concrete_function(tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.float32))
    assert concrete(tf.constant(1.0), y=tf.constant(2.0)).numpy() == 3.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="a float tensor but is a int32"):
        concrete(tf.constant(1), tf.constant(2))


def test_long_chains_of_sizes_are_built_in_no_time():
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def power_of_two(n):
        power = tf.constant(1)
        for _ in range(20):  # each turn uses the last three times
            power = tf.where(power < n, 2 * power, power)
        return tf.zeros(tf.reshape(power, [1]))

    assert power_of_two(tf.constant(100)).shape == (128,)


def test_python_strings_are_returned_as_tensors():
    out = tf.function(lambda x: {"text": f"{x}", "none": None})(3)
    assert out["text"].dtype is tf.string and out["text"].numpy() == b"3"
    assert out["none"] is None


def test_operations_print_their_node():
    graph = tf.function(lambda x: x**3).get_concrete_function(tf.constant(2.0)).graph
    text = str(graph.get_operation_by_name("x"))
    assert text.startswith('name: "x"\nop: "Placeholder"\n')
    assert graph.get_operation_by_name("pow").node_def.input == ["x", "pow/y"]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda a: a.append(1), [1]),
        (lambda a: a.pop(), [1, tf.constant(2)]),
        (lambda a: a[0].append(2), [[1]]),
        (lambda a: a.update(k=1), {"a": 1}),
        (lambda a: a.update(x=tf.constant(1)), {"x": tf.constant(2)}),
    ],
)
def test_containers_among_the_arguments_may_not_be_changed(change, value):
    @tf.function
    def changing(a, b):
        change(a)
        return b

    text = r"should not modify its Python input arguments.*parameter\(s\) were modified: a"
    with pytest.raises(ValueError, match=text):
        changing(value, 1)


def test_copies_of_arguments_may_be_changed():
    @tf.function
    def longer(a):
        a = a + [tf.constant(3)]
        a.append(tf.constant(4))
        return a

    assert [v.numpy() for v in longer([1])] == [1, 3, 4]


def test_signatures_in_one_line_and_in_paragraphs():
    # as TensorFlow 2.15 shows them
    @tf.function
    def several(a, b=3, *args, c=4, **kw):
        return a

    @tf.function
    def marked(a, /, b):
        return a

    several(1.0), several(1.0, 2, 5, d=6), marked(1.0, tf.constant(2.0))
    result = "-> TensorSpec(shape=(), dtype=tf.float32, name=None)"
    assert several.pretty_printed_concrete_signatures(verbose=False).split("\n") == [
        f"(a: Literal[1.0], b: Literal[3], /, *, c: Literal[4]) {result}",
        "(a: Literal[1.0], b: Literal[2], args_0: Literal[5], /, *, c: Literal[4], d: Literal[6]) "
        f"{result}",
    ]
    first = several.pretty_printed_concrete_signatures().split("\n")[1:4]
    assert first == [
        "  a (POSITIONAL_ONLY): Literal[1.0]",
        "  b (POSITIONAL_ONLY): Literal[3]",
        "  c (KEYWORD_ONLY): Literal[4]",
    ]
    assert marked.pretty_printed_concrete_signatures(verbose=False) == (
        f"(a: Literal[1.0], /, b: TensorSpec(shape=(), dtype=tf.float32, name=None)) {result}"
    )


def test_a_range_that_a_function_returns_is_a_list_of_tensors():
    found, inner = tf.function(lambda: (range(2), {"a": range(1)}))()
    assert [type(x) for x in (found, inner["a"])] == [list, list]
    assert [int(x) for x in found] == [0, 1] and [int(x) for x in inner["a"]] == [0]
    assert found[0].dtype == tf.int32
    assert tf.function(lambda: range(0))() == []


def test_what_waits_for_operations_without_values():
    v, w = tf.Variable(1.0), tf.Variable(2.0)

    @tf.function
    def added():
        both = tf.group(v.assign_add(1.0), w.assign_add(1.0))
        with tf.control_dependencies([both, tf.no_op()]):
            return v + w

    assert float(added()) == 5.0


def test_shapes_follow_from_small_tensors_of_outside():
    axis, sizes = tf.constant(-1), tf.constant([2, -1])
    many = tf.fill((129,), 3)
    seen = []

    @tf.function(input_signature=[tf.TensorSpec((None,))])
    def shaped(x):
        seen.append(tf.expand_dims(x, axis).shape.as_list())
        seen.append(tf.reshape(x, sizes).shape.as_list())
        seen.append(tf.zeros(sizes[:1]).shape.as_list())
        tf.cond(
            x[0] > 0.0, lambda: seen.append(tf.expand_dims(x, axis).shape.as_list()), lambda: None
        )
        for _ in tf.range(2):
            seen.append(tf.expand_dims(x, axis).shape.as_list())
        with tf.control_dependencies([x]):
            known = [tf.get_static_value(tf.identity(t)) for t in (sizes, many)]
        seen.append([known[0].tolist(), known[1]])
        return x

    shaped(tf.ones(4))
    assert seen == [[None, 1], [2, None], [2], [None, 1], [None, 1], [[2, -1], None]]

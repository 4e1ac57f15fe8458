"""What traced functions keep alive: nothing of what they were called with.

As in TensorFlow 2.15 for these programs, but for `test_a_method_of_a_passing_object`, which
TensorFlow cannot run.
"""

import copy
import gc
import inspect
import weakref

import shardtape as tf
from shardtape.graph.function import Function


class Model(tf.Module):
    """Two Variables, and a method that is traced."""

    def __init__(self):
        self.w = tf.Variable(2.0)
        self.count = 0

    @tf.function
    def scaled(self, v, *, by=1.0):
        """Product."""
        self.count += 1
        return self.w * v * by


def gone(*references):
    gc.collect()
    return [r() is None for r in references]


def test_variables_and_tensors_that_were_arguments():
    f = tf.function(lambda v, x: v * x)
    v, x = tf.Variable([3.0]), tf.constant([2.0])
    f(v, x)
    concrete = f.get_concrete_function(v, x)
    with tf.GradientTape() as tape:
        y = f(v, x)
    tape.gradient(y, v)
    references = weakref.ref(v), weakref.ref(x)
    del v, x, y, tape
    assert gone(*references) == [True, True]
    assert concrete(tf.Variable([4.0]), tf.constant([2.0])).numpy().tolist() == [8.0]


def test_the_gradient_is_built_after_the_variable_of_the_trace_is_gone():
    @tf.function
    def f(v, k, x):
        s = x
        for _ in tf.range(k):
            s = s * v
        return s + tf.reduce_sum(tf.gather([v * 1.0, v * 2.0], [0, 1]))

    v = tf.Variable(2.0)
    f(v, tf.constant(3), tf.constant(1.0))
    reference = weakref.ref(v)
    del v
    assert gone(reference) == [True]
    w = tf.Variable(3.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = f(w, tf.constant(3), tf.constant(2.0))
        g = inner.gradient(y, w)
    # 2 w**3 + 3 w
    assert [float(t) for t in (y, g, outer.gradient(g, w))] == [63.0, 57.0, 36.0]
    assert f.experimental_get_tracing_count() == 1


def test_an_object_that_was_an_argument_takes_its_trace_with_it():
    traces = []

    @tf.function
    def f(model, x):
        traces.append(1)
        return model.w * x

    a, b = Model(), Model()
    for model in (a, b, a):
        assert float(f(model, tf.constant(2.0))) == 4.0
    assert len(traces) == 2
    assert f.get_concrete_function(b, tf.constant(1.0)).variables == (b.w,)
    references = weakref.ref(a), weakref.ref(a.w)
    del a, model
    assert gone(*references) == [True, True]
    assert float(f(b, tf.constant(2.0))) == 4.0
    assert len(traces) == 2
    assert len(f._traces) == 1


def test_functions_that_were_arguments():
    traces = []

    @tf.function
    def f(x, g):
        traces.append(1)
        return g(x)

    def double(x):
        return x * 2.0

    assert [float(f(1.0, double)), float(f(1.0, double)), len(traces)] == [2.0, 2.0, 1]
    assert [float(f(1.0, lambda x: x * 3.0)), float(f(1.0, lambda x: x * 4.0))] == [3.0, 4.0]
    assert len(traces) == 3
    reference = weakref.ref(double)
    del double
    assert gone(reference) == [True]


def test_an_object_whose_method_is_traced():
    a, b = Model(), Model()
    assert [float(a.scaled(tf.Variable(1.0))), float(a.scaled(tf.Variable(2.0)))] == [2.0, 4.0]
    assert float(b.scaled(tf.Variable(4.0))) == 8.0
    assert (a.count, b.count) == (1, 1)
    assert a.scaled.get_concrete_function(tf.Variable(1.0)).variables == (a.w,)
    references = weakref.ref(a), weakref.ref(a.w)
    del a
    assert gone(*references) == [True, True]
    assert float(b.scaled(tf.Variable(4.0))) == 8.0
    assert b.count == 1


def test_a_method_of_a_passing_object():
    assert float(Model().scaled(tf.Variable(3.0))) == 6.0
    model = Model()
    held = model.scaled
    del model
    gc.collect()
    assert [float(held(3.0)), float(held(3.0, by=2.0))] == [6.0, 12.0]


def test_what_a_traced_method_is():
    model = Model()
    method = model.scaled
    assert isinstance(method, Function)
    assert model.scaled is method
    assert str(inspect.signature(method)) == "(v, *, by=1.0)"
    assert method.__doc__ == "Product."
    assert method.python_function(3.0).numpy() == 6.0
    assert method.python_function.__self__ is model
    assert Model.scaled.python_function is Model.scaled.__wrapped__
    assert float(Model.scaled(model, 4.0)) == 8.0


def test_methods_of_copies_of_parents_and_of_other_objects():
    class Child(Model):
        def __init__(self, k, other=None):
            super().__init__()
            self.w.assign(k)
            self.other = other

        @tf.function
        def scaled(self, v):
            y = super().scaled(v)
            return y if self.other is None else y + self.other.scaled(v)

    chain = Child(1.0, Child(10.0, Child(100.0)))
    assert float(chain.scaled(tf.constant(2.0))) == 222.0
    model = Model()
    model.scaled(1.0)
    copied = copy.deepcopy(model)
    copied.w.assign(5.0)
    assert [float(model.scaled(1.0)), float(copied.scaled(1.0))] == [2.0, 5.0]

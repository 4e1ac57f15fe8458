"""Saved functions that take Variables. Results and errors as of TensorFlow 2.15."""

import pytest

import shardtape as tf

V = tf.Variable


def saved(module, path):
    tf.saved_model.save(module, str(path))
    return tf.saved_model.load(str(path))


class Scale(tf.Module):
    def __init__(self):
        self.w = V(2.0)

    @tf.function
    def f(self, v):
        return self.w * v

    @tf.function
    def add(self, v):
        v.assign_add(1.0)

    @tf.function
    def product(self, v, w):
        return v * w


def test_a_loaded_function_takes_another_variable(tmp_path):
    module = Scale()
    module.f(V(3.0))
    module.add(V(3.0))
    loaded = saved(module, tmp_path)
    v = V(5.0)
    with tf.GradientTape() as tape:
        y = loaded.f(v)
    assert (float(y), float(tape.gradient(y, v))) == (10.0, 2.0)
    assert float(loaded.f(v=V(6.0))) == 12.0
    assert float(loaded.f(loaded.w)) == 4.0
    loaded.add(v)
    assert float(v) == 6.0
    assert loaded.f.get_concrete_function(v).variables == (loaded.w,)
    assert float(tf.function(lambda x: loaded.f(x))(V(7.0))) == 14.0
    again = saved(loaded, tmp_path / "again")
    assert float(again.f(V(5.0))) == 10.0


@pytest.mark.parametrize("wrong", [tf.constant(5.0), V([1.0, 2.0]), V(5), V(5.0, trainable=False)])
def test_a_loaded_function_refuses_other_types(tmp_path, wrong):
    module = Scale()
    module.f(V(3.0))
    loaded = saved(module, tmp_path)
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        loaded.f(wrong)


def test_shapes_that_were_unknown(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda v: tf.reduce_sum(v))
    module.f(V([3.0], shape=[None]))
    loaded = saved(module, tmp_path)
    assert float(loaded.f(V([1.0, 2.0]))) == 3.0
    assert float(loaded.f(V([1.0, 2.0, 3.0], shape=[None]))) == 6.0
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        loaded.f(V(1.0))


def test_aliases(tmp_path):
    module, v, w = Scale(), V(3.0), V(4.0)
    module.product(v, w)
    different = saved(module, tmp_path / "different")
    assert [float(different.product(v, v)), float(different.product(v, w))] == [9.0, 12.0]
    module.product(v, v)
    both = saved(module, tmp_path / "both")
    assert [float(both.product(*a)) for a in ((v, v), (v, w), (w, w))] == [9.0, 12.0, 16.0]
    module = Scale()
    module.product(v, v)
    same = saved(module, tmp_path / "same")
    assert float(same.product(w, w)) == 16.0
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        same.product(v, w)


def test_nested_arguments_and_control_flow(tmp_path):
    class Model(tf.Module):
        def __init__(self):
            self.c = V(10.0)

        @tf.function
        def f(self, d, k, *, s):
            v = d["a"][0]
            y = tf.constant(1.0)
            if s > 0.0:
                v.assign_add(self.c)
                y = v * 2.0
            for _ in tf.range(k):
                y = y * v
            return y

    model = Model()
    model.f({"a": [V(1.0)]}, tf.constant(2), s=tf.constant(1.0))
    loaded = saved(model, tmp_path)
    v = V(2.0)
    with tf.GradientTape() as tape:
        y = loaded.f({"a": [v]}, tf.constant(2), s=tf.constant(1.0))
    assert (float(y), float(v), float(tape.gradient(y, v))) == (3456.0, 12.0, 864.0)
    assert float(loaded.f({"a": [v]}, tf.constant(1), s=tf.constant(-1.0))) == 12.0


def test_concrete_functions_and_signatures(tmp_path):
    module = tf.Module()
    function = tf.function(lambda v, x: v * x)
    module.f = function.get_concrete_function(V(1.0), tf.TensorSpec([], tf.float32))
    loaded = saved(module, tmp_path / "concrete")
    assert float(loaded.f(V(5.0), tf.constant(2.0))) == 10.0
    assert float(loaded.f(v=V(5.0), x=tf.constant(3.0))) == 15.0
    assert loaded.signatures == {}
    with pytest.raises(ValueError, match="cannot be exported as signatures"):
        tf.saved_model.save(module, str(tmp_path / "signature"), signatures=module.f)


def test_a_gradient_of_its_own(tmp_path):
    class Model(tf.Module):
        @tf.function
        def f(self, v, x):
            @tf.custom_gradient
            def g(x):
                def gradient(up, variables=None):
                    return up * v * 7.0, [up * x * 11.0 for _ in variables]

                return x * v, gradient

            return g(x)

    model = Model()
    model.f(V(3.0), tf.constant(2.0))
    loaded = saved(model, tmp_path)
    v, x = V(5.0), tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = loaded.f(v, x)
    # by the gradient's own definition: 7 v and 11 x
    assert [float(t) for t in (y, *tape.gradient(y, [x, v]))] == [10.0, 35.0, 22.0]


def test_python_code_runs_at_saving_only_for_what_was_never_traced(tmp_path):
    """TensorFlow runs that of all functions once more; the saved traces are the same."""
    ran = []

    class Model(tf.Module):
        def __init__(self):
            self.w = V(3.0)

        @tf.function
        def traced(self, x):
            ran.append("traced")
            return x * 2.0

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def declared(self, x):
            ran.append("declared")
            return x * 2.0

        @tf.function
        def bare(self):
            ran.append("bare")
            return self.w * 2.0

        @tf.function
        def never(self, x=2.0):
            ran.append("never")
            return self.w * x

    model = Model()
    model.traced(tf.constant(1.0))
    ran.clear()
    loaded = saved(model, tmp_path)
    assert sorted(ran) == ["bare", "declared"]
    tf.saved_model.save(model, str(tmp_path / "again"))
    assert sorted(ran) == ["bare", "declared"]
    assert [float(loaded.bare()), float(loaded.declared(3.0))] == [6.0, 6.0]
    assert float(loaded.traced(tf.constant(4.0))) == 8.0
    with pytest.raises(ValueError, match="Found zero restored functions"):
        loaded.never()
    assert Model.bare.input_signature == model.bare.input_signature == ()
    assert model.never.input_signature is None


def test_the_only_function_without_parameters_is_the_signature(tmp_path):
    class Model(tf.Module):
        def __init__(self):
            self.w = V(3.0)

        @tf.function
        def f(self):
            return self.w * 2.0

    loaded = saved(Model(), tmp_path)
    assert float(loaded.signatures["serving_default"]()["output_0"]) == 6.0

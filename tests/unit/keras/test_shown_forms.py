"""What models, metrics and optimizers show of themselves, as Keras 2.15 does."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers


def test_a_sequential_takes_one_layer_twice():
    shared = layers.Dense(4)
    model = keras.Sequential([shared, shared, layers.Dense(1)])
    assert model(tf.ones((2, 4))).shape == (2, 1)
    assert len(model.layers) == 3 and len(model.weights) == 4
    with pytest.raises(ValueError, match="unique names"):
        model.add(layers.Dense(4, name=shared.name))


def test_a_summary_lists_the_calls_of_a_shared_layer_in_their_order(capsys):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x, y = layers.Dense(4, name="x")(a), layers.Dense(4, name="y")(b)
    shared = layers.Dense(4, name="shared")
    first, second = shared(x), shared(y)
    # the second call is met first on the way back from the outputs
    keras.Model([a, b], layers.Concatenate(name="c")([second, first])).summary()
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(" shared"))
    assert "['x[0][0]'," in lines[at] and "'y[0][0]']" in lines[at + 1]


def test_metrics_print_their_arguments_and_have_the_repr_of_objects():
    metric = keras.metrics.Mean(name="m")
    assert str(metric) == "Mean(name=m,dtype=float32)"
    assert repr(metric).endswith(f"Mean object at {hex(id(metric))}>")


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_the_configuration_of_an_optimizer_has_the_learning_rate_before_its_own(name):
    keys = list(getattr(keras.optimizers, name)().get_config())
    assert keys[:11] == [
        "name", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema",
        "ema_momentum", "ema_overwrite_frequency", "jit_compile", "is_legacy_optimizer",
        "learning_rate",
    ]  # fmt: skip


def test_the_learning_rate_of_a_schedule_is_a_variable_of_the_latest_update():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.1)
    assert schedule.get_config()["name"] is None
    optimizer, v = keras.optimizers.SGD(schedule), tf.Variable(1.0)
    shown = repr(optimizer.learning_rate)
    assert shown == ("<tf.Variable 'current_learning_rate:0' shape=() dtype=float32, numpy=0.01>")
    rates, values = [], []
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant(1.0), v)])
        rates.append(optimizer.lr.numpy())
        values.append(v.numpy())
    np.testing.assert_array_equal(rates, np.float32([0.01, 0.007943282, 0.0063095735]))
    np.testing.assert_allclose(values, [0.99, 0.98205674, 0.97574717], rtol=1e-6)


def test_the_rate_of_a_schedule_is_that_of_the_update_where_an_optimizer_makes_it():
    seen = []

    class Own(keras.optimizers.Optimizer):
        def __init__(self, rate):
            super().__init__("own")
            self._learning_rate = self._build_learning_rate(rate)

        def update_step(self, gradient, variable):
            rate = tf.cast(self.learning_rate, variable.dtype)
            seen.append(rate)
            variable.assign_sub(rate * gradient)

    v = tf.Variable(1.0)
    optimizer = Own(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant(1.0), v)])
    np.testing.assert_allclose(v, 1 - 0.5 - 0.25 - 0.125, rtol=1e-6)

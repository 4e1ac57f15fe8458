"""What updates give back, and the names of an optimizer's state; the figures are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

optimizers = tf.keras.optimizers
legacy = optimizers.legacy
Scaled = tf.keras.mixed_precision.LossScaleOptimizer


def variables():
    return [tf.Variable([1.0, 2.0], name="a"), tf.Variable(3.0, name="b")]


def loss_of(these):
    return lambda: tf.reduce_sum(these[0] ** 2) + these[1] ** 2


def ones(these):
    return [(tf.ones_like(v), v) for v in these]


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop", "Adafactor", "Nadam"])
def test_updates_give_the_count(name):
    these = variables()
    made = getattr(optimizers, name)()
    assert made.minimize(loss_of(these), these) is None
    assert repr(made.apply_gradients(ones(these))) == (
        "<tf.Variable 'UnreadVariable' shape=() dtype=int64, numpy=2>"
    )
    assert repr(made.apply_gradients([])) == (
        "<tf.Variable 'iteration:0' shape=() dtype=int64, numpy=2>"
    )


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop", "Adadelta", "Nadam", "Ftrl"])
def test_legacy_updates_give_the_count(name):
    these = variables()
    made = getattr(legacy, name)()
    assert repr(made.minimize(loss_of(these), these)) == (
        "<tf.Variable 'UnreadVariable' shape=() dtype=int64, numpy=1>"
    )
    assert made.apply_gradients(ones(these)).numpy() == 2
    assert made.apply_gradients([]) is None
    assert made.iterations.name == f"{name}/iter:0"
    assert made.learning_rate.name == f"{name}/learning_rate:0"


def test_counts_in_functions():
    these, made = variables(), optimizers.SGD()
    step = tf.function(lambda: made.apply_gradients(ones(these)))
    made.build(these)
    assert int(step()) == 1 and int(step()) == 2


def test_a_built_optimizer_makes_nothing_in_a_function():
    calls = []

    @tf.function
    def step(optimizer, these):
        calls.append(optimizer)
        optimizer.minimize(loss_of(these), these)

    for _ in range(2):
        these, made = variables(), optimizers.Adam()
        made.build(these)
        step(made, these)
    assert len(calls) == 2


def test_a_loss_scale_optimizer_gives_nothing():
    for inner in (optimizers.SGD(), legacy.SGD()):
        these = variables()
        made = Scaled(inner)
        assert made.minimize(loss_of(these), these) is None
        assert made.apply_gradients(ones(these)) is None
        assert int(made.iterations) == 2
        assert repr(made.dynamic_counter) == (
            "<tf.Variable 'good_steps:0' shape=() dtype=int64, numpy=2>"
        )
        assert made.iterations.name == ("iteration:0", "SGD/iter:0")[inner.rule.older]


def test_a_loss_scale_optimizer_passes_numbers_on():
    made = Scaled(legacy.Adam())
    made.beta_1 = 0.5
    assert repr(made.inner_optimizer.beta_1) == (
        "<tf.Variable 'beta_1:0' shape=() dtype=float32, numpy=0.5>"
    )


def test_the_scope_of_slots():
    these, made = variables(), optimizers.Adam(use_ema=True)
    made.build(these)
    assert [v.name for v in made.variables] == [
        "iteration:0", "average/a:0", "average/b:0", "m/a:0", "v/a:0", "m/b:0", "v/b:0"
    ]  # fmt: skip
    these, made = variables(), optimizers.Adam()
    made.apply_gradients(ones(these))
    assert [v.name for v in made.variables][1:] == ["Adam/m/a:0", "Adam/v/a:0", "Adam/m/b:0",
                                                    "Adam/v/b:0"]  # fmt: skip
    these, made = variables(), Scaled(legacy.SGD(momentum=0.9))
    made.apply_gradients(ones(these))
    assert [v.name for v in made.variables] == ["SGD/iter:0", "SGD/a/momentum:0",
                                                "SGD/b/momentum:0"]  # fmt: skip


def test_numbers_of_legacy_optimizers_are_variables():
    made = legacy.SGD(momentum=0.9, name="Mine", decay=0.1)
    assert repr(made.momentum) == ("<tf.Variable 'momentum:0' shape=() dtype=float32, numpy=0.9>")
    assert made.decay.name == "decay:0" and made.iterations.name == "iter:0"
    these = variables()
    made.minimize(loss_of(these), these)
    assert made.learning_rate.name == "learning_rate:0"
    used = legacy.Adam()
    used.minimize(loss_of(these), these)
    assert used.beta_2.name == "Adam/beta_2:0"


def test_updates_hear_assignments():
    these, made = variables(), legacy.Adam(beta_1=0.8)
    made.beta_1.assign(0.5)
    made.minimize(loss_of(these), these)
    made.beta_1 = 0.3
    made.minimize(lambda: 2.0 * loss_of(these)(), these)
    made.beta_1.assign(0.7)
    made.minimize(lambda: 2.0 * loss_of(these)(), these)
    np.testing.assert_allclose(these[0].numpy(), ADAM[0], rtol=1e-6)
    np.testing.assert_allclose(these[1].numpy(), ADAM[1], rtol=1e-6)
    assert made.get_config()["beta_1"] == 0.7
    assert made.rule_config()["config"]["beta_1"] == 0.7


ADAM = [[0.9964425, 1.9964424], 2.9964423]


def test_the_decay_stays_what_it_was():
    these, made = variables(), legacy.SGD(decay=0.5)
    made.minimize(loss_of(these), these)
    made.decay.assign(0.2)
    made.minimize(loss_of(these), these)
    np.testing.assert_allclose(these[0].numpy(), [0.96693337, 1.9338667], rtol=1e-6)
    assert made.get_config()["decay"] == 0.5


def test_a_schedule_is_the_learning_rate():
    schedule = optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    made = legacy.Adam(schedule)
    assert made.learning_rate is schedule and made.lr is schedule
    assert float(made._decayed_lr("float32")) == pytest.approx(0.1)


def test_gradients_of_the_loss():
    these, made = variables(), legacy.SGD(0.1)
    made.minimize(loss_of(these), these, tf.constant(2.0))
    np.testing.assert_allclose(these[0].numpy(), [0.6, 1.2], rtol=1e-6)


class Own(legacy.Optimizer):
    def __init__(self, name="Own", **kwargs):
        super().__init__(name, **kwargs)
        self._set_hyper("learning_rate", 0.1)
        self._set_hyper("k", 2.0)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        var.assign_sub(grad * self._get_hyper("learning_rate") * self._get_hyper("k"))


def test_names_of_numbers_of_ones_own():
    made = Own()
    made.apply_gradients(ones(variables()))
    assert [made.k.name, made.learning_rate.name] == ["Own/k:0", "Own/learning_rate:0"]
    assert Own().k.name == "k:0"


def test_variables_of_one_name_decay_by_themselves():
    made = optimizers.SGD(1.0, weight_decay=0.004)
    first, second = tf.Variable(2.0), tf.Variable(2.0)
    made.exclude_from_weight_decay(var_list=[second])
    made.apply_gradients([(tf.zeros(()), first), (tf.zeros(()), second)])
    assert [float(first), float(second)] == [pytest.approx(1.992), 2.0]
    assert made.rule_config()["config"]["exclude_from_weight_decay"] == ["^Variable:0$"]


def test_other_settings_stay_with_the_loss_scale_optimizer():
    made = Scaled(legacy.Adam(epsilon=1e-5))
    made.epsilon = 1e-4
    assert (made.epsilon, made.inner_optimizer.epsilon) == (1e-4, 1e-5)

"""Optimizers on Variables: Keras's habits around the update itself."""

import copy
import json
import pickle

import numpy as np
import pytest
from unit.backend import strict_device as device

import shardtape as tf
from shardtape import optimizers
from shardtape.indexed_slices import IndexedSlices
from shardtape.optimizers import SGD, Adagrad, Adam, RMSprop, schedules
from shardtape.optimizers.clipping import squared_norm, sum_duplicates
from shardtape.tensor import EagerTensor
from shardtape.variable import Variable


def variable(value, **options):
    return Variable(np.array(value, np.float32), **options)


def test_defaults_are_keras():
    assert SGD().get_config()["learning_rate"] == 0.01
    assert SGD().momentum == 0.0 and SGD().nesterov is False
    adam = Adam().get_config()
    assert (adam["learning_rate"], adam["beta_1"], adam["beta_2"], adam["epsilon"]) == (
        0.001, 0.9, 0.999, 1e-7,
    )  # fmt: skip
    assert adam["amsgrad"] is False
    adagrad = Adagrad().get_config()
    assert (adagrad["learning_rate"], adagrad["initial_accumulator_value"]) == (0.001, 0.1)
    rmsprop = RMSprop().get_config()
    assert (rmsprop["learning_rate"], rmsprop["rho"], rmsprop["momentum"]) == (0.001, 0.9, 0.0)
    assert rmsprop["epsilon"] == 1e-7 and rmsprop["centered"] is False


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1, 0.9, nesterov=True, clipnorm=1.0, name="mine"),
        Adam(schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=5), amsgrad=True),
        Adagrad(0.5, weight_decay=0.1, use_ema=True),
        RMSprop(0.5, centered=True, global_clipnorm=3.0, loss_scale_factor=8.0),
    ],
    ids=lambda o: type(o).__name__,
)
def test_config_round_trips(optimizer):
    config = json.loads(json.dumps(optimizer.get_config()))
    again = type(optimizer).from_config(config)
    assert again.get_config() == optimizer.get_config()
    assert optimizers.deserialize(optimizers.serialize(optimizer)).get_config() == config
    assert pickle.loads(pickle.dumps(optimizer)).get_config() == config
    assert optimizers.rule_from_config(optimizer.rule_config()).config() == optimizer.rule_config()


def test_from_a_config_that_keras_wrote():
    config = {
        "name": "Adam", "weight_decay": None, "clipnorm": None, "global_clipnorm": None,
        "clipvalue": None, "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
        "jit_compile": False, "is_legacy_optimizer": False, "learning_rate": 0.0010000000474974513,
        "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": False,
    }  # fmt: skip
    assert Adam.from_config(config).current_learning_rate() == np.float32(0.001)
    scheduled = {
        "learning_rate": {
            "module": "keras.optimizers.schedules", "class_name": "ExponentialDecay",
            "config": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5},
            "registered_name": None,
        }
    }  # fmt: skip
    assert SGD.from_config(scheduled).current_learning_rate() == np.float32(0.1)


def test_get_by_name():
    assert isinstance(optimizers.get("adam"), Adam)
    assert isinstance(optimizers.get("RMSprop"), RMSprop)
    mine = SGD(0.5)
    assert optimizers.get(mine) is mine
    with pytest.raises(ValueError, match="adamantium"):
        optimizers.get("adamantium")
    with pytest.raises(ValueError, match="interpret"):
        optimizers.get(3)


def test_gradients_of_every_kind():
    optimizer = SGD(1.0)
    v = variable(np.zeros((3, 2)))
    optimizer.apply_gradients([(EagerTensor(np.ones((3, 2), np.float32)), v)])
    optimizer.apply_gradients([(np.ones((3, 2)), v)])
    slices = IndexedSlices(
        EagerTensor(np.array([[1, 2], [3, 4], [5, 6]], np.float32)),
        EagerTensor(np.array([2, 0, 2], np.int32)),
    )
    result = optimizer.apply_gradients([(slices, v)])
    np.testing.assert_array_equal(v.numpy(), [[-5, -6], [-2, -2], [-8, -10]])
    assert int(result) == 3 and result.name == "UnreadVariable"


def test_values_read_before_stay():
    v = variable([1.0, 2.0])
    before = v.read_value()
    SGD(1.0).apply_gradients([(np.ones(2, np.float32), v)])
    np.testing.assert_array_equal(before.numpy(), [1, 2])
    np.testing.assert_array_equal(v.numpy(), [0, 1])


def test_bound_variables_are_updated_where_they_live():
    home = np.zeros(3, np.float32)
    v = variable(np.zeros(3))
    v.bind(home)
    SGD(1.0).apply_gradients([(np.ones(3, np.float32), v)])
    np.testing.assert_array_equal(home, -1)


def test_missing_gradients():
    a, b = variable([1.0], name="a"), variable([1.0], name="b")
    with pytest.warns(UserWarning, match="b:0"):
        SGD(1.0).apply_gradients([(np.ones(1, np.float32), a), (None, b)])
    assert b.numpy() == 1
    with pytest.raises(ValueError, match="No gradients provided"):
        SGD(1.0).apply_gradients([(None, a)])
    assert int(SGD(1.0).apply_gradients([])) == 0


def test_shapes_are_checked_before_anything_changes():
    a, b = variable([1.0], name="a"), variable([1.0, 2.0], name="b")
    optimizer = SGD(1.0)
    with pytest.raises(ValueError, match=r"b:0 has shape \(3,\)"):
        optimizer.apply_gradients([(np.ones(1), a), (np.ones(3), b)])
    with pytest.raises(ValueError, match="row 0 to 5"):
        optimizer.apply_gradients([(IndexedSlices(np.ones(2), np.array([0, 5])), b)])
    assert a.numpy() == 1 and int(optimizer.iterations) == 0


def test_learning_rate_is_settable():
    optimizer = SGD(0.5)
    v = variable([0.0])
    optimizer.learning_rate = 1.0
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    optimizer.learning_rate.assign(2.0)
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    optimizer.lr = 4.0
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    assert v.numpy() == -7 and float(optimizer.learning_rate) == 4.0
    assert optimizer.get_config()["learning_rate"] == 4.0
    assert optimizer.rule_config()["config"]["learning_rate"] == 4.0


def test_reading_the_learning_rate_changes_nothing():
    results = []
    for read in (False, True):
        optimizer, v = Adam(0.1), Variable(np.ones(3))
        if read:
            assert optimizer.learning_rate.dtype.name == "float32"
        optimizer.apply_gradients([(np.full(3, 0.3), v)])
        results.append(v.numpy())
    np.testing.assert_array_equal(*results)


def test_schedule_and_callable():
    optimizer = SGD(schedules.PiecewiseConstantDecay([0, 1], [4.0, 2.0, 1.0]))
    v = variable([0.0])
    for expected in (-4, -6, -7, -8):
        optimizer.apply_gradients([(np.ones(1, np.float32), v)])
        assert v.numpy() == expected
    assert optimizer.learning_rate.numpy() == 1.0
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.5
    rate = [1.0]
    optimizer = SGD(lambda: rate[0])
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    rate[0] = 2.0
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    assert v.numpy() == -11

    class Halving(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.5**step

    w = variable([0.0])
    optimizer = SGD(Halving())
    for _ in range(3):
        optimizer.apply_gradients([(np.ones(1, np.float32), w)])
    assert w.numpy() == -1.75


def test_hyperparameters_are_attributes():
    optimizer = SGD(1.0)
    v = variable([0.0])
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    optimizer.momentum = 0.5
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])
    np.testing.assert_allclose(v.numpy(), [-1 - 1 - 1.5])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="At most one of"):
        SGD(clipnorm=1.0, global_clipnorm=1.0)
    with pytest.raises(ValueError, match="momentum"):
        SGD(momentum=1.5)
    with pytest.raises(ValueError, match="ema_momentum"):
        SGD(use_ema=True, ema_momentum=2.0)
    with pytest.raises(ValueError, match="ema_overwrite_frequency"):
        SGD(use_ema=True, ema_overwrite_frequency=0.5)
    with pytest.raises(ValueError, match="learning_rate"):
        SGD("fast")
    with pytest.raises(ValueError, match="decay"):
        SGD(decay=0.1)
    with pytest.raises(ValueError, match="decay_steps"):
        schedules.ExponentialDecay(0.1, 0, 0.5)
    with pytest.raises(ValueError, match="boundaries"):
        schedules.PiecewiseConstantDecay([1], [0.1])


def test_minimize():
    v = variable([3.0])
    optimizer = SGD(0.25)
    optimizer.minimize(lambda: v * v, [v])
    np.testing.assert_allclose(v.numpy(), [1.5])
    optimizer.minimize(lambda: v * v, lambda: [v])
    np.testing.assert_allclose(v.numpy(), [0.75])
    with pytest.raises(ValueError, match="tape"):
        optimizer.minimize(v * v, [v])


def train_eagerly_and_traced(make_optimizer, steps=4):
    """Values after the same steps, with and without tf.function."""
    results = []
    for trace in (False, True):
        table = variable(np.arange(12.0).reshape(6, 2) / 10, name="table")
        bias = variable([0.5, -0.5], name="bias")
        optimizer = make_optimizer()

        def step(rows):
            with tf.GradientTape() as tape:
                y = tf.gather(table, rows) * 2.0 + bias  # noqa: B023 - called in this round only
                loss = tf.reduce_sum(y * y)
            grads = tape.gradient(loss, [table, bias])  # noqa: B023
            optimizer.apply_gradients(zip(grads, [table, bias]))  # noqa: B023
            return loss

        run = tf.function(step) if trace else step
        losses = [float(run(tf.constant([i % 3, 5]))) for i in range(steps)]
        results.append((losses, table.numpy(), bias.numpy(), int(optimizer.iterations)))
    return results


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.01, momentum=0.9),
        lambda: Adam(schedules.ExponentialDecay(0.1, 2, 0.5), global_clipnorm=0.5),
        lambda: Adagrad(0.1, clipvalue=0.3),
    ],
)
def test_inside_a_traced_function(make):
    eager, traced = train_eagerly_and_traced(make)
    assert eager[0] == traced[0] and eager[3] == traced[3] == 4
    np.testing.assert_array_equal(eager[1], traced[1])
    np.testing.assert_array_equal(eager[2], traced[2])


def test_a_traced_gradient_must_fit():
    v = variable([1.0, 2.0], name="v")

    @tf.function
    def step(g):
        SGD(1.0).apply_gradients([(g, v)])

    with pytest.raises(ValueError, match=r"v:0 has shape \(3,\)"):
        step(tf.constant([1.0, 2.0, 3.0]))


def test_constraint_is_applied_after_the_update():
    v = Variable(np.array([1.0, -1.0], np.float32), constraint=lambda x: x * 0.0 + 7.0)
    SGD(1.0).apply_gradients([(np.ones(2, np.float32), v)])
    np.testing.assert_array_equal(v.numpy(), [7, 7])


def test_moving_average_replaces_the_values_at_the_end():
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5)
    v = variable([0.0])
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])  # v -1, average -0.5
    optimizer.apply_gradients([(np.ones(1, np.float32), v)])  # v -2, average -1.25
    optimizer.finalize_variable_values([v])
    assert v.numpy() == -1.25


def test_weight_decay_exclusions():
    kernel, bias = variable([2.0], name="kernel"), variable([2.0], name="bias")
    optimizer = SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    zero = np.zeros(1, np.float32)
    optimizer.apply_gradients([(zero, kernel), (zero, bias)])
    assert kernel.numpy() == 1.5 and bias.numpy() == 2.0
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay([bias])


def test_state_moves_to_another_optimizer():
    def train(optimizer, v, steps, first=0):
        for step in range(first, first + steps):
            optimizer.apply_gradients([(np.array([0.1 * step, -1.0], np.float32), v)])

    straight, v = Adam(0.1), variable([1.0, 2.0])
    train(straight, v, 5)
    first, u = Adam(0.1), variable([1.0, 2.0])
    train(first, u, 3)
    state = first.state()
    second, w = Adam(0.1), Variable(u.numpy())
    second.set_state(state, [w])
    train(second, w, 2, first=3)
    np.testing.assert_array_equal(w.numpy(), v.numpy())
    with pytest.raises(ValueError, match="momentum"):
        SGD(0.1, momentum=0.9).set_state({"iterations": 0, "slots": {}}, [w])


def test_a_copy_is_unbuilt():
    optimizer = Adam(0.1)
    optimizer.apply_gradients([(np.ones(2, np.float32), variable([1.0, 2.0]))])
    fresh = copy.deepcopy(optimizer)
    assert int(fresh.iterations) == 0 and [v.name for v in fresh.variables] == ["iteration:0"]
    assert fresh.get_config() == optimizer.get_config()


class Sparse:
    def __init__(self, rows, values):
        self.rows, self.values = np.array(rows), np.array(values, np.float32)


def test_prepare_is_the_workers_share_of_clipping():
    gradients = {"a": np.array([3.0, 0.0], np.float32), "b": Sparse([0], [[4.0]])}
    assert SGD().prepare(gradients) == 1.0
    assert SGD(loss_scale_factor=4.0).prepare(gradients) == 0.25
    # the norm is 5, unscaled 2.5
    assert SGD(global_clipnorm=10.0).prepare(gradients) == 1.0
    assert SGD(global_clipnorm=1.0).prepare(gradients) == pytest.approx(0.2)
    both = SGD(global_clipnorm=1.0, loss_scale_factor=2.0)
    assert both.prepare(gradients) == pytest.approx(0.5 * 0.4)
    assert gradients["a"][0] == 3.0 and gradients["b"].values[0, 0] == 4.0
    assert SGD(clipnorm=3.5, loss_scale_factor=1.0).prepare(gradients) == 1.0
    assert gradients["a"][0] == 3.0 and gradients["b"].values[0, 0] == pytest.approx(3.5)
    assert np.isnan(SGD(global_clipnorm=1.0).prepare({"a": np.array([np.inf], np.float32)}))
    assert np.isnan(SGD(global_clipnorm=1.0).prepare({"a": np.array([np.nan], np.float32)}))


def test_local_and_prepared_updates_agree():
    given = {"a": np.array([3.0, -1.0], np.float32), "b": np.array([[4.0]], np.float32)}
    for options in ({"global_clipnorm": 1.0}, {"clipnorm": 2.0}, {"clipvalue": 0.5}):
        optimizer = SGD(0.5, momentum=0.9, loss_scale_factor=2.0, **options)
        local = {k: variable(np.zeros_like(g)) for k, g in given.items()}
        optimizer.apply_gradients([(g, local[k]) for k, g in given.items()])
        rule = optimizers.rule_from_config(optimizer.rule_config())
        gradients = {k: g.copy() for k, g in given.items()}
        scale = optimizer.prepare(gradients)
        for key, grad in gradients.items():
            param = np.zeros_like(grad)
            slots = {n: rule.initial(n, param) for n in rule.slots}
            rule.dense(np, param, grad, slots, 0, rule.learning_rate_at(0), scale)
            np.testing.assert_allclose(param, local[key].numpy(), rtol=1e-6)


def test_sum_duplicates():
    ids, given = np.array([5, 1, 5, 1, 3], np.int32), np.arange(10.0).reshape(5, 2)
    rows, values = sum_duplicates(ids, given)
    np.testing.assert_array_equal(rows, [1, 3, 5])
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(values, [[8, 10], [8, 9], [4, 6]])
    with device.whole_program():
        rows, values = sum_duplicates(device.put(ids), device.put(given))
        assert squared_norm(values) == 8 * 8 + 10 * 10 + 8 * 8 + 9 * 9 + 4 * 4 + 6 * 6
    np.testing.assert_array_equal(rows.get(), [1, 3, 5])
    rows, values = sum_duplicates(np.array([4, 2]), np.array([1.0, 2.0], np.float32))
    np.testing.assert_array_equal(rows, [2, 4])
    np.testing.assert_array_equal(values, [2, 1])


def test_variables_are_the_state_and_can_be_reset() -> None:
    """Values and names as Keras 2.15 has them of the same program."""
    tf.keras.backend.clear_session()
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    model.compile("adam", "mse")
    model.set_weights([np.full((3, 2), 0.5, np.float32), np.zeros(2, np.float32)])
    x, y = np.ones((8, 3), np.float32), np.ones((8, 2), np.float32)
    model.fit(x, y, verbose=0)
    optimizer = model.optimizer
    assert [v.name for v in optimizer.variables] == [
        "iteration:0", "Adam/m/dense/kernel:0", "Adam/v/dense/kernel:0", "Adam/m/dense/bias:0",
        "Adam/v/dense/bias:0",
    ]  # fmt: skip
    assert len(optimizer.variables()) == 5 and optimizer.variables[1] is optimizer.variables[1]
    moment = optimizer.variables[1].numpy()
    read = optimizer.variables[1].value()
    np.testing.assert_allclose(moment, 0.05, rtol=1e-6)
    for v in optimizer.variables:
        v.assign(tf.zeros_like(v))
    np.testing.assert_allclose(moment, 0.05, rtol=1e-6)
    np.testing.assert_allclose(read, 0.05, rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], 0.499, atol=1e-6)
    history = model.fit(x, y, verbose=0)
    assert abs(history.history["loss"][0] - 0.24601605534553528) < 1e-6
    np.testing.assert_allclose(optimizer.variables[1], 0.0496, atol=1e-6)
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.Adam, optimizers.RMSprop])
def test_an_update_of_other_variables_than_the_first_is_a_key_error(kind):
    first, other = tf.Variable([1.0]), tf.Variable([1.0], name="other")
    one = kind(0.1)
    one.apply_gradients([(tf.constant([1.0]), first)])
    with pytest.raises(KeyError, match="cannot recognize variable other:0"):
        one.apply_gradients([(tf.constant([1.0]), other)])
    assert other.numpy() == [1.0]
    both = kind(0.1)
    both.build([first, other])
    both.apply_gradients([(tf.constant([1.0]), other)])
    older = getattr(optimizers.legacy, kind.__name__)(0.1)
    for variable in (first, other):
        older.apply_gradients([(tf.constant([1.0]), variable)])
    assert other.numpy() < [1.0]


@pytest.mark.parametrize("bound", [{"clipnorm": 1.0}, {"global_clipnorm": 1.0}])
def test_a_bound_of_the_norm_goes_before_one_of_the_values(bound):
    v = variable([1.0, 2.0])  # numbers of Keras 2.15
    SGD(0.1, clipvalue=0.05, **bound).apply_gradients([(np.array([3.0, 4.0], np.float32), v)])
    np.testing.assert_allclose(v.numpy(), [0.94, 1.92], rtol=1e-6)

"""`tf.keras.optimizers.legacy`: one's own optimizers and the built ones; values of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.optimizers import rule_from_config

keras = tf.keras
legacy = keras.optimizers.legacy


class Momentum(legacy.Optimizer):
    def __init__(self, learning_rate=0.001, momentum=0.9, name="Momentum", **kwargs):
        super().__init__(name, **kwargs)
        self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
        self._set_hyper("decay", self._initial_decay)
        self._set_hyper("momentum", momentum)

    def _create_slots(self, var_list):
        for var in var_list:
            self.add_slot(var, "momentum")

    def _resource_apply_dense(self, grad, var, apply_state=None):
        rate = self._decayed_lr(var.dtype.base_dtype)
        slot = self.get_slot(var, "momentum")
        kept = self._get_hyper("momentum", var.dtype.base_dtype)
        slot.assign(slot * kept - (1.0 - kept) * grad)
        var.assign_add(slot * rate)

    def get_config(self):
        names = ("learning_rate", "decay", "momentum")
        own = {name: self._serialize_hyperparameter(name) for name in names}
        return {**super().get_config(), **own}


class Shared(legacy.Optimizer):
    def __init__(self):
        super().__init__("shared")
        self._set_hyper("learning_rate", 0.1)

    def _prepare_local(self, var_device, var_dtype, apply_state):
        super()._prepare_local(var_device, var_dtype, apply_state)
        apply_state[var_device, var_dtype]["k"] = tf.constant(3.0)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        shared = apply_state[var.device, var.dtype.base_dtype]
        return var.assign_sub(shared["k"] * shared["lr_t"] * grad)

    def _resource_apply_sparse(self, grad, var, indices):
        return var.scatter_sub(tf.IndexedSlices(self.learning_rate * grad, indices))


def three_steps(optimizer):
    v, w = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant([0.5, -0.1]), v), (tf.constant(1.0), w)])
    return [*v.numpy(), w.numpy()]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [0.97195, 2.00561, 2.9438999]),
        ({"decay": 0.5}, [0.98189163, 2.0036216, 2.9637833]),
        ({"clipnorm": 0.2}, [0.9889979, 2.0022004, 2.98878]),
        ({"clipvalue": 0.2}, [0.98878, 2.00561, 2.98878]),
        ({"global_clipnorm": 0.2}, [0.9950022, 2.0009995, 2.9900045]),
    ],
)
def test_an_optimizer_of_ones_own(options, expected):
    optimizer = Momentum(0.1, **options)
    np.testing.assert_allclose(three_steps(optimizer), expected, rtol=1e-6)
    assert int(optimizer.iterations) == 3
    assert [np.shape(w) for w in optimizer.get_weights()] == [(), (2,), ()]
    assert optimizer.get_slot_names() == ["momentum"]


def test_its_numbers():
    optimizer = Momentum(0.1, decay=0.1)
    expected = {"name": "Momentum", "learning_rate": 0.1, "decay": 0.1, "momentum": 0.9}
    assert optimizer.get_config() == expected
    assert Momentum.from_config(expected).get_config() == expected
    optimizer.learning_rate, optimizer.momentum = 0.5, 0.2
    assert float(optimizer.lr) == 0.5
    assert optimizer.get_config() == {**expected, "learning_rate": 0.5, "momentum": 0.2}
    np.testing.assert_allclose(optimizer.momentum, 0.2)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        optimizer.absent  # noqa: B018
    with pytest.raises(tf.errors.UnimplementedError):
        optimizer.rule_config()


def losses(optimizer):
    x = np.random.default_rng(0).random((60, 6)).astype("float32")
    model = keras.Sequential([
        keras.layers.Dense(4, kernel_initializer="ones", input_shape=(6,)),
        keras.layers.Dense(1, kernel_initializer="ones"),
    ])  # fmt: skip
    model.compile(optimizer, "mse")
    return model.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize(
    "optimizer, expected",
    [
        (lambda: Momentum(0.1, decay=0.1), [85.8394775, 35.9292793]),
        (lambda: legacy.SGD(0.01, decay=0.1, momentum=0.9), [85.8394775, 39.6923485]),
        (lambda: legacy.Nadam(0.01), [153.5701752, 141.1913452]),
        (lambda: legacy.Adam(0.01, decay=0.1), [153.7645874, 140.1605682]),
    ],
)
def test_training(optimizer, expected):
    np.testing.assert_allclose(losses(optimizer()), expected, rtol=2e-6)


def test_shared_numbers_and_sparse_gradients():
    v = tf.Variable(2.0)
    Shared().apply_gradients([(tf.constant(1.0), v)])
    np.testing.assert_allclose(v, 1.7, rtol=1e-6)
    table = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    twice = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([2, 2]))
    Shared().apply_gradients([(twice, table)])
    np.testing.assert_allclose(table, [[1.0, 2.0], [2.8, 3.8]], rtol=1e-6)
    with pytest.raises(NotImplementedError, match="_resource_apply_sparse"):
        Momentum().apply_gradients([(twice, table)])


OWN = {
    "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "Adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": False},
    "RMSprop": {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-07, "centered": False},
    "Adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-07},
    "Adadelta": {"rho": 0.95, "epsilon": 1e-07},
    "Adamax": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07},
    "Nadam": {"decay": 0.004, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07},
}


@pytest.mark.parametrize("name", OWN)
def test_configurations(name):
    made = getattr(legacy, name)(decay=0.01)
    expected = {"name": name, "learning_rate": 0.001, "decay": 0.01, **OWN[name]}
    assert made.get_config() == expected
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is type(made) and again.get_config() == expected


def test_decay_leaves_the_learning_rate_alone():
    optimizer, v = legacy.SGD(0.1, decay=0.5), tf.Variable([1.0, 2.0])
    for expected in ([0.95, 2.01], [0.9166666, 2.0166667], [0.89166665, 2.0216668]):
        optimizer.apply_gradients([(tf.constant([0.5, -0.1]), v)])
        np.testing.assert_allclose(v, expected, rtol=1e-6)
    np.testing.assert_allclose(optimizer.lr, 0.1)
    np.testing.assert_allclose(optimizer._decayed_lr(tf.float32), 0.04, rtol=1e-6)
    rule = rule_from_config(legacy.SGD(0.1, decay=0.5).rule_config())  # as a shard makes it
    np.testing.assert_allclose(rule.learning_rate_at(3), 0.04, rtol=1e-6)
    optimizer.learning_rate = 0.2
    assert optimizer.get_config()["learning_rate"] == 0.2


def test_nadam_has_the_older_schedule():
    optimizer, v = legacy.Nadam(0.1), tf.Variable([1.0, 2.0])
    for expected in ([0.8943548, 2.1056452], [0.81598663, 2.1840134], [0.7427647, 2.2572353]):
        optimizer.apply_gradients([(tf.constant([0.5, -0.1]), v)])
        np.testing.assert_allclose(v, expected, rtol=1e-6)
    assert legacy.Nadam(schedule_decay=0.01).get_config()["decay"] == 0.01


def test_files_keep_the_older_kind(tmp_path):
    pytest.importorskip("h5py")
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.compile(legacy.SGD(0.1, decay=0.2), "mse")
    model.fit(tf.ones((2, 2)), tf.ones((2, 1)), verbose=0)
    for name in ("m.keras", "m.h5", "folder"):
        model.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name).optimizer
        assert type(loaded) is legacy.SGD
        assert loaded.get_config() == model.optimizer.get_config()

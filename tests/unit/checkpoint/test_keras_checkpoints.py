"""Checkpoints of Keras models, and restores that wait until layers are built."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.checkpoint import directory, pending

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture(autouse=True)
def nothing_waits():
    yield
    pending._waiting.clear()


class Net(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.l1 = tf.keras.layers.Dense(5)
        self.l2 = tf.keras.layers.Dense(2)

    def call(self, x):
        return self.l2(self.l1(x))


def subclassed():
    return Net()


def sequential():
    return tf.keras.Sequential(
        [tf.keras.layers.Dense(4, activation="relu"), tf.keras.layers.Dense(2)]
    )


def functional():
    x = tf.keras.Input((3,))
    return tf.keras.Model(x, tf.keras.layers.Dense(2)(tf.keras.layers.Dense(4)(x)))


BATCH = np.arange(6, dtype=np.float32).reshape(2, 3)


def trained(make):
    model, optimizer = make(), tf.keras.optimizers.Adam(0.1)
    model(BATCH)
    gradients = [np.ones(v.shape.as_list(), np.float32) for v in model.trainable_variables]
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return model, optimizer


def assert_same(model, optimizer, other, other_optimizer):
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    pairs = zip(model.trainable_variables, other.trainable_variables, strict=True)
    for a, b in pairs:
        for slot, values in optimizer._slots_of(a).items():
            np.testing.assert_array_equal(values, other_optimizer._slots_of(b)[slot])


@pytest.mark.parametrize("make", [subclassed, sequential, functional])
def test_built_models(tmp_path, make):
    model, optimizer = trained(make)
    path = tf.train.Checkpoint(net=model, optimizer=optimizer).save(tmp_path / "ckpt")
    other, other_optimizer = trained(make)
    status = tf.train.Checkpoint(net=other, optimizer=other_optimizer).restore(path)
    status.assert_consumed()
    assert_same(model, optimizer, other, other_optimizer)
    assert not pending._waiting


@pytest.mark.parametrize("make", [subclassed, sequential])
def test_layers_that_are_built_later_get_their_values_then(tmp_path, make):
    model, optimizer = trained(make)
    path = tf.train.Checkpoint(net=model, optimizer=optimizer).save(tmp_path / "ckpt")
    other, other_optimizer = make(), tf.keras.optimizers.Adam(0.7)
    objects = tf.train.Checkpoint(net=other, optimizer=other_optimizer)
    status = objects.restore(path)
    assert not any(layer.variables for layer in other.layers)
    assert float(other_optimizer.learning_rate) == np.float32(0.1)
    directory.remove_checkpoint(path)  # a manager may do that in between
    np.testing.assert_array_equal(other(BATCH).numpy(), model(BATCH).numpy())
    assert_same(model, optimizer, other, other_optimizer)
    other_optimizer.build(other.trainable_variables)
    status.assert_consumed()
    assert_same(model, optimizer, other, other_optimizer)
    assert not pending._waiting


@pytest.mark.parametrize(
    "optimizer",
    [lambda: tf.keras.optimizers.Adam(0.1), lambda: tf.keras.optimizers.SGD(0.1),
     lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9)],
    ids=["adam", "sgd", "momentum"],
)  # fmt: skip
def test_an_optimizer_counts_when_it_is_built(tmp_path, optimizer):
    """Each of the answers is TensorFlow 2.15's."""

    def step(model, by):
        gradients = [np.ones(v.shape.as_list(), np.float32) for v in model.trainable_variables]
        by.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    def restored(built=False):
        model, by = sequential(), optimizer()
        if built:
            model(BATCH)
            by.build(model.trainable_variables)
        return model, by, tf.train.Checkpoint(net=model, optimizer=by).restore(path)

    first, first_optimizer = sequential(), optimizer()
    first(BATCH)
    for _ in range(2):
        step(first, first_optimizer)
    path = tf.train.Checkpoint(net=first, optimizer=first_optimizer).save(tmp_path / "ckpt")

    model, by, status = restored()
    with pytest.raises(AssertionError):
        status.assert_consumed()
    model(BATCH)
    status.assert_existing_objects_matched()
    status.assert_nontrivial_match()
    with pytest.raises(AssertionError, match=r"kernel \(optimizer\)"):
        status.assert_consumed()
    step(model, by)
    status.assert_consumed()
    step(first, first_optimizer)
    for a, b in zip(first.variables, model.variables, strict=True):
        np.testing.assert_array_equal(a, b)

    model, by, status = restored()
    model(BATCH)
    by.build(model.trainable_variables)
    status.assert_consumed()
    restored(built=True)[2].assert_consumed()


def test_a_compiled_model_counts_when_it_is_fitted(tmp_path):
    def compiled():
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
        model.compile("adam", "mse")
        return model

    first, labels = compiled(), np.ones((2, 2), np.float32)
    first.fit(BATCH, labels, verbose=0)
    path = tf.train.Checkpoint(first).save(tmp_path / "ckpt")
    model = compiled()
    status = tf.train.Checkpoint(model).restore(path)
    model.evaluate(BATCH, labels, verbose=0)
    with pytest.raises(AssertionError):
        status.assert_consumed()
    model.fit(BATCH, labels, verbose=0)
    status.assert_consumed()


def test_what_a_restore_brought_is_saved_though_nobody_trains(tmp_path):
    model, optimizer = trained(sequential)
    path = tf.train.Checkpoint(net=model, optimizer=optimizer).save(tmp_path / "ckpt")
    other, other_optimizer = sequential(), tf.keras.optimizers.Adam(0.7)
    objects = tf.train.Checkpoint(net=other, optimizer=other_optimizer)
    objects.restore(path)
    other(BATCH)
    third, third_optimizer = trained(sequential)
    again = tf.train.Checkpoint(net=third, optimizer=third_optimizer)
    again.restore(objects.save(tmp_path / "again")).assert_consumed()
    assert_same(model, optimizer, third, third_optimizer)


def test_a_second_restore_takes_the_place_of_one_that_waits(tmp_path):
    first, _ = trained(sequential)
    second, _ = trained(sequential)
    paths = [
        tf.train.Checkpoint(net=model).save(tmp_path / f"ckpt-{i}")
        for i, model in enumerate((first, second))
    ]
    model = sequential()
    for path in paths:
        tf.train.Checkpoint(net=model).restore(path)
    assert len(pending._waiting) == 1
    np.testing.assert_array_equal(model(BATCH).numpy(), second(BATCH).numpy())


def test_few_restores_wait(tmp_path):
    model, _ = trained(sequential)
    path = tf.train.Checkpoint(net=model).save(tmp_path / "ckpt")
    for _ in range(40):
        tf.train.Checkpoint(net=sequential()).restore(path).expect_partial()
    assert len(pending._waiting) == 16


def test_names_of_layers_are_tensorflows(tmp_path):
    model, _ = trained(subclassed)
    path = tf.train.Checkpoint(net=model).save(tmp_path / "ckpt")
    assert {name for name, _ in tf.train.list_variables(path)} == {
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        f"net/l1/kernel{SUFFIX}", f"net/l1/bias{SUFFIX}", f"net/l2/kernel{SUFFIX}",
        f"net/l2/bias{SUFFIX}",
        f"save_counter{SUFFIX}",
    }  # fmt: skip
    model, _ = trained(sequential)
    path = tf.train.Checkpoint(net=model).save(tmp_path / "ckpt")
    names = {name for name, _ in tf.train.list_variables(path)}
    assert f"net/layer_with_weights-0/kernel{SUFFIX}" in names


def test_modules(tmp_path):
    class Linear(tf.Module):
        def __init__(self, value):
            super().__init__()
            self.w = tf.Variable(value)
            self.inner = {"b": tf.Variable([value])}

    path = tf.train.Checkpoint(Linear(3.0)).save(tmp_path / "ckpt")
    other = Linear(1.0)
    tf.train.Checkpoint(other).restore(path).assert_consumed()
    assert float(other.w) == 3.0
    assert float(other.inner["b"][0]) == 3.0

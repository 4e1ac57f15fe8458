"""Sparse gradients, epsilon and state of the older optimizers; numbers of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.optimizers import rule_from_config

legacy = tf.keras.optimizers.legacy
BATCHES = [
    ([0, 2, 0], [[1.0, 2.0], [3.0, -4.0], [0.5, 1.0]]),
    ([1, 2], [[-1.0, 0.3], [0.2, -0.4]]),
    ([0], [[0.1, 0.1]]),
]
# optimizer, options, kind of gradient, Variable after the three batches
VALUES = [
    ("SGD", {}, "sparse", [0.84, 1.69, 3.1, 3.97, 4.68, 6.44, 7.0, 8.0]),
    ("SGD", {"momentum": 0.9}, "sparse", [0.705, 1.42, 3.1, 3.97, 4.41, 6.8, 7.0, 8.0]),
    ("SGD", {"momentum": 0.9, "nesterov": True}, "sparse",
     [0.5745, 1.168, 3.19, 3.943, 4.149, 7.16, 7.0, 8.0]),
    ("Adam", {}, "sparse", [0.77706, 1.779097, 3.131935, 3.868066, 4.772682, 6.231346, 7.0, 8.0]),
    ("Adam", {"amsgrad": True}, "sparse",
     [0.777094, 1.779155, 3.131906, 3.868095, 4.77271, 6.231317, 7.0, 8.0]),
    ("Adamax", {}, "sparse",
     [0.864294, 1.865525, 3.052632, 3.947368, 4.849072, 6.152684, 7.0, 8.0]),
    ("Nadam", {}, "sparse", [0.880263, 1.884004, 3.104498, 3.895502, 4.881108, 6.122324, 7.0, 8.0]),
    ("RMSprop", {}, "sparse",
     [0.660412, 1.672068, 3.316228, 3.683772, 4.661604, 6.349378, 7.0, 8.0]),
    ("RMSprop", {"momentum": 0.9}, "sparse",
     [0.377, 1.388063, 3.316228, 3.683774, 4.377, 6.633982, 7.0, 8.0]),
    ("RMSprop", {"centered": True}, "sparse",
     [0.64212, 1.654413, 3.333333, 3.666667, 4.643257, 6.368469, 7.0, 8.0]),
    ("RMSprop", {"centered": True, "momentum": 0.5}, "sparse",
     [0.47659, 1.488317, 3.333333, 3.666669, 4.47659, 6.535136, 7.0, 8.0]),
    ("RMSprop", {"epsilon": 0.1}, "sparse",
     [0.719895, 1.703449, 3.240253, 3.84605, 4.693971, 6.323672, 7.0, 8.0]),
    ("RMSprop", {"epsilon": 0.1}, "dense",
     [0.719895, 1.703449, 3.240253, 3.84605, 4.693971, 6.323672, 7.0, 8.0]),
    ("RMSprop", {"epsilon": 0.1, "momentum": 0.5}, "sparse",
     [0.587172, 1.539523, 3.223607, 3.909133, 4.52908, 6.492246, 7.0, 8.0]),
    ("RMSprop", {"epsilon": 0.1, "momentum": 0.5}, "dense",
     [0.520755, 1.464024, 3.33541, 3.863699, 4.44362, 6.584976, 7.0, 8.0]),
    ("RMSprop", {"epsilon": 0.1, "centered": True}, "sparse",
     [0.707564, 1.689084, 3.25, 3.842106, 4.679043, 6.339991, 7.0, 8.0]),
    ("RMSprop", {"epsilon": 0.1, "centered": True}, "dense",
     [0.707564, 1.689084, 3.25, 3.842106, 4.679043, 6.339991, 7.0, 8.0]),
    ("Adagrad", {}, "sparse",
     [0.895641, 1.897238, 3.095346, 3.931175, 4.893935, 6.109608, 7.0, 8.0]),
    ("Adadelta", {}, "sparse",
     [0.999845, 1.999852, 3.000142, 3.999858, 4.999844, 6.000162, 7.0, 8.0]),
    ("Ftrl", {}, "sparse", [0.689357, 1.687581, 2.190812, 1.02927, 4.369794, 5.636742, 7.0, 8.0]),
    ("Ftrl", {"l1_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.1,
              "beta": 0.1}, "sparse",
     [0.62101, 1.606996, 1.939176, 0.669258, 4.16739, 5.44165, 7.0, 8.0]),
]  # fmt: skip


def slices(rows, values):
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([4, 2]))


def summed(rows, values):
    total = np.zeros((4, 2), "float32")
    np.add.at(total, rows, np.float32(values))
    return total


def start():
    return np.arange(1.0, 9.0, dtype="float32").reshape(4, 2)


@pytest.mark.parametrize(("name", "options", "kind", "wanted"), VALUES)
def test_rows_that_a_gradient_names(name, options, kind, wanted):
    optimizer = getattr(legacy, name)(learning_rate=0.1, **options)
    v = tf.Variable(start())
    for rows, values in BATCHES:
        gradient = slices(rows, values) if kind == "sparse" else tf.constant(summed(rows, values))
        optimizer.apply_gradients([(gradient, v)])
    np.testing.assert_allclose(v.numpy().ravel(), wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("name", "options", "kind", "wanted"), VALUES)
def test_shards_compute_the_same(name, options, kind, wanted):
    rule = rule_from_config(getattr(legacy, name)(learning_rate=0.1, **options).rule_config())
    v = start()
    slots = {slot: rule.initial(slot, v) for slot in rule.slots}
    for step, (rows, values) in enumerate(BATCHES):
        gradient = summed(rows, values)
        given = np.unique(rows)
        if kind == "sparse":
            rule.rows(np, v, given, gradient[given], slots, step, 0.1)
        else:
            rule.dense(np, v, gradient, slots, step, 0.1)
    np.testing.assert_allclose(v.ravel(), wanted, rtol=2e-6, atol=2e-6)


def test_configurations_say_nothing_of_it():
    for name in ("SGD", "Adam", "RMSprop", "Ftrl"):
        config = getattr(legacy, name)().get_config()
        assert not {"older", "lazy"} & set(config)
        assert "older" not in getattr(tf.keras.optimizers, name)().rule_config()["config"]


def nadam_after(updates):
    optimizer, v, w = legacy.Nadam(0.1), tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])
    for _ in range(updates):
        optimizer.apply_gradients([(tf.constant([0.5, -0.1]), v), (tf.constant([[1.0]]), w)])
    return optimizer, v, w


def test_nadam_lists_the_product_of_its_momenta():
    optimizer, v, w = nadam_after(3)
    weights = optimizer.get_weights()
    assert [np.shape(a) for a in weights] == [(), (), (2,), (1, 1), (2,), (1, 1)]
    assert weights[0] == 3
    assert weights[1] == pytest.approx(0.09121428, rel=1e-6)
    np.testing.assert_allclose(weights[2], [0.13550003, -0.02710001], rtol=1e-6)
    np.testing.assert_allclose(weights[4], [7.4924063e-04, 2.9969626e-05], rtol=1e-6)
    other, a, b = nadam_after(1)
    other.set_weights(weights)
    a.assign(v), b.assign(w)
    gradients = tf.constant([0.5, -0.1]), tf.constant([[1.0]])
    other.apply_gradients(zip(gradients, (a, b)))
    np.testing.assert_allclose(a, [0.6696598, 2.3303401], rtol=1e-6)
    np.testing.assert_allclose(b, [[2.6696599]], rtol=1e-6)
    # what is set counts: Keras divides by another product then
    weights[1] = np.float32(0.5)
    other.set_weights(weights)
    assert other.get_weights()[1] == 0.5


@pytest.mark.parametrize(
    ("name", "options", "loss"),
    [
        ("Adam", {}, [23.76184, 19.22561]),
        ("Nadam", {}, [24.86837, 20.89275]),
        ("RMSprop", {"momentum": 0.5}, [3.57955, 2.12054]),
        ("Ftrl", {}, [2.44598, 2.1626]),
    ],
)
def test_a_model_from_an_h5_file_goes_on_training(name, options, loss, tmp_path):
    pytest.importorskip("h5py")
    x = (np.arange(16) / 7).reshape(8, 2).astype("float32")
    dense = tf.keras.layers.Dense
    model = tf.keras.Sequential([
        dense(3, kernel_initializer="ones", input_shape=(2,)), dense(1, kernel_initializer="ones")
    ])  # fmt: skip
    model.compile(getattr(legacy, name)(0.01, **options), "mse")
    train = dict(batch_size=2, epochs=2, verbose=0, shuffle=False)
    model.fit(x, x[:, :1], **train)
    path = str(tmp_path / "model.h5")
    model.save(path)
    loaded = tf.keras.models.load_model(path)
    np.testing.assert_allclose(loaded.fit(x, x[:, :1], **train).history["loss"], loss, rtol=2e-6)
    import h5py

    with h5py.File(path) as file:
        names = list(file["optimizer_weights"].attrs["weight_names"])
    assert names[0] == f"{name}/iter:0"
    assert ("Nadam/momentum_cache:0" in names) == (name == "Nadam")

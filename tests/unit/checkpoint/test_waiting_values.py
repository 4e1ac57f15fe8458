"""Values that wait for weights: nothing is drawn in their place. Numbers of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.checkpoint import object_graph, pending, restoration
from shardtape.checkpoint.object_graph import nodes_of

keras = tf.keras


@pytest.fixture(autouse=True)
def _nothing_waits_afterwards():
    yield
    while pending.waits():
        pending._waiting.pop().close()


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = keras.layers.Dense(3, kernel_initializer="he_normal")
        self.e = keras.layers.Embedding(5, 4)
        self.b = keras.layers.LSTM(2)

    def call(self, x):
        return self.b(self.a(self.e(x)))


def first_kernel_after(path, load):
    keras.utils.set_random_seed(5)
    net = Net()
    if load:
        net.load_weights(path)
    net(tf.ones([1, 4]))
    later = keras.layers.Dense(2)
    later(tf.ones([1, 2]))
    return later.kernel.numpy().ravel(), net


def test_seeds_of_initializers_are_not_drawn(tmp_path):
    drawn, net = first_kernel_after(None, False)
    np.testing.assert_allclose(drawn, [-1.193703, 1.163297, 0.315589, 0.024629], atol=1e-5)
    net.save_weights(tmp_path / "w")
    kept, again = first_kernel_after(tmp_path / "w", True)
    np.testing.assert_allclose(kept, [0.590649, 0.51603, -0.330729, 0.73167], atol=1e-5)
    for a, b in zip(net.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "initializer",
    [lambda shape, dtype=None: tf.random.normal(shape), tf.random_normal_initializer()],
)
def test_functions_of_first_values_are_not_called(tmp_path, initializer):
    class Scale(keras.layers.Layer):
        def build(self, shape):
            self.k = self.add_weight("k", [3], initializer=initializer)
            self.v = tf.Variable(tf.random.uniform([3]))  # made by itself: it is drawn

        def call(self, x):
            return x * self.k * self.v

    def following(restore):
        keras.utils.set_random_seed(5)
        layer = Scale()
        if restore:
            tf.train.Checkpoint(layer).read(str(tmp_path / "k"))
        layer(tf.ones([3]))
        return tf.random.uniform([2]).numpy(), layer

    number, layer = following(False)
    np.testing.assert_allclose(number, [0.201795, 0.347071], atol=1e-6)
    tf.train.Checkpoint(layer).write(str(tmp_path / "k"))
    number, again = following(True)
    np.testing.assert_allclose(number, [0.701707, 0.043368], atol=1e-6)
    np.testing.assert_array_equal(again.k, layer.k)
    np.testing.assert_array_equal(again.v, layer.v)


def test_a_value_of_another_shape_is_still_refused(tmp_path):
    made = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    made.save_weights(tmp_path / "w")
    other = keras.Sequential([keras.layers.Dense(4)])
    other.load_weights(tmp_path / "w").expect_partial()
    with pytest.raises(ValueError, match="Received incompatible tensor"):
        other(tf.ones([1, 3]))
    # and it does not stand in the way of what is made later
    tf.train.Checkpoint(root=tf.Module())
    assert keras.Sequential([keras.layers.Dense(1)])(tf.ones([1, 3])).shape == (1, 1)


def test_objects_are_looked_through_for_new_weights_alone(tmp_path, monkeypatch):
    def looks(count):
        """How often all objects are walked while a model is built that values wait for."""
        layers = [keras.layers.Dense(2) for _ in range(count)]
        made = keras.Sequential(layers)
        made(tf.ones([1, 2]))
        made.save_weights(tmp_path / str(count))
        other = keras.Sequential([keras.layers.Dense(2) for _ in range(count)])
        other.load_weights(tmp_path / str(count))
        walked = []
        with monkeypatch.context() as patch:
            patch.setattr(
                restoration, "nodes_of", lambda root: walked.append(root) or nodes_of(root)
            )
            other(tf.ones([1, 2]))
        for mine, theirs in zip(other.weights, made.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        return len(walked)

    # a layer's two weights and its end; shapes and specs that it notes hold nothing
    assert looks(12) - looks(4) <= 3 * 8


def test_values_are_found_for_layers_that_were_appended_unseen(tmp_path):
    class Stack(keras.Model):
        def __init__(self):
            super().__init__()
            self._given = []  # by this name the wrapper does not see what is put in
            self.parts = {"inner": self._given}

        def call(self, x):
            for part in self.parts["inner"]:
                x = part(x)
            return x

    def stack():
        made = Stack()
        made._given.append(keras.layers.Dense(2))
        return made

    first = stack()
    first(tf.ones([1, 2]))
    first.save_weights(tmp_path / "w")
    second = Stack()
    second.load_weights(tmp_path / "w")
    second._given.append(keras.layers.Dense(2))
    second(tf.ones([1, 2]))
    np.testing.assert_array_equal(second.weights[0], first.weights[0])


def test_the_work_grows_with_the_number_of_layers(tmp_path, monkeypatch):
    class Stack(keras.Model):
        def __init__(self, count):
            super().__init__()
            self.parts = [keras.layers.Dense(2) for _ in range(count)]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    def looks(count):
        """How many objects are asked for their parts while the layers make their weights."""
        made = Stack(count)
        made(tf.ones([1, 2]))
        path = tf.train.Checkpoint(model=made).write(str(tmp_path / str(count)))
        other = Stack(count)
        status = tf.train.Checkpoint(model=other).read(path)
        asked = []
        with monkeypatch.context() as patch:
            for module in (restoration, object_graph):
                patch.setattr(
                    module, "children_of",
                    lambda value, whole=object_graph.children_of: asked.append(1) or whole(value),
                )  # fmt: skip
            other(tf.ones([1, 2]))
        status.assert_consumed()
        for mine, theirs in zip(other.weights, made.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        return len(asked)

    few, many = looks(8), looks(32)
    assert many <= 5 * few  # each new weight looked at all layers before: 14 times as many

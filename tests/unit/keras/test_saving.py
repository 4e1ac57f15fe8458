"""Models in files: whole ones, weights, configurations."""

import json
import os

import numpy as np
import pytest

import shardtape as tf
from shardtape.checkpoint import pending

keras = tf.keras
X = np.random.RandomState(0).normal(size=(24, 5)).astype(np.float32)
Y = (np.abs(X).sum(-1) * 3).astype(np.int64) % 3


@pytest.fixture(autouse=True)
def fresh():
    keras.backend.clear_session()
    yield
    pending._waiting.clear()  # optimizers' values that no model has asked for


class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.w = self.add_weight("w", (input_shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.w * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Net(keras.Model):
    def __init__(self, units, depth=1):
        super().__init__()
        self.inner = [keras.layers.Dense(units, activation="tanh") for _ in range(depth)]
        self.out = keras.layers.Dense(3, activation="softmax")

    def call(self, x):
        for layer in self.inner:
            x = layer(x)
        return self.out(x)


def sequential():
    return keras.Sequential(
        [keras.layers.Dense(6, activation="relu", input_shape=(5,)), Scale(3.0),
         keras.layers.Dense(3, activation="softmax")]
    )  # fmt: skip


def functional():
    a = keras.Input((5,), name="a")
    shared = keras.layers.Dense(5, activation="tanh", name="shared")
    h = tf.concat([shared(shared(a)), 0.5 * a + 1.0], -1)
    inner = keras.Sequential([keras.layers.Dense(4, input_shape=(10,))], name="inner")
    return keras.Model(a, keras.layers.Dense(3, activation="softmax")(inner(h)), name="net")


def subclassed():
    return Net(4, depth=2)


def compiled(model, optimizer="adam"):
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, epochs=1, shuffle=False, verbose=0)
    return model


OWN = {"Scale": Scale, "Net": Net}


@pytest.mark.parametrize("make", [sequential, functional, subclassed])
@pytest.mark.parametrize("name", ["model.keras", "folder", "model.h5"])
def test_training_goes_on_where_it_was(tmp_path, make, name):
    if name == "model.h5":
        pytest.importorskip("h5py")
        if make is subclassed:
            pytest.skip("Keras's HDF5 files hold no subclassed models")
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.9)
    model = compiled(make(), keras.optimizers.Adam(rate))
    model.save(tmp_path / name)
    again = keras.models.load_model(tmp_path / name, custom_objects=OWN)
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 1
    histories = [m.fit(X, Y, 8, 2, shuffle=False, verbose=0).history for m in (model, again)]
    assert histories[0] == histories[1]


def test_a_class_that_nobody_knows_is_named(tmp_path, monkeypatch):
    compiled(sequential()).save(tmp_path / "m.keras")
    monkeypatch.setattr(Scale, "__module__", "gone")  # as in the program that reads the file
    monkeypatch.delitem(globals(), "Scale")
    with pytest.raises(ValueError, match="'Scale'"):
        keras.models.load_model(tmp_path / "m.keras")


def test_registered_classes_and_scopes(tmp_path):
    @keras.utils.register_keras_serializable(package="test_saving")
    class Registered(Scale):
        pass

    model = keras.Sequential([Registered(2.0, input_shape=(5,))])
    assert keras.utils.get_registered_name(Registered) == "test_saving>Registered"
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(X), model(X))
    with keras.utils.custom_object_scope({"Scale": Scale}):
        made = keras.models.model_from_json(sequential().to_json())
    assert made.layers[1].factor == 3.0


def test_own_losses_metrics_and_activations(tmp_path):
    def own_loss(t, p):
        return tf.reduce_mean(tf.square(p), -1)

    def own_activation(x):
        return x * 2.0

    model = keras.Sequential([keras.layers.Dense(2, own_activation, input_shape=(5,))])
    model.compile("sgd", own_loss, metrics=[keras.metrics.MeanAbsoluteError(name="m"), own_loss])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    own = {"own_loss": own_loss, "own_activation": own_activation}
    again = keras.models.load_model(tmp_path / "m.keras", own)
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert again.metrics_names == model.metrics_names == ["loss", "m", "own_loss"]


@pytest.mark.parametrize("make", [sequential, functional])
def test_configurations_and_clones(make):
    model = make()
    with keras.utils.custom_object_scope(OWN):
        others = [
            keras.models.model_from_json(model.to_json()),
            type(model).from_config(json.loads(json.dumps(model.get_config()))),
            keras.models.clone_model(model),
        ]
    for other in others:
        assert [w.name for w in other.weights] == [w.name for w in model.weights]
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other(X), model(X))


def test_weights_as_a_checkpoint_and_packed(tmp_path):
    model = compiled(sequential())
    for name in ("run/weights", "packed.weights"):
        model.save_weights(tmp_path / name)
        other = sequential()
        other.load_weights(tmp_path / name).assert_existing_objects_matched()
        np.testing.assert_array_equal(other(X), model(X))
    assert tf.train.latest_checkpoint(tmp_path / "run") == str(tmp_path / "run/weights")


def test_weights_of_layers_that_are_built_later(tmp_path):
    model = compiled(subclassed())
    model.save_weights(tmp_path / "w")
    other = Net(4, depth=2)
    other.load_weights(tmp_path / "w").expect_partial()
    np.testing.assert_array_equal(other(X), model(X))


def test_weights_by_name(tmp_path):
    model = functional()
    model.save_weights(tmp_path / "w.weights")
    layers = keras.layers
    other = keras.Sequential([layers.Dense(5, name="shared", input_shape=(5,)), layers.Dense(2)])
    before = other.layers[1].get_weights()
    other.load_weights(tmp_path / "w.weights", by_name=True)
    np.testing.assert_array_equal(other.layers[0].get_weights()[0],
                                  model.get_layer("shared").get_weights()[0])  # fmt: skip
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], before[0])
    wrong = keras.Sequential([layers.Dense(7, name="shared", input_shape=(5,))])
    with pytest.raises(ValueError, match="'shared'"):
        wrong.load_weights(tmp_path / "w.weights", by_name=True)
    wrong.load_weights(tmp_path / "w.weights", by_name=True, skip_mismatch=True)


def test_nothing_is_overwritten_unasked(tmp_path):
    model = sequential()
    model.save(tmp_path / "m.keras")
    with pytest.raises(tf.errors.AlreadyExistsError, match="m.keras"):
        model.save(tmp_path / "m.keras", overwrite=False)


def foreign_saved_model(folder):
    with open(os.path.join(folder, "saved_model.pb"), "wb"):
        return folder


def foreign_checkpoint(folder):
    with open(os.path.join(folder, "ck.index"), "wb") as file:  # they end so
        file.write(bytes(40) + bytes.fromhex("57fb808b247547db"))
    return os.path.join(folder, "ck")


@pytest.mark.parametrize("make", [foreign_saved_model, foreign_checkpoint])
def test_files_of_tensorflow_are_refused(tmp_path, make):
    path = make(str(tmp_path))
    for load in (keras.models.load_model, sequential().load_weights):
        with pytest.raises(tf.errors.InvalidArgumentError, match="set_weights"):
            load(path)


def test_drawings(tmp_path):
    keras.utils.plot_model(functional(), tmp_path / "net.dot", show_shapes=True)
    text = (tmp_path / "net.dot").read_text()
    assert text.startswith("digraph") and "shared" in text and "(None, 5)" in text


def _own_class() -> type:
    class Halves(tf.keras.Model):
        def __init__(self, sizes):
            super().__init__()
            self.dense = [tf.keras.layers.Dense(n) for n in sizes]
            self.noise = tf.keras.layers.Dropout(0.5)

        def call(self, x):
            for layer in self.dense:
                x = layer(x)
            return self.noise(x)

        @tf.function
        def doubled(self, x):
            return 2 * self(x)

    return Halves


def test_a_folder_is_loaded_without_the_class(tmp_path):
    keras.utils.set_random_seed(2)  # the dropout must not leave out all
    model = _own_class()([4, 2])
    x, y = np.ones((3, 8), np.float32), np.ones((3, 2), np.float32)
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    wanted = model(x).numpy()
    model.save(tmp_path / "model")
    again = tf.keras.models.load_model(tmp_path / "model")
    np.testing.assert_allclose(again(x), wanted, atol=1e-6)
    assert (type(again).__name__, len(again.trainable_weights)) == ("Halves", 4)
    assert not np.allclose(again(x, training=True), wanted)  # dropout
    before = [w.numpy() for w in again.weights]
    again.fit(x, y, verbose=0)
    assert all(not np.array_equal(w, b) for w, b in zip(again.get_weights(), before))
    with pytest.raises(NotImplementedError, match="custom_objects"):
        again.get_config()
    with pytest.raises(ValueError, match="Unknown object: 'Halves'"):
        model.save(tmp_path / "model.keras")
        tf.keras.models.load_model(tmp_path / "model.keras")


def test_functions_of_a_model_that_was_never_called_are_saved(tmp_path):
    model = _own_class()([2])
    wanted = model.doubled(tf.ones((1, 3)))
    tf.saved_model.save(model, tmp_path / "model")
    again = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(again.doubled(tf.ones((1, 3))), wanted, atol=1e-6)


def test_a_folder_holds_no_model_that_was_never_built(tmp_path):
    model = Net(4, depth=2)
    with pytest.raises(ValueError, match="cannot be saved"):
        model.save(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    model(tf.constant(X))
    model.save(tmp_path / "folder")

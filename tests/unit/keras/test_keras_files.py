"""Files in Keras's forms: what goes into them, what does not, and where h5py is missing."""

import json
import sys
import zipfile

import numpy as np
import pytest

import shardtape as tf

h5py = pytest.importorskip("h5py")
keras = tf.keras
layers = keras.layers
X = np.random.RandomState(0).normal(size=(8, 3)).astype(np.float32)
Y = X.sum(-1, keepdims=True)


@pytest.fixture(autouse=True)
def fresh():
    keras.backend.clear_session()


def model(units=4, bias=True):
    return keras.Sequential(
        [layers.Dense(units, use_bias=bias, input_shape=(3,), name="a"), layers.Dense(1, name="b")]
    )


def test_the_layout_of_older_weights(tmp_path):
    made = model()
    made.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert list(file.attrs["layer_names"]) == [b"a", b"b"] or list(
            file.attrs["layer_names"]
        ) == ["a", "b"]
        assert file.attrs["backend"] in (b"tensorflow", "tensorflow")
        np.testing.assert_array_equal(file["a/a/kernel:0"], made.layers[0].get_weights()[0])


def test_names_that_are_too_long_for_one_attribute(tmp_path):
    from shardtape.keras.saving import hdf5_layout

    names = [f"{'n' * 200}_{i}" for i in range(700)]
    with h5py.File(tmp_path / "n.h5", "w") as file:
        hdf5_layout.write_names(file, "layer_names", names)
        assert "layer_names2" in file.attrs and "layer_names" not in file.attrs
        assert hdf5_layout.read_names(file, "layer_names") == names


def test_by_name_and_what_does_not_fit(tmp_path):
    source, other = model(), model(5)
    source.save_weights(tmp_path / "w.h5")
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"Shape mismatch in layer #0 \(named a\)"):
        other.load_weights(tmp_path / "w.h5", by_name=True)
    for a, b in zip(other.get_weights(), before):
        np.testing.assert_array_equal(a, b)  # nothing was half loaded
    other.load_weights(tmp_path / "w.h5", by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(other.layers[1].bias.numpy(), source.layers[1].bias.numpy())
    without = model(bias=False)
    without.load_weights(tmp_path / "w.h5", by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(without.get_weights()[1], source.get_weights()[2])


def test_skip_mismatch_of_the_newer_layout(tmp_path):
    source, other = model(), model(bias=False)
    source.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="Layer 'a' expected 1 variables, but received 2"):
        other.load_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[1], source.get_weights()[2])


def test_without_h5py(tmp_path, monkeypatch):
    made = model()
    made.save_weights(tmp_path / "there.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    for act in (
        lambda: made.save(tmp_path / "m.h5"),
        lambda: made.save_weights(tmp_path / "w.h5"),
        lambda: made.save_weights(tmp_path / "w.weights.h5"),
        lambda: made.load_weights(tmp_path / "there.h5"),
        lambda: keras.models.load_model(tmp_path / "there.h5"),
    ):
        with pytest.raises(ImportError, match=r"pip install shardtape\[h5\]"):
            act()
    made.save(tmp_path / "m.keras")  # in the form of ours
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(X), made(X))


def test_what_keras_has_no_words_for_is_kept_in_our_form(tmp_path):
    a = keras.Input((3,))
    turned = tf.cast(a, tf.complex64) * tf.constant([1j, -1j, 2.0], tf.complex64)
    made = keras.Model(a, layers.Dense(1)(tf.abs(turned)))
    made.save(tmp_path / "m.keras")
    assert "keras_model.json" in zipfile.ZipFile(tmp_path / "m.keras").namelist()
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(X), made(X))
    with pytest.raises(NotImplementedError, match="complex64"):
        made.save(tmp_path / "m.h5")
    assert not (tmp_path / "m.h5").exists()


def test_vocabularies_are_kept_in_our_form(tmp_path):
    made = keras.Sequential(
        [keras.Input((1,), dtype="string"), layers.StringLookup(vocabulary=["x", "y"])]
    )
    made.save(tmp_path / "m.keras")
    got = keras.models.load_model(tmp_path / "m.keras")(tf.constant([["y"]]))
    np.testing.assert_array_equal(got, [[2]])


def test_classes_of_the_users_own(tmp_path):
    @keras.utils.register_keras_serializable(package="files")
    class Twice(layers.Layer):
        def __init__(self, by=2.0, **kwargs):
            super().__init__(**kwargs)
            self.by, self.inner = by, [layers.Dense(3), layers.Dense(3)]

        def call(self, x):
            return self.inner[1](self.inner[0](x)) * self.by

        def get_config(self):
            return {**super().get_config(), "by": self.by}

    made = keras.Sequential([keras.Input((3,)), Twice(3.0), layers.Dense(1)])
    made.compile("adam", "mse")
    made.fit(X, Y, verbose=0)
    for name in ("m.keras", "m.h5"):
        made.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name)
        np.testing.assert_allclose(again(X), made(X), atol=1e-6)
        assert again.layers[0].by == 3.0
    config = json.loads(zipfile.ZipFile(tmp_path / "m.keras").read("config.json"))
    entry = config["config"]["layers"][1]
    assert (entry["class_name"], entry["registered_name"]) == ("Twice", "files>Twice")
    with h5py.File(zipfile.ZipFile(tmp_path / "m.keras").open("model.weights.h5")) as file:
        assert file["layers/twice/inner/dense_1/vars/0"].shape == (3, 3)


def test_a_file_with_code_is_not_run(tmp_path):
    config = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [
            {"class_name": "Lambda", "config": {"name": "l", "function": {
                "class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}}},
        ]},
    }  # fmt: skip
    with pytest.raises(ValueError, match="code of a Python function"):
        keras.models.model_from_json(json.dumps(config))


def test_an_optimizer_that_is_not_known_leaves_the_model_uncompiled(tmp_path, caplog):
    made = model()
    made.compile("sgd", "mse")
    made.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        text = file.attrs["training_config"]
        text = text.decode() if isinstance(text, bytes) else text
        file.attrs["training_config"] = text.replace("Custom>SGD", "Custom>Unheard")
    again = keras.models.load_model(tmp_path / "m.h5")
    assert again.optimizer is None and "Unheard" in caplog.text
    np.testing.assert_array_equal(again(X), made(X))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 8)
    for load in (keras.models.load_model, model().load_weights):
        with pytest.raises(OSError, match=r"m\.h5 is damaged"):
            load(tmp_path / "m.h5")


def test_model_checkpoint_writes_hdf5(tmp_path):
    made = model()
    made.compile("adam", "mse")
    whole = keras.callbacks.ModelCheckpoint(tmp_path / "m-{epoch}.h5")
    weights = keras.callbacks.ModelCheckpoint(
        tmp_path / "w.weights.h5", save_weights_only=True, save_best_only=True, monitor="loss"
    )
    made.fit(X, Y, epochs=2, verbose=0, callbacks=[whole, weights])
    again = keras.models.load_model(tmp_path / "m-2.h5")
    np.testing.assert_array_equal(again(X), made(X))
    assert int(again.optimizer.iterations) == 2
    other = model()
    other.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(other(X), made(X))


def test_a_scaled_loss_in_hdf5(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        made = model()
        made.compile("adam", "mse")
        made.fit(X, Y, epochs=8, verbose=0)  # the first steps are left out, the scale falls
        made.save(tmp_path / "m.h5")
        keras.backend.clear_session()
        again = keras.models.load_model(tmp_path / "m.h5")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert again.dtype_policy.name == made.dtype_policy.name == "mixed_float16"
    inner = [m.optimizer.inner_optimizer for m in (made, again)]
    moments = [[v.numpy() for v in optimizer.variables] for optimizer in inner]
    assert int(moments[0][0]) > 0 and np.abs(moments[0][1]).max() > 0
    for a, b in zip(*moments):
        np.testing.assert_array_equal(a, b)


def test_a_layer_that_two_models_share(tmp_path):
    shared = layers.Dense(3, name="shared")
    p, q, x = (keras.Input((3,)) for _ in range(3))
    first, second = keras.Model(p, shared(p)), keras.Model(q, shared(shared(q)))
    made = keras.Model(x, first(x) + second(x))
    made.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert len(again.weights) == len(made.weights) == 2
    np.testing.assert_allclose(again(X), made(X), atol=1e-6)


def test_what_cannot_be_compiled_again_is_told(tmp_path, caplog):
    made = model()
    made.compile("sgd", lambda t, p: tf.reduce_mean(tf.square(t - p)))
    made.fit(X, Y, verbose=0)
    made.save(tmp_path / "m.h5")
    assert "does not hold how the model was compiled" in caplog.text
    again = keras.models.load_model(tmp_path / "m.h5")
    assert again.optimizer is None
    np.testing.assert_array_equal(again(X), made(X))


def test_an_optimizer_that_has_not_run(tmp_path, caplog):
    made = model()
    made.compile("adam", "mse")
    for name in ("m.keras", "m.h5"):
        made.save(tmp_path / name)
        assert int(keras.models.load_model(tmp_path / name).optimizer.iterations) == 0
    assert not caplog.text


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"class_name": "Unheard", "config": {}}, "Unknown object: 'Unheard'"),
        ({"class_name": "Functional", "config": {
            "name": "m", "layers": [], "input_layers": [["q", 0, 0]], "output_layers": []}},
         "'q', which nothing makes"),
        ({"class_name": "Functional", "config": {
            "name": "m", "input_layers": [], "output_layers": [], "layers": [
                {"class_name": "TFOpLambda", "config": {"name": "o", "function": "math.unheard"},
                 "name": "o", "inbound_nodes": []}]}},
         "`tf.math.unheard`"),
        ({"class_name": "Functional", "config": {
            "name": "m", "input_layers": [], "output_layers": [], "layers": [
                {"class_name": "Dense", "config": {"name": "d", "units": 2}, "name": "d",
                 "inbound_nodes": [[["gone", 0, 0, {}]]]}]}},
         r"what nothing makes: \['d'\]"),
    ],
)  # fmt: skip
def test_configurations_that_are_wrong_are_explained(config, text):
    with pytest.raises(ValueError, match=text):
        keras.models.model_from_json(json.dumps(config))


def test_names_of_layers_are_those_of_keras():
    assert layers.ConvLSTM2D(1, 1).name == "conv_lstm2d"  # so the paths in the newer layout are
    assert layers.MaxPooling2D().name == "max_pooling2d"
    assert layers.Conv2DTranspose(1, 1).name == "conv2d_transpose"


def test_vocabularies_are_files_of_an_archive(tmp_path):
    texts = tf.keras.layers.TextVectorization(output_mode="int", output_sequence_length=3)
    texts.adapt(tf.constant(["a b", "b c"]))
    learned = tf.keras.layers.StringLookup(output_mode="one_hot", name="learned")
    learned.adapt(tf.constant(["a", "b", "b"]))
    given = tf.keras.layers.StringLookup(vocabulary=["x", "y"], mask_token="", name="given")
    x = tf.keras.Input((1,), dtype="string")
    model = tf.keras.Model(x, [texts(x), learned(x), given(x)])
    path = str(tmp_path / "m.keras")
    model.save(path)
    asked = tf.constant([["b c"], ["b"], ["x"]])
    wanted = [
        [[2, 3, 0], [2, 0, 0], [1, 0, 0]], [[1, 0, 0], [0, 1, 0], [1, 0, 0]], [[1], [1], [2]],
    ]  # fmt: skip
    for made in (model, tf.keras.models.load_model(path)):
        assert [t.numpy().tolist() for t in made(asked)] == wanted
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))["config"]
        read = {n: archive.read(n).decode() for n in archive.namelist() if "vocabulary" in n}
    assert read == {
        "assets/layers/text_vectorization/vocabulary.txt": "\n[UNK]\nb\nc\na",
        "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt": "\n[UNK]\nb\nc\na",
        "assets/layers/string_lookup/vocabulary.txt": "[UNK]\nb\na",
    }
    layers = {e["name"]: e["config"] for e in config["layers"]}
    assert (layers["learned"]["vocabulary"], layers["learned"]["vocabulary_size"]) == (None, 3)
    assert (layers["given"]["vocabulary"], layers["given"]["vocabulary_size"]) == (["x", "y"], 4)
    assert "vocabulary_dtype" not in layers["given"]


def test_by_name_is_refused_for_checkpoints(tmp_path):
    made = model()
    made.save_weights(tmp_path / "w")
    with pytest.raises(NotImplementedError, match=r"got by_name=True to load_weights"):
        made.load_weights(tmp_path / "w", by_name=True)
    made.load_weights(tmp_path / "w")


def test_only_shared_layers_are_numbered(tmp_path):
    def described(made):
        made.save(tmp_path / "m.keras")
        return zipfile.ZipFile(tmp_path / "m.keras").read("config.json").decode()

    assert "shared_object_id" not in described(model())
    dense = layers.Dense(3, name="both")
    both = keras.Sequential(
        [keras.Sequential([keras.Input([3]), dense]), keras.Sequential([keras.Input([3]), dense])]
    )
    assert described(both).count("shared_object_id") == 2
    loaded = keras.models.load_model(tmp_path / "m.keras")
    first, second = (inner.layers[0] for inner in loaded.layers)
    assert first is second


def test_metrics_that_are_none_are_named():
    with pytest.raises(ValueError, match="Could not interpret metric identifier: 3"):
        keras.metrics.get(3)
    with pytest.raises(ValueError, match="Could not interpret loss identifier: \\['mse'"):
        keras.losses.get(["mse"])
    with pytest.raises(ValueError, match="Unknown metric function: 'Nope'"):
        keras.metrics.get({"class_name": "Nope", "config": {}})

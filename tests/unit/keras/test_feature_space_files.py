"""FeatureSpaces in `.keras` files; Keras 2.15 wrote and read such files beside these tests."""

import json
import zipfile

import numpy as np
import pytest

import shardtape as tf

pytest.importorskip("h5py")
FS = tf.keras.utils.FeatureSpace
DATA = {
    "plain": np.array([0.1, 0.4, 0.7, 1.2]), "normal": np.array([1.0, 5, 2, 8]),
    "bins": np.array([0.1, 0.25, 0.5, 0.9]), "number": np.array([1, 2, 3, 2]),
    "word": np.array(["a", "b", "a", "c"]), "hashed": np.array(["x", "y", "z", "x"]),
}  # fmt: skip


def space():
    made = FS(
        {"plain": FS.float(), "normal": FS.float_normalized(),
         "bins": FS.float_discretized(num_bins=3), "number": FS.integer_categorical(max_tokens=6),
         "word": FS.string_categorical(max_tokens=5), "hashed": FS.string_hashed(num_bins=4)},
        crosses=[FS.cross(("word", "number"), crossing_dim=8)],
    )  # fmt: skip
    made.adapt(tf.data.Dataset.from_tensor_slices(DATA).batch(2))
    return made


def test_a_saved_space_knows_what_it_learned(tmp_path):
    first = space()
    path = str(tmp_path / "space.keras")
    first.save(path)
    loaded = tf.keras.models.load_model(path)
    assert isinstance(loaded, FS)
    np.testing.assert_array_equal(loaded(DATA), first(DATA))
    assert loaded.preprocessors["word"].get_vocabulary() == ["[UNK]", "a", "c", "b"]
    encoded = loaded.get_encoded_features()
    model = tf.keras.Model(loaded.get_inputs(), encoded)
    columns = {name: column.reshape(-1, 1) for name, column in DATA.items()}
    np.testing.assert_array_equal(model(columns), first(DATA))
    mapped = tf.data.Dataset.from_tensor_slices(DATA).batch(4).map(loaded)
    np.testing.assert_array_equal(next(iter(mapped)), first(DATA))


def test_a_save_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    first = space()
    path = tmp_path / "new" / "space.keras"
    first.save(path)
    before = path.read_bytes()

    def fails(*args):
        raise OSError("no space left")

    monkeypatch.setattr(zipfile.ZipFile, "write", fails)
    with pytest.raises(tf.errors.OpError, match="no space left"):
        first.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["space.keras"]


def test_the_archive_is_as_keras_has_it(tmp_path):
    path = str(tmp_path / "space.keras")
    space().save(path)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        form = json.loads(archive.read("config.json"))
        words = archive.read("assets/preprocessors/string_lookup/vocabulary.txt").decode()
        numbers = archive.read("assets/preprocessors/integer_lookup/vocabulary.txt").decode()
    assert {"metadata.json", "config.json", "model.weights.h5"} < names
    assert words.split("\n") == ["[UNK]", "a", "c", "b"]
    assert numbers.split("\n") == ["-1", "2", "3", "1"]
    assert (form["module"], form["class_name"]) == ("keras.utils", "FeatureSpace")
    config = form["config"]
    feature = config["features"]["word"]
    assert (feature["module"], feature["class_name"]) == (
        "keras.src.utils.feature_space", "Feature",
    )  # fmt: skip
    lookup = feature["config"]["preprocessor"]["config"]
    assert (lookup["vocabulary"], lookup["vocabulary_size"]) == (None, 4)
    assert "vocabulary_dtype" not in lookup
    cross = {"feature_names": ["word", "number"], "crossing_dim": 8, "output_mode": "one_hot"}
    assert config["crosses"][0]["config"] == cross


def test_texts_as_features(tmp_path):
    texts = tf.keras.layers.TextVectorization(output_mode="multi_hot")
    first = FS({"t": FS.feature("string", texts, "float"), "a": FS.float()})
    data = {"t": np.array(["a b", "b c"]), "a": np.array([1.0, 2.0])}
    first.adapt(tf.data.Dataset.from_tensor_slices(data))
    path = str(tmp_path / "space.keras")
    first.save(path)
    asked = {"t": np.array(["b", "c d"]), "a": np.array([1.0, 2.0])}
    wanted = [[1.0, 0.0, 1.0, 0.0, 0.0], [2.0, 1.0, 0.0, 1.0, 0.0]]
    for made in (first, tf.keras.models.load_model(path)):
        assert made(asked).numpy().tolist() == wanted


def test_wrong_names(tmp_path):
    with pytest.raises(ValueError, match="ends in .keras"):
        space().save(str(tmp_path / "space"))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_ranges_that_were_learned_are_in_files_of_models(ending, tmp_path):
    def model():
        x = tf.keras.Input((1,))
        layer = tf.keras.layers.Discretization(num_bins=3)
        return tf.keras.Model(x, layer(x)), layer

    first, layer = model()
    layer.adapt(DATA["bins"])
    path = str(tmp_path / f"m{ending}")
    (first.save if ending == ".keras" else first.save_weights)(path)
    if ending == ".keras":
        other = tf.keras.models.load_model(path)
    else:
        other = model()[0]
        other.load_weights(path)
    borders = other.layers[1].bin_boundaries
    assert len(borders) == 2
    np.testing.assert_allclose(borders, layer.bin_boundaries, rtol=1e-6)

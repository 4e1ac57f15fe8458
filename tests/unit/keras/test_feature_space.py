"""`FeatureSpace`: what each kind of column becomes; the numbers are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

FS = tf.keras.utils.FeatureSpace
DATA = {
    "age": np.array([20.0, 30.0, 40.0, 50.0]), "sex": np.array([0, 1, 0, 1]),
    "thal": np.array(["x", "y", "x", "z"]), "w": np.array([1.0, 2.0, 3.0, 4.0]),
    "id": np.array([1001, 1002, 1003, 1001]), "name": np.array(["ann", "bob", "cy", "ann"]),
}  # fmt: skip
TWO = {name: column[:2] for name, column in DATA.items()}
ENCODED = {  # two rows
    "age": [[-1.34164083], [-0.44721359]], "id": [[0, 1, 0, 0], [0, 0, 0, 1]], "name": [[0], [0]],
    "sex": [[0, 0, 1], [0, 1, 0]], "thal": [[1, 0, 0], [0, 0, 1]], "w": [[1, 0, 0], [0, 1, 0]],
    "sex_X_thal": [[0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]],
    "thal_X_sex": [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0]],
}  # fmt: skip


def _dataset():
    return tf.data.Dataset.from_tensor_slices(DATA)


def _space(output_mode):
    made = FS(
        {"age": FS.float_normalized(), "sex": "integer_categorical",
         "thal": FS.string_categorical(num_oov_indices=0), "w": FS.float_discretized(num_bins=3),
         "id": FS.integer_hashed(num_bins=4),
         "name": FS.string_hashed(3, output_mode="int" if output_mode == "dict" else "one_hot")},
        output_mode, [("sex", "thal"), FS.cross(("thal", "sex"), crossing_dim=5)], crossing_dim=8,
    )  # fmt: skip
    made.adapt(_dataset())
    return made


def test_a_dictionary():
    space = _space("dict")
    for found in (space(TWO), next(iter(_dataset().batch(2).map(space)))):
        assert set(found) == set(ENCODED)
        for name, value in ENCODED.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-6)
    one = space({name: column[0] for name, column in DATA.items()})
    for name, value in ENCODED.items():
        np.testing.assert_allclose(one[name], value[0], rtol=1e-6)


def test_one_vector_in_a_model():
    space = _space("concat")
    order = ["age", "id", "name", "sex", "thal", "w", "sex_X_thal", "thal_X_sex"]
    names = {**ENCODED, "name": [[1, 0, 0], [1, 0, 0]]}
    rows = np.concatenate([names[n] for n in order], 1)
    np.testing.assert_allclose(space(TWO), rows, rtol=1e-6)
    one = next(iter(_dataset().map(space)))
    np.testing.assert_allclose(one, rows[0], rtol=1e-6)
    encoded = space.get_encoded_features()
    assert encoded.shape.as_list() == [None, 30]
    model = tf.keras.Model(space.get_inputs(), tf.keras.layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    history = model.fit(_dataset().map(lambda x: (x, 1.0)).batch(2), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_what_is_given_needs_no_adapt():
    words = tf.keras.layers.StringLookup(vocabulary=["x", "y"])
    space = FS({"a": "float", "b": FS.float_rescaled(2.0, 1.0),
                "c": FS.feature("float32", tf.keras.layers.Rescaling(3.0), "float"),
                "d": FS.float_discretized(3, bin_boundaries=[0.0, 2.0]),
                "e": FS.feature("string", words, "one_hot")})  # fmt: skip
    two = [1.0, 2.0]
    found = space({"a": two, "b": two, "c": two, "d": [-1.0, 3.0], "e": ["y", "q"]})
    rows = [[1, 3, 3, 1, 0, 0, 0, 0, 1], [2, 5, 6, 0, 0, 1, 1, 0, 0]]
    np.testing.assert_array_equal(found, rows)
    again = FS.from_config(space.get_config())
    assert again.features["b"].preprocessor.scale == 2.0 and again.output_mode == "concat"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: FS({}), ValueError, "cannot be None or empty"),
        (lambda: FS({"a": "nope"}), ValueError, "Invalid feature type: nope"),
        (lambda: FS({"a": "float"}, "x"), ValueError, "`output_mode`"),
        (lambda: FS({"a": "float"}, crosses=[("a", "b")]), ValueError, "unknown features"),
        (lambda: FS({"a": "float_normalized"})({"a": [1.0]}), ValueError, "call `.adapt"),
        (lambda: FS({"a": "float"})([1.0]), ValueError, "called with a dict"),
        (lambda: FS({"a": "float", "b": "float"})({"a": [1.0]}), KeyError, "no column 'b'"),
        (lambda: FS({"a": "float"}).adapt({"a": [1.0]}), ValueError, "tf.data.Dataset"),
        (lambda: FS({"a": FS.integer_hashed(3, output_mode="int")})({"a": [1]}), ValueError,
         "has not been encoded"),
        (lambda: FS({"a": FS.feature("float32", tf.keras.layers.Rescaling(2.0), "one_hot")})(
            {"a": [1.0]}), ValueError, "return an int64"),
        (lambda: FS({"a": "float"}).save("x"), ValueError, "ends in .keras"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()

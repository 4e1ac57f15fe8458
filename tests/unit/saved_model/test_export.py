"""`Model.export` and `ExportArchive`; names, shapes and counts are those of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

ROWS = [tf.TensorSpec((None, 3), tf.float32)]
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def model():
    layers = tf.keras.layers
    made = tf.keras.Sequential(
        [layers.Dense(2, input_shape=(3,), name="out"), layers.Dropout(0.5),
         layers.BatchNormalization()]
    )  # fmt: skip
    made.compile("adam", "mse")
    made.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return made


def test_a_model_has_the_endpoint_serve(model, tmp_path):
    model.export(tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded.serve(X), model(X))
    np.testing.assert_array_equal(loaded.serve(args_0=tf.constant(X)), model(X))
    assert sorted(loaded.signatures) == ["serve", "serving_default"]
    for name in ("serve", "serving_default"):
        infer = loaded.signatures[name]
        assert infer.structured_input_signature == (
            (), {"out_input": tf.TensorSpec((None, 3), tf.float32, "out_input")},
        )  # fmt: skip
        assert list(infer.structured_outputs) == ["output_0"]
        np.testing.assert_array_equal(infer(out_input=tf.constant(X))["output_0"], model(X))
    counts = (loaded.variables, loaded.trainable_variables, loaded.non_trainable_variables)
    assert [len(c) for c in counts] == [6, 4, 2]  # the optimizer's are left out
    with pytest.raises(TypeError):
        loaded(X)


def test_models_of_several_inputs(tmp_path):
    a, b = (tf.keras.Input((2,), name=name) for name in ("left", "right"))
    tf.keras.Model([a, b], [a + b, a * b]).export(tmp_path / "list")
    loaded = tf.saved_model.load(tmp_path / "list")
    total, product = loaded.serve([tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 5.0]])])
    np.testing.assert_array_equal(total, [[4, 7]])
    np.testing.assert_array_equal(product, [[3, 10]])
    infer = loaded.signatures["serve"]
    assert sorted(infer.structured_input_signature[1]) == ["left", "right"]
    assert sorted(infer.structured_outputs) == ["output_0", "output_1"]
    with pytest.raises(TypeError, match="too many positional arguments"):
        loaded.serve(tf.ones((1, 2)), tf.ones((1, 2)))
    tf.keras.Model({"left": a, "right": b}, {"less": a - b}).export(tmp_path / "dict")
    loaded = tf.saved_model.load(tmp_path / "dict")
    got = loaded.serve([tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 5.0]])])
    np.testing.assert_array_equal(got["less"], [[-2, -3]])


def test_a_subclassed_model(tmp_path):
    class Two(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(2)

        def call(self, x, training=False):
            return {"a": self.dense(x), "b": x * 0.0 if training else x}

    two = Two()
    with pytest.raises(ValueError, match="has not yet been built"):
        two.export(tmp_path)
    two(X)
    two.export(tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded.serve(X)["b"], X)
    infer = loaded.signatures["serve"]
    assert list(infer.structured_input_signature[1]) == ["input_1"]
    np.testing.assert_allclose(infer(input_1=tf.constant(X))["a"], two(X)["a"], rtol=1e-6)


def test_a_model_of_texts(tmp_path):
    texts = tf.keras.Input((1,), dtype="string")
    words = tf.keras.layers.TextVectorization(
        vocabulary=["the", "cat", "sat"], output_sequence_length=4
    )
    tf.keras.Model(texts, words(texts)).export(tmp_path)
    served = tf.saved_model.load(tmp_path).serve(tf.constant([["The cat, ran"], ["sat"]]))
    np.testing.assert_array_equal(served, [[2, 3, 1, 0], [4, 0, 0, 0]])


def test_an_archive_of_endpoints(model, tmp_path):
    archive = tf.keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("call", model.call, ROWS)
    archive.add_endpoint("twice", lambda x: model(x) * 2.0, ROWS)
    traced = tf.function(lambda x: model(x) + 1.0)
    traced(X)
    archive.add_endpoint("more", traced)
    archive.add_variable_collection("first", model.weights[:1])
    archive.write_out(tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded.call(X), model(X))
    np.testing.assert_array_equal(loaded.twice(X), model(X) * 2.0)
    np.testing.assert_array_equal(loaded.more(X), model(X) + 1.0)
    np.testing.assert_array_equal(loaded.first[0], model.weights[0])
    names = {n: list(s.structured_input_signature[1]) for n, s in loaded.signatures.items()}
    assert names == {
        "call": ["inputs"], "twice": ["x"], "more": ["x"], "serving_default": ["inputs"],
    }  # fmt: skip


def test_what_an_archive_refuses(model, tmp_path):
    archive = tf.keras.export.ExportArchive()
    with pytest.raises(ValueError, match="No endpoints have been set"):
        archive.write_out(tmp_path)
    with pytest.raises(ValueError, match="has not yet been built"):
        archive.track(tf.keras.Sequential([tf.keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match="you must provide an `input_signature`"):
        archive.add_endpoint("x", model.call)
    with pytest.raises(ValueError, match="has never been called"):
        archive.add_endpoint("x", tf.function(lambda x: model(x)))
    archive.add_endpoint("x", model.call, ROWS)
    with pytest.raises(ValueError, match="Endpoint name 'x' is already taken"):
        archive.add_endpoint("x", model.call, ROWS)

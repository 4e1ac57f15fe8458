"""Layers that learn from data: their errors, where they run, and what their configuration keeps."""

import numpy as np
import pytest

import shardtape as tf

layers = tf.keras.layers


def test_a_learned_vocabulary_is_part_of_the_configuration():
    layer = layers.TextVectorization(output_mode="tf_idf")
    layer.adapt(["a b", "b c", "b"])
    copy = layers.deserialize(layers.serialize(layer))
    assert copy.get_vocabulary() == layer.get_vocabulary()
    np.testing.assert_allclose(copy(["b b c"]), layer(["b b c"]), rtol=1e-6)
    copy.adapt(["x"])
    assert copy.get_vocabulary() == ["[UNK]", "x"]


def test_a_layer_that_is_adapted_again_changes_what_traced_functions_give():
    layer = layers.StringLookup()
    layer.adapt([["a"], ["b"]])
    run = tf.function(lambda t: layer(t))
    words = tf.constant(["a", "c"])
    assert list(np.asarray(run(words))) == [2, 0]
    layer.adapt([["c"], ["c"]])
    assert list(np.asarray(run(words))) == [0, 1]


def test_adapt_takes_batches_of_an_iterable_and_stops_after_its_steps():
    batches = [np.full((4, 2), float(i), np.float32) for i in range(5)]
    layer = layers.Normalization()
    layer.adapt(iter(batches), steps=3)
    np.testing.assert_allclose(np.asarray(layer.mean).reshape(-1), [1.0, 1.0], rtol=1e-6)
    assert int(layer.count) == 12
    layer.adapt(iter(batches))
    np.testing.assert_allclose(np.asarray(layer.mean).reshape(-1), [2.0, 2.0], rtol=1e-6)


def test_normalization_inside_a_model_keeps_its_statistics_in_weights():
    x = np.random.default_rng(0).normal(3, 2, (40, 2)).astype(np.float32)
    layer = layers.Normalization()
    layer.adapt(x)
    model = tf.keras.Sequential([tf.keras.Input((2,)), layer, layers.Dense(1)])
    other = tf.keras.Sequential([tf.keras.Input((2,)), layers.Normalization(), layers.Dense(1)])
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict(x, verbose=0), other.predict(x, verbose=0), atol=1e-6)
    assert len(model.trainable_weights) == 2


def test_a_file_holds_a_vocabulary(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo\nthree\n")
    assert list(np.asarray(layers.StringLookup(vocabulary=str(path))(["two", "?"]))) == [2, 0]
    with pytest.raises(ValueError, match="does not exist"):
        layers.StringLookup(vocabulary=str(tmp_path / "none.txt"))


def test_wrong_vocabularies_and_inputs_are_named():
    with pytest.raises(ValueError, match="repeated terms are"):
        layers.StringLookup(vocabulary=["a", "a"])
    with pytest.raises(ValueError, match="larger than the maximum"):
        layers.StringLookup(vocabulary=["a", "b"], max_tokens=2)
    with pytest.raises(ValueError, match="reserved mask token"):
        layers.StringLookup(vocabulary=["a", ""], mask_token="")
    with pytest.raises(ValueError, match="static vocabulary"):
        layers.StringLookup(vocabulary=["a"]).adapt(["b"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="OOV values"):
        layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_tokens=3"):
        layers.CategoryEncoding(3)(np.array([1, 3]))
    with pytest.raises(ValueError, match="maximum supported output rank"):
        layers.StringLookup(vocabulary=["a"], output_mode="one_hot")([[["a", "b"]]])
    with pytest.raises(ValueError, match="static `mean`"):
        layers.Normalization(mean=0.0, variance=1.0).adapt(np.ones((3, 2), np.float32))
    with pytest.raises(ValueError, match="input rank must be 1"):
        layers.TextVectorization(vocabulary=["a"])([["a", "b"]])


def test_random_image_layers_act_in_training_only_and_on_each_image():
    x = np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 3)).astype(np.float32)
    for layer in (
        layers.RandomFlip("horizontal"), layers.RandomRotation(0.2), layers.RandomZoom(0.3),
        layers.RandomTranslation(0.2, 0.2), layers.RandomContrast(0.5),
        layers.RandomBrightness(0.3),
    ):  # fmt: skip
        np.testing.assert_array_equal(layer(x, training=False), x)
        changed = np.asarray(layer(x, training=True))
        assert changed.shape == x.shape and np.abs(changed - x).max() > 0
        assert np.asarray(layer(x[0], training=True)).shape == x.shape[1:]
        run = tf.function(lambda t, layer=layer: layer(t, training=True))
        assert np.abs(np.asarray(run(tf.constant(x))) - np.asarray(run(tf.constant(x)))).max() > 0
        copy = layers.deserialize(layers.serialize(layer))
        assert copy.get_config() == layer.get_config()
    flipped = np.asarray(layers.RandomFlip("horizontal", seed=3)(x, training=True))
    same = [np.array_equal(a, b) for a, b in zip(flipped, x)]
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, x)]
    assert all(a != b for a, b in zip(same, mirrored)) and 0 < sum(same) < 16
    cut = np.asarray(layers.RandomCrop(5, 4)(x, training=True))
    assert cut.shape == (16, 5, 4, 3)
    assert any(np.array_equal(cut, x[:, i : i + 5, j : j + 4]) for i in range(4) for j in range(5))

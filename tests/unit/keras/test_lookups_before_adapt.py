"""Lookup layers without a vocabulary refuse inputs, as Keras 2.15's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras import layers as L

K = tf.keras
_CASES = {
    "string": (L.StringLookup, ["a"], [1]), "integer": (L.IntegerLookup, [7], [1]),
    "text": (L.TextVectorization, ["a"], [[2]]),
}  # fmt: skip


@pytest.fixture(params=_CASES)
def case(request: Any) -> Any:
    return _CASES[request.param]


def test_a_call(case: Any) -> None:
    make, data, _ = case
    for layer in (make(), make(max_tokens=5, pad_to_max_tokens=True, output_mode="count")):
        with pytest.raises(tf.errors.FailedPreconditionError, match="Table not initialized"):
            layer(tf.constant([data]) if make is not L.TextVectorization else tf.constant(data))
    with pytest.raises(tf.errors.FailedPreconditionError):
        make()(data)


def test_traces_and_datasets_fail_when_they_run(case: Any) -> None:
    make, data, places = case
    layer = make()
    function = tf.function(lambda x: layer(x))
    dataset = tf.data.Dataset.from_tensors(tf.constant(data)).map(layer)
    with pytest.raises(tf.errors.FailedPreconditionError):
        function(tf.constant(data))
    with pytest.raises(tf.errors.FailedPreconditionError):
        list(dataset)
    layer.adapt(tf.constant(data))
    assert layer(tf.constant(data)).numpy().tolist() == places
    assert next(iter(tf.data.Dataset.from_tensors(data).map(layer))).numpy().tolist() == places


def test_a_symbolic_model_is_made_and_fails_when_it_runs(case: Any) -> None:
    make, data, _ = case
    dtype = tf.int64 if make is L.IntegerLookup else tf.string
    model = K.Sequential([K.Input((1,), dtype=dtype), make()])
    with pytest.raises(tf.errors.FailedPreconditionError):
        model.predict(tf.constant([data]), verbose=0)


@pytest.mark.parametrize("mode", ["multi_hot", "count", "tf_idf"])
def test_vectors_of_an_unknown_size_are_refused_at_once(case: Any, mode: str) -> None:
    make, data, _ = case
    text = "you must set the layer's vocabulary before calling it"
    with pytest.raises(RuntimeError, match=text):
        make(output_mode=mode)(tf.constant([data]))
    with pytest.raises(RuntimeError, match=text):
        make(output_mode=mode)(K.Input((1,), dtype=tf.constant(data).dtype))


def test_vectors_of_a_known_size() -> None:
    layer = L.StringLookup(output_mode="tf_idf", max_tokens=4, pad_to_max_tokens=True)
    assert layer(K.Input((1,), dtype=tf.string)).shape == (None, 4)
    with pytest.raises(tf.errors.FailedPreconditionError):
        layer(tf.constant([["a"]]))


@pytest.mark.parametrize("ending", [".keras", ".h5", ""])
@pytest.mark.parametrize("adapted", [True, False])
def test_files(case: Any, ending: str, adapted: bool, tmp_path: Any) -> None:
    if ending:
        pytest.importorskip("h5py")
    make, data, places = case
    layer = make()
    if adapted:
        layer.adapt(tf.constant(data))
    dtype = tf.int64 if make is L.IntegerLookup else tf.string
    K.Sequential([K.Input((1,), dtype=dtype), layer]).save(str(tmp_path / f"m{ending}"))
    loaded = K.models.load_model(str(tmp_path / f"m{ending}"))
    assert loaded.layers[0].get_vocabulary() == layer.get_vocabulary()
    if adapted:
        found = np.reshape(loaded(tf.constant([data])), -1)
        assert found.tolist() == np.reshape(places, -1).tolist()
        return
    with pytest.raises(tf.errors.FailedPreconditionError):
        loaded(tf.constant([data]))
    if not ending:
        with pytest.raises(tf.errors.FailedPreconditionError):
            tf.saved_model.load(str(tmp_path / "m"))(tf.constant([data], dtype))
    loaded.layers[0].adapt(tf.constant(data))
    assert loaded.layers[0](tf.constant(data)).numpy().tolist() == places


def test_an_archive_of_vectors_knows_their_size(tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    layer = L.StringLookup(output_mode="multi_hot")
    layer.adapt(["a", "b", "b"])
    model = K.Sequential([K.Input((2,), dtype=tf.string), layer, L.Dense(2)])
    model.save(str(tmp_path / "m.keras"))
    loaded = K.models.load_model(str(tmp_path / "m.keras"))
    x = tf.constant([["a", "c"]])
    assert loaded.layers[0](x).numpy().tolist() == [[1.0, 0.0, 1.0]]
    np.testing.assert_array_equal(loaded(x), model(x))


def test_nothing_to_learn_from() -> None:
    with pytest.raises(ValueError, match="Expected input data to be non-empty"):
        L.StringLookup().adapt(tf.data.Dataset.from_tensor_slices(["a"]).take(0).batch(1))
    with pytest.raises(ValueError, match="Expected input data to be non-empty"):
        L.Normalization().adapt(np.zeros((0, 3), np.float32))
    for make in (
        lambda: L.StringLookup().adapt(["[UNK]"]),
        lambda: L.StringLookup(vocabulary=["[UNK]"]),
        lambda: L.IntegerLookup(vocabulary=[-1]),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="cannot be empty tensors"):
            make()


def test_repeated_members_are_shown_as_text() -> None:
    with pytest.raises(ValueError, match=r"repeated terms are \['a'\]"):
        L.StringLookup(vocabulary=["a", "a"])
    with pytest.raises(ValueError, match=r"repeated terms are \['a', 'b'\]"):
        L.TextVectorization(vocabulary=["a", "a", "b", "b"])
    with pytest.raises(ValueError, match=r"repeated terms are \[1\]"):
        L.IntegerLookup(vocabulary=[1, 1, 2])


def test_reshape_names_sizes_that_do_not_fit() -> None:
    for target in ((5,), (5, -1)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="8 values"):
            L.Reshape(target)(tf.ones((2, 4)))
    with pytest.raises(ValueError, match="total size of new array must be unchanged"):
        L.Reshape((5,))(K.Input((4,)))
    assert L.Reshape((2, -1))(tf.ones((3, 4))).shape == (3, 2, 2)
    assert L.Reshape((2, -1))(tf.ones((0, 4))).shape == (0, 2, 2)

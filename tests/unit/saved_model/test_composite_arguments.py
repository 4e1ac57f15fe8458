"""Ragged and sparse tensors as arguments and results of saved functions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf


class Rows(tf.Module):
    """Functions of rows of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.v = tf.Variable(2)

    @tf.function(
        input_signature=[tf.RaggedTensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.int32)]
    )
    def sums(self, x: Any, k: Any) -> Any:
        return tf.reduce_sum(x, 1) * k * self.v

    @tf.function(
        input_signature=[
            {"a": tf.SparseTensorSpec([None, 3], tf.float32), "b": tf.TensorSpec([None])}
        ]
    )
    def total(self, given: Any) -> Any:
        return tf.sparse.reduce_sum(given["a"]) + tf.reduce_sum(given["b"])

    @tf.function
    def more(self, x: Any) -> Any:
        return {"more": x + 1, "count": tf.size(x)}


def test_functions_take_and_return_them(tmp_path: Path) -> None:
    module = Rows()
    module.more(tf.ragged.constant([[1], [2, 3]]))
    module.more(tf.ragged.constant([[[1.0]]]))
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert loaded.sums(tf.ragged.constant([[1, 2], [3]]), 5).numpy().tolist() == [30, 30]
    given = {"a": tf.sparse.from_dense([[1.0, 0.0, 2.0]]), "b": tf.constant([1.0])}
    assert float(loaded.total(given)) == 4.0
    found = loaded.more(tf.ragged.constant([[5], [2, 3]]))
    assert found["more"].to_list() == [[6], [3, 4]] and int(found["count"]) == 3
    assert loaded.more(tf.ragged.constant([[[4.0]]]))["more"].to_list() == [[[5.0]]]
    with pytest.raises(TypeError):
        loaded.sums(tf.ragged.constant([[1.0]]), 5)
    with pytest.raises(ValueError, match="matching concrete function"):
        loaded.more(tf.constant([1]))


def test_a_keras_model_of_ragged_rows(tmp_path: Path) -> None:
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Input([None], dtype=tf.int64, ragged=True), layers.Embedding(10, 4),
        layers.LSTM(3), layers.Dense(1),
    ])  # fmt: skip
    rows = tf.ragged.constant([[1, 2, 5], [3]], tf.int64)
    exact = model(rows).numpy()
    model.save(str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded(rows), exact, rtol=1e-6)
    served = loaded.signatures["serving_default"]
    made = served(args_0=rows.flat_values, args_0_1=rows.row_splits)
    np.testing.assert_allclose(next(iter(made.values())), exact, rtol=1e-6)

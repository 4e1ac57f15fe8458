"""Small ways of Keras 2.15 that TensorFlow's guides meet; the values are TensorFlow 2.15's."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf
from shardtape import keras
from shardtape.keras import layers


class Shown(keras.Model):
    """Keeps the shapes that its call is traced for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.dense = layers.Dense(2)

    def call(self, x: Any) -> Any:
        self.seen.append(tuple(x.shape))
        return self.dense(x)


@pytest.mark.parametrize(
    ("count", "batch", "size"), [(64, None, 32), (64, 16, 16), (50, None, None), (10, None, None)]
)
def test_steps_know_the_size_of_batches_that_are_all_alike(
    count: int, batch: int | None, size: int | None
) -> None:
    x, y = np.ones((count, 4), "float32"), np.ones((count, 2), "float32")
    model = Shown()
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=batch, verbose=0)
    model.evaluate(x, y, batch_size=batch, verbose=0)
    model.predict(x, batch_size=batch, verbose=0)
    assert set(model.seen) == {(size, 4)}
    model.fit(x[:7], y[:7], verbose=0)  # then another number of them
    assert model.seen[-1] == (None, 4)


def test_superfluous_keys_of_inputs_are_left_out() -> None:
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    data = {"z": np.full(4, 9.0), "b": np.full(4, 2.0), "a": np.full(4, 3.0)}
    for inputs in ([a, b], {"a": a, "b": b}):
        model = keras.Model(inputs, a - b)
        with pytest.warns(UserWarning, match=re.escape("keys ['z'] which did not match")):
            made = model.predict(data, verbose=0)
        assert made.ravel().tolist() == [1.0] * 4
    with pytest.raises(ValueError, match='Missing data for input "a"'):
        model.predict({"b": np.ones(4), "z": np.ones(4)}, verbose=0)


def test_an_empty_name_stays_and_opens_no_scope() -> None:
    class Block(keras.Model):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.one, self.two = layers.Dense(2, name="one"), layers.Dense(2, name="two")

        def call(self, x: Any) -> Any:
            return self.two(self.one(x))

    block, named = Block(""), Block("named")
    block(tf.ones([1, 3]))
    named(tf.ones([1, 3]))
    assert block.name == ""
    assert [v.name for v in block.variables][::2] == ["one/kernel:0", "two/kernel:0"]
    assert [v.name for v in named.variables][::2] == ["named/one/kernel:0", "named/two/kernel:0"]
    lines: list[str] = []
    block.summary(print_fn=lines.append)
    assert lines[0] == 'Model: ""'


def test_downloads_show_a_bar_of_bytes(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 40114)
    url = f"file://{tmp_path}/a.bin"
    keras.utils.get_file("b.bin", url, cache_dir=tmp_path / "cache")
    shown = capsys.readouterr().out
    assert shown.startswith(f"Downloading data from {url}\n\r 8192/40114 [=====>....")
    assert re.search(r"\r40114/40114 \[={30}\] - \d+s \S+/step *\n$", shown)


def test_the_bar_ends_full_where_the_data_ran_out(capsys: Any) -> None:
    x = tf.data.Dataset.from_tensor_slices((np.ones((4, 1)), np.ones((4, 1)))).batch(2)
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, epochs=1, steps_per_epoch=5, verbose=1)
    assert "\r5/5 [==============================] - " in capsys.readouterr().out


def test_merging_layers_name_the_shapes() -> None:
    with pytest.raises(ValueError, match=re.escape("shapes [(2, 3), (3, 3)]")):
        layers.Add()([tf.ones([2, 3]), tf.ones([3, 3])])
    with pytest.raises(ValueError, match=re.escape("Received shapes (3,) and (2,)")):
        layers.Add()([tf.ones([2, 3]), tf.ones([2, 2])])


def test_a_layer_may_return_any_of_its_arguments() -> None:
    class Loss(layers.Layer):
        """A layer at the end, which adds a loss and hands the predictions on."""

        def call(self, targets: Any, predictions: Any) -> Any:
            self.add_loss(tf.reduce_mean((targets - predictions) ** 2))
            return predictions

    x, y = keras.Input((2,)), keras.Input((1,))
    model = keras.Model([x, y], Loss()(y, layers.Dense(1, kernel_initializer="ones")(x)))
    model.compile("sgd")
    history = model.fit([np.ones((4, 2)), np.zeros((4, 1))], verbose=0).history
    assert history["loss"] == [4.0]


def test_one_target_belongs_to_all_outputs() -> None:
    x = keras.Input((2,))
    outputs = [layers.Dense(1, name=n, kernel_initializer="ones")(x) for n in ("p", "q")]
    model = keras.Model(x, outputs)
    data, target = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
    model.compile("sgd", "mse")
    assert model.evaluate(data, target, verbose=0) == [8.0, 4.0, 4.0]
    model.compile("sgd", ["mse", None])
    assert model.fit(data, target, verbose=0).history == {"loss": [4.0], "p_loss": [4.0]}
    with pytest.raises(ValueError, match="2 output"):
        model.evaluate(data, [target], verbose=0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(layers.Dense(2, "relu"), (1, 3)), (layers.Conv2D(2, 2, activation="relu"), (1, 3, 3, 1))],
)
def test_an_activation_may_be_taken_away(layer: Any, shape: tuple[int, ...]) -> None:
    x = -tf.random.uniform(shape, seed=1)
    layer(x)
    layer.set_weights([np.ones_like(w) if w.ndim > 1 else w for w in layer.get_weights()])
    assert tf.reduce_max(layer(x)) == 0
    layer.activation = None
    assert tf.reduce_max(layer(x)) < 0


def test_what_a_symbolic_call_makes_is_named_for_it_alone() -> None:
    class Block(layers.Layer):
        def build(self, shape: Any) -> None:
            self.dense, self.relu = layers.Dense(2), layers.ReLU()

        def call(self, x: Any) -> Any:
            return self.relu(self.dense(x))

    keras.backend.clear_session()
    x = keras.Input((3,))
    names = []
    for given in (x, tf.ones([1, 3]), x):
        block = Block()
        block(given)
        names.append((block.name, block.dense.name, block.relu.name))
    assert names == [
        ("block", "dense", "re_lu"), ("block_1", "dense", "re_lu"), ("block_2", "dense", "re_lu"),
    ]  # fmt: skip
    assert (layers.Dense(1).name, layers.ReLU().name) == ("dense_1", "re_lu_1")


class Numbered(keras.utils.Sequence):
    """Six batches, each of its number."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        return np.full((2, 3), i, "float32"), np.ones((2, 1), "float32")


def test_batches_of_a_sequence_are_shuffled_by_pythons_numbers() -> None:
    seen: list[int] = []

    class Noting(keras.Model):
        def train_step(self, data: Any) -> Any:
            seen.append(int(data[0][0, 0]))
            return {"loss": 0.0}

    x = keras.Input((3,))
    model = Noting(x, layers.Dense(1)(x))
    model.compile(run_eagerly=True)
    keras.utils.set_random_seed(1)
    model.fit(Numbered(), epochs=3, verbose=0)
    assert seen == [2, 3, 5, 0, 4, 1, 0, 1, 2, 4, 5, 3, 2, 5, 4, 3, 0, 1]
    # no number of TensorFlow's is taken for it
    assert abs(float(tf.random.uniform([])) - 0.16513085) < 1e-7
    seen.clear()
    model.fit(Numbered(), shuffle=False, verbose=0)
    assert seen == [0, 1, 2, 3, 4, 5]

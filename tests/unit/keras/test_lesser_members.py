"""Members of Keras that guides use now and then; values are those of Keras 2.15."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.arange(8.0, dtype=np.float32).reshape(4, 2)


def test_metrics_of_several_workers_are_merged() -> None:
    first, second = K.metrics.Mean(), K.metrics.Mean()
    first.update_state([1.0, 2.0])
    second.update_state([6.0])
    first.merge_state([second])
    assert float(first.result()) == 3.0
    a, b = K.metrics.AUC(), K.metrics.AUC()
    a.update_state([0, 1], [0.2, 0.4])
    b.update_state([0, 1, 1], [0.6, 0.3, 0.9])
    a.merge_state([b])
    assert float(a.result()) == pytest.approx(0.6666667)
    with pytest.raises(ValueError, match="is not compatible with"):
        first.merge_state([a])
    second.set_weights(first.get_weights())
    assert float(second.result()) == 3.0 and second.trainable_weights == []
    with pytest.raises(ValueError, match="has 2 weights, got 1"):
        second.set_weights([1.0])


def test_orthogonal_rows_and_columns() -> None:
    x = tf.constant(np.arange(6.0, dtype=np.float32).reshape(2, 3))
    make = K.regularizers.OrthogonalRegularizer
    assert float(make(0.1)(x)) == pytest.approx(0.08854378, rel=1e-6)
    assert float(make(0.1, mode="columns")(x)) == pytest.approx(0.09631499, rel=1e-6)
    assert isinstance(K.regularizers.get("orthogonal_regularizer"), make)
    again = K.regularizers.get(K.regularizers.serialize(make(0.25, "columns")))
    assert again.get_config() == {"factor": 0.25, "mode": "columns"}
    with pytest.raises(ValueError, match="rank 2"):
        make()(tf.ones((2, 2, 2)))
    with pytest.raises(ValueError, match="mode=x"):
        make(mode="x")


def test_rings_of_a_window_share_a_weight() -> None:
    constraint = K.constraints.RadialConstraint()
    odd = np.arange(18.0, dtype=np.float32).reshape(3, 3, 1, 2)
    ring = constraint(odd).numpy()[..., 0, 0]
    np.testing.assert_array_equal(ring, [[8, 8, 8], [8, 0, 8], [8, 8, 8]])
    even = np.arange(32.0, dtype=np.float32).reshape(4, 4, 1, 2)
    ring = constraint(even).numpy()[..., 0, 0]
    np.testing.assert_array_equal(ring, [[30] * 4, [30, 10, 10, 30], [30, 10, 10, 30], [30] * 4])
    layer = K.layers.Conv2D(2, 3, kernel_constraint="radial_constraint", input_shape=(5, 5, 1))
    model = K.Sequential([layer])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((1, 5, 5, 1), np.float32), np.ones((1, 3, 3, 2), np.float32))
    kernel = layer.kernel.numpy()[..., 0, 0]
    assert len(np.unique(kernel)) <= 2
    with pytest.raises(ValueError, match="rank 4"):
        constraint(tf.ones((3, 3)))
    with pytest.raises(ValueError, match="square"):
        constraint(tf.ones((3, 4, 1, 1)))


@pytest.mark.parametrize(
    ("name", "sizes", "sums", "narrow"),
    [
        ("RandomHeight", [(11, 12), (8, 12), (8, 12)], [389.664, 283.55, 283.55], (7, 12, 256.944)),
        ("RandomWidth", [(10, 14), (10, 10), (10, 10)], [413.066, 294.927, 294.927],
         (10, 9, 267.236)),
    ],
)  # fmt: skip
def test_images_of_a_random_size(name: str, sizes: Any, sums: Any, narrow: Any) -> None:
    x = tf.constant(np.random.RandomState(0).rand(2, 10, 12, 3).astype(np.float32))
    make = getattr(K.layers, name)
    layer = make(0.3, seed=1)
    for size, total in zip(sizes, sums):
        made = layer(x, training=True)
        assert made.shape.as_list() == [2, *size, 3]
        assert float(tf.reduce_sum(made)) == pytest.approx(total, abs=2e-3)
    np.testing.assert_array_equal(layer(x, training=False), x)
    assert layer(x[0], training=True).shape.rank == 3
    made = make((-0.5, -0.2), interpolation="nearest", seed=2)(x, training=True)
    assert made.shape.as_list() == [2, narrow[0], narrow[1], 3]
    assert float(tf.reduce_sum(made)) == pytest.approx(narrow[2], abs=2e-3)
    axis = 1 if name == "RandomHeight" else 2
    assert layer.compute_output_shape((None, 10, 12, 3))[axis] is None
    assert make(0.3)(K.Input((10, 12, 3))).shape[axis] is None
    assert make.from_config(layer.get_config()).factor == 0.3
    with pytest.raises(ValueError, match="larger than -1"):
        make((-2, 0.1))
    with pytest.raises(ValueError, match="lower bound"):
        make((0.3, 0.1))


def test_random_features() -> None:
    make = K.layers.experimental.RandomFourierFeatures
    layer = make(5, scale=2.0)
    layer(X)
    layer.set_weights([np.array([0.5]), np.ones((2, 5)), np.arange(5.0)])
    expected = [-0.8391, 0.0044, 0.8439, 0.9074, 0.1367]
    np.testing.assert_allclose(layer(X).numpy()[1], expected, atol=1e-4)
    assert layer.trainable_weights == []
    # the products of many features come near the kernel of the distance
    many = make(20000, scale=2.0)
    made = many(X).numpy() * np.sqrt(2 / 20000)
    distances = ((X[:, None] - X[None]) ** 2).sum(-1)
    np.testing.assert_allclose(made @ made.T, np.exp(-distances / 8.0), atol=0.05)
    laplacian = make(4, "laplacian", trainable=True)
    laplacian(X)
    assert [v.name for v in laplacian.trainable_weights][0].endswith("kernel_scale:0")
    for options in ({"output_dim": 0}, {"output_dim": 2, "scale": -1.0},
                    {"output_dim": 2, "kernel_initializer": "x"}):  # fmt: skip
        with pytest.raises(ValueError):
            make(**options)


def test_linear_and_wide_and_deep_models() -> None:
    y = X.sum(1) * 0.1
    linear = K.experimental.LinearModel()
    linear.compile("sgd", "mse")
    losses = linear.fit(X, y, epochs=3, verbose=0, shuffle=False).history["loss"]
    expected = [0.690000057220459, 0.05763600394129753, 0.005023787263780832]
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    both = K.experimental.LinearModel(units=2, use_bias=False)
    assert both({"a": X, "b": X[:, :1]}).shape.as_list() == [4, 2]
    assert [v.shape.as_list() for v in both.weights] == [[2, 2], [1, 2]]
    deep = K.Sequential([K.layers.Dense(1, kernel_initializer="ones")])
    model = K.experimental.WideDeepModel(K.experimental.LinearModel(), deep)
    model.compile(["sgd", "adam"], "mse", ["mse"])
    losses = model.fit([X, X], y, epochs=3, verbose=0, shuffle=False).history["loss"]
    expected = [55.88999938964844, 4.629213809967041, 0.39426669478416443]
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def _sounds(folder: Path) -> None:
    generator = np.random.RandomState(0)
    for name in "ab":
        (folder / name).mkdir()
        for i in range(3):
            samples = generator.uniform(-1, 1, (100 + 10 * i + 5 * (name == "b"), 2))
            data = tf.audio.encode_wav(tf.constant(samples.astype(np.float32)), 8000)
            (folder / name / f"{i}.wav").write_bytes(data.numpy())


def test_sounds_of_folders(tmp_path: Path) -> None:
    _sounds(tmp_path)
    make = K.utils.audio_dataset_from_directory
    data = make(tmp_path, batch_size=4, shuffle=False, output_sequence_length=110)
    assert data.class_names == ["a", "b"]
    assert data.element_spec[0].shape.as_list() == [None, 110, None]
    shapes = [x.shape.as_list() for x, _ in data]
    totals = [float(tf.reduce_sum(tf.abs(x))) for x, _ in data]
    assert shapes == [[4, 110, 2], [2, 110, 2]]
    np.testing.assert_allclose(totals, [430.368, 228.341], atol=2e-3)
    assert [y.numpy().tolist() for _, y in data] == [[0, 0, 0, 1], [1, 1]]
    padded = make(tmp_path, batch_size=4, shuffle=False)
    assert [x.shape.as_list() for x, _ in padded] == [[4, 120, 2], [2, 125, 2]]
    ragged = make(tmp_path, batch_size=4, shuffle=False, ragged=True)
    assert [x.row_lengths().numpy().tolist() for x, _ in ragged] == [[100, 110, 120, 105],
                                                                      [115, 125]]  # fmt: skip
    train, held = make(tmp_path, batch_size=4, validation_split=0.34, subset="both", seed=0,
                       label_mode="categorical", output_sequence_length=90)  # fmt: skip
    assert next(iter(train))[0].shape.as_list() == [4, 90, 2]
    assert next(iter(held))[1].shape.as_list() == [2, 2]
    with pytest.raises(ValueError, match="both `ragged`"):
        make(tmp_path, ragged=True, output_sequence_length=3)
    with pytest.raises(ValueError, match="higher than 0"):
        make(tmp_path, sampling_rate=-1)
    with pytest.raises(tf.errors.UnimplementedError, match="sampling_rate=None"):
        make(tmp_path, sampling_rate=8000)


def test_embeddings_for_another_vocabulary(tmp_path: Path) -> None:
    base = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    (tmp_path / "old.txt").write_text("a\nb\n")
    for old in (["a", "b"], str(tmp_path / "old.txt")):
        made = K.utils.warmstart_embedding_matrix(old, ["a", "c", "b"], base, "zeros")
        np.testing.assert_array_equal(made, [[0, 0], [0, 0], [1, 1]])


def test_sources_of_symbolic_tensors() -> None:
    a, b = K.Input((2,)), K.Input((2,))
    hidden = K.layers.Add()([K.layers.Dense(2)(a), b])
    assert {t.name for t in K.utils.get_source_inputs(hidden)} == {a.name, b.name}


def test_messages_go_to_the_logger_when_asked(caplog: Any, capsys: Any) -> None:
    model = K.Sequential([K.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    assert K.utils.is_interactive_logging_enabled()
    K.utils.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, logger="shardtape"):
            model.fit(X, X[:, :1], epochs=2)
        assert not K.utils.is_interactive_logging_enabled()
    finally:
        K.utils.enable_interactive_logging()
    assert capsys.readouterr().out == "" and "Epoch 2/2" in caplog.text
    model.fit(X, X[:, :1], epochs=2)
    assert "Epoch 2/2" in capsys.readouterr().out


def test_earlier_places_and_names_that_are_gone() -> None:
    assert K.optimizers.experimental.Adam is K.optimizers.Adam
    assert K.callbacks.experimental.BackupAndRestore is K.callbacks.BackupAndRestore
    with pytest.raises(RuntimeError, match="model_from_json"):
        K.models.model_from_yaml("")
    callback = K.callbacks.Callback()
    calls = K.callbacks.CallbackList([callback])
    calls.set_model("model")
    calls.set_params({"epochs": 3})
    assert callback.model == "model" and callback.params == {"epochs": 3}


def test_fit_takes_a_function_that_makes_the_dataset() -> None:
    seen: list[Any] = []

    def make(context: Any) -> Any:
        seen.append(context.num_input_pipelines)
        return tf.data.Dataset.from_tensor_slices((X, X[:, :1])).batch(2).repeat()

    model = K.Sequential([K.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    model.fit(K.utils.experimental.DatasetCreator(make), steps_per_epoch=2, verbose=0)
    assert seen == [1] and int(model.optimizer.iterations) == 2
    with pytest.raises(TypeError, match="callable"):
        K.utils.experimental.DatasetCreator(3)
    with pytest.raises(TypeError, match="must return a Dataset"):
        K.utils.experimental.DatasetCreator(lambda: 3)()

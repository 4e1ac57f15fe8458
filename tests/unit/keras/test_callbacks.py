"""Callbacks that write files: checkpoints, backups, TensorBoard."""

import json
import os

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import shardtape as tf
from shardtape.checkpoint import pending

keras = tf.keras


@pytest.fixture(autouse=True)
def nothing_waits():
    yield
    pending._waiting.clear()  # optimizers' values that no model has asked for


X = np.random.RandomState(0).normal(size=(40, 5)).astype(np.float32)
Y = X.sum(-1)


def model():
    keras.utils.set_random_seed(4)
    made = keras.Sequential([keras.layers.Dense(3, input_shape=(5,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return made


def test_model_checkpoint_names_and_freqs(tmp_path):
    m = model()
    c = keras.callbacks
    m.fit(X, Y, 10, epochs=2, verbose=0, callbacks=[
        c.ModelCheckpoint(tmp_path / "e/{epoch:02d}-{mae:.1f}.keras"),
        c.ModelCheckpoint(tmp_path / "b/{epoch}-{batch}", save_freq=3, save_weights_only=True),
    ])  # fmt: skip
    assert [n[:3] for n in sorted(os.listdir(tmp_path / "e"))] == ["01-", "02-"]
    data = ".data-00000-of-00001"
    assert sorted(os.listdir(tmp_path / "b")) == [
        f"1-3{data}", "1-3.index", f"2-2{data}", "2-2.index", "checkpoint",
    ]  # fmt: skip
    last = keras.models.load_model(tmp_path / "e" / sorted(os.listdir(tmp_path / "e"))[-1])
    np.testing.assert_array_equal(last(X), m(X))


def test_the_best_is_kept(tmp_path):
    m, best = model(), []
    path = tmp_path / "best"
    rates = [0.01, 0.01, 5.0]
    m.fit(X, Y, 10, epochs=3, verbose=0, callbacks=[
        keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch]),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: best.append(m.get_weights())),
        keras.callbacks.ModelCheckpoint(path, "loss", save_best_only=True, save_weights_only=True),
    ])  # fmt: skip
    other = model()
    other.load_weights(path)
    np.testing.assert_array_equal(other.get_weights()[0], best[1][0])


class Crash(Exception):
    pass


def crashing(epoch, batch):
    class Crashes(keras.callbacks.Callback):
        def on_epoch_begin(self, number, logs=None):
            self.epoch = number

        def on_train_batch_begin(self, number, logs=None):
            if (self.epoch, number) == (epoch, batch):
                raise Crash

    return Crashes()


@pytest.mark.parametrize("freq", ["epoch", 1])
def test_a_backup_lets_training_go_on(tmp_path, freq):
    wanted = model()
    wanted.fit(X, Y, 10, epochs=4, shuffle=False, verbose=0)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path, save_freq=freq)

    first = model()
    with pytest.raises(Crash):
        first.fit(X, Y, 10, epochs=4, shuffle=False, verbose=0,
                  callbacks=[backup(), crashing(2, 0 if freq == "epoch" else 2)])  # fmt: skip
    second = model()
    history = second.fit(X, Y, 10, epochs=4, shuffle=False, verbose=0, callbacks=[backup()])
    assert history.epoch == [2, 3]
    for got, w in zip(second.get_weights(), wanted.get_weights()):
        np.testing.assert_array_equal(got, w)
    assert not os.path.exists(tmp_path / "training")


def test_tensorboard(tmp_path):
    m = model()
    m.fit(X, Y, 10, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[
        keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq="batch"),
    ])  # fmt: skip
    train = EventAccumulator(str(tmp_path / "train")).Reload()
    tags = train.Tags()
    assert {"epoch_loss", "epoch_mae", "batch_loss"} <= set(tags["tensors"])
    assert any(tag.endswith("kernel_0/histogram") for tag in tags["tensors"])
    assert [e.step for e in train.Tensors("batch_loss")] == list(range(8))
    assert "MatMul" in {node.op for node in train.Graph().node}
    held = EventAccumulator(str(tmp_path / "validation")).Reload()
    assert {"epoch_loss", "evaluation_loss_vs_iterations"} <= set(held.Tags()["tensors"])
    steps = [e.step for e in held.Tensors("evaluation_loss_vs_iterations")]
    assert steps == [4, 8]


def test_tensorboard_has_the_layers_as_a_graph(tmp_path):
    m = model()
    m.fit(X, Y, 10, verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path)])
    train = EventAccumulator(str(tmp_path / "train")).Reload()
    (event,) = train.Tensors("keras")  # tag, step and plugin are those of Keras 2.15
    data = train.summary_metadata["keras"].plugin_data
    assert (event.step, data.plugin_name, data.content) == (0, "graph_keras_model", b"1")
    described = json.loads(event.tensor_proto.string_val[0])
    assert described["class_name"] == "Sequential"
    assert [entry["config"]["name"] for entry in described["config"]["layers"]][1:] == [
        layer.name for layer in m.layers
    ]


def test_terminate_on_nan(capsys):
    m = model()
    history = m.fit(X, np.where(np.arange(40) == 15, np.nan, Y), 10, epochs=3, shuffle=False,
                    verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])  # fmt: skip
    assert "Batch 1: Invalid loss, terminating training" in capsys.readouterr().out
    assert len(history.epoch) == 1


def test_a_list_of_callbacks_in_a_loop_of_ones_own():
    told = []
    callbacks = keras.callbacks.CallbackList(
        [keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: told.append((e, logs)))],
        add_history=True, model=model(), epochs=1,
    )  # fmt: skip
    callbacks.on_train_begin()
    callbacks.on_epoch_end(0, {"loss": 1.0})
    assert told == [(0, {"loss": 1.0})]
    assert callbacks.model.history.history == {"loss": [1.0]}

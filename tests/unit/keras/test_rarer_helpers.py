"""Queues of batches, rarer callbacks, metrics in plain Python, sharpness-aware steps, sidecars.

The numbers are those of Keras 2.15.
"""

import http.server
import json
import socketserver
import threading
import time
import urllib.parse

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.sin(np.arange(24.0).reshape(8, 3)).astype("float32")
Y = np.cos(np.arange(8.0)).reshape(8, 1).astype("float32")


class Growing(K.utils.Sequence):
    added = 0

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return i + self.added

    def on_epoch_end(self):
        self.added += 10


def test_batches_of_a_sequence_in_order():
    queue = K.utils.OrderedEnqueuer(Growing())
    queue.start(workers=2, max_queue_size=4)
    batches = queue.get()
    assert [next(batches) for _ in range(8)] == [0, 1, 2, 10, 11, 12, 20, 21]
    assert queue.is_running()
    queue.stop()
    assert not queue.is_running() and list(batches) == []


def test_an_epoch_ends_when_its_batches_are_made():
    class Slow(Growing):
        def __getitem__(self, i):
            added = self.added
            if i == 2:
                time.sleep(0.05)
            return added, self.added  # before and after

    queue = K.utils.OrderedEnqueuer(Slow())
    queue.start(workers=3)
    batches = queue.get()
    assert [next(batches) for _ in range(6)] == [(0, 0)] * 3 + [(10, 10)] * 3
    queue.stop()


def test_a_batch_that_is_not_made_keeps_nobody_who_stops():
    asked, go_on = threading.Event(), threading.Event()

    class Stuck(Growing):
        def __getitem__(self, i):
            asked.set()
            assert go_on.wait(10)

    queue = K.utils.OrderedEnqueuer(Stuck())
    queue.start()
    found = []
    reader = threading.Thread(target=lambda: found.append(list(queue.get())), daemon=True)
    reader.start()
    assert asked.wait(5)
    queue.stop(timeout=0)
    reader.join(5)
    go_on.set()
    assert found == [[]]


def test_batches_of_a_generator():
    queue = K.utils.GeneratorEnqueuer(iter(range(5)))
    queue.start()
    assert list(queue.get()) == [0, 1, 2, 3, 4]

    def broken():
        yield 1
        raise KeyError("x")

    queue = K.utils.GeneratorEnqueuer(broken())
    queue.start()
    batches = queue.get()
    assert next(batches) == 1
    with pytest.raises(KeyError):
        next(batches)
    queue.stop()


def test_a_thread_with_intervals():
    called = threading.Event()

    class Timed(K.utils.TimedThread):
        def on_interval(self):
            called.set()

    with Timed(0.001, daemon=True) as timed:
        assert called.wait(5) and timed.is_alive()


def test_means_of_an_epoch():
    logger = K.callbacks.BaseLogger(["acc"])
    logger.set_params({"metrics": ["loss", "acc", "none"]})
    logger.on_epoch_begin(0)
    logger.on_batch_end(0, {"size": 4, "loss": 1.0, "acc": 0.5})
    logger.on_batch_end(1, {"size": 2, "loss": 4.0, "acc": 0.7})
    logs = {}
    logger.on_epoch_end(0, logs)
    assert logs == {"loss": 2.0, "acc": 0.7}


@pytest.mark.parametrize("as_json", [True, False])
def test_logs_are_sent(as_json):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        monitor = K.callbacks.RemoteMonitor(
            f"http://127.0.0.1:{server.server_port}", "/logs/", send_as_json=as_json
        )
        monitor.on_epoch_end(3, {"loss": np.float32(0.5)})
        thread.join(5)
    ((path, body),) = seen
    text = body if as_json else urllib.parse.parse_qs(body)["data"][0]
    assert path == "/logs/" and json.loads(text) == {"epoch": 3, "loss": 0.5}


def test_a_server_that_is_not_there_is_told(caplog):
    K.callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, {})
    assert "Could not reach RemoteMonitor" in caplog.text


def test_a_server_that_talks_nonsense_is_told(caplog):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"nonsense\r\n\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        K.callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_address[1]}").on_epoch_end(0)
        thread.join(5)
    assert "nonsense" in caplog.text


def test_lists_of_callbacks_take_keywords():
    model = K.Sequential([K.layers.Dense(1)])
    history = K.callbacks.History()
    callbacks = K.callbacks.CallbackList([history], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_end(0, logs={"a": 1})
    assert history.history == {"a": [1]}
    stopping = K.callbacks.EarlyStopping("acc")
    assert stopping.monitor_op(2, 1) and stopping.get_monitor_value({"acc": 2.0}) == 2.0


class Smallest(K.metrics.experimental.PyMetric):
    """The k-th smallest prediction."""

    def __init__(self, k=1, name="smallest", **kwargs):
        super().__init__(name=name, **kwargs)
        self.k, self.seen = k, []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.append(np.ravel(y_pred.numpy()))

    def result(self):
        return np.sort(np.concatenate(self.seen))[self.k]

    def reset_state(self):
        self.seen = []


def test_a_metric_in_plain_python():
    model = K.Sequential([K.layers.Dense(1, kernel_initializer="ones", input_shape=(3,))])
    model.compile("sgd", "mse", metrics=[Smallest(2)])
    for _ in range(2):  # the state is forgotten between evaluations
        found = model.evaluate(X, Y, batch_size=3, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(1.54578, abs=1e-5)
        assert found["smallest"] == pytest.approx(-0.59901, abs=1e-5)
    alone = Smallest(0)
    alone.update_state(tf.constant(1.0), tf.constant([3.0, 2.0]))
    assert float(alone.result()) == 2.0


def test_a_metric_in_plain_python_begins_as_after_a_reset():
    class Count(K.metrics.experimental.PyMetric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.count += len(y_true.numpy())

        def result(self):
            return self.count

        def reset_state(self):
            self.count = 1

    count = Count(name="count")
    count.update_state([1.0, 2.0], [1.0, 3.0])
    assert float(count.result()) == 3.0
    with pytest.raises(NotImplementedError, match="`reset_state`"):
        K.metrics.experimental.PyMetric()


@pytest.mark.parametrize(
    ("splits", "losses", "weight"),
    [(None, [0.58774, 0.56524], 0.220653), (2, [0.64379, 0.61013], 0.232347)],
)
def test_sharpness_aware_steps(splits, losses, weight):
    constant = K.initializers.Constant
    model = K.Sequential([
        K.layers.Dense(4, "tanh", kernel_initializer=constant(0.2), input_shape=(3,)),
        K.layers.Dense(1, kernel_initializer=constant(0.3)),
    ])  # fmt: skip
    aware = K.models.experimental.SharpnessAwareMinimization(model, 0.1, splits)
    aware.compile(K.optimizers.SGD(0.1), "mse", metrics=["mae"])
    history = aware.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, atol=2e-5)
    np.testing.assert_allclose(model.get_weights()[0][0], weight, atol=2e-6)
    assert aware.predict(X[:2], verbose=0).shape == (2, 1)


def test_a_sidecar_evaluates_what_is_written(tmp_path):
    def made():
        model = K.Sequential([K.layers.Dense(1, input_shape=(3,))])
        model.compile("sgd", "mse")
        return model

    trained, other = made(), made()
    trained.fit(X, Y, epochs=1, verbose=0)
    tf.train.Checkpoint(model=trained, optimizer=trained.optimizer).save(tmp_path / "ckpt")
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    sidecar = K.utils.SidecarEvaluator(other, data, str(tmp_path), max_evaluations=1)
    (metrics,) = sidecar.start()
    assert metrics["loss"] == pytest.approx(trained.evaluate(data, verbose=0), rel=1e-6)
    np.testing.assert_array_equal(other.get_weights()[0], trained.get_weights()[0])
    with pytest.raises(RuntimeError, match="compile"):
        K.utils.SidecarEvaluator(K.Sequential([K.layers.Dense(1)]), data, str(tmp_path)).start()

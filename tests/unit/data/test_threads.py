"""Threads of pipelines: they end with the iterator, and hand errors to whoever asks."""

import contextlib
import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import shardtape as tf
from shardtape.data import parallel

D = tf.data.Dataset
_LIMIT_S = 5.0


def running():
    """The pipelines' own threads; other tests may have left a writer of events to the collector."""
    ours = ("shardtape-map", "shardtape-prefetch")
    return [t for t in threading.enumerate() if t.name.startswith(ours)]


def all_ended():
    deadline = time.monotonic() + _LIMIT_S
    while running() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return not running()


def slow(seconds):
    def function(x):
        time.sleep(seconds)
        return x

    return lambda x: tf.py_function(function, [x], tf.int64)


PIPELINES = {
    "prefetch": lambda: D.range(1000).map(slow(0.0)).prefetch(3),
    "prefetch of all": lambda: D.range(1000).map(slow(0.0)).prefetch(tf.data.AUTOTUNE),
    "map": lambda: D.range(1000).map(slow(0.001), num_parallel_calls=3),
    "map in any order": lambda: D.range(1000).map(slow(0.001), 3, deterministic=False),
    "interleave": lambda: D.range(8).interleave(
        lambda i: D.range(i * 1000, i * 1000 + 900).map(slow(0.0)), 4, num_parallel_calls=4
    ),
    "all of them": lambda: D.range(1000).map(slow(0.001), 2).prefetch(2).map(slow(0.0), 2).batch(2)
    .prefetch(1),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPELINES)
def test_threads_end_when_nobody_holds_the_iterator(name):
    assert all_ended()
    iterator = iter(PIPELINES[name]())
    for _ in range(3):
        next(iterator)
    assert running()
    del iterator
    assert all_ended()


@pytest.mark.parametrize("name", PIPELINES)
def test_threads_end_with_the_elements_and_by_close(name):
    for _ in PIPELINES[name]().take(5):
        pass
    assert all_ended()
    iterator = iter(PIPELINES[name]())
    next(iterator)
    iterator.close()
    assert all_ended()
    iterator.close()
    with pytest.raises((tf.errors.CancelledError, StopIteration)):
        for _ in range(1001):
            next(iterator)


def test_a_closed_iterator_ends_who_waits_for_it():
    gate = threading.Event()

    def wait(x):
        gate.wait(_LIMIT_S)
        return x

    waiting = D.range(3).map(lambda x: tf.py_function(wait, [x], tf.int64)).prefetch(1)
    iterator = iter(waiting)
    raised = []

    def consume():
        try:
            next(iterator)
        except tf.errors.CancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    time.sleep(0.05)
    closing = threading.Thread(target=iterator.close)
    closing.start()
    thread.join(_LIMIT_S)
    gate.set()
    closing.join(_LIMIT_S)
    assert raised and not thread.is_alive() and not closing.is_alive()


def test_threads_of_threads_end_at_once():
    gate = threading.Event()

    def wait(x):
        gate.wait(_LIMIT_S)
        return x

    dataset = D.range(9).map(lambda x: tf.py_function(wait, [x], tf.int64), 2).prefetch(2)
    iterator = iter(dataset.map(slow(0.0), 2).batch(1).prefetch(2))

    def consume():
        with contextlib.suppress(tf.errors.CancelledError):
            next(iterator)

    thread = threading.Thread(target=consume)
    thread.start()
    time.sleep(0.05)
    gate.set()
    begin = time.monotonic()
    iterator.close()
    thread.join(_LIMIT_S)
    assert time.monotonic() - begin < _LIMIT_S and all_ended()


@pytest.mark.parametrize("calls", [None, 1, 3])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_is_raised_once_and_the_next_element_follows(calls, prefetch):
    def odd_ones_fail(x):
        if int(x) % 2:
            raise ValueError(f"element {int(x)}")
        return x

    dataset = D.range(6).map(lambda x: tf.py_function(odd_ones_fail, [x], tf.int64), calls)
    iterator = iter(dataset.prefetch(prefetch))
    seen = []
    for _ in range(6):
        try:
            seen.append(int(next(iterator)))
        except tf.errors.InvalidArgumentError as error:
            seen.append(str(error).split(" (")[0])
    assert seen == [0, "ValueError: element 1", 2, "ValueError: element 3", 4,
                    "ValueError: element 5"]  # fmt: skip
    with pytest.raises(StopIteration):
        next(iterator)
    assert [int(x) for x in dataset.ignore_errors()] == [0, 2, 4]


def test_a_batch_with_an_error_fails_as_a_whole():
    def fail_at_3(x):
        if int(x) == 3:
            raise ValueError("three")
        return x

    iterator = iter(D.range(8).map(lambda x: tf.py_function(fail_at_3, [x], tf.int64)).batch(2))
    np.testing.assert_array_equal(next(iterator), [0, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="three"):
        next(iterator)
    np.testing.assert_array_equal(next(iterator), [4, 5])


def test_parallel_results_keep_the_order_unless_they_need_not():
    def later_ones_first(x):
        time.sleep(0.02 / (1 + int(x) % 4))
        return x

    def mapped(**options):
        return D.range(20).map(
            lambda x: tf.py_function(later_ones_first, [x], tf.int64), 4, **options
        )

    assert [int(x) for x in mapped()] == list(range(20))
    unordered = [int(x) for x in mapped(deterministic=False)]
    assert sorted(unordered) == list(range(20)) and unordered != list(range(20))
    options = tf.data.Options()
    options.deterministic = False
    assert [int(x) for x in mapped().with_options(options)] != list(range(20))


def test_parallel_calls_run_at_the_same_time():
    at_once, most = [0], [0]
    lock = threading.Lock()

    def count(x):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        return x

    list(D.range(12).map(lambda x: tf.py_function(count, [x], tf.int64), num_parallel_calls=3))
    assert most[0] == 3


def test_autotune_takes_threads_for_slow_functions_only(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    quick = iter(D.range(100).map(lambda x: x * 2, num_parallel_calls=tf.data.AUTOTUNE))
    assert [int(x) for x in quick] == list(range(0, 200, 2))
    assert not running()
    slow_ones = iter(D.range(100).map(slow(0.002), num_parallel_calls=tf.data.AUTOTUNE))
    for _ in range(parallel._TRIALS + 2):
        next(slow_ones)
    assert len(running()) == 2
    slow_ones.close()


def test_prefetch_computes_ahead_but_no_further():
    computed = []
    dataset = D.range(100).map(
        lambda x: tf.py_function(lambda v: computed.append(int(v)) or v, [x], tf.int64)
    )
    iterator = iter(dataset.prefetch(4))
    next(iterator)
    deadline = time.monotonic() + _LIMIT_S
    while len(computed) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert 5 <= len(computed) <= 6
    iterator.close()


def test_batches_of_rows_are_not_worth_a_thread():
    iterator = iter(D.from_tensor_slices(np.zeros((100, 4))).shuffle(10).batch(8).prefetch(2))
    next(iterator)
    assert not running()
    large = iter(D.from_tensor_slices(np.zeros((100, 200_000))).batch(8).prefetch(2))
    next(large)
    assert running()
    large.close()
    images = D.from_tensor_slices(np.zeros((64, 20_000), np.uint8))
    computed = iter(images.map(lambda x: tf.cast(x, tf.float32) / 255.0).batch(32).prefetch(2))
    next(computed)
    assert running()
    computed.close()


def test_the_process_ends_while_threads_work():
    code = """
import time, shardtape as tf
def slow(x):
    time.sleep(0.01)
    return x
data = tf.data.Dataset.range(10**6).map(lambda x: tf.py_function(slow, [x], tf.int64), 2)
it = iter(data.prefetch(4))
print(int(next(it)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stdout.strip() == "0", done.stderr

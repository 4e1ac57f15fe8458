"""`tf.queue`; orders and classes of errors are TensorFlow 2.15's."""

import threading

import numpy as np
import pytest

import shardtape as tf
from shardtape.queue import store

_OUT, _CANCELLED = tf.errors.OutOfRangeError, tf.errors.CancelledError


def test_first_in_first_out():
    q = tf.queue.FIFOQueue(10, [tf.int32, tf.string], shapes=[[2], []])
    assert q.enqueue(([1, 2], "a")) is None
    q.enqueue_many(([[3, 4], [5, 6]], ["b", "c"]))
    assert q.size().numpy() == 3 and q.dtypes == [tf.int32, tf.string]
    numbers, text = q.dequeue()
    assert numbers.numpy().tolist() == [1, 2] and text.numpy() == b"a"
    numbers, texts = q.dequeue_many(2)
    assert numbers.numpy().tolist() == [[3, 4], [5, 6]] and texts.numpy().tolist() == [b"b", b"c"]


def test_a_closed_queue():
    q = tf.queue.FIFOQueue(10, tf.int32, shapes=[[]])
    q.enqueue_many([[1, 2, 3]])
    q.close()
    assert q.is_closed().numpy()
    with pytest.raises(_CANCELLED, match="closed"):
        q.enqueue(1)
    with pytest.raises(_OUT, match=r"requested 5, current size 3"):
        q.dequeue_many(5)
    assert q.dequeue_up_to(5).numpy().tolist() == [1, 2, 3]
    with pytest.raises(_OUT, match="FIFOQueue"):
        q.dequeue()
    with pytest.raises(_CANCELLED, match="already closed"):
        q.close()


def test_names():
    q = tf.queue.FIFOQueue(4, [tf.int32, tf.float32], names=["a", "b"])
    q.enqueue({"a": 1, "b": 2.0})
    assert {k: v.numpy() for k, v in q.dequeue().items()} == {"a": 1, "b": 2.0}
    with pytest.raises(ValueError, match="dictionary"):
        q.enqueue((1, 2.0))
    with pytest.raises(ValueError, match="do not match names"):
        q.enqueue({"a": 1})


def test_padding():
    q = tf.queue.PaddingFIFOQueue(5, [tf.int32, tf.string], shapes=[[None], [None]])
    q.enqueue(([1, 2], ["x"]))
    q.enqueue(([3], ["y", "z"]))
    numbers, texts = q.dequeue_many(2)
    assert numbers.numpy().tolist() == [[1, 2], [3, 0]]
    assert texts.numpy().tolist() == [[b"x", b""], [b"y", b"z"]]
    with pytest.raises(ValueError, match="shapes"):
        tf.queue.PaddingFIFOQueue(5, [tf.int32], shapes=None)
    with pytest.raises(ValueError, match="fully defined"):
        tf.queue.FIFOQueue(5, [tf.int32], shapes=[[None]])


def test_priorities():
    q = tf.queue.PriorityQueue(5, tf.string, [[]])
    for key, text in [(3, "c"), (1, "a"), (2, "b")]:
        q.enqueue((np.int64(key), text))
    keys, texts = q.dequeue_many(3)
    assert keys.numpy().tolist() == [1, 2, 3] and texts.numpy().tolist() == [b"a", b"b", b"c"]


def test_the_shape_of_the_only_component_stands_alone():
    for shapes, wanted in (((), []), ([2], [2]), ([[2]], [2]), (tf.TensorShape([2]), [2])):
        assert tf.queue.FIFOQueue(5, tf.int32, shapes).shapes == [wanted]
        assert tf.queue.PriorityQueue(5, tf.int32, shapes).shapes == [[], wanted]


def test_random_order_is_tensorflows():
    q = tf.queue.RandomShuffleQueue(20, 0, [tf.int32], [[]], seed=3)
    q.enqueue_many([list(range(10))])
    assert q.dequeue().numpy() == 7
    assert q.dequeue_many(5).numpy().tolist() == [1, 4, 5, 6, 8]
    assert [q.dequeue().numpy() for _ in range(4)] == [0, 9, 2, 3]


def test_random_order_of_a_global_seed():
    tf.random.set_seed(7)
    try:
        q = tf.queue.RandomShuffleQueue(20, 2, [tf.int32], [[]])
        q.enqueue_many([list(range(10))])
        assert q.dequeue_many(8).numpy().tolist() == [4, 7, 8, 5, 2, 6, 0, 1]
        q.close()
        assert q.dequeue_up_to(8).numpy().tolist() == [9, 3]
    finally:
        tf.random.set_seed(None)


def test_between_threads():
    q = tf.queue.FIFOQueue(2, [tf.int32], shapes=[[]])
    producer = threading.Thread(target=lambda: [q.enqueue(i) for i in range(20)], daemon=True)
    producer.start()
    assert [q.dequeue().numpy() for _ in range(20)] == list(range(20))
    producer.join(10)
    assert not producer.is_alive()


def test_more_than_there_is_room_for(monkeypatch):
    # as in TensorFlow 2.15, also that what is there stays where too little comes
    monkeypatch.setattr(store, "WAIT_LIMIT_S", 5.0)
    q = tf.queue.FIFOQueue(2, [tf.int32], shapes=[[]])
    producer = threading.Thread(target=lambda: [q.enqueue(i) for i in range(8)], daemon=True)
    producer.start()
    assert q.dequeue_many(5).numpy().tolist() == list(range(5))
    assert q.dequeue().numpy() == 5
    producer.join(10)
    assert not producer.is_alive() and q.size().numpy() == 2
    closing = threading.Timer(0.02, q.close)
    closing.start()
    with pytest.raises(_OUT, match=r"requested 5, current size 2"):
        q.dequeue_many(5)
    closing.join(10)
    assert q.dequeue_many(2).numpy().tolist() == [6, 7]


def test_waiting_enqueues_can_be_cancelled(monkeypatch):
    q, seen = tf.queue.FIFOQueue(1, [tf.int32]), []
    q.enqueue(1)
    waits, wait = threading.Event(), q._store._wait
    monkeypatch.setattr(q._store, "_wait", lambda *args: (waits.set(), wait(*args)))

    def produce():
        try:
            q.enqueue(2)
        except _CANCELLED as error:
            seen.append(str(error))

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    assert waits.wait(10)  # set under the lock that `close` takes, so the wait has begun
    q.close(cancel_pending_enqueues=True)
    producer.join(10)
    assert len(seen) == 1 and "closed while enqueue waited" in seen[0]


def test_a_wait_has_an_end(monkeypatch):
    monkeypatch.setattr(store, "WAIT_LIMIT_S", 0.02)
    q = tf.queue.FIFOQueue(1, [tf.int32])
    with pytest.raises(tf.errors.DeadlineExceededError, match="FIFOQueue.*1 elements and holds 0"):
        q.dequeue()
    q.enqueue(1)
    with pytest.raises(tf.errors.DeadlineExceededError, match="room"):
        q.enqueue(1)


def test_in_a_function():
    q = tf.queue.FIFOQueue(3, [tf.int32], shapes=[[]])

    @tf.function
    def f(x):
        q.enqueue(x)
        q.enqueue(x + 1)
        got = q.dequeue_many(2)
        assert got.shape == [2]
        return got, q.size()

    for i in range(2):
        got, size = f(tf.constant(i))
        assert got.numpy().tolist() == [i, i + 1] and size.numpy() == 0


def test_refusals():
    q = tf.queue.FIFOQueue(3, [tf.int32])
    with pytest.raises(TypeError, match="component_0"):
        q.enqueue(1.5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="specified shapes"):
        q.dequeue_many(1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="takes 1 components"):
        q.enqueue((1, 2))
    with pytest.raises(ValueError, match="same length"):
        tf.queue.FIFOQueue(3, [tf.int32], names=["a", "b"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Different number"):
        tf.queue.FIFOQueue(3, [tf.int32], shapes=[[], []])
    pair = tf.queue.FIFOQueue(3, [tf.int32, tf.int32], shapes=[[2], []])
    with pytest.raises(ValueError, match="compatible"):
        pair.enqueue(([1, 2, 3], 1))
    with pytest.raises(ValueError, match="compatible"):
        pair.enqueue_many(([[1, 2]], [1, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="-1 < 0"):
        pair.dequeue_many(-1)
    assert [t.shape.as_list() for t in pair.dequeue_many(0)] == [[0, 2], [0]]

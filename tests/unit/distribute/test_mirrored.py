"""MirroredStrategy with two replicas. Numbers and structures are TensorFlow 2.15's."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import shardtape as tf


def number():
    """The number of the replica as a float."""
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group, tf.float32)


def values(x):
    return [v.numpy().tolist() for v in x.values]


def test_contexts(strategy):
    assert strategy.num_replicas_in_sync == 2
    assert strategy.extended.worker_devices == (
        "/job:localhost/replica:0/task:0/device:CPU:0",
        "/job:localhost/replica:0/task:0/device:CPU:1",
    )
    assert tf.distribute.MirroredStrategy().num_replicas_in_sync == 2
    assert not tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context()
    with strategy.scope():
        assert tf.distribute.get_strategy() is strategy and tf.distribute.has_strategy()
        assert tf.distribute.in_cross_replica_context()
        assert tf.distribute.get_replica_context() is None
    found = []

    def inside():
        context = tf.distribute.get_replica_context()
        found.append((
            int(context.replica_id_in_sync_group), context.num_replicas_in_sync, context.devices,
            tf.distribute.in_cross_replica_context(), tf.distribute.get_strategy() is strategy,
        ))  # fmt: skip

    assert strategy.run(inside) is None
    names = strategy.extended.worker_devices
    assert found == [(0, 2, (names[0],), False, True), (1, 2, (names[1],), False, True)]


def test_one_device_stays_one_replica():
    one = tf.distribute.MirroredStrategy()
    assert one.num_replicas_in_sync == 1
    with one.scope():
        assert type(tf.Variable(1.0)).__name__ == "ResourceVariable"
    assert float(one.run(lambda: tf.constant(2.0))) == 2.0


def test_devices_are_checked(strategy):
    with pytest.raises(ValueError, match="named twice"):
        tf.distribute.MirroredStrategy(["cpu:0", "cpu:0"])
    tf.config.set_soft_device_placement(False)
    try:
        with pytest.raises(ValueError, match="set_logical_device_configuration"):
            tf.distribute.MirroredStrategy(["cpu:0", "cpu:5"])
    finally:
        tf.config.set_soft_device_placement(True)
    other = tf.distribute.MirroredStrategy(["cpu:0", "cpu:5"])
    with strategy.scope(), pytest.raises(RuntimeError, match="nested"), other.scope():
        pass


def test_results_are_put_together(strategy):
    got = strategy.run(lambda: {"a": number(), "b": (number() + 1.0, 3, "x"), "c": None})
    assert values(got["a"]) == [0.0, 1.0] and values(got["b"][0]) == [1.0, 2.0]
    assert got["b"][1:] == (3, "x") and got["c"] is None
    assert str(got["a"]) == (
        "PerReplica:{\n  0: tf.Tensor(0.0, shape=(), dtype=float32),\n"
        "  1: tf.Tensor(1.0, shape=(), dtype=float32)\n}"
    )
    local = strategy.experimental_local_results({"a": got["a"], "b": 3})
    assert [(float(x["a"]), x["b"]) for x in local] == [(0.0, 3), (1.0, 3)]
    again = strategy.run(lambda x, y: x["a"] * y, args=(got,), kwargs={"y": 5.0})
    assert values(again) == [0.0, 5.0]


def test_reductions(strategy):
    x = strategy.run(lambda: tf.range(2.0) + number())
    assert strategy.reduce("SUM", x, axis=None).numpy().tolist() == [1.0, 3.0]
    assert strategy.reduce(tf.distribute.ReduceOp.MEAN, x, axis=None).numpy().tolist() == [0.5, 1.5]
    assert float(strategy.reduce("SUM", x, axis=0)) == 4.0
    assert float(strategy.reduce("mean", x, axis=0)) == 1.0
    assert float(strategy.reduce("MEAN", strategy.run(lambda: tf.ones((2, 3)) * number()),
                                 axis=(0, 1))) == 0.5  # fmt: skip
    assert strategy.gather(x, axis=0).numpy().tolist() == [0.0, 1.0, 1.0, 2.0]
    # parts of different length count by their rows
    parts = strategy.run(lambda: tf.range(number() + 1.0) + 1.0)
    assert float(strategy.reduce("MEAN", parts, axis=0)) == pytest.approx(4.0 / 3.0)
    assert float(strategy.reduce("MEAN", 3.0, axis=None)) == 3.0
    with pytest.raises(ValueError, match="not distributed"):
        strategy.reduce("SUM", 3.0, axis=None)
    with pytest.raises(ValueError, match="scalars have none"):
        strategy.gather(strategy.run(number), axis=0)
    with pytest.raises(RuntimeError, match="merge_call"):
        strategy.run(lambda: strategy.reduce("SUM", number(), axis=None))
    with pytest.raises(RuntimeError, match="merge_call"):
        strategy.run(lambda: strategy.run(number))


def test_sparse_values_are_reduced_as_rows(strategy):
    def inside():
        slices = tf.IndexedSlices(tf.fill([1, 2], number() + 1.0), tf.constant([1]), [3, 2])
        return tf.distribute.get_replica_context().all_reduce("MEAN", slices)

    got = strategy.run(inside)
    assert got.indices.numpy().tolist() == [1, 1]
    assert got.values.numpy().tolist() == [[0.5, 0.5], [1.0, 1.0]]


def test_replicas_talk(strategy):
    def inside():
        context = tf.distribute.get_replica_context()
        total = context.all_reduce("SUM", {"a": number(), "b": [tf.ones(2) * number()]})
        rows = context.all_gather(tf.fill([1, 2], number()), axis=0)
        merged = context.merge_call(
            lambda s, x, y: (s.reduce("SUM", x, axis=None), y, tf.distribute.get_replica_context()),
            args=(number(), 7),
        )
        return total, rows, merged

    for wrapped in (inside, tf.function(inside)):
        total, rows, merged = strategy.run(wrapped)
        assert values(total["a"]) == [1.0, 1.0] and values(total["b"][0]) == [[1.0, 1.0]] * 2
        assert values(rows) == [[[0.0, 0.0], [1.0, 1.0]]] * 2
        assert float(merged[0]) == 1.0 and int(merged[1]) == 7 and merged[2] is None


def test_gradients_go_through_reductions(strategy):
    def reduced():
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            x = number() + 1.0
            tape.watch(x)
            y = context.all_reduce("SUM", x * x)
            z = y * y * x
        return tape.gradient(z, x)

    def gathered():
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            x = tf.fill([1], number() + 2.0)
            tape.watch(x)
            z = tf.reduce_sum(context.all_gather(x, axis=0) ** 2) * (number() + 1.0)
        return tape.gradient(z, x)

    for run in (strategy.run, tf.function(strategy.run)):
        assert values(run(reduced)) == [85.0, 145.0]
        assert values(run(gathered)) == [[12.0], [18.0]]


def test_a_tape_outside_sees_no_replica(strategy):
    with strategy.scope():
        v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = strategy.reduce("SUM", strategy.run(lambda: v * 2.0), axis=None)
    assert tape.gradient(y, v) is None and tape.watched_variables() == ()

    def inside():
        with tf.GradientTape() as tape:
            y = v * 3.0
        return tape.gradient(y, v), tape.watched_variables()

    gradient, watched = strategy.run(inside)
    assert values(gradient) == [3.0, 3.0] and watched[0] is v


def test_functions_are_traced_for_all_replicas_at_once(strategy):
    traced = []

    @tf.function
    def step(x):
        traced.append(int(tf.get_static_value(
            tf.distribute.get_replica_context().replica_id_in_sync_group
        )))  # fmt: skip
        if tf.reduce_sum(x) > 2.0:
            return x * 10.0
        return x

    for _ in range(2):
        x = strategy.run(lambda: tf.fill([2], number() + 1.0))
        assert values(strategy.run(step, args=(x,))) == [[1.0, 1.0], [20.0, 20.0]]
    assert traced == [0, 1]

    @tf.function
    def outer(x):
        return strategy.reduce("SUM", strategy.run(step.python_function, args=(x,)), axis=0)

    assert float(outer(x)) == 42.0


def test_names_of_nodes(strategy):
    with strategy.scope():
        v = tf.Variable(1.0)

    def inside(x):
        with tf.name_scope("inner"):
            return x * v

    @tf.function
    def run(x):
        with tf.name_scope("outer"):
            return strategy.run(inside, args=(x,))

    nodes = run.get_concrete_function(tf.constant(1.0)).graph.get_operations()
    names = [n.name for n in nodes if n.type == "Mul"]
    assert names == ["outer/inner/mul", "outer/replica_1/inner/mul"]


def test_signatures_hold_in_replicas(strategy):
    traced = []

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.float32)])
    def step(x, factor):
        traced.append((x.dtype, factor.dtype))
        return x * factor

    x = strategy.run(lambda: tf.fill([int(number()) + 1], number() + 1.0))
    assert values(strategy.run(step, args=(x, 3))) == [[3.0], [6.0, 6.0]]
    assert traced == [(tf.float32, tf.float32)] * 2
    with pytest.raises(TypeError, match="Binding inputs"):
        strategy.run(step, args=(x, "no number"))
    tf.config.run_functions_eagerly(True)
    try:
        assert values(strategy.run(step, args=(x, tf.constant(2.0)))) == [[2.0], [4.0, 4.0]]
    finally:
        tf.config.run_functions_eagerly(False)


def test_merging_in_another_graph_is_refused(strategy):
    inner = tf.function(lambda: tf.distribute.get_replica_context().all_reduce("SUM", 1.0))
    with pytest.raises(RuntimeError, match="another graph"):
        strategy.run(inner.__call__)


def test_errors_of_replicas(strategy):
    def broken():
        if int(tf.distribute.get_replica_context().replica_id_in_sync_group) == 1:
            raise ValueError("no luck")
        return tf.distribute.get_replica_context().all_reduce("SUM", 1.0)

    with pytest.raises(ValueError, match="no luck"):
        strategy.run(broken)

    def uneven():
        if int(tf.distribute.get_replica_context().replica_id_in_sync_group) == 0:
            return tf.distribute.get_replica_context().all_reduce("SUM", 1.0)
        return 0.0

    with pytest.raises(RuntimeError, match="different numbers of merge_call"):
        strategy.run(uneven)
    left = [t for t in threading.enumerate() if t.name.startswith("replica-")]
    for thread in left:
        thread.join(5.0)
    assert not any(thread.is_alive() for thread in left)


def test_waiting_for_a_thread_that_has_ended(monkeypatch):
    from shardtape.distribute import replicas

    monkeypatch.setattr(replicas, "_LOOK_S", 0.01)
    lock, dead = threading.Lock(), threading.Thread(target=lambda: None, name="gone")
    dead.start()
    dead.join()
    assert lock.acquire()
    with pytest.raises(tf.errors.DeadlineExceededError, match="a turn.*'gone' has ended"):
        replicas._await(lock, dead, "somebody waits for a turn", 3600.0)


def test_a_replica_that_keeps_its_turn_is_given_up(strategy, monkeypatch):
    from shardtape.distribute import replicas

    monkeypatch.setattr(replicas, "_LOOK_S", 0.01)
    monkeypatch.setattr(replicas, "_LONGEST_TURN_S", 0.2)
    started, over = [], threading.Event()

    def inside():
        started.append(threading.current_thread())
        over.wait(10.0)
        return tf.distribute.get_replica_context().all_reduce("SUM", 1.0)

    # the one that waits for the first one's turn does not end the run in its place
    with pytest.raises(tf.errors.DeadlineExceededError, match="waits for replica 0.*kept it"):
        strategy.run(inside)
    over.set()
    [first] = started
    first.join(5.0)
    assert not first.is_alive()


def test_turns_of_others_may_each_be_the_longest(monkeypatch):
    from shardtape.distribute import replicas

    now = [0.0]
    monkeypatch.setattr(replicas, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(replicas, "_LOOK_S", 0.001)
    monkeypatch.setattr(replicas, "_LONGEST_TURN_S", 0.5)

    def inside():
        now[0] += 0.4
        time.sleep(0.02)  # those that wait look at the clock meanwhile
        total = tf.distribute.get_replica_context().all_reduce("SUM", number())
        now[0] += 0.4
        time.sleep(0.02)
        return total

    three = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1", "CPU:2"])
    assert values(three.run(inside)) == [3.0, 3.0, 3.0]


def test_random_numbers(strategy):
    tf.random.set_seed(5)
    got = strategy.run(lambda: tf.random.normal([2]))
    wanted = [[-0.18030666, -0.95028627], [0.22652864, 0.8106553]]
    np.testing.assert_allclose(values(got), wanted, rtol=1e-6)
    tf.random.set_seed(5)
    got = strategy.run(lambda: tf.random.normal([2], seed=3))
    np.testing.assert_allclose(values(got), [[-1.4616988, -0.5901872]] * 2, rtol=1e-6)
    tf.random.set_seed(5)
    got = tf.function(strategy.run)(lambda: tf.random.normal([2]))
    wanted = [[-1.7138785, -0.6787023], [-1.3768897, -0.01258316]]
    np.testing.assert_allclose(values(got), wanted, rtol=1e-6)


def test_generators(strategy):
    with strategy.scope():
        generator = tf.random.Generator.from_seed(1)
    draw = lambda: generator.normal([2])
    wanted = [[[-0.87930447, 1.4680789], [0.02066157, 1.9473345]],
              [[-0.5039703, -0.17300826], [0.1251838, -0.25414044]]]  # fmt: skip
    np.testing.assert_allclose(values(strategy.run(draw)), wanted[0], rtol=1e-5)
    np.testing.assert_allclose(values(tf.function(strategy.run)(draw)), wanted[1], rtol=1e-5)
    assert [v.numpy().tolist() for v in generator.state.values] == [[1025, 0, 0]] * 2
    np.testing.assert_allclose(draw(), [-0.79253083, 0.37646857], rtol=1e-5)
    outside = tf.random.Generator.from_seed(1)
    wanted = [[0.43842274, -0.53439844], [1.6307176, 0.00784778]]
    got = strategy.run(lambda: outside.normal([2]))
    np.testing.assert_allclose(values(got), wanted, rtol=1e-4)

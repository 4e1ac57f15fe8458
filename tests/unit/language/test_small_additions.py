"""Sections, coordinators, views and other small names; results as TensorFlow 2.15's."""

import threading
import time

import pytest

import shardtape as tf


def test_a_section_runs_one_function_at_a_time():
    section, inside, most = tf.CriticalSection(), [], []

    def work():
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return tf.constant(7)

    threads = [threading.Thread(target=section.execute, args=(work,)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(10)
    assert max(most) == 1 and len(most) == 4
    assert section.execute(lambda: section.execute(work)).numpy() == 7  # again by its owner
    with pytest.raises(ZeroDivisionError):
        section.execute(lambda: 1 / 0)
    assert section.execute(lambda: 3) == 3


def test_a_section_in_a_function():
    section, v = tf.CriticalSection(shared_name="counter"), tf.Variable(0)

    def slowly(x):
        time.sleep(0.001)  # another thread runs meanwhile, if it may
        return x

    def add():
        before = v.read_value()
        v.assign(tf.numpy_function(slowly, [before], tf.int32) + 1)
        return before

    @tf.function
    def step():
        return section.execute(add)

    threads = [threading.Thread(target=lambda: [step() for _ in range(20)]) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert v.numpy() == 60 and step().numpy() == 60


@pytest.mark.parametrize("place", ["straight", "branch", "loop"])
def test_a_run_that_fails_in_a_section_leaves_it(place):
    section, v = tf.CriticalSection(), tf.Variable(0.0)

    def work(x):
        def body():
            v.assign_add(1.0)
            return tf.debugging.check_numerics(x, "inside")

        return section.execute(body)

    @tf.function
    def step(x):
        if place == "branch":
            return tf.cond(x > -1e9, lambda: work(x), lambda: work(2.0 * x))
        if place == "loop":
            return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, work(x)), (0, x))[1]
        return work(x)

    for _ in range(4):  # interpreted and compiled runs
        with pytest.raises(tf.errors.InvalidArgumentError, match="inside"):
            step(tf.constant(float("inf")))
    got = []
    thread = threading.Thread(
        target=lambda: got.append(step(tf.constant(2.0)).numpy()), daemon=True
    )
    thread.start()
    thread.join(10)
    assert got == [2.0]
    with pytest.raises(tf.errors.InvalidArgumentError):  # of a section that is held around it
        section.execute(lambda: step(tf.constant(float("inf"))))
    assert section.execute(lambda: 3) == 3


def test_threads_that_end_together():
    coordinator = tf.train.Coordinator()
    count = []

    def loop(fails):
        with coordinator.stop_on_exception():
            while not coordinator.should_stop():
                count.append(1)
                if fails and len(count) > 5:
                    raise ValueError("enough")
                time.sleep(0.001)

    threads = [threading.Thread(target=loop, args=(i == 0,)) for i in range(3)]
    for t in threads:
        t.start()
    with pytest.raises(ValueError, match="enough"):
        coordinator.join(threads, stop_grace_period_secs=10)
    assert coordinator.joined and coordinator.wait_for_stop(0)
    coordinator.clear_stop()
    assert not coordinator.should_stop()
    coordinator.request_stop(tf.errors.OutOfRangeError(None, None, "the end"))
    coordinator.join([])  # an ordinary end


def test_a_thread_that_exits_ends_the_others():
    coordinator = tf.train.Coordinator()

    def leave():
        with coordinator.stop_on_exception():
            raise SystemExit(3)

    threads = [
        threading.Thread(target=leave),
        threading.Thread(target=coordinator.wait_for_stop, args=(10,)),
    ]
    for t in threads:
        t.start()
    with pytest.raises(SystemExit):  # as TensorFlow's
        coordinator.join(threads, stop_grace_period_secs=10)
    assert coordinator.should_stop()


def test_threads_that_do_not_end():
    coordinator, free = tf.train.Coordinator(), threading.Event()
    thread = threading.Thread(target=free.wait, args=(10,), daemon=True, name="stays")
    thread.start()
    coordinator.register_thread(thread)
    coordinator.request_stop()
    with pytest.raises(RuntimeError, match="still running: stays"):
        coordinator.join(stop_grace_period_secs=0.01)
    free.set()


def test_what_a_checkpoint_would_hold():
    root = tf.Module()
    root.a, root.inner = tf.Variable(1.0), tf.Module()
    root.inner.b = tf.Variable(2.0)
    found = tf.train.TrackableView(root).descendants()
    assert [id(x) for x in found] == [id(x) for x in (root, root.a, root.inner, root.inner.b)]
    assert list(tf.train.TrackableView.children(root)) == ["a", "inner"]


def test_files_of_graphs_and_names(tmp_path):
    graph = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([], tf.float32)).graph
    path = tf.io.write_graph(graph, str(tmp_path / "g"), "graph.pbtxt")
    assert 'op: "AddV2"' in (tmp_path / "g" / "graph.pbtxt").read_text()
    assert path == str(tmp_path / "g" / "graph.pbtxt")
    binary = tf.io.write_graph(graph, str(tmp_path / "g"), "graph.pb", as_text=False)
    with open(binary, "rb") as file:
        made = type(graph.as_graph_def())()
        made.ParseFromString(file.read())
    assert any(n.op == "AddV2" for n in made.node)
    names = tf.io.match_filenames_once(str(tmp_path / "g" / "*.pb"))
    (tmp_path / "g" / "later.pb").write_bytes(b"")
    assert [n.decode() for n in names.numpy()] == [binary]


def test_names_of_settings(capsys):
    assert tf.AggregationMethod.ADD_N == tf.AggregationMethod.DEFAULT == 0
    features = tf.autograph.experimental.Feature
    assert len(features.all()) == 7
    assert len(features.all_but(features.LISTS)) == 5 and features.ALL.value == "ALL"
    f = tf.function(lambda x: x, experimental_autograph_options=features.ALL)
    assert f(3).numpy() == 3
    labels = tf.keras.datasets.reuters.get_label_names()
    assert len(labels) == 46 and labels[3] == "earn"
    assert tf.keras.backend.experimental.is_tf_random_generator_enabled()
    with pytest.raises(tf.errors.UnimplementedError, match="set_random_seed"):
        tf.keras.backend.experimental.disable_tf_random_generator()
    with tf.experimental.async_scope(), tf.experimental.function_executor_type("DEFAULT"):
        assert tf.constant(1) + 1 == 2
    with pytest.raises(ValueError, match="executor_type"), \
            tf.experimental.function_executor_type("x"):  # fmt: skip
        pass
    assert tf.config.experimental.get_device_policy() == "silent"
    with pytest.raises(ValueError, match="device policy"):
        tf.config.experimental.set_device_policy("loud")
    with pytest.raises(ValueError, match="CPU"):
        tf.config.experimental.get_memory_usage("CPU:0")

    @tf.function
    def traced(x):
        tf.autograph.trace("seen")
        return x

    assert traced(1) == 1 and traced(1) == 1
    assert capsys.readouterr().out.count("seen") == 1

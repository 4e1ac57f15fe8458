"""`tf.summary`: what is written, read by tensorboard's own event accumulator."""

import threading

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import graph_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams import summary_v2 as hp
from tensorboard.util import tensor_util

from shardtape import context, errors, summary


def read(logdir):
    accumulator = EventAccumulator(str(logdir), size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def values(accumulator, tag):
    return [
        (event.step, tensor_util.make_ndarray(event.tensor_proto))
        for event in accumulator.Tensors(tag)
    ]


def test_scalars(tmp_path):
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default():
        for step in (0, 1, 127, 128, 300, 2**40):
            assert summary.scalar("loss", step / 2, step=step) is True
        summary.scalar("loss", np.float64(1e300), step=5)
        summary.scalar("loss", -(10.0**300), step=np.int64(6))
        summary.scalar("loss", np.array(0.1, np.float32), step=7)
        summary.scalar("loss", True, step=8)
        summary.scalar("loss", 3, step=-1)
    writer.close()
    found = values(read(tmp_path), "loss")
    assert [step for step, _ in found] == [0, 1, 127, 128, 300, 2**40, 5, 6, 7, 8, -1]
    assert [float(value) for _, value in found] == [
        0.0, 0.5, 63.5, 64.0, 150.0, 2.0**39, np.inf, -np.inf, np.float32(0.1), 1.0, 3.0,
    ]  # fmt: skip
    metadata = read(tmp_path).SummaryMetadata("loss")
    assert metadata.plugin_data.plugin_name == "scalars"


def test_a_tag_may_hold_any_letters(tmp_path):
    tags = ["", "ä/β", "x" * 300, "\u5a5a\u00a5Z\u00c3<"]
    with summary.create_file_writer(tmp_path).as_default():
        for index, tag in enumerate(tags):
            summary.scalar(tag, index, step=1)
    accumulator = read(tmp_path)
    for index, tag in enumerate(tags):
        assert float(values(accumulator, tag)[0][1]) == index


@pytest.mark.parametrize("data", [[1.0, 2.0], np.zeros((1,)), "text", None])
def test_a_scalar_is_one_number(tmp_path, data):
    with (
        summary.create_file_writer(tmp_path).as_default(),
        pytest.raises(errors.InvalidArgumentError, match="'loss' expects one number"),
    ):
        summary.scalar("loss", data, step=1)


def test_without_a_writer_nothing_happens():
    assert summary.scalar("loss", "not even looked at") is False
    assert summary.histogram("h", None) is False
    assert summary.should_record_summaries() is False
    summary.flush()


def test_default_step_and_its_nesting(tmp_path):
    assert summary.experimental.get_step() is None
    with summary.create_file_writer(tmp_path).as_default(step=4):
        summary.scalar("a", 0.0)
        summary.experimental.set_step(5)
        summary.scalar("a", 0.0)
        with summary.create_noop_writer().as_default(step=9):
            assert summary.scalar("a", 0.0) is True
        summary.scalar("a", 0.0)
    assert summary.experimental.get_step() is None
    assert [step for step, _ in values(read(tmp_path), "a")] == [4, 5, 5]


def test_a_missing_step_raises(tmp_path):
    with (
        summary.create_file_writer(tmp_path).as_default(),
        pytest.raises(ValueError, match="No step set"),
    ):
        summary.scalar("a", 0.0)


def test_a_step_with_a_value_is_read_at_each_summary(tmp_path):
    class Counter:
        value = 3

        def numpy(self):
            return np.int64(self.value)

    counter = Counter()
    with summary.create_file_writer(tmp_path).as_default(step=counter):
        summary.scalar("a", 0.0)
        counter.value = 8
        summary.scalar("a", 0.0)
    assert [step for step, _ in values(read(tmp_path), "a")] == [3, 8]


def test_record_if(tmp_path):
    asked = []

    def every_second():
        asked.append(1)
        return len(asked) % 2 == 0

    with summary.create_file_writer(tmp_path).as_default(step=1):
        with summary.record_if(False):
            assert summary.scalar("a", 0.0) is False
            assert summary.should_record_summaries() is False
            with summary.record_if(np.bool_(True)):
                assert summary.scalar("a", 0.0) is True
        with summary.record_if(every_second):
            assert [summary.scalar("a", 0.0) for _ in range(4)] == [False, True, False, True]
        assert summary.should_record_summaries() is True


def test_the_default_writer_belongs_to_its_thread(tmp_path):
    seen = []
    with summary.create_file_writer(tmp_path).as_default(step=1):
        thread = threading.Thread(target=lambda: seen.append(summary.should_record_summaries()))
        thread.start()
        thread.join()
    assert seen == [False]


def test_set_as_default():
    writer = summary.create_noop_writer()
    outer = summary.writer.state.writer
    try:
        writer.set_as_default(step=2)
        assert summary.should_record_summaries()
        assert summary.experimental.get_step() == 2
    finally:
        summary.writer.state.writer = outer
        summary.experimental.set_step(None)


def test_name_scopes_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(context.state, "name_stack", "outer/inner/")
    with summary.create_file_writer(tmp_path).as_default(step=1):
        summary.scalar("loss", 1.0)
        summary.write("full", 1.0)
    assert sorted(read(tmp_path).Tags()["tensors"]) == ["full", "outer/inner/loss"]


def test_other_kinds_reach_their_plugins(tmp_path):
    rng = np.random.default_rng(0)
    with summary.create_file_writer(tmp_path).as_default(step=2):
        summary.histogram("h", rng.normal(size=100), description="*weights*")
        summary.image("i", rng.random((5, 4, 6, 3)), max_outputs=2)
        summary.text("t", ["a", "b"])
        summary.text("s", "one")
        summary.write("w", lambda: np.arange(3), metadata=None)
    accumulator = read(tmp_path)
    plugins = {
        tag: accumulator.SummaryMetadata(tag).plugin_data.plugin_name for tag in ("h", "i", "t")
    }
    assert plugins == {"h": "histograms", "i": "images", "t": "text"}
    assert accumulator.SummaryMetadata("h").summary_description == "*weights*"
    ((_, table),) = values(accumulator, "h")
    assert table.shape == (30, 3)
    assert table[:, 2].sum() == 100
    ((_, pictures),) = values(accumulator, "i")
    assert len(pictures) == 4
    assert list(pictures[:2]) == [b"6", b"4"]
    ((_, strings),) = values(accumulator, "t")
    assert list(strings) == [b"a", b"b"]
    ((_, numbers),) = values(accumulator, "w")
    assert list(numbers) == [0, 1, 2]


def test_wrong_data_names_the_summary(tmp_path):
    with summary.create_file_writer(tmp_path).as_default(step=2):
        with pytest.raises(errors.InvalidArgumentError, match="'i' expects shape"):
            summary.image("i", np.zeros((4, 4, 3)))
        with pytest.raises(errors.InvalidArgumentError, match="max_outputs"):
            summary.image("i", np.zeros((1, 4, 4, 3)), max_outputs=-1)
        with pytest.raises(errors.InvalidArgumentError, match="'t' expects strings"):
            summary.text("t", [1, 2])
        with pytest.raises(errors.InvalidArgumentError, match="an array that holds"):
            summary.write("w", np.array([object()]))
        with pytest.raises(errors.InvalidArgumentError, match="datetime64"):
            summary.write("w", np.array(["2020-01-01"], "datetime64[D]"))
        with pytest.raises(errors.InvalidArgumentError, match="a whole number"):
            summary.scalar("a", 1.0, step="x")
        with pytest.raises(errors.InvalidArgumentError, match="GraphDef"):
            summary.graph(3)


def test_graph(tmp_path):
    graph = graph_pb2.GraphDef()
    graph.node.add(name="scope/a", op="Const")

    class Graph:
        def as_graph_def(self, add_shapes=False):
            return graph

    for index, given in enumerate((graph, graph.SerializeToString(), Graph())):
        with summary.create_file_writer(tmp_path / str(index)).as_default():
            assert summary.graph(given) is True
        assert read(tmp_path / str(index)).Graph() == graph


def test_hparams(tmp_path):
    with summary.create_file_writer(tmp_path).as_default():
        summary.hparams_config([hp.HParam("lr")], [hp.Metric("loss")])
        summary.hparams({"lr": 0.1, "units": np.int64(3), "name": "x"}, trial_id="trial")
    accumulator = read(tmp_path)
    data = hparams_metadata.parse_session_start_info_plugin_data(
        accumulator.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    assert data.group_name == "trial"
    assert data.hparams["lr"].number_value == 0.1
    assert data.hparams["units"].number_value == 3


def test_a_closed_writer_says_so(tmp_path):
    writer = summary.create_file_writer(tmp_path)
    writer.close()
    writer.close()
    with writer.as_default(), pytest.raises(errors.FailedPreconditionError, match="closed"):
        summary.scalar("a", 1.0, step=1)


def test_methods_ignore_the_context(tmp_path):
    writer = summary.create_file_writer(tmp_path, max_queue=3, flush_millis=100)
    with summary.record_if(False):
        writer.scalar("a", 2.0, 3, wall_time=12.5)
    writer.flush()
    (event,) = read(tmp_path).Tensors("a")
    assert (event.step, event.wall_time) == (3, 12.5)
    writer.close()


def test_tensors_variables_and_scopes_of_the_language(tmp_path):
    import shardtape as tf

    step = tf.Variable(4, dtype=tf.int64)
    with summary.create_file_writer(tmp_path).as_default(step=step):
        with tf.name_scope("outer"), tf.name_scope("inner"):
            summary.scalar("loss", tf.constant(0.5))
        step.assign_add(1)
        summary.scalar("loss", tf.Variable(2.0))
        summary.scalar("half", tf.cast(0.25, tf.bfloat16))
        summary.histogram("h", tf.ones((4, 4)), step=tf.constant(9))
        summary.text("t", tf.constant(["a", "b"]))
        with summary.record_if(tf.constant(False)):
            assert summary.scalar("loss", 1.0) is False
    accumulator = read(tmp_path)
    assert values(accumulator, "outer/inner/loss") == [(4, 0.5)]
    assert values(accumulator, "loss") == [(5, 2.0)]
    assert values(accumulator, "half") == [(5, 0.25)]
    assert [step for step, _ in values(accumulator, "h")] == [9]
    assert list(values(accumulator, "t")[0][1]) == [b"a", b"b"]


def test_templates_equal_the_proto():
    from tensorboard.compat.proto import event_pb2

    from shardtape.summary import encoding

    template = encoding.scalar_template("tag", "text")
    event = event_pb2.Event.FromString(encoding.scalar_event(template, 0.25, 7, wall_time=3.0))
    assert (event.wall_time, event.step) == (3.0, 7)
    (value,) = event.summary.value
    assert (value.tag, value.metadata.summary_description) == ("tag", "text")
    assert tensor_util.make_ndarray(value.tensor) == 0.25
    assert encoding.scalar_event(template, 0.25, 7, 3.0) == event.SerializeToString()

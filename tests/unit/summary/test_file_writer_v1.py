"""TF1's FileWriter and summaries, read by tensorboard."""

import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import config_pb2, event_pb2, graph_pb2, meta_graph_pb2, summary_pb2

from shardtape import errors
from shardtape.summary import FileWriter, v1


def read(logdir):
    accumulator = event_accumulator.EventAccumulator(str(logdir))
    accumulator.Reload()
    return accumulator


def graph_def():
    graph = graph_pb2.GraphDef()
    graph.node.add(name="a", op="Const")
    return graph


def test_scalars_as_proto_and_as_bytes(tmp_path):
    with FileWriter(tmp_path, graph_def()) as writer:
        proto = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="x", simple_value=1.5)])
        writer.add_summary(proto, 1)
        writer.add_summary(v1.scalar_summary("x", 2.5), np.int64(2))
        writer.add_summary(v1.scalar_summary(["x", "y"], [3.5, 4.5]))
        assert writer.get_logdir() == str(tmp_path)
    accumulator = read(tmp_path)
    assert accumulator.Graph() == graph_def()
    found = [(event.step, event.value) for event in accumulator.Scalars("x")]
    assert found == [(1, 1.5), (2, 2.5), (0, 3.5)]


def test_metadata_is_written_for_the_first_value_of_a_tag(tmp_path):
    with FileWriter(tmp_path) as writer:
        for step in range(2):
            writer.add_summary(v1.text_summary("t", "a"), step)
        path = writer._events.path
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    events = [event_pb2.Event.FromString(record) for record in RawEventFileLoader(path).Load()]
    assert [e.summary.value[0].HasField("metadata") for e in events[1:]] == [True, False]


def test_histogram_reaches_tensorboard(tmp_path):
    with FileWriter(tmp_path) as writer:
        writer.add_summary(v1.histogram_summary("h", np.arange(10.0)), 4)
    (event,) = read(tmp_path).Histograms("h")
    found = event.histogram_value
    assert (event.step, found.min, found.max, found.num, found.sum) == (4, 0.0, 9.0, 10.0, 45.0)
    assert sum(found.bucket) == 10


def test_not_finite_histograms_are_refused():
    with pytest.raises(errors.InvalidArgumentError, match="Nan in summary histogram for: h"):
        v1.histogram_summary("h", [1.0, np.nan])
    with pytest.raises(errors.InvalidArgumentError, match="Infinity in summary histogram for: h"):
        v1.histogram_summary("h", [1.0, np.inf])


def test_merge():
    a, b = v1.scalar_summary("a", 1.0), v1.scalar_summary("b", 2.0)
    merged = summary_pb2.Summary.FromString(v1.merge_summaries([a, np.array(b, object)]))
    assert [value.tag for value in merged.value] == ["a", "b"]
    with pytest.raises(errors.InvalidArgumentError, match="Duplicate tag a"):
        v1.merge_summaries([a, a])
    with pytest.raises(errors.InvalidArgumentError, match="Could not parse"):
        v1.merge_summaries([b"\xff\xff\xff"])


def test_shapes_that_do_not_fit():
    with pytest.raises(errors.InvalidArgumentError, match="not the same shape"):
        v1.scalar_summary("a", [1.0, 2.0])
    with pytest.raises(errors.InvalidArgumentError, match=r"4-D with last dim .* not \[2,2\]"):
        v1.image_summary("a", np.zeros((2, 2)))


def test_other_events(tmp_path):
    writer = FileWriter(tmp_path, graph_def=graph_def())
    with pytest.raises(ValueError, match="graph or graph_def"):
        writer.add_graph()
    writer.add_meta_graph(meta_graph_pb2.MetaGraphDef(), 1)
    writer.add_run_metadata(config_pb2.RunMetadata(), "step1", 1)
    with pytest.raises(ValueError, match="already used"):
        writer.add_run_metadata(config_pb2.RunMetadata(), "step1", 2)
    writer.add_session_log(event_pb2.SessionLog(status=event_pb2.SessionLog.START), 1)
    writer.add_event(event_pb2.Event(step=9, wall_time=1.0))
    writer.flush()
    assert read(tmp_path).Tags()["run_metadata"] == ["step1"]
    writer.close()


def test_close_and_reopen(tmp_path):
    writer = FileWriter(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(errors.FailedPreconditionError, match="closed"):
        writer.add_summary(v1.scalar_summary("a", 1.0), 1)
    writer.reopen()
    writer.reopen()
    writer.add_summary(v1.scalar_summary("a", 1.0), 1)
    writer.close()
    assert len(list(tmp_path.iterdir())) == 2

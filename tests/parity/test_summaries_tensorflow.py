"""Summaries against the bytes that TensorFlow 2.15 wrote for the same calls."""

import base64
import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto import summary_pb2

from shardtape import summary
from shardtape.summary import v1, writer

RECORDED = json.loads((pathlib.Path(__file__).parent / "summaries_tensorflow.json").read_text())


class Collector(writer.SummaryWriter):
    """Keeps the records instead of writing them."""

    def __init__(self):
        super().__init__(None)
        self.records = []

    def add_record(self, record):
        self.records.append(record)


def calls_of_v2():
    """The calls whose events are in the recorded file, in its order."""
    rng = np.random.default_rng(0)
    pictures = rng.random((2, 5, 4, 3)).astype(np.float32)
    summary.scalar("loss", 0.1)
    summary.scalar("loss", np.float64(0.3), step=200, description="d *x*")
    summary.histogram("h", rng.normal(size=1000).astype(np.float32), step=1)
    summary.histogram("h", np.arange(100), step=2, buckets=7)
    summary.histogram("h", np.zeros(0, np.float32), step=2)
    summary.histogram("h", np.ones(5), step=2)
    summary.image("i", pictures, step=4)
    summary.image("i", (pictures * 65535).astype(np.uint16), step=4)
    summary.image("i", ((pictures - 0.5) * 2**31).astype(np.int32), step=4)
    summary.text("t", "hello", step=5)
    summary.text("t", np.array([["a", "b"], ["c", "d"]]), step=6)
    summary.write("w", np.arange(6, dtype=np.int64).reshape(2, 3), step=7)


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_v2_events_equal_tensorflow():
    from tensorboard.compat.proto import event_pb2

    ours = Collector()
    with ours.as_default(step=3):
        calls_of_v2()
    events = [event_pb2.Event.FromString(record) for record in ours.records]
    assert len(events) == len(RECORDED["v2"]) - 1  # the last one has name scopes
    for event, recorded in zip(events, RECORDED["v2"], strict=False):
        assert event.step == recorded["step"]
        theirs = summary_pb2.Summary.FromString(base64.b64decode(recorded["summary"]))
        (value,), (expected,) = event.summary.value, theirs.value
        if value.tag == "i":
            found = list(value.tensor.string_val)
            wanted = list(expected.tensor.string_val)
            assert found[:2] == wanted[:2]
            for ours_png, theirs_png in zip(found[2:], wanted[2:], strict=True):
                np.testing.assert_array_equal(decoded(ours_png), decoded(theirs_png))
            value.tensor.ClearField("string_val")
            expected.tensor.ClearField("string_val")
        assert value == expected


@pytest.fixture(scope="module")
def data_of_v1():
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    grey = rng.random((1, 5, 4, 1)).astype(np.float32)
    grey[0, 0, 0, 0] = np.nan
    return {
        "s": v1.scalar_summary("s", np.float32(0.1)),
        "h": v1.histogram_summary("h", rng.normal(size=1000).astype(np.float32)),
        "h0": v1.histogram_summary("h_1", np.zeros(0, np.float32)),
        "i": v1.image_summary("i", pictures),
        "i2": v1.image_summary("i_1", grey, 1),
        "t": v1.text_summary("t", ["a", "b"]),
    }


@pytest.mark.parametrize("name", sorted(RECORDED["v1"]))
def test_v1_summaries_equal_tensorflow(name, data_of_v1):
    ours = summary_pb2.Summary.FromString(data_of_v1[name])
    theirs = summary_pb2.Summary.FromString(base64.b64decode(RECORDED["v1"][name]))
    for value, expected in zip(ours.value, theirs.value, strict=True):
        if value.HasField("image"):
            np.testing.assert_array_equal(
                decoded(value.image.encoded_image_string),
                decoded(expected.image.encoded_image_string),
            )
            value.image.ClearField("encoded_image_string")
            expected.image.ClearField("encoded_image_string")
        assert value == expected

"""Frames: what goes in comes out, in one message or in many; what is no frame is refused."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardtape.errors import InvalidArgumentError
from shardtape.ps.wire import frames
from shardtape.ps.wire.frames import PREFIX, Payload, Scatter

DTYPES = ["float32", "float64", "int8", "bool", "complex64", ml_dtypes.bfloat16]
shapes = st.lists(st.integers(0, 7), max_size=3).map(tuple)


def arrays_of(forms):
    rng = np.random.default_rng(0)
    return [(rng.normal(size=shape) * 9).astype(dtype) for shape, dtype in forms]


@settings(deadline=None)
@given(
    st.lists(st.tuples(shapes, st.sampled_from(DTYPES)), max_size=6),
    st.sampled_from([16, 64, 100, 1 << 20]),
)
def test_round_trip(forms, chunk_bytes):
    arrays = arrays_of(forms)
    payload = Payload()
    offsets = [payload.add(array) for array in arrays]
    assert all(offset % frames.ALIGNMENT == 0 for offset in offsets)
    first, *rest = frames.messages(b"header", payload, chunk_bytes)
    header, begins = frames.split(first, 100)
    assert header == b"header"
    got = [np.empty_like(array) for array in arrays]
    scatter = Scatter(zip(offsets, got), payload.bytes)
    if begins:
        assert not rest and begins % 16 == 0
        scatter.write(first[begins:])
    for message in rest:
        assert len(message) <= chunk_bytes
        scatter.write(message)
    assert scatter.complete
    for array, copy in zip(arrays, got):
        assert array.tobytes() == copy.tobytes()


def test_messages_are_full():
    payload = Payload()
    for size in (100, 3, 1000, 64):
        payload.add(np.arange(size, dtype=np.uint8))
    sizes = [len(message) for message in payload.chunks(256)]
    assert sizes[:-1] == [256] * (len(sizes) - 1) and sum(sizes) == payload.bytes


def test_non_contiguous_arrays_are_sent_in_order():
    array = np.arange(24).reshape(4, 6)[:, ::2]
    payload = Payload()
    payload.add(array)
    assert b"".join(payload.chunks(50)) == array.tobytes()


def test_payload_in_a_message_can_be_used_in_place():
    payload = Payload()
    payload.add(np.arange(5.0))
    (message,) = frames.messages(b"12345", payload, 1 << 20)
    _, begins = frames.split(message, 100)
    array = np.frombuffer(message, np.float64, 5, begins)
    assert array.flags.aligned and array.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"1234567",
        PREFIX.pack(10, 0) + b"short",
        PREFIX.pack(1 << 31, 0) + b"x" * 20,
        PREFIX.pack(4, 9) + b"x" * 40,  # the payload would begin inside the header
        PREFIX.pack(4, 13) + b"x" * 40,  # not aligned
        PREFIX.pack(4, 160) + b"x" * 40,  # behind the end
    ],
)
def test_what_is_no_frame_is_refused(message):
    with pytest.raises(InvalidArgumentError, match="frame"):
        frames.split(message, 1000)


def test_more_than_announced_is_refused():
    scatter = Scatter([(0, np.zeros(4, np.uint8))], 4)
    with pytest.raises(InvalidArgumentError, match="4 bytes was announced, 5 came"):
        scatter.write(b"12345")


def test_targets_may_have_gaps():
    target = np.zeros(2, np.uint8)
    scatter = Scatter([(3, target)], 8)
    scatter.write(b"abcd")
    scatter.write(b"efgh")
    assert bytes(target) == b"de"


def test_a_sink_swallows_payload_where_it_is_received():
    sink = frames.Sink()
    assert sink.take(b"frame") == b"frame"
    target = np.zeros(6, np.uint8)
    scatter = Scatter([(0, target)], 6)
    incoming = iter([b"abc", b"def", b"next frame"])
    sink.fill(scatter, scatter.write, lambda: sink.take(next(incoming)))
    assert bytes(target) == b"abcdef"
    assert sink.take(next(incoming)) == b"next frame"
    # a carrier that does not show messages to the sink
    scatter = Scatter([(0, target)], 4)
    plain = iter([b"12", b"34"])
    sink.fill(scatter, scatter.write, lambda: next(plain))
    assert bytes(target[:4]) == b"1234"


def test_a_sink_raises_to_who_asked():
    sink = frames.Sink()
    scatter = Scatter([(0, np.zeros(2, np.uint8))], 2)
    with pytest.raises(InvalidArgumentError, match="2 bytes was announced"):
        sink.fill(scatter, scatter.write, lambda: sink.take(b"abc"))
    assert sink.target is None

"""Headers: messages come back as they were, and what does not fit a range is refused by name."""

import numpy as np
import pytest

from shardtape.errors import InvalidArgumentError, NotFoundError, UnimplementedError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.ids import BatchId, Incarnation
from shardtape.ps.messages import (
    ADD,
    ASSIGN,
    DENSE,
    KINDS,
    ROWS,
    Part,
    Pull,
    Push,
    PushResult,
    RoundDecision,
    RoundResult,
    Scalars,
)
from shardtape.ps.wire import codec
from shardtape.ps.wire.codec import Declared, FixedParts, Parts

F4 = np.dtype("float32")
RANGES = {
    ("kernel", 0): Declared((4, 3), F4, 4),
    ("bias", 0): Declared((3,), F4, 3),
    ("scale", 1): Declared((), np.dtype("float64"), 1),
}
LARGEST = codec.largest_payload_bytes(RANGES.values())


def declared(id):
    try:
        return RANGES[id]
    except KeyError:
        raise NotFoundError(f"no range {id}") from None


def a_push(parts=(), commit=None):
    return Push(BatchId(1, 2, 3), 4, 5, 6, Incarnation(7, 8), 9, parts or [], commit)


def sent(push, memory_readable=False, memory=None):
    """What arrives at the other end."""
    header, payload = codec.encode_push(push, memory_readable=memory_readable)
    header = pb.Push.FromString(header.SerializeToString())
    table = codec.decode_table(header.parts, declared, LARGEST)
    data = np.frombuffer(b"".join(payload.pieces()) if payload else b"", np.uint8)
    assert table.payload_bytes == len(data)
    parts = [row.build(memory if row.in_memory else data, private=True) for row in table.rows]
    return codec.decode_push(header, parts), table


def test_a_push_arrives_as_it_was():
    parts = [
        Part("kernel", 0, ROWS, np.ones((2, 3), F4), np.array([3, 1])),
        Part("kernel", 0, ADD, np.arange(12, dtype=F4).reshape(4, 3)),
        Part("bias", 0, DENSE, np.arange(3, dtype=F4)),
        Part("scale", 1, ASSIGN, np.array(2.5)),
    ]
    push = a_push(parts, Scalars(0.5, True, 0.25))
    got, table = sent(push)
    assert not table.repeats  # the number of rows is another one next time
    assert len(got.parts) == 4
    for part, copy in zip(parts, got.parts):
        assert (part.key, part.part, part.kind) == (copy.key, copy.part, copy.kind)
        np.testing.assert_array_equal(part.values, copy.values, strict=True)
        assert copy.private
    assert got.parts[0].rows.tolist() == [3, 1] and got.parts[0].rows.dtype == np.int64
    got.parts = push.parts
    assert got == push


@pytest.mark.parametrize("commit", [None, Scalars(), Scalars(2.0, False, 0.0)])
def test_commits(commit):
    got, table = sent(a_push(commit=commit))
    assert got.commit == commit and table.rows == ()


def test_rows_of_none():
    got, _ = sent(a_push([Part("kernel", 0, ROWS, np.zeros((0, 3), F4), np.zeros(0, np.int64))]))
    assert got.parts[0].values.shape == (0, 3) and got.parts[0].rows.shape == (0,)


def test_fixed_parts_stay_in_memory_and_others_are_sent():
    memory = np.zeros(128, np.uint8)
    kernel = memory[:48].view(F4).reshape(4, 3)
    bias = memory[64:76].view(F4)
    fixed = FixedParts(
        [Part("kernel", 0, DENSE, kernel), Part("bias", 0, DENSE, bias)], (77, (0, 64))
    )
    bias[:] = 4
    got, table = sent(a_push(Parts(fixed)), memory_readable=True, memory=memory)
    assert table.payload_bytes == 0 and table.memory_bytes == 76 and table.repeats
    assert got.parts[1].values.tolist() == [4, 4, 4]
    assert np.shares_memory(got.parts[1].values, bias)
    more = Part("scale", 1, ADD, np.array(1.5))
    header, _ = codec.encode_push(a_push(Parts(fixed, [more])), memory_readable=True)
    assert header.memory == 77
    got, table = sent(a_push(Parts(fixed, [more])), memory_readable=True, memory=memory)
    assert table.payload_bytes == 8 and got.parts[2].values == 1.5
    # a shard of another host gets all of it
    for parts in (Parts(fixed), Parts(fixed, [more])):
        got, table = sent(a_push(parts))
        assert table.memory_bytes == 0 and len(got.parts) == len(parts)
        assert not np.shares_memory(got.parts[1].values, bias)
        assert got.parts[1].values.tolist() == [4, 4, 4]


def a_part(**fields):
    part = dict(
        key="bias", part=0, kind=pb.Part.DENSE, dtype="float32", shape=[3], offset=0
    ) | fields  # fmt: skip
    return pb.Parts(parts=[pb.Part(**part)]).SerializeToString()


@pytest.mark.parametrize(
    ("table", "error", "text"),
    [
        (b"\xff\xff\xff", InvalidArgumentError, "not a table"),
        (a_part(key="other"), NotFoundError, "other"),
        (a_part(part=1), NotFoundError, "bias"),
        (a_part(kind=0), InvalidArgumentError, "unknown kind 0"),
        (a_part(kind=17), InvalidArgumentError, "unknown kind 17"),
        (a_part(encoding=3), UnimplementedError, "unknown encoding 3"),
        (a_part(dtype="float64"), InvalidArgumentError, "is float32, .* sent is 'float64'"),
        (a_part(dtype="O"), InvalidArgumentError, "sent is 'O'"),
        (a_part(shape=[4]), InvalidArgumentError, r"has shape \(3,\), .* sent has \(4,\)"),
        (a_part(shape=[3, 1]), InvalidArgumentError, "sent has"),
        (a_part(shape=[-3]), InvalidArgumentError, "sent has"),
        (a_part(offset=2), InvalidArgumentError, "not aligned"),
        (a_part(offset=1 << 40), InvalidArgumentError, "need at most"),
        (a_part(key="kernel", kind=pb.Part.ROWS, shape=[5, 3]), InvalidArgumentError, "has rows 4"),
        (a_part(key="kernel", kind=pb.Part.ROWS, shape=[1, 2]), InvalidArgumentError, "has rows 4"),
        (a_part(key="kernel", kind=pb.Part.ROWS, shape=[]), InvalidArgumentError, "has rows 4"),
        (
            a_part(key="kernel", kind=pb.Part.ROWS, shape=[1, 3], in_memory=True),
            InvalidArgumentError,
            "must be sent",
        ),
        (
            a_part(key="kernel", kind=pb.Part.ROWS, shape=[1, 3], rows_offset=4),
            InvalidArgumentError,
            "not aligned",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(table, error, text):
    with pytest.raises(error, match=text):
        codec.decode_table(table, declared, LARGEST)


def test_the_largest_payload_holds_every_push():
    parts = [
        Part(key, part, kind, np.zeros(d.shape, d.dtype))
        for (key, part), d in RANGES.items()
        for kind in (DENSE, ASSIGN)
    ]
    _, payload = codec.encode_parts(parts)
    assert payload.bytes <= LARGEST


def test_other_messages_arrive_as_they_were():
    batch = BatchId(1, 2, 3)
    for status in ("staged", "applied", "duplicate", "dropped"):
        result = PushResult(batch, 4, status, 5, 6, 7)
        header = pb.PushResult.FromString(codec.encode_push_result(result).SerializeToString())
        assert codec.decode_push_result(header, a_push()) == result
    for keys in (None, (), (("kernel", 0), ("scale", 1))):
        pull = Pull(1, 2, 3, Incarnation(4, 5), keys)
        assert codec.decode_pull(codec.encode_pull(pull)) == pull
    for rate in (None, 0.0, 0.5):
        decision = RoundDecision(3, ((batch, 1), (batch, 2)), 4, Incarnation(5, 6), rate, "m")
        assert codec.decode_decision(codec.encode_decision(decision)) == decision
    round_result = RoundResult(3, "applied", 4, 5, ((batch, 1),))
    assert codec.decode_round_result(codec.encode_round_result(round_result)) == round_result


def test_every_kind_has_a_number():
    assert set(codec.KIND_NUMBERS) == set(KINDS)

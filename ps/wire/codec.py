"""Messages of the parameter server to headers and back; what comes in is checked first.

Parts of a push are a table (names, kinds, shapes, offsets) and bytes. The table is the same from
step to step, so the sender makes it once and the shard decodes it once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError

from shardtape.errors import InvalidArgumentError, UnimplementedError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps import messages as ps
from shardtape.ps.ids import BatchId, Incarnation, RangeId
from shardtape.ps.wire.frames import Payload, aligned
from shardtape.ps.wire.layout import array_at
from shardtape.ps.wire.shared_memory import Offer

KIND_NUMBERS = {
    ps.DENSE: pb.Part.DENSE,
    ps.ROWS: pb.Part.ROWS,
    ps.ADD: pb.Part.ADD,
    ps.ASSIGN: pb.Part.ASSIGN,
}
_KINDS = {number: kind for kind, number in KIND_NUMBERS.items()}
_STATUS_NUMBERS = {
    ps.STAGED: pb.PushResult.STAGED,
    ps.APPLIED: pb.PushResult.APPLIED,
    ps.DUPLICATE: pb.PushResult.DUPLICATE,
    ps.DROPPED: pb.PushResult.DROPPED,
}
_STATUSES = {number: status for status, number in _STATUS_NUMBERS.items()}
_INT64 = np.dtype(np.int64)


class FixedParts(list[ps.Part]):
    """Parts whose arrays stay in place from push to push, so that their encoding is kept.

    Args:
      parts: dense, of any kind but "rows".
      memory: (id, offsets): the shared memory that the arrays lie in; None: private arrays.
    """

    def __init__(
        self, parts: Iterable[ps.Part], memory: tuple[int, Sequence[int]] | None = None
    ) -> None:
        super().__init__(parts)
        self.memory_id = 0
        self.bytes = sum(part.values.nbytes for part in self)
        self._in_memory = b""
        self._inline: tuple[bytes, Payload] | None = None
        if memory is not None:
            self.memory_id, offsets = memory
            self._in_memory = _table(
                _described(part, offset, in_memory=True) for part, offset in zip(self, offsets)
            )

    def in_memory(self) -> bytes:
        """The table, for a shard that reads the memory."""
        return self._in_memory

    def inline(self) -> tuple[bytes, Payload]:
        """Table and payload, for another shard."""
        if self._inline is None:
            self._inline = encode_parts(self)
        return self._inline


class Parts(list[ps.Part]):
    """Parts of a push that begin with fixed ones.

    Args:
      fixed: the first parts.
      more: others, new in every push.
    """

    def __init__(self, fixed: FixedParts, more: Iterable[ps.Part] = ()) -> None:
        super().__init__(fixed)
        self.fixed = fixed
        self.extend(more)

    @property
    def more(self) -> list[ps.Part]:
        return self[len(self.fixed) :]


def _table(described: Iterable[pb.Part]) -> bytes:
    return pb.Parts(parts=described).SerializeToString()


def _described(part: ps.Part, offset: int, *, in_memory: bool = False) -> pb.Part:
    return pb.Part(
        key=part.key,
        part=part.part,
        kind=KIND_NUMBERS[part.kind],
        dtype=part.values.dtype.name,
        shape=part.values.shape,
        offset=offset,
        in_memory=in_memory,
    )


def encode_parts(parts: Iterable[ps.Part], payload: Payload | None = None) -> tuple[bytes, Payload]:
    """Table and payload of parts; the payload goes on where the given one ends."""
    payload = Payload() if payload is None else payload
    rows = []
    for part in parts:
        row_ids = 0 if part.rows is None else payload.add(part.rows)
        described = _described(part, payload.add(part.values))
        described.rows_offset = row_ids
        rows.append(described)
    return _table(rows), payload


def encode_push(push: ps.Push, *, memory_readable: bool) -> tuple[pb.Push, Payload | None]:
    """Header and payload of a push.

    Args:
      memory_readable: whether the shard reads the memory of `Parts.fixed` in place.
    """
    batch, incarnation, parts = push.batch, push.incarnation, push.parts
    payload: Payload | None = None
    memory = 0
    if isinstance(parts, Parts):
        if memory_readable and parts.fixed.memory_id:
            table, memory = parts.fixed.in_memory(), parts.fixed.memory_id
            if len(parts) > len(parts.fixed):
                more, payload = encode_parts(parts.more)
                table += more  # protobuf: repeated fields of joined messages are joined
        elif len(parts) == len(parts.fixed):
            table, payload = parts.fixed.inline()
        else:
            table, payload = encode_parts(parts)
    elif parts:
        table, payload = encode_parts(parts)
    else:
        table = b""
    header = pb.Push(
        epoch=batch[0],
        split=batch[1],
        index=batch[2],
        attempt=push.attempt,
        worker=push.worker,
        generation=push.generation,
        term=incarnation[0],
        number=incarnation[1],
        based_on=push.based_on,
        parts=table,
        memory=memory,
    )
    if push.commit is not None:
        commit = push.commit
        header.commit.scale = commit.scale
        header.commit.skip = commit.skip
        if commit.learning_rate is not None:
            header.commit.learning_rate = commit.learning_rate
    return header, payload


# ---- what came in ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declared:
    """What a range is: shape and dtype of its array, number of its rows."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: int


@dataclass(frozen=True, slots=True)
class Described:
    """One row of a table, checked against the range that it names."""

    key: str
    part: int
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    in_memory: bool
    rows_offset: int

    def build(self, data: np.ndarray, *, private: bool) -> ps.Part:
        """The part, as views of `data` (uint8: the payload or the memory)."""
        values = array_at(data, self.offset, self.shape, self.dtype)
        rows = None
        if self.kind == ps.ROWS:
            rows = array_at(data, self.rows_offset, self.shape[:1], _INT64)
        return ps.Part(self.key, self.part, self.kind, values, rows, private)


@dataclass(frozen=True, slots=True)
class Table:
    """A decoded table.

    Fields:
      payload_bytes, memory_bytes: how long the payload and the memory must be.
      repeats: whether the same table can come again (no row ids, whose number varies).
    """

    rows: tuple[Described, ...]
    payload_bytes: int
    memory_bytes: int
    repeats: bool


def decode_table(
    table: bytes, declared: Callable[[RangeId], Declared], largest_payload_bytes: int
) -> Table:
    """Decodes and checks the table of a push or of first values.

    Args:
      declared: of a range; raises NotFoundError for what the shard has not.
      largest_payload_bytes: bound of where parts may lie.

    Raises InvalidArgumentError, NotFoundError or UnimplementedError that names the part.
    """
    try:
        parts = pb.Parts.FromString(table).parts
    except DecodeError as error:
        raise InvalidArgumentError(f"not a table of parts: {error}") from error
    rows = []
    payload_bytes = memory_bytes = 0
    repeats = True
    for part in parts:
        row = _checked(part, declared((part.key, part.part)))
        rows.append(row)
        end = row.offset + math.prod(row.shape) * row.dtype.itemsize
        if row.in_memory:
            memory_bytes = max(memory_bytes, end)
        elif end > row.offset:
            payload_bytes = max(payload_bytes, end)
        if row.kind == ps.ROWS:
            repeats = False
            if row.shape[0]:
                payload_bytes = max(payload_bytes, row.rows_offset + 8 * row.shape[0])
    if payload_bytes > largest_payload_bytes:
        raise InvalidArgumentError(
            f"parts end at byte {payload_bytes:,} of a payload, all ranges of the shard together "
            f"need at most {largest_payload_bytes:,}"
        )
    return Table(tuple(rows), payload_bytes, memory_bytes, repeats)


def _checked(part: pb.Part, declared: Declared) -> Described:
    where = f"part {part.part} of variable {part.key!r}"
    kind = _KINDS.get(part.kind)
    if kind is None:
        raise InvalidArgumentError(f"{where} is of the unknown kind {part.kind}")
    if part.encoding != pb.Part.RAW:
        raise UnimplementedError(f"{where} has the unknown encoding {part.encoding}")
    dtype, shape = declared.dtype, tuple(part.shape)
    if part.dtype != dtype.name:
        raise InvalidArgumentError(
            f"{where} is {dtype.name}, the {kind} part sent is {part.dtype[:40]!r}"
        )
    if kind == ps.ROWS:
        count = shape[0] if shape else -1
        if not 0 <= count <= declared.rows or shape[1:] != declared.shape[1:]:
            raise InvalidArgumentError(
                f"{where} has rows {declared.rows} x {declared.shape[1:]}, the part sent has "
                f"shape {shape}"
            )
        if part.in_memory:
            # row ids are checked once and must not change afterwards
            raise InvalidArgumentError(f"{where}: row ids must be sent, not left in memory")
    elif shape != declared.shape:
        raise InvalidArgumentError(
            f"{where} has shape {declared.shape}, the {kind} part sent has {shape}"
        )
    if part.offset % dtype.itemsize or part.rows_offset % 8:
        raise InvalidArgumentError(
            f"{where} lies at {part.offset} (rows at {part.rows_offset}), which is not aligned"
        )
    return Described(
        part.key, part.part, kind, shape, dtype, part.offset, part.in_memory, part.rows_offset
    )


def largest_payload_bytes(declared: Iterable[Declared]) -> int:
    """What a push to all these ranges may take: each once as gradient and once as an update."""
    total = 0
    for one in declared:
        size = math.prod(one.shape) * one.dtype.itemsize
        total += 2 * aligned(size) + aligned(8 * one.rows)
    return total


def decode_push(header: pb.Push, parts: list[ps.Part]) -> ps.Push:
    commit = None
    if header.HasField("commit"):
        c = header.commit
        commit = ps.Scalars(
            c.scale, c.skip, c.learning_rate if c.HasField("learning_rate") else None
        )
    return ps.Push(
        BatchId(header.epoch, header.split, header.index),
        header.attempt,
        header.worker,
        header.generation,
        Incarnation(header.term, header.number),
        header.based_on,
        parts,
        commit,
    )


def encode_push_result(result: ps.PushResult) -> pb.PushResult:
    return pb.PushResult(
        status=_STATUS_NUMBERS[result.status],
        lsn=result.lsn,
        version=result.version,
        staleness=result.staleness,
    )


def decode_push_result(header: pb.PushResult, push: ps.Push) -> ps.PushResult:
    return ps.PushResult(
        push.batch,
        push.attempt,
        _STATUSES.get(header.status, "unknown"),
        header.lsn,
        header.version,
        header.staleness,
    )


def encode_pull(pull: ps.Pull, *, only_ready: bool = False) -> pb.Pull:
    header = pb.Pull(
        worker=pull.worker,
        clock=pull.clock,
        generation=pull.generation,
        term=pull.incarnation[0],
        number=pull.incarnation[1],
        only_ready=only_ready,
    )
    if pull.keys is not None:
        header.some = True
        header.ranges.extend(pb.RangeId(key=key, part=part) for key, part in pull.keys)
    return header


def decode_pull(header: pb.Pull) -> ps.Pull:
    keys = tuple((r.key, r.part) for r in header.ranges) if header.some else None
    return ps.Pull(
        header.worker,
        header.clock,
        header.generation,
        Incarnation(header.term, header.number),
        keys,
    )


def encode_decision(decision: ps.RoundDecision) -> pb.RoundDecision:
    header = pb.RoundDecision(
        round=decision.round,
        contributions=[encode_attempt(*c) for c in decision.contributions],
        generation=decision.generation,
        term=decision.incarnation[0],
        number=decision.incarnation[1],
        mark=decision.mark,
    )
    if decision.learning_rate is not None:
        header.learning_rate = decision.learning_rate
    return header


def decode_decision(header: pb.RoundDecision) -> ps.RoundDecision:
    return ps.RoundDecision(
        header.round,
        tuple(decode_attempt(c) for c in header.contributions),
        header.generation,
        Incarnation(header.term, header.number),
        header.learning_rate if header.HasField("learning_rate") else None,
        header.mark,
    )


def encode_round_result(result: ps.RoundResult) -> pb.RoundResult:
    return pb.RoundResult(
        round=result.round,
        status=result.status,
        lsn=result.lsn,
        version=result.version,
        dropped=[encode_attempt(*name) for name in result.dropped],
    )


def decode_round_result(header: pb.RoundResult) -> ps.RoundResult:
    return ps.RoundResult(
        header.round,
        header.status,
        header.lsn,
        header.version,
        tuple(decode_attempt(name) for name in header.dropped),
    )


def encode_attempt(batch: BatchId, attempt: int) -> pb.Attempt:
    return pb.Attempt(batch=encode_batch(batch), attempt=attempt)


def decode_attempt(header: pb.Attempt) -> tuple[BatchId, int]:
    return decode_batch(header.batch), header.attempt


def encode_batch(batch: BatchId) -> pb.BatchId:
    return pb.BatchId(epoch=batch[0], split=batch[1], index=batch[2])


def decode_batch(header: pb.BatchId) -> BatchId:
    return BatchId(header.epoch, header.split, header.index)


def encode_offer(offer: Offer) -> pb.Memory:
    return pb.Memory(
        id=offer.id, pid=offer.pid, fd=offer.fd, bytes=offer.size_bytes, nonce=offer.nonce
    )


def decode_offer(header: pb.Memory) -> Offer:
    return Offer(header.id, header.pid, header.fd, header.bytes, header.nonce)

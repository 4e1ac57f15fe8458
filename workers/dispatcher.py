"""Who computes which batch: hands splits out, takes them back, knows when an epoch is over.

Pure state machines without clocks, threads or sockets: the coordinator calls them, workers'
deaths are calls too. `Dispatcher` is for async and ssp; `shardtape.workers.rounds` has the one
for sync. A batch is *fresh*, *held* by one worker under an attempt number, *returned* (to be
handed out again) or *done*. The ledgers of the shards have the last word: `verified` puts back
what any of them lacks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shardtape.errors import FailedPreconditionError, InternalError
from shardtape.ps.ids import BatchId
from shardtape.ps.ledger import Marks

# what becomes of a batch that raised
RETRY = "retry"
SKIP = "skip"
STOP = "stop"

# number of the worker that the coordinator itself counts as
COORDINATOR = -1


class Item(NamedTuple):
    """One try at one batch."""

    batch: BatchId
    attempt: int


class Work(NamedTuple):
    """What a worker gets: `round` is -1 except in sync."""

    round: int
    items: tuple[Item, ...]


@dataclass
class BadBatches:
    """Decides on batches whose step raises: after `limit` different workers they are poison."""

    limit: int
    on_bad_batch: str = STOP
    raised: dict[BatchId, set[int]] = field(default_factory=dict)
    skipped: list[BatchId] = field(default_factory=list)

    def failed(self, worker: int, batch: BatchId) -> str:
        """Returns RETRY, SKIP or STOP for a batch that just raised on `worker`."""
        seen = self.raised.setdefault(batch, set())
        seen.add(worker)
        if len(seen) < self.limit:
            return RETRY
        return SKIP if self.on_bad_batch == SKIP else STOP

    def barred(self, worker: int, batch: BatchId) -> bool:
        """Whether `batch` raised on `worker` before, so that another one shall try it."""
        return worker in self.raised.get(batch, ())


class _Marks(Marks):
    """Indices that are done; `discard` is for what a ledger turns out to lack."""

    __slots__ = ()

    @property
    def stop(self) -> int:
        """One more than the largest index; 0 where there is none."""
        return max(self.extra, default=self.high - 1) + 1

    def discard(self, index: int) -> None:
        if index < self.high:
            self.extra.update(range(index + 1, self.high))
            self.high = index
        self.extra.discard(index)


class EpochBook:
    """Which batches of one epoch are fresh, held, returned and done.

    Args:
      epoch: number from 0.
      lengths: batches in each split; None where only reading the split to its end tells.
      base: number of the first split (not 0 after a resume with another batch size).
    """

    def __init__(self, epoch: int, lengths: Sequence[int | None], base: int = 0) -> None:
        self.epoch = epoch
        self.base = base
        self.lengths: dict[int, int | None] = {base + i: n for i, n in enumerate(lengths)}
        self.cursor: dict[int, int] = dict.fromkeys(self.lengths, 0)
        self.done: dict[int, _Marks] = {split: _Marks() for split in self.lengths}
        self.held: dict[BatchId, tuple[int, int]] = {}
        self.returned: list[BatchId] = []
        self._attempts: dict[BatchId, int] = {}

    def hand_out(self, worker: int, batch: BatchId) -> Item:
        """Marks `batch` as held by `worker` under the next attempt number."""
        attempt = self._attempts.get(batch, 0)
        self.held[batch] = (worker, attempt)
        return Item(batch, attempt)

    def is_done(self, batch: BatchId) -> bool:
        return batch.index in self.done.get(batch.split, ())

    def mark_done(self, batch: BatchId) -> bool:
        """Returns whether it was not done before. Unknown splits and epochs are ignored."""
        if batch.epoch != self.epoch or batch.split not in self.done:
            return False
        self.held.pop(batch, None)
        if batch in self.returned:
            self.returned.remove(batch)
        marks = self.done[batch.split]
        if batch.index in marks:
            return False
        marks.add(batch.index)
        self._attempts.pop(batch, None)
        return True

    def give_back(self, batch: BatchId) -> None:
        """The batch has to be handed out again, as another attempt."""
        self.void(batch)
        if not self.is_done(batch) and batch not in self.returned:
            self.returned.append(batch)
            self.returned.sort()

    def void(self, batch: BatchId) -> None:
        """Whoever holds the batch holds an attempt that counts no more."""
        holder = self.held.pop(batch, None)
        if holder is not None:
            self._attempts[batch] = holder[1] + 1

    def give_back_of(self, worker: int) -> list[BatchId]:
        """Takes back everything that `worker` holds; returns it in order."""
        back = sorted(batch for batch, (holder, _) in self.held.items() if holder == worker)
        for batch in back:
            self.give_back(batch)
        return back

    def held_by(self, worker: int) -> int:
        """Number of batches that `worker` holds."""
        return sum(holder == worker for holder, _ in self.held.values())

    def ended(self, split: int, length: int) -> None:
        """A worker read the split to its end: it has `length` batches.

        Raises:
          FailedPreconditionError: another reading of it gave another number.
        """
        known = self.lengths.get(split)
        if split not in self.lengths:
            raise InternalError(f"epoch {self.epoch} has no split {split}")
        if known is not None:
            if known != length:
                raise FailedPreconditionError(
                    f"split {split} of epoch {self.epoch} had {known} batches before and now "
                    f"{length}: the data source must give the same batches each time it is read"
                )
            return
        taken = self.done[split].stop
        if taken > length:
            raise FailedPreconditionError(
                f"split {split} of epoch {self.epoch} has {length} batches, but its batch "
                f"{taken - 1} is in the ledgers: the data source must give the same batches each "
                "time it is read; with other data, begin anew without --resume"
            )
        self.lengths[split] = length
        self.cursor[split] = min(self.cursor[split], length)
        beyond = [b for b in self.held if b.split == split and b.index >= length]
        for batch in beyond:
            del self.held[batch]
        self.returned = [b for b in self.returned if b.split != split or b.index < length]

    def fresh_left(self, split: int) -> float:
        """Batches of the split that nobody was given yet; infinite while nobody knows."""
        length = self.lengths[split]
        return math.inf if length is None else length - self.cursor[split]

    def next_fresh(self, split: int) -> BatchId:
        """The next batch of the split, moving its cursor."""
        batch = BatchId(self.epoch, split, self.cursor[split])
        self.cursor[split] += 1
        return batch

    def expected(self) -> dict[tuple[int, int], int]:
        """Number of batches by (epoch, split), for the ledgers' `missing`."""
        return {(self.epoch, split): n or 0 for split, n in self.lengths.items()}

    @property
    def total(self) -> int | None:
        """Batches in the epoch, or None while it is not known."""
        lengths = list(self.lengths.values())
        return None if None in lengths else sum(n or 0 for n in lengths)

    @property
    def done_count(self) -> int:
        return sum(len(marks) for marks in self.done.values())

    @property
    def complete(self) -> bool:
        """Every batch was reported done."""
        return all(len(self.done[split]) == n for split, n in self.lengths.items())

    def restore(self, missing: Iterable[BatchId], reached: Mapping[int, int]) -> None:
        """After a resume or a roll-back: all batches of splits with a known length are done
        except `missing`, and of the others those below `reached` (by split)."""
        self.held.clear()
        for split, length in self.lengths.items():
            self.cursor[split] = reached.get(split, 0) if length is None else length
            marks = self.done[split] = _Marks()
            marks.high = self.cursor[split]
        self.returned = sorted(b for b in set(missing) if b.index < self.cursor[b.split])
        for batch in self.returned:
            self.done[batch.split].discard(batch.index)


class Dispatcher:
    """Batches of one epoch after the other for async and ssp.

    A worker goes on in its own split, then opens the next; when none is left and batches can be
    read in any order it helps with the split that has most to do.

    Args:
      lengths: batches in each split of every epoch; None where it is not known.
      epochs: number of epochs.
      first_epoch: where to begin (resume).
      any_order: whether a split's batches can be read in any order.
      bad: what to do with batches that raise.
      base: number of the first split, of the first epoch only.
    """

    def __init__(
        self,
        lengths: Sequence[int | None],
        epochs: int,
        *,
        first_epoch: int = 0,
        any_order: bool = True,
        bad: BadBatches | None = None,
        base: int = 0,
    ) -> None:
        self.epochs = epochs
        self.any_order = any_order
        self.bad = bad or BadBatches(1)
        self.workers: dict[int, int | None] = {}  # living ones, and the split each is in
        self._lengths = list(lengths)
        self.book = EpochBook(first_epoch, self._lengths, base)
        self.steps = 0
        self._last_total: int | None = None

    @property
    def batches_per_epoch(self) -> int | None:
        """In this epoch, or in the one before while it is not known; None in the first one."""
        total = self.book.total
        return self._last_total if total is None else total

    @property
    def lengths_known(self) -> bool:
        """Whether the batches of each split are known before it is read."""
        return None not in self._lengths

    @property
    def epoch(self) -> int:
        """The epoch under way; equal to `epochs` when all are over."""
        return self.book.epoch

    @property
    def finished(self) -> bool:
        return self.book.epoch >= self.epochs

    def joined(self, worker: int) -> None:
        """A worker is ready; one that was known before counts as lost first."""
        if worker in self.workers:
            self.lost(worker)
        self.workers[worker] = None

    def lost(self, worker: int) -> list[BatchId]:
        """A worker died or gave up: what it held is handed out again."""
        self.workers.pop(worker, None)
        return self.book.give_back_of(worker)

    def take(self, worker: int, want: int) -> Work | None:
        """Up to `want` batches for a worker, fewer towards the end of the epoch; None: nothing
        now (others still hold the rest)."""
        if self.finished or worker not in self.workers:
            return None
        batches = self._take_returned(worker, want)
        left = sum(self.book.fresh_left(split) for split in self.book.lengths)
        share = math.inf if left == math.inf else math.ceil(left / (2 * len(self.workers)))
        while len(batches) < min(want, max(1, share)):
            split = self._split_for(worker)
            if split is None:
                break
            batches.append(self.book.next_fresh(split))
        if not batches:
            return None
        return Work(-1, tuple(self.book.hand_out(worker, batch) for batch in batches))

    def _take_returned(self, worker: int, want: int) -> list[BatchId]:
        takable = [b for b in self.book.returned if not self._left_to_others(worker, b)]
        # shared out, because one worker doing all of a dead one's batches holds up the epoch
        share = math.ceil(len(self.book.returned) / max(1, len(self.workers)))
        batches = takable[: min(want, max(1, share))]
        for batch in batches:
            self.book.returned.remove(batch)
        return batches

    def _left_to_others(self, worker: int, batch: BatchId) -> bool:
        return self.bad.barred(worker, batch)

    def _split_for(self, worker: int) -> int | None:
        book = self.book
        current = self.workers[worker]
        if current is not None and book.fresh_left(current) > 0:
            return current
        taken = set(self.workers.values())
        unopened = [s for s in book.lengths if s not in taken and book.fresh_left(s) > 0]
        if unopened:
            self.workers[worker] = unopened[0]
            return unopened[0]
        if self.any_order:
            open_ones = [s for s in book.lengths if book.fresh_left(s) > 0]
            if open_ones:
                return max(open_ones, key=book.fresh_left)
        return None

    def done(self, batch: BatchId) -> bool:
        """Every shard acknowledged the batch (applied or duplicate). Returns whether it is new."""
        new = self.book.mark_done(batch)
        self.steps += new
        return new

    def failed(self, worker: int, batch: BatchId) -> str:
        """The step raised. Returns RETRY (another worker gets it), SKIP (see `skip`) or
        STOP."""
        if batch.epoch != self.epoch or self.book.is_done(batch):
            return RETRY
        verdict = self.bad.failed(worker, batch)
        if verdict == RETRY:
            self.book.give_back(batch)
        return verdict

    def skip(self, batch: BatchId) -> Item:
        """The attempt under which the coordinator itself gives every ledger a skip mark; it then
        reports it like a worker (`done` or, in sync, `staged`)."""
        self.bad.skipped.append(batch)
        self.book.void(batch)
        return self.book.hand_out(COORDINATOR, batch)

    def ended(self, split: int, length: int) -> None:
        """A worker found the end of a split whose length was not known."""
        self.book.ended(split, length)

    @property
    def ready_to_verify(self) -> bool:
        """All batches of the epoch were reported done: now ask the ledgers."""
        return not self.finished and self.book.complete and not self.book.held

    def expected(self) -> Mapping[tuple[int, int], int]:
        return self.book.expected()

    def verified(self, missing: Iterable[BatchId]) -> bool:
        """The ledgers' answer. True: the epoch is over, and the next one is under way; False:
        `missing` batches are handed out again."""
        missing = sorted(set(missing))
        for batch in missing:
            self.book.done[batch.split].discard(batch.index)
            self.book.give_back(batch)
        if missing:
            return False
        self._last_total = self.book.total
        self._open(self.book.epoch + 1)
        return True

    def _open(self, epoch: int, base: int = 0, lengths: Sequence[int | None] | None = None) -> None:
        self.book = EpochBook(epoch, lengths or self._lengths, base)
        self.workers = dict.fromkeys(self.workers)

    def restart(
        self,
        epoch: int,
        missing: Iterable[BatchId],
        base: int = 0,
        *,
        lengths: Sequence[int | None] | None = None,
        reached: Mapping[int, int] | None = None,
    ) -> None:
        """Goes to the position of a checkpoint.

        Args:
          missing: batches of `epoch` that are still to be done, of those below `reached`.
          lengths: of this epoch's splits, where more of them are known than at the beginning.
          reached: by split of unknown length: batches below are done.
        """
        self._open(epoch, base, lengths)
        self.book.restore(missing, reached or {})

"""Rounds of the sync mode: fixed lists of batches, complete when their gradients are staged.

A round's list is a function of the data alone: the batches of the epoch in the order (index,
split), cut into pieces of `round_batches`; where splits can only be read from their starts, at most
SPLITS_AT_ONCE of them are read side by side, then the next as many. Who computes a batch, and how
often it was tried, changes nothing of it. A batch of the list that turns out not to exist (end of a
split whose length was not known) or to be in the ledgers already leaves the list, and the following
ones move up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shardtape.ps.ids import BatchId
from shardtape.workers.data import SPLITS_AT_ONCE
from shardtape.workers.dispatcher import BadBatches, Dispatcher, Work


class Decision(NamedTuple):
    """What all shards are told: these attempts, averaged in this order, are round `round`."""

    round: int
    contributions: tuple[tuple[BatchId, int], ...]


@dataclass
class Round:
    """The round under way.

    Fields:
      number: rounds applied before it.
      batches: in list order.
      staged: attempt number by batch, once every shard has all of it.
      waiting: batches of the list that nobody holds.
      decided: the decision was given; nothing more is taken in.
    """

    number: int
    batches: list[BatchId] = field(default_factory=list)
    staged: dict[BatchId, int] = field(default_factory=dict)
    waiting: list[BatchId] = field(default_factory=list)
    decided: Decision | None = None


class RoundDispatcher(Dispatcher):
    """Batches of one round after the other.

    Attributes:
      rounds_done: that the shards have applied.

    Args:
      round_batches: batches that a round averages; the last round of an epoch may have fewer.
      backup: batches that a round has on top and does not wait for.
      first_round: rounds that the shards have applied already (resume).
      Others: as `Dispatcher`.
    """

    def __init__(
        self,
        lengths: Sequence[int | None],
        epochs: int,
        *,
        round_batches: int,
        backup: int = 0,
        first_round: int = 0,
        first_epoch: int = 0,
        any_order: bool = True,
        bad: BadBatches | None = None,
        base: int = 0,
    ) -> None:
        super().__init__(
            lengths, epochs, first_epoch=first_epoch, any_order=any_order, bad=bad, base=base
        )
        self.round_batches = round_batches
        self.backup = backup
        self.rounds_done = first_round
        self._carried: list[BatchId] = []
        self._order = self._in_order()
        self.round = Round(first_round)
        self._fill()

    def _in_order(self) -> Iterator[BatchId]:
        """Batches of the epoch by (index, split), leaving out done ones and ends of splits."""
        book = self.book
        splits = list(book.lengths)
        side_by_side = len(splits) if self.any_order else SPLITS_AT_ONCE
        for first in range(0, len(splits), side_by_side):
            group = splits[first : first + side_by_side]
            index = 0
            while any(self._exists(BatchId(book.epoch, split, index)) for split in group):
                for split in group:
                    batch = BatchId(book.epoch, split, index)
                    if self._exists(batch) and not book.is_done(batch):
                        yield batch
                index += 1

    def _exists(self, batch: BatchId) -> bool:
        length = self.book.lengths[batch.split]
        return length is None or batch.index < length

    def _fill(self) -> None:
        """Adds batches until the list has its length or the epoch has no more."""
        while len(self.round.batches) < self.round_batches + self.backup:
            if self._carried:
                batch = self._carried.pop(0)
            else:
                following = next(self._order, None)
                if following is None:
                    break
                batch = following
            if self._exists(batch) and not self.book.is_done(batch):
                self.round.batches.append(batch)
                self.round.waiting.append(batch)

    def lost(self, worker: int) -> list[BatchId]:
        """What it held goes to others in the same round; what it had staged stays."""
        self.workers.pop(worker, None)
        back = self.book.give_back_of(worker)
        self._collect_returned()
        return back

    def _collect_returned(self) -> None:
        for batch in self.book.returned:
            if batch in self.round.batches and batch not in self.round.staged:
                self.round.waiting.append(batch)
        self.book.returned.clear()
        self.round.waiting.sort(key=self.round.batches.index)

    def take(self, worker: int, want: int = 1) -> Work | None:
        """The worker's share of what nobody holds of this round; None: nothing now."""
        del want  # a round is shared out evenly, however much a worker would take
        if self.finished or self.round.decided or worker not in self.workers:
            return None
        mine = [b for b in self.round.waiting if self._is_for(worker, b)]
        share = math.ceil(len(self.round.waiting) / len(self.workers))
        mine = mine if not self.any_order else mine[:share]
        if not mine:
            return None
        for batch in mine:
            self.round.waiting.remove(batch)
        return Work(self.round.number, tuple(self.book.hand_out(worker, b) for b in mine))

    def _is_for(self, worker: int, batch: BatchId) -> bool:
        if self.bad.barred(worker, batch):
            return False
        if self.any_order:
            return True
        # a split that can only be read from its start stays with one worker while that lives
        able = [w for w in sorted(self.workers) if not self.bad.barred(w, batch)]
        return able[batch.split % len(able)] == worker

    def staged(self, batch: BatchId, attempt: int) -> None:
        """Every shard has all parts of this attempt. Late and foreign ones are ignored."""
        holder = self.book.held.get(batch)
        if holder is None or holder[1] != attempt or self.round.decided:
            return
        if batch in self.round.batches:
            del self.book.held[batch]
            self.round.staged[batch] = attempt

    def done(self, batch: BatchId) -> bool:
        """A ledger had the batch already: it leaves the round."""
        new = super().done(batch)
        self._drop(batch)
        return new

    def _drop(self, batch: BatchId) -> None:
        if batch in self.round.batches and not self.round.decided:
            self.round.batches.remove(batch)
            self.round.staged.pop(batch, None)
            if batch in self.round.waiting:
                self.round.waiting.remove(batch)
            self._fill()

    def dropped(self, batch: BatchId, attempt: int) -> None:
        """A shard says that the attempt came too late for its round: it is handed out again."""
        holder = self.book.held.get(batch)
        if holder is not None and holder[1] == attempt:
            self.book.give_back(batch)
            self._collect_returned()

    def failed(self, worker: int, batch: BatchId) -> str:
        verdict = super().failed(worker, batch)
        self._collect_returned()
        return verdict

    def ended(self, split: int, length: int) -> None:
        super().ended(split, length)
        for batch in [b for b in self.round.batches if not self._exists(b)]:
            self._drop(batch)

    def decide(self) -> Decision | None:
        """The decision on this round once enough of it is staged; given once, else None.

        Contributions are in list order. With backups, batches that are not in it go to the
        front of the next round under a new attempt.
        """
        this = self.round
        if self.finished or this.decided or not this.batches:
            return None
        if len(this.staged) < min(self.round_batches, len(this.batches)):
            return None
        named = tuple((b, this.staged[b]) for b in this.batches if b in this.staged)
        this.decided = Decision(this.number, named)
        return this.decided

    def decided(self, number: int) -> None:
        """Every shard applied round `number`: its batches are done, the next round begins."""
        this = self.round
        if this.decided is None or this.number != number:
            return
        named = {batch for batch, _ in this.decided.contributions}
        for batch in this.batches:
            if batch in named:
                self.steps += self.book.mark_done(batch)
            else:
                self.book.void(batch)
                self._carried.append(batch)
        self.rounds_done = number + 1
        self.round = Round(self.rounds_done)
        self._fill()

    @property
    def ready_to_verify(self) -> bool:
        return not self.finished and not self.round.batches and self.book.complete

    def verified(self, missing: Iterable[BatchId]) -> bool:
        missing = list(missing)
        over = super().verified(missing)
        if over:
            self._restart_order()
        else:
            self.book.returned.clear()
            self._carried.extend(sorted(set(missing)))
            self._fill()
        return over

    def _restart_order(self) -> None:
        self._carried.clear()
        self._order = self._in_order()
        self.round = Round(self.rounds_done)
        self._fill()

    def restart(
        self,
        epoch: int,
        missing: Iterable[BatchId],
        base: int = 0,
        *,
        lengths: Sequence[int | None] | None = None,
        reached: Mapping[int, int] | None = None,
    ) -> None:
        """As `Dispatcher.restart`; `rounds_done` is what the checkpoint has."""
        super().restart(epoch, missing, base, lengths=lengths, reached=reached)
        self.book.returned.clear()
        self._restart_order()

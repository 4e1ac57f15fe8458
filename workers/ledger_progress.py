"""How far an epoch came, as the shards' ledgers tell it: what a resume and a roll-back go by.

Ledgers say which of so many batches they lack. Where a split's length is not known they are asked
for piece after piece of it, until a whole piece is lacking. A run of lacking batches that long with
taken ones behind it only costs time: those are computed again and dropped as duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shardtape.ps.ids import BatchId

Missing = Callable[[Mapping[tuple[int, int], int]], Iterable[BatchId]]

# Batches of a split in one question: a worker that dies leaves fewer behind; and of all splits
# together, so that an answer stays far below the limit of a message.
_PIECE = 256
_LONGEST_PIECE = 4096
_ANSWER = 1 << 16


@dataclass(frozen=True)
class Progress:
    """What all ranges have taken of an epoch.

    Fields:
      reached: by split: all batches below are taken, but for `missing`.
    """

    reached: dict[int, int] = field(default_factory=dict)
    missing: frozenset[BatchId] = frozenset()

    @property
    def taken(self) -> int:
        """Number of batches that every range has taken."""
        return sum(self.reached.values()) - len(self.missing)


def read_progress(
    missing: Missing, epoch: int, lengths: Sequence[int | None], base: int = 0
) -> Progress:
    """Asks the ledgers.

    Args:
      missing: which batches of (epoch, split) any range lacks, up to a number of each.
      lengths: batches in each split, None where it is not known; base: number of the first.

    Returns: of an epoch that is closed everywhere, all of the splits whose length is known and
      nothing of the others: ledgers keep no more of it.
    """
    numbered = {base + i: length for i, length in enumerate(lengths)}
    reached = {split: length or 0 for split, length in numbered.items()}
    lacking = set(missing({(epoch, split): n for split, n in reached.items()}))
    reading = [split for split, length in numbered.items() if length is None]
    nowhere = base + len(lengths)
    if not any(missing({(epoch, nowhere): 1})):
        return Progress(reached, frozenset(lacking))
    asked = 0
    while reading:
        longest = max(1, min(_LONGEST_PIECE, _ANSWER // len(reading)))
        piece = min(longest, max(_PIECE, asked // 4))
        found = set(missing({(epoch, split): asked + piece for split in reading}))
        going_on = []
        for split in reading:
            ids = (BatchId(epoch, split, i) for i in range(asked + piece - 1, asked - 1, -1))
            last = next((batch for batch in ids if batch not in found), None)
            if last is not None:
                reached[split] = last.index + 1
                going_on.append(split)
            lacking.update(b for b in found if b.split == split and b.index < reached[split])
        reading, asked = going_on, asked + piece
    return Progress(reached, frozenset(lacking))

"""How far an epoch came is read from ledgers: of splits of any length, with holes, in pieces."""

import random

import pytest

from shardtape.ps.ids import BatchId
from shardtape.ps.ledger import Ledger
from shardtape.workers.ledger_progress import _LONGEST_PIECE, read_progress


def asked(*ledgers):
    """As a group of shards answers; the sizes of its answers."""
    sizes = []

    def missing(expected):
        found = {batch for ledger in ledgers for batch in ledger.missing(expected)}
        sizes.append(len(found))
        return found

    return missing, sizes


def ledger_of(*batches, epoch=2):
    ledger = Ledger()
    for split, index in batches:
        ledger.add(BatchId(epoch, split, index))
    return ledger


@pytest.mark.parametrize("seed", range(5))
def test_what_every_range_has_is_taken(seed):
    chooser = random.Random(seed)
    lengths = [None, 7, None, 0, None]
    sizes = [chooser.choice([0, 1, 255, 256, 257, 1000]), 7, 300, 0, 0]
    ledgers, sets = [], []
    for _ in range(2):
        have = {(10 + s, i) for s, n in enumerate(sizes) for i in range(n)}
        have -= {batch for batch in have if chooser.random() < 0.02}
        ledgers.append(ledger_of(*sorted(have, key=lambda _: chooser.random())))
        sets.append(have)
    both = {BatchId(2, split, index) for split, index in sets[0] & sets[1]}
    progress = read_progress(asked(*ledgers)[0], 2, lengths, 10)
    done = {
        BatchId(2, split, index) for split, n in progress.reached.items() for index in range(n)
    } - progress.missing
    assert done == both and progress.taken == len(both)
    assert all(batch.index < progress.reached[batch.split] for batch in progress.missing)
    for split, length in enumerate(lengths):
        if length is None:  # nothing beyond the last one that is taken is called missing
            last = max((b.index for b in both if b.split == 10 + split), default=-1)
            assert progress.reached[10 + split] == last + 1


def test_answers_stay_small_however_long_a_split_is():
    ledger = Ledger()
    for index in range(100_000):
        ledger.add(BatchId(0, 0, index))
    missing, sizes = asked(ledger)
    progress = read_progress(missing, 0, [None, None])
    assert progress.reached == {0: 100_000, 1: 0} and not progress.missing
    assert max(sizes) <= 2 * _LONGEST_PIECE and len(sizes) < 50


def test_a_closed_epoch_tells_nothing_of_splits_of_unknown_length():
    ledger = ledger_of((0, 0), (1, 0), epoch=0)
    ledger.close_epoch(0)
    progress = read_progress(asked(ledger)[0], 0, [None, 3])
    assert progress.reached == {0: 0, 1: 3} and progress.taken == 3

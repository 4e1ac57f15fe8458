"""Data sources: every example once per epoch, the same whoever reads, readable errors."""

import numpy as np
import pytest

from shardtape.errors import InvalidArgumentError
from shardtape.ps.ids import BatchId
from shardtape.workers import data
from shardtape.workers.data import BATCHES_PER_SPLIT, describe, open_source, portable
from shardtape.workers.rounds import RoundDispatcher


def read(source, epoch=0):
    """All batches of an epoch, by id."""
    found = {}
    for split in range(len(source.lengths())):
        for index in range(10_000):
            batch = BatchId(epoch, split, index)
            arrays = source.batch(batch)
            if arrays is None:
                break
            found[batch] = arrays
    return found


@pytest.mark.parametrize("examples", [1, 7, 64, 64 * BATCHES_PER_SPLIT + 1])
def test_arrays_give_every_example_once_per_epoch_in_a_new_order(examples):
    x = np.arange(examples, dtype=np.float32)
    spec = describe({"x": x, "y": x * 2}, name="train", batch_size=8, seed=3)
    orders = []
    for epoch in (0, 1):
        batches = read(open_source(spec), epoch)
        assert spec.lengths() == [
            sum(b.split == s for b in batches) for s in range(len(spec.lengths()))
        ]
        order = np.concatenate([b["x"] for b in batches.values()])
        np.testing.assert_array_equal(np.concatenate([b["y"] for b in batches.values()]), order * 2)
        np.testing.assert_array_equal(np.sort(order), x)
        assert {len(b["x"]) for b in list(batches.values())[:-1]} <= {8}
        orders.append(order)
    if examples > 4:
        assert (orders[0] != orders[1]).any()


def test_a_batch_depends_on_seed_and_id_alone():
    x = {"x": np.arange(100)}
    batch = BatchId(4, 0, 2)
    a, b, c = (
        open_source(describe(x, name="train", batch_size=8, seed=s)).batch(batch)["x"]
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_without_shuffle_arrays_are_read_in_order():
    source = open_source(describe({"x": np.arange(9)}, name="t", batch_size=4, shuffle=False))
    assert [list(b["x"]) for b in read(source).values()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_function_of_split_is_read_in_order_and_again_after_a_death():
    calls = []

    def numbers(split, of):
        calls.append((split, of))
        for i in range(3 + split):
            yield {"x": np.array([split * 10 + i])}

    source = open_source(describe(numbers, name="train", batch_size=1, splits=2))
    assert source.lengths() == [None, None] and not source.any_order
    assert [b["x"][0] for b in read(source).values()] == [0, 1, 2, 10, 11, 12, 13]
    assert calls == [(0, 2), (1, 2)]
    assert source.batch(BatchId(0, 1, 1))["x"][0] == 11, "another attempt at an earlier batch"
    assert source.batch(BatchId(0, 1, 3))["x"][0] == 13
    assert source.batch(BatchId(0, 1, 4)) is None


def test_a_function_may_return_arrays_and_take_the_epoch():
    def arrays(split, of, epoch):
        return {"x": np.arange(5) + 100 * split + 1000 * epoch}

    source = open_source(describe(arrays, name="train", batch_size=2, splits=2))
    batches = read(source, epoch=3)
    assert [len(b["x"]) for b in batches.values()] == [2, 2, 1, 2, 2, 1]
    assert set(np.concatenate([b["x"] for b in batches.values()])) == {
        *range(3000, 3005),
        *range(3100, 3105),
    }


def test_iterables_are_cut_into_splits_and_tuples_go_to_placeholders_in_order():
    batches = [(np.array([i]), np.array([-i])) for i in range(5)]
    spec = describe(batches, name="train", batch_size=1, splits=2)
    found = read(open_source(spec, names=("x", "y")))
    assert [b["x"][0] for b in found.values()] == [0, 2, 4, 1, 3]
    assert [b["y"][0] for b in found.values()] == [0, -2, -4, -1, -3]


def test_a_dataset_with_shard_is_asked_for_its_shards():
    class Dataset:
        def __init__(self, items):
            self.items = items

        def __iter__(self):
            return iter(self.items)

        def shard(self, of, index):
            return Dataset(self.items[index::of])

    spec = describe(Dataset([{"x": [i]} for i in range(4)]), name="train", batch_size=1, splits=2)
    assert [b["x"][0] for b in read(open_source(spec)).values()] == [0, 2, 1, 3]


def test_large_arrays_go_by_reference_and_mapped_files_by_name(tmp_path):
    store = []
    large = np.arange(data.INLINE_LIMIT_BYTES, dtype=np.uint8).reshape(-1, 8).repeat(2, axis=0)
    path = tmp_path / "x.npy"
    np.save(path, np.arange(len(large), dtype=np.float32))
    mapped = np.load(path, mmap_mode="r")
    spec = describe({"x": large, "m": mapped, "s": mapped[::-1]}, name="train", batch_size=4)
    sent = portable(spec, lambda array: store.append(array) or len(store) - 1)
    assert sent.arrays["x"].reference == 0 and sent.arrays["m"].path == str(path)
    assert isinstance(sent.arrays["s"], np.ndarray) and not isinstance(sent.arrays["s"], np.memmap)
    opened = open_source(sent, get=store.__getitem__)
    batch, expected = BatchId(0, 0, 1), open_source(spec).batch(BatchId(0, 0, 1))
    for key, value in opened.batch(batch).items():
        np.testing.assert_array_equal(value, expected[key])
    assert portable(spec, None) is spec


def test_signature_tells_whether_a_batch_still_means_the_same_examples():
    x = {"x": np.arange(10)}
    spec = describe(x, name="train", batch_size=4)
    assert spec.signature() == describe(x, name="train", batch_size=4).signature()
    assert spec.signature() != describe(x, name="train", batch_size=5).signature()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "has no arrays"),
        ({"x": np.arange(3), "y": np.arange(4)}, "same number of examples, got x: 3, y: 4"),
        ({"x": np.zeros((0, 3))}, "has no examples"),
        ({"x": 1.0}, r"train\['x'\] is a scalar"),
        ({1: np.arange(3)}, "1 is no feed name"),
        ({"x": np.array([[1], None], dtype=object)}, r"train\['x'\] holds Python objects"),
        (iter([1]), "can be read once only"),
        (lambda split: None, r"arguments \(split\): expected \(split, of\)"),
        (7, "train is a int: expected arrays by feed name"),
        (np.arange(3), "train is a ndarray"),
    ],
)
def test_wrong_data_is_refused_by_name(value, text):
    with pytest.raises(InvalidArgumentError, match=text):
        describe(value, name="train", batch_size=2)


def test_wrong_elements_are_named():
    spec = describe([(1, 2, 3)], name="train", batch_size=1, splits=1)
    with pytest.raises(InvalidArgumentError, match="a tuple of 3, expected .* 2 arrays .* x, y"):
        open_source(spec, names=("x", "y")).batch(BatchId(0, 0, 0))
    spec = describe(lambda split, of: 5, name="train", batch_size=1)
    with pytest.raises(InvalidArgumentError, match="returned a int for split 1"):
        open_source(spec).batch(BatchId(0, 1, 0))


@pytest.mark.parametrize("splits", [8, data.SPLITS_AT_ONCE + 3])
def test_splits_that_are_read_side_by_side_are_read_once(splits):
    """One worker of a sync job reads every split at a time, in the order of the rounds."""
    read_of = dict.fromkeys(range(splits), 0)

    def numbers(split, of):
        for i in range(2 + split % 3):
            read_of[split] += 1
            yield {"x": np.array([i])}

    source = open_source(describe(numbers, name="train", batch_size=1, splits=splits))
    for epoch in range(2):
        rounds = RoundDispatcher(source.lengths(), 1, round_batches=3, any_order=False)
        rounds.joined(0)
        batches = 0
        while not rounds.ready_to_verify:
            for (_, split, index), attempt in rounds.take(0).items:
                if source.batch(BatchId(epoch, split, index)) is None:
                    rounds.ended(split, source.length(epoch, split))
                else:
                    rounds.staged(BatchId(0, split, index), attempt)
            if decision := rounds.decide():
                batches += len(decision.contributions)
                rounds.decided(decision.round)
        assert batches == sum(2 + split % 3 for split in range(splits))
        assert list(read_of.values()) == [(epoch + 1) * (2 + s % 3) for s in range(splits)]


def test_a_batch_beyond_a_known_end_reads_nothing():
    calls = []

    def numbers(split, of):
        calls.append(split)
        yield from ({"x": np.array([i])} for i in range(3))

    source = open_source(describe(numbers, name="train", batch_size=1, splits=1))
    assert [source.batch(BatchId(0, 0, i)) is None for i in range(6)] == [False] * 3 + [True] * 3
    assert source.length(0, 0) == 3 and calls == [0]


def test_splits_of_another_epoch_are_released_before_their_ends():
    left = []

    def numbers(split, of, epoch):
        try:
            yield from ({"x": np.array([i])} for i in range(3))
        finally:
            left.append((epoch, split))

    source = open_source(describe(numbers, name="train", batch_size=1, splits=2))
    for split in range(2):
        source.batch(BatchId(0, split, 0))
    assert left == []
    source.batch(BatchId(1, 0, 0))
    assert left == [(0, 0), (0, 1)]


def test_an_iterator_of_the_users_with_a_skip_of_its_own_is_read_in_order():
    class Reader:
        def __init__(self):
            self.rows = iter(range(5))

        def __iter__(self):
            return self

        def __next__(self):
            return {"x": np.array([next(self.rows)])}

        def skip(self, rows):
            raise AssertionError("what it does is not known here")

    def numbers(split, of):
        return Reader()

    source = open_source(describe(numbers, name="train", batch_size=1, splits=1))
    assert [source.batch(BatchId(0, 0, i))["x"][0] for i in (0, 3, 4, 1)] == [0, 3, 4, 1]

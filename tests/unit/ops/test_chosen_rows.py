"""The k largest of long rows, one-hot rows, distinct numbers and sums, by their definitions."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.largest_of_rows import largest_of_rows
from shardtape.ops.segment_sums import summed_segments


def by_sorting(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    places = [sorted(range(len(row)), key=lambda i: (-float(row[i]), i))[:k] for row in x]
    return np.take_along_axis(x, np.array(places), -1), np.array(places, np.int32)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8"])
@pytest.mark.parametrize("k", [1, 5, 32])
@pytest.mark.parametrize("spread", [3, 50, 10_000])  # few values: many are equal
def test_largest_are_those_of_sorted_rows(dtype: str, k: int, spread: int) -> None:
    x = np.random.RandomState(0).randint(
        0, min(spread, 200 if dtype == "uint8" else spread), (9, 70)
    )
    x = x.astype(dtype)
    values, places = largest_of_rows(x, k)
    expected = by_sorting(x, k)
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(places, expected[1])
    found = tf.math.top_k(tf.constant(x.reshape(3, 3, 70)), k)
    assert found.values.dtype == dtype and found.indices.dtype == tf.int32
    np.testing.assert_array_equal(found.indices.numpy().reshape(9, k), expected[1])


def test_nan_is_among_the_largest_and_infinities_are_in_order() -> None:
    x = np.arange(80, dtype=np.float32)[::-1].reshape(1, 80).copy()
    x[0, 5], x[0, 6] = np.inf, -np.inf
    np.testing.assert_array_equal(tf.math.top_k(x, 3).indices.numpy(), [[5, 0, 1]])
    x[0, 40] = np.nan
    assert largest_of_rows(x, 3) is None
    np.testing.assert_array_equal(tf.math.top_k(x, 3).indices.numpy(), [[40, 5, 0]])


def test_one_hot_of_places_that_are_none() -> None:
    ids = np.array([[2, -1, 0], [3, 4, 1]])
    got = tf.one_hot(ids, 4, 2.5, 0.5).numpy()
    np.testing.assert_array_equal(got, np.where(np.arange(4) == ids[..., None], 2.5, 0.5))
    plain = tf.one_hot(ids.astype(np.uint8), 4)
    assert plain.dtype == tf.float32
    np.testing.assert_array_equal(plain.numpy(), np.arange(4) == ids.astype(np.uint8)[..., None])
    assert tf.one_hot(np.zeros((0, 2), np.int32), 3).shape == (0, 2, 3)
    assert tf.one_hot(2, 3, True, False).numpy().tolist() == [False, False, True]
    assert tf.one_hot([0, 1], 0).shape == (2, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "complex64"])
@pytest.mark.parametrize("segments", [5, 300])
@pytest.mark.parametrize("most", [1, 3, 2000])  # rows of the first id
def test_segments_are_summed(dtype: str, segments: int, most: int) -> None:
    rng = np.random.RandomState(0)
    counts = np.concatenate(([most], rng.randint(1, 9, segments - 1)))
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    rows = rng.randint(-9, 9, (counts.sum(), 3, 2)).astype(dtype)
    got = summed_segments(rows, starts)
    assert got.dtype == rows.dtype
    ends = starts + counts
    np.testing.assert_array_equal(got, [rows[a:b].sum(0) for a, b in zip(starts, ends)])
    ids = np.repeat(np.arange(segments), counts) * 2
    mixed = rng.permutation(len(ids))
    total = tf.math.unsorted_segment_sum(rows[mixed], ids[mixed], 2 * segments).numpy()
    np.testing.assert_array_equal(total[::2], got)
    assert not total[1::2].any()


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8", "uint64", "float32"])
@pytest.mark.parametrize("low", [-100, 0, 20])
def test_distinct_numbers_are_those_of_a_dictionary(dtype: str, low: int) -> None:
    low = max(low, 0) if dtype.startswith("u") else low
    x = np.random.RandomState(0).randint(low, low + 90, 500).astype(dtype)
    wide = x.copy()
    wide[7] = 2**62 if dtype.endswith("64") else 127  # too far apart for a table
    for values in (x, wide, x[:1]):
        seen: dict[float, int] = {}
        places = [seen.setdefault(v, len(seen)) for v in values.tolist()]
        y, index, count = tf.unique_with_counts(values)
        assert y.dtype == dtype and y.numpy().tolist() == list(seen)
        assert index.numpy().tolist() == places
        assert count.numpy().tolist() == [places.count(i) for i in range(len(seen))]
        assert tf.unique(values).idx.numpy().tolist() == places
    far = np.array([2**64 - 1, 5, 2**64 - 1], np.uint64)
    assert tf.unique(far).idx.numpy().tolist() == [0, 1, 0]

"""Random order and random numbers are TensorFlow's own: these were read off TensorFlow 2.15."""

import pytest

import shardtape as tf
from shardtape.data.seeds import Draws, RunKey, SeedGenerator

D = tf.data.Dataset


def numbers(dataset):
    return [int(x) for x in dataset]


def test_every_iteration_has_another_order_and_a_repetition_goes_on_in_it():
    orders = [
        [0, 4, 5, 1, 2, 7, 9, 8, 6, 3],
        [2, 1, 3, 4, 6, 8, 7, 9, 5, 0],
        [3, 1, 0, 4, 6, 5, 9, 8, 2, 7],
        [0, 2, 1, 4, 7, 8, 9, 6, 3, 5],
        [2, 0, 1, 6, 4, 5, 9, 7, 8, 3],
        [2, 1, 4, 0, 7, 3, 5, 6, 9, 8],
    ]
    dataset = D.range(10).shuffle(4, seed=1)
    assert [numbers(dataset) for _ in range(3)] == orders[:3]
    dataset = D.range(10).shuffle(4, seed=1).repeat(3)
    assert numbers(dataset) == sum(orders[:3], [])
    assert numbers(dataset) == sum(orders[3:], [])
    # TensorFlow begins a pass more at the end of a repetition, but for a shuffle right before it
    mapped = D.range(10).shuffle(4, seed=1).map(lambda x: x * 1)
    assert numbers(mapped.repeat(2)) == sum(orders[:2], [])
    assert numbers(mapped.repeat(2)) == sum(orders[3:5], [])
    once = D.range(10).shuffle(4, seed=1)
    assert numbers(D.range(1).flat_map(lambda _: once.repeat(2))) == sum(orders[:2], [])
    assert numbers(once) == orders[3]


def test_global_seed():
    tf.random.set_seed(5)
    dataset = D.range(10).shuffle(10)
    assert numbers(dataset) == [7, 5, 4, 1, 0, 9, 6, 3, 8, 2]
    assert numbers(dataset) == [9, 1, 6, 4, 2, 7, 0, 5, 8, 3]
    dataset = D.range(10).shuffle(10)
    assert numbers(dataset) == [1, 7, 4, 2, 3, 0, 8, 9, 5, 6]
    dataset = D.range(10).shuffle(10, seed=1)
    assert numbers(dataset) == [8, 2, 3, 1, 0, 4, 6, 7, 9, 5]


def test_without_seeds_orders_differ():

    orders = {tuple(numbers(D.range(30).shuffle(30))) for _ in range(3)}
    assert len(orders) == 3


def test_random_ops_of_functions_start_again_with_each_iteration():
    tf.random.set_seed(5)
    mapped = D.range(3).map(
        lambda x: (
            tf.random.uniform([], 0, 1000, tf.int32) + tf.random.uniform([], 0, 1000, tf.int32)
        )
    )
    assert numbers(mapped) == [441, 1258, 827]
    assert numbers(mapped) == [441, 1258, 827]
    mapped = D.range(3).map(lambda x: tf.random.uniform([], 0, 1000, tf.int32)).repeat(2)
    assert numbers(mapped) == [317, 456, 233, 149, 104, 157]


@pytest.mark.parametrize(
    ("weights", "stop", "expected"),
    [
        ([0.5, 0.3, 0.2], False, [0, 100, 200, 1, 101, 2, 201, 202, 3, 102, 4, 5, 103, 203]),
        (None, False, [0, 200, 201, 1, 202, 100, 203, 204, 101, 102, 2, 3, 103, 205]),
    ],
)
def test_sampling(weights, stop, expected):
    tf.random.set_seed(5)
    parts = [D.range(100 * i, 100 * i + 10) for i in range(3)]
    sampled = D.sample_from_datasets(parts, weights, seed=7, stop_on_empty_dataset=stop)
    assert numbers(sampled)[:14] == expected


def test_draws_go_on_anywhere():
    whole = Draws(3, 4).take(5000).tolist()
    pieces = Draws(3, 4)
    got = []
    for size in (1, 2, 3, 4, 1, 4990 - 1):
        got.extend(pieces.take(size).tolist())
    assert got == whole
    assert Draws(3, 4, drawn=4321).take(7).tolist() == whole[4321:4328]


def test_a_shuffle_inside_a_function_begins_anew_with_every_call():
    nested = D.range(2).flat_map(lambda i: D.range(6).shuffle(6, seed=3))
    assert numbers(nested)[:6] == numbers(nested)[6:]


def test_what_follows_from_a_key_is_the_same_everywhere():
    from shardtape.data.iterator import OwnedIterator

    dataset = (
        D.range(12).shuffle(12).map(lambda x: x * 1000 + tf.random.uniform([], 0, 9, tf.int64))
    )
    first = numbers(OwnedIterator(dataset, key=RunKey(3, 0)))
    numbers(dataset)  # what is iterated in between changes nothing
    assert numbers(OwnedIterator(dataset, key=RunKey(3, 0))) == first
    assert numbers(OwnedIterator(dataset, key=RunKey(3, 1))) != first
    assert numbers(OwnedIterator(dataset, key=RunKey(4, 0))) != first
    seeded = D.range(10).shuffle(4, seed=1)
    alone = [numbers(seeded) for _ in range(3)]
    assert [numbers(OwnedIterator(seeded, key=RunKey(9, e))) for e in range(3)] == alone


def test_a_cache_holds_what_the_first_epoch_of_a_job_gives():
    import pickle

    from shardtape.data.iterator import OwnedIterator

    sent = pickle.dumps(D.range(12).shuffle(12).cache())
    early, late = pickle.loads(sent), pickle.loads(sent)
    first = numbers(OwnedIterator(early, key=RunKey(3, 0)))
    assert numbers(OwnedIterator(early, key=RunKey(3, 5))) == first
    assert numbers(OwnedIterator(late, key=RunKey(3, 5))) == first, "a worker that came later"


def test_seed_generators_travel():
    import pickle

    generator = SeedGenerator((1, 2))
    generator.next()
    other = pickle.loads(pickle.dumps(generator))
    assert other.next() == generator.next()


def first_of(dataset):
    return int(next(iter(dataset)).numpy().reshape(-1)[0])


def test_a_shuffle_before_a_shuffle_takes_its_order_with_the_first_element():
    # an iterator that nobody reads takes one of the later shuffle only
    def after_an_unread_iterator(change):
        tf.random.set_seed(0)
        tf.keras.utils.set_random_seed(0)
        dataset = change(D.range(12).shuffle(100))
        unread = iter(dataset)
        found = next(iter(dataset)).numpy().tolist()
        del unread
        return found

    first = [11, 10, 0, 1, 7, 2, 8, 6, 5, 4, 3, 9]
    second = [6, 4, 5, 9, 11, 0, 7, 8, 3, 10, 1, 2]
    assert after_an_unread_iterator(lambda d: d.batch(12)) == second
    assert after_an_unread_iterator(lambda d: d.shuffle(1).batch(12)) == first
    assert after_an_unread_iterator(lambda d: d.map(lambda x: x + 0).shuffle(1).batch(12)) == first
    assert after_an_unread_iterator(lambda d: d.batch(4).shuffle(1).unbatch().batch(12)) == first
    assert after_an_unread_iterator(lambda d: d.concatenate(D.range(12)).batch(12)) == second
    behind = after_an_unread_iterator(lambda d: D.range(12).concatenate(d).batch(24))
    assert behind == [*range(12), *first]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.shuffle(10).repeat().batch(5),
        lambda d: d.shuffle(10).batch(5).repeat(),
        lambda d: d.shuffle(10).map(lambda x: x + 0).batch(5).repeat(),
        lambda d: d.filter(lambda x: x >= 0).shuffle(10).batch(5).repeat(),
    ],
)
def test_a_repetition_begins_its_next_pass_when_one_was_read(change):
    tf.keras.utils.set_random_seed(0)
    dataset = change(D.range(10))
    # the orders begin with 3, 4, 9, 2, 5, 3, 7 in TensorFlow
    reader = iter(dataset)
    assert next(reader).numpy().tolist() == [3, 8, 7, 1, 9]
    assert next(reader).numpy().tolist() == [2, 0, 4, 5, 6]
    assert first_of(dataset) == 9
    assert next(reader).numpy().tolist() == [4, 2, 7, 0, 1]


def test_elements_one_by_one_take_few_orders_ahead():
    def next_order(read):
        tf.keras.utils.set_random_seed(0)
        dataset = D.range(10).shuffle(10).repeat()
        reader = iter(dataset)
        for _ in range(read):
            next(reader)
        return first_of(dataset)

    assert [next_order(n) for n in (1, 3, 10, 11)] == [4, 4, 9, 9]

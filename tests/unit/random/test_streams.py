"""Seeds and streams: who draws from where, and what starts anew when."""

import threading

import numpy as np
import pytest

import shardtape as tf
from shardtape.backend import random
from shardtape.backend.philox import Philox, from_seeds
from shardtape.graph.ir import Graph
from shardtape.graph.plan import Plan
from shardtape.keras import initializers
from shardtape.ops import random as ops
from shardtape.random_generator import Generator


@pytest.fixture(autouse=True)
def _unseeded(monkeypatch):
    monkeypatch.setattr(random, "_process_seed", random.GlobalSeed())
    monkeypatch.setattr(random, "_process_streams", random.Streams())


def draws(count=3):
    """A little of everything stateful, as a step would draw it."""
    made = []
    for _ in range(count):
        made.append(ops.random_uniform([3], seed=1).numpy())
        made.append(ops.random_normal([2]).numpy())
        made.append(ops.random_shuffle(np.arange(9), seed=2).numpy())
        made.append(ops.categorical([[0.0, 1.0, 2.0]], 4).numpy())
    return made


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# ---- seeds ------------------------------------------------------------------------------------
def test_which_two_seeds_an_op_gets():
    assert random.get_seed(None) == (None, None)
    assert random.get_seed(7) == (random.DEFAULT_GRAPH_SEED, 7)
    random.set_seed(5)
    assert random.get_seed(7) == (5, 7)
    first = random.get_seed(None)
    assert first[0] == 5 and random.get_seed(None) != first
    random.set_seed(5)
    assert random.get_seed(None) == first
    random.set_seed(0)
    assert random.get_seed(0) == (0, 2**31 - 1)  # (0, 0) would mean "unseeded"


def test_a_graph_counts_its_unseeded_random_ops():
    graph = Graph()
    with graph.as_default():
        assert random.get_seed(None) == (None, None)
        ops.set_random_seed(42)
        assert graph.seed == 42 and random.global_seed() is None
        made = [ops.random_uniform([1]), ops.random_uniform([1], seed=9), ops.random_normal([1])]
    seeds = [(t.op if "Random" in t.op.type else t.op.inputs[0].op.inputs[0].op) for t in made]
    assert [(n.get_attr("seed"), n.get_attr("seed2")) for n in seeds] == [(42, 0), (42, 9), (42, 1)]


def test_unseeded_ops_are_refused_where_determinism_is_wanted():
    random.require_seeds()
    with pytest.raises(RuntimeError, match="Random ops require a seed"):
        ops.random_uniform([1])
    ops.random_uniform([1], seed=1)
    random.set_seed(1)
    ops.random_uniform([1])


def test_a_seeded_block_follows_from_its_seed_alone():
    def draw():
        return [
            tf.random.uniform([2]).numpy(),
            tf.random.normal([2], seed=3).numpy(),
            initializers.get("glorot_uniform")([2, 2]).numpy(),
        ]

    ops.set_seed(1)
    outside = draw()
    with random.seeded(8):
        inside = draw()
        assert random.global_seed() == 8
    ops.set_seed(1)
    with random.seeded(8):
        assert equal(draw(), inside)
    with random.seeded(None):
        assert equal(draw(), outside)  # neither block moved the outer streams
    with random.seeded(9):
        assert not equal(draw(), inside)


# ---- streams ----------------------------------------------------------------------------------
def test_a_stream_moves_on_and_the_global_seed_starts_it_anew():
    streams = random.Streams()
    assert streams.take("a", 5, 3, 256) == from_seeds(5, 3)
    assert streams.take("a", 5, 3, 1) == from_seeds(5, 3).skip(256)
    assert streams.take("b", 5, 3, 1) == from_seeds(5, 3)
    random.set_seed(1)
    assert streams.take("a", 5, 3, 1) == from_seeds(5, 3)


def test_streams_of_a_session_outlive_the_global_seed():
    streams = random.Streams(resets=False)
    streams.take("a", 5, 3, 256)
    random.set_seed(1)
    assert streams.take("a", 5, 3, 1) == from_seeds(5, 3).skip(256)


def test_unseeded_streams_start_anywhere_and_go_on():
    first, second = random.Streams(), random.Streams()
    start = first.take("a", 0, 0, 2)
    assert start != second.take("a", 0, 0, 2)
    assert first.take("a", 0, 0, 2) == start.skip(2)


def test_threads_never_get_the_same_part():
    streams, taken = random.Streams(), []

    def take():
        taken.extend([streams.take("a", 1, 1, 1).counter for _ in range(500)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=30)
    assert len(set(taken)) == 2000


def test_equal_ops_share_a_stream_and_nodes_do_not():
    ops.set_seed(3)
    first, second = (ops.random_uniform([2], seed=1).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    with Graph().as_default() as graph:
        made = [ops.random_uniform([2], seed=1), ops.random_uniform([2], seed=1)]
    one, two = Plan(graph, [], made).run([])
    np.testing.assert_array_equal(one, two)


# ---- a worker's step --------------------------------------------------------------------------
def test_a_second_attempt_draws_the_same():
    with random.step_key(11, 0, 2, 5):
        first = draws()
    draws(1)  # something else runs in between, and on another worker nothing does
    ops.set_seed(99)
    with random.step_key(11, 0, 2, 5):
        assert equal(draws(), first)


@pytest.mark.parametrize("other", [(12, 0, 2, 5), (11, 1, 2, 5), (11, 0, 3, 5), (11, 0, 2, 6)])
def test_other_batches_draw_otherwise(other):
    with random.step_key(11, 0, 2, 5):
        first = draws()
    with random.step_key(*other):
        second = draws()
    assert not any(
        np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a.dtype == np.float32
    )


def test_ops_of_a_step_have_different_streams():
    with random.step_key(1, 0, 0, 0):
        taken = [random.take(None, 5, 5, 1) for _ in range(100)]
    assert len({p.key for p in taken}) == 100
    assert all(isinstance(p, Philox) and p.counter % 2**64 == 0 for p in taken)


def test_a_plan_draws_what_eager_code_draws_in_a_step():
    with Graph().as_default() as graph:
        fetches = [ops.random_uniform([4]), ops.random_normal([3])]
    plan = Plan(graph, [], fetches)
    for _ in range(4):  # interpreted at first, later one generated function
        with random.step_key(1, 2, 3, 4):
            got = plan.run([])
        with random.step_key(1, 2, 3, 4):
            wanted = [ops.random_uniform([4]).numpy(), ops.random_normal([3]).numpy()]
        assert equal(got, wanted)


def test_a_step_leaves_streams_and_generators_where_they_are():
    ops.set_seed(4)
    generator = Generator.from_seed(1)
    ops.random_uniform([2], seed=1)
    with random.step_key(1, 2, 3, 4):
        draws()
        first = generator.normal([3]).numpy()
        assert random.in_step()
    with random.step_key(1, 2, 3, 4):
        draws()
        np.testing.assert_array_equal(generator.normal([3]).numpy(), first)
    assert not random.in_step()
    assert generator.state.numpy().tolist() == [1, 0, 0]
    after = ops.random_uniform([2], seed=1).numpy()
    ops.set_seed(4)
    ops.random_uniform([2], seed=1)
    np.testing.assert_array_equal(ops.random_uniform([2], seed=1).numpy(), after)


def test_a_step_is_one_thread_s_affair():
    seen = []
    with random.step_key(1, 2, 3, 4):
        other = threading.Thread(target=lambda: seen.append(random.in_step()))
        other.start()
        other.join(timeout=30)
    assert seen == [False]

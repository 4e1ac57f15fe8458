"""Running for many examples at once gives what one example after the other gives."""

import numpy as np
import pytest
from parity.op_cases import cases
from unit.ops import op_checks as checks

import shardtape as tf
from shardtape import dtypes as dt
from shardtape.context import building
from shardtape.graph import batch_rules
from shardtape.graph.batch_rules import Lane
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.vectorize import vectorize
from shardtape.ops import source
from shardtape.ops.registry import PURE, REGISTRY

COUNT = 3
TRIED = sorted(
    t
    for t, op in REGISTRY.items()
    if op.effects == PURE and op.samples is not None and batch_rules.find(op) is not None
)


def _lanes(op, case):
    """Every way to have one input or all of them batched: lists of flags."""
    count = len(case.inputs)
    free = [i for i in range(count) if not op.is_host(i, count)]
    for i in free:
        yield [j == i for j in range(count)]
    if len(free) > 1:
        yield [j in free for j in range(count)]


def _examples(x):
    """Different examples; scaled, so that matrices stay positive definite and signs the same."""
    if x.dtype.kind in "fc":
        return np.stack([x * (1 + 0.1 * i) for i in range(COUNT)]).astype(x.dtype)
    return np.stack([x] * COUNT)


@pytest.mark.parametrize("type_name", TRIED)
def test_rule(type_name):
    op = REGISTRY[type_name]
    for case in cases(op):
        if not case.smooth or case.dtype not in (dt.float64, None):
            continue
        for flags in _lanes(op, case):
            many = [_examples(x) if f else x for x, f in zip(case.inputs, flags)]
            want = []
            for i in range(COUNT):
                one = [checks.eager_tensor(x[i] if f else x) for x, f in zip(many, flags)]
                want.append([np.asarray(o) for o in checks.outputs(op(*one, **case.attrs))])
            graph = FuncGraph("case", None)
            with building(graph):
                places = [
                    graph.add_op(
                        source.placeholder, (), {"dtype": dt.from_numpy(x.dtype), "shape": x.shape}
                    )
                    for x in case.inputs
                ]
                fetches = checks.outputs(op(*places, **case.attrs))
            given = {p._id: Lane(checks.eager_tensor(x), f) for p, x, f in zip(places, many, flags)}
            got = vectorize(graph, fetches, given, COUNT)
            for k, lane in enumerate(got):
                what = f"{case.key} {flags} output {k}"
                value = np.asarray(lane.tensor)
                value = value if lane.batched else np.stack([value] * COUNT)
                expected = np.stack([outs[k] for outs in want])
                if not expected.size:
                    continue  # not asked for
                if type_name in checks.UP_TO_SIGN:
                    value, expected = np.abs(value), np.abs(expected)
                checks.close(value, expected, value.dtype.name, what, slack=10)


def test_an_op_without_a_rule_runs_example_by_example():
    assert batch_rules.find(REGISTRY["Unique"]) is None
    x = tf.constant([[3, 1, 3], [2, 2, 5]])
    got = tf.vectorized_map(lambda row: tf.roll(tf.tensor_scatter_nd_add(row, [[0]], [7]), 1, 0), x)
    assert got.numpy().tolist() == [[3, 10, 1], [5, 9, 2]]


def test_the_number_of_examples_must_be_known_for_it():
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def mapped(x):
        return tf.vectorized_map(lambda row: tf.tensor_scatter_nd_add(row, [[0]], [7.0]), x)

    with pytest.raises(ValueError, match="TensorScatterAdd has no rule"):
        mapped(tf.ones([2, 3]))


def test_structures_and_what_does_not_depend_on_the_example():
    pairs = tf.reshape(tf.range(12.0), [3, 2, 2])
    product, plain = tf.vectorized_map(lambda ab: (ab[0] @ ab[1], tf.ones([2])), (pairs, pairs))
    np.testing.assert_array_equal(product, pairs.numpy() @ pairs.numpy())
    np.testing.assert_array_equal(plain, np.ones((3, 2)))


def test_examples_draw_their_own_random_numbers():
    tf.random.set_seed(1)
    got = tf.vectorized_map(lambda x: x + tf.random.uniform([2]), tf.zeros([4, 2])).numpy()
    assert len(np.unique(got)) == 8


def test_a_variable_is_read_once_for_all_and_gets_its_gradient():
    w = tf.Variable([2.0, 3.0])
    x = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with tf.GradientTape() as tape:
        y = tf.vectorized_map(lambda row: tf.reduce_sum(row * w), x)
    np.testing.assert_array_equal(y, [8.0, 18.0, 28.0])
    np.testing.assert_array_equal(tape.gradient(y, w), [9.0, 12.0])

"""Placement: every row once, bytes balanced, TensorFlow's partitioners."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardtape import dtypes
from shardtape.errors import InvalidArgumentError, NotFoundError
from shardtape.ps.ids import Range, SpecTable, VariableSpec
from shardtape.ps.partition import (
    AUTO_MIN_PART_BYTES,
    FixedShardsPartitioner,
    MaxSizePartitioner,
    MinSizePartitioner,
    Placement,
    place,
)

shapes = st.lists(st.integers(0, 3000), max_size=2).map(tuple)
models = st.lists(
    st.tuples(shapes, st.sampled_from(["float32", "float16", "float64", "bfloat16"])), max_size=12
).map(lambda vs: [VariableSpec(f"v{i}", shape, dtype) for i, (shape, dtype) in enumerate(vs)])
partitioners = st.one_of(
    st.just("auto"),
    st.builds(MinSizePartitioner, st.integers(1, 1 << 20), st.integers(1, 9)),
    st.builds(MaxSizePartitioner, st.integers(1 << 12, 1 << 22), st.none() | st.integers(1, 9)),
)


@settings(deadline=None)
@given(models, st.integers(1, 9), partitioners)
def test_every_row_is_placed_once(specs, shards, partitioner):
    placement = place(specs, shards, partitioner)
    placement.check(specs)  # parts in order, no gap, no overlap, up to the last row
    assert sum((placement.of_shard(i) for i in range(shards)), ()) == tuple(
        sorted(placement.ranges, key=lambda r: (r.shard, r.id))
    )
    assert placement == place(reversed(specs), shards, partitioner)
    again = Placement.from_json(placement.to_json())
    assert again == placement and again.digest() == placement.digest()


@settings(deadline=None)
@given(models, st.integers(1, 9))
def test_auto_balances_bytes(specs, shards):
    table = SpecTable(specs)
    placement = place(specs, shards)
    loads = [
        sum(r.rows * table[r.key].row_bytes for r in placement.of_shard(i)) for i in range(shards)
    ]
    sizes = [r.rows * table[r.key].row_bytes for r in placement.ranges]
    # an even cut differs by one row, a whole small variable by its size, per variable
    slack = max(sizes, default=0) + sum(table[key].row_bytes for key in table)
    assert max(loads) - min(loads) <= slack


def test_auto_cuts_the_large_and_keeps_the_small_whole():
    specs = [
        VariableSpec("w0", (784, 1024), "float32"),
        VariableSpec("b0", (1024,), "float32"),
        VariableSpec("w1", (1024, 10), "float32"),
        VariableSpec("scalar", (), "float32"),
    ]
    placement = place(specs, 2)
    assert [(r.start, r.stop, r.shard) for r in placement.of_variable("w0")] == [
        (0, 392, 0), (392, 784, 1),
    ]  # fmt: skip
    for key, rows in (("b0", 1024), ("w1", 1024), ("scalar", 1)):
        (r,) = placement.of_variable(key)
        assert (r.start, r.stop) == (0, rows)
    assert {r.shard for r in placement.ranges} == {0, 1}
    just = AUTO_MIN_PART_BYTES // 4
    assert len(place([VariableSpec("v", (2 * just,), "float32")], 4).ranges) == 2


def test_digest_tells_placements_apart():
    specs = [VariableSpec("w", (784, 1024), "float32")]
    assert place(specs, 2).digest() != place(specs, 3).digest()
    assert place(specs, 2).digest() == place(specs, 2).digest()


@pytest.mark.parametrize(
    ("partitioner", "shape", "dtype", "parts"),
    [
        # values of tf.distribute.experimental.partitioners in TensorFlow 2.21.0
        (FixedShardsPartitioner(2), (10, 3), "float32", [2, 1]),
        (FixedShardsPartitioner(5), (3,), "float32", [3]),
        (MinSizePartitioner(), (100000, 10), "float32", [1, 1]),
        (MinSizePartitioner(4, max_shards=2), (6, 1), "float32", [2, 1]),
        (MinSizePartitioner(256 << 10, max_shards=8), (100000, 10), "float32", [8, 1]),
        (MinSizePartitioner(1 << 20, max_shards=8), (100000, 10), "float32", [4, 1]),
        (MinSizePartitioner(4, max_shards=10), (6, 1), "float64", [6, 1]),
        (MinSizePartitioner(1000, 10), (3,), "float32", [1]),
        (MaxSizePartitioner(4), (6, 1), "float32", [6, 1]),
        (MaxSizePartitioner(4, max_shards=2), (6, 1), "float32", [2, 1]),
        (MaxSizePartitioner(1024), (6, 1), "float32", [1, 1]),
        (MaxSizePartitioner(1 << 20), (100000, 10), "float32", [4, 1]),
        (MaxSizePartitioner(100), (7, 30), "float16", [7, 1]),
    ],
)
def test_tensorflows_partitioners(partitioner, shape, dtype, parts):
    assert partitioner(shape, dtype) == parts
    assert partitioner(shape, dtypes.as_dtype(dtype), axis=0) == parts


def test_fixed_shards_asks_for_enough_rows():
    specs = [VariableSpec("w", (10, 3), "float32"), VariableSpec("head/bias", (2,), "float32")]
    with pytest.raises(InvalidArgumentError, match=r"'head/bias'.*2 rows.*3 shards"):
        place(specs, 3, FixedShardsPartitioner(3))
    assert len(place(specs, 3, FixedShardsPartitioner(2)).of_variable("head/bias")) == 2
    scalar = place([VariableSpec("s", (), "float32")], 3, FixedShardsPartitioner(3))
    assert len(scalar.ranges) == 1


def test_parts_of_a_variable_go_to_different_shards():
    specs = [VariableSpec(f"v{i}", (12,), "float32") for i in range(4)]
    placement = place(specs, 3, FixedShardsPartitioner(3))
    for spec in specs:
        assert {r.shard for r in placement.of_variable(spec.key)} == {0, 1, 2}


def test_errors_name_the_culprit():
    with pytest.raises(InvalidArgumentError, match="shards must be >= 1"):
        place([], 0)
    with pytest.raises(InvalidArgumentError, match="'best'"):
        place([VariableSpec("v", (3,), "float32")], 1, "best")
    with pytest.raises(InvalidArgumentError, match=r"'v'.*\[1, 2\]"):
        place([VariableSpec("v", (3, 4), "float32")], 1, lambda shape, dtype, axis: [1, 2])
    with pytest.raises(InvalidArgumentError, match="two variables have the key 'v'"):
        place([VariableSpec("v", (3,), "float32"), VariableSpec("v", (4,), "float32")], 1)
    with pytest.raises(NotFoundError, match=r"'w'.*this job has v"):
        place([VariableSpec("v", (3,), "float32")], 1).of_variable("w")
    with pytest.raises(NotFoundError, match="no shard 1"):
        place([VariableSpec("v", (3,), "float32")], 1).of_shard(1)
    with pytest.raises(InvalidArgumentError, match="not a placement"):
        Placement.from_json('{"shards": 1}')
    with pytest.raises(InvalidArgumentError, match="'float33'"):
        VariableSpec("v", (3,), "float33")
    with pytest.raises(InvalidArgumentError, match="'frozen'"):
        VariableSpec("v", (3,), "float32", "frozen")
    with pytest.raises(InvalidArgumentError, match="num_shards"):
        FixedShardsPartitioner(0)


def test_check_finds_gaps():
    specs = [VariableSpec("v", (10,), "float32")]
    for ranges in (
        (Range("v", 0, 0, 4, 0), Range("v", 1, 5, 10, 0)),
        (Range("v", 0, 0, 6, 0), Range("v", 1, 5, 10, 0)),
        (Range("v", 0, 0, 9, 0),),
        (Range("v", 0, 0, 10, 1),),
        (Range("v", 0, 0, 10, 0), Range("w", 0, 0, 1, 0)),
    ):
        with pytest.raises(InvalidArgumentError):
            Placement(1, ranges).check(specs)

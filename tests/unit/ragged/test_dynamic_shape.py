"""Shapes of RaggedTensors and row partitions; results of TensorFlow 2.15."""

import pytest

import shardtape as tf

Shape = tf.experimental.DynamicRaggedShape
Rows = tf.experimental.RowPartition

RAGGED = tf.ragged.constant([[1, 2], [3]])
INNER = tf.ragged.constant([[[1, 2], [3, 4]], [[5, 6]]], ragged_rank=1)
DEEP = tf.ragged.constant([[[1, 2], [3]], [[5, 6, 7]]])


@pytest.mark.parametrize(
    ("value", "lengths", "count"),
    [(RAGGED, "[2, (2, 1)]", 1), (INNER, "[2, (2, 1), 2]", 1), (DEEP, "[2, (2, 1), (2, 1, 3)]", 2)],
)
def test_shape_of_a_ragged_tensor(value, lengths, count):
    shape = tf.shape(value)
    assert repr(shape) == f"<DynamicRaggedShape lengths={lengths} num_row_partitions={count}>"
    assert repr(shape.static_lengths()) == lengths
    assert shape.dtype is tf.int32 and shape.rank == value.shape.rank
    assert shape.num_row_partitions == count and shape.inner_rank == shape.rank - count
    assert tf.shape(value, tf.int64).dtype is tf.int64


def test_functions_that_take_a_shape():
    def results(value):
        shape = tf.shape(value)
        return (
            tf.ones(shape), tf.zeros(shape, tf.int32), tf.fill(shape, 7),
            tf.broadcast_to([[1], [2]], shape), tf.broadcast_to(3, shape),
            tf.broadcast_to(value, shape), tf.reshape(tf.range(3), shape), shape[0], shape,
        )  # fmt: skip

    signed = tf.function(results, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    for run in (results, tf.function(results), signed):
        *made, rows, shape = run(RAGGED)
        assert [m.to_list() for m in made] == [
            [[1.0, 1.0], [1.0]], [[0, 0], [0]], [[7, 7], [7]], [[1, 1], [2]], [[3, 3], [3]],
            [[1, 2], [3]], [[0, 1], [2]],
        ]  # fmt: skip
        assert int(rows) == 2 and shape.static_lengths() == [2, (2, 1)]
        assert made[0].row_splits.dtype is tf.int32
    assert tf.fill(tf.shape(INNER), 7).to_list() == [[[7, 7], [7, 7]], [[7, 7]]]
    assert tf.zeros(tf.shape(DEEP), tf.int32).to_list() == [[[0, 0], [0]], [[0, 0, 0]]]
    assert tf.ones(Shape.from_lengths([2, 3])).shape == (2, 3)
    uniform = tf.ones(Shape.from_lengths([2, 3, 4], num_row_partitions=1))
    assert isinstance(uniform, tf.RaggedTensor) and uniform.shape == (2, 3, 4)
    last = tf.broadcast_to([1, 2, 3], Shape.from_lengths([2, (2, 1), 3]))
    assert last.to_list() == [[[1, 2, 3], [1, 2, 3]], [[1, 2, 3]]]
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.broadcast_to([[1], [2]], tf.shape(DEEP))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.reshape(tf.range(4), tf.shape(RAGGED))
    with pytest.raises(ValueError, match="cannot be converted"):
        tf.random.normal(tf.shape(RAGGED))


def test_reshape_of_ragged_values():
    assert tf.reshape(RAGGED, [3, -1]).numpy().tolist() == [[1], [2], [3]]
    assert tf.reshape(DEEP, [3, -1]).numpy().tolist() == [[1, 2], [3, 5], [6, 7]]
    assert tf.reshape(INNER, [-1]).numpy().tolist() == [1, 2, 3, 4, 5, 6]
    other = tf.reshape(RAGGED, Shape.from_lengths([2, (1, 2)]))
    assert other.to_list() == [[1], [2, 3]]


def test_gradients_pass_through_shapes():
    x = tf.Variable([[1.0], [2.0]])
    with tf.GradientTape() as tape:
        spread = tf.broadcast_to(x, tf.shape(RAGGED))
        y = tf.reduce_sum(spread * spread)
    assert tape.gradient(y, x).numpy().tolist() == [[4.0], [4.0]]


@pytest.mark.parametrize(
    ("lengths", "count", "shown"),
    [
        ([2, (2, 1), 3], None, "[2, (2, 1), 3] num_row_partitions=1"),
        ([2, (2, 1), 3], 2, "[2, (2, 1), 3] num_row_partitions=2"),
        ([2, 3, (1, 2, 3, 4, 5, 6)], None, "[2, 3, (1, 2, 3, 4, 5, 6)] num_row_partitions=2"),
        ([2, 3], None, "[2, 3] num_row_partitions=0"),
        ([2, 3], 1, "[2, 3] num_row_partitions=1"),
        ([2], None, "[2] num_row_partitions=0"),
        ([], None, "[] num_row_partitions=0"),
    ],
)
def test_from_lengths(lengths, count, shown):
    shape = Shape.from_lengths(lengths, num_row_partitions=count)
    assert repr(shape) == f"<DynamicRaggedShape lengths={shown}>" and shape.dtype is tf.int64


def test_what_is_no_shape():
    with pytest.raises(ValueError, match="not consistent"):
        Shape.from_lengths([2, (1, 1, 1)])
    with pytest.raises(ValueError, match="should be a list"):
        Shape.from_lengths(tf.constant([2, 3]))
    with pytest.raises(ValueError, match="instead 'a'"):
        Shape.from_lengths([2, "a"])
    with pytest.raises(ValueError, match="cannot be empty"):
        Shape.from_row_partitions([])
    with pytest.raises(tf.errors.InvalidArgumentError, match="inner_shape"):
        Shape([Rows.from_row_lengths([2, 1])], [4], validate=True)
    with pytest.raises(TypeError):
        hash(tf.shape(RAGGED))


def test_items():
    shape = Shape.from_lengths([2, (2, 1), 3, 4])
    uniform = Shape.from_lengths([2, 3, 4], num_row_partitions=1)
    shown = [shape[:3], shape[:2], shape[:1], shape[:0], uniform[1:], uniform[:2]]
    assert [repr(s)[28:-1] for s in shown] == [
        "[2, (2, 1), 3] num_row_partitions=1", "[2, (2, 1)] num_row_partitions=1",
        "[2] num_row_partitions=0", "[] num_row_partitions=0", "[3, 4] num_row_partitions=0",
        "[2, 3] num_row_partitions=1",
    ]  # fmt: skip
    assert [int(shape[i]) for i in (0, 2, -1)] == [2, 3, 4] and int(uniform[1]) == 3
    assert [shape.is_uniform(i) for i in range(4)] == [True, False, True, True]
    for index, kind, text in [
        (1, ValueError, "Index 1 is not uniform"), (5, IndexError, "5>=4"),
        (slice(1, 3), ValueError, "must be uniform"), (slice(None, None, 2), IndexError, "stride"),
        ("a", TypeError, "not an int or a slice"), ((1, 2), TypeError, "not an int or a slice"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=text):
            shape[index]


def test_equality_and_types():
    shape = Shape.from_lengths([2, (2, 1)])
    assert bool(shape == Shape.from_tensor(RAGGED))
    assert not bool(shape == Shape.from_lengths([2, (1, 2)]))
    assert (shape == tf.shape(RAGGED)) is False and bool(shape != tf.shape(RAGGED))
    assert shape.with_dtype(tf.int32).row_partitions[0].dtype is tf.int32
    assert shape.static_lengths(ragged_lengths=False) == [2, None]
    assert repr(tf.type_spec_from_value(tf.shape(RAGGED))) == (
        "DynamicRaggedShape.Spec(row_partitions=(RowPartitionSpec(nrows=2, nvals=3, "
        "uniform_row_length=None, dtype=tf.int32),), static_inner_shape=TensorShape([3]), "
        "dtype=tf.int32)"
    )
    assert repr(Shape.from_tensor([[1, 2], [3, 4]])) == (
        "<DynamicRaggedShape lengths=[2, 2] num_row_partitions=0>"
    )


@pytest.mark.parametrize(
    ("a", "b", "shown"),
    [
        ([2, (2, 1)], [2, 1], "[2, (2, 1)] num_row_partitions=1"),
        ([2, (2, 1), 1], [3], "[2, (2, 1), 3] num_row_partitions=1"),
        ([2, 3], [2, 1], "[2, 3] num_row_partitions=0"),
    ],
)
def test_common_shapes(a, b, shown):
    for other in (Shape.from_lengths(b), tf.constant(b, tf.int64)):
        made = tf.broadcast_dynamic_shape(Shape.from_lengths(a), other)
        assert repr(made) == f"<DynamicRaggedShape lengths={shown}>"


def test_row_partitions():
    made = [
        Rows.from_row_splits([0, 2, 3]), Rows.from_row_lengths([2, 1]),
        Rows.from_value_rowids([0, 0, 1]), Rows.from_row_starts([0, 2], nvals=3),
        Rows.from_row_limits([2, 3]),
    ]  # fmt: skip
    for rows in made:
        assert repr(rows) == "tf.RowPartition(row_splits=[0 2 3])" and rows.dtype is tf.int64
        assert rows.row_lengths().numpy().tolist() == [2, 1]
        assert rows.value_rowids().numpy().tolist() == [0, 0, 1]
        assert rows.offsets_in_rows().numpy().tolist() == [0, 1, 0]
        assert rows.row_starts().numpy().tolist() == [0, 2]
        assert (int(rows.nrows()), int(rows.nvals()), rows.static_nrows) == (2, 3, 2)
        assert rows.uniform_row_length() is None and not rows.is_uniform()
    assert [rows.static_nvals for rows in made] == [None, None, 3, 3, None]
    uniform = Rows.from_uniform_row_length(2, 6)
    assert repr(uniform) == "tf.RowPartition(nrows=3, uniform_row_length=2)"
    assert int(uniform.uniform_row_length()) == uniform.static_uniform_row_length == 2
    assert Rows.from_row_lengths([2, 1], dtype=tf.int32).with_dtype(tf.int64).dtype is tf.int64
    inside = tf.function(lambda rows: (rows, rows.value_rowids()))(uniform)
    assert repr(inside[0]) == repr(uniform) and inside[1].numpy().tolist() == [0, 0, 1, 1, 2, 2]
    for wrong in (lambda: Rows.from_row_splits([1, 2]), lambda: Rows.from_row_lengths([-1, 2]),
                  lambda: Rows.from_value_rowids([1, 0])):  # fmt: skip
        with pytest.raises(tf.errors.InvalidArgumentError):
            wrong()
    with pytest.raises(ValueError, match="must equal nvals=5"):
        Rows.from_uniform_row_length(2, 5)
    with pytest.raises(ValueError, match="from_row_lengths"):
        Rows(row_splits=tf.constant([0, 1]))

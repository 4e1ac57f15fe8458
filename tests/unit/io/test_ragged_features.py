"""RaggedFeature with partitions; values and shapes are TensorFlow 2.15's."""

import pytest

import shardtape as tf
from shardtape.errors import InvalidArgumentError

R = tf.io.RaggedFeature


def feature(values):
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features):
    made = {key: feature(values) for key, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made))


A = example(v=[1., 2., 3., 4., 5., 6.], splits=[0, 2, 2, 6], lengths=[2, 0, 4], starts=[0, 2, 2],
            limits=[2, 2, 6], ids=[0, 0, 2, 2, 2, 2], outer=[0, 1, 3], few=[1, 2])  # fmt: skip
B = example(v=[7., 8., 9., 10.], splits=[0, 1, 4], lengths=[1, 3], starts=[0, 1],
            limits=[1, 4], ids=[0, 1, 1, 1], outer=[0, 0, 2], few=[0, 2])  # fmt: skip
NONE = example(other=[1])
BAD = example(v=[7.0, 8.0], splits=[0, 1, 5], lengths=[1, 3], starts=[0, 4], limits=[1, 4],
              ids=[1, 0])  # fmt: skip
a, b, none, bad = (e.SerializeToString() for e in (A, B, NONE, BAD))

ROWS_A = [[1.0, 2.0], [], [3.0, 4.0, 5.0, 6.0]]
ROWS_B = [[7.0], [8.0, 9.0, 10.0]]
ONE_LEVEL = {
    "splits": R.RowSplits("splits"), "lengths": R.RowLengths("lengths"),
    "starts": R.RowStarts("starts"), "limits": R.RowLimits("limits"), "ids": R.ValueRowIds("ids"),
}  # fmt: skip


def single(record, partitions, **options):
    return tf.io.parse_single_example(record, {"f": R(tf.float32, "v", partitions, **options)})["f"]


def batch(records, partitions, **options):
    return tf.io.parse_example(records, {"f": R(tf.float32, "v", partitions, **options)})["f"]


@pytest.mark.parametrize("kind", ONE_LEVEL)
def test_a_feature_cuts_values_into_rows(kind):
    got = single(a, [ONE_LEVEL[kind]])
    assert got.to_list() == ROWS_A and got.shape.as_list() == [3, None]
    assert got.row_splits.dtype is tf.int32
    got = batch([a, none, b], [ONE_LEVEL[kind]], row_splits_dtype=tf.int64)
    assert got.to_list() == [ROWS_A, [], ROWS_B] and got.shape.as_list() == [3, None, None]
    assert [s.numpy().tolist() for s in got.nested_row_splits] == [[0, 3, 3, 5],
                                                                   [0, 2, 2, 6, 7, 10]]  # fmt: skip
    assert got.row_splits.dtype is tf.int64
    empty = batch(tf.zeros([0], tf.string), [ONE_LEVEL[kind]])
    assert empty.to_list() == [] and empty.shape.as_list() == [0, None, None]
    with pytest.raises(InvalidArgumentError, match="Key: v, Index: 1.*do not cut 2 items"):
        batch([a, bad], [ONE_LEVEL[kind]])


def test_two_partitions():
    expected_a, expected_b = [ROWS_A[:1], ROWS_A[1:]], [[], ROWS_B]
    for first, second in ((R.RowSplits("outer"), ONE_LEVEL["splits"]),
                          (R.RowLengths("few"), ONE_LEVEL["ids"])):  # fmt: skip
        assert single(a, (first, second)).to_list() == expected_a
        got = batch([a, b], (first, second))
        assert got.to_list() == [expected_a, expected_b] and got.ragged_rank == 3


def test_rows_of_one_length():
    got = single(a, [R.UniformRowLength(2)])
    assert isinstance(got, tf.Tensor)
    assert got.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    got = batch([a, none, b], [R.UniformRowLength(2)])
    assert got.to_list() == [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [], [[7.0, 8.0], [9.0, 10.0]]]
    assert got.shape.as_list() == [3, None, 2] and got.ragged_rank == 1
    got = single(a, [R.UniformRowLength(1), R.UniformRowLength(2)])
    assert got.shape == (3, 1, 2)
    got = single(a, [R.UniformRowLength(1), R.RowSplits("splits")])
    assert got.to_list() == [[row] for row in ROWS_A] and got.shape.as_list() == [3, 1, None]
    assert got.ragged_rank == 2 and got.row_splits.dtype is tf.int32
    got = batch([a, b], [R.UniformRowLength(1), R.RowSplits("splits")])
    assert got.shape.as_list() == [2, None, 1, None]
    with pytest.raises(InvalidArgumentError, match="6 items cannot be cut into rows of 4"):
        single(a, [R.UniformRowLength(4)])
    with pytest.raises(ValueError, match="RaggedFeature 'f': rows of length 0"):
        single(a, [R.UniformRowLength(0)])


def test_specs_in_datasets():
    records = tf.data.Dataset.from_tensors([a, b])

    def spec(dataset, partitions):
        features = {"f": R(tf.float32, "v", partitions)}
        return dataset.map(lambda s: tf.io.parse_example(s, features)).element_spec["f"]

    two = [R.RowSplits("outer"), R.RowSplits("splits")]
    assert spec(records, two) == tf.RaggedTensorSpec([2, None, None, None], tf.float32, 3, tf.int32)
    assert spec(records.unbatch(), two) == tf.RaggedTensorSpec(
        [None, None, None], tf.float32, 2, tf.int32)  # fmt: skip
    uniform = [R.RowLengths("lengths"), R.UniformRowLength(2)]
    assert spec(records, uniform) == tf.RaggedTensorSpec(
        [2, None, None, 2], tf.float32, 2, tf.int32)  # fmt: skip
    assert spec(records.unbatch(), [R.UniformRowLength(2)]) == tf.TensorSpec([None, 2], tf.float32)
    parsed = records.map(lambda s: tf.io.parse_example(s, {"f": R(tf.float32, "v", two)}))
    assert next(iter(parsed))["f"].to_list() == [[ROWS_A[:1], ROWS_A[1:]], [[], ROWS_B]]


def sequence(context, **lists):
    made = tf.train.SequenceExample(context=context.features)
    for key, steps in lists.items():
        for step in steps:
            made.feature_lists.feature_list[key].feature.append(
                feature(step) if step else tf.train.Feature()
            )
    return made.SerializeToString()


def test_feature_lists():
    first = sequence(A, q=[[1.0, 2.0], [], [3.0, 4.0, 5.0, 6.0]], s=[[0, 1, 2], [0], [0, 4]],
                     n=[[1, 1], [], [4]])  # fmt: skip
    second = sequence(B, q=[[7.0, 8.0]], s=[[0, 2]], n=[[2]])
    missing = sequence(NONE)

    def parse(record, partitions):
        features = {"q": R(tf.float32, None, partitions)}
        if isinstance(record, list):
            return tf.io.parse_sequence_example(record, None, features)[1]["q"]
        return tf.io.parse_single_sequence_example(record, None, features)[1]["q"]

    assert parse(first, ()).to_list() == ROWS_A
    assert parse([first, missing, second], ()).to_list() == [ROWS_A, [], [[7.0, 8.0]]]
    steps = [[[1.0], [2.0]], [], [[3.0, 4.0, 5.0, 6.0]]]
    for partition in (R.RowSplits("s"), R.RowLengths("n")):
        assert parse(first, [partition]).to_list() == steps
        got = parse([first, missing, second], [partition])
        assert got.to_list() == [steps, [], [[[7.0, 8.0]]]] and got.ragged_rank == 3
    got = parse([first, missing, second], [R.UniformRowLength(2)])
    assert got.to_list() == [[[[1, 2]], [], [[3, 4], [5, 6]]], [], [[[7, 8]]]]
    assert got.shape.as_list() == [3, None, None, 2]
    shorter = sequence(A, q=[[1.0], [2.0]], s=[[0, 1]])
    with pytest.raises(InvalidArgumentError, match="different numbers of steps: q: 2, s: 1"):
        parse(shorter, [R.RowSplits("s")])
    context, _ = tf.io.parse_single_sequence_example(
        first, {"c": R(tf.float32, "v", [R.RowSplits("splits")])}, {"q": R(tf.float32)}
    )
    assert context["c"].to_list() == ROWS_A


def test_what_a_partition_is():
    with pytest.raises(TypeError, match="`partitions` must be a list of partition objects"):
        R(tf.float32, "v", [3])
    with pytest.raises(TypeError, match="`partitions` must be a list"):
        R(tf.float32, "v", R.RowSplits("s"))
    assert repr(R(tf.float32, partitions=[R.RowSplits("s"), R.UniformRowLength(2)])) == (
        "RaggedFeature(dtype=tf.float32, value_key=None, partitions=[RowSplits(key='s'), "
        "UniformRowLength(length=2)], row_splits_dtype=tf.int32, validate=False)"
    )


def test_names_come_in_the_order_of_their_kinds():
    features = {
        "z": tf.io.FixedLenFeature([1], tf.int64, [1]), "v": tf.io.VarLenFeature(tf.float32),
        "a": R(tf.int64, "outer"), "q": tf.io.SparseFeature("ids", "v", tf.float32, 9),
        "b": tf.io.FixedLenSequenceFeature([], tf.int64, True),
    }  # fmt: skip
    assert list(tf.io.parse_example([a, b], features)) == ["v", "b", "z", "a", "q"]


GOOD = (
    '{"features": {"feature": {"a": {"int64List": {"value": [1, "2", -9007199254740993, null]}}, '
    '"b": {"floatList": {"value": [1.5, 2, "NaN", "-Infinity", "3.25", 1e3]}}, '
    '"c": {"bytesList": {"value": ["aGk=", "", "_-8="]}}, "d": null, "e": {"int64List": {}}, '
    '"f": {"int64_list": {"value": 3}}}}}'
)


def test_examples_in_json():
    decoded = tf.io.decode_json_example([[GOOD], ["{}"]])
    assert decoded.shape == (2, 1) and decoded.dtype is tf.string
    found = tf.train.Example.FromString(decoded.numpy()[0, 0]).features.feature
    assert list(found["a"].int64_list.value) == [1, 2, -9007199254740993]
    assert str(list(found["b"].float_list.value)) == "[1.5, 2.0, nan, -inf, 3.25, 1000.0]"
    assert list(found["c"].bytes_list.value) == [b"hi", b"", b"\xff\xef"]
    assert found["d"].WhichOneof("kind") is None
    assert found["e"].WhichOneof("kind") == "int64_list" and found["f"].int64_list.value == [3]
    assert decoded.numpy()[1, 0] == b""
    features = {"a": tf.io.VarLenFeature(tf.int64)}
    mapped = tf.data.Dataset.from_tensors(GOOD).map(
        lambda s: tf.io.parse_single_example(tf.io.decode_json_example(s), features)
    )
    assert next(iter(mapped))["a"].values.numpy().tolist() == [1, 2, -9007199254740993]


MISFITS = [
    ("int64List", "1.5"), ("int64List", '"x"'), ("int64List", "9223372036854775808"),
    ("int64List", "true"), ("floatList", '"x"'), ("floatList", "1e60"), ("bytesList", '"%%"'),
    ("bytesList", "3"), ("nope", "3"),
]  # fmt: skip


def of_one_list(kind, value):
    return f'{{"features": {{"feature": {{"a": {{"{kind}": {{"value": [{value}]}}}}}}}}}}'


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", "[]", '{"unknown": 1}', GOOD + " x", '{"features": {"feature": []}}']
    + [of_one_list(*misfit) for misfit in MISFITS],
)
def test_json_that_is_no_example(value):
    with pytest.raises(InvalidArgumentError, match="Error while parsing JSON: "):
        tf.io.decode_json_example(value)


def test_a_list_as_json():
    decoded = tf.io.decode_json_example(of_one_list("int64List", "3")).numpy()
    assert tf.train.Example.FromString(decoded) == example(a=[3])

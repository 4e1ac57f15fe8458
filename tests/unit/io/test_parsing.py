"""Serialised Examples: the wire format in all its spellings, against protobuf's own reader."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shardtape as tf
from shardtape.io import example_wire as wire
from shardtape.io.example_parser import Dense, Sparse, parse

T = tf.train


def feature(values):
    if not values:
        return T.Feature()
    if isinstance(values[0], bytes):
        return T.Feature(bytes_list=T.BytesList(value=values))
    if isinstance(values[0], float):
        return T.Feature(float_list=T.FloatList(value=values))
    return T.Feature(int64_list=T.Int64List(value=values))


def example(**features):
    made = {name: feature(values) for name, values in features.items()}
    return T.Example(features=T.Features(feature=made))


_LISTS = st.one_of(
    st.lists(st.binary(max_size=40), max_size=4),
    st.lists(st.floats(width=32, allow_nan=False), max_size=40),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40),
)


@given(st.dictionaries(st.text(max_size=20), _LISTS, max_size=6))
def test_every_example_reads_as_protobuf_reads_it(content):
    message = T.Example(
        features=T.Features(feature={name: feature(values) for name, values in content.items()})
    )
    found = wire.example_features(message.SerializeToString())
    assert set(found) == {name.encode() for name in content}
    for name, values in content.items():
        got = found[name.encode()]
        if not values:
            assert got is None
            continue
        array = wire.values(got)
        assert (
            wire.KINDS[got[1]]
            is {bytes: tf.string, float: tf.float32, int: tf.int64}[type(values[0])]
        )
        assert array.tolist() == list(getattr(message.features.feature[name],
                                              message.features.feature[name].WhichOneof("kind"),
                                              ).value)  # fmt: skip


def field(number, kind, payload):
    """A field of the wire format."""
    key = bytes([number << 3 | kind])
    return key + (bytes([len(payload)]) if kind == 2 else b"") + payload


def test_unusual_but_right_spellings():
    unpacked = b"".join(field(1, 0, bytes([n])) for n in (5, 6)) + field(1, 2, b"\x07\xac\x02")
    floats = field(1, 5, np.float32(1.5).tobytes()) + field(1, 2, np.float32([2, 3]).tobytes())
    strings = field(1, 2, b"a") + field(9, 0, b"\x01") + field(1, 2, b"b")
    entries = {
        b"ints": field(3, 2, unpacked),
        b"floats": field(2, 2, floats),
        b"strings": field(1, 2, strings),
        b"merged": field(3, 2, field(1, 2, b"\x01")) + field(3, 2, field(1, 2, b"\x02")),
        b"replaced": field(3, 2, field(1, 2, b"\x01")) + field(2, 2, floats),
        b"unknown": field(7, 5, b"abcd"),
        b"none": b"",
    }
    body = field(5, 1, b"12345678")
    for key, value in entries.items():
        body += field(1, 2, field(2, 2, value) + field(1, 2, key))  # the key behind the value
    data = field(3, 0, b"\x01") + b"\x0a" + bytes([len(body) & 127 | 128, len(body) >> 7]) + body
    found = wire.example_features(data)
    assert wire.values(found[b"ints"]).tolist() == [5, 6, 7, 300]
    assert wire.values(found[b"floats"]).tolist() == [1.5, 2, 3]
    assert wire.values(found[b"strings"]).tolist() == [b"a", b"b"]
    assert wire.values(found[b"merged"]).tolist() == [1, 2]
    assert wire.values(found[b"replaced"]).tolist() == [1.5, 2, 3]
    assert found[b"unknown"] is None and found[b"none"] is None
    message = T.Example.FromString(data)
    assert list(message.features.feature["ints"].int64_list.value) == [5, 6, 7, 300]
    assert list(message.features.feature["merged"].int64_list.value) == [1, 2]


def test_broken_bytes_never_pass_nor_hang():
    whole = example(x=[1, 300, -5], y=[1.5] * 20, s=[b"abc"]).SerializeToString()
    rng = random.Random(0)
    wanted = [Dense("x", (3,), tf.int64), Sparse("y", tf.float32), Sparse("s", tf.string)]
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        data = bytes(broken[: rng.randint(0, len(broken))])
        for single in (True, False):
            try:
                parse([data], wanted, single=single)
            except tf.errors.InvalidArgumentError:
                pass


def test_long_lists_are_decoded_at_once():
    ints = [(-1) ** i * 7**i % 2**62 for i in range(2000)]
    floats = np.random.default_rng(0).random(5000, np.float32)
    data = example(i=ints, f=floats.tolist()).SerializeToString()
    found = tf.io.parse_single_example(
        data,
        {"i": tf.io.FixedLenFeature([40, 50], tf.int64), "f": tf.io.VarLenFeature(tf.float32)},
    )
    np.testing.assert_array_equal(found["i"], np.reshape(ints, (40, 50)))
    np.testing.assert_array_equal(tf.sparse.to_dense(found["f"]), floats)


def test_a_batch_is_its_examples():
    rng = np.random.default_rng(1)
    records = [
        example(
            i=rng.integers(-(2**40), 2**40, 3).tolist(),
            one=[int(rng.integers(0, 300))],
            f=rng.random(4, np.float32).tolist(),
            s=[b"x" * int(rng.integers(0, 200))],
            v=rng.integers(0, 9, rng.integers(0, 4)).tolist(),
        ).SerializeToString()
        for _ in range(17)
    ]
    features = {
        "i": tf.io.FixedLenFeature([3], tf.int64),
        "one": tf.io.FixedLenFeature([], tf.int64),
        "f": tf.io.FixedLenFeature([2, 2], tf.float32),
        "s": tf.io.FixedLenFeature([], tf.string),
        "v": tf.io.VarLenFeature(tf.int64),
    }
    together = tf.io.parse_example(records, features)
    alone = [tf.io.parse_single_example(r, features) for r in records]
    for name in ("i", "one", "f", "s"):
        np.testing.assert_array_equal(together[name], np.stack([a[name] for a in alone]))
    dense = tf.sparse.to_dense(together["v"]).numpy()
    for row, one in zip(dense, alone):
        values = tf.sparse.to_dense(one["v"]).numpy()
        np.testing.assert_array_equal(row[: len(values)], values)
        assert not row[len(values) :].any()


_ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(-300, 300), min_size=2, max_size=2),
        st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3),
        st.binary(max_size=6),
        st.lists(st.integers(0, 300), max_size=2),  # a feature that nobody asks for
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@given(_ROWS)
def test_a_dense_batch_is_its_examples_however_they_are_laid_out(rows):
    records = []
    for ints, floats, text, other, with_default in rows:
        more = {"d": [7]} if with_default else {}
        made = example(i=ints, f=floats, s=[text], o=other, **more)
        records.append(made.SerializeToString(deterministic=True))
    features = {
        "i": tf.io.FixedLenFeature([2], tf.int64),
        "f": tf.io.FixedLenFeature([3], tf.float32),
        "s": tf.io.FixedLenFeature([], tf.string),
        "d": tf.io.FixedLenFeature([1], tf.int64, [5]),
    }
    found = tf.io.parse_example(records, features)
    for name, values in zip("ifs", zip(*rows)):
        assert found[name].numpy().tolist() == [list(v) if name != "s" else v for v in values]
    assert found["d"].numpy().ravel().tolist() == [7 if row[4] else 5 for row in rows]


def test_errors_name_example_and_feature():
    features = {"x": tf.io.FixedLenFeature([2], tf.int64)}
    records = [example(x=[1, 2]).SerializeToString(), example(x=[1]).SerializeToString()]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Name: second, Key: x, Index: 1"):
        tf.io.parse_example(records, features, example_names=["first", "second"])
    for wrong, error in (
        ({"x": tf.io.FixedLenFeature([2], tf.float64)}, ValueError),
        ({"x": tf.io.FixedLenFeature([None], tf.int64)}, ValueError),
        ({"x": tf.io.FixedLenSequenceFeature([], tf.int64)}, ValueError),
        ({"x": tf.int64}, ValueError),
        ({}, ValueError),
    ):
        with pytest.raises(error):
            tf.io.parse_example(records, wrong)


def test_tensorflow_reads_what_we_write():
    """Bytes of TensorFlow 2.15 for the same message (a map of one entry has one order)."""
    assert example(a=[1]).SerializeToString() == b"\n\x0c\n\n\n\x01a\x12\x05\x1a\x03\n\x01\x01"
    assert T.Example.FromString(b"\n\x0c\n\n\n\x01a\x12\x05\x1a\x03\n\x01\x01") == example(a=[1])
    words = 'features { feature { key: "a" value { float_list { value: 1.5 } } } }'
    assert str(example(a=[1.5])).split() == words.split(" ")

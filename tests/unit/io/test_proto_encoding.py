"""`tf.io.encode_proto`; bytes recorded from TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf


def encoded(message, counts, **fields):
    return tf.io.encode_proto(
        sizes=counts, values=list(fields.values()), field_names=list(fields), message_type=message
    )


C = tf.constant
CASES = [
    ("Int64List", [[2], [1]], {"value": C([[5, 6], [7, 8]], tf.int64)}, [b"\n\x02\5\6", b"\n\1\7"]),
    ("Int64List", [[0]], {"value": C([[5, 6]], tf.int64)}, [b""]),
    ("FloatList", [[2]], {"value": C([[5.0, 6.0]])}, [b"\n\x08\x00\x00\xa0@\x00\x00\xc0@"]),
    ("FloatList", [[1]], {"value": C([[5.0]], tf.float64)}, [b"\n\x04\x00\x00\xa0@"]),
    ("BytesList", [[2]], {"value": C([[b"a", b"bc"]])}, [b"\n\1a\n\2bc"]),
    ("Feature", [[1]], {"bytes_list": C([[b"\n\1a"]])}, [b"\n\3\n\1a"]),
    ("NodeDef", [[1, 1]], {"op": C([["op"]]), "name": C([["nm"]])}, [b"\n\2nm\x12\2op"]),
    ("NodeDef", [[2]], {"name": C([["x", "y"]])}, [b"\n\1x\n\1y"]),
    ("NodeDef", [[1]], {"name": C([[""]])}, [b"\n\0"]),
    (
        "TensorProto",
        [[1, 1, 2]],
        {"version_number": C([[0]]), "dtype": C([[7]]), "bool_val": C([[True, False]])},
        [b"\x08\x07\x18\x00Z\x02\x01\x00"],
    ),
    (
        "TensorProto",
        [[1, 1]],
        {"uint32_val": C([[7]], tf.uint32), "uint64_val": C([[9]], tf.uint64)},
        [b"\x82\x01\x01\x07\x8a\x01\x01\t"],
    ),
]


@pytest.mark.parametrize("message, counts, fields, expected", CASES)
def test_messages_have_tensorflows_bytes(message, counts, fields, expected):
    made = encoded(f"tensorflow.{message}", counts, **fields)
    assert made.numpy().tolist() == expected


def test_negative_numbers_take_ten_bytes_and_batches_keep_their_shape():
    made = encoded("tensorflow.Int64List", np.ones([1, 2, 1], np.int32),
                   value=C([[[5], [-8]]], tf.int64))  # fmt: skip
    assert made.shape == (1, 2)
    assert made.numpy().tolist() == [[b"\n\1\5", b"\n\n\xf8\xff\xff\xff\xff\xff\xff\xff\xff\1"]]


def test_what_was_encoded_is_decoded_in_a_function():
    @tf.function(
        input_signature=[tf.TensorSpec([None, 1], tf.int32), tf.TensorSpec(None, tf.int64)]
    )
    def there_and_back(sizes, values):
        data = tf.io.encode_proto(sizes, [values], ["value"], "tensorflow.Int64List")
        return data, tf.io.decode_proto(data, "tensorflow.Int64List", ["value"], [tf.int64])

    data, (sizes, (values,)) = there_and_back(C([[2], [1]]), C([[5, 6], [7, 8]], tf.int64))
    assert data.shape == (2,)
    np.testing.assert_array_equal(sizes, [[2], [1]])
    np.testing.assert_array_equal(values, [[5, 6], [7, 0]])


@pytest.mark.parametrize(
    "message, counts, fields, text",
    [
        ("Int64List", [[3]], {"value": C([[5, 6]], tf.int64)}, "3 > 2 at message 0 field 0"),
        ("Int64List", [[2]], {"value": C([[5, 6]])}, "Saw dtype: int32 but field type is: int64"),
        ("Int64List", [1], {"value": C([5, 6], tf.int64)}, "at least a matrix"),
        ("Int64List", [[1]], {"nope": C([[5]], tf.int64)}, "Unknown field: nope"),
        ("Int64List", [[1, 1]], {"value": C([[5]], tf.int64)}, "expected: .1, 1"),
        ("Nope", [[1]], {"value": C([[5]], tf.int64)}, "message type tensorflow.Nope"),
        ("TensorProto", [[1]], {"dtype": C([[7]], tf.int64)}, "field type is: enum"),
    ],
)
def test_what_does_not_fit_is_refused(message, counts, fields, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        encoded(f"tensorflow.{message}", counts, **fields)


def test_strings_of_serialised_sparse_tensors_are_one_piece():
    words = tf.SparseTensor([[0, 0], [1, 3]], ["abc", "x" * 200], [3, 4])
    places, values, shape = tf.io.serialize_sparse(words).numpy()
    # TensorFlow's bytes: the lengths, behind them the strings
    assert values == b'\x08\x07\x12\x04\x12\x02\x08\x02"\xce\x01\x03\xc8\x01abc' + b"x" * 200
    read = tf.io.parse_tensor(values, tf.string).numpy().tolist()
    assert read == [b"abc", b"x" * 200]
    rows = tf.io.deserialize_many_sparse(tf.io.serialize_many_sparse(words), tf.string)
    assert rows.values.numpy().tolist() == read and rows.indices.numpy().tolist() == [
        [0, 0],
        [1, 3],
    ]
    torn = values[:-1].replace(b"\xce\x01\x03", b"\xcd\x01\x03")
    with pytest.raises(tf.errors.InvalidArgumentError, match="other lengths"):
        tf.io.parse_tensor(torn, tf.string)

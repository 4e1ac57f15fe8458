"""Calls on strings, ragged and sparse tensors, tables, lists; see `function_cases.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ROWS = [[3, 1, 4, 1], [], [5, 9, 2], [6], []]
WORDS = [["apple pie", "Fig"], ["Kiwi"]]


def _rt(tf: Any) -> Any:
    return tf.ragged.constant(ROWS)


def _nested(tf: Any) -> Any:
    return tf.ragged.constant([[[1, 2], [3]], [], [[4, 5, 6]]])


def _sparse(tf: Any) -> Any:
    return tf.SparseTensor([[0, 1], [1, 0], [2, 2]], [1.0, 2.0, 3.0], [3, 3])


def _other(tf: Any) -> Any:
    return tf.sparse.from_dense([[0, 1.0, 0], [0, 0, 4], [-5, 0, 0]])


def _loop(tf: Any) -> Any:
    @tf.function
    def powers(x, n):
        out = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        s = x
        for i in tf.range(n):
            s = s * x
            out = out.write(i, s)
        return out.stack()

    x = tf.constant([2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = powers(x, tf.constant(3))
        loss = tf.reduce_sum(y * y)
    return [y, tape.gradient(loss, x)]


def _lists(tf: Any) -> Any:
    @tf.function
    def use(x):
        a = tf.TensorArray(tf.float32, size=3).unstack(x)
        b = tf.TensorArray(tf.float32, size=2, infer_shape=False).split(x, [1, 2])
        return a.gather([2, 0]), b.concat(), a.scatter([0], [[9.0, 9.0]]).stack(), a.size()

    x = tf.constant(np.arange(6.0).reshape(3, 2), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        *got, size = use(x)
        loss = tf.add_n([tf.reduce_sum(g * g) for g in got])
    return [*got, size, tape.gradient(loss, x)]


def _both(tf: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Eagerly and as a function."""
    return [function(*args), tf.function(function)(*args)]


def _table(tf: Any) -> Any:
    keys = tf.constant(["a", "b"])
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1, 2])), -1
    )
    vocabulary = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.constant([0, 1], tf.int64)), 3
    )
    asked = tf.constant([["a", "z"], ["b", "longer word"]])
    return [
        *_both(tf, table.lookup, asked), *_both(tf, vocabulary.lookup, asked), table.size(),
        vocabulary.size(), table.lookup(tf.ragged.constant([["b"], ["q", "a"]])),
    ]  # fmt: skip


CASES: dict[str, Callable[[Any], Any]] = {
    # strings
    "split": lambda tf: [
        tf.strings.split("a b  c"), tf.strings.split(["a b", "", "c,d e"]),
        tf.strings.split([["a b", "c"], ["d", "e f"]]), tf.strings.split(["a,b,c"], ","),
        tf.strings.split(["a,b,c"], ",", maxsplit=1), tf.strings.bytes_split(["ab", "c"]),
    ],
    "join": lambda tf: [
        tf.strings.join(["a", ["b", "c"]], "-"), tf.strings.join([["x", "y"], ["z", "w"]]),
        tf.strings.reduce_join([["a", "b"], ["c", "d"]]),
        tf.strings.reduce_join([["a", "b"], ["c", "d"]], 0, separator="+"),
        tf.strings.reduce_join([["a", "b"], ["c", "d"]], [0, 1]),
        tf.strings.reduce_join(tf.ragged.constant(WORDS), 1, separator="|"),
    ],
    "text": lambda tf: [
        tf.strings.length(["", "abc"]), tf.strings.length(["Göö"], unit="UTF8_CHAR"),
        tf.strings.lower("ABÇ"), tf.strings.lower("ABÇ", encoding="utf-8"),
        tf.strings.upper(["abc"]), tf.strings.strip(["  a b \n"]),
        tf.strings.substr(["hello", "world"], 1, 3), tf.strings.substr("hello", -3, 2),
        tf.strings.substr(["abc", "xyz"], [0, 1], [1, 2]),
        tf.strings.regex_replace("a.b!c", "[.!]", ""),
        tf.strings.regex_replace(["aab", "b"], "(a+)", "<\\1>"),
        tf.strings.regex_full_match(["ab", "abc"], "a.b?"),
        tf.strings.length(tf.ragged.constant(WORDS)), tf.strings.lower(tf.ragged.constant(WORDS)),
    ],
    "numbers": lambda tf: [
        tf.strings.to_number(["1.5", "-2e3"]), tf.strings.to_number("12", tf.int32),
        tf.strings.as_string([1.5, 2.0]), tf.strings.as_string([1, -2]),
        tf.strings.as_string([True, False]), tf.strings.as_string(3.14159, precision=2),
        tf.strings.as_string(1e10, scientific=True), tf.strings.as_string(7, width=4, fill="0"),
    ],
    "format": lambda tf: [
        tf.strings.format("a {} b {}", (tf.constant([1, 2]), tf.constant("s"))),
        tf.strings.format("{}", tf.range(10)),
        tf.strings.format("%t", tf.constant(2.5), placeholder="%t"),
        tf.strings.format("{}", tf.reshape(tf.range(100.0), [10, 10]), summarize=2),
    ],
    "hash": lambda tf: [
        tf.strings.to_hash_bucket_fast(["a", "hello" * n, "z" * 77], 1000) for n in range(6)
    ] + [tf.strings.to_hash_bucket(["a", "b"], 50),
         tf.strings.to_hash_bucket_strong(["a", "b"], 50, [1, 2])],
    "unicode": lambda tf: [
        tf.strings.unicode_decode(["Göö", "a"], "UTF-8"), tf.strings.unicode_decode("a😊", "UTF-8"),
        tf.strings.unicode_split("Göö", "UTF-8"),
        *tf.strings.unicode_decode_with_offsets(["Göö"], "UTF-8"),
        tf.strings.unicode_encode([[71, 246], [97, 98]], "UTF-8"),
        tf.strings.unicode_encode(tf.ragged.constant([[71, 246], [97]]), "UTF-16-BE"),
        tf.strings.unicode_transcode("Gö", "UTF-8", "UTF-16-BE"),
    ],
    "ngrams": lambda tf: [
        tf.strings.ngrams(["a", "b", "c"], 2), tf.strings.ngrams(tf.ragged.constant(WORDS), [1, 2]),
        tf.strings.ngrams(["a", "b"], 3, pad_values=("L", "R"), separator="_"),
    ],
    # ragged
    "ragged_made": lambda tf: [
        _rt(tf), _nested(tf), tf.RaggedTensor.from_row_lengths([1, 2, 3], [1, 0, 2]),
        tf.RaggedTensor.from_value_rowids([1, 2, 3], [0, 2, 2], nrows=5),
        tf.RaggedTensor.from_row_starts([1, 2, 3], [0, 0, 2]),
        tf.RaggedTensor.from_row_limits([1, 2, 3], [1, 3]),
        tf.RaggedTensor.from_uniform_row_length([1, 2, 3, 4], 2),
        tf.RaggedTensor.from_nested_row_splits([1, 2, 3], [[0, 1, 2], [0, 2, 3]]),
        tf.RaggedTensor.from_tensor([[1, 2, 0], [3, 0, 0]], padding=0),
        tf.RaggedTensor.from_tensor([[1, 2, 0], [3, 0, 0]], lengths=[1, 3]),
        tf.RaggedTensor.from_sparse(tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [1, 2, 3], [3, 4])),
        tf.ragged.range([3, 0, 2]), tf.ragged.range([0, 5], [4, 2], [2, -1]),
        tf.ragged.stack([tf.constant([1, 2]), tf.constant([3])]),
        tf.ragged.constant([[[1, 2], [3, 4]], [[5, 6]]], ragged_rank=1),
        tf.ragged.stack_dynamic_partitions(["a", "b", "c"], [2, 0, 2], 3),
    ],
    "ragged_read": lambda tf: [
        _rt(tf)[0], _rt(tf)[-2], _rt(tf)[1:3], _rt(tf)[:, :2], _rt(tf)[:, -1:], _rt(tf)[2, 1],
        _rt(tf)[:, ::2], _rt(tf)[:, ::-1], _rt(tf)[..., 1:], _nested(tf)[0], _nested(tf)[0, 1],
        _nested(tf)[:, :, :1], _nested(tf)[:, 1:], tf.gather(_rt(tf), [2, 0]),
        tf.gather([10, 11, 12, 13], tf.ragged.constant([[3], [0, 1]])),
        tf.gather(_rt(tf), tf.ragged.constant([[0], [2, 3]])),
        tf.ragged.boolean_mask(_rt(tf), [True, False, True, False, False]),
        tf.ragged.boolean_mask([[1, 2], [3, 4]], [[True, False], [True, True]]),
        tf.ragged.boolean_mask(_rt(tf), _rt(tf) > 2), tf.where(_rt(tf) > 2),
    ],
    "ragged_about": lambda tf: [
        _rt(tf).row_lengths(), _rt(tf).value_rowids(), _rt(tf).nrows(), _rt(tf).row_starts(),
        _rt(tf).bounding_shape(), _nested(tf).bounding_shape(), _nested(tf).row_lengths(axis=2),
        tf.size(_rt(tf)), tf.rank(_nested(tf)), *_nested(tf).nested_row_lengths(),
    ],
    "ragged_dense": lambda tf: [
        _rt(tf).to_tensor(), _rt(tf).to_tensor(-1), _rt(tf).to_tensor(shape=[None, 2]),
        _rt(tf).to_tensor(9, shape=[6, 5]), _nested(tf).to_tensor(), _rt(tf).to_sparse(),
        _nested(tf).to_sparse(), _nested(tf).merge_dims(0, 1), _nested(tf).merge_dims(1, 2),
    ],
    "ragged_elements": lambda tf: [
        _rt(tf) + 1, 2 * _rt(tf), _rt(tf) + _rt(tf), _rt(tf) * [[1], [2], [3], [4], [5]],
        -_rt(tf), _rt(tf) > 2, tf.square(_rt(tf)), tf.cast(_rt(tf), tf.float32) / 2.0,
        tf.ragged.map_flat_values(tf.add, _rt(tf), 5), tf.zeros_like(_rt(tf)),
        tf.where(_rt(tf) > 2, _rt(tf), -_rt(tf)), tf.one_hot(_rt(tf), 3),
    ],
    "ragged_reduced": lambda tf: [
        f(_rt(tf), axis=a)
        for f in (tf.reduce_sum, tf.reduce_max, tf.reduce_mean, tf.reduce_prod, tf.reduce_min)
        for a in (None, 0, 1)
    ] + [
        tf.reduce_sum(_nested(tf), axis=1), tf.reduce_sum(_nested(tf), axis=2),
        tf.reduce_sum(_nested(tf), axis=0), tf.reduce_sum(_nested(tf), axis=[1, 2]),
        tf.reduce_any(_rt(tf) > 4, axis=1), tf.reduce_all(_rt(tf) > 0, axis=1),
        tf.reduce_sum(_rt(tf), axis=1, keepdims=True),
        tf.math.reduce_variance(tf.cast(_rt(tf), tf.float32), axis=1),
    ],
    "ragged_joined": lambda tf: [
        tf.concat([_rt(tf), _rt(tf)], 0), tf.concat([_rt(tf), _rt(tf)[:, :1]], 1),
        tf.stack([_rt(tf), _rt(tf)]), tf.stack([_rt(tf), _rt(tf)], 1),
        tf.expand_dims(_rt(tf), 0), tf.expand_dims(_rt(tf), 1), tf.expand_dims(_rt(tf), 2),
        tf.tile(_rt(tf), [2, 1]), tf.tile(_rt(tf), [1, 2]), tf.reverse(_rt(tf), [1]),
        tf.reverse(_rt(tf), [0]), tf.concat([_nested(tf), _nested(tf)], 2),
    ],
    # sparse
    "sparse_sums": lambda tf: [
        tf.sparse.add(_sparse(tf), _other(tf)), tf.sparse.add(_sparse(tf), tf.ones([3, 3])),
        tf.sparse.add(_sparse(tf), _other(tf), threshold=2.0), tf.sparse.reduce_sum(_other(tf), 1),
        tf.sparse.reduce_sum(_other(tf)), tf.sparse.reduce_sum(_other(tf), 0, keepdims=True),
        tf.sparse.reduce_max(_other(tf), 1),
        tf.sparse.reduce_max(_other(tf), 1, output_is_sparse=True),
        tf.sparse.maximum(_sparse(tf), _other(tf)), tf.sparse.minimum(_sparse(tf), _other(tf)),
    ],
    "sparse_products": lambda tf: [
        tf.sparse.sparse_dense_matmul(_sparse(tf), np.ones((3, 2), np.float32)),
        tf.sparse.sparse_dense_matmul(
            _sparse(tf), np.arange(6, dtype=np.float32).reshape(2, 3), adjoint_a=True,
            adjoint_b=True,
        ),
        tf.sparse.sparse_dense_matmul(np.ones((2, 3), np.float32), _other(tf)),
        _sparse(tf) * tf.constant([1.0, 2.0, 3.0]), _sparse(tf) / 2.0,
        tf.sparse.softmax(_other(tf)), tf.sparse.map_values(tf.square, _other(tf)),
    ],
    "sparse_parts": lambda tf: [
        tf.sparse.to_dense(_sparse(tf)), tf.sparse.to_dense(_sparse(tf), -1.0),
        tf.sparse.slice(_sparse(tf), [0, 1], [2, 2]), tf.sparse.concat(1, [_sparse(tf)] * 2),
        tf.sparse.concat(0, [_sparse(tf), _other(tf)]), *tf.sparse.split(_other(tf), 2, axis=1),
        tf.sparse.transpose(_other(tf)), tf.sparse.reshape(_other(tf), [-1]),
        tf.sparse.retain(_sparse(tf), [True, False, True]), tf.sparse.expand_dims(_other(tf), 0),
        *tf.sparse.fill_empty_rows(tf.SparseTensor([[0, 1]], [1.0], [3, 2]), 9.0),
        tf.sparse.reorder(tf.SparseTensor([[1, 0], [0, 1]], [1, 2], [2, 2])),
        tf.sparse.eye(2, 3), tf.sparse.reset_shape(_sparse(tf)),
        tf.sparse.to_indicator(tf.SparseTensor([[0, 0], [1, 0]], [1, 2], [2, 1]), 4),
    ],
    # rows, lists, tables
    "map_fn": lambda tf: [
        *_both(tf, lambda x: tf.map_fn(lambda r: r * r + 1.0, x), tf.constant([[1.0], [3.0]])),
        *_both(tf, lambda x: tf.map_fn(
            lambda n: tf.range(n), x,
            fn_output_signature=tf.RaggedTensorSpec([None], tf.int32, ragged_rank=0)),
            tf.constant([3, 0, 2])),
        *_both(tf, lambda x: tf.map_fn(tf.reduce_sum, x, fn_output_signature=tf.int32), _rt(tf)),
        tf.map_fn(lambda a: (a[0] + a[1], a[0]), (tf.constant([1, 2]), tf.constant([3, 4])),
                  fn_output_signature=(tf.int32, tf.int32)),
    ],
    "scan": lambda tf: [
        *_both(tf, lambda x: tf.scan(lambda a, b: a * b, x), tf.constant([1.0, 2.0, 3.0])),
        *_both(tf, lambda x: tf.scan(lambda a, b: a + b, x, initializer=10.0, reverse=True),
               tf.constant([1.0, 2.0, 3.0])),
        *_both(tf, lambda x: tf.foldl(lambda a, b: a - b, x), tf.constant([1.0, 2.0, 4.0])),
        *_both(tf, lambda x: tf.foldr(lambda a, b: a - b, x), tf.constant([1.0, 2.0, 4.0])),
        *_both(tf, lambda x: tf.foldl(lambda a, b: a + b, x, initializer=1.0),
               tf.constant([1.0, 2.0])),
    ],
    "tensor_array": _loop,
    "tensor_array_parts": _lists,
    "tables": _table,
    "average_loss": lambda tf: [
        tf.nn.compute_average_loss([1.0, 2.0, 6.0]),
        tf.nn.compute_average_loss([1.0, 2.0], sample_weight=[0.5, 1.0], global_batch_size=4),
        tf.nn.scale_regularization_loss([1.0, 2.0]),
    ],
}  # fmt: skip

"""Evaluates the expressions of cases.txt with TensorFlow or with Shardtape as `tf`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CASES = Path(__file__).parent / "cases.txt"
RECORDED = Path(__file__).parent / "tensorflow_2_15.json"
_MOST_ELEMENTS = 40
_P = namedtuple("P", "a b")
_SEQUENCES = [[0], [1, 2, 3, 4], [5, 6, 7], [7, 8, 9, 10, 11], [13, 14, 15, 16, 19, 20], [21, 22]]


def expressions() -> Iterator[str]:
    for line in CASES.read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def _feature(tf: Any, values: list[Any]) -> Any:
    if not values:
        return tf.train.Feature()
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(tf: Any, **features: list[Any]) -> bytes:
    """A serialised Example."""
    made = {name: _feature(tf, values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def sequence(tf: Any, context: dict[str, list[Any]], **lists: list[list[Any]]) -> bytes:
    """A serialised SequenceExample."""
    made = {
        name: tf.train.FeatureList(feature=[_feature(tf, step) for step in steps])
        for name, steps in lists.items()
    }
    return tf.train.SequenceExample(
        context=tf.train.Features(feature={k: _feature(tf, v) for k, v in context.items()}),
        feature_lists=tf.train.FeatureLists(feature_list=made),
    ).SerializeToString()


def names(tf: Any, folder: str) -> dict[str, Any]:
    """What the expressions may use; writes their files."""
    dataset = tf.data.Dataset
    found: dict[str, Any] = {
        "tf": tf, "np": np, "D": dataset, "R": dataset.range, "X": tf.data.experimental, "P": _P,
        "folder": folder,
        "SEQUENCES": lambda: dataset.from_generator(lambda: _SEQUENCES, tf.int64, [None]),
        "A": example(tf, x=[1, 2], y=[1.5], s=[b"a", b"bc"], v=[7, 8, 900]),
        "B": example(tf, x=[3, -4], y=[2.5], s=[b"d"]),
        "C": example(tf, x=[3], y=[2.5]),
        "SPARSE": example(tf, i=[3, 1], w=[1.5, 2.5]),
        "Q": sequence(tf, {"n": [2]}, tok=[[1, 2], [3, 4]], var=[[1], [2, 3]]),
        "Q2": sequence(tf, {"n": [1]}, tok=[[5, 6]], var=[[]]),
        "INTS2": tf.io.FixedLenFeature([2], tf.int64),
        "FLOAT": tf.io.FixedLenFeature([], tf.float32),
        "STRINGS": tf.io.VarLenFeature(tf.string),
        "MANY": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
        "CONTEXT": {"n": tf.io.FixedLenFeature([], tf.int64)},
        "LISTS": {
            "tok": tf.io.FixedLenSequenceFeature([2], tf.int64),
            "var": tf.io.VarLenFeature(tf.int64),
        },
    }  # fmt: skip
    files = {
        "a.txt": b"l1\nl2\r\n\nl4",
        "b.txt": b"m1\nm2\n",
        "inner/b.txt": b"inner",
        "fixed": b"HH" + b"abcdefghi" + b"F",
        "c.csv": b'a,b,c\n1,2.5,"x, ""y"""\n,,z\n3,1e3,\n',
        "d.csv": b"a,b,c\n7,8,9\n",
        "lines.csv": b'"two\nlines",1\r\nx,2\n',
    }
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    records = [b"", b"one", b"two" * 400]
    for kind in ("", "ZLIB", "GZIP"):
        with tf.io.TFRecordWriter(f"{folder}/{kind.lower() or 'plain'}.tfrecord", kind) as writer:
            for record in records:
                writer.write(record)
    with tf.io.TFRecordWriter(f"{folder}/examples.tfrecord") as writer:
        for i in range(4):
            writer.write(example(tf, x=[i, -i], y=[i / 2]))
    return found


def shown(value: Any, dataset: type) -> Any:
    """A value in plain Python, the same for TensorFlow and for Shardtape."""
    if isinstance(value, dict):
        return {k: shown(v, dataset) for k, v in sorted(value.items())}
    if hasattr(value, "dense_shape"):
        parts = [value.indices.numpy(), value.values.numpy(), value.dense_shape.numpy()]
        return ["sparse", str(value.shape), *[p.tolist() for p in parts]]
    if hasattr(value, "row_splits"):
        splits = [s.numpy().tolist() for s in value.nested_row_splits]
        return ["ragged", value.dtype.name, value.to_list(), splits]
    if isinstance(value, dataset):
        return ["dataset", [shown(v, dataset) for v in value]]
    if hasattr(value, "_fields"):
        return [type(value).__name__, *[shown(v, dataset) for v in value]]
    if isinstance(value, (list, tuple)):
        return [shown(v, dataset) for v in value]
    if hasattr(value, "numpy"):
        array = value.numpy()
        plain = array if isinstance(array, bytes) else np.asarray(array).tolist()
        return [value.dtype.name, plain]
    if isinstance(value, np.generic):
        return [value.dtype.name, value.item()]
    if isinstance(value, (bytes, str, int, float, type(None))):
        return value
    return repr(value)


def evaluate(expression: str, known: dict[str, Any]) -> str:
    """What an expression gives: of a dataset its spec, cardinality and elements."""
    dataset = known["D"]
    try:
        value = eval(expression, dict(known))
        if not isinstance(value, dataset):
            return repr(shown(value, dataset))
        elements = [shown(e, dataset) for e in value.take(_MOST_ELEMENTS)]
        head = f"{value.element_spec} {int(value.cardinality())}"
        return f"{head} {elements!r}".replace(known["folder"], "FOLDER")
    except Exception as error:  # noqa: BLE001 - which kind it is, is the result
        return f"raises {type(error).__name__}"

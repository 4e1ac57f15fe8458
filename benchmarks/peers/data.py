"""Input pipelines of TensorFlow, two cores: microseconds for each element of ready batches.

    python data.py tf [--seconds 0.5]

`pipelines` takes the module, so that ours are measured by the same code (benchmarks/data.py).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from measure import emit, pin, summary

EXAMPLES, FEATURES, BATCH = 60_000, 784, 128
RECORDS = 10_000


def pipelines(tf: Any, folder: str) -> dict[str, Callable[[], Any]]:
    """Datasets by name; each is iterated over whole."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.random((EXAMPLES, FEATURES), dtype=np.float32)
    pixels = (x * 255).astype(np.uint8).reshape(EXAMPLES, 28, 28)
    y = rng.integers(0, 10, EXAMPLES)
    dataset, auto = tf.data.Dataset, tf.data.AUTOTUNE
    slices = dataset.from_tensor_slices((x, y))
    images = dataset.from_tensor_slices((pixels, y))
    path = os.path.join(folder, "examples.tfrecord")
    _write(tf, path, x)
    features = {
        "x": tf.io.FixedLenFeature([64], tf.float32),
        "y": tf.io.FixedLenFeature([], tf.int64),
    }
    return {
        "shuffle_batch": lambda: slices.shuffle(10_000).batch(BATCH).prefetch(2),
        "scale_shuffle_batch": lambda: (
            images.map(lambda a, b: (tf.cast(a, tf.float32) / 255.0, b), num_parallel_calls=auto)
            .shuffle(10_000)
            .batch(BATCH)
            .prefetch(auto)
        ),
        "map_batch": lambda: (
            images.take(20_000)
            .map(lambda a, b: (tf.tanh(tf.cast(a, tf.float32)), b), num_parallel_calls=auto)
            .batch(BATCH)
            .prefetch(auto)
        ),
        "elements": lambda: dataset.range(50_000).map(lambda a: a * 2),
        "records_batch": lambda: (
            tf.data.TFRecordDataset(path)
            .batch(BATCH)
            .map(lambda r: tf.io.parse_example(r, features), num_parallel_calls=auto)
            .prefetch(auto)
        ),
    }


def _write(tf: Any, path: str, x: Any) -> None:
    train = tf.train
    with tf.io.TFRecordWriter(path) as writer:
        for i in range(RECORDS):
            floats = train.Feature(float_list=train.FloatList(value=x[i, :64].tolist()))
            number = train.Feature(int64_list=train.Int64List(value=[i]))
            features = train.Features(feature={"x": floats, "y": number})
            writer.write(train.Example(features=features).SerializeToString())


def measure(tf: Any, peer: str, seconds: float) -> None:
    """Emits the microseconds of an example in each pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        for name, make in pipelines(tf, folder).items():
            dataset = make()
            examples = {"map_batch": 20_000, "elements": 50_000, "records_batch": RECORDS}
            count = examples.get(name, EXAMPLES)
            times: list[float] = []
            begin = time.perf_counter()
            while time.perf_counter() - begin < seconds or len(times) < 3:
                start = time.perf_counter()
                for _element in dataset:
                    pass
                times.append((time.perf_counter() - start) / count * 1e6)
            emit("data", peer, "us per call", summary(times[1:]), what=name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["tf"])
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    pin(2)
    from measure import tensorflow

    measure(tensorflow(2), "tf", options.seconds)

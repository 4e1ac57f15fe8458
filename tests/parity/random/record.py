"""Records TensorFlow's random numbers: run with a Python that has tensorflow==2.15.

    python tests/parity/random/record.py

Writes tests/parity/data/random.npz (values; bfloat16 as its bits), random.json (node names) and
nothing else. The tests beside this file compare Shardtape with them and need no TensorFlow.
"""

import hashlib
import json
import os
import random
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from keras.src import backend

DATA = Path(__file__).resolve().parent.parent / "data"
FLOATS = ("float16", "bfloat16", "float32", "float64")
SIZES = (1, 3, 7, 1003)
LARGE = 100_001  # TensorFlow splits this among threads
values = {}


def keep(name, tensor):
    array = tensor.numpy() if hasattr(tensor, "numpy") else np.asarray(tensor)
    values[name] = array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def digest(tensor):
    return np.frombuffer(hashlib.sha256(tensor.numpy().tobytes()).digest(), np.uint8)


def stateful():
    draws = {
        "uniform": tf.random.uniform,
        "normal": tf.random.normal,
        "truncated_normal": tf.random.truncated_normal,
    }
    for dtype in FLOATS:
        for kind, draw in draws.items():
            for size in SIZES:
                tf.random.set_seed(5)
                for turn in range(2):
                    keep(f"{kind}/{dtype}/{size}/{turn}", draw([size], dtype=dtype, seed=3))
            tf.random.set_seed(6)
            values[f"{kind}/{dtype}/large"] = digest(draw([LARGE], dtype=dtype, seed=-2))
    for dtype, low, high in (("int32", -5, 1000003), ("int64", -(2**62), 2**62 + 5)):
        for size in SIZES:
            tf.random.set_seed(5)
            for turn in range(2):
                drawn = tf.random.uniform([size], low, high, dtype, seed=3)
                keep(f"integers/{dtype}/{size}/{turn}", drawn)
    tf.random.set_seed(5)
    keep("uniform/range", tf.random.uniform([2, 3], -2.5, 7.0, seed=4))
    keep("uniform/array_range", tf.random.uniform([2, 2], [0.0, 1.0], [1.0, 9.0], seed=4))
    keep("normal/mean", tf.random.normal([2, 3], 2.0, 0.5, seed=4))
    for turn in range(2):
        keep(f"shuffle/{turn}", tf.random.shuffle(tf.range(50), seed=3))
    keep("shuffle/rows", tf.random.shuffle(tf.reshape(tf.range(12), [6, 2]), seed=9))
    logits = np.random.RandomState(0).randn(6, 11).astype(np.float32)
    logits[1, 3] = -np.inf
    keep("categorical/logits", logits)
    for turn in range(2):
        keep(f"categorical/{turn}", tf.random.categorical(logits, 9, seed=3))
    keep("categorical/int32", tf.random.categorical(logits.astype("f8"), 4, tf.int32, seed=3))


def seeds():
    """What the global seed and the op seeds lead to, in eager mode and in functions."""
    tf.random.set_seed(1234)
    keep("seeds/global_only", tf.stack([tf.random.uniform([]) for _ in range(4)]))
    keep("seeds/global_other_op", tf.random.normal([3]))
    keep("seeds/global_and_op", tf.stack([tf.random.uniform([], seed=7) for _ in range(3)]))
    # equal ops share a stream whatever their shape; another dtype or range is another op
    keep("seeds/shared", tf.random.uniform([2, 2], seed=7))
    keep("seeds/other_dtype", tf.random.uniform([2], seed=7, dtype="float64"))
    tf.random.set_seed(1234)
    keep("seeds/again", tf.random.uniform([]))
    tf.random.set_seed(0)
    keep("seeds/zero_zero", tf.random.uniform([2], seed=0))
    tf.random.set_seed(2**40 + 3)
    keep("seeds/large", tf.random.uniform([2]))
    tf.random.set_seed(-3)
    keep("seeds/negative", tf.random.uniform([2]))
    tf.random.set_seed(5)

    @tf.function
    def drawing():
        return tf.random.uniform([2]), tf.random.normal([2]), tf.random.uniform([2], seed=1)

    for call in range(2):
        for i, drawn in enumerate(drawing()):
            keep(f"seeds/function/{call}/{i}", drawn)
    tf.random.set_seed(5)
    keep("seeds/function/reset", drawing()[0])

    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.set_random_seed(42)
        tf.constant(1.0)
        fetches = [tf.random.uniform([2]), tf.random.normal([2]), tf.random.uniform([2], seed=9)]
        for session in range(2):
            with tf.compat.v1.Session(graph=graph) as sess:
                for run in range(2):
                    for i, drawn in enumerate(sess.run(fetches)):
                        keep(f"seeds/graph/{session}/{run}/{i}", drawn)
    with tf.Graph().as_default(), tf.compat.v1.Session() as sess:
        keep("seeds/graph/op_only", sess.run(tf.random.uniform([2], seed=42)))


def stateless():
    pairs = {"plain": [1, 2], "wide": [2**40 + 1, -2]}
    for name, pair in pairs.items():
        for dtype in FLOATS:
            for kind in ("uniform", "normal", "truncated_normal"):
                draw = getattr(tf.random, f"stateless_{kind}")
                keep(f"stateless/{kind}/{dtype}/{name}", draw([11], pair, dtype=dtype))
        for dtype in ("int32", "int64", "uint32", "uint64"):
            drawn = tf.random.stateless_uniform([11], pair, None, None, dtype)
            keep(f"stateless/full/{dtype}/{name}", drawn)
    for dtype in ("int32", "int64"):
        keep(f"stateless/range/{dtype}", tf.random.stateless_uniform([11], [3, 4], -7, 90, dtype))
    keep("stateless/scaled", tf.random.stateless_normal([2, 3], [3, 4], 2.0, 0.5))
    keep("stateless/split", tf.random.split([1, 2], 3))
    keep("stateless/fold_in", tf.random.fold_in([1, 2], 3))
    keep("stateless/shuffle", tf.random.experimental.stateless_shuffle(tf.range(50), [8, 9]))
    logits = values["categorical/logits"]
    keep("stateless/categorical", tf.random.stateless_categorical(logits, 9, [8, 9]))


def generator():
    made = tf.random.Generator.from_seed(1234)
    keep("generator/normal", made.normal([2, 3]))
    keep("generator/state", made.state)
    keep("generator/skip", made.skip(2))
    keep("generator/seeds", made.make_seeds(3))
    keep("generator/split", tf.stack([g.state for g in made.split(2)]))
    keep("generator/uniform", made.uniform([2], dtype="float64"))
    keep("generator/integers", made.uniform([5], 1, 9, tf.int32))
    keep("generator/full", made.uniform_full_int([2]))
    keep("generator/truncated", made.truncated_normal([5]))
    keep("generator/after", made.state)
    keep("generator/long_seed", tf.random.Generator.from_seed(2**70 + 5).state)
    keep("generator/vector_seed", tf.random.Generator.from_seed([1, 2]).state)
    keep("generator/negative_seed", tf.random.create_rng_state(-1, "philox"))
    keep("generator/from_state", tf.random.Generator.from_state([1, 2, 3], "philox").uniform([3]))


def initializers():
    keras = tf.keras.initializers
    makers = {
        "RandomUniform": {}, "RandomNormal": {}, "TruncatedNormal": {}, "GlorotUniform": {},
        "GlorotNormal": {}, "HeUniform": {}, "HeNormal": {}, "LecunUniform": {},
        "LecunNormal": {}, "Orthogonal": {"gain": 1.5},
    }  # fmt: skip
    for name, arguments in makers.items():
        for shape in ((5, 3), (3, 3, 2, 4)):
            drawn = getattr(keras, name)(seed=11, **arguments)(shape)
            keep(f"keras/{name}/{'x'.join(map(str, shape))}", drawn)
    for mode in ("fan_in", "fan_out", "fan_avg"):
        for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
            made = keras.VarianceScaling(0.7, mode, distribution, seed=12)
            keep(f"keras/VarianceScaling/{mode}/{distribution}", made((5, 3)))
    tf.keras.utils.set_random_seed(7)
    for turn in range(3):
        keep(f"keras/seeded/{turn}", keras.get("glorot_uniform")((2, 3)))
    random.seed(9)
    tf.random.set_seed(9)
    backend._SEED_GENERATOR.generator = None
    keep("keras/python_seeded", keras.get("glorot_uniform")((2, 3)))
    offset = keras.RandomNormal(seed=5)
    keep("keras/partition", offset((4, 2), partition_shape=(2, 2), partition_offset=(2, 0)))
    tf.random.set_seed(5)
    keep("tf2/normal/unseeded", tf.random_normal_initializer()([3]))
    keep("tf2/normal/seeded", tf.random_normal_initializer(seed=3)([3]))
    keep("tf2/uniform/seeded", tf.random_uniform_initializer(seed=3)([3]))
    v1 = tf.compat.v1
    tf.random.set_seed(5)
    for name in (
        "random_uniform", "random_normal", "truncated_normal", "variance_scaling",
        "glorot_uniform", "glorot_normal", "orthogonal",
    ):  # fmt: skip
        made = getattr(v1, f"{name}_initializer")(seed=3)
        for turn in range(2):
            keep(f"tf1/{name}/{turn}", made([4, 3]))


def names():
    """Names and types of the nodes that each function makes in a graph."""
    made = {}
    graph = tf.Graph()
    calls = {
        "uniform": lambda: tf.random.uniform([2, 3]),
        "uniform_range": lambda: tf.random.uniform([2], 1, 5.0),
        "uniform_to": lambda: tf.random.uniform([2], maxval=4.0),
        "uniform_int": lambda: tf.random.uniform([2], 1, 5, tf.int32),
        "normal": lambda: tf.random.normal([2]),
        "truncated_normal": lambda: tf.random.truncated_normal([2]),
        "shuffle": lambda: tf.random.shuffle([1, 2]),
        "categorical": lambda: tf.random.categorical([[1.0, 2.0]], 4),
        "named_uniform": lambda: tf.random.uniform([2], name="my"),
        "named_normal": lambda: tf.random.normal([2], name="my"),
        "stateless_uniform": lambda: tf.random.stateless_uniform([2], [1, 2]),
        "stateless_normal": lambda: tf.random.stateless_normal([2], [1, 2]),
        "stateless_integers": lambda: tf.random.stateless_uniform([2], [1, 2], 1, 5, tf.int32),
        "stateless_full": lambda: tf.random.stateless_uniform([2], [1, 2], None, None, tf.int32),
        "stateless_categorical": lambda: tf.random.stateless_categorical([[1.0, 2.0]], 5, [1, 2]),
    }
    with graph.as_default():
        for name, call in calls.items():
            before = len(graph.get_operations())
            result = call()
            nodes = graph.get_operations()[before:]
            made[name] = {
                "result": result.name,
                "nodes": [[o.name, o.type] for o in nodes],
            }
    return made


if __name__ == "__main__":
    assert tf.__version__.startswith("2.15"), tf.__version__
    for part in (stateful, seeds, stateless, generator, initializers):
        part()
    np.savez_compressed(DATA / "random.npz", **values)
    (DATA / "random.json").write_text(json.dumps(names(), indent=1) + "\n")
    print(f"{len(values)} arrays, TensorFlow {tf.__version__}")

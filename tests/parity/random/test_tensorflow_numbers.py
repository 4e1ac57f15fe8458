"""Random numbers against those that TensorFlow 2.15 made (`record.py` beside this file)."""

import hashlib
import json
import random as python_random
from pathlib import Path

import numpy as np
import pytest

import shardtape as tf
from shardtape import plain_initializers as initializers
from shardtape.backend import philox, random
from shardtape.graph.ir import Graph
from shardtape.graph.plan import Plan
from shardtape.keras import initializers as keras
from shardtape.keras import random_seed
from shardtape.ops import random as ops
from shardtape.ops import random_stateless as stateless
from shardtape.random_generator import Generator, create_rng_state

DATA = Path(__file__).resolve().parent.parent / "data"
FLOATS = ("float16", "bfloat16", "float32", "float64")
SIZES = (1, 3, 7, 1003)
LARGE = 100_001
STATEFUL = {
    "uniform": ops.random_uniform,
    "normal": ops.random_normal,
    "truncated_normal": ops.truncated_normal,
}


@pytest.fixture(scope="module")
def recorded():
    with np.load(DATA / "random.npz") as stored:
        return dict(stored)


@pytest.fixture(autouse=True)
def _forget_keras_seed(monkeypatch):
    monkeypatch.setattr(random, "_process_seed", random.GlobalSeed())


def bits(tensor):
    array = tensor.numpy() if hasattr(tensor, "numpy") else np.asarray(tensor)
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def same(tensor, wanted):
    got = bits(tensor)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)


def close(tensor, wanted, ulps):
    got = bits(tensor)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_max_ulp(got, wanted, ulps)


# ---- stateful ops -----------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", STATEFUL)
def test_stateful_floats(recorded, kind, dtype):
    for size in SIZES:
        ops.set_seed(5)
        for turn in range(2):
            drawn = STATEFUL[kind]([size], dtype=dtype, seed=3)
            wanted = recorded[f"{kind}/{dtype}/{size}/{turn}"]
            if dtype == "float64" and kind != "uniform":
                close(drawn, wanted, 4)
            else:
                same(drawn, wanted)


# float64 normals differ in the last place, so that their digests do
@pytest.mark.parametrize(
    "kind, dtype",
    [(k, d) for k in STATEFUL for d in FLOATS if d != "float64" or k == "uniform"],
)
def test_large_draws_that_tensorflow_splits_among_threads(recorded, kind, dtype):
    ops.set_seed(6)
    drawn = STATEFUL[kind]([LARGE], dtype=dtype, seed=-2).numpy()
    wanted = recorded[f"{kind}/{dtype}/large"]
    assert hashlib.sha256(drawn.tobytes()).digest() == wanted.tobytes()


@pytest.mark.parametrize(
    "dtype, low, high", [("int32", -5, 1000003), ("int64", -(2**62), 2**62 + 5)]
)
def test_integers(recorded, dtype, low, high):
    for size in SIZES:
        ops.set_seed(5)
        for turn in range(2):
            drawn = ops.random_uniform([size], low, high, dtype, seed=3)
            same(drawn, recorded[f"integers/{dtype}/{size}/{turn}"])


def test_ranges_shuffles_and_choices(recorded):
    ops.set_seed(5)
    same(ops.random_uniform([2, 3], -2.5, 7.0, seed=4), recorded["uniform/range"])
    drawn = ops.random_uniform([2, 2], [0.0, 1.0], [1.0, 9.0], seed=4)
    same(drawn, recorded["uniform/array_range"])
    same(ops.random_normal([2, 3], 2.0, 0.5, seed=4), recorded["normal/mean"])
    for turn in range(2):
        same(ops.random_shuffle(np.arange(50, dtype="i4"), seed=3), recorded[f"shuffle/{turn}"])
    rows = np.arange(12, dtype="i4").reshape(6, 2)
    same(ops.random_shuffle(rows, seed=9), recorded["shuffle/rows"])
    logits = recorded["categorical/logits"]
    for turn in range(2):
        same(ops.categorical(logits, 9, seed=3), recorded[f"categorical/{turn}"])
    drawn = ops.categorical(logits.astype("f8"), 4, "int32", seed=3)
    same(drawn, recorded["categorical/int32"])


# ---- seeds ------------------------------------------------------------------------------------
def test_a_seeded_op_goes_on_in_its_stream(monkeypatch):
    monkeypatch.setattr(random, "_process_seed", random.GlobalSeed())  # no global seed
    monkeypatch.setattr(random, "_process_streams", random.Streams())
    drawn = [ops.random_uniform((1, 1), seed=1).numpy().item() for _ in range(4)]
    assert (
        np.float32(drawn).tolist()
        == np.float32([0.2390374, 0.22267115, 0.34304976, 0.8514762]).tolist()
    )


def test_eager_seeds(recorded):
    ops.set_seed(1234)
    drawn = [ops.random_uniform([]).numpy() for _ in range(4)]
    same(np.array(drawn), recorded["seeds/global_only"])
    same(ops.random_normal([3]), recorded["seeds/global_other_op"])
    drawn = [ops.random_uniform([], seed=7).numpy() for _ in range(3)]
    same(np.array(drawn), recorded["seeds/global_and_op"])
    same(ops.random_uniform([2, 2], seed=7), recorded["seeds/shared"])
    same(ops.random_uniform([2], seed=7, dtype="float64"), recorded["seeds/other_dtype"])
    ops.set_seed(1234)
    same(ops.random_uniform([]), recorded["seeds/again"])
    ops.set_seed(0)
    same(ops.random_uniform([2], seed=0), recorded["seeds/zero_zero"])
    ops.set_seed(2**40 + 3)
    same(ops.random_uniform([2]), recorded["seeds/large"])
    ops.set_seed(np.int64(-3))
    same(ops.random_uniform([2]), recorded["seeds/negative"])


def test_a_function_has_streams_of_its_own_which_the_global_seed_resets(recorded):
    ops.set_seed(5)

    @tf.function
    def drawing():
        return tf.random.uniform([2]), tf.random.normal([2]), tf.random.uniform([2], seed=1)

    for call in range(2):
        for i, drawn in enumerate(drawing()):
            same(drawn, recorded[f"seeds/function/{call}/{i}"])
    ops.set_seed(5)
    same(drawing()[0], recorded["seeds/function/reset"])


def test_each_session_has_streams_of_its_own(recorded):
    graph = Graph()
    with graph.as_default():
        ops.set_random_seed(42)
        fetches = [ops.random_uniform([2]), ops.random_normal([2]), ops.random_uniform([2], seed=9)]
    plan = Plan(graph, [], fetches)
    for session in range(2):
        streams = random.Streams(resets=False)
        for run in range(4):  # more than recorded: the plan is specialised on the third run
            with random.using(streams):
                drawn = plan.run([])
            for i, value in enumerate(drawn if run < 2 else ()):
                same(value, recorded[f"seeds/graph/{session}/{run}/{i}"])


def test_a_graph_without_a_seed(recorded):
    graph = Graph()
    with graph.as_default():
        drawn = ops.random_uniform([2], seed=42)
    same(Plan(graph, [], [drawn]).run([])[0], recorded["seeds/graph/op_only"])


# ---- stateless ops and generators -------------------------------------------------------------
@pytest.mark.parametrize("name, seed", [("plain", [1, 2]), ("wide", [2**40 + 1, -2])])
def test_stateless_ops(recorded, name, seed):
    for dtype in FLOATS:
        for kind in STATEFUL:
            drawn = getattr(stateless, f"stateless_{kind}")([11], seed, dtype=dtype)
            wanted = recorded[f"stateless/{kind}/{dtype}/{name}"]
            if dtype == "float64" and kind != "uniform":
                close(drawn, wanted, 4)
            else:
                same(drawn, wanted)
    for dtype in ("int32", "int64", "uint32", "uint64"):
        drawn = stateless.stateless_uniform([11], seed, None, None, dtype)
        same(drawn, recorded[f"stateless/full/{dtype}/{name}"])


def test_stateless_ranges_seeds_and_choices(recorded):
    for dtype in ("int32", "int64"):
        drawn = stateless.stateless_uniform([11], [3, 4], -7, 90, dtype)
        same(drawn, recorded[f"stateless/range/{dtype}"])
    same(stateless.stateless_normal([2, 3], [3, 4], 2.0, 0.5), recorded["stateless/scaled"])
    same(stateless.split([1, 2], 3), recorded["stateless/split"])
    same(stateless.fold_in([1, 2], 3), recorded["stateless/fold_in"])
    rows = np.arange(50, dtype="i4")
    same(stateless.stateless_shuffle(rows, [8, 9]), recorded["stateless/shuffle"])
    drawn = stateless.stateless_categorical(recorded["categorical/logits"], 9, [8, 9])
    same(drawn, recorded["stateless/categorical"])


def test_generator(recorded):
    made = Generator.from_seed(1234)
    same(made.normal([2, 3]), recorded["generator/normal"])
    same(made.state, recorded["generator/state"])
    same(made.skip(2), recorded["generator/skip"])
    same(made.make_seeds(3), recorded["generator/seeds"])
    states = np.stack([g.state.numpy() for g in made.split(2)])
    same(states, recorded["generator/split"])
    same(made.uniform([2], dtype="float64"), recorded["generator/uniform"])
    same(made.uniform([5], 1, 9, "int32"), recorded["generator/integers"])
    same(made.uniform_full_int([2]), recorded["generator/full"])
    same(made.truncated_normal([5]), recorded["generator/truncated"])
    same(made.state, recorded["generator/after"])
    same(Generator.from_seed(2**70 + 5).state, recorded["generator/long_seed"])
    same(Generator.from_seed([1, 2]).state, recorded["generator/vector_seed"])
    same(create_rng_state(-1, "philox"), recorded["generator/negative_seed"])
    drawn = Generator.from_state([1, 2, 3], "philox").uniform([3])
    same(drawn, recorded["generator/from_state"])


# ---- initializers -----------------------------------------------------------------------------
SHAPES = {"5x3": (5, 3), "3x3x2x4": (3, 3, 2, 4)}


@pytest.mark.parametrize(
    "name",
    [
        "RandomUniform", "RandomNormal", "TruncatedNormal", "GlorotUniform", "GlorotNormal",
        "HeUniform", "HeNormal", "LecunUniform", "LecunNormal",
    ],
)  # fmt: skip
def test_keras_initializers(recorded, name):
    for text, shape in SHAPES.items():
        same(getattr(keras, name)(seed=11)(shape), recorded[f"keras/{name}/{text}"])


def test_orthogonal_agrees_to_rounding(recorded):
    for text, shape in SHAPES.items():
        drawn = keras.Orthogonal(gain=1.5, seed=11)(shape).numpy()
        np.testing.assert_allclose(drawn, recorded[f"keras/Orthogonal/{text}"], atol=2e-6)


def test_variance_scaling(recorded):
    for mode in ("fan_in", "fan_out", "fan_avg"):
        for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
            made = keras.VarianceScaling(0.7, mode, distribution, seed=12)
            same(made((5, 3)), recorded[f"keras/VarianceScaling/{mode}/{distribution}"])


def test_seeds_of_unseeded_initializers(recorded):
    random_seed.set_random_seed(7)
    for turn in range(3):
        same(keras.get("glorot_uniform")((2, 3)), recorded[f"keras/seeded/{turn}"])


def test_python_and_tensorflow_seeded_alike(recorded):
    python_random.seed(9)
    ops.set_seed(9)
    same(keras.get("glorot_uniform")((2, 3)), recorded["keras/python_seeded"])


def test_parts_of_a_partitioned_variable_differ(recorded):
    drawn = keras.RandomNormal(seed=5)((4, 2), partition_shape=(2, 2), partition_offset=(2, 0))
    same(drawn, recorded["keras/partition"])


def test_initializers_of_tf2_and_tf1(recorded):
    ops.set_seed(5)
    same(initializers.random_normal_initializer()([3]), recorded["tf2/normal/unseeded"])
    drawn = initializers.random_normal_initializer(seed=3)([3])
    same(drawn, recorded["tf2/normal/seeded"])
    drawn = initializers.random_uniform_initializer(seed=3)([3])
    same(drawn, recorded["tf2/uniform/seeded"])
    ops.set_seed(5)
    made = {
        "random_uniform": initializers.RandomUniformV1,
        "random_normal": initializers.RandomNormalV1,
        "truncated_normal": initializers.TruncatedNormalV1,
        "variance_scaling": initializers.VarianceScalingV1,
        "glorot_uniform": initializers.GlorotUniformV1,
        "glorot_normal": initializers.GlorotNormalV1,
        "orthogonal": initializers.OrthogonalV1,
    }
    for name, cls in made.items():
        initializer = cls(seed=3)
        for turn in range(2):
            drawn = initializer([4, 3], dtype=None, partition_info=None)
            wanted = recorded[f"tf1/{name}/{turn}"]
            if name == "orthogonal":
                np.testing.assert_allclose(drawn.numpy(), wanted, atol=2e-6)
            else:
                same(drawn, wanted)


# ---- names ------------------------------------------------------------------------------------
def test_node_names():
    wanted = json.loads((DATA / "random.json").read_text())
    calls = {
        "uniform": lambda: ops.random_uniform([2, 3]),
        "uniform_range": lambda: ops.random_uniform([2], 1, 5.0),
        "uniform_to": lambda: ops.random_uniform([2], maxval=4.0),
        "uniform_int": lambda: ops.random_uniform([2], 1, 5, "int32"),
        "normal": lambda: ops.random_normal([2]),
        "truncated_normal": lambda: ops.truncated_normal([2]),
        "shuffle": lambda: ops.random_shuffle([1, 2]),
        "categorical": lambda: ops.categorical([[1.0, 2.0]], 4),
        "named_uniform": lambda: ops.random_uniform([2], name="my"),
        "named_normal": lambda: ops.random_normal([2], name="my"),
        "stateless_uniform": lambda: stateless.stateless_uniform([2], [1, 2]),
        "stateless_normal": lambda: stateless.stateless_normal([2], [1, 2]),
        "stateless_integers": lambda: stateless.stateless_uniform([2], [1, 2], 1, 5, "int32"),
        "stateless_full": lambda: stateless.stateless_uniform([2], [1, 2], None, None, "int32"),
        "stateless_categorical": lambda: stateless.stateless_categorical([[1.0, 2.0]], 5, [1, 2]),
    }
    graph = Graph()
    with graph.as_default():
        for name, call in calls.items():
            before = len(graph.get_operations())
            result = call()
            nodes = [[node.name, node.type] for node in graph.get_operations()[before:]]
            assert result.name == wanted[name]["result"]
            assert sorted(nodes) == sorted(wanted[name]["nodes"])


def test_the_four_words_of_a_block():
    # the zero vector of the Random123 distribution (kat_vectors, philox4x32 10 rounds)
    assert philox.Philox(0, 0).block() == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)

"""Initializers: look-up, configs, dtypes, warnings and errors (values: tests/parity/random)."""

import warnings

import numpy as np
import pytest

import shardtape as tf
from shardtape import plain_initializers as plain
from shardtape.backend import random
from shardtape.keras import initializers, random_seed
from shardtape.keras.floatx import set_floatx

CLASSES = initializers._CLASSES


@pytest.fixture(autouse=True)
def _forget_seeds(monkeypatch):
    monkeypatch.setattr(random, "_process_seed", random.GlobalSeed())


@pytest.mark.parametrize("cls", CLASSES)
def test_configs_make_equal_initializers(cls):
    made = cls(seed=4) if "seed" in cls().get_config() else cls()
    for again in (
        cls.from_config(made.get_config()),
        initializers.get(initializers.serialize(made)),
        initializers.get({"class_name": cls.__name__, "config": made.get_config()}),
    ):
        assert type(again) is cls and again.get_config() == made.get_config()
        np.testing.assert_array_equal(again((3, 3)).numpy(), made((3, 3)).numpy())


def test_names_are_looked_up():
    assert type(initializers.get("glorot_uniform")) is initializers.GlorotUniform
    assert type(initializers.get("GlorotUniformV2")) is initializers.GlorotUniform
    assert type(initializers.get("uniform")) is initializers.RandomUniform
    assert type(initializers.get(initializers.Zeros)) is initializers.Zeros
    assert initializers.get(None) is None and initializers.get(len) is len
    assert tf.initializers.he_normal is initializers.HeNormal
    with pytest.raises(ValueError, match="Unknown initializer: 'nonsense'"):
        initializers.get("nonsense")
    with pytest.raises(ValueError, match="Could not interpret initializer identifier: 3"):
        initializers.get(3)


def test_own_classes_are_found_among_custom_objects():
    class Halves(initializers.Initializer):
        def __call__(self, shape, dtype=None, **kwargs):
            return tf.fill(shape, 0.5)

    config = initializers.serialize(Halves())
    assert config["registered_name"] == "Halves"
    made = initializers.deserialize(config, custom_objects={"Halves": Halves})
    assert made([2]).numpy().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_floating_dtypes(dtype):
    for cls in CLASSES:
        made = cls(seed=1) if "seed" in cls().get_config() else cls()
        assert made((3, 2), dtype).dtype.name == dtype, cls


def test_integers_and_booleans():
    assert initializers.Zeros()([2], tf.bool).numpy().tolist() == [False, False]
    assert initializers.Ones()([2], tf.int32).dtype is tf.int32
    drawn = initializers.RandomUniform(0, 9, seed=1)([50], tf.int32).numpy()
    assert drawn.min() >= 0 and drawn.max() < 9
    with pytest.raises(ValueError, match="Expected floating point type"):
        initializers.RandomNormal()([2], tf.int32)
    with pytest.raises(ValueError, match="numeric or boolean"):
        initializers.Zeros()([2], tf.string)


def test_floatx_is_the_default():
    set_floatx("float64")
    try:
        assert initializers.Zeros()([1]).dtype is tf.float64
    finally:
        set_floatx("float32")
    with pytest.raises(ValueError, match="Unknown `floatx`"):
        set_floatx("int32")


def test_a_seeded_initializer_repeats_itself_and_an_unseeded_one_warns():
    seeded = initializers.GlorotNormal(seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(seeded([2, 2]).numpy(), seeded([2, 2]).numpy())
        unseeded = initializers.GlorotNormal()
        first = unseeded([2, 2]).numpy()
    with pytest.warns(UserWarning, match="is unseeded and being called multiple times"):
        np.testing.assert_array_equal(unseeded([2, 2]).numpy(), first)
    assert not np.array_equal(initializers.GlorotNormal()([2, 2]).numpy(), first)


def test_the_global_seed_makes_unseeded_initializers_reproducible():
    def draw():
        return [initializers.get("he_uniform")([3]).numpy() for _ in range(2)]

    tf.random.set_seed(31)
    first = draw()
    tf.random.set_seed(31)
    np.testing.assert_array_equal(draw(), first)
    assert not np.array_equal(first[0], first[1])
    random_seed.set_random_seed(31)
    seeded = draw()
    random_seed.set_random_seed(31)
    np.testing.assert_array_equal(draw(), seeded)
    with pytest.raises(ValueError, match="Expected `seed` argument to be an integer"):
        random_seed.set_random_seed("31")


def test_drawing_for_keras_does_not_disturb_other_draws():
    tf.random.set_seed(5)
    first = tf.random.uniform([2]).numpy()
    tf.random.set_seed(5)
    initializers.get("he_uniform")([3])
    np.testing.assert_array_equal(tf.random.uniform([2]).numpy(), first)


def test_generators_of_layers():
    legacy = random_seed.RandomGenerator(seed=3)
    assert [legacy.make_legacy_seed() for _ in range(3)] == [3, 4, 5]
    assert random_seed.RandomGenerator().make_legacy_seed() is None
    assert legacy.make_seed_for_stateless_op() is None
    stateful = random_seed.RandomGenerator(3, "stateful")
    first, second = (stateful.random_normal([2]).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    assert stateful.make_seed_for_stateless_op().shape == (2,)
    with pytest.raises(ValueError, match="Invalid `rng_type`"):
        random_seed.RandomGenerator(3, "other")


def test_constants():
    assert initializers.Constant(3)((2,)).numpy().tolist() == [3.0, 3.0]
    made = plain.ConstantV1([1, 2, 3, 4])((2, 2))
    assert made.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(TypeError, match=r"has 2 elements, but got `shape` \(3,\)"):
        initializers.Constant([1.0, 2.0])((3,))


def test_orthogonal_is_orthogonal():
    for shape in ((5, 3), (3, 5), (2, 2, 3)):
        w = initializers.Orthogonal(gain=2.0, seed=1)(shape).numpy().reshape(-1, shape[-1])
        square = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
        np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-5)
    with pytest.raises(ValueError, match="at least two-dimensional"):
        initializers.Orthogonal()([3])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`scale` must be positive"):
        initializers.VarianceScaling(0.0)
    with pytest.raises(ValueError, match="Invalid `mode`"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="Invalid `distribution`"):
        initializers.VarianceScaling(distribution="cauchy")
    with pytest.raises(ValueError, match="only be used for 2D"):
        initializers.Identity()([3])
    with pytest.raises(TypeError, match="Unknown keyword arguments"):
        initializers.Zeros()([3], fan=1)
    with pytest.raises(ValueError, match="doesn't support partition"):
        initializers.Orthogonal()([4, 4], partition_shape=[2, 4])
    with pytest.raises(NotImplementedError):
        initializers.Initializer()([1])


def test_fans():
    assert [initializers.compute_fans(s) for s in ((), (4,), (2, 3), (5, 5, 2, 3))] == [
        (1, 1), (4, 4), (2, 3), (50, 75),
    ]  # fmt: skip


def test_first_values_of_variables():
    v = tf.Variable(initializers.GlorotUniform(seed=1)([2, 3]))
    w = tf.Variable(lambda: initializers.GlorotUniform(seed=1)([2, 3]))
    np.testing.assert_array_equal(v.numpy(), w.numpy())


def test_tf1_initializers_take_a_dtype_and_go_on_in_their_stream():
    made = plain.RandomNormalV1(seed=1, dtype=tf.float64)
    first, second = made([3]), made([3], dtype=tf.float32, partition_info=None)
    assert first.dtype is tf.float64 and second.dtype is tf.float32
    assert not np.array_equal(made([3]).numpy(), first.numpy())
    assert made.get_config() == {"mean": 0.0, "stddev": 1.0, "seed": 1, "dtype": "float64"}
    again = plain.RandomNormalV1.from_config(made.get_config())
    assert again.dtype is tf.float64
    assert plain.ZerosV1(tf.int32)([2]).dtype is tf.int32
    assert plain.he_normal(seed=1)([2, 2]).shape == (2, 2)


@pytest.mark.parametrize("initializer", [initializers.RandomNormal(), initializers.Zeros()])
def test_a_size_that_is_not_known_is_a_value_error(initializer):
    with pytest.raises(ValueError, match="not known"):
        initializer((None, 3))

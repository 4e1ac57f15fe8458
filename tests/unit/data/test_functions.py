"""Functions of datasets: traced once, with captures, effects, control flow and Python inside."""

import pickle

import numpy as np
import pytest

import shardtape as tf
from shardtape.data import tracing

D = tf.data.Dataset


def numbers(dataset):
    return [int(x) for x in dataset]


def test_python_runs_once():
    calls = []

    def double(x):
        calls.append(x)
        return x * 2

    mapped = D.range(5).map(double)
    assert len(calls) == 1 and calls[0].shape == ()
    assert numbers(mapped) == [0, 2, 4, 6, 8] and numbers(mapped.take(2)) == [0, 2]
    assert len(calls) == 1


def test_captured_tensors_and_variables():
    constant = tf.constant([10, 20, 30], tf.int64)
    variable = tf.Variable(1, dtype=tf.int64)
    mapped = D.range(3).map(lambda x: constant[x] + variable)
    assert numbers(mapped) == [11, 21, 31]
    variable.assign(2)
    assert numbers(mapped) == [12, 22, 32]


def test_control_flow_is_converted():
    def collatz(x):
        steps = tf.constant(0, tf.int64)
        while x > 1:
            if x % 2 == 0:
                x = x // 2
            else:
                x = 3 * x + 1
            steps += 1
        return steps

    assert numbers(D.range(1, 8).map(collatz)) == [0, 1, 7, 2, 5, 8, 16]
    assert numbers(D.range(1, 8).filter(lambda x: collatz(x) > 4)) == [3, 5, 6, 7]


def test_tf_functions_and_methods_as_functions():
    class Scale:
        factor = 3

        def __call__(self, x):
            return x * self.factor

        def method(self, x):
            return x + self.factor

    assert numbers(D.range(3).map(Scale())) == [0, 3, 6]
    assert numbers(D.range(3).map(Scale().method)) == [3, 4, 5]
    assert numbers(D.range(3).map(tf.function(lambda x: x - 1))) == [-1, 0, 1]
    assert numbers(D.range(3).map(tf.square)) == [0, 1, 4]


def test_effects_happen_for_every_element():
    total = tf.Variable(0, dtype=tf.int64)

    def add(x):
        total.assign_add(x)
        return x

    mapped = D.range(5).map(add)
    assert int(total) == 0
    numbers(mapped)
    assert int(total) == 10
    iter(mapped).skip(5)  # what has effects is computed even where it is skipped
    assert int(total) == 20


def test_python_and_numpy_inside():
    def python(x):
        assert isinstance(x, tf.Tensor) and tf.executing_eagerly()
        return x.numpy() ** 2

    mapped = D.range(4).map(lambda x: tf.py_function(python, [x], tf.int64))
    assert mapped.element_spec.shape.rank is None
    assert numbers(mapped) == [0, 1, 4, 9]

    def with_shape(x):
        (y,) = tf.numpy_function(lambda v: [np.full(3, v, np.float32)], [x], [tf.float32])
        y.set_shape([3])
        return y

    mapped = D.range(2).map(with_shape).batch(2)
    assert mapped.element_spec == tf.TensorSpec([None, 3], tf.float32)
    np.testing.assert_array_equal(next(iter(mapped)), [[0, 0, 0], [1, 1, 1]])
    wrong = D.range(2).map(lambda x: tf.numpy_function(lambda v: np.float64(v), [x], tf.float32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="float32"):
        next(iter(wrong))


def test_errors_name_the_node_and_the_users_line():
    mapped = D.range(5).map(lambda x: tf.gather([1, 2], x))
    iterator = iter(mapped)
    next(iterator), next(iterator)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not in \[0, 2\).*node"):
        next(iterator)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: D.range(3).map(5), ValueError, "`map_func` must be a callable, got 5"),
        (
            lambda: D.range(3).map(lambda x: tf.debugging.assert_less(x, 9)),
            TypeError,
            "Unsupported return value from `map_func`: <tf.Operation",
        ),
        (lambda: D.range(3).map(lambda x: object()), TypeError, "Unsupported return value"),
        (lambda: D.range(3).filter(lambda x: x), ValueError, "scalar of type bool"),
        (lambda: D.range(3).filter(lambda x: [x > 1]), ValueError, None),
        (lambda: D.range(3).flat_map(lambda x: x), TypeError, "must return a `Dataset`"),
        (lambda: D.range(3).scan(0, lambda s, x: s), TypeError, "should return a pair"),
        (lambda: D.range(3).reduce(0, lambda s, x: (s, x)), TypeError, "structure of the new"),
        (lambda: D.range(3).reduce(0, lambda s, x: 1.5), TypeError, "element types"),
        (lambda: D.range(3).map(lambda x: x.numpy()), AttributeError, None),
        (lambda: D.range(3).batch("a"), TypeError, "`batch_size` must be an integer"),
        (lambda: D.range(3).batch(1.5), TypeError, "`batch_size` must be an integer"),
        (lambda: D.range(3).shuffle(None), ValueError, "buffer_size"),
        (lambda: D.from_tensors(1).unbatch(), ValueError, "rank >= 1"),
        (lambda: D.range(3).window(2).batch(2), TypeError, "cannot be put into batches"),
        (lambda: D.range(3).concatenate(D.from_tensors((1, 2))), TypeError, "Incompatible"),
        (
            lambda: D.range(3).group_by_window(lambda x: x, lambda k, w: w),
            ValueError,
            "window_size",
        ),
        (lambda: D.sample_from_datasets([D.range(1)] * 2, [0.0, 0.0]), ValueError, "zero"),
        (lambda: D.sample_from_datasets([]), ValueError, "not be empty"),
        (lambda: D.choose_from_datasets([D.range(1)], D.from_tensors(1)), TypeError, "int64"),
    ],
)
def test_mistakes_are_told_when_the_dataset_is_made(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_debug_mode_runs_python_for_every_element(monkeypatch):
    monkeypatch.setattr(tracing, "_debug", False)
    tf.data.experimental.enable_debug_mode()
    seen = []

    def look(x):
        if tf.executing_eagerly():
            seen.append(int(x))
        return x + 1

    assert numbers(D.range(3).map(look)) == [1, 2, 3]
    assert seen == [0, 1, 2]
    monkeypatch.setattr(tracing, "_debug", False)
    assert numbers(D.range(3).map(look)) == [1, 2, 3] and seen == [0, 1, 2]


def _double(x):
    return x * 2


def test_datasets_can_be_pickled():
    dataset = D.range(20).map(_double).shuffle(20, seed=3).batch(4).cache().prefetch(2)
    numbers(dataset.unbatch())
    other = pickle.loads(pickle.dumps(dataset))
    fresh = D.range(20).map(_double).shuffle(20, seed=3).batch(4)
    numbers(fresh.unbatch())  # the copy's shuffle goes on where the first one's is
    assert numbers(other.unbatch()) == numbers(fresh.unbatch())


def test_functions_see_a_host_where_there_is_a_gpu():
    from unit.backend import strict_device

    from shardtape import backend

    with backend.using_accelerator(strict_device.accelerator()), tf.device("/GPU:0"):
        tensor = tf.constant([1.0, 2.0, 3.0])
        dataset = D.from_tensor_slices(tensor).map(
            lambda x: tf.cond(x > 2.0, lambda: x * tensor[0], lambda: tf.exp(x))
        )
        dataset = dataset.map(lambda x: tf.py_function(lambda v: v + 1.0, [x], tf.float32))
        for _ in range(3):  # plans are specialised on the third run
            batches = list(dataset.batch(2))
            assert all(isinstance(b._array, np.ndarray) for b in batches)
        np.testing.assert_allclose(batches[1], [4.0])


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: D.range(3).padded_batch(2, padded_shapes=[3]), ValueError, r"padded shape \(3,\)"),
        (lambda: D.from_tensors([1, 2]).padded_batch(2, padded_shapes=[]), ValueError, r"\(\)"),
        (lambda: D.from_tensors([1, 2]).padded_batch(2, padded_shapes=[1]), ValueError, r"\(1,\)"),
        (lambda: D.range(3).batch(2, drop_remainder="x"), TypeError, "`drop_remainder` must be"),
        (lambda: D.range(3).batch(2, drop_remainder=1), TypeError, "`drop_remainder` must be"),
        (lambda: D.range(3).batch(2, drop_remainder=None), ValueError, "`drop_remainder` must be"),
        (lambda: D.range(3).shuffle(2, seed="x"), TypeError, "`seed` must be an integer"),
        (lambda: D.range(3).shuffle(2, seed=1.7), TypeError, "`seed` must be an integer"),
        (lambda: D.random(seed=1.5), TypeError, "`seed` must be an integer"),
        (lambda: D.range(3).with_options(None), TypeError, "`options` must be a `tf.data.Options`"),
        (
            lambda: tf.data.experimental.CsvDataset("f", []),
            tf.errors.InvalidArgumentError,
            "column",
        ),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_padded_shapes_may_be_larger():
    made = D.from_tensors([1, 2]).padded_batch(2, padded_shapes=[4])
    assert next(iter(made)).numpy().tolist() == [[1, 2, 0, 0]]
    assert D.range(3).batch(2, drop_remainder=tf.constant(True)).element_spec.shape == (2,)


def test_datasets_have_none_of_the_members_of_tf1():
    dataset = tf.data.Dataset.range(3)
    for name in (
        "make_one_shot_iterator", "make_initializable_iterator", "output_types", "output_shapes",
        "output_classes",
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=name):
            getattr(dataset, name)
    assert dataset.element_spec == tf.TensorSpec([], tf.int64)

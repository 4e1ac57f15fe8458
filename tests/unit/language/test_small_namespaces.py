"""tf.sets, tf.types, tf.test, tf.sysconfig and settings of tf.config."""

import os

import numpy as np
import pytest

import shardtape as tf


def _dense(sparse, missing=-1):
    return tf.sparse.to_dense(sparse, missing).numpy().tolist()


A, B = tf.constant([[1, 2, 2, 9], [3, 4, 5, 5]]), tf.constant([[2, 9, 7], [6, 6, 6]])


@pytest.mark.parametrize(
    ("made", "want"),
    [  # as TensorFlow 2.15 gives them
        (lambda: tf.sets.intersection(A, B), [[2, 9], [-1, -1]]),
        (lambda: tf.sets.union(A, B), [[1, 2, 7, 9], [3, 4, 5, 6]]),
        (lambda: tf.sets.difference(A, B), [[1, -1, -1], [3, 4, 5]]),
        (lambda: tf.sets.difference(A, B, aminusb=False), [[7], [6]]),
    ],
)
def test_sets(made, want):
    assert _dense(made()) == want


def test_sets_of_strings_and_of_sparse_tensors():
    a = tf.sparse.from_dense(tf.constant([["a", "b"], ["c", ""]]))
    b = tf.sparse.from_dense(tf.constant([["b", ""], ["c", "d"]]))
    assert _dense(tf.sets.intersection(a, b), "") == [[b"b"], [b"c"]]
    assert tf.sets.size(tf.sets.union(a, b)).numpy().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: tf.sets.union(A, [[1.0], [2.0]]), TypeError, "integers or strings"),
        (lambda: tf.sets.union(A, A[:1]), tf.errors.InvalidArgumentError, "group shapes"),
        (lambda: tf.sets.union([1], [2]), ValueError, "at least 2"),
        (lambda: tf.sets.size(A), TypeError, "SparseTensor"),
    ],
)
def test_sets_refuse(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_tensor_like_takes_what_converts():
    for value in (tf.constant(1), tf.Variable(1.0), 1, 2.5, "a", [1], np.zeros(2)):
        assert isinstance(value, tf.types.experimental.TensorLike)
    assert not isinstance(object(), tf.types.experimental.TensorLike)
    assert isinstance(tf.function(lambda: 1), tf.types.experimental.GenericFunction)


def test_objects_say_by_what_their_traces_are_kept():
    class Kind(tf.types.experimental.TraceType):
        def __init__(self, kind):
            self.kind = kind

        def is_subtype_of(self, other):
            return self == other

        def most_specific_common_supertype(self, others):
            return self if all(self == o for o in others) else None

        def placeholder_value(self, placeholder_context=None):
            return self.kind

        def __hash__(self):
            return hash(self.kind)

        def __eq__(self, other):
            return isinstance(other, Kind) and self.kind == other.kind

    class Fruit:
        flavor = tf.constant(1)

        def __tf_tracing_type__(self, context):
            return Kind(type(self))

    class Apple(Fruit):
        flavor = tf.constant(5)

    assert isinstance(Apple(), tf.types.experimental.SupportsTracingProtocol)
    taste = tf.function(lambda fruit: fruit.flavor * 2)
    assert [int(taste(f)) for f in (Fruit(), Fruit(), Apple(), Apple())] == [2, 2, 10, 10]
    assert taste.experimental_get_tracing_count() == 2


def test_comparisons_of_the_test_case():
    case = tf.test.TestCase()
    case.assertAllClose(tf.constant([1.0, 2.0]), [1.0, 2.0 + 1e-7])
    case.assertAllEqual({"a": tf.constant([1])}, {"a": np.array([1])})
    case.assertNotAllClose(tf.constant([1.0]), [1.1])
    case.assertAllCloseAccordingToType(tf.constant([1.0], tf.float16), np.float16([1.0005]))
    assert case.evaluate({"x": tf.constant(3)}) == {"x": 3}
    with pytest.raises(AssertionError):
        case.assertAllClose(tf.constant([1.0]), [1.001])
    with pytest.raises(AssertionError):
        case.assertAllEqual(tf.constant([1, 2]), [1])
    with case.assertRaisesOpError("not in"):
        tf.gather([1, 2], [5])
    folder = case.get_temp_dir()
    assert os.path.isdir(folder)
    case.doCleanups()
    assert not os.path.isdir(folder)


def test_compute_gradient_sees_a_wrong_derivative():
    x = tf.constant([[1.0, 2.0]], tf.float64)
    theoretical, numeric = tf.test.compute_gradient(lambda v: v**3, [x])
    np.testing.assert_allclose(theoretical[0], np.diag([3.0, 12.0]))
    np.testing.assert_allclose(numeric[0], theoretical[0], atol=1e-5)
    assert type(theoretical) is type(numeric) is tuple

    @tf.custom_gradient
    def wrong(v):
        return v * v, lambda g: g

    theoretical, numeric = tf.test.compute_gradient(wrong, [x])
    assert not np.allclose(theoretical[0], numeric[0])


def test_settings_are_given_back():
    tf.config.threading.set_intra_op_parallelism_threads(3)
    assert tf.config.threading.get_intra_op_parallelism_threads() == 3
    tf.config.threading.set_intra_op_parallelism_threads(0)
    with pytest.raises(ValueError, match="below 0"):
        tf.config.threading.set_inter_op_parallelism_threads(-1)
    tf.config.optimizer.set_experimental_options({"constant_folding": False})
    assert tf.config.optimizer.get_experimental_options()["constant_folding"] is False
    tf.config.optimizer.set_experimental_options({"layout_optimizer": True, "none_of_them": 1})
    options = tf.config.optimizer.get_experimental_options()
    assert list(options)[:2] == ["layout_optimizer", "constant_folding"]
    assert options["disable_meta_optimizer"] is False and "none_of_them" not in options
    tf.config.optimizer.set_jit(True)
    assert tf.config.optimizer.get_jit() == "autoclustering"
    tf.config.optimizer.set_jit(False)
    with pytest.raises(ValueError, match="No allocator statistics"):
        tf.config.experimental.get_memory_info("CPU:0")
    [cpu] = tf.config.list_physical_devices("CPU")
    assert tf.config.experimental.get_device_details(cpu) == {}
    assert os.path.isdir(tf.sysconfig.get_lib())
    assert tf.sysconfig.get_build_info()["is_rocm_build"] is False

"""Functions of `tf.keras.backend`: values and what is shown; the figures are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

K, keras = tf.keras.backend, tf.keras
X = tf.constant([[1.0, 2.0], [3.0, 4.0]])
Y = tf.constant([[1.0, -2.0], [3.0, 4.0]])


@pytest.fixture(autouse=True)
def start_anew():
    K.clear_session()


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        ((3,), "int32", [0, 1, 2]),
        ((0, 10, 1.5), "float32", [0, 1.5, 3, 4.5, 6, 7.5, 9]),
        ((5.0,), "float32", [0, 1, 2, 3, 4]),
        ((-3,), "int32", []),
        ((10, 0, -3), "int32", [10, 7, 4, 1]),
    ],
)
def test_arange(given, dtype, expected):
    found = K.arange(*given)
    assert found.dtype.name == dtype and found.numpy().tolist() == expected


def test_arange_of_a_type():
    assert K.arange(0, 10, 3.5, dtype="float64").dtype == tf.float64
    assert K.arange(tf.constant(2)).numpy().tolist() == [0, 1]


def test_the_learning_phase_is_a_number():
    assert repr(K.learning_phase()) == "0"
    K.set_learning_phase(1)
    assert repr(K.learning_phase()) == "1"
    K.clear_session()
    assert repr(K.learning_phase()) == "0"


def test_keras_tensors_among_tensors():
    assert K.is_keras_tensor(keras.Input((2,)))
    assert not K.is_keras_tensor(X) and not K.is_keras_tensor(tf.sparse.from_dense(X))
    for other in (np.zeros(2), 3, [1]):
        with pytest.raises(ValueError, match="Unexpectedly found an instance of type"):
            K.is_keras_tensor(other)


@pytest.mark.parametrize(
    "make", [lambda: K.placeholder((2, 3), sparse=True), lambda: keras.Input((3,), sparse=True)]
)
def test_sparse_inputs(make):
    given = make()
    assert K.is_sparse(given)
    dense = K.to_dense(given)
    assert not K.is_sparse(dense)
    assert "created by layer 'tf.keras.backend.to_dense'" in repr(dense)
    values = [[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]
    model = keras.Model(given, dense * 2.0)
    assert model(tf.sparse.from_dense(values)).numpy().tolist() == [[0, 4, 0], [2, 0, 6]]
    again = keras.Model.from_config(model.get_config())
    assert again(tf.sparse.from_dense(values)).numpy().tolist() == [[0, 4, 0], [2, 0, 6]]


def test_random_variables_draw_their_seeds_from_numpy():
    tf.random.set_seed(0)
    np.random.seed(0)
    uniform, normal = K.random_uniform_variable((2, 3), 0, 1), K.random_normal_variable((3,), 0, 1)
    np.testing.assert_allclose(
        uniform.numpy(),
        [[0.04590237, 0.32944643, 0.48167956], [0.14393973, 0.48569715, 0.64919126]], rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(normal.numpy(), [2.1219473, 0.814283, -0.20148408], rtol=1e-5)


def test_shapes_of_symbolic_tensors():
    fixed, free = keras.Input(batch_shape=(2, 4, 5)), keras.Input((None, 10))
    assert repr(K.shape(fixed)) == (
        "<KerasTensor: shape=(3,) dtype=int32 inferred_value=[2, 4, 5] "
        "(created by layer 'tf.compat.v1.shape')>"
    )
    sizes = tf.shape(free)
    assert repr(sizes) == (
        "<KerasTensor: shape=(3,) dtype=int32 inferred_value=[None, None, 10] "
        "(created by layer 'tf.compat.v1.shape_1')>"
    )
    assert str(sizes) == (
        "KerasTensor(type_spec=TensorSpec(shape=(3,), dtype=tf.int32, name=None), "
        "inferred_value=[None, None, 10], name='tf.compat.v1.shape_1/Shape:0', "
        "description=\"created by layer 'tf.compat.v1.shape_1'\")"
    )
    for made, known in ((sizes[2], [10]), (sizes[1:], [None, 10]), (tf.size(fixed), [40]),
                        (tf.rank(free), [3]), (sizes * 2, [None] * 3)):  # fmt: skip
        assert f"inferred_value={known} " in repr(made)
    assert "inferred_value" not in repr(tf.shape(free, out_type=tf.int64))
    assert "inferred_value" not in repr(keras.Input(batch_shape=(3,), dtype="int32"))


def test_models_of_known_shapes():
    given = keras.Input(batch_shape=(2, 3))
    model = keras.Model(given, [tf.shape(given), tf.ones(tf.shape(given)) + given])
    sizes, values = model(np.zeros((2, 3), np.float32))
    assert sizes.numpy().tolist() == [2, 3] and values.numpy().tolist() == [[1.0] * 3] * 2


def test_names_of_products():
    given, kernel = keras.Input(batch_shape=(32, 28, 3)), keras.Input(batch_shape=(3, 4))
    made = K.dot(given, kernel)
    assert repr(made) == (
        "<KerasTensor: shape=(32, 28, 4) dtype=float32 (created by layer 'tf.reshape_2')>"
    )
    turned = K.transpose(keras.Input(batch_shape=(2, 3)))
    assert "tf.compat.v1.transpose_1" in repr(turned)


def test_products():
    x, y = np.arange(24.0).reshape(2, 3, 4), np.arange(40.0).reshape(2, 4, 5)
    np.testing.assert_allclose(K.dot(tf.constant(x), tf.constant(y)).numpy(), np.dot(x, y))
    sparse = K.dot(tf.sparse.from_dense(X), Y)
    assert sparse.numpy().tolist() == [[7, 6], [15, 10]]
    joined = K.concatenate([tf.sparse.from_dense(X)] * 2)
    assert tf.sparse.to_dense(joined).numpy().tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]
    with pytest.raises(ValueError, match="different batch sizes"):
        K.batch_dot(tf.ones((2, 3)), tf.ones((3, 3)))


def test_roots_of_negative_numbers():
    np.testing.assert_allclose(K.sqrt(Y).numpy(), [[1, 0], [3**0.5, 2]], rtol=1e-6)


def test_switching_runs_one_branch():
    ran = []

    def branch(value):
        return lambda: ran.append(float(value)) or value

    made = K.switch(tf.constant(False), branch(tf.constant(1.0)), branch(tf.constant(2.0)))
    assert ran == [2.0] and float(made) == 2.0


def test_switching_by_element():
    by_column = K.switch(tf.constant([True, False]), X, Y)
    assert by_column.numpy().tolist() == [[1, -2], [3, 4]]
    by_place = tf.constant([[True, False], [False, True]])
    made = K.switch(by_place, tf.ones((2, 2, 3)), tf.zeros((2, 2, 3)))
    assert made.numpy()[..., 0].tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="Rank of `condition`"):
        K.switch(by_place, tf.ones((2,)), tf.zeros((2,)))


def test_phases_that_are_tensors():
    made = K.in_train_phase(X, Y, training=tf.constant(True))
    assert made.numpy().tolist() == [[1, 2], [3, 4]]


def test_small_forms():
    assert K.eval(3) == 3 and K.eval([1, 2]) == [1, 2]
    assert K.eval(tf.sparse.from_dense(X)).tolist() == [[1, 2], [3, 4]]
    assert K.int_shape(np.zeros((2, 3))) == (2, 3)
    assert K.zeros(3).shape == (3,) and K.ones(2).numpy().tolist() == [1, 1]
    v = K.variable([1.0])
    assert K.cast_to_floatx(v) is v


def test_states_of_a_loop_are_a_tuple():
    def step(x, states):
        return x + states[0], [x + states[0]]

    start = [tf.zeros((1, 2))]
    for more, kind in (({}, tuple), ({"unroll": True}, list)):
        last, _, states = K.rnn(step, tf.ones((1, 3, 2)), start, **more)
        assert type(states) is kind and states[0].numpy().tolist() == [[3, 3]]
        assert last.numpy().tolist() == [[3, 3]]


def test_printing_between_layers(capfd):
    given = keras.Input((2,))
    shown = K.print_tensor(given, message="seen")
    assert "created by layer 'tf.keras.backend.print_tensor'" in repr(shown)
    assert capfd.readouterr().out == ""
    model = keras.Model(given, shown * 2.0)
    for made in (model, keras.Model.from_config(model.get_config())):
        assert made(X).numpy().tolist() == [[2, 4], [6, 8]]
        assert capfd.readouterr().out == "seen [[1 2]\n [3 4]]\n"
    K.print_tensor(X)
    assert capfd.readouterr().out == " [[1 2]\n [3 4]]\n"

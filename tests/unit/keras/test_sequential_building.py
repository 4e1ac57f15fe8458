"""Sequential models that are built by what they are called on, alone and inside other models."""

import numpy as np
import pytest

import shardtape as tf

layers, keras = tf.keras.layers, tf.keras


@pytest.fixture(autouse=True)
def fresh():
    keras.backend.clear_session()


def test_models_of_texts_inside_a_sequential_model():
    texts = tf.constant(["good film", "bad"])
    numbers = layers.TextVectorization(output_sequence_length=5)
    numbers.adapt(["good film", "bad film a"])
    inner = keras.Sequential([numbers, layers.Embedding(50, 4), layers.Flatten(), layers.Dense(1)])
    expected = tf.sigmoid(inner(texts)).numpy()
    outer = keras.Sequential([inner, layers.Activation("sigmoid")])
    assert outer.inputs[0].dtype is tf.string
    np.testing.assert_allclose(outer(texts).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(outer.predict(texts, verbose=0), expected, rtol=1e-6)
    assert outer(tf.constant(["a", "b", "c"])).shape == (3, 1)
    x = keras.Input((), dtype="string")
    model = keras.Sequential([keras.Model(x, numbers(x))])
    assert model(texts).numpy().tolist() == [[3, 2, 0, 0, 0], [4, 0, 0, 0, 0]]  # Keras's


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_the_type_of_the_inputs_of_a_model_inside(dtype):
    x = keras.Input((3,), dtype=dtype, batch_size=4)
    model = keras.Sequential([keras.Model(x, layers.Flatten()(x))])
    assert model.inputs[0].dtype.name == dtype and model.inputs[0].shape == (4, 3)


def deferred():
    return keras.Sequential([layers.Dense(3, name="a"), layers.Dense(2, name="b")], name="s")


class Around(keras.Model):
    def __init__(self, inner):
        super().__init__(name="around")
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def summary_lines(model):
    lines = []
    model.summary(print_fn=lines.append, line_length=70, expand_nested=True)
    return [line.rstrip("| ") for line in "\n".join(lines).splitlines() if "(Dense" in line]


def test_a_symbolic_call_builds_a_sequential_model():
    model, x = deferred(), keras.Input((6,))
    y = model(x)
    assert model.built and model.input_shape == (None, 6) and model.output_shape == (None, 2)
    assert model.layers[0].output.shape == (None, 3) and model.input.shape == (None, 6)
    a = " a (Dense)                     (None, 3)                   21"
    b = " b (Dense)                     (None, 2)                   8"
    assert summary_lines(model) == [a, b]
    assert [w.name for w in model.weights] == ["a/kernel:0", "a/bias:0", "b/kernel:0", "b/bias:0"]
    outer, part = keras.Model(x, y), keras.Model(model.input, model.layers[0].output)
    data = np.ones((5, 6), "float32")
    assert outer(data).shape == (5, 2) and part(data).shape == (5, 3)
    assert len(model.inbound_nodes) == 1 and len(outer.layers) == 2
    assert model(np.ones((2, 4, 6), "float32")).shape == (2, 4, 2)  # other shapes go on to work
    moved = "| a (Dense)                    (None, 3)                   21"
    assert summary_lines(outer) == [moved, moved.replace("a", "b").replace("3)", "2)")[:-2] + "8"]


def test_sequential_models_inside_subclasses_are_built():
    model = Around(deferred())
    model.build((None, 6))
    assert model.inner.layers[0].output.shape == (None, 3)
    assert [w.name for w in model.weights] == ["a/kernel:0", "a/bias:0", "b/kernel:0", "b/bias:0"]
    shown = [" ".join(line.split()[3:5]) for line in summary_lines(model)]
    assert shown == ["(None, 3)", "(None, 2)"]


def test_weights_of_a_sequential_model_that_is_not_built():
    model = keras.Sequential([keras.Sequential([layers.Dense(2)])], name="s")
    for name in ("weights", "trainable_weights", "non_trainable_variables", "variables"):
        with pytest.raises(ValueError, match="Weights for model 's' have not yet been created"):
            getattr(model, name)
    assert model.losses == model.metrics == [] and len(model.layers) == 1
    model.build((None, 4))
    assert len(model.weights) == 2


class OfValues(tf.keras.layers.Layer):
    def call(self, x):
        return x * float(x.numpy().sum())


def test_layers_that_need_values_are_called_on_them_alone():
    def model():
        return tf.keras.Sequential(
            [tf.keras.layers.Dense(2, kernel_initializer="ones"), OfValues()]
        )

    m = model()
    assert m(tf.ones((2, 3))).numpy().tolist() == [[36.0, 36.0]] * 2
    assert m(tf.ones((4, 3))).numpy()[0].tolist() == [72.0, 72.0]
    assert (m.built, len(m.weights)) == (True, 2)
    m = model()
    m.compile("sgd", "mse", run_eagerly=True)
    history = m.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    assert history.history["loss"] == [1225.0]


def test_an_error_of_a_call_is_that_of_the_values():
    class Product(tf.keras.layers.Layer):
        def call(self, x):
            return tf.matmul(x, tf.ones((7, 7)))

    with pytest.raises(tf.errors.InvalidArgumentError, match=r"calling layer 'p' \(type Product"):
        tf.keras.Sequential([Product(name="p")])(tf.ones((2, 3)))


def shapes(model):
    return tuple(model.input_shape), tuple(model.layers[0].output_shape), tuple(model.output_shape)


def test_inputs_of_other_sizes_leave_them_open():
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(2)])
    model(tf.ones([4, 3, 3]))
    assert shapes(model) == ((4, 3, 3), (4, 9), (4, 2))
    weights = model.weights
    model(tf.ones([4, 3, 3]))
    assert shapes(model) == ((4, 3, 3), (4, 9), (4, 2))
    model(tf.ones([6, 3, 3]))
    assert shapes(model) == ((None, 3, 3), (None, 9), (None, 2))
    model(tf.ones([4, 3, 3]))
    assert shapes(model) == ((None, 3, 3), (None, 9), (None, 2))
    assert all(a is b for a, b in zip(weights, model.weights)) and len(model.weights) == 2


def test_sizes_within_an_example_are_left_open_too():
    model = tf.keras.Sequential([tf.keras.layers.Conv2D(2, 2)])
    for size, shape in ((4, (1, 4, 4, 1)), (6, (1, None, None, 1))):
        assert model(tf.ones([1, size, size, 1])).shape == (1, size - 1, size - 1, 2)
        assert model.input_shape == shape
    assert model.layers[0].output_shape == (1, None, None, 2)


def test_fit_and_predict_leave_the_batch_open():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(tf.ones([64, 3]), tf.ones([64, 1]), verbose=0)
    assert model.output_shape == (32, 1)
    model.predict(tf.ones([8, 3]), verbose=0)
    assert model.output_shape == (None, 1)


def test_a_call_in_a_graph_of_the_program_leaves_a_built_model_as_it_is():
    model = tf.keras.Sequential([tf.keras.layers.Dense(2), tf.keras.layers.Dense(1)])
    model(tf.ones([4, 3]))
    with tf.Graph().as_default():
        assert model(tf.ones([5, 3])).shape == (5, 1)
    assert shapes(model) == ((4, 3), (4, 2), (4, 1))


def test_a_model_first_in_another_gives_it_the_shape_that_its_first_layer_was_made_for():
    def outer(inner):
        return keras.Sequential([inner, layers.Dense(1)])

    assert outer(keras.Sequential([layers.Dense(2, input_shape=(3,))])).built
    nested = keras.Sequential([keras.Sequential([layers.Dense(2, input_shape=(3,))])])
    assert outer(nested).input_shape == (None, 3)
    x = keras.Input((3,))
    assert outer(keras.Model(x, layers.Dense(2)(x))).built
    # not the one of a call, of `build` or of an InputLayer
    called, built = keras.Sequential([layers.Dense(2)]), keras.Sequential([layers.Dense(2)])
    called(tf.ones([5, 3]))
    built.build((None, 3))
    entered = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert called.built and built.built and entered.built
    assert not any(outer(inner).built for inner in (called, built, entered))
    with pytest.raises(ValueError, match="An empty Model cannot be used as a Layer"):
        outer(keras.Sequential())


def test_a_model_that_was_called_on_one_example_takes_batches_in_another():
    inner = keras.Sequential([layers.Resizing(4, 4)])
    assert inner(tf.ones([5, 6, 3])).shape == (4, 4, 3)
    outer = keras.Sequential([inner, layers.Conv2D(2, 2)])
    assert outer(tf.ones([2, 5, 6, 3])).shape == (2, 3, 3, 2)
    assert inner.input_shape == (5, 6, 3) and outer.output_shape == (2, 3, 3, 2)


def test_layers_that_were_adapted_give_models_the_number_of_axes():
    texts = layers.TextVectorization(output_sequence_length=4)
    texts.adapt(["a b", "b"])
    model = keras.Sequential([texts, layers.Embedding(5, 2)])
    assert model.input_shape == (None,) and model.output_shape == (None, 4, 2)
    assert texts.get_config()["batch_input_shape"] == (None,)
    lines = layers.TextVectorization()
    lines.adapt([["a"], ["b"]])
    assert lines.get_config()["batch_input_shape"] == (None, None)
    bins = layers.Discretization(num_bins=2)
    bins.adapt([1.0, 2.0])
    assert bins.get_config()["batch_input_shape"] == (None,)

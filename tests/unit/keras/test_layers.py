"""Layers: building, names, weights, training mode, errors, configurations."""

import random

import numpy as np
import pytest

import shardtape as tf
from shardtape.backend import random as streams
from shardtape.context import training_phase
from shardtape.keras import layers as layers_module
from shardtape.workers.step import CompiledStep

layers = tf.keras.layers


@pytest.fixture(autouse=True)
def fresh():
    tf.keras.backend.clear_session()


def model():
    x = tf.placeholder(tf.float32, (None, 8, 8, 1), name="x")
    y = tf.placeholder(tf.int32, (None,), name="y")
    net = layers.Conv2D(4, 3, activation="relu")(x)
    net = layers.MaxPooling2D()(net)
    net = layers.Dropout(0.5)(layers.Flatten()(net))
    net = layers.Dense(6, activation="relu")(net)
    logits = layers.Dense(3)(net)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, logits)
    return tf.Step(loss, metrics={"accuracy": tf.reduce_mean(
        tf.keras.metrics.sparse_categorical_accuracy(y, logits))})  # fmt: skip


def test_a_model_function_names_its_weights_alike_in_every_worker():
    first, second = CompiledStep(model, seed=3), CompiledStep(model, seed=3)
    assert first.keys == (
        "conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias", "dense_1/kernel",
        "dense_1/bias",
    )  # fmt: skip
    assert first.specs == second.specs
    for key, value in first.initial_values().items():
        np.testing.assert_array_equal(value, second.initial_values()[key])


def test_a_model_function_trains_and_evaluates():
    step = CompiledStep(model, seed=3)
    step.bind(step.initial_values())
    feed = {"x": np.ones((4, 8, 8, 1), np.float32), "y": np.arange(4, dtype=np.int32) % 3}
    result = step.run(feed, (1, 0, 0, 0))
    assert set(result.gradients) == set(step.keys)
    assert result.gradients["conv2d/kernel"].shape == (3, 3, 1, 4)
    again = step.run(feed, (1, 0, 0, 0))
    assert again.loss == result.loss, "the mask follows from the batch's key"
    assert step.run(feed, (1, 0, 0, 1)).loss != result.loss
    loss, metrics = step.evaluate(feed)
    assert loss == step.evaluate(feed)[0]
    assert set(metrics) == {"accuracy"}


def test_a_keras_model_inside_a_model_function():
    def made():
        x = tf.placeholder(tf.float32, (None, 4), name="x")
        inner = tf.keras.Sequential([layers.Dense(3, input_shape=(4,)), layers.Dense(2)])
        late = tf.keras.Sequential([layers.Dense(2), layers.Dense(1)])
        return tf.Step(tf.reduce_mean(late(inner(x))))

    step = CompiledStep(made, seed=1)
    assert step.keys == tuple(
        f"dense{suffix}/{name}" for suffix in ("", "_1", "_2", "_3") for name in ("kernel", "bias")
    )
    step.bind(step.initial_values())
    assert np.isfinite(step.run({"x": np.ones((2, 4), np.float32)}, (0, 0, 0, 0)).loss)


# ---- calls ----------------------------------------------------------------------------------
class Recorder(layers.Layer):
    def __init__(self, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.seen = inner, []

    def call(self, inputs, training=None):
        self.seen.append(training)
        return self.inner(inputs) if self.inner is not None else inputs


def test_training_comes_from_the_argument_the_outer_call_or_the_phase():
    inner = Recorder()
    outer, x = Recorder(inner), tf.ones((1, 1))
    outer(x)
    outer(x, training=True)
    outer(x, True)
    with training_phase(True):
        outer(x)
        outer(x, training=False)
    assert inner.seen == [None, True, True, True, False]
    assert (layers.Dropout(0.99)(tf.ones((50, 50))).numpy() == 1).all()
    assert (layers.Dropout(0.5)(tf.ones((9, 9)), training=True).numpy() == 0).any()


def test_a_default_of_training_in_call_counts():
    class Eager(layers.Layer):
        def call(self, inputs, training=True):
            return tf.constant(bool(training))

    assert bool(Eager()(tf.ones(1)))
    assert not bool(Eager()(tf.ones(1), training=False))


def test_inputs_are_converted_and_cast():
    layer = layers.Dense(2)
    assert layer(np.ones((3, 4))).dtype == "float32"
    assert layer(np.ones((3, 4), np.int64)).dtype == "float32"
    double = layers.Dense(2, dtype="float64")
    assert double(np.ones((3, 4), np.float32)).dtype == "float64"
    assert double.weights[0].dtype == "float64"


def test_a_layer_under_a_tape_and_in_a_function():
    layer = layers.Dense(2, activation="tanh")
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4)).astype("float32"))
    layer(x)

    def gradients(t):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(t) ** 2)
        return tape.gradient(y, layer.trainable_variables)

    for eager, traced in zip(gradients(x), tf.function(gradients)(x)):
        np.testing.assert_allclose(eager.numpy(), traced.numpy(), rtol=1e-5)


def test_a_layer_without_its_constructor():
    class Broken(layers.Layer):
        def __init__(self):
            self.units = 3

    with pytest.raises(RuntimeError, match="super"):
        Broken()(tf.ones((1, 1)))


@pytest.mark.parametrize(
    ("make", "shape", "text"),
    [
        (lambda: layers.Dense(2), (3,), "expected min_ndim=2, found ndim=1"),
        (lambda: layers.Conv2D(2, 3), (3, 8, 8), "expected min_ndim=4, found ndim=3"),
        (lambda: layers.MaxPooling2D(), (3, 8, 8), "expected ndim=4, found ndim=3"),
    ],
)
def test_wrong_shapes_name_the_layer(make, shape, text):
    with pytest.raises(ValueError, match=text):
        make()(tf.ones(shape))


def test_a_built_layer_keeps_its_input_size():
    layer = layers.Dense(2, name="last")
    layer(tf.ones((1, 4)))
    with pytest.raises(ValueError, match='layer "last".*axis -1.*value 4.*shape'):
        layer(tf.ones((1, 5)))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Dense(-1), "positive integer"),
        (lambda: layers.Dense(2, activation="rleu"), "Unknown activation function: 'rleu'"),
        (lambda: layers.Conv2D(0, 3), "strictly positive"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "padding"),
        (lambda: layers.Conv2D(4, 3, groups=3), "number of groups"),
        (lambda: layers.Conv2D(4, 3, data_format="NHWC"), "data_format"),
        (lambda: layers.Dropout(1.5), "between 0 and 1"),
        (lambda: layers.Permute((0, 1)), "consecutive"),
        (lambda: layers.Dense(2, kernel_initializer="glorot"), "glorot"),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_an_unknown_keyword():
    with pytest.raises(TypeError, match="Keyword argument not understood"):
        layers.Dense(2, unit=3)


def test_a_size_that_is_not_known():
    def made():
        return tf.Step(tf.reduce_mean(layers.Dense(2)(tf.placeholder(tf.float32, (2, None)))))

    with pytest.raises(ValueError, match="last dimension of the inputs to a Dense layer"):
        CompiledStep(made)


# ---- weights --------------------------------------------------------------------------------
class Holder(layers.Layer):
    def __init__(self):
        super().__init__(name="holder")
        self.parts = [layers.Dense(2, name="a"), layers.Dense(2, name="b")]
        self.by_name = {"c": layers.Dense(2, name="c")}
        self.again = self.parts[0]
        self.raw = tf.Variable(1.0, name="raw")
        self.fixed = tf.Variable(1.0, name="fixed", trainable=False)
        self.module = tf.Module()
        self.module.v = tf.Variable(1.0, name="inside")

    def call(self, inputs):
        for part in [*self.parts, self.by_name["c"]]:
            inputs = part(inputs)
        return inputs * self.raw


def test_weights_are_found_wherever_they_hang():
    holder = Holder()
    holder(tf.ones((1, 2)))
    names = [v.name for v in holder.trainable_weights]
    assert names == ["raw:0", "inside:0"] + [
        f"holder/{p}/{w}:0" for p in "abc" for w in ("kernel", "bias")
    ]
    assert [v.name for v in holder.non_trainable_weights] == ["fixed:0"]
    assert len(holder.weights) == 9
    assert holder.count_params() == 3 * 6 + 3


def test_trainable_reaches_the_layers_inside():
    holder = Holder()
    holder(tf.ones((1, 2)))
    holder.trainable = False
    assert holder.trainable_weights == []
    assert len(holder.non_trainable_weights) == 9
    assert not holder.parts[0].trainable
    holder.trainable = True
    holder.parts[1].trainable = False
    assert len(holder.trainable_weights) == 6


def test_get_and_set_weights():
    layer = layers.Dense(2)
    layer.build((None, 3))
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel + 1, bias + 2])
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel + 1)
    with pytest.raises(ValueError, match="expecting 2 weights"):
        layer.set_weights([kernel])
    with pytest.raises(ValueError, match="not compatible"):
        layer.set_weights([kernel.T, bias])


def test_add_weight_in_the_forms_of_keras_2_and_3():
    class Forms(layers.Layer):
        def build(self, input_shape):
            self.a = self.add_weight("a", (2, 3))
            self.b = self.add_weight(shape=(3,), initializer=tf.zeros_initializer(), name="b")
            self.c = self.add_weight((4,), initializer="ones")
            self.d = self.add_weight(name="d", dtype="int32", trainable=False)

    layer = Forms()
    layer.build(None)
    assert [tuple(v.shape) for v in (layer.a, layer.b, layer.c, layer.d)] == [
        (2, 3),
        (3,),
        (4,),
        (),
    ]
    assert layer.d.dtype == "int32"
    with pytest.raises(ValueError, match="unknown shape"):
        layer.add_weight("e", (None, 2))


def test_penalties_have_gradients():
    layer = layers.Dense(2, kernel_regularizer="l2", activity_regularizer=tf.keras.regularizers.l1)
    with tf.GradientTape() as tape:
        layer(tf.ones((4, 3)))
        total = tf.add_n(layer.losses)
    assert len(layer.losses) == 2
    assert tape.gradient(total, layer.kernel).shape == (3, 2)


def test_first_values_follow_the_seed():
    def draw():
        tf.keras.utils.set_random_seed(5)
        layer = layers.Dense(3)
        layer.build((None, 4))
        return layer.get_weights()[0]

    np.testing.assert_array_equal(draw(), draw())


def test_first_values_follow_pythons_numbers_where_the_program_seeded_them(monkeypatch):
    monkeypatch.setattr(streams.current_seed(), "objects", None)  # of `set_random_seed`

    def draw():
        tf.random.set_seed(1)
        return [layers.Dense(1)(np.ones((1, 3), np.float32)).numpy()[0, 0] for _ in range(2)]

    random.seed(5)
    with_python = draw()  # those of Keras 2.15, whatever the global seed is
    np.testing.assert_allclose(with_python, [0.7759504914283752, 1.9909907579421997], rtol=1e-6)
    random.random()
    first = draw()
    random.random()
    np.testing.assert_array_equal(draw(), first)


# ---- configurations -------------------------------------------------------------------------
CONFIGURED = [
    lambda: layers.Dense(3, "relu", kernel_regularizer="l2", bias_constraint="max_norm"),
    lambda: layers.Activation("tanh"),
    lambda: layers.Flatten(),
    lambda: layers.Reshape((2, -1)),
    lambda: layers.Permute((2, 1)),
    lambda: layers.RepeatVector(2),
    lambda: layers.Conv1D(2, 3, padding="causal", dilation_rate=2),
    lambda: layers.Conv2D(4, (3, 2), 2, "same", activation="elu"),
    lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=1),
    lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    lambda: layers.MaxPooling2D(3, 2, "same"),
    lambda: layers.AveragePooling1D(3),
    lambda: layers.GlobalMaxPooling2D(keepdims=True),
    lambda: layers.Dropout(0.3, seed=4),
    lambda: layers.GaussianNoise(0.1),
    lambda: layers.ReLU(6.0, 0.1),
    lambda: layers.LeakyReLU(0.2),
    lambda: layers.ELU(0.5),
    lambda: layers.Softmax(1),
    lambda: tf.keras.Sequential([layers.Dense(2, input_shape=(3,)), layers.Dropout(0.1)]),
]


@pytest.mark.parametrize("make", CONFIGURED)
def test_configurations_make_the_same_layer(make):
    import json

    layer = make()
    config = json.loads(json.dumps(layers_module.serialize(layer)))
    custom = {"Sequential": tf.keras.Sequential}
    again = layers_module.deserialize(config, custom)
    assert type(again) is type(layer)
    assert json.loads(json.dumps(again.get_config())) == config["config"]


def test_a_layer_with_arguments_beyond_json_must_say_its_configuration():
    class Unsaid(layers.Layer):
        def __init__(self, units):
            super().__init__()

    with pytest.raises(NotImplementedError, match="get_config"):
        Unsaid(len).get_config()
    with pytest.raises(ValueError, match="Unknown layer: 'Unsaid'"):
        layers_module.deserialize({"class_name": "Unsaid", "config": {}})


def test_parameters_are_counted_once_there_are_any():
    layer = layers.Dense(3, name="late")
    with pytest.raises(ValueError, match="late, but the layer isn't built"):
        layer.count_params()
    layer.build((None, 2))
    assert layer.count_params() == 9
    assert layers.Flatten().count_params() == 0


def test_layers_with_weights_per_position_refuse_what_they_cannot_hold():
    with pytest.raises(ValueError, match='only "valid" is supported if implementation is 1'):
        layers.LocallyConnected2D(2, 3, padding="same")
    with pytest.raises(NotImplementedError, match="implementations 1 and 2, got 3: use 2"):
        layers.LocallyConnected1D(2, 3, implementation=3)
    with pytest.raises(ValueError, match="should be fully-defined"):
        layers.LocallyConnected1D(2, 3).build((None, None, 4))


def test_both_implementations_of_locally_connected_layers_agree():
    """The matrix of implementation 2, filled from the kernels of implementation 1."""
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    by_window = layers.LocallyConnected1D(4, 3, strides=2, use_bias=False)
    by_matrix = layers.LocallyConnected1D(4, 3, strides=2, use_bias=False, implementation=2)
    want = by_window(x)
    by_matrix(x)
    kernel = by_window.get_weights()[0]  # (positions, window * channels, filters)
    full = np.full((7, 3, 3, 4), 99, np.float32)  # what lies outside of windows counts for nothing
    for position in range(3):
        for member in range(3):
            rows = slice(member * 3, member * 3 + 3)
            full[position * 2 + member, :, position] = kernel[position, rows]
    by_matrix.set_weights([full])
    np.testing.assert_allclose(by_matrix(x), want, rtol=1e-5, atol=1e-5)


def test_convolutions_over_three_axes_name_what_is_wrong():
    with pytest.raises(ValueError, match="kernel_size.*3 integers"):
        layers.Conv3D(2, (3, 3))
    with pytest.raises(ValueError, match="Strides must be greater than output padding"):
        layers.Conv3DTranspose(2, 3, 1, output_padding=1)
    with pytest.raises(ValueError, match="'SAME' or 'VALID'"):
        tf.nn.conv3d(np.zeros((1, 3, 3, 3, 1)), np.zeros((1, 1, 1, 1, 1)), 1, [[0, 0]] * 5)


def test_symbolic_outputs_keep_the_sizes_that_are_known():
    dense, einsum = layers.Dense(3), layers.EinsumDense("...x,xy->...y", 3)
    for layer in (dense, einsum):
        assert tuple(layer(tf.keras.Input((6, 4))).shape) == (None, 6, 3)
    assert tuple(dense(tf.keras.Input((None, 5, 4))).shape) == (None, None, 5, 3)
    # sizes of zero do not say what an unknown one is
    assert tuple(dense(tf.keras.Input((0, 4))).shape) == (None, 0, 3)
    assert dense(np.zeros((2, 0, 4), np.float32)).shape == (2, 0, 3)
    run = tf.function(lambda x: tf.tensordot(x, dense.kernel, [[2], [0]]),
                      input_signature=[tf.TensorSpec((None, 0, 4))])  # fmt: skip
    assert run(np.zeros((2, 0, 4), np.float32)).shape == (2, 0, 3)


def test_a_layer_without_a_name_gives_its_variables_the_names_of_tensorflow():
    class Inner(tf.keras.Model):
        def __init__(self):
            super().__init__(name="")
            self.part = tf.keras.layers.Dense(2, name="part")

        def call(self, x):
            return self.part(x)

    class Outer(tf.keras.Model):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = Inner()
            self.last = tf.keras.layers.Dense(1, name="last")

        def call(self, x):
            return self.last(self.inner(x))

    eager, traced = Outer(), Outer()
    eager(tf.ones((1, 2)))
    traced.predict(tf.ones((1, 2)), verbose=0)
    assert [v.name for v in eager.variables] == [
        "part/kernel:0", "part/bias:0", "outer/last/kernel:0", "outer/last/bias:0"
    ]  # fmt: skip
    assert [v.name for v in traced.variables] == [
        "outer//part/kernel:0", "outer//part/bias:0", "outer/last/kernel:0", "outer/last/bias:0"
    ]  # fmt: skip

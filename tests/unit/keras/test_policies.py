"""Policies and converted steps beyond what the recorded programs of TensorFlow show."""

import copy

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras import layers
from shardtape.workers.step import CompiledStep


@pytest.fixture(autouse=True)
def plain_policy():
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


def mixed_model() -> tf.keras.Model:
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    inputs = tf.keras.Input((4,))
    x = layers.BatchNormalization()(layers.Dense(8, activation="relu")(inputs))
    model = tf.keras.Model(inputs, layers.Dense(2, dtype="float32")(x))
    tf.keras.mixed_precision.set_global_policy("float32")
    return model


def test_a_saved_model_keeps_its_policies(tmp_path):
    model = mixed_model()
    model.compile("adam", "mse")
    x, y = np.ones((4, 4), np.float32), np.zeros((4, 2), np.float32)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = tf.keras.models.load_model(tmp_path / "m.keras")
    policies = [layer.dtype_policy.name for layer in loaded.layers]
    assert policies == ["float32", "mixed_float16", "mixed_float16", "float32"]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert float(loaded.optimizer.loss_scale) == float(model.optimizer.loss_scale) == 2.0**15


def test_a_policy_of_one_model_scales_its_loss_only():
    mixed, plain = mixed_model(), tf.keras.Sequential([layers.Dense(1)])
    mixed.compile("sgd", "mse")
    plain.compile("sgd", "mse")
    assert isinstance(mixed.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert not isinstance(plain.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)


def test_a_copied_weight_still_casts():
    layer = layers.Dense(2, dtype="mixed_float16")
    layer(np.ones((1, 3), np.float32))
    twin = copy.deepcopy(layer.kernel)
    assert type(twin) is type(layer.kernel)
    np.testing.assert_array_equal(twin.numpy(), layer.kernel.numpy())


def test_weights_are_read_wide_again_after_an_error_in_a_call():
    class Failing(layers.Layer):
        def call(self, x):
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        Failing(dtype="mixed_float16")(np.ones((1, 3), np.float32))
    layer = layers.Dense(2, dtype="mixed_float16")
    layer(np.ones((1, 3), np.float32))
    assert layer.kernel.value().dtype is tf.float32


def test_small_gradients_survive_by_the_scale():
    """A gradient of 1e-8 is zero in float16; scaled by 2 ** 15 it is not."""
    layer = layers.Dense(1, use_bias=False, dtype="mixed_float16")
    x = tf.constant([[1.0]])
    layer(x)
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(1.0))

    def gradient(scaled: bool) -> float:
        with tf.GradientTape() as tape:
            loss = tf.cast(layer(x), tf.float32) * 1e-8
            loss = optimizer.get_scaled_loss(loss) if scaled else loss
        g = tape.gradient(loss, layer.trainable_variables)
        return float(optimizer.get_unscaled_gradients(g)[0][0, 0] if scaled else g[0][0, 0])

    assert gradient(False) == 0.0
    assert gradient(True) == pytest.approx(1e-8, rel=1e-2)


def test_the_dtype_of_a_layer_must_be_one():
    with pytest.raises(TypeError, match="'mixed_float8' to a TensorFlow DType"):
        layers.Dense(1, dtype="mixed_float8")
    with pytest.raises(ValueError, match="mixed_float16.*name of any dtype"):
        tf.keras.mixed_precision.set_global_policy("mixed_float8")


class _Stepping(tf.keras.Sequential):
    """`train_step` with a condition that depends on a gradient; `clips` counts the true ones."""

    converted = True

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        [g] = tape.gradient(loss, self.trainable_variables)
        size = tf.norm(g)
        if self.converted:
            if size > 1.0:
                g = g / size
        else:
            g = tf.cond(size > 1.0, lambda: g / size, lambda: g)
        self.optimizer.apply_gradients([(g, self.trainable_variables[0])])
        return {"loss": loss}


@pytest.mark.parametrize("target", [0.1, 9.0])
def test_a_train_step_that_branches_equals_one_written_with_cond(target):
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    y = np.full((4, 1), target, np.float32)
    found = []
    for converted in (True, False):
        model = _Stepping([layers.Dense(1, use_bias=False, input_shape=(3,))])
        model.converted = converted
        model.set_weights([np.array([[0.1], [-0.2], [0.3]], np.float32)])
        model.compile(tf.keras.optimizers.SGD(0.5), "mse")
        model.fit(x, y * x[:, :1], epochs=3, verbose=0, shuffle=False)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(*found)


def test_a_lambda_that_branches_runs_in_a_model():
    def shifted(x):
        if tf.reduce_sum(x) > 0.0:
            return x + 1.0
        return x - 1.0

    inputs = tf.keras.Input((2,))
    model = tf.keras.Model(inputs, layers.Lambda(shifted)(inputs))
    np.testing.assert_array_equal(model.predict(np.ones((1, 2)), verbose=0), [[2, 2]])
    np.testing.assert_array_equal(model.predict(-np.ones((1, 2)), verbose=0), [[-2, -2]])


SCALE = 1024.0
KEY = (7, 0, 0, 0)  # of a batch


def half_model(scale):
    def model():
        hidden = layers.Dense(8, activation="relu", dtype="mixed_float16")
        out = layers.Dense(1, dtype="mixed_float16")

        def step(x, y):
            error = tf.cast(out(hidden(x)), tf.float32) - y
            return tf.Step(tf.reduce_mean(error**2) * scale)

        return step

    return model


def job(scale, optimizer):
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    y = x.sum(1, keepdims=True)
    return tf.Trainer(
        half_model(scale), train={"x": x, "y": y}, test={"x": x, "y": y}, optimizer=optimizer,
        ps=0, workers=0, epochs=8, batch_size=16, seed=3,
    )  # fmt: skip


def test_a_job_of_half_precision_with_a_scaled_loss():
    plain = job(1.0, tf.keras.optimizers.SGD(0.05)).fit().metrics["loss"]
    factor = tf.keras.optimizers.SGD(0.05, loss_scale_factor=SCALE)
    scaled = job(SCALE, factor).fit().metrics["loss"]
    assert plain < 1.0
    assert scaled / SCALE == pytest.approx(plain, rel=0.02)


def test_a_job_refuses_an_optimizer_whose_scale_changes():
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(0.05))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"SGD\(.*loss_scale_factor"):
        job(1.0, optimizer)


def test_gradients_of_half_layers_in_a_worker_are_those_of_wide_weights():
    feeds = {"x": ("float32", (None, 3)), "y": ("float32", (None, 1))}
    step = CompiledStep(half_model(1.0), seed=1, feeds=feeds)
    step.bind(step.initial_values())
    assert {str(s.dtype) for s in step.specs} == {"float32"}
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    result = step.run({"x": x, "y": x[:, :1]}, KEY)
    assert {g.dtype.name for g in result.gradients.values()} == {"float32"}


SERIES = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(2, 5, 5, 4)).astype(np.float32)
VOLUMES = np.random.default_rng(0).normal(size=(2, 3, 3, 3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: layers.Conv3D(2, 2), VOLUMES),
        (lambda: layers.Conv3DTranspose(2, 2), VOLUMES),
        (lambda: layers.MaxPooling3D(), VOLUMES),
        (lambda: layers.SeparableConv2D(3, 2), IMAGES),
        (lambda: layers.Conv2DTranspose(3, 2), IMAGES),
        (lambda: layers.ConvLSTM1D(3, 2), IMAGES),
        (lambda: layers.ConvLSTM2D(3, 2, return_sequences=True), VOLUMES),
        (lambda: layers.LocallyConnected1D(3, 2), SERIES),
        (lambda: layers.LocallyConnected2D(3, 2, implementation=2), IMAGES),
        (lambda: layers.SpectralNormalization(layers.Dense(3)), SERIES),
        (lambda: layers.GRU(3, reset_after=False), SERIES),
        (lambda: layers.LSTM(3, recurrent_dropout=0.5), SERIES),
        (lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), SERIES),
        (lambda: layers.AlphaDropout(0.5), SERIES),
        (lambda: layers.Normalization(), SERIES),
    ],
)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_layers_train_under_mixed_policies(policy, make, x):
    tf.keras.utils.set_random_seed(1)  # a step that overflows in float16 is skipped
    tf.keras.mixed_precision.set_global_policy(policy)
    inputs = tf.keras.Input(x.shape[1:])
    model = tf.keras.Model(inputs, make()(layers.Dense(x.shape[-1])(inputs)))
    assert f"mixed_{model.output.dtype.name}" == policy
    before = model.get_weights()
    model.compile("sgd", "mse")
    target = np.ones([2, *model.output_shape[1:]], np.float32)
    history = model.fit(x, target, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert {w.dtype for w in before if w.dtype.kind == "f"} == {np.dtype(np.float32)}
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights()))

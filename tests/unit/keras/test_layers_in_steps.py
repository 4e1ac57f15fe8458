"""Layers with state, sparse gradients and loops where they run: eagerly, traced, in a worker."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ps.client import Rows
from shardtape.workers.step import CompiledStep

layers = tf.keras.layers
KEY = (7, 0, 0, 0)


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 5, 3)])
def test_moving_averages_are_the_same_eagerly_and_traced(shape):
    x = rows(*shape) + 2
    eager, traced = layers.BatchNormalization(momentum=0.9), layers.BatchNormalization(momentum=0.9)
    run = tf.function(lambda t: traced(t, training=True))
    for i in range(3):
        a, b = eager(x * (i + 1), training=True), run(tf.constant(x * (i + 1)))
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(eager.moving_mean, traced.moving_mean, rtol=1e-6)
    np.testing.assert_allclose(eager.moving_variance, traced.moving_variance, rtol=1e-6)
    axes = tuple(range(len(shape) - 1))
    mean = sum(0.1 * 0.9 ** (2 - i) * (i + 1) * x.mean(axes) for i in range(3))
    np.testing.assert_allclose(eager.moving_mean, mean, rtol=1e-5)
    assert [v.trainable for v in eager.weights] == [True, True, False, False]


def test_a_frozen_batch_normalization_keeps_its_averages():
    layer = layers.BatchNormalization()
    layer(rows(4, 3))
    layer.trainable = False
    before = layer.get_weights()
    y = layer(rows(4, 3, seed=1), training=True)
    np.testing.assert_allclose(y, rows(4, 3, seed=1) / np.sqrt(1.001), rtol=1e-5)
    for a, b in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_training_may_be_a_tensor():
    layer, x = layers.BatchNormalization(momentum=0.5), rows(8, 3)
    run = tf.function(lambda t, training: layer(t, training=training))
    still = run(tf.constant(x), tf.constant(False))
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))
    np.testing.assert_allclose(still, x / np.sqrt(1.001), rtol=1e-5)
    moved = run(tf.constant(x), tf.constant(True))
    np.testing.assert_allclose(layer.moving_mean, 0.5 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(np.mean(moved, 0), np.zeros(3), atol=1e-6)


def normalised_model():
    norm, out = layers.BatchNormalization(momentum=0.9), layers.Dense(1)

    def step(x, y):
        loss = tf.reduce_mean(tf.square(out(norm(x)) - y))
        kept = {"mean": norm.moving_mean[0], "variance": norm.moving_variance[1]}
        return tf.Step(loss, metrics={k: tf.convert_to_tensor(v) for k, v in kept.items()})

    return step


def test_a_worker_sends_moving_averages_as_differences_to_add():
    feeds = {"x": ("float32", (None, 3)), "y": ("float32", (None, 1))}
    step = CompiledStep(normalised_model, seed=1, feeds=feeds)
    aggregated = [s.key.rsplit("/")[-1] for s in step.specs if s.role == "aggregated"]
    assert aggregated == ["moving_mean", "moving_variance"] and len(step.specs) == 6
    step.bind(step.initial_values())
    x = rows(6, 3) * 3 + 1
    result = step.run({"x": x, "y": rows(6, 1, seed=1)}, KEY)
    updates = {key.rsplit("/")[-1]: (kind, value) for key, kind, value in result.updates}
    assert {kind for kind, _ in updates.values()} == {"add"}
    np.testing.assert_allclose(updates["moving_mean"][1], 0.1 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(updates["moving_variance"][1], 0.1 * (x.var(0) - 1), rtol=1e-4)
    before = dict(step.initial_values())
    loss, _ = step.evaluate({"x": x, "y": rows(6, 1, seed=1)})
    assert np.isfinite(loss)
    for key, value in step.initial_values().items():
        np.testing.assert_array_equal(value, before[key])


def test_moving_averages_reach_the_parameters_of_a_job():
    x = rows(64, 3) * 2 + 5
    y = x.sum(1, keepdims=True).astype(np.float32)
    result = tf.Trainer(
        normalised_model, train={"x": x, "y": y}, test={"x": x, "y": y},
        optimizer=tf.keras.optimizers.SGD(0.01), ps=0, workers=0, epochs=20, batch_size=16, seed=3,
    ).fit()  # fmt: skip
    assert result.metrics["mean"] == pytest.approx(x.mean(0)[0], rel=0.05)
    assert result.metrics["variance"] == pytest.approx(x.var(0)[1], rel=0.3)


def recurrent_model():
    table = layers.Embedding(20, 4, mask_zero=True)
    lstm, out = layers.LSTM(5), layers.Dense(2)

    def step(x, y):
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return tf.Step(loss(y, out(lstm(table(x)))))

    return step


def test_recurrence_and_embedding_in_a_worker():
    feeds = {"x": ("int32", (None, None)), "y": ("int32", (None,))}
    step = CompiledStep(recurrent_model, seed=1, feeds=feeds)
    values = step.initial_values()
    step.bind(values)
    ids = np.array([[3, 7, 3, 0], [1, 7, 0, 0]], np.int32)
    result = step.run({"x": ids, "y": np.array([0, 1], np.int32)}, KEY)
    (table,) = [g for g in result.gradients.values() if isinstance(g, Rows)]
    assert list(table.rows) == [0, 1, 3, 7]
    np.testing.assert_array_equal(table.values[0], np.zeros(4))
    key = next(k for k in values if k.endswith("recurrent_kernel"))
    slope = result.gradients[key][1, 2]
    found = []
    for change in (1e-2, -1e-2):
        values[key][1, 2] += change
        found.append(step.run({"x": ids, "y": np.array([0, 1], np.int32)}, KEY).loss)
        values[key][1, 2] -= change
    assert slope == pytest.approx((found[0] - found[1]) / 2e-2, rel=0.02, abs=1e-5)


def test_the_gradient_of_an_embedding_is_sparse():
    layer = layers.Embedding(10, 2)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(np.array([[1, 3, 1]])))
    grad = tape.gradient(y, layer.embeddings)
    assert isinstance(grad, tf.IndexedSlices)
    np.testing.assert_array_equal(grad.indices, [1, 3, 1])


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"return_sequences": True}])
@pytest.mark.parametrize("masked", [False, True])
def test_python_loop_and_graph_loop_agree(kind, options, masked):
    layer = getattr(layers, kind)(4, **options)
    x = tf.constant(rows(3, 6, 2))
    mask = np.arange(6) < np.array([[6], [2], [4]]) if masked else None
    target = rows(3, 4, seed=5) if not options.get("return_sequences") else rows(3, 6, 4, seed=5)

    def run(t):
        with tf.GradientTape() as tape:
            tape.watch(t)
            loss = tf.reduce_sum(layer(t, mask=mask) * target)
        return [loss, *tape.gradient(loss, [t, *layer.trainable_variables])]

    unknown = tf.function(run, input_signature=[tf.TensorSpec((None, None, 2), tf.float32)])
    for a, b in zip(run(x), unknown(x)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_dropout_of_a_recurrent_layer_is_one_mask_for_all_steps_outside_graphs():
    tf.random.set_seed(1)
    layer = layers.SimpleRNN(
        3, activation="linear", dropout=0.5, recurrent_initializer="zeros", return_sequences=True
    )
    x = np.ones((2, 5, 4), np.float32)
    still = np.asarray(layer(x))
    y = np.asarray(layer(x, training=True))
    np.testing.assert_allclose(y, np.broadcast_to(y[:, :1], y.shape), rtol=1e-6)
    assert np.abs(y - still).max() > 0
    run = tf.function(lambda t: layer(t, training=True))
    z = np.asarray(run(tf.constant(x)))
    assert np.abs(z - z[:, :1]).max() > 0  # the loop of a graph draws at each step, as Keras's
    assert np.abs(z - np.asarray(run(tf.constant(x)))).max() > 0


def test_recurrent_dropout_trains_and_is_off_in_inference():
    layer = layers.LSTM(3, dropout=0.2, recurrent_dropout=0.3)
    x = rows(2, 5, 4)
    np.testing.assert_array_equal(layer(x), layer(x))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x, training=True))
    assert all(g is not None for g in tape.gradient(y, layer.trainable_variables))


def test_a_stateful_layer_goes_on_in_a_traced_function():
    layer = layers.GRU(3, stateful=True, batch_input_shape=(2, None, 4))
    x = tf.constant(rows(2, 6, 4))
    run = tf.function(lambda t: layer(t))
    whole = run(x)
    layer.reset_states()
    run(x[:, :2])
    np.testing.assert_allclose(run(x[:, 2:]), whole, atol=1e-6)
    with pytest.raises(ValueError, match="batch size"):
        layers.GRU(3, stateful=True)(tf.keras.Input((None, 4)))


def test_a_layer_that_knows_no_masks_stops_them():
    masked = layers.Masking()(np.ones((2, 3, 4), np.float32))
    assert getattr(layers.Flatten()(masked), "_keras_mask", None) is None

    class Marking(layers.Layer):
        def call(self, inputs, mask=None):
            self.seen = mask
            return inputs + 1

        def compute_mask(self, inputs, mask=None):
            return tf.logical_not(mask)

    layer = Marking()
    y = layer(masked)
    assert np.asarray(layer.seen).all() and not np.asarray(y._keras_mask).any()


def test_configurations_give_the_layers_back():
    made = [
        layers.LSTM(3, return_sequences=True, dropout=0.1), layers.GRU(3, reset_after=False),
        layers.RNN([layers.LSTMCell(2), layers.SimpleRNNCell(3)], return_state=True),
        layers.Bidirectional(layers.LSTM(2), merge_mode="sum"),
        layers.Bidirectional(layers.LSTM(2), backward_layer=layers.GRU(2, go_backwards=True)),
        layers.TimeDistributed(layers.Dense(2)), layers.BatchNormalization(momentum=0.5),
        layers.LayerNormalization(), layers.GroupNormalization(2), layers.Embedding(4, 2),
        layers.MultiHeadAttention(2, 2), layers.Attention(), layers.Concatenate(1), layers.Dot(1),
        layers.PReLU(), layers.AlphaDropout(0.3), layers.EinsumDense("ab,bc->ac", 3),
    ]  # fmt: skip
    for layer in made:
        copy = layers.deserialize(layers.serialize(layer))
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="merge mode"):
        layers.Bidirectional(layers.LSTM(2), merge_mode="min")
    with pytest.raises(ValueError, match="incompatible shapes"):
        layers.Add()([np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)])
    with pytest.raises(ValueError, match="matching shapes"):
        layers.Concatenate()([np.ones((2, 3), np.float32), np.ones((2, 4, 3), np.float32)])
    with pytest.raises(ValueError, match="list of inputs"):
        layers.Add()(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="time dimension"):
        layers.LSTM(2, unroll=True)(tf.keras.Input((None, 3)))
    with pytest.raises(ValueError, match="divide"):
        layers.GroupNormalization(2)(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layers.LSTM(2)(np.ones((2, 3), np.float32))


def test_spectral_normalization_is_the_same_traced():
    x = rows(8, 4)
    found = []
    for eager in (True, False):
        layer = layers.SpectralNormalization(layers.Dense(3), power_iterations=2)
        model = tf.keras.Sequential([tf.keras.Input((4,)), layer])
        model.set_weights([rows(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
        model.compile("sgd", "mse", run_eagerly=eager)
        model.fit(x, rows(8, 3, seed=9), epochs=3, batch_size=4, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    kernel = np.zeros((4, 3), np.float32)  # has no direction, and stays
    layer.set_weights([kernel, *layer.get_weights()[1:]])
    layer(x, training=True)
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)
    with pytest.raises(ValueError, match="nor 'embeddings'"):
        layers.SpectralNormalization(layers.ReLU())(x)


class Halving(layers.Layer):
    """Branches and loops on what it computes."""

    def __init__(self, converted):
        super().__init__()
        self.dense, self.converted = layers.Dense(2), converted

    def call(self, x):
        y = self.dense(x)
        if not self.converted:
            y = tf.cond(tf.reduce_mean(y) > 0.0, lambda: y * 0.5, lambda: y - 1.0)
            return tf.while_loop(lambda y: tf.norm(y) > 2.0, lambda y: [y * 0.5], [y])[0]
        if tf.reduce_mean(y) > 0.0:
            y = y * 0.5
        else:
            y = y - 1.0
        while tf.norm(y) > 2.0:
            y = y * 0.5
        return y


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_step_of_a_worker_branches_as_written_with_cond(sign):
    def model_of(converted):
        def model():
            layer = Halving(converted)

            def step(x):
                loss = tf.reduce_mean(layer(x) ** 2)
                if not converted:
                    return tf.Step(tf.cond(loss > 1.0, lambda: loss * 3.0, lambda: loss))
                if loss > 1.0:
                    loss = loss * 3.0
                return tf.Step(loss)

            return step

        return model

    found = []
    for converted in (True, False):
        step = CompiledStep(model_of(converted), seed=1, feeds={"x": ("float32", (None, 3))})
        step.bind(step.initial_values())
        result = step.run({"x": sign * rows(6, 3)}, KEY)
        found.append([result.loss, *result.gradients.values()])
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)

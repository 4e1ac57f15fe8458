"""Control flow, derivatives, clipping and layers in two replicas. TensorFlow 2.15's numbers."""

import copy

import numpy as np
import pytest

import shardtape as tf

L = tf.keras.layers


def number():
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group, tf.float32)


def values(x):
    return [v.numpy().tolist() for v in x.values]


def test_loops(strategy):
    with strategy.scope():
        v = tf.Variable(0.0, aggregation=tf.VariableAggregation.SUM)

    def inside():
        x = number()
        for i in tf.range(3):
            x += tf.cast(i, tf.float32)
        return v.assign_add(x)

    assert values(tf.function(strategy.run)(inside)) == [7.0, 7.0]

    def writes():
        for _ in tf.range(3):
            v.assign_add(1.0 + number())

    with pytest.raises(RuntimeError, match="outside of control flow"):
        tf.function(strategy.run)(writes)

    @tf.function
    def around():
        for _ in tf.range(3):
            strategy.run(lambda: v.assign_add(1.0 + number()))
        return v.read_value()

    assert float(around()) == 16.0


def test_branches(strategy):
    with strategy.scope():
        w = tf.Variable([1.0, 2.0])

    def branch():
        return tf.cond(number() > 0, lambda: w.assign(w * 2.0)[0], lambda: w[0])

    assert values(tf.function(strategy.run)(branch)) == [1.0, 2.0]
    assert values(w) == [[1.0, 2.0], [2.0, 4.0]]
    assert values(strategy.run(lambda: tf.gather(w, [1]))) == [[2.0], [4.0]]


def test_derivatives(strategy):
    with strategy.scope():
        w = tf.Variable([1.0, 2.0])

    def jacobian():
        with tf.GradientTape() as tape:
            y = w * w * (1.0 + number())
        return tape.jacobian(y, w)

    def second():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                y = tf.reduce_sum(w**3)
            gradient = inner.gradient(y, w)
        return outer.gradient(gradient, w)

    def watched():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(w)
            y = w * 2.0
        return tape.gradient(y, w)

    wanted = [[[2.0, 0.0], [0.0, 4.0]], [[4.0, 0.0], [0.0, 8.0]]]
    for run in (strategy.run, tf.function(strategy.run)):
        assert values(run(jacobian)) == wanted
        assert values(run(second)) == [[6.0, 12.0]] * 2
        assert values(run(watched)) == [[2.0, 2.0]] * 2


@pytest.mark.parametrize(
    "options, a, b",
    [({"clipnorm": 0.1}, 0.9865836, 2.97), ({"global_clipnorm": 0.1}, 0.9919822, 2.9759467),
     ({"clipvalue": 0.1}, 0.97, 2.97), ({"weight_decay": 0.1}, 0.059319, 0.177957),
     ({"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}, 0.301, 0.903)],
)  # fmt: skip
def test_options_of_optimizers(strategy, options, a, b):
    with strategy.scope():
        first, second = tf.Variable([1.0, 2.0]), tf.Variable([3.0])
        optimizer = tf.keras.optimizers.SGD(0.1, **options)

    def step():
        with tf.GradientTape() as tape:
            loss = (tf.reduce_sum(first**2) + tf.reduce_sum(second**2)) * (1.0 + number())
        pairs = zip(tape.gradient(loss, [first, second]), [first, second])
        optimizer.apply_gradients(pairs)

    run = tf.function(lambda: strategy.run(step))
    for _ in range(3):
        run()
    if "use_ema" in options:
        optimizer.finalize_variable_values([first, second])
    for component in first.values:
        assert component.numpy()[0] == pytest.approx(a, abs=2e-6)
    for component in second.values:
        assert component.numpy()[0] == pytest.approx(b, abs=2e-6)


def test_minimize(strategy):
    with strategy.scope():
        v = tf.Variable(1.0)
        optimizer = tf.keras.optimizers.SGD(0.1)
    strategy.run(lambda: optimizer.minimize(lambda: v * v, [v]))
    np.testing.assert_allclose(values(v), [0.6, 0.6], rtol=1e-6)


def test_legacy_optimizers_of_ones_own(strategy):
    class Own(tf.keras.optimizers.legacy.Optimizer):
        def __init__(self):
            super().__init__("Own")
            self._set_hyper("learning_rate", 0.1)

        def _create_slots(self, var_list):
            for v in var_list:
                self.add_slot(v, "m")

        def _resource_apply_dense(self, grad, var, apply_state=None):
            m = self.get_slot(var, "m")
            m.assign_add(grad)
            return var.assign_sub(m * self._get_hyper("learning_rate"))

        def get_config(self):
            return {}

    with strategy.scope():
        v = tf.Variable([1.0, 2.0])
        optimizer = Own()

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(v * v) * (1.0 + number())
        optimizer.apply_gradients([(tape.gradient(loss, v), v)])

    strategy.run(step)
    tf.function(strategy.run)(step)
    # sums of gradients are 6 v: m = 6, v = 0.4; m = 8.4, v = -0.44
    np.testing.assert_allclose(values(v), [[-0.44, -0.88]] * 2, rtol=1e-5)


@pytest.mark.parametrize(
    "synchronized, losses, variance, mean",
    [(False, [1.16913, 1.13136], [0.09744, 0.16395, 0.0734], [-0.04248, -0.0477, 0.46058]),
     (True, [1.16813, 1.11544], [0.09451, 0.1535, 0.07321], [-0.04355, -0.04521, 0.4655])],
)  # fmt: skip
def test_batch_normalization_of_images(strategy, synchronized, losses, variance, mean):
    x = (np.arange(8 * 4 * 4 * 2).reshape(8, 4, 4, 2) % 11 / 11).astype("float32")
    with strategy.scope():
        layers = [
            L.Conv2D(3, 3, kernel_initializer=tf.keras.initializers.GlorotUniform(seed=1),
                     input_shape=(4, 4, 2)),
            L.BatchNormalization(momentum=0.5, synchronized=synchronized), L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(3, kernel_initializer=tf.keras.initializers.GlorotUniform(seed=2),
                    activation="softmax"),
        ]  # fmt: skip
        model = tf.keras.Sequential(layers)
        model.compile(tf.keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    history = model.fit(x, np.arange(8) % 3, batch_size=4, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, atol=1e-5)
    np.testing.assert_allclose(layers[1].moving_variance.numpy(), variance, atol=1e-5)
    np.testing.assert_allclose(layers[1].moving_mean.numpy(), mean, atol=1e-5)


def test_sparse_gradients_of_a_model(strategy):
    with strategy.scope():
        drawn = tf.keras.initializers.GlorotUniform
        model = tf.keras.Sequential([
            L.Embedding(10, 4, embeddings_initializer=tf.keras.initializers.RandomUniform(seed=1)),
            L.LSTM(3, kernel_initializer=drawn(seed=2), recurrent_initializer=drawn(seed=5)),
            L.Dense(1, kernel_initializer="ones"),
        ])  # fmt: skip
        model.compile(tf.keras.optimizers.Adam(0.01), "mse")
    x = np.arange(24).reshape(6, 4) % 10
    history = model.fit(x, np.arange(6.0), batch_size=3, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [9.03933, 8.65652], atol=1e-4)


def test_modules_and_copies(strategy):
    class Scaled(tf.Module):
        def __init__(self):
            self.w = tf.Variable(2.0)
            self.more = [tf.Variable(1.0)]

        @tf.function
        def __call__(self, x):
            return self.w * x

    with strategy.scope():
        module = Scaled()
        model = tf.keras.Sequential([L.Dense(1, input_shape=(1,))])
        clone = tf.keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
    assert len(module.trainable_variables) == 2
    assert values(strategy.run(module, args=(tf.constant(3.0),))) == [6.0, 6.0]
    assert values(clone.weights[0]) == [model.get_weights()[0].tolist()] * 2
    copied = copy.deepcopy(module.w)
    assert copied.distribute_strategy is strategy and copied is not module.w
    copied.assign(7.0)
    assert values(copied) == [7.0, 7.0] and values(module.w) == [2.0, 2.0]


def test_a_strategy_until_further_notice(strategy):
    tf.distribute.experimental_set_strategy(strategy)
    try:
        assert tf.distribute.get_strategy() is strategy
        assert type(tf.Variable(1.0)).__name__ == "MirroredVariable"
    finally:
        tf.distribute.experimental_set_strategy(None)
    assert not tf.distribute.has_strategy()
    assert type(tf.Variable(1.0)).__name__ == "ResourceVariable"
    with strategy.scope(), pytest.raises(RuntimeError, match="inside of"):
        tf.distribute.experimental_set_strategy(strategy)


def test_structures_of_replicas_have_to_agree(strategy):
    def uneven():
        return [number()] * (1 + int(number()))

    with pytest.raises(ValueError, match="different structures"):
        strategy.run(uneven)
    with strategy.scope(), pytest.raises(ValueError, match="MEAN"):
        tf.Variable(1, aggregation=tf.VariableAggregation.MEAN)

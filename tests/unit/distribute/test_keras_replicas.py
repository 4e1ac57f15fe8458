"""Keras models in the scope of two replicas. Numbers are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

L = tf.keras.layers
X = (np.arange(40).reshape(10, 4) % 7 / 7).astype("float32")
Y = (X.sum(1, keepdims=True) * 0.5 + np.arange(10)[:, None] * 0.1).astype("float32")
BATCHES = {"batch_size": 4, "shuffle": False, "verbose": 0}


def dense_model(**options):
    first = L.Dense(
        3, activation="tanh", kernel_initializer=tf.keras.initializers.Constant(0.1),
        input_shape=(4,), **options,
    )  # fmt: skip
    return tf.keras.Sequential([first, L.Dense(1, kernel_initializer="ones")])


def compiled(
    strategy, make=dense_model, optimizer="sgd", loss="mse", metrics=("mae",), **options
):  # fmt: skip
    with strategy.scope():
        model = make()
        model.compile(
            optimizer() if callable(optimizer) else optimizer, loss, metrics=list(metrics),
            **options,
        )  # fmt: skip
    return model


def check(history, **wanted):
    assert set(history.history) == set(wanted)
    for name, numbers in wanted.items():
        np.testing.assert_allclose(history.history[name], numbers, atol=6e-6, err_msg=name)


TWICE = {"loss": [0.611185, 0.310741], "mae": [0.731994, 0.49316]}


def test_fit_evaluate_predict(strategy):
    model = compiled(strategy)
    assert model.distribute_strategy is strategy
    assert type(model.weights[0]).__name__ == "MirroredVariable"
    # batches of 4, 4 and 2; a part of the last one is one example
    check(model.fit(X, Y, epochs=2, **BATCHES), **TWICE)
    kernel, bias, _, last = model.get_weights()
    np.testing.assert_allclose(kernel[:, 0], [0.1290548, 0.1340199, 0.1399145, 0.1294208],
                               atol=1e-6)  # fmt: skip
    np.testing.assert_allclose([bias[0], last[0]], [0.0756, 0.0795237], atol=1e-6)
    for size in (4, 3):
        got = model.evaluate(X, Y, batch_size=size, verbose=0)
        np.testing.assert_allclose(got, [0.1954171, 0.3661405], atol=1e-6)
        got = model.predict(X, batch_size=size, verbose=0).ravel()
        np.testing.assert_allclose(got[:4], [0.653423, 1.147181, 0.873914, 0.972345], atol=2e-6)
        assert got.shape == (10,)
    got = model.train_on_batch(X[:3], Y[:3])
    np.testing.assert_allclose(got, [0.017592, 0.0964903], atol=1e-6)
    got = model.test_on_batch(X[:3], Y[:3])
    np.testing.assert_allclose(got, [0.0172907, 0.0972294], atol=1e-6)
    got = model.predict_on_batch(X[:3]).ravel()
    np.testing.assert_allclose(got, [0.650625, 1.144973, 0.871107], atol=2e-6)


def test_fit_of_datasets(strategy):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    model = compiled(strategy, optimizer="adam")
    check(
        model.fit(dataset, epochs=2, verbose=0, validation_data=dataset),
        loss=[0.7034, 0.662448], mae=[0.77689, 0.75077], val_loss=[0.676626, 0.63726],
        val_mae=[0.757634, 0.73205],
    )  # fmt: skip
    distributed = strategy.experimental_distribute_dataset(dataset)
    with strategy.scope():
        model = compiled(strategy)
    check(model.fit(distributed, epochs=1, verbose=0, steps_per_epoch=2), loss=[0.484451],
          mae=[0.650672])  # fmt: skip
    model = compiled(strategy)
    check(model.fit(dataset.repeat(), steps_per_epoch=3, epochs=2, verbose=0), **TWICE)


@pytest.mark.parametrize("options", [{"steps_per_execution": 2}, {"run_eagerly": True}])
def test_ways_of_running(strategy, options):
    model = compiled(strategy, **options)
    check(model.fit(X, Y, epochs=2, **BATCHES), **TWICE)


def test_losses(strategy):
    model = compiled(
        strategy, lambda: dense_model(kernel_regularizer=tf.keras.regularizers.L2(0.1))
    )
    check(model.fit(X, Y, epochs=2, **BATCHES), loss=[0.625556, 0.331902], mae=[0.732769, 0.496098])
    np.testing.assert_allclose(model.get_weights()[0][0, 0], 0.127826, atol=1e-6)
    model = compiled(strategy, loss=tf.keras.losses.MeanSquaredError(reduction="sum"))
    check(model.fit(X, Y, epochs=2, **BATCHES), loss=[1.343197, 0.349435], mae=[0.59205, 0.29597])
    np.testing.assert_allclose(model.get_weights()[0][0, 0], 0.154448, atol=1e-6)
    model = compiled(strategy)
    weights = np.arange(10.0) / 5
    check(model.fit(X, Y, sample_weight=weights, **BATCHES), loss=[0.788452], mae=[0.749193])
    model = compiled(strategy, loss="binary_crossentropy")
    labels = (Y > 1).astype("float32")
    check(model.fit(X, labels, class_weight={0: 1.0, 1: 3.0}, **BATCHES), loss=[1.149346],
          mae=[0.337144])  # fmt: skip
    model = compiled(strategy)
    check(model.fit(X, Y, validation_split=0.3, **BATCHES), loss=[0.455789], mae=[0.625383],
          val_loss=[0.900892], val_mae=[0.937754])  # fmt: skip


def test_several_outputs(strategy):
    def make():
        inputs = L.Input((4,))
        a = L.Dense(1, kernel_initializer="ones", name="a")(inputs)
        b = L.Dense(1, kernel_initializer="zeros", name="b")(inputs)
        return tf.keras.Model(inputs, [a, b])

    model = compiled(strategy, make, loss={"a": "mse", "b": "mae"}, metrics=())
    check(model.fit(X, [Y, Y], **BATCHES), loss=[1.52531], a_loss=[0.267207], b_loss=[1.258102])
    a, b = model.predict(X, batch_size=4, verbose=0)
    np.testing.assert_allclose(a.ravel()[:3], [0.832054, 2.102941, 1.398274], atol=2e-6)
    np.testing.assert_allclose(b.ravel()[:3], [0.040918, 0.058061, 0.048061], atol=2e-6)


@pytest.mark.parametrize(
    "synchronized, history, means, variances, evaluated",
    [(False, {"loss": [5.875449, 4.439063], "mae": [2.003476, 1.727359]},
      [[0.446429, 0.267857, 0.401786, 0.379464], [0.267857, 0.401786, 0.379464, 0.513393]],
      [0.12787, 0.116709, 0.111129, 0.105548], [1.5030786, 0.9855083]),
     (True, {"loss": [5.065399, 3.875597], "mae": [1.80279, 1.56399]},
      [[0.357143, 0.334821, 0.390625, 0.446429]] * 2,
      [0.149394, 0.121492, 0.124283, 0.110332], [1.4704545, 1.0039479])],
)  # fmt: skip
def test_batch_normalization(strategy, synchronized, history, means, variances, evaluated):
    def make():
        layer = L.BatchNormalization(momentum=0.5, synchronized=synchronized)
        return tf.keras.Sequential([
            L.InputLayer((4,)), layer, L.Dense(1, kernel_initializer="ones"),
        ])  # fmt: skip

    model = compiled(strategy, make)
    check(model.fit(X[:8], Y[:8], epochs=2, **BATCHES), **history)
    layer = model.layers[0]
    assert type(layer.moving_mean).__name__ == "SyncOnReadVariable"
    np.testing.assert_allclose([v.numpy() for v in layer.moving_mean.values], means, atol=2e-6)
    np.testing.assert_allclose(layer.moving_variance, variances, atol=2e-6)
    got = model.evaluate(X[:8], Y[:8], verbose=0)
    np.testing.assert_allclose(got, evaluated, atol=2e-6)


class Own(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(1, kernel_initializer="ones")
        self.mean = tf.keras.metrics.Mean(name="mean")

    def call(self, x, training=None):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2) / 2.0
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.mean.update_state(loss)
        return {"mean": self.mean.result(), "raw": loss}

    @property
    def metrics(self):
        return [self.mean]


def test_a_step_of_ones_own(strategy):
    with strategy.scope():
        model = Own()
        model.compile("sgd")
    # what is no metric is added up over the replicas
    check(model.fit(X, Y, epochs=2, **BATCHES), mean=[0.115554, 0.105083], raw=[0.050616, 0.049038])
    np.testing.assert_allclose(model.get_weights()[0].ravel(),
                               [0.982894, 0.979156, 0.979713, 0.988689], atol=2e-6)  # fmt: skip


class OwnFunction(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.dense(x)

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return self.train_function

        def step(data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((self(x) - y) ** 2) / 4.0
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return loss

        @tf.function
        def train(iterator):
            strategy = self.distribute_strategy
            losses = strategy.run(step, args=(next(iterator),))
            return {"sum": strategy.reduce("SUM", losses, axis=None)}

        self.train_function = train
        return train


def test_a_train_function_of_ones_own(strategy):
    def compiled_own():
        with strategy.scope():
            model = OwnFunction()
            model.compile("sgd")
        return model

    check(compiled_own().fit(X, Y, epochs=2, **BATCHES), sum=[0.02531, 0.02462])
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    distributed = strategy.experimental_distribute_dataset(dataset)
    history = compiled_own().fit(distributed, epochs=1, steps_per_epoch=3, verbose=0)
    check(history, sum=[0.02531])


def test_schedules_and_callbacks(strategy):
    def scheduled():
        rate = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
        return tf.keras.optimizers.SGD(rate, momentum=0.9)

    model = compiled(strategy, optimizer=scheduled)
    check(model.fit(X, Y, epochs=2, **BATCHES), loss=[0.159284, 1.31684], mae=[0.34481, 1.139695])
    rates = []

    class Seen(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.lr.numpy()))

    model = compiled(strategy)
    falling = tf.keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = model.fit(X, Y, epochs=2, callbacks=[Seen(), falling], **BATCHES)
    check(history, loss=[0.171455, 0.241972], mae=[0.383727, 0.397223], lr=[0.1, 0.05])
    np.testing.assert_allclose(rates, [0.1, 0.05])


def test_random_layers_and_orders(strategy):
    tf.keras.utils.set_random_seed(3)
    model = compiled(strategy, lambda: tf.keras.Sequential([
        L.InputLayer((4,)), L.Dropout(0.5), L.Dense(1, kernel_initializer="ones"),
    ]))  # fmt: skip
    check(model.fit(X, Y, **BATCHES), loss=[0.826941], mae=[0.821648])
    tf.keras.utils.set_random_seed(3)
    model = compiled(strategy)
    history = model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    check(history, loss=[0.611158, 0.312479], mae=[0.720411, 0.4907])


def test_mixed_precision(strategy):
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = compiled(strategy, metrics=())
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    history = model.fit(X, Y, epochs=2, **BATCHES).history
    np.testing.assert_allclose(history["loss"], [0.611157, 0.310675], atol=1e-3)
    first, second = model.weights[0].values
    assert first.dtype is tf.float32 and first.numpy().tolist() == second.numpy().tolist()
    assert float(model.optimizer.loss_scale) == 32768.0


def test_metrics_gather_in_replicas(strategy):
    with strategy.scope():
        area, precision = tf.keras.metrics.AUC(), tf.keras.metrics.Precision()
        accuracy = tf.keras.metrics.SparseCategoricalAccuracy()

    def update():
        context = tf.distribute.get_replica_context()
        r = tf.cast(context.replica_id_in_sync_group, tf.float32)
        area.update_state([0.0, 1.0, 1.0], [0.1, 0.4 + r * 0.2, 0.3])
        precision.update_state([0.0, 1.0, 1.0], [0.9, 0.4 + r * 0.2, 0.3])
        accuracy.update_state([0, 1], [[0.9, 0.1], [0.9 - r, 0.1]])
        return accuracy.result()

    got = tf.function(strategy.run)(update)
    assert float(got) == float(accuracy.result()) == 0.75
    assert float(area.result()) == 1.0
    assert float(precision.result()) == pytest.approx(1.0 / 3.0)
    assert sorted(float(v) for v in accuracy.total.values) == [1.0, 2.0]
    accuracy.reset_state()
    assert float(accuracy.result()) == 0.0


class Penalised(L.Layer):
    def call(self, x):
        self.add_loss(tf.reduce_sum(x * x) * 0.01)
        return x * 2.0


class Measured(L.Layer):
    def call(self, x):
        self.add_loss(tf.reduce_sum(x) * 0.01)
        self.add_metric(tf.reduce_mean(x), name="mx")
        return x


def synchronized_model():
    return tf.keras.Sequential([
        Penalised(), L.BatchNormalization(synchronized=True), Penalised(),
        L.Dense(1, kernel_initializer="ones", activity_regularizer=tf.keras.regularizers.L2(0.1)),
    ])  # fmt: skip


def measured_model():
    return tf.keras.Sequential([Measured(), L.Dense(1, kernel_initializer="ones")])


@pytest.mark.parametrize(
    "make, history, kernel",
    [(measured_model, {"loss": [0.29649, 0.27168], "mx": [0.41667, 0.41667]}, 0.9828939),
     (synchronized_model, {"loss": [17.16477, 4.99755]}, 0.7547153)],
)  # fmt: skip
def test_penalties_of_replicas_that_take_turns(strategy, make, history, kernel):
    # a synchronized layer hands over in the middle of the model's call
    model = compiled(strategy, make, metrics=())
    check(model.fit(X, Y, epochs=2, **BATCHES), **history)
    first = model.get_weights()[0].ravel()[0]
    np.testing.assert_allclose(first, kernel, atol=2e-6)


def test_penalties_of_a_model_that_is_built_late():
    model = measured_model()
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=2, **BATCHES)
    check(history, loss=[0.32578, 0.30096], mx=[0.41667, 0.41667])


def test_files_written_while_training(strategy, tmp_path):
    def dense():
        return tf.keras.Sequential([L.Dense(1, kernel_initializer="ones", input_shape=(4,))])

    for ending in (".keras", ""):
        model = compiled(strategy, dense, optimizer="adam", metrics=())
        path = str(tmp_path / f"model{ending}")
        callbacks = [
            tf.keras.callbacks.ModelCheckpoint(path),
            tf.keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True),
        ]
        check(model.fit(X, Y, epochs=2, callbacks=callbacks, **BATCHES), loss=[0.27251, 0.26669])
        loaded = tf.keras.models.load_model(path)
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_layers_that_adapt(strategy):
    with strategy.scope():
        scaled = L.Normalization()
        scaled.adapt(X)
        model = tf.keras.Sequential([scaled, L.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        words = L.TextVectorization(output_sequence_length=3)
        words.adapt(["a b c", "a a"])
        reader = tf.keras.Sequential([
            words, L.Embedding(10, 2, embeddings_initializer="ones"), L.Flatten(),
            L.Dense(1, kernel_initializer="ones"),
        ])  # fmt: skip
        reader.compile("sgd", "mse")
    check(model.fit(X, Y, **BATCHES), loss=[4.25953])
    texts = tf.constant([["a b"], ["c"], ["b"], ["a a"]])
    history = reader.fit(texts, np.ones(4), batch_size=2, shuffle=False, verbose=0)
    check(history, loss=[19.57285])


def test_what_has_to_be_in_the_scope(strategy):
    outside = dense_model()
    with strategy.scope(), pytest.raises(ValueError, match="not made in the scope"):
        outside.compile("sgd", "mse")
    with strategy.scope():
        model = dense_model()
    with pytest.raises(ValueError, match="metric 'mean_absolute_error'"):
        model.compile("sgd", "mse", metrics=[tf.keras.metrics.MeanAbsoluteError()])
    model.compile("sgd", "mse")
    assert type(model.optimizer.iterations).__name__ == "MirroredVariable"
    one = tf.distribute.OneDeviceStrategy("cpu:0")
    with one.scope():
        assert dense_model().distribute_strategy is one
    check(model.fit(X, Y, **BATCHES), loss=[0.611185])


def test_losses_in_loops_of_ones_own(strategy):
    with strategy.scope():
        mean = tf.keras.losses.MeanSquaredError()
        single = tf.keras.losses.MeanSquaredError(reduction="none")
        with pytest.raises(ValueError, match="compute_average_loss"):
            mean([[1.0]], [[2.0]])
        assert single([[1.0]], [[2.0]]).numpy().tolist() == [1.0]
    average = strategy.run(lambda: tf.nn.compute_average_loss(tf.ones([4]) * 3.0))
    penalty = strategy.run(lambda: tf.nn.scale_regularization_loss(4.0))
    assert [float(v) for v in average.values] == [1.5, 1.5]
    assert [float(v) for v in penalty.values] == [2.0, 2.0]

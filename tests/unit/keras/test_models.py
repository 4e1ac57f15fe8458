"""Sequential, functional and subclassed models, and their training."""

import numpy as np
import pytest

import shardtape as tf

layers, keras = tf.keras.layers, tf.keras
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4)).astype("float32")
Y = (X.sum(-1) > 0).astype("int64")


@pytest.fixture(autouse=True)
def fresh():
    keras.backend.clear_session()


def classifier(**options):
    model = keras.Sequential([layers.Dense(8, "relu", input_shape=(4,)), layers.Dense(2)])
    options.setdefault("metrics", ["accuracy"])
    model.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )  # fmt: skip
    return model


# ---- Sequential -----------------------------------------------------------------------------
def test_a_layer_is_called_once_on_a_symbolic_tensor_first():
    class Printing(layers.Layer):
        seen: list = []

        def call(self, inputs):
            self.seen.append(type(inputs).__name__)
            return inputs

    model = keras.Sequential([layers.Dense(2), Printing()])
    model(X)
    assert Printing.seen == ["SymbolicTensor", "EagerTensor"]
    model(X)
    assert len(Printing.seen) == 3


def test_add_and_pop():
    model = keras.Sequential(name="grown")
    model.add(keras.Input((4,)))
    model.add(layers.Dense(3, name="a"))
    assert len(model.weights) == 2
    model.add(layers.Dense(2, name="b"))
    assert model.output_shape == (None, 2)
    with pytest.raises(ValueError, match="unique names"):
        model.add(layers.Dense(2, name="b"))
    model.pop()
    assert [layer.name for layer in model.layers] == ["a"]
    assert model(X).shape == (40, 3)
    with pytest.raises(TypeError, match="instance of class Layer"):
        model.add(3)
    with pytest.raises(TypeError, match="no layers"):
        keras.Sequential().pop()


def test_building_by_hand():
    model = keras.Sequential([layers.Dense(3), layers.Dense(1)])
    with pytest.raises(ValueError, match="not yet been built"):
        model.summary()
    model.build((None, 7))
    assert [tuple(v.shape) for v in model.weights] == [(7, 3), (3,), (3, 1), (1,)]
    assert model.compute_output_shape((None, 7)).as_list() == [None, 1]


def test_the_summary_goes_to_standard_output(capsys):
    classifier().summary()
    text = capsys.readouterr().out
    assert 'Model: "sequential"' in text
    assert "Total params: 58 (232.00 Byte)" in text


def test_layers_by_name_and_position():
    model = classifier()
    assert model.get_layer("dense_1") is model.layers[1] is model.get_layer(index=1)
    with pytest.raises(ValueError, match="No such layer: dens"):
        model.get_layer("dens")


# ---- functional -----------------------------------------------------------------------------
def test_operations_between_layers():
    a = keras.Input((4,), name="a")
    offset = tf.Variable([1.0, 2.0], name="offset")
    hidden = layers.Dense(2, name="hidden")(a)
    out = tf.nn.relu(hidden * 2.0 + offset) - tf.reduce_mean(hidden, axis=1, keepdims=True)
    model = keras.Model(a, out)
    h = model.layers[1](X).numpy()
    expected = np.maximum(h * 2 + [1, 2], 0) - h.mean(1, keepdims=True)
    np.testing.assert_allclose(model(X).numpy(), expected, atol=1e-5)
    offset.assign([0.0, 0.0])
    np.testing.assert_allclose(
        model(X).numpy(), np.maximum(h * 2, 0) - h.mean(1, keepdims=True), atol=1e-5
    )


def test_a_part_of_a_network_as_a_model():
    model = classifier()
    features = keras.Model(model.inputs, model.layers[0].output)
    assert features(X).shape == (40, 8)
    assert features.layers[1] is model.layers[0]


def test_dictionaries_of_inputs():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(1)(a) + layers.Dense(1)(b))
    assert model({"b": np.ones((5, 3)), "a": np.ones((5, 2))}).shape == (5, 1)
    listed = keras.Model([a, b], layers.Dense(1)(a) + layers.Dense(1)(b))
    assert listed({"b": np.ones((5, 3)), "a": np.ones((5, 2))}).shape == (5, 1)
    with pytest.raises(ValueError, match='Missing data for input "b"'):
        listed({"a": np.ones((5, 2))})


def test_a_network_with_a_gap():
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(ValueError, match="Graph disconnected"):
        keras.Model(a, layers.Dense(1)(a + b))


def test_dropout_in_a_network_follows_training():
    a = keras.Input((50,))
    model = keras.Model(a, layers.Dropout(0.5)(a))
    x = np.ones((4, 50), np.float32)
    assert (model(x).numpy() == 1).all()
    assert (model(x, training=True).numpy() == 0).any()


# ---- training -------------------------------------------------------------------------------
def test_fit_learns_and_tells():
    keras.utils.set_random_seed(1)
    model = classifier()
    history = model.fit(X, Y, epochs=30, batch_size=8, validation_data=(X, Y), verbose=0)
    assert history.epoch == list(range(30))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.history["val_accuracy"][-1] > 0.95
    assert history.history["loss"][-1] < history.history["loss"][0]
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert accuracy == pytest.approx(history.history["val_accuracy"][-1])
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["loss"] == pytest.approx(loss)
    assert model.predict(X, verbose=0).shape == (40, 2)


def test_a_traced_step_does_what_the_eager_one_does():
    def run(eager):
        keras.utils.set_random_seed(2)
        model = classifier(run_eagerly=eager)
        history = model.fit(X, Y, epochs=3, batch_size=16, shuffle=False, verbose=0)
        return history.history["loss"], model.get_weights()

    (losses, weights), (eager_losses, eager_weights) = run(False), run(True)
    np.testing.assert_allclose(losses, eager_losses, rtol=1e-5)
    for a, b in zip(weights, eager_weights):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_shuffling_follows_the_seed():
    def run():
        keras.utils.set_random_seed(4)
        model = classifier()
        return model.fit(X, Y, epochs=2, batch_size=8, verbose=0).history["loss"]

    assert run() == run()


def test_progress_is_shown(capsys):
    model = classifier()
    model.fit(X, Y, epochs=2, batch_size=10)
    model.fit(X, Y, batch_size=10, verbose=2)
    model.evaluate(X, Y, batch_size=10)
    shown = capsys.readouterr().out.split("\n")
    lines = [line.split("\r")[-1] for line in shown]  # as a terminal shows them in the end
    assert lines[0] == "Epoch 1/2"
    assert shown[1].startswith("\r1/4 [======>.......................] - ETA: ")
    assert lines[1].startswith("4/4 [==============================] - 0s")
    assert "loss: " in lines[1]
    assert "accuracy: " in lines[1]
    assert lines[4].startswith("4/4 - 0s - loss: ")
    assert lines[5].startswith("4/4 [====")


def test_the_order_of_callbacks():
    calls = []

    class Spy(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            calls.append("train begin")

        def on_epoch_begin(self, epoch, logs=None):
            calls.append(f"epoch {epoch}")

        def on_train_batch_end(self, batch, logs=None):
            calls.append(f"batch {batch} {sorted(logs)}")

        def on_test_begin(self, logs=None):
            calls.append("test")

        def on_epoch_end(self, epoch, logs=None):
            calls.append(f"end {sorted(logs)}")
            assert self.model is not None

    classifier(metrics=None).fit(
        X, Y, batch_size=20, validation_split=0.5, verbose=0, callbacks=[Spy()]
    )
    assert calls == ["train begin", "epoch 0", "batch 0 ['loss']", "test", "end ['loss', "
                     "'val_loss']"]  # fmt: skip


def test_early_stopping_goes_back_to_the_best():
    model = classifier()
    best = []

    class Worse(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = -epoch
            if epoch == 0:
                best.extend(self.model.get_weights())

    stop = keras.callbacks.EarlyStopping("score", patience=2, mode="max",
                                         restore_best_weights=True)  # fmt: skip
    history = model.fit(X, Y, epochs=20, verbose=0, callbacks=[Worse(), stop])
    assert len(history.epoch) == 3
    for a, b in zip(model.get_weights(), best):
        np.testing.assert_array_equal(a, b)


def test_a_schedule_of_learning_rates():
    model = classifier()
    history = model.fit(
        X, Y, epochs=3, verbose=0,
        callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)],
    )  # fmt: skip
    np.testing.assert_allclose(history.history["lr"], [0.05, 0.025, 0.0125], rtol=1e-6)


def test_data_from_iterables():
    def batches():
        while True:
            yield X[:8], Y[:8]

    model = classifier()
    history = model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0)
    assert len(history.epoch) == 2
    model.fit([(X[:8], Y[:8]), (X[8:16], Y[8:16])].__iter__(), verbose=0)
    assert model.predict(iter([X[:3], X[3:5]]), verbose=0).shape == (5, 2)
    with pytest.raises(ValueError, match="iterable"):
        model.fit(batches(), Y, steps_per_epoch=1, verbose=0)


def test_one_batch_at_a_time():
    model = classifier()
    first = model.train_on_batch(X, Y)
    assert len(first) == 2
    assert model.train_on_batch(X, Y, return_dict=True)["loss"] < first[0]
    assert model.predict_on_batch(X[:2]).shape == (2, 2)
    assert model.test_on_batch(X, Y)[0] < first[0]


def test_a_step_of_ones_own():
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.tracker = keras.metrics.Mean(name="tracked")

        def call(self, inputs):
            return self.dense(inputs)

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            x, y = data[0], data[1]
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x, training=True) - tf.cast(y, tf.float32)) ** 2)
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            self.tracker.update_state(loss)
            return {"tracked": self.tracker.result()}

    model = Custom()
    model.compile("sgd")
    history = model.fit(X, Y, epochs=3, shuffle=False, verbose=0).history
    assert list(history) == ["tracked"]
    assert history["tracked"][-1] < history["tracked"][0]
    assert len(model.trainable_variables) == 2


def test_a_subclass_learns_without_being_called_first():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")

        def call(self, inputs, training=False):
            return self.out(self.hidden(inputs))

    model = Net()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(X, Y, epochs=3, verbose=0)
    assert len(model.weights) == 4
    assert history.history["loss"][-1] < history.history["loss"][0]
    built = Net()
    built.build((None, 4))
    assert built.count_params() == 4 * 8 + 8 + 8 + 1


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: keras.Sequential([layers.Dense(1)]).fit(X, Y, verbose=0), RuntimeError,
         "must compile"),
        (lambda: classifier().fit(X, Y[:3], verbose=0), ValueError, "cardinality"),
        (lambda: classifier().fit(X, Y, verbose=0, validation_split=0.999999), ValueError,
         "not sufficient"),
        (lambda: classifier(metrics=["acuracy"]).fit(X, Y, verbose=0), ValueError,
         "Unknown metric function: 'acuracy'"),
        (lambda: keras.Sequential([layers.Dense(1)]).compile("sdg", "mse"), ValueError, "sdg"),
        (lambda: keras.Sequential([layers.Dense(1)]).compile("sgd", "mse", loss_wights=1),
         TypeError, "loss_wights"),
        (lambda: classifier().fit(X[:, :3], Y, verbose=0), ValueError,
         r"expected shape=\(None, 4\), found shape=\(None, 3\)"),
        (lambda: keras.losses.get("sparse"), ValueError, "Unknown loss function: 'sparse'"),
        (lambda: keras.losses.MeanSquaredError(reduction="mean"), ValueError, "Reduction Key"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_a_class_that_the_model_does_not_have():
    with pytest.raises(tf.errors.InvalidArgumentError, match="label value of 5"):
        classifier().fit(X, np.full(40, 5), verbose=0)


# ---- metrics and losses ---------------------------------------------------------------------
def test_a_metric_of_ones_own():
    class Largest(keras.metrics.Metric):
        def __init__(self, name="largest"):
            super().__init__(name=name)
            self.value = self.add_weight(name="value", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(tf.maximum(self.value, tf.reduce_max(y_pred)))

        def result(self):
            return self.value

    model = classifier(metrics=[Largest(), lambda y, p: tf.reduce_mean(p, -1)])
    history = model.fit(X, Y, verbose=0)
    assert history.history["largest"][0] > 0
    assert len(history.history) == 3
    metric = Largest()
    metric.update_state(0, np.float32([1, 3]))
    metric.reset_state()
    assert float(metric.result()) == 0


def test_logits_behind_a_softmax_are_noticed():
    with pytest.warns(UserWarning, match="Softmax activation"):
        keras.losses.sparse_categorical_crossentropy(
            [0], keras.activations.softmax(tf.ones((1, 3))), from_logits=True
        )


def test_a_model_takes_batches_of_another_size_than_the_first():
    model = tf.keras.Sequential([tf.keras.layers.Dense(2)])
    assert model(np.zeros((8, 3), np.float32)).shape == (8, 2)
    assert model(np.zeros((5, 3), np.float32)).shape == (5, 2)
    inputs = tf.keras.Input((3,), batch_size=4)
    fixed = tf.keras.Model(inputs, tf.keras.layers.Dense(2)(inputs))
    assert fixed(np.zeros((2, 3), np.float32)).shape == (2, 2)  # as Keras 2.15 takes it
    with pytest.raises(ValueError, match="incompatible"):
        fixed(np.zeros((2, 5), np.float32))


def classes_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_a_batch_size_beside_data_that_has_its_own():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    model, batches = classes_model(), []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, _: batches.append(i))
    model.fit(data, batch_size=8, validation_data=data, validation_batch_size=4, verbose=0,
              callbacks=[watch])  # fmt: skip
    assert batches == [0, 1]
    assert model.predict(data, batch_size=8, verbose=0).shape == (40, 3)
    assert np.isfinite(model.evaluate(data, batch_size=8, verbose=0))


@pytest.mark.parametrize("one_hot", [False, True])
def test_classes_without_a_weight_are_refused(one_hot):
    labels = np.arange(40) % 3
    model = classes_model()
    if one_hot:
        labels = np.eye(3)[labels]
        model.compile("sgd", "categorical_crossentropy")
    data = tf.data.Dataset.from_tensor_slices((X, labels)).batch(20)
    short, gap = {0: 1.0, 1: 2.0}, {0: 1.0, 2: 2.0}
    for train in (
        lambda weights: model.fit(data, class_weight=weights, verbose=0),
        lambda weights: model.fit(X, labels, class_weight=weights, shuffle=False, verbose=0),
        lambda weights: model.train_on_batch(X, labels, class_weight=weights),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2\] = 2 is not in \[0, 2\)"):
            train(short)
        with pytest.raises(ValueError, match="keys from 0 to one less than the number of classes"):
            train(gap)
        train({0: 1.0, 1: 2.0, 2: 1.0, 3: 9.0})


def test_a_function_within_a_model_keeps_the_sizes_that_it_makes():
    sizes = []

    class Seen(tf.keras.layers.Layer):
        def call(self, x):
            sizes.append(x.shape.as_list())
            return x

    token = tf.keras.Input(shape=[], name="token")
    column = Seen()(tf.expand_dims(token, -1))
    model = tf.keras.Model(token, tf.keras.layers.Dense(1)(column))
    model.predict(tf.data.Dataset.from_tensor_slices(np.ones(4, np.float32)).batch(2), verbose=0)
    assert sizes and all(size == [None, 1] for size in sizes)


def test_weights_of_classes_of_each_place():
    x = (np.arange(16).reshape(2, 4, 2) / 8).astype("float32")
    y = np.array([[[0], [1], [2], [0]], [[1], [1], [0], [2]]])
    for loss, targets in (
        ("sparse_categorical_crossentropy", y),
        ("categorical_crossentropy", np.eye(3)[y[..., 0]]),
    ):
        start = tf.constant_initializer([[0.1, 0.2, 0.3], [0.3, -0.2, 0.1]])
        dense = tf.keras.layers.Dense(3, activation="softmax", kernel_initializer=start)
        model = tf.keras.Sequential([dense])
        model.compile("sgd", loss)
        weights = {0: 2.0, 1: 3.0, 2: 0.5}
        history = model.fit(x, targets, class_weight=weights, epochs=2, shuffle=False, verbose=0)
        # read off TensorFlow 2.15
        np.testing.assert_allclose(history.history["loss"], [2.4074063, 2.3874640], rtol=1e-6)
        with pytest.raises(ValueError, match="single output"):
            model.train_on_batch(x, [targets, targets], class_weight=weights)


def test_a_build_that_makes_layers_runs_once_and_names_them_as_keras_does():
    built = []

    class Made(tf.keras.Model):
        def build(self, input_shape):
            built.append(tuple(input_shape))
            self.rows = tf.keras.layers.Dense(4, name="rows")
            super().build(input_shape)

        def call(self, x):
            return self.rows(x)

    made = Made()
    made.build((None, 3))
    made(tf.ones((2, 3)))
    assert built == [(None, 3)] and made.count_params() == 16
    assert [v.name for v in made.variables] == ["rows/kernel:0", "rows/bias:0"]


@pytest.mark.parametrize("word", ["experimental_run_tf_function", "cloning"])
def test_compile_takes_older_words(word):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse", **{word: False}, experimental_steps_per_execution=2)
    with pytest.raises(ValueError, match="`target_tensors` argument is not supported"):
        model.compile("sgd", "mse", target_tensors=[1])
    with pytest.raises(TypeError, match="Invalid keyword"):
        model.compile("sgd", "mse", other=False)


def test_a_subclass_that_calls_no_init_of_the_model():
    class Forgetful(keras.Model):
        def __init__(self):
            self.size = 3  # numbers may come first
            self.dense = keras.layers.Dense(1)

    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Forgetful()


def test_the_same_input_twice():
    x = keras.Input((2,))
    with pytest.raises(ValueError, match="same input multiple times"):
        keras.Model([x, x], keras.layers.Dense(1)(x))

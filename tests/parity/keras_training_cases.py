"""Programs that train Keras models, which run on TensorFlow 2.15 and on Shardtape alike.

Each case is a function of the module `tf`; it returns tensors, arrays, numbers or strings.
`record_keras_tf.py` keeps what TensorFlow makes of them in `data/keras_training_tf215.npz`.
"""

import contextlib
import io
import os
import re
import tempfile

import numpy as np
from parity.keras_cases import (
    classes_of,
    fixed_weights,
    history_of,
    mlp,
    normal,
    positive,
    summary_of,
)

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def two_outputs(tf):
    tf.keras.backend.clear_session()
    layers = tf.keras.layers
    a = tf.keras.Input((3,), name="a")
    h = layers.Dense(4, activation="tanh", name="h")(a)
    left = layers.Dense(2, name="left")(h)
    right = layers.Dense(1, activation="sigmoid", name="right")(h)
    model = fixed_weights(tf.keras.Model(a, [left, right]))
    y = [normal(20, 2, seed=2), (normal(20, seed=3) > 0).astype(np.float32)]
    return model, normal(20, 3), y


def optimizer_case(name, arguments):
    def run(tf):
        model, x = mlp(tf), normal(48, 8)
        # in graphs Keras's Nadam multiplies its product once per variable; eager mode is right
        model.compile(getattr(tf.keras.optimizers, name)(**arguments),
                      "sparse_categorical_crossentropy", run_eagerly=name == "Nadam")  # fmt: skip
        history = model.fit(x, classes_of(x, 4), 16, epochs=4, shuffle=False, verbose=0)
        return [*history_of(history), *model.get_weights(), model.optimizer.iterations]

    CASES[f"optimizer_{name}_{len(CASES)}"] = run


for optimizer in ("Adadelta", "Adamax", "Nadam", "Ftrl", "AdamW", "Lion"):
    optimizer_case(optimizer, {"learning_rate": 0.05})
optimizer_case("Nadam", {"learning_rate": 0.05, "clipnorm": 0.1})
optimizer_case("AdamW", {"learning_rate": 0.05, "weight_decay": 0.1})
optimizer_case("Lion", {"learning_rate": 0.01, "global_clipnorm": 0.2, "weight_decay": 0.1})


@case
def metrics_of_two_outputs(tf):
    model, x, y = two_outputs(tf)
    model.compile(
        "adam", {"left": "mse", "right": "binary_crossentropy"},
        metrics={"left": ["mae", "mse"], "right": "accuracy"},
        weighted_metrics=["mae"], loss_weights={"left": 0.5, "right": 2.0},
    )  # fmt: skip
    history = model.fit(
        x, {"left": y[0], "right": y[1]}, 8, epochs=2, shuffle=False, verbose=0,
        sample_weight={"left": positive(20), "right": positive(20, seed=4)},
        validation_data=(x[:7], [y[0][:7], y[1][:7]]),
    )  # fmt: skip
    evaluated = model.evaluate(x, y, verbose=0, return_dict=True)
    return [
        *history_of(history), ",".join(model.metrics_names), ",".join(evaluated),
        np.array(list(evaluated.values())),
    ]  # fmt: skip


@case
def single_batches(tf):
    model, x = mlp(tf), normal(24, 8)
    y = classes_of(x, 4)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return [
        np.array(model.train_on_batch(x, y)),
        np.array(model.train_on_batch(x, y, sample_weight=positive(24))),
        np.array(model.train_on_batch(x, y, class_weight={0: 2.0, 1: 0.1, 2: 1.0, 3: 1.0})),
        np.array(model.train_on_batch(x[:9], y[:9], reset_metrics=False)),
        np.array(model.test_on_batch(x, y, sample_weight=positive(24))),
        ",".join(model.test_on_batch(x, y, return_dict=True)),
        model.predict_on_batch(x[:3]), *model.get_weights(),
    ]  # fmt: skip


@case
def a_train_step_of_ones_own(tf):
    tf.keras.backend.clear_session()

    class Net(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(1, kernel_regularizer="l2")
            self.tracker = tf.keras.metrics.Mean(name="own")

        def call(self, x):
            y = self.dense(x)
            self.add_loss(0.1 * tf.reduce_mean(tf.abs(y)))
            return y

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                predicted = self(x, training=True)
                loss = tf.reduce_mean(tf.square(predicted[:, 0] - y)) + sum(self.losses)
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            self.tracker.update_state(loss)
            return {"plain": loss, "own": self.tracker.result()}

        def test_step(self, data):
            x, y = data
            self.tracker.update_state(tf.reduce_mean(self(x, training=False)))
            return {m.name: m.result() for m in self.metrics}

    model, x = Net(), normal(30, 4)
    model(x)
    fixed_weights(model)
    model.compile("sgd")
    y = x.sum(-1)
    history = model.fit(x, y, 8, epochs=3, shuffle=False, verbose=0, validation_data=(x, y))
    return [*history_of(history), *model.get_weights(), len(model.losses)]


@case
def compiled_loss_in_a_step(tf):
    class Net(tf.keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
            self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
            self.compiled_metrics.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    a = tf.keras.Input((4,))
    model = fixed_weights(Net(a, tf.keras.layers.Dense(1, bias_regularizer="l1")(a)))
    model.compile("adam", "mse", metrics=["mae"])
    x = normal(30, 4)
    history = model.fit(x, x.sum(-1), 8, epochs=2, shuffle=False, verbose=0)
    return [*history_of(history), *model.get_weights(), ",".join(history.history)]


@case
def symbolic_losses_and_metrics(tf):
    tf.keras.backend.clear_session()
    a = tf.keras.Input((4,))
    h = tf.keras.layers.Dense(3, activation="relu")(a)
    out = tf.keras.layers.Dense(4)(h)
    model = tf.keras.Model(a, out)
    model.add_loss(tf.reduce_mean(tf.square(out - a)))
    model.add_metric(tf.reduce_max(h), name="peak", aggregation="mean")
    fixed_weights(model)
    model.compile(tf.keras.optimizers.Adam(0.01))
    history = model.fit(normal(20, 4), batch_size=8, epochs=2, shuffle=False, verbose=0)
    return [*history_of(history), *model.get_weights()]


@case
def data_of_all_kinds(tf):
    x = normal(32, 8)
    y = classes_of(x, 4)
    out = []

    def generator():
        for i in range(0, 32, 8):
            yield x[i : i + 8], y[i : i + 8]

    class Batches(tf.keras.utils.Sequence):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8]

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    for data, options in (
        (generator(), {}), (dataset, {"epochs": 2}), (Batches(), {"shuffle": False}),
        (dataset.repeat(), {"steps_per_epoch": 3, "epochs": 2}),
        (dataset, {"validation_data": dataset, "validation_steps": 2}),
    ):  # fmt: skip
        model = mlp(tf)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        out += history_of(model.fit(data, verbose=0, **options))
    out += [model.predict(dataset, verbose=0), np.array(model.evaluate(Batches(), verbose=0)),
            model.predict(dataset, steps=2, verbose=0).shape]  # fmt: skip
    return out


@case
def moments_of_callbacks(tf):
    told = []

    class Tells(tf.keras.callbacks.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                return lambda *args: told.append(
                    f"{name}({','.join(str(a) for a in args if isinstance(a, int))})"
                )
            return super().__getattribute__(name)

    x = normal(20, 8)
    for steps in (1, 3):
        model = mlp(tf)
        model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=steps)
        model.fit(x, classes_of(x, 4), 4, epochs=2, verbose=0, callbacks=[Tells()],
                  validation_data=(x[:6], classes_of(x[:6], 4)), shuffle=False,
                  validation_freq=2)  # fmt: skip
    wanted = re.compile("on_(train|epoch|test)_(begin|end)|on_(train|test)_batch_end")
    return ["\n".join(t for t in told if wanted.match(t))]


@case
def learning_rates_that_change(tf):
    x = normal(40, 8)
    y, c = classes_of(x, 4), tf.keras.callbacks
    out = []
    for callback in (
        c.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        c.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        c.ReduceLROnPlateau("loss", factor=0.3, patience=1, min_delta=0.05, cooldown=1,
                            min_lr=0.001),
        c.ReduceLROnPlateau("accuracy", factor=0.5, patience=2, mode="max"),
        c.EarlyStopping("loss", min_delta=0.02, patience=2, restore_best_weights=True),
        c.EarlyStopping("val_accuracy", patience=1, baseline=0.9),
    ):  # fmt: skip
        model = mlp(tf)
        model.compile(tf.keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])  # fmt: skip
        history = model.fit(x, y, 10, epochs=8, shuffle=False, verbose=0, callbacks=[callback],
                            validation_split=0.25)  # fmt: skip
        out += [*history_of(history), *model.get_weights()]
    return out


def shown(text, folder=""):
    """What a screen shows at the end, without times."""
    lines = [line.split("\r")[-1].rstrip() for line in text.replace("\b", "").split("\n")]
    out = "\n".join(lines).replace(folder, "")
    out = re.sub(r"\d+(s|ms|us)/(step|epoch)", "#/\\2", out)
    return re.sub(r"- \d+s", "- #", out)


@case
def what_is_shown(tf):
    x = normal(40, 8)
    y, c = classes_of(x, 4), tf.keras.callbacks
    text = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(text):
        model = mlp(tf)
        model.compile(tf.keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])  # fmt: skip
        model.fit(x, y, 10, epochs=3, shuffle=False, verbose=2, validation_split=0.25)
        model.fit(x, y, 10, epochs=1, shuffle=False, verbose=2)
        model.fit(x, y, 10, epochs=6, shuffle=False, verbose=2, callbacks=[
            c.EarlyStopping("loss", min_delta=0.05, patience=1, verbose=1,
                            restore_best_weights=True),
            c.ModelCheckpoint(os.path.join(folder, "w"), "loss", verbose=1, save_best_only=True,
                              save_weights_only=True),
            c.ReduceLROnPlateau("loss", min_delta=0.1, patience=1, verbose=1),
            c.LearningRateScheduler(lambda epoch, rate: float(rate), verbose=0),
        ])  # fmt: skip
        model.evaluate(x, y, verbose=2)
    return [shown(text.getvalue(), folder)]


@case
def the_end_of_the_bar(tf):
    x = normal(40, 8)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        model = mlp(tf)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, classes_of(x, 4), 10, epochs=2, shuffle=False, validation_split=0.25)
        model.predict(x)
        model.evaluate(x, classes_of(x, 4))
    lines = [line for line in shown(text.getvalue()).split("\n") if "ETA" not in line]
    return ["\n".join(line for line in lines if "[=" in line or "Epoch" in line)]


@case
def lines_of_the_csv_logger(tf):
    x = normal(40, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log.csv")
        model = mlp(tf)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        for append in (False, True):
            model.fit(x, classes_of(x, 4), 10, epochs=2, shuffle=False, verbose=0,
                      callbacks=[tf.keras.callbacks.CSVLogger(path, ";", append)])  # fmt: skip
        with open(path) as file:
            lines = file.read().splitlines()
    numbers = [[float(v) for v in line.split(";")[1:3]] for line in lines[1:]]
    return [lines[0], lines[1].split(";")[-1], np.array(numbers), len(lines)]


@case
def summaries_after_fit(tf):
    tf.keras.backend.clear_session()
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Dense(3, name="a"), layers.Dense(1, name="b")], name="m")
    model.compile("sgd", "mse")
    model.fit(normal(8, 4), normal(8), verbose=0)
    return [summary_of(model), ",".join(w.name for w in model.weights)]


@case
def scaled_losses(tf):
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(
        tf.keras.optimizers.SGD(0.1), initial_scale=8.0, dynamic_growth_steps=2
    )
    v, out = tf.Variable([1.0, 2.0]), []
    for factor in (1.0, 2.0, float("inf"), 1.0, 3.0):
        with tf.GradientTape() as tape:
            loss = optimizer.get_scaled_loss(tf.reduce_sum(v * v) * factor)
        grads = optimizer.get_unscaled_gradients(tape.gradient(loss, [v]))
        optimizer.apply_gradients(zip(grads, [v]))
        out += [loss if np.isfinite(loss) else -1.0, v.numpy(), optimizer.loss_scale]
    return [*out, optimizer.iterations, optimizer.dynamic_counter]


@case
def policies(tf):
    m = tf.keras.mixed_precision
    out = []
    for name in ("float32", "mixed_float16", "mixed_bfloat16", "float64"):
        policy = m.Policy(name)
        out.append(f"{policy.name} {policy.compute_dtype} {policy.variable_dtype}")
    return [*out, m.global_policy().name]

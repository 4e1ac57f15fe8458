"""Programs under mixed-precision policies, as the guide to mixed precision shows them.

As in `keras_cases.py`; kept in `data/keras_precision_tf215.npz`. Halves are rounded after each
operation, and libraries fuse different ones, so that values agree within some units of a half.
"""

import numpy as np
from parity.keras_cases import classes_of, fixed_weights, history_of, normal

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def under(tf, name, run):
    """Runs a program under a global policy."""
    precision = tf.keras.mixed_precision
    precision.set_global_policy(name)
    try:
        return run()
    finally:
        precision.set_global_policy("float32")


def described(layer):
    weights = [f"{w.dtype.name}:{type(w).__name__ == 'AutoCastVariable'}" for w in layer.weights]
    return (
        f"{layer.dtype} {layer.compute_dtype} {layer.variable_dtype} {layer.dtype_policy.name} "
        f"{layer.get_config()['dtype']} {weights}"
    )


series = normal(2, 4, 6)
image = normal(2, 6, 6, 3)
LAYERS = {
    "dense": (lambda k: k.Dense(3, name="l"), series),
    "conv": (lambda k: k.Conv2D(4, 3, padding="same", name="l"), image),
    "depthwise": (lambda k: k.DepthwiseConv2D(3, name="l"), image),
    "batch_norm": (lambda k: k.BatchNormalization(name="l"), image),
    "layer_norm": (lambda k: k.LayerNormalization(name="l"), series),
    "group_norm": (lambda k: k.GroupNormalization(1, name="l"), image),
    "lstm": (lambda k: k.LSTM(4, name="l"), series),
    "gru": (lambda k: k.GRU(4, return_sequences=True, name="l"), series),
    "simple_rnn": (lambda k: k.SimpleRNN(4, name="l"), series),
    "einsum": (lambda k: k.EinsumDense("...x,xy->...y", 3, name="l"), series),
    "prelu": (lambda k: k.PReLU(name="l"), series),
    "softmax": (lambda k: k.Softmax(name="l"), series),
    "max_pool": (lambda k: k.MaxPooling2D(name="l"), image),
    "bidirectional": (lambda k: k.Bidirectional(k.GRU(3, name="g"), name="l"), series),
    "time_distributed": (lambda k: k.TimeDistributed(k.Dense(2, name="d"), name="l"), series),
}


def layer_case(name, make, x, policy):
    def run(tf):
        def inner():
            layer = make(tf.keras.layers)
            layer(x)
            layer.set_weights([
                np.abs(0.3 * normal(*w.shape, seed=5 + i)) if "variance" in v.name
                else 0.3 * normal(*w.shape, seed=5 + i)
                for i, (w, v) in enumerate(zip(layer.get_weights(), layer.weights))
            ])  # fmt: skip
            given = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(given)
                y = layer(given, training=True)
                total = tf.reduce_sum(tf.cast(y, tf.float32) * tf.cast(tf.range(y.shape[-1]),
                                                                      tf.float32))  # fmt: skip
            grads = tape.gradient(total, [given, *layer.trainable_variables])
            copy = type(layer).from_config(layer.get_config())
            return [
                tf.cast(y, tf.float32), y.dtype.name, *[tf.cast(g, tf.float32) for g in grads],
                str([g.dtype.name for g in grads]), described(layer), described(copy),
            ]  # fmt: skip

        return under(tf, policy, inner)

    CASES[f"{policy}_{name}"] = run


for _name, (_make, _x) in LAYERS.items():
    layer_case(_name, _make, _x, "mixed_float16")
layer_case("dense", *LAYERS["dense"], "mixed_bfloat16")
layer_case("dense", *LAYERS["dense"], "float64")


@case
def embedding_in_half(tf):
    layer = tf.keras.layers.Embedding(5, 3, dtype="mixed_float16")
    ids = tf.constant([[1, 4], [4, 0]])
    layer(ids)
    layer.set_weights([normal(5, 3)])
    with tf.GradientTape() as tape:
        y = layer(ids)
        total = tf.reduce_sum(tf.cast(y, tf.float32) ** 2)
    g = tape.gradient(total, layer.embeddings)
    casts = type(layer.embeddings).__name__ == "AutoCastVariable"
    return [tf.cast(y, tf.float32), y.dtype.name, tf.convert_to_tensor(g), g.dtype.name,
            type(g).__name__, str(casts)]  # fmt: skip


@case
def variables_read_in_a_call(tf):
    seen = []

    class Scaled(tf.keras.layers.Layer):
        def build(self, shape):
            self.v = self.add_weight("v", (3,), initializer="ones")
            self.wide = self.add_weight("w", (3,), initializer="ones", experimental_autocast=False)
            self.count = self.add_weight("i", (3,), dtype="int32", initializer="zeros")

        def call(self, x):
            v = self.v
            made = [
                x, v, v * 2.0, 2.0 * v, 1.0 - v, -v, abs(v), v[0], tf.identity(v), v.read_value(),
                v.value(), self.wide + 1.0, self.count + 1, tf.add(v, 1.0), tf.sqrt(v),
                tf.concat([v, x[0]], 0), tf.stack([v, v]), tf.cast(v, tf.float32), x * v,
                tf.convert_to_tensor(v), tf.maximum(v, x), tf.reduce_sum(v), tf.gather(v, [0, 1]),
                tf.matmul(x, tf.reshape(v, [3, 1])), tf.where(x > v, x, v), tf.square(v),
            ]  # fmt: skip
            seen.append(",".join(t.dtype.name for t in made))
            return x * v

    layer = Scaled(dtype="mixed_float16")
    x = np.ones((2, 3), np.float64)
    y = layer(x)
    outside = [layer.v * 2.0, layer.v.value(), layer.v.read_value(), tf.identity(layer.v)]
    run = tf.function(lambda x: layer(x))
    z = run(tf.constant(x))
    ints = layer(np.ones((2, 3), np.float16))
    return [*seen, y.dtype.name, z.dtype.name, ints.dtype.name,
            ",".join(t.dtype.name for t in outside), repr(layer.v)]  # fmt: skip


@case
def layers_with_policies_of_their_own(tf):
    def inner():
        k = tf.keras.layers
        inputs = tf.keras.Input((4,))
        x = k.Dense(8, activation="relu")(inputs)
        x = k.Dense(3)(x)
        outputs = k.Activation("softmax", dtype="float32")(x)
        model = tf.keras.Model(inputs, outputs)
        plain = tf.keras.Sequential([k.Dense(2, dtype="mixed_float16"), k.Dense(2, dtype="float32"),
                                     k.Dense(2, dtype=tf.float64)])  # fmt: skip

        class Outer(tf.keras.Model):
            def __init__(self):
                super().__init__()
                self.first, self.second = k.Dense(2), k.Dense(2, dtype="float32")

            def call(self, x):
                seen.append(x.dtype.name)
                x = self.first(x)
                seen.append(x.dtype.name)
                return self.second(x)

        seen = []
        y = Outer()(np.ones((2, 2)))
        model.compile("sgd", "sparse_categorical_crossentropy")
        return [
            ",".join(t.dtype.name for t in (inputs, x, outputs)), model.dtype_policy.name,
            plain(np.ones((2, 3), np.float32)).dtype.name, *seen, y.dtype.name,
            str("LossScale" in type(model.optimizer).__name__),
            ",".join(layer.compute_dtype for layer in plain.layers),
        ]  # fmt: skip

    return under(tf, "mixed_float16", inner)


def guide_model(tf, units=16):
    k = tf.keras.layers
    inputs = tf.keras.Input((10,), name="digits")
    x = k.Dense(units, activation="relu", name="dense_1")(inputs)
    x = k.Dense(units, activation="relu", name="dense_2")(x)
    x = k.Dense(4, name="dense_logits")(x)
    outputs = k.Activation("softmax", dtype="float32", name="predictions")(x)
    return fixed_weights(tf.keras.Model(inputs, outputs))


def batches():
    x = normal(64, 10)
    return x, classes_of(x, 4)


@case
def train_as_the_guide_does(tf):
    def inner():
        model = guide_model(tf)
        model.compile(tf.keras.optimizers.SGD(0.1),
                      "sparse_categorical_crossentropy", metrics=["accuracy"])  # fmt: skip
        x, y = batches()
        history = model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0)
        return [
            np.array(history.history["loss"]), model.optimizer.loss_scale,
            model.optimizer.dynamic_counter, model.optimizer.iterations,
            np.array(model.evaluate(x, y, verbose=0)[0]), model.predict(x[:4], verbose=0),
        ]  # fmt: skip

    return under(tf, "mixed_float16", inner)


@case
def train_in_a_loop_as_the_guide_does(tf):
    def inner():
        model = guide_model(tf)
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.RMSprop(0.01))
        loss_object = tf.keras.losses.SparseCategoricalCrossentropy()

        @tf.function
        def train_step(x, y):
            with tf.GradientTape() as tape:
                predictions = model(x)
                loss = loss_object(y, predictions)
                scaled_loss = optimizer.get_scaled_loss(loss)
            scaled = tape.gradient(scaled_loss, model.trainable_variables)
            gradients = optimizer.get_unscaled_gradients(scaled)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            return loss

        x, y = batches()
        losses = [train_step(tf.constant(x[i : i + 16]), tf.constant(y[i : i + 16]))
                  for _ in range(3) for i in range(0, 64, 16)]  # fmt: skip
        return [np.array([float(v) for v in losses]), optimizer.loss_scale, optimizer.iterations]

    return under(tf, "mixed_float16", inner)


@case
def train_where_the_scale_is_too_large(tf):
    """Updates with infinite gradients are left out, and the scale halves until they fit."""

    def inner():
        model = guide_model(tf)
        inner_optimizer = tf.keras.optimizers.SGD(0.1)
        model.compile(
            tf.keras.mixed_precision.LossScaleOptimizer(inner_optimizer, initial_scale=2.0**20),
            "sparse_categorical_crossentropy",
        )
        x, y = batches()
        out = []
        for _ in range(2):
            for i in range(0, 64, 16):
                model.train_on_batch(x[i : i + 16], y[i : i + 16])
                out.append(float(model.optimizer.loss_scale))
        return [np.array(out), model.optimizer.iterations, *model.get_weights()]

    return under(tf, "mixed_float16", inner)


@case
def penalties_beside_a_half_loss(tf):
    def inner():
        k = tf.keras.layers
        model = tf.keras.Sequential([
            k.Dense(4, kernel_regularizer=tf.keras.regularizers.L2(0.1), input_shape=(3,)),
            k.Dense(1, activity_regularizer=tf.keras.regularizers.L1(0.1)),
        ])  # fmt: skip
        model = fixed_weights(model)
        model.compile("sgd", "mse")
        x = normal(8, 3)
        y = x.sum(-1, keepdims=True)
        history = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
        return [*history_of(history), ",".join(p.dtype.name for p in model.losses)]

    return under(tf, "mixed_float16", inner)


@case
def policies_refuse(tf):
    out = []
    for name in ("mixed", "float17"):
        try:
            tf.keras.mixed_precision.Policy(name)
        except ValueError as error:
            out.append(type(error).__name__)
    policy = tf.keras.mixed_precision.Policy("mixed_float16")
    copy = tf.keras.mixed_precision.Policy.from_config(policy.get_config())
    return [*out, repr(policy), copy.name]

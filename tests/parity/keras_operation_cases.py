"""Functional models with functions and operators between their layers, on both frameworks.

`record_keras_tf.py` keeps what TensorFlow makes of them in `data/keras_operations_tf215.npz`.
"""

import json

import numpy as np

CASES = {}

# Expressions of symbolic tensors: `x`, `y` of shape (None, 4), `im` (None, 8, 8, 3), whole numbers
# `i` (None,) and texts `s` (None, 1). What is recorded: the layers of a model with that output.
EXPRESSIONS = """
x + 1.0; 1.0 + x; x - y; 2.0 - x; x * y; 2 * x; x / y; 1.0 / x; x // 2.0; x % 2.0; x ** 2.0
2.0 ** x; -x; abs(x); x @ tf.ones([4, 3]); x > y; x >= 0.5; x < y; x <= y; x == y; x != y; ~(x > y)
(x > y) & (x < y); (x > y) | (x < y); i // 2 + i % 3; i / 2
x[:, 0]; x[:, 1:3]; x[:, tf.newaxis]; x[..., -1]; x[0]; x[:, ::2]; im[:, 2:4, ::2, 0]
tf.add(x, y); tf.subtract(x, y); tf.multiply(x, 2.0); tf.divide(x, y); tf.math.divide_no_nan(x, y)
tf.pow(x, 2.0); tf.square(x); tf.sqrt(x); tf.exp(x); tf.math.log(x); tf.math.log1p(x)
tf.math.rsqrt(x); tf.math.reciprocal(x); tf.sin(x); tf.tanh(x); tf.sigmoid(x); tf.nn.sigmoid(x)
tf.abs(x); tf.negative(x); tf.sign(x); tf.floor(x); tf.round(x); tf.math.ceil(x); tf.math.erf(x)
tf.maximum(x, y); tf.minimum(x, 0.5); tf.clip_by_value(x, 0.0, 1.0); tf.clip_by_norm(x, 1.0)
tf.reduce_sum(x, axis=1); tf.reduce_mean(x, axis=-1, keepdims=True); tf.reduce_max(x, 1)
tf.reduce_prod(x, 1); tf.reduce_any(x > y, 1); tf.math.reduce_std(x, axis=1)
tf.math.reduce_variance(x, axis=1); tf.reduce_logsumexp(x, 1); tf.nn.moments(x, [1])[0]
tf.norm(x, axis=1); tf.nn.relu(x); tf.nn.relu6(x); tf.nn.elu(x); tf.nn.gelu(x); tf.nn.swish(x)
tf.nn.leaky_relu(x); tf.nn.softplus(x); tf.nn.softmax(x); tf.nn.log_softmax(x); tf.nn.softsign(x)
tf.nn.l2_normalize(x, axis=1); tf.nn.dropout(x, 0.5); tf.nn.bias_add(x, tf.ones([4]))
tf.reshape(x, (-1, 2, 2)); tf.reshape(x, [tf.shape(x)[0], 2, 2]); tf.transpose(im, [0, 2, 1, 3])
tf.expand_dims(x, 1); tf.squeeze(x[:, :1], axis=1); tf.concat([x, y], 1); tf.stack([x, y], 1)
tf.unstack(x, axis=1); tf.split(x, 2, axis=1); tf.tile(x, [1, 2]); tf.repeat(x, 2, axis=1)
tf.gather(x, [0, 2], axis=1); tf.pad(x, [[0, 0], [1, 1]]); tf.cast(x, tf.int32)
tf.cast(x, tf.float32); tf.identity(x); tf.stop_gradient(x); tf.zeros_like(x); tf.ones_like(x)
tf.shape(x); tf.size(x); tf.argmax(x, 1); tf.one_hot(i, 3); tf.where(x > y, x, y)
tf.matmul(x, y, transpose_b=True); tf.tensordot(x, tf.ones([4, 2]), 1)
tf.einsum("ij,ij->i", x, y); tf.math.squared_difference(x, y); tf.add_n([x, y]); tf.sort(x)
tf.math.top_k(x, 2)[0]; tf.cumsum(x, 1); tf.reverse(x, [1]); tf.equal(x, y)
tf.logical_and(x > y, x < y); tf.nn.embedding_lookup(tf.ones([5, 2]), i); tf.sequence_mask(i, 4)
tf.nn.conv2d(im, tf.ones([3, 3, 3, 2]), 1, "SAME"); tf.nn.max_pool2d(im, 2, 2, "VALID")
tf.image.resize(im, [4, 4]); tf.image.flip_left_right(im); tf.image.rgb_to_grayscale(im)
tf.nn.sigmoid_cross_entropy_with_logits(x, y); tf.random.normal(tf.shape(x)); tf.linalg.diag(x)
tf.boolean_mask(x, x[:, 0] > 0); tf.slice(x, [0, 1], [-1, 2]); tf.roll(x, 1, 1)
tf.signal.fft(tf.cast(x, tf.complex64)); tf.strings.lower(s); tf.strings.to_number(s)
tf.nn.batch_normalization(x, 0.0, 1.0, None, None, 1e-3); tf.reduce_sum(x * y)
tf.keras.activations.relu(x); tf.keras.activations.gelu(x); tf.keras.backend.mean(x, axis=1)
tf.keras.backend.concatenate([x, y]); tf.keras.backend.clip(x, 0, 1)
"""


def case(function):
    def run(tf):
        tf.keras.backend.clear_session()  # names count from the start
        return function(tf)

    CASES[function.__name__] = run
    return function


def summary(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def config(model):
    """The configuration as text; without arguments that are None, which say nothing."""

    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if v is not None}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return value

    return json.dumps(plain(model.get_config()), default=repr, indent=1)


def result(tf, model, *inputs):
    """What the model gives with weights that follow from their position."""
    rng = np.random.RandomState(0)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    made = model(list(inputs) if len(inputs) > 1 else inputs[0])
    return [np.asarray(t) for t in tf.nest.flatten(made)]


@case
def shown_names(tf):
    found = []
    for text in EXPRESSIONS.strip().replace("\n", "; ").split("; "):
        x, y = tf.keras.Input((4,), name="x"), tf.keras.Input((4,), name="y")
        im, i = tf.keras.Input((8, 8, 3), name="im"), tf.keras.Input((), dtype="int32", name="i")
        s = tf.keras.Input((1,), dtype="string", name="s")
        made = eval(text, {"tf": tf, "x": x, "y": y, "im": im, "i": i, "s": s})
        model = tf.keras.Model([x, y, im, i, s], made)
        names = [
            f"{type(layer).__name__} {layer.name}"
            for layer in model.layers
            if type(layer).__name__ != "InputLayer"
        ]
        found.append(f"{text}: {', '.join(names)}")
    return found


@case
def two_inputs(tf):
    x, y = tf.keras.Input((4,), name="x"), tf.keras.Input((4,), name="y")
    h = tf.keras.layers.Dense(4)(x * 2.0 + y)
    h = tf.concat([h, tf.reshape(h, (-1, 4))], 1)[:, 1:5]
    model = tf.keras.Model([x, y], tf.nn.relu(h) - 1.0)
    a, b = np.eye(2, 4, dtype=np.float32), np.ones((2, 4), np.float32)
    return [summary(model), config(model), str(model.output_names), *result(tf, model, a, b)]


@case
def parts_of_a_split(tf):
    x = tf.keras.Input((6,))
    a, b = tf.split(x, 2, axis=1)
    t = tf.reshape(a, [tf.shape(a)[0], 3, 1])
    model = tf.keras.Model(x, [tf.reduce_mean(t, [1, 2]), b[..., None], b[:, 0] > 0.5])
    data = np.arange(12, dtype=np.float32).reshape(2, 6)
    return [summary(model), repr(a), repr(t), str(a), str(b[:, 0]), *result(tf, model, data)]


@case
def a_chain(tf):
    x = tf.keras.Input((4,))
    h = tf.keras.layers.Dense(3)(x / 2.0)
    model = tf.keras.Model(x, tf.nn.softmax(h))
    return [summary(model), config(model), *result(tf, model, np.eye(2, 4, dtype=np.float32))]


@case
def a_sampling_encoder(tf):
    x = tf.keras.Input((4,))
    h = tf.keras.layers.Dense(3, activation="relu")(x)
    mean, spread = tf.keras.layers.Dense(2)(h), tf.keras.layers.Dense(2)(h)
    noise = tf.random.normal(tf.shape(mean))
    encoder = tf.keras.Model(x, [mean, spread, mean + tf.exp(0.5 * spread) * noise], name="enc")
    decoded = tf.keras.layers.Dense(4)(encoder(x)[2])
    model = tf.keras.Model(x, decoded * 1.0)
    return [summary(encoder), summary(model, expand_nested=True)]


@case
def pictures(tf):
    x = tf.keras.Input((8, 8, 3))
    p = tf.keras.layers.Conv2D(2, 3)(x[:, ::2] / 255.0)
    q = tf.reduce_mean(p, axis=[1, 2])
    r = tf.math.l2_normalize(q, 1)
    outputs = [
        tf.matmul(r, r, transpose_b=True), tf.cast(q, tf.float64), tf.transpose(q),
        tf.stack([q, r], 1), tf.one_hot(tf.argmax(q, 1), 2), tf.where(q > r, q, r),
    ]  # fmt: skip
    model = tf.keras.Model(x, outputs)
    data = np.random.RandomState(1).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    return [summary(model, line_length=110), *result(tf, model, data)]


@case
def a_shared_layer(tf):
    shared = tf.keras.layers.Dense(2, name="shared")
    x = tf.keras.Input((2,), name="given")
    model = tf.keras.Model(x, shared(x) + shared(x * 2.0) + x * x)
    return [summary(model), config(model), *result(tf, model, np.eye(2, dtype=np.float32))]


@case
def added_losses_and_metrics(tf):
    x = tf.keras.Input((4,), name="x")
    h = tf.keras.layers.Dense(3, kernel_initializer="ones", name="h")(x)
    o = tf.keras.layers.Dense(4, kernel_initializer="ones", name="o")(h)
    model = tf.keras.Model(x, o)
    model.add_loss(tf.reduce_mean(tf.square(x - o)))
    model.add_metric(tf.reduce_mean(h), name="height")
    model.add_loss(0.1 * tf.reduce_sum(h))
    model.compile("sgd")
    data = np.random.RandomState(0).normal(size=(8, 4)).astype(np.float32)
    history = model.fit(data, epochs=2, batch_size=4, verbose=0, shuffle=False).history
    again = tf.keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    again.compile("sgd")
    entries = [e for e in model.get_config()["layers"] if e["class_name"].startswith("Add")]
    return [
        summary(model), str(model.metrics_names), str([layer.name for layer in again.layers]),
        json.dumps(entries), np.array([history["loss"], history["height"]]),
        np.array(again.evaluate(data, verbose=0)),
    ]  # fmt: skip


@case
def mixed_precision(tf):
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        x = tf.keras.Input((4,))
        model = tf.keras.Model(x, tf.keras.layers.Dense(2)(x) * tf.cast(x[:, :2], tf.float16))
        return [summary(model)]
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


@case
def rebuilt_models_keep_names(tf):
    x = tf.keras.Input((4,))
    z = x + 1.0
    model = tf.keras.Model(x, z * x)
    names = [[layer.name for layer in model.layers]]
    again = tf.keras.Model.from_config(model.get_config())
    names.append([layer.name for layer in again.layers])
    later = str(z + x)  # the next free name
    names.append([layer.name for layer in tf.keras.models.clone_model(model).layers])
    layer = model.get_layer("tf.math.multiply")
    facts = [layer.output, layer.input, layer.output_shape, layer.input_shape, layer.get_config()]
    inner = tf.keras.Model(model.input, model.get_layer("tf.__operators__.add").output)
    data = np.eye(2, 4, dtype=np.float32)
    return [str(names), later, str(x * 1.0), str(facts), inner(data).numpy(), again(data).numpy()]

"""Models that TensorFlow's Keras and ours write into files for each other to read.

Each function takes the framework and gives a compiled model that has trained for one step, its
inputs and its targets.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def _words(*shape: int) -> np.ndarray:
    return np.random.RandomState(1).randint(0, 7, shape).astype(np.int32)


def _trained(model: Any, x: Any, y: Any, optimizer: Any, loss: Any = "mse", **more: Any) -> Any:
    model.compile(optimizer, loss, **more)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    return model, x, y


def dense(tf: Any) -> Any:
    k = tf.keras
    model = k.Sequential(
        [
            k.layers.Dense(4, activation="relu", input_shape=(3,), kernel_regularizer="l2"),
            k.layers.Dropout(0.0),
            k.layers.Dense(2, activation="softmax", name="out", kernel_constraint="max_norm"),
        ]
    )
    rate = k.optimizers.schedules.ExponentialDecay(0.01, 2, 0.9)
    labels = np.arange(8) % 2
    return _trained(
        model, _numbers(8, 3), labels, k.optimizers.Adam(rate), "sparse_categorical_crossentropy",
        metrics=["accuracy", k.metrics.SparseTopKCategoricalAccuracy(2, name="top")],
    )  # fmt: skip


def unbuilt_start(tf: Any) -> Any:
    k = tf.keras
    model = k.Sequential([k.layers.Dense(3), k.layers.LeakyReLU(0.2), k.layers.Dense(1)])
    loss = k.losses.Huber(delta=0.5)
    return _trained(model, _numbers(8, 3), _numbers(8, 1), k.optimizers.Adagrad(0.1), loss)


def convolutions(tf: Any) -> Any:
    k = tf.keras
    x = inputs = k.Input((8, 8, 2))
    x = k.layers.Conv2D(3, 3, strides=2, padding="same", activation="relu")(x)
    x = k.layers.BatchNormalization()(x)
    x = k.layers.SeparableConv2D(2, 2, activation="tanh")(x)
    x = k.layers.UpSampling2D()(x)
    x = k.layers.DepthwiseConv2D(2)(x)
    x = k.layers.PReLU()(x)
    x = k.layers.MaxPooling2D()(x)
    x = k.layers.Conv2DTranspose(2, 2)(x)
    x = k.layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = k.layers.GlobalAveragePooling2D()(x)
    model = k.Model(inputs, k.layers.Dense(1)(x))
    optimizer = k.optimizers.RMSprop(0.01, momentum=0.5, centered=True)
    return _trained(model, _numbers(8, 8, 8, 2), _numbers(8, 1), optimizer)


def normalizations(tf: Any) -> Any:
    k = tf.keras
    model = k.Sequential(
        [
            k.layers.InputLayer((6,), name="given"),
            k.layers.Dense(4),
            k.layers.BatchNormalization(momentum=0.7, name="bn"),
            k.layers.Reshape((2, 2)),
            k.layers.LayerNormalization(),
            k.layers.Permute((2, 1)),
            k.layers.UnitNormalization(),
            k.layers.Flatten(),
            k.layers.Dense(1, trainable=False),
        ],
        name="norms",
    )
    return _trained(model, _numbers(8, 6), _numbers(8, 1), k.optimizers.SGD(0.1, momentum=0.9))


def lstm(tf: Any) -> Any:
    k = tf.keras
    model = k.Sequential(
        [
            k.layers.Masking(input_shape=(5, 3)),
            k.layers.Bidirectional(k.layers.LSTM(2, return_sequences=True)),
            k.layers.GRU(3, return_sequences=True, go_backwards=True),
            k.layers.SimpleRNN(2),
            k.layers.Dense(1),
        ]
    )
    return _trained(model, _numbers(8, 5, 3), _numbers(8, 1), k.optimizers.Adam(amsgrad=True))


def embedding(tf: Any) -> Any:
    k = tf.keras
    x = words = k.Input((6,), dtype="int32", name="words")
    x = k.layers.Embedding(7, 3, mask_zero=True)(x)
    x = k.layers.LSTM(2, return_sequences=True)(x)
    x = k.layers.TimeDistributed(k.layers.Dense(2))(x)
    x = k.layers.GlobalMaxPooling1D()(x)
    model = k.Model(words, k.layers.Dense(1, "sigmoid")(x), name="text")
    return _trained(model, _words(8, 6), np.arange(8) % 2, "rmsprop", "binary_crossentropy")


def merged(tf: Any) -> Any:
    k = tf.keras
    a, b = k.Input((3,), name="a"), k.Input((4,), name="b")
    p, q = k.layers.Dense(3, name="p")(a), k.layers.Dense(3, name="q")(b)
    parts = [
        k.layers.Add()([p, q]), k.layers.Multiply()([p, q]), k.layers.Average()([p, q]),
        k.layers.Subtract()([p, q]), k.layers.Maximum()([p, q]), k.layers.Dot(1)([p, q]),
    ]  # fmt: skip
    joined = k.layers.Concatenate(axis=-1)(parts)
    ends = {"u": k.layers.Dense(1, name="u")(joined), "v": k.layers.Dense(2, name="v")(joined)}
    model = k.Model([a, b], ends)
    x, y = [_numbers(8, 3), _numbers(8, 4)], {"u": _numbers(8, 1), "v": _numbers(8, 2)}
    weights, metrics = {"u": 2.0, "v": 1.0}, {"u": ["mae"]}
    loss = {"u": "mse", "v": "mae"}
    return _trained(model, x, y, "adamax", loss, loss_weights=weights, metrics=metrics)


def nested(tf: Any) -> Any:
    k = tf.keras
    inner_in = k.Input((3,))
    shared = k.layers.Dense(3, activation="tanh", name="shared")
    inner = k.Model(inner_in, shared(shared(inner_in)), name="inner")
    chain = k.Sequential(
        [k.layers.Dense(3, input_shape=(3,)), k.layers.BatchNormalization()], name="chain"
    )
    loose = k.Sequential([k.layers.Dense(2)], name="loose")
    x = given = k.Input((3,), name="given")
    x = chain(inner(x))
    model = k.Model(given, k.layers.Dense(1)(loose(k.layers.add([inner(x), x]))), name="outer")
    return _trained(model, _numbers(8, 3), _numbers(8, 1), k.optimizers.Ftrl(0.1))


def attention(tf: Any) -> Any:
    k = tf.keras
    a, b = k.Input((4, 3), name="a"), k.Input((5, 3), name="b")
    x = k.layers.MultiHeadAttention(2, 2, name="heads")(a, b)
    x = k.layers.LayerNormalization()(x + a)
    x = k.layers.Attention(use_scale=True)([x, b])
    x = k.layers.AdditiveAttention()([x, b])
    x = k.layers.Conv1D(2, 2, padding="causal")(x)
    model = k.Model([a, b], k.layers.GlobalAveragePooling1D()(x))
    x = [_numbers(8, 4, 3), _numbers(8, 5, 3)]
    return _trained(model, x, _numbers(8, 2), k.optimizers.AdamW(0.01))


def operations(tf: Any) -> Any:
    k = tf.keras
    a = k.Input((4, 6), name="a")
    x = tf.concat([a[:, 0], tf.reduce_mean(a, axis=1), 2.0 - a[:, 1] * 3.0], -1)
    x = tf.nn.relu(tf.reshape(x, [-1, 3, 6])) / 2.0 + 0.25
    x = tf.transpose(x, [0, 2, 1])
    x = tf.maximum(x, 0.1) - tf.exp(-tf.square(x))
    x = tf.reduce_sum(x**2, axis=1, keepdims=True)
    x = k.layers.Dense(2)(k.layers.Flatten()(x))
    model = k.Model(a, tf.math.tanh(x), name="ops")
    return _trained(model, _numbers(8, 4, 6), _numbers(8, 2), k.optimizers.Adadelta(0.5))


def more_operations(tf: Any) -> Any:
    k = tf.keras
    a = k.Input((3,), name="a")
    x = tf.stack([tf.where(a > 0.1, a, -a), tf.nn.softmax(a), tf.clip_by_value(a, -0.5, 0.5)], 1)
    x = tf.matmul(x, tf.expand_dims(tf.nn.leaky_relu(a), 2)) + tf.ones((3, 1))
    x = tf.concat([tf.squeeze(x, 2), tf.gather(a, [0, 2], axis=1), tf.tile(a, [1, 2])], 1)
    x = tf.add_n([x, tf.cast(x < 0.5, tf.float32), tf.pad(a, [[0, 0], [4, 4]])])
    model = k.Model(a, tf.nn.elu(k.layers.Dense(2)(x)) * 0.5)
    return _trained(model, _numbers(8, 3), _numbers(8, 2), k.optimizers.SGD(0.1))


def states(tf: Any) -> Any:
    k = tf.keras
    a, start = k.Input((4, 3), name="a"), k.Input((2,), name="start")
    sequence, h, c = k.layers.LSTM(2, return_sequences=True, return_state=True, name="r")(
        a, initial_state=[start, start]
    )
    x = k.layers.RNN([k.layers.LSTMCell(2), k.layers.GRUCell(3)], name="stack")(sequence)
    x = k.layers.Concatenate()([x, h, c])
    model = k.Model({"a": a, "start": start}, [k.layers.Dense(1)(x), h])
    x, y = {"a": _numbers(8, 4, 3), "start": _numbers(8, 2)}, [_numbers(8, 1), _numbers(8, 2)]
    return _trained(model, x, y, k.optimizers.Lion(0.001), ["mse", "mse"], metrics=[["mae"], None])


def frames(tf: Any) -> Any:
    k = tf.keras
    model = k.Sequential(
        [
            k.layers.ConvLSTM2D(2, 2, input_shape=(3, 4, 4, 1), return_sequences=True),
            k.layers.TimeDistributed(k.layers.Conv2D(2, 2)),
            k.layers.Conv3D(2, 2, padding="same", kernel_initializer="he_normal"),
            k.layers.GlobalAveragePooling3D(),
            k.layers.Dense(1, activation="gelu", bias_initializer=k.initializers.Constant(0.2)),
        ]
    )
    return _trained(model, _numbers(8, 3, 4, 4, 1), _numbers(8, 1), k.optimizers.SGD(0.1))


TEXTS = [["a b"], ["c"], ["b d a"]]


def vocabulary(tf: Any) -> Any:
    """A model that has learned words, which Keras keeps in a file of their own."""
    k = tf.keras
    words = k.layers.TextVectorization(output_sequence_length=3)
    words.adapt(["a b c", "a b", "a"])
    model = k.Sequential([k.Input((1,), dtype="string"), words, k.layers.Embedding(5, 2)])
    return model


def own_class(tf: Any) -> type:
    """A model's class that Keras writes by its name."""

    class Own(tf.keras.Model):
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units, self.blocks = units, [tf.keras.layers.Dense(units) for _ in range(2)]
            self.end = tf.keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return self.end(x)

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "name": self.name}

    return Own


def subclass(tf: Any) -> Any:
    """A trained model of a class of its own."""
    model = own_class(tf)(4, name="own")
    return _trained(model, _numbers(8, 3), _numbers(8, 1), tf.keras.optimizers.Adam(0.01))


MODELS: dict[str, Callable[[Any], Any]] = {
    f.__name__: f
    for f in (
        dense, unbuilt_start, convolutions, normalizations, lstm, embedding, merged, nested,
        attention, operations, more_operations, states, frames,
    )
}  # fmt: skip


def predictions(model: Any, x: Any) -> list[np.ndarray]:
    """What a model predicts, as a list in order."""
    got = model.predict(x, verbose=0)
    if isinstance(got, dict):
        return [got[name] for name in sorted(got)]
    return list(got) if isinstance(got, (list, tuple)) else [got]


def trained_on(model: Any, x: Any, y: Any) -> list[np.ndarray]:
    """What a model predicts after two more steps."""
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return predictions(model, x)

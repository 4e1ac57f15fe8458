"""Programs on layers of `tf.keras` that run on TensorFlow 2.15 and on Shardtape alike.

As in `keras_cases.py`; kept in `data/keras_layers_tf215.npz`.
"""

import numpy as np
from parity.keras_cases import classes_of, fixed_weights, history_of, normal

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def layer_case(name, make, *inputs, training=None, several=False, options=None):
    """Outputs, gradients of inputs and weights, weights afterwards, names, config and its copy."""

    def run(tf):
        layer = make(tf.keras.layers)
        given = [tf.constant(x) for x in inputs]
        call = dict(options or {})
        if training is not None:
            call["training"] = training
        x = given if several else given[0]
        layer(x, **call)
        weights = layer.get_weights()
        if weights:
            made = [0.3 * normal(*w.shape, seed=5 + i) for i, w in enumerate(weights)]
            positive = [v.name for v in layer.weights if "variance" in v.name]
            layer.set_weights([
                np.abs(w) + 0.5 if v.name in positive else w for w, v in zip(made, layer.weights)
            ])  # fmt: skip
        watched = [t for t in given if t.dtype.is_floating]
        with tf.GradientTape() as tape:
            for t in watched:
                tape.watch(t)
            y = layer(x, **call)
            outputs = tf.nest.flatten(y)
            total = tf.add_n([
                tf.reduce_sum(o * tf.cos(tf.cast(tf.range(o.shape[-1]), o.dtype))) for o in outputs
            ])  # fmt: skip
        grads = tape.gradient(total, [*watched, *layer.trainable_variables])
        grads = [g if g is None else tf.convert_to_tensor(g) for g in grads]
        copy = type(layer).from_config(layer.get_config())
        copy(x, **call)
        if weights:
            copy.set_weights(layer.get_weights())
        same = copy(x, **call)
        return [
            *outputs, *[g for g in grads if g is not None], *layer.get_weights(),
            *(() if training else tf.nest.flatten(same)),
            ",".join(v.name for v in layer.weights),
            str([tuple(o.shape) for o in outputs]),
        ]  # fmt: skip

    CASES[f"layer_{name}"] = run


image = normal(2, 6, 5, 4)
series = normal(3, 7, 4)
flat = normal(5, 4)
padded = series * (np.arange(7)[None, :, None] < np.array([7, 3, 5])[:, None, None])
for _name, _kind in (("simple_rnn", "SimpleRNN"), ("lstm", "LSTM"), ("gru", "GRU")):
    for _variant, _options in {
        "": {}, "_sequences": {"return_sequences": True, "return_state": True},
        "_backwards": {"go_backwards": True, "return_sequences": True, "use_bias": False},
        "_unrolled": {"unroll": True, "activation": "relu"},
    }.items():  # fmt: skip
        layer_case(_name + _variant,
                   lambda k, kind=_kind, o=_options: getattr(k, kind)(5, name="r", **o),
                   series)  # fmt: skip
layer_case("gru_reset_before", lambda k: k.GRU(5, reset_after=False, name="r"), series)
layer_case("lstm_plain_bias",
           lambda k: k.LSTM(5, recurrent_activation="hard_sigmoid", unit_forget_bias=False,
                            name="r"), series)  # fmt: skip
layer_case("rnn_cells", lambda k: k.RNN([k.LSTMCell(3, name="a"), k.GRUCell(2, name="b")],
                                        return_sequences=True, name="r"), series)  # fmt: skip
for _mode in ("concat", "sum", "mul", "ave"):
    layer_case(f"bidirectional_{_mode}",
               lambda k, mode=_mode: k.Bidirectional(
                   k.LSTM(3, return_sequences=True, name="l"), mode, name="b"),
               series)  # fmt: skip
layer_case("bidirectional_last", lambda k: k.Bidirectional(k.GRU(3, name="l"), name="b"), series)
layer_case("bidirectional_states",
           lambda k: k.Bidirectional(k.LSTM(3, return_state=True, name="l"), name="b"),
           series)  # fmt: skip
layer_case("time_distributed",
           lambda k: k.TimeDistributed(k.Dense(3, name="d"), name="t"), series)  # fmt: skip
layer_case("lstm_mask", lambda k: k.LSTM(4, return_sequences=True, name="r"), series,
           options={"mask": padded.any(-1)})  # fmt: skip
for _training in (False, True):
    _suffix = "_training" if _training else ""
    layer_case("batch_norm" + _suffix, lambda k: k.BatchNormalization(name="n"), flat,
               training=_training)  # fmt: skip
    layer_case("batch_norm_image" + _suffix, lambda k: k.BatchNormalization(momentum=0.7, name="n"),
               image, training=_training)  # fmt: skip
    layer_case("batch_norm_axis" + _suffix,
               lambda k: k.BatchNormalization(axis=1, scale=False, name="n"), series,
               training=_training)  # fmt: skip
layer_case("batch_norm_axes", lambda k: k.BatchNormalization(axis=[1, 2], center=False, name="n"),
           series, training=True)  # fmt: skip
layer_case("layer_norm", lambda k: k.LayerNormalization(name="n"), series)
layer_case("layer_norm_axes", lambda k: k.LayerNormalization(axis=[1, 2], epsilon=1e-5, name="n"),
           image)  # fmt: skip
layer_case("group_norm", lambda k: k.GroupNormalization(2, name="n"), image)
layer_case("unit_norm", lambda k: k.UnitNormalization(name="n"), series)
layer_case("embedding", lambda k: k.Embedding(6, 3, name="e"), np.array([[1, 5, 1], [0, 2, 2]]))
layer_case("masking", lambda k: k.Masking(name="m"), padded)
layer_case("add", lambda k: k.Add(name="m"), series, normal(3, 7, 4, seed=1), several=True)
layer_case("add_broadcast", lambda k: k.Add(name="m"), series, normal(3, 4, seed=1), several=True)
layer_case("subtract", lambda k: k.Subtract(name="m"), series, normal(3, 7, 4, seed=1),
           several=True)  # fmt: skip
layer_case("multiply", lambda k: k.Multiply(name="m"), flat, normal(5, 4, seed=1),
           normal(5, 1, seed=2), several=True)  # fmt: skip
for _kind in ("Average", "Maximum", "Minimum"):
    layer_case(_kind.lower(), lambda k, kind=_kind: getattr(k, kind)(name="m"), flat,
               normal(5, 4, seed=1), several=True)  # fmt: skip
layer_case("concatenate", lambda k: k.Concatenate(1, name="m"), series, normal(3, 2, 4, seed=1),
           several=True)  # fmt: skip
layer_case("dot", lambda k: k.Dot((2, 2), name="m"), series, normal(3, 5, 4, seed=1), several=True)
layer_case("dot_cosine", lambda k: k.Dot(-1, normalize=True, name="m"), flat,
           normal(5, 4, seed=1), several=True)  # fmt: skip
layer_case("attention", lambda k: k.Attention(use_scale=True, name="a"), series,
           normal(3, 5, 4, seed=1), several=True)  # fmt: skip
layer_case("attention_causal", lambda k: k.Attention(score_mode="concat", name="a"), series,
           normal(3, 7, 4, seed=1), several=True,
           options={"return_attention_scores": True, "use_causal_mask": True})  # fmt: skip
layer_case("additive_attention", lambda k: k.AdditiveAttention(name="a"), series,
           normal(3, 5, 4, seed=1), normal(3, 5, 4, seed=2), several=True)  # fmt: skip
layer_case(
    "einsum_dense",
    lambda k: k.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", activation="tanh", name="e"),
    series,
)
layer_case("einsum_dense_left", lambda k: k.EinsumDense("...x,xy->...y", 3, name="e"), series)
layer_case("softmax_axes", lambda k: k.Softmax(axis=(1, 2), name="s"), series)
layer_case("prelu", lambda k: k.PReLU(shared_axes=[1], name="p"), series)
layer_case("thresholded_relu", lambda k: k.ThresholdedReLU(0.4, name="p"), series)
layer_case("separable_1d", lambda k: k.SeparableConv1D(5, 3, padding="causal", name="c"), series)
layer_case(
    "separable_2d",
    lambda k: k.SeparableConv2D(5, 3, 2, "same", depth_multiplier=2, activation="relu", name="c"),
    image,
)
layer_case("conv1d_transpose", lambda k: k.Conv1DTranspose(3, 3, 2, name="c"), series)
layer_case(
    "conv1d_transpose_same",
    lambda k: k.Conv1DTranspose(3, 3, 2, "same", output_padding=1, name="c"),
    series,
)
layer_case("depthwise_1d", lambda k: k.DepthwiseConv1D(3, depth_multiplier=2, name="c"), series)
layer_case("zero_padding_1d", lambda k: k.ZeroPadding1D((1, 2), name="c"), series)
layer_case("zero_padding_2d", lambda k: k.ZeroPadding2D(((1, 2), (0, 3)), name="c"), image)
layer_case("cropping_1d", lambda k: k.Cropping1D((1, 2), name="c"), series)
layer_case("cropping_2d", lambda k: k.Cropping2D((1, 2), name="c"), image)
layer_case("up_sampling_1d", lambda k: k.UpSampling1D(3, name="c"), series)
layer_case("up_sampling_2d", lambda k: k.UpSampling2D((2, 3), name="c"), image)
volume = normal(2, 3, 4, 5, 2)
layer_case("zero_padding_3d", lambda k: k.ZeroPadding3D(((1, 0), (0, 1), (2, 2)), name="c"), volume)
layer_case("cropping_3d", lambda k: k.Cropping3D((1, 1, 2), name="c"), volume)
layer_case("up_sampling_3d", lambda k: k.UpSampling3D((1, 2, 2), name="c"), volume)
layer_case("average_pool_3d", lambda k: k.AveragePooling3D((2, 2, 3), 1, "same", name="c"), volume)
layer_case("max_pool_3d", lambda k: k.MaxPooling3D((2, 2, 3), 1, "same", name="c"), volume)
layer_case("max_pool_3d_valid", lambda k: k.MaxPool3D(2, name="c"), volume)
layer_case("average_pool_3d_valid", lambda k: k.AveragePooling3D(2, name="c"), volume)
layer_case("conv_3d", lambda k: k.Conv3D(3, (2, 3, 2), 2, "same", activation="tanh", name="c"),
           volume)  # fmt: skip
layer_case("conv_3d_valid", lambda k: k.Conv3D(3, 2, use_bias=False, name="c"), volume)
layer_case("conv_3d_transpose", lambda k: k.Conv3DTranspose(3, (2, 3, 2), 2, name="c"), volume)
layer_case(
    "conv_3d_transpose_same",
    lambda k: k.Conv3DTranspose(2, 3, (1, 2, 2), "same", output_padding=(0, 1, 1), name="c"),
    volume,
)
movie = normal(2, 4, 5, 5, 2)
lines = movie[:, :, :, 0]
for _variant, _options in {
    "": {}, "_sequences": {"return_sequences": True, "return_state": True, "padding": "same"},
    "_backwards": {"go_backwards": True, "return_sequences": True, "use_bias": False},
    "_strides": {"strides": 2, "recurrent_activation": "sigmoid", "unit_forget_bias": False},
    "_dilated": {"dilation_rate": 2, "padding": "same", "activation": "relu"},
}.items():  # fmt: skip
    layer_case("conv_lstm_2d" + _variant, lambda k, o=_options: k.ConvLSTM2D(3, 2, name="r", **o),
               movie)  # fmt: skip
layer_case("conv_lstm_1d", lambda k: k.ConvLSTM1D(3, 2, padding="same", name="r"), lines)
layer_case("conv_lstm_3d", lambda k: k.ConvLSTM3D(2, 2, name="r"), normal(1, 2, 3, 4, 3, 2))
layer_case("conv_lstm_masked", lambda k: k.ConvLSTM2D(3, 2, return_sequences=True, name="r"), movie,
           options={"mask": np.array([[1, 1, 0, 1], [0, 1, 1, 0]], bool)})  # fmt: skip
for _implementation in (1, 2):
    layer_case(
        f"locally_connected_1d_{_implementation}",
        lambda k, i=_implementation: k.LocallyConnected1D(3, 2, 2, implementation=i, name="c"),
        series,
    )
    layer_case(
        f"locally_connected_2d_{_implementation}",
        lambda k, i=_implementation: k.LocallyConnected2D(
            3, (2, 3), activation="tanh", implementation=i, name="c"
        ),
        image,
    )
layer_case(
    "locally_connected_2d_first",
    lambda k: k.LocallyConnected2D(2, 2, data_format="channels_first", name="c"),
    image,
)
layer_case(
    "locally_connected_2d_same",
    lambda k: k.LocallyConnected2D(2, 3, 2, "same", implementation=2, name="c"),
    image,
)
layer_case(
    "locally_connected_1d_first",
    lambda k: k.LocallyConnected1D(
        2,
        3,
        padding="same",
        data_format="channels_first",
        implementation=2,
        use_bias=False,
        name="c",
    ),
    series,
)
layer_case("global_average_3d", lambda k: k.GlobalAveragePooling3D(name="c"), volume)
layer_case("global_max_3d", lambda k: k.GlobalMaxPooling3D(name="c"), volume)
layer_case(
    "global_average_masked",
    lambda k: k.GlobalAveragePooling1D(name="c"),
    series,
    options={"mask": padded.any(-1)},
)


@case
def multi_head_attention(tf):
    k = tf.keras.layers
    layer = k.MultiHeadAttention(2, 3, value_dim=5, name="m")
    query, value = tf.constant(series), tf.constant(normal(3, 5, 6, seed=1))
    layer(query, value)
    layer.set_weights([0.3 * normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    mask = np.random.RandomState(0).uniform(size=(3, 7, 5)) > 0.3
    with tf.GradientTape() as tape:
        y, scores = layer(query, value, attention_mask=mask, return_attention_scores=True)
        total = tf.reduce_sum(y * y)
    own = k.MultiHeadAttention(2, 3, output_shape=2, use_bias=False, name="o")
    own(query, query, use_causal_mask=True)
    own.set_weights([0.3 * normal(*w.shape, seed=i) for i, w in enumerate(own.get_weights())])
    return [
        y, scores, *tape.gradient(total, layer.trainable_variables),
        own(query, query, use_causal_mask=True), ",".join(v.name for v in layer.weights),
    ]  # fmt: skip


@case
def masks_travel(tf):
    k = tf.keras.layers
    ids = np.array([[3, 1, 0, 0], [2, 5, 4, 0], [1, 1, 1, 1]])
    inputs = tf.keras.Input((None,), dtype="int32")
    x = k.Embedding(6, 4, mask_zero=True)(inputs)
    x = k.Dropout(0.5)(x)
    x = k.Bidirectional(k.LSTM(3, return_sequences=True))(x)
    x = k.GRU(4, return_sequences=True)(x)
    x = k.TimeDistributed(k.Dense(2))(x)
    model = fixed_weights(tf.keras.Model(inputs, x))
    y = model(ids)
    target = normal(3, 4, 2, seed=3)
    masked = k.Masking()(padded.astype(np.float32))
    last = fixed_weights(tf.keras.Sequential([k.Masking(input_shape=(7, 4)), k.SimpleRNN(3)]))
    joined = k.Concatenate()([masked, masked])
    return [
        y, y._keras_mask, tf.keras.losses.MeanSquaredError()(target, y),
        tf.keras.losses.MeanSquaredError(reduction="sum")(target, y),
        tf.keras.losses.MeanAbsoluteError()(target, y, sample_weight=[1.0, 2.0, 0.5]),
        masked._keras_mask, last(padded.astype(np.float32)), joined._keras_mask,
        k.Embedding(6, 4, mask_zero=True).compute_mask(tf.constant(ids)),
    ]  # fmt: skip


@case
def stateful_and_initial_states(tf):
    k = tf.keras.layers
    layer = k.LSTM(3, stateful=True, batch_input_shape=(3, 7, 4))
    layer(series)
    layer.set_weights([0.3 * normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    layer.reset_states()
    first, second = layer(series), layer(series)
    layer.reset_states()
    again = layer(series)
    encoder, decoder = k.GRU(3, return_state=True), k.GRU(3, return_sequences=True)
    a, b = tf.keras.Input((None, 4)), tf.keras.Input((None, 4))
    _, state = encoder(a)
    model = fixed_weights(tf.keras.Model([a, b], decoder(b, initial_state=state)))
    cell = k.LSTMCell(3)
    states = cell.get_initial_state(batch_size=3, dtype=tf.float32)
    cell(series[:, 0], states)
    cell.set_weights([0.3 * normal(*w.shape, seed=i) for i, w in enumerate(cell.get_weights())])
    for t in range(3):
        output, states = cell(series[:, t], states)
    return [first, second, again, *layer.states, model([series, series[:, :3]]), output, *states]


@case
def custom_cell(tf):
    class Minimal(tf.keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel",
                                          initializer="ones")  # fmt: skip
            self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent",
                                             initializer="identity")  # fmt: skip
            self.built = True

        def call(self, inputs, states):
            h = tf.tanh(tf.matmul(inputs, self.kernel) + 0.5 * tf.matmul(states[0], self.recurrent))
            return h, [h]

    layer = tf.keras.layers.RNN(Minimal(3), return_sequences=True)
    stacked = tf.keras.layers.RNN([Minimal(3), Minimal(2)])
    run = tf.function(lambda x: stacked(x))
    return [layer(series), stacked(series), run(series)]


# ---- training -------------------------------------------------------------------------------
def fifty_losses(model, x, y, size):
    out = []
    while len(out) < 50:
        for i in range(0, len(x), size):
            out.append(model.train_on_batch(x[i : i + size], y[i : i + size]))
    return np.array(out[:50], np.float32)


@case
def train_lstm(tf):
    k = tf.keras.layers
    model = fixed_weights(tf.keras.Sequential([
        k.Embedding(12, 6, input_length=9, mask_zero=True), k.LSTM(8), k.Dense(3),
    ]))  # fmt: skip
    x = np.random.RandomState(3).randint(0, 12, (40, 9))
    y = x.sum(-1) % 3
    model.compile(tf.keras.optimizers.Adam(0.01),
                  tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))  # fmt: skip
    return [fifty_losses(model, x, y, 8), *model.get_weights()]


@case
def train_tagger_under_masks(tf):
    k = tf.keras.layers
    model = fixed_weights(tf.keras.Sequential([
        k.Embedding(12, 6, mask_zero=True), k.GRU(5, return_sequences=True),
        k.Dense(3, activation="softmax"),
    ]))  # fmt: skip
    x = np.random.RandomState(3).randint(0, 12, (24, 7))
    x[:, 5:] = 0
    y = x % 3
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"],
                  weighted_metrics=["sparse_categorical_crossentropy"])  # fmt: skip
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0,
                        sample_weight=np.linspace(0.5, 2, 24).astype(np.float32))  # fmt: skip
    return [*history_of(history), np.array(model.evaluate(x, y, verbose=0))]


@case
def train_gru_both_ways(tf):
    k = tf.keras.layers
    model = fixed_weights(tf.keras.Sequential([
        tf.keras.Input((None, 4)), k.Bidirectional(k.GRU(5, return_sequences=True)),
        k.LayerNormalization(), k.SimpleRNN(4), k.Dense(1),
    ]))  # fmt: skip
    x = normal(32, 6, 4)
    y = x[:, :, 0].sum(-1, keepdims=True)
    model.compile(tf.keras.optimizers.RMSprop(0.005), "mse")
    return [fifty_losses(model, x, y, 8), model.predict(x[:3], verbose=0)]


@case
def train_cnn_with_batch_norm(tf):
    k = tf.keras.layers
    model = tf.keras.Sequential([
        k.Conv2D(6, 3, padding="same", use_bias=False, input_shape=(8, 8, 1)),
        k.BatchNormalization(), k.ReLU(), k.MaxPooling2D(), k.Conv2D(8, 3), k.BatchNormalization(),
        k.Activation("relu"), k.GlobalAveragePooling2D(), k.Dense(4),
    ])  # fmt: skip
    model.set_weights([
        0.3 * normal(*w.shape, seed=10 + i) if w.ndim > 1 else w
        for i, w in enumerate(model.get_weights())
    ])  # fmt: skip
    x = normal(40, 8, 8, 1)
    y = classes_of(x, 4)
    model.compile(tf.keras.optimizers.SGD(0.05, momentum=0.9),
                  tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))  # fmt: skip
    losses = fifty_losses(model, x, y, 8)
    return [losses, *model.get_weights(), model.predict(x[:3], verbose=0),
            np.array(model.evaluate(x, y, verbose=0))]  # fmt: skip


@case
def train_transformer_block(tf):
    k = tf.keras.layers
    inputs = tf.keras.Input((6, 8))
    x = k.LayerNormalization(epsilon=1e-6)(k.MultiHeadAttention(2, 4)(inputs, inputs) + inputs)
    x = k.Add()([x, k.Dense(8)(k.Dense(16, activation="gelu")(x))])
    outputs = k.Dense(1)(k.GlobalAveragePooling1D()(k.LayerNormalization()(x)))
    model = fixed_weights(tf.keras.Model(inputs, outputs))
    x = normal(32, 6, 8)
    y = np.tanh(x.mean((1, 2)))[:, None]
    model.compile(tf.keras.optimizers.Adam(0.003), "mse")
    history = model.fit(x, y, batch_size=8, epochs=12, shuffle=False, verbose=0)
    return [*history_of(history), model.predict(x[:3], verbose=0)]


layer_case("identity", lambda k: k.Identity(name="i"), series)


@case
def spectral_normalization(tf):
    k = tf.keras.layers
    out = []
    for inner, x in ((k.Conv2D(3, 2), image), (k.Dense(5), series),
                     (k.Embedding(6, 3), np.array([[1, 5, 1]]))):  # fmt: skip
        layer = k.SpectralNormalization(inner, power_iterations=2, name="s")
        layer(x)
        layer.set_weights([0.3 * normal(*w.shape, seed=5 + i)
                           for i, w in enumerate(layer.get_weights())])  # fmt: skip
        names = ",".join(v.name for v in layer.weights)
        out += [layer(x, training=False), layer(x, training=True), *layer.get_weights(), names]
    inputs = tf.keras.Input((4,))
    model = fixed_weights(tf.keras.Model(inputs, k.SpectralNormalization(k.Dense(2))(inputs)))
    model.compile("sgd", "mse", run_eagerly=True)  # Keras's own fails in a graph
    history = model.fit(flat, flat[:, :2], epochs=4, batch_size=5, shuffle=False, verbose=0)
    return [*out, *history_of(history), *model.get_weights()]


@case
def train_next_frames(tf):
    """Stacked ConvLSTMs and a Conv3D, as Keras's example of predicting the next frame has them."""
    k = tf.keras.layers
    inputs = tf.keras.Input((None, 6, 6, 1))
    x = k.ConvLSTM2D(4, 3, padding="same", return_sequences=True, activation="relu")(inputs)
    x = k.BatchNormalization()(x)
    x = k.ConvLSTM2D(3, 1, padding="same", return_sequences=True, activation="relu")(x)
    outputs = k.Conv3D(1, 3, activation="sigmoid", padding="same")(x)
    model = tf.keras.Model(inputs, outputs)
    model.set_weights([
        0.3 * normal(*w.shape, seed=10 + i) if w.ndim > 1 else w
        for i, w in enumerate(model.get_weights())
    ])  # fmt: skip
    model.compile(tf.keras.optimizers.SGD(0.5), "binary_crossentropy")
    x = (normal(8, 4, 6, 6, 1) > 0.5).astype(np.float32)
    history = model.fit(x[:, :-1], x[:, 1:], batch_size=4, epochs=6, shuffle=False, verbose=0)
    open_sized = tf.keras.Sequential([
        tf.keras.Input((None, None, None, 2)), k.ConvLSTM2D(2, 2), k.GlobalMaxPooling2D(),
    ])  # fmt: skip
    fixed_weights(open_sized)
    return [
        *history_of(history), model.predict(x[:2], verbose=0), str(model.output_shape),
        open_sized.predict(movie, verbose=0), str(open_sized.layers[0].output_shape),
        str(k.ConvLSTM2D(3, 2).compute_output_shape((2, 4, 5, 6, 1))),
        str(k.ConvLSTM2D(3, 2, return_state=True).compute_output_shape((2, 4, 5, 6, 1))),
    ]  # fmt: skip

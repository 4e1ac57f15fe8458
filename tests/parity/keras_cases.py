"""Programs on `tf.keras` that run on TensorFlow 2.15 and on Shardtape alike.

Each case is a function of the module `tf`; it returns tensors, arrays, numbers or strings.
`record_keras_tf.py` keeps what TensorFlow makes of them in `data/keras_tf215.npz`.
"""

import numpy as np

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def normal(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def positive(*shape, seed=0):
    return np.abs(normal(*shape, seed=seed)) + np.float32(0.1)


def shares(*shape, seed=0):
    p = positive(*shape, seed=seed)
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)


def fixed_weights(model):
    """Sets all weights to numbers that follow from their position and shape."""
    model.set_weights(
        [0.3 * normal(*w.shape, seed=10 + i) for i, w in enumerate(model.get_weights())]
    )
    return model


# ---- activations ----------------------------------------------------------------------------
@case
def activations(tf):
    x = np.concatenate([normal(12).reshape(3, 4), np.float32([[-9, -3, 3, 9], [0, 7, 0.5, -0.5]])])
    names = ("linear", "relu", "softmax", "elu", "selu", "softplus", "softsign", "swish", "gelu",
             "tanh", "sigmoid", "hard_sigmoid", "exponential", "mish")  # fmt: skip
    a = tf.keras.activations
    return [
        *(a.get(name)(tf.constant(x)) for name in names), a.relu(x, alpha=0.2),
        a.relu(x, max_value=6), a.relu(x, max_value=2.5), a.relu(x, threshold=0.7),
        a.relu(x, alpha=0.1, max_value=2.0, threshold=0.5), a.elu(tf.constant(x), alpha=0.5),
        a.gelu(tf.constant(x), approximate=True),
    ]  # fmt: skip


# ---- layers ---------------------------------------------------------------------------------
def layer_case(name, make, x, training=None):
    def run(tf):
        layer = make(tf.keras.layers)
        layer.build(x.shape)
        weights = layer.get_weights()
        if weights:
            layer.set_weights([normal(*w.shape, seed=5 + i) for i, w in enumerate(weights)])
        t = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = layer(t) if training is None else layer(t, training=training)
            total = tf.reduce_sum(y * y)
        grads = tape.gradient(total, [t, *layer.trainable_variables])
        return [
            y,
            *grads,
            ",".join(v.name for v in layer.weights),
            str(tuple(layer.compute_output_shape((None, *x.shape[1:])))),
        ]

    CASES[f"layer_{name}"] = run


image = normal(2, 7, 6, 3)
series = normal(2, 9, 4)
layer_case("dense", lambda k: k.Dense(3, name="d"), normal(4, 5))
layer_case("dense_tanh", lambda k: k.Dense(3, "tanh", use_bias=False, name="d"), normal(4, 5))
layer_case("dense_rank_3", lambda k: k.Dense(3, "relu", name="d"), normal(2, 4, 5))
layer_case("activation", lambda k: k.Activation("softplus", name="a"), normal(2, 3))
layer_case("flatten", lambda k: k.Flatten(name="f"), image)
layer_case("reshape", lambda k: k.Reshape((6, -1), name="r"), image)
layer_case("permute", lambda k: k.Permute((2, 1), name="p"), series)
layer_case("repeat", lambda k: k.RepeatVector(3, name="r"), normal(2, 4))
layer_case("conv2d", lambda k: k.Conv2D(4, 3, name="c"), image)
layer_case("conv2d_same", lambda k: k.Conv2D(4, (3, 2), 2, "same", activation="elu", name="c"),
           image)  # fmt: skip
layer_case("conv1d", lambda k: k.Conv1D(5, 3, name="c"), series)
layer_case("conv1d_causal", lambda k: k.Conv1D(5, 3, padding="causal", name="c"), series)
layer_case("conv2d_transpose", lambda k: k.Conv2DTranspose(4, 3, 2, "same", name="c"), image)
layer_case("conv2d_transpose_valid", lambda k: k.Conv2DTranspose(2, 3, 2, name="c"), image)
layer_case("conv2d_transpose_padded",
           lambda k: k.Conv2DTranspose(2, 3, 2, "same", output_padding=1, name="c"),
           image)  # fmt: skip
layer_case("depthwise", lambda k: k.DepthwiseConv2D(3, depth_multiplier=2, name="c"), image)
layer_case("max_pool", lambda k: k.MaxPooling2D(name="p"), image)
layer_case("max_pool_same", lambda k: k.MaxPooling2D(3, 2, "same", name="p"), image)
layer_case("average_pool", lambda k: k.AveragePooling2D((2, 3), name="p"), image)
layer_case("max_pool_1d", lambda k: k.MaxPooling1D(2, name="p"), series)
layer_case("average_pool_1d", lambda k: k.AveragePooling1D(3, 2, "same", name="p"), series)
layer_case("global_average", lambda k: k.GlobalAveragePooling2D(name="p"), image)
layer_case("global_max", lambda k: k.GlobalMaxPooling2D(keepdims=True, name="p"), image)
layer_case("global_average_1d", lambda k: k.GlobalAveragePooling1D(name="p"), series)
layer_case("relu", lambda k: k.ReLU(2.0, 0.1, name="r"), normal(3, 4))
layer_case("leaky_relu", lambda k: k.LeakyReLU(name="r"), normal(3, 4))
layer_case("elu", lambda k: k.ELU(0.7, name="r"), normal(3, 4))
layer_case("softmax", lambda k: k.Softmax(name="r"), normal(3, 4))
layer_case("dropout_off", lambda k: k.Dropout(0.5, name="d"), normal(3, 4), training=False)


@case
def dropout_masks(tf):
    tf.keras.utils.set_random_seed(7)
    x = np.ones((3, 5), np.float32)
    layers = tf.keras.layers
    a, b, c = layers.Dropout(0.5), layers.Dropout(0.3, seed=4), layers.Dropout(0.4, (3, 1))
    return [layer(x, training=True) for layer in (a, a, b, b, c)] + [
        layers.GaussianNoise(0.5)(x, training=True),
        layers.SpatialDropout1D(0.5)(np.ones((2, 3, 4), np.float32), training=True),
    ]


@case
def first_weights(tf):
    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Conv2D(4, 3, activation="relu", input_shape=(6, 6, 1)), layers.Flatten(),
        layers.Dense(5, kernel_initializer="he_normal"),
        layers.Dense(2, kernel_initializer="random_normal"),
    ])  # fmt: skip
    return model.get_weights()


@case
def regularizers_and_constraints(tf):
    w = normal(4, 3)
    r, c = tf.keras.regularizers, tf.keras.constraints
    layer = tf.keras.layers.Dense(3, kernel_regularizer=r.L1L2(0.1, 0.2), bias_regularizer="l2",
                                  activity_regularizer=r.L2(0.05))  # fmt: skip
    layer.build((None, 4))
    layer.set_weights([w, normal(3, seed=2)])
    layer(normal(5, 4, seed=3))
    return [
        r.l1(0.1)(w), r.l2(0.2)(w), r.L1L2(0.1, 0.2)(w), r.get("l1_l2")(w), tf.add_n(layer.losses),
        len(layer.losses), c.MaxNorm(1.0)(w), c.NonNeg()(w), c.UnitNorm()(w),
        c.MinMaxNorm(0.5, 1.5, 0.5)(w),
    ]  # fmt: skip


# ---- losses and metrics ---------------------------------------------------------------------
@case
def regression_losses(tf):
    k, t, p = tf.keras.losses, normal(4, 3), normal(4, 3, seed=1)
    out = []
    for loss in (k.MeanSquaredError, k.MeanAbsoluteError, k.MeanAbsolutePercentageError, k.Huber,
                 k.LogCosh, k.CosineSimilarity):  # fmt: skip
        out.append(loss()(t, p))
    out += [k.MeanSquaredLogarithmicError()(positive(4, 3), positive(4, 3, seed=1)),
            k.Poisson()(positive(4, 3), positive(4, 3, seed=1)),
            k.mean_squared_error(t, p), k.mae(t, p), k.Huber(0.3)(t, p),
            k.MeanSquaredError(reduction="none")(t, p), k.MeanSquaredError(reduction="sum")(t, p),
            k.MeanSquaredError()(t, p, sample_weight=[1.0, 0.0, 2.0, 0.5]),
            k.MeanAbsoluteError()(t, p, sample_weight=positive(4, 1)),
            k.MeanSquaredError()([[1], [2]], [[0.5], [1.5]])]  # fmt: skip
    return out


@case
def classification_losses(tf):
    k = tf.keras.losses
    classes, logits, probabilities = np.array([1, 0, 3, 2]), 3 * normal(4, 4), shares(4, 4, seed=2)
    one_hot = np.eye(4, dtype=np.float32)[classes]
    yes, p = np.float32([[0], [1], [1], [0]]), np.float32([[0.1], [0.999999], [0.4], [1.0]])
    return [
        k.SparseCategoricalCrossentropy()(classes, probabilities),
        k.SparseCategoricalCrossentropy(from_logits=True)(classes, logits),
        k.SparseCategoricalCrossentropy(from_logits=True)(classes[:, None], logits),
        k.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(classes, logits),
        k.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)(classes, logits),
        k.sparse_categorical_crossentropy(classes, tf.nn.softmax(logits)),
        k.CategoricalCrossentropy()(one_hot, probabilities),
        k.CategoricalCrossentropy(from_logits=True)(one_hot, logits),
        k.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(one_hot, logits),
        k.CategoricalCrossentropy()(one_hot, probabilities, sample_weight=[0.1, 0.2, 0.3, 0.4]),
        k.categorical_crossentropy(one_hot, 2 * probabilities),
        k.BinaryCrossentropy()(yes, p), k.BinaryCrossentropy(from_logits=True)(yes, 5 * p - 2),
        k.BinaryCrossentropy(label_smoothing=0.2)(yes, p), k.binary_crossentropy(yes, p),
        k.KLDivergence()(shares(3, 4), probabilities[:3]), k.Hinge()(2 * yes - 1, p),
        k.Hinge()(yes, p), k.SquaredHinge()(yes, p), k.CategoricalHinge()(one_hot, probabilities),
        k.get("mse")(yes, p), k.get("CategoricalCrossentropy")(one_hot, probabilities),
    ]  # fmt: skip


@case
def losses_from_activations(tf):
    """Keras looks behind a softmax or sigmoid: saturated probabilities lose nothing."""
    a, k = tf.keras.activations, tf.keras.losses
    logits = tf.constant(np.float32([[40, -40, 3], [-60, 20, 1]]))
    return [
        k.SparseCategoricalCrossentropy()([1, 0], a.softmax(logits)),
        k.BinaryCrossentropy()(np.float32([[0, 1, 1], [1, 0, 0]]), a.sigmoid(logits)),
        k.SparseCategoricalCrossentropy()([1, 0], tf.nn.softmax(logits)),
    ]


@case
def metrics(tf):
    m = tf.keras.metrics
    out = []

    def gather(metric, *batches):
        for batch in batches:
            metric.update_state(*batch)
        out.append(metric.result())
        out.append(metric.name)

    classes, p = np.array([1, 0, 3, 2]), shares(4, 4, seed=2)
    one_hot = np.eye(4, dtype=np.float32)[classes]
    yes, q = np.float32([[0], [1], [1], [0]]), np.float32([[0.1], [0.7], [0.4], [0.6]])
    gather(m.Mean(), ([1.0, 3.0],), ([5.0], [2.0]))
    gather(m.Sum(), ([1.0, 3.0],), ([5.0], [2.0]))
    gather(m.SparseCategoricalAccuracy(), (classes, p), (classes[:, None], p[::-1]))
    gather(m.SparseCategoricalAccuracy(), (classes, p, [0.0, 1.0, 2.0, 1.0]))
    gather(m.CategoricalAccuracy(), (one_hot, p))
    gather(m.BinaryAccuracy(), (yes, q))
    gather(m.BinaryAccuracy(threshold=0.65), (yes, q))
    gather(m.Accuracy(), ([1, 2, 3], [1, 0, 3]))
    gather(m.TopKCategoricalAccuracy(k=2), (one_hot, p))
    gather(m.SparseTopKCategoricalAccuracy(k=2), (classes, p))
    gather(m.MeanSquaredError(), (normal(3, 2), normal(3, 2, seed=1)))
    gather(m.RootMeanSquaredError(), (normal(3, 2), normal(3, 2, seed=1)), (normal(2), normal(2)))
    gather(m.MeanAbsoluteError(), (normal(3, 2), normal(3, 2, seed=1), [1.0, 0.0, 1.0]))
    gather(m.BinaryCrossentropy(), (yes, q))
    gather(m.CategoricalCrossentropy(), (one_hot, p))
    gather(m.SparseCategoricalCrossentropy(), (classes, p))
    gather(m.CosineSimilarity(), (normal(3, 2), normal(3, 2, seed=1)))
    mean = m.Mean(name="m")
    mean(3.0)
    mean.reset_state()
    out += [mean(5.0), ",".join(v.name for v in mean.variables)]
    return out


# ---- models ---------------------------------------------------------------------------------
def summary_of(model, **options):
    lines = []
    model.summary(print_fn=lambda line, *_: lines.append(line), **options)
    return "\n".join(lines)


@case
def summaries(tf):
    tf.keras.backend.clear_session()
    layers = tf.keras.layers
    cnn = tf.keras.Sequential([
        layers.Conv2D(8, 3, activation="relu", input_shape=(28, 28, 1)), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    late = tf.keras.Sequential([layers.Dense(4, name="a"), layers.Dense(2)], name="late")
    late(np.zeros((3, 5), np.float32))
    nested = tf.keras.Sequential([tf.keras.Input((28, 28, 1)), cnn, layers.Dense(3)])
    a = tf.keras.Input((4,))
    b = layers.Dense(3, name="left")(a)
    joined = tf.keras.Model(a, layers.Dense(2, name="right")(b), name="joined")
    cnn.layers[0].trainable = False
    return [
        summary_of(cnn), summary_of(late), summary_of(nested, expand_nested=True),
        summary_of(joined), summary_of(cnn, show_trainable=True, line_length=80),
        ",".join(v.name for m in (cnn, late, nested, joined) for v in m.variables),
    ]  # fmt: skip


def mlp(tf, **options):
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Dense(16, activation="relu", input_shape=(8,)),
        layers.Dense(4, activation="softmax", **options),
    ])  # fmt: skip
    return fixed_weights(model)


def classes_of(x, count):
    return (np.abs(x).reshape(len(x), -1).sum(-1) * 3).astype(np.int64) % count


def history_of(history):
    return [np.array(history.history[name]) for name in sorted(history.history)] + [
        ",".join(sorted(history.history))
    ]


@case
def fit_mlp(tf):
    model, x = mlp(tf), normal(70, 8)
    y = classes_of(x, 4)
    model.compile(tf.keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    history = model.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0,
                        validation_split=0.2)  # fmt: skip
    return [
        *history_of(history),
        *model.get_weights(),
        model.predict(x[:5], verbose=0),
        np.array(model.evaluate(x, y, verbose=0)),
    ]


@case
def fit_with_weights_and_penalties(tf):
    model = mlp(tf, kernel_regularizer=tf.keras.regularizers.l2(0.01))
    x = normal(50, 8)
    y = np.eye(4, dtype=np.float32)[classes_of(x, 4)]
    model.compile(tf.keras.optimizers.Adam(0.01), tf.keras.losses.CategoricalCrossentropy(),
                  metrics=["categorical_accuracy"], weighted_metrics=["accuracy"])  # fmt: skip
    first = model.fit(x, y, epochs=2, shuffle=False, verbose=0, sample_weight=positive(50))
    second = model.fit(x, y, epochs=2, shuffle=False, verbose=0,
                       class_weight={0: 2.0, 1: 0.5, 2: 1.0, 3: 3.0})  # fmt: skip
    return [*history_of(first), *history_of(second), *model.get_weights()]


@case
def fit_cnn(tf):
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Conv2D(6, 3, activation="relu", padding="same", input_shape=(8, 8, 1)),
        layers.MaxPooling2D(), layers.Conv2D(8, 3, activation="relu"), layers.AveragePooling2D(),
        layers.Flatten(), layers.Dense(4),
    ])  # fmt: skip
    fixed_weights(model)
    x = normal(40, 8, 8, 1)
    y = classes_of(x, 4)
    model.compile(tf.keras.optimizers.Adam(0.005),
                  tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=[tf.keras.metrics.SparseCategoricalAccuracy()])  # fmt: skip
    losses = [model.train_on_batch(x[i:i + 8], y[i:i + 8]) for _ in range(10)
              for i in range(0, 40, 8)]  # fmt: skip
    return [np.array(losses), model.predict(x[:3], verbose=0)]


@case
def fit_regression(tf):
    model = fixed_weights(tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1)]))
    x = normal(40, 3)
    y = (x @ np.float32([1.0, -2.0, 0.5])) + 0.3
    model.compile("rmsprop", "mse", metrics=["mae", "mse"])
    history = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0,
                        validation_data=(x[:10], y[:10]))  # fmt: skip
    return [*history_of(history), *model.get_weights()]


@case
def fit_binary(tf):
    model = fixed_weights(tf.keras.Sequential([
        tf.keras.layers.Dense(5, activation="tanh", input_shape=(3,)),
        tf.keras.layers.Dense(1, activation="sigmoid"),
    ]))  # fmt: skip
    x = normal(30, 3)
    y = (x.sum(-1) > 0).astype(np.float32)
    model.compile("adagrad", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=3, batch_size=10, shuffle=False, verbose=0)
    return [*history_of(history), model.predict(x[:4], verbose=0)]


@case
def subclassed_model(tf):
    tf.keras.backend.clear_session()

    class Net(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = tf.keras.layers.Dense(6, activation="relu")
            self.drop = tf.keras.layers.Dropout(0.5)
            self.out = tf.keras.layers.Dense(2)
            self.scale = tf.Variable(1.5, name="scale")

        def call(self, inputs, training=False):
            return self.scale * self.out(self.drop(self.hidden(inputs), training=training))

    model, x = Net(), normal(12, 4)
    model(x)
    fixed_weights(model)
    model.compile("sgd", "mse")
    return [
        model(x), ",".join(v.name for v in model.weights), len(model.layers),
        np.array(model.evaluate(x, normal(12, 2, seed=1), verbose=0)),
    ]  # fmt: skip


@case
def functional_model(tf):
    tf.keras.backend.clear_session()
    layers = tf.keras.layers
    a, b = tf.keras.Input((3,), name="a"), tf.keras.Input((2,), name="b")
    shared = layers.Dense(4, activation="relu", name="shared")
    h = shared(a) + 0.5 * shared(layers.Dense(3, name="wide")(b))
    left = layers.Dense(2, name="left")(h)
    right = layers.Dense(1, activation="sigmoid", name="right")(tf.square(h))
    model = fixed_weights(tf.keras.Model([a, b], [left, right]))
    x = [normal(8, 3), normal(8, 2, seed=1)]
    y = [normal(8, 2, seed=2), (normal(8, 1, seed=3) > 0).astype(np.float32)]
    model.compile(tf.keras.optimizers.SGD(0.05), ["mse", "binary_crossentropy"],
                  loss_weights=[1.0, 0.3])  # fmt: skip
    history = model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
    return [
        *history_of(history), *model.predict(x, verbose=0), *model.get_weights(),
        ",".join(v.name for v in model.weights), ",".join(model.input_names + model.output_names),
    ]  # fmt: skip


@case
def custom_layer(tf):
    class Linear(tf.keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight("w", (input_shape[-1], self.units), initializer="ones")
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="b",
                                     trainable=False)  # fmt: skip

        def call(self, inputs):
            return tf.matmul(inputs, self.w) + self.b

    tf.keras.backend.clear_session()
    layer = Linear(3)
    model = tf.keras.Sequential([Linear(2), Linear(1, name="last")])
    y = model(normal(2, 4))
    return [
        layer(normal(2, 4)),
        y,
        ",".join(v.name for v in layer.weights + model.weights),
        len(layer.trainable_weights),
        len(layer.non_trainable_weights),
        layer.name,
        len(model.trainable_variables),
    ]


@case
def automatic_names(tf):
    tf.keras.backend.clear_session()
    layers = tf.keras.layers
    made = [layers.Dense(1), layers.Dense(1), layers.Conv2D(1, 1), layers.MaxPooling2D(),
            layers.MaxPool2D(), layers.ReLU(), layers.LeakyReLU(), layers.Conv2DTranspose(1, 1),
            layers.DepthwiseConv2D(1), layers.GlobalAveragePooling2D(), tf.keras.Sequential(),
            tf.keras.metrics.Mean(), tf.keras.metrics.BinaryAccuracy(), layers.ELU(),
            layers.Dense(2, name="own")]  # fmt: skip
    return [",".join(m.name for m in made)]

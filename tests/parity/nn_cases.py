"""Programs on `tf.nn` that run on TensorFlow and on Shardtape alike.

Each case is a function of the module `tf`; it returns tensors. `record_nn_tf.py` keeps what
TensorFlow 2.15 makes of them in `data/nn_tf215.npz`.
"""

import numpy as np

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def normal(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def steps(*shape, seed=0):
    """Few different values, so that windows and rows have ties."""
    return np.random.RandomState(seed).randint(-2, 3, size=shape).astype(np.float32)


def with_gradients(tf, function, *arrays):
    """[value, gradients of sum(value * weights), gradients of the sum of their squares]."""
    xs = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(xs)
        with tf.GradientTape() as inner:
            inner.watch(xs)
            y = function(*xs)
            weights = tf.reshape(tf.cos(tf.cast(tf.range(tf.size(y)), tf.float32)), tf.shape(y))
            total = tf.reduce_sum(y * weights)
        first = inner.gradient(total, xs)
        squares = tf.add_n([tf.reduce_sum(g * g) for g in first])
    second = outer.gradient(squares, xs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [y, *first, *second]


def numbered(name):
    """The next free name of cases of one function."""
    return f"{name}_{sum(n.rsplit('_', 1)[0] == name for n in CASES) + 1}"


def elementwise(name, *args, **options):
    def run(tf):
        x = np.concatenate([normal(20), np.float32([-30, -7, -1, 0, 0.5, 6, 7, 30])])
        return with_gradients(tf, lambda t: getattr(tf.nn, name)(t, *args, **options), x)

    suffix = "".join(f"_{v}" for v in [*args, *options.values()])
    CASES[f"{name}{suffix}"] = run


for _name in ("relu", "relu6", "elu", "selu", "softplus", "silu", "gelu"):
    elementwise(_name)
elementwise("leaky_relu")
elementwise("leaky_relu", alpha=0.05)
elementwise("gelu", approximate=True)
elementwise("silu", beta=1.7)


@case
def softsign(tf):
    x = tf.constant(normal(20))
    with tf.GradientTape() as tape:  # TensorFlow has no second derivative of it
        tape.watch(x)
        y = tf.nn.softsign(x)
    return [y, tape.gradient(y, x)]


@case
def crelu(tf):
    return [tf.nn.crelu(normal(2, 3)), tf.nn.crelu(normal(2, 3), axis=0)]


@case
def softmax(tf):
    return with_gradients(tf, tf.nn.softmax, 5 * normal(3, 5))


@case
def softmax_of_an_inner_axis(tf):
    return with_gradients(tf, lambda t: tf.nn.softmax(t, axis=1), normal(2, 4, 3))


@case
def log_softmax(tf):
    return with_gradients(tf, tf.nn.log_softmax, 5 * normal(3, 5))


@case
def log_softmax_of_the_first_axis(tf):
    return with_gradients(tf, lambda t: tf.nn.log_softmax(t, axis=0), normal(4, 3))


def distributions(*shape):
    p = np.abs(normal(*shape, seed=7)) + 0.1
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)


@case
def softmax_cross_entropy(tf):
    labels = distributions(4, 5)
    return with_gradients(
        tf, lambda t: tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=t), normal(4, 5)
    )


@case
def softmax_cross_entropy_by_labels(tf):
    logits, labels = normal(4, 5), tf.constant(distributions(4, 5))
    with tf.GradientTape() as tape:
        tape.watch(labels)
        loss = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    return [loss, tape.gradient(loss, labels)]


@case
def softmax_cross_entropy_of_rank_3(tf):
    return with_gradients(
        tf,
        lambda t: tf.nn.softmax_cross_entropy_with_logits(distributions(2, 3, 4), t),
        normal(2, 3, 4),
    )


@case
def softmax_cross_entropy_along_axis_1(tf):
    labels = np.moveaxis(distributions(2, 3, 4), -1, 1)
    return with_gradients(
        tf, lambda t: tf.nn.softmax_cross_entropy_with_logits(labels, t, axis=1), normal(2, 4, 3)
    )


@case
def sparse_softmax_cross_entropy(tf):
    return with_gradients(
        tf,
        lambda t: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1, 0, 4, 2], logits=t),
        10 * normal(4, 5),
    )


@case
def sparse_softmax_cross_entropy_of_rank_3(tf):
    labels = np.array([[1, 0, 3], [2, 2, 0]], np.int64)
    return with_gradients(
        tf,
        lambda t: tf.nn.sparse_softmax_cross_entropy_with_logits(labels, t),
        normal(2, 3, 4),
    )


@case
def cross_entropies_of_half_precision(tf):
    logits = normal(4, 5).astype(np.float16)
    return [
        tf.nn.softmax_cross_entropy_with_logits(distributions(4, 5).astype(np.float16), logits),
        tf.nn.sparse_softmax_cross_entropy_with_logits([1, 0, 4, 2], logits),
    ]


@case
def sigmoid_cross_entropy(tf):
    logits = np.float32([-20, -3, -0.5, 0, 0, 0.5, 3, 20, 88])
    labels = np.float32([0, 1, 0.3, 0, 1, 0.7, 0, 1, 0.5])
    return with_gradients(
        tf, lambda t: tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=t), logits
    )


@case
def weighted_cross_entropy(tf):
    labels = np.float32([0, 1, 0.3, 0.7, 1])
    return with_gradients(
        tf,
        lambda t: tf.nn.weighted_cross_entropy_with_logits(labels=labels, logits=t, pos_weight=3.0),
        normal(5),
    )


@case
def log_poisson_loss(tf):
    targets = np.float32([0.5, 1.0, 3.0, 7.0])
    return [
        *with_gradients(tf, lambda t: tf.nn.log_poisson_loss(targets, t), normal(4)),
        tf.nn.log_poisson_loss(targets, normal(4), compute_full_loss=True),
    ]


@case
def bias_add(tf):
    return with_gradients(tf, tf.nn.bias_add, normal(2, 3, 4), normal(4, seed=1))


@case
def bias_add_of_many_rows(tf):
    return with_gradients(tf, tf.nn.bias_add, normal(8, 6, 4, 3), normal(3, seed=1))


@case
def normalisations(tf):
    x = normal(4, 3, 5)
    return [
        tf.nn.l2_normalize(x, axis=-1), tf.nn.l2_normalize(x), tf.nn.l2_normalize(x, [0, 2]),
        *tf.nn.moments(x, [0, 1]), *tf.nn.moments(x, [1], keepdims=True),
        *tf.nn.moments(x.astype(np.float16), [0]),
        *tf.nn.weighted_moments(x, [0, 1], np.abs(normal(4, 3, 1, seed=3))),
        *tf.nn.sufficient_statistics(x, [0])[:3],
        *tf.nn.normalize_moments(4.0, normal(5), np.abs(normal(5, seed=1)) + 3, None),
        tf.nn.batch_normalization(x, normal(5), np.abs(normal(5)), normal(5, seed=2),
                                  normal(5, seed=3), 1e-3),
        tf.nn.batch_normalization(x, normal(5), np.abs(normal(5)), None, None, 1e-3),
        tf.nn.l2_loss(x), tf.nn.zero_fraction(steps(4, 5)),
    ]  # fmt: skip


@case
def gradients_of_normalisations(tf):
    def normalised(x, offset, scale):
        mean, variance = tf.nn.moments(x, [0])
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3)

    return [
        *with_gradients(tf, lambda t: tf.nn.l2_normalize(t, -1), normal(3, 4)),
        *with_gradients(tf, normalised, normal(6, 3), normal(3, seed=1), normal(3, seed=2)),
    ]


@case
def in_top_k(tf):
    predictions = np.float32(
        [[1.2, -0.3, 2.8, 5.2], [0.1, 0.0, 0.0, 0.0], [0.0, 0.5, 0.3, 0.3], [1, np.inf, 2, 3],
         [3, 2, 1, np.nan]]
    )  # fmt: skip
    targets = [0, 1, 3, 1, 0]
    return [tf.nn.in_top_k(targets, predictions, k) for k in (1, 2, 3)]


@case
def dropout_of_a_seed(tf):
    tf.random.set_seed(42)
    x = np.ones((3, 4), np.float32)
    return [
        tf.nn.dropout(x, 0.5), tf.nn.dropout(x, 0.25, seed=7), tf.nn.dropout(x, 0),
        tf.nn.dropout(x, 0.5), tf.nn.dropout(x, 0.5, noise_shape=[3, 1]),
        tf.nn.dropout(x, 0.5, noise_shape=[None, 1], seed=1),
        tf.nn.dropout(x, tf.constant(0.3), seed=3),
    ]  # fmt: skip


# ---- convolutions ---------------------------------------------------------------------------
def convolution_case(name, x, w, *args, **options):
    def run(tf):
        return with_gradients(
            tf, lambda a, b: getattr(tf.nn, name)(a, b, *args, **options), normal(*x),
            normal(*w, seed=1),
        )  # fmt: skip

    CASES[numbered(name)] = run


convolution_case("conv2d", (2, 6, 7, 3), (3, 3, 3, 4), 1, "VALID")
convolution_case("conv2d", (2, 6, 7, 3), (3, 2, 3, 4), 2, "SAME")
convolution_case("conv2d", (2, 7, 9, 1), (3, 3, 1, 2), [1, 2, 3, 1], "SAME")
convolution_case("conv2d", (2, 5, 5, 4), (1, 1, 4, 3), 1, "VALID")
convolution_case("conv2d", (2, 5, 5, 2), (3, 3, 2, 3), 1, [[0, 0], [2, 1], [0, 1], [0, 0]])
convolution_case("conv2d", (2, 9, 9, 1), (5, 5, 1, 6), 1, "VALID")
convolution_case("conv1d", (2, 7, 3), (3, 3, 4), 1, "SAME")
convolution_case("conv1d", (2, 8, 3), (4, 3, 2), 2, "VALID")
convolution_case("depthwise_conv2d", (2, 6, 5, 3), (3, 3, 3, 2), [1, 1, 1, 1], "SAME")
convolution_case("depthwise_conv2d", (2, 6, 6, 2), (2, 3, 2, 1), [1, 2, 2, 1], "VALID")


convolution_case("conv3d", (2, 4, 5, 6, 3), (2, 3, 2, 3, 4), [1, 1, 1, 1, 1], "VALID")
convolution_case("conv3d", (2, 5, 6, 4, 2), (3, 2, 3, 2, 3), [1, 2, 1, 2, 1], "SAME")
convolution_case("conv3d", (1, 3, 3, 3, 4), (1, 1, 1, 4, 2), [1, 1, 1, 1, 1], "SAME")


@case
def conv3d_transpose(tf):
    def run(x, w):
        return tf.nn.conv3d_transpose(x, w, [2, 4, 7, 5, 3], [1, 2, 2, 2, 1], "SAME")

    return with_gradients(tf, run, normal(2, 2, 4, 3, 2), normal(3, 2, 3, 3, 2, seed=1))


@case
def transposed_convolutions_by_rank(tf):
    return [
        tf.nn.conv_transpose(normal(2, 4, 3), normal(3, 2, 3, seed=1), [2, 8, 2], 2),
        tf.nn.conv_transpose(normal(2, 4, 4, 3), normal(3, 3, 2, 3, seed=1), [2, 9, 9, 2], 2,
                             "VALID"),
        tf.nn.conv_transpose(normal(1, 2, 3, 3, 2), normal(2, 2, 2, 3, 2, seed=1),
                             [1, 4, 6, 6, 3], [2, 2, 2]),
        tf.nn.convolution(normal(1, 4, 4, 4, 2), normal(2, 2, 2, 2, 3, seed=1), padding="SAME"),
    ]  # fmt: skip


@case
def dilated_conv2d(tf):  # TensorFlow has no gradient of it on a CPU
    x, w = normal(1, 8, 8, 2), normal(3, 3, 2, 3, seed=1)
    return [
        tf.nn.conv2d(x, w, 1, "SAME", dilations=2),
        tf.nn.conv2d(x, w, 1, "VALID", dilations=[2, 1]),
        tf.nn.atrous_conv2d(x, w, 3, "SAME"),
        tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME", dilations=[2, 2]),
        tf.nn.convolution(x, w, padding="SAME", dilations=[2, 2]),
    ]


@case
def conv2d_of_more_batch_axes(tf):
    return [tf.nn.conv2d(normal(2, 3, 5, 5, 2), normal(3, 3, 2, 4, seed=1), 1, "VALID")]


@case
def conv2d_transpose(tf):
    def run(x, w):
        return tf.nn.conv2d_transpose(x, w, [2, 7, 7, 4], strides=2, padding="SAME")

    return with_gradients(tf, run, normal(2, 4, 4, 3), normal(3, 3, 4, 3, seed=1))


@case
def conv1d_transpose(tf):
    def run(x, w):
        return tf.nn.conv1d_transpose(x, w, [2, 9, 4], strides=2, padding="VALID")

    return with_gradients(tf, run, normal(2, 4, 3), normal(3, 4, 3, seed=1))


@case
def separable_conv2d(tf):
    x, depth, point = normal(2, 5, 5, 3), normal(3, 3, 3, 2, seed=1), normal(1, 1, 6, 4, seed=2)
    return [tf.nn.separable_conv2d(x, depth, point, [1, 1, 1, 1], "SAME")]


@case
def convolutions_of_double_and_half(tf):
    x, w = normal(2, 6, 6, 2), normal(3, 3, 2, 3, seed=1)
    return [
        tf.nn.conv2d(x.astype(np.float64), w.astype(np.float64), 1, "SAME"),
        tf.nn.conv2d(x.astype(np.float16), w.astype(np.float16), 1, "SAME"),
    ]


# ---- poolings -------------------------------------------------------------------------------
def pooling_case(name, x, *args, **options):
    def run(tf):
        return with_gradients(tf, lambda t: getattr(tf.nn, name)(t, *args, **options), steps(*x))

    CASES[numbered(name)] = run


for _name in ("max_pool2d", "avg_pool2d"):
    pooling_case(_name, (2, 6, 6, 3), 2, 2, "VALID")
    pooling_case(_name, (2, 7, 6, 2), 3, 2, "SAME")
    pooling_case(_name, (1, 5, 7, 2), [3, 2], [1, 2], "SAME")
    pooling_case(_name, (2, 5, 5, 1), 3, 1, "VALID")
pooling_case("max_pool1d", (2, 7, 3), 3, 2, "SAME")
pooling_case("avg_pool1d", (2, 8, 3), 2, 2, "VALID")
pooling_case("max_pool", (2, 6, 6, 2), 2, 2, "VALID")


@case
def pool3d(tf):
    def run(name, size, strides, padding):
        @tf.function  # TensorFlow's own gradient of max_pool3d fails in eager mode
        def gradients(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = getattr(tf.nn, name)(x, size, strides, padding, "NDHWC")
                total = tf.reduce_sum(y * y)
            return [y, tape.gradient(total, x)]

        return gradients(tf.constant(steps(2, 5, 4, 6, 2)))

    out = []
    for name in ("max_pool3d", "avg_pool3d", "max_pool"):
        out += run(name, 2, 2, "VALID") + run(name, [2, 3, 2], [1, 2, 2], "SAME")
    return out


@case
def max_pool_with_explicit_padding(tf):  # TensorFlow has no second derivative of it
    x = tf.constant(steps(1, 6, 5, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.max_pool2d(x, 2, 2, [[0, 0], [1, 1], [0, 1], [0, 0]])
    return [y, tape.gradient(y, x)]


@case
def max_pool_of_integers(tf):
    return [tf.nn.max_pool2d(steps(2, 6, 6, 2).astype(np.int32), 3, 2, "SAME")]

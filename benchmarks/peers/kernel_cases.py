"""Operators and layers at the sizes of tutorials, written once for every peer that is TensorFlow.

A case is made by a function of (tf, rng): the function that is measured, its inputs, and which of
them it is differentiated by (none: no gradient is measured).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """What one case measures."""

    function: Callable[..., Any]
    inputs: Sequence[np.ndarray]
    by: Sequence[int] = ()
    variables: Sequence[Any] = ()  # differentiated by, too
    step: bool = False  # trains by itself: no gradient is measured apart


CASES: dict[str, Callable[[Any, np.random.Generator], Case]] = {}


def _f(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def _two(name: str, make: Callable[[Any], Callable[..., Any]], *shapes: tuple[int, ...]) -> None:
    """A case of an operator with arrays of these shapes, differentiated by all of them."""

    def case(tf: Any, rng: np.random.Generator) -> Case:
        return Case(make(tf), [_f(rng, *shape) for shape in shapes], range(len(shapes)))

    CASES[name] = case


def _conv(name: str, x: tuple[int, ...], w: tuple[int, ...], strides: int, padding: str) -> None:
    _two(name, lambda tf: lambda a, b: tf.nn.convolution(a, b, strides, padding), x, w)


_conv("conv1d_text", (32, 200, 64), (5, 64, 128), 1, "VALID")
_conv("conv2d_mnist", (64, 28, 28, 1), (3, 3, 1, 32), 1, "VALID")
_conv("conv2d_mnist_second", (64, 13, 13, 32), (3, 3, 32, 64), 1, "VALID")
_conv("conv2d_cifar", (64, 32, 32, 3), (3, 3, 3, 32), 1, "SAME")
_conv("conv2d_cifar_second", (64, 16, 16, 32), (3, 3, 32, 64), 1, "SAME")
_conv("conv2d_strided", (64, 32, 32, 32), (3, 3, 32, 64), 2, "SAME")
_conv("conv2d_1x1", (64, 16, 16, 64), (1, 1, 64, 128), 1, "SAME")
_conv("conv3d", (8, 16, 16, 16, 8), (3, 3, 3, 8, 16), 1, "SAME")
_two("depthwise_conv2d",
     lambda tf: lambda a, b: tf.nn.depthwise_conv2d(a, b, (1, 1, 1, 1), "SAME"),
     (32, 32, 32, 32), (3, 3, 32, 1))  # fmt: skip
_two("depthwise_strided",
     lambda tf: lambda a, b: tf.nn.depthwise_conv2d(a, b, (1, 2, 2, 1), "SAME"),
     (32, 32, 32, 32), (3, 3, 32, 1))  # fmt: skip
_two("separable_conv2d",
     lambda tf: lambda a, b, c: tf.nn.separable_conv2d(a, b, c, (1, 1, 1, 1), "SAME"),
     (32, 32, 32, 32), (3, 3, 32, 1), (1, 1, 32, 64))  # fmt: skip
_two("conv2d_transpose",
     lambda tf: lambda a, b: tf.nn.conv2d_transpose(a, b, (64, 14, 14, 64), 2, "SAME"),
     (64, 7, 7, 128), (5, 5, 64, 128))  # fmt: skip
_two("conv2d_transpose_last",
     lambda tf: lambda a, b: tf.nn.conv2d_transpose(a, b, (64, 28, 28, 1), 2, "SAME"),
     (64, 14, 14, 64), (5, 5, 1, 64))  # fmt: skip
for _name, _size, _stride, _padding in (
    ("2x2", 2, 2, "VALID"), ("3x3_step2", 3, 2, "SAME"), ("3x3_step1", 3, 1, "SAME")
):  # fmt: skip
    for _kind in ("max", "avg"):
        _two(
            f"{_kind}_pool_{_name}",
            lambda tf, k=_kind, n=_size, s=_stride, p=_padding: (
                lambda a: getattr(tf.nn, f"{k}_pool2d")(a, n, s, p)
            ),
            (64, 32, 32, 32),
        )
_two("max_pool_1d", lambda tf: lambda a: tf.nn.max_pool1d(a, 2, 2, "VALID"), (32, 200, 128))


def _layer(name: str, make: Callable[[Any], Any], *shapes: tuple[int, ...], **call: Any) -> None:
    """A case of a Keras layer, differentiated by its variables and by its first input."""

    def case(tf: Any, rng: np.random.Generator) -> Case:
        layer, inputs = make(tf), [_f(rng, *shape) for shape in shapes]
        layer(*inputs, **call)
        return Case(lambda *x: layer(*x, **call), inputs, [0], layer.trainable_variables)

    CASES[name] = case


_layer("batch_norm_image", lambda tf: tf.keras.layers.BatchNormalization(),
       (64, 16, 16, 32), training=True)  # fmt: skip
_layer("batch_norm_dense", lambda tf: tf.keras.layers.BatchNormalization(),
       (128, 256), training=True)  # fmt: skip
_layer("layer_norm", lambda tf: tf.keras.layers.LayerNormalization(), (32, 64, 128))
_layer("dense_relu", lambda tf: tf.keras.layers.Dense(256, "relu"), (128, 784))
_layer("dense_gelu", lambda tf: tf.keras.layers.Dense(512, "gelu"), (2048, 128))
_layer("dropout", lambda tf: tf.keras.layers.Dropout(0.3), (128, 4096), training=True)
_layer("attention", lambda tf: tf.keras.layers.MultiHeadAttention(4, 32),
       (32, 64, 128), (32, 64, 128))  # fmt: skip
_layer("lstm", lambda tf: tf.keras.layers.LSTM(64), (32, 80, 32))
_layer("gru", lambda tf: tf.keras.layers.GRU(64), (32, 80, 32))


def _embedding(tf: Any, rng: np.random.Generator) -> Case:
    table = tf.Variable(_f(rng, 10_000, 64))
    ids = rng.integers(0, 10_000, (64, 200)).astype(np.int32)
    return Case(lambda i: tf.nn.embedding_lookup(table, i), [ids], [], [table])


def _sparse_loss(tf: Any, rng: np.random.Generator) -> Case:
    labels = rng.integers(0, 1000, 128).astype(np.int32)

    def loss(x: Any, y: Any) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(y, x)

    return Case(loss, [_f(rng, 128, 1000), labels], [0])


def _dense_loss(tf: Any, rng: np.random.Generator) -> Case:
    labels = np.eye(1000, dtype=np.float32)[rng.integers(0, 1000, 128)]

    def loss(x: Any, y: Any) -> Any:
        return tf.nn.softmax_cross_entropy_with_logits(y, x)

    return Case(loss, [_f(rng, 128, 1000), labels], [0])


def _optimizer(name: str) -> Callable[[Any, np.random.Generator], Case]:
    def case(tf: Any, rng: np.random.Generator) -> Case:
        variables = [tf.Variable(_f(rng, 1000, 999)), tf.Variable(_f(rng, 1000))]
        optimizer = getattr(tf.keras.optimizers, name)(1e-3)
        optimizer.build(variables)

        def step(*gradients: Any) -> Any:
            optimizer.apply_gradients(zip(gradients, variables))
            return gradients[1]

        return Case(step, [_f(rng, 1000, 999), _f(rng, 1000)], step=True)

    return case


def _separable_step(tf: Any, rng: np.random.Generator) -> Case:
    conv = tf.keras.layers.SeparableConv2D(64, 3, padding="same")
    norm = tf.keras.layers.BatchNormalization()
    x = _f(rng, 32, 32, 32, 32)
    norm(conv(x))
    variables = conv.trainable_variables + norm.trainable_variables
    return Case(lambda a: tf.nn.relu(norm(conv(a), training=True)), [x], [], variables)


CASES |= {
    "separable_batch_norm": _separable_step,
    "embedding": _embedding,
    "sparse_cross_entropy": _sparse_loss,
    "cross_entropy": _dense_loss,
    "adam_step": _optimizer("Adam"),
    "rmsprop_step": _optimizer("RMSprop"),
    "sgd_step": _optimizer("SGD"),
}

for _axis in (0, -1, (0, 1, 2), (1, 2), None):
    _label = str(_axis).replace(" ", "").strip("()")
    for _kind in ("sum", "mean", "max"):
        _two(f"reduce_{_kind}_{_label}",
             lambda tf, k=_kind, a=_axis: lambda x: getattr(tf, f"reduce_{k}")(x, a),
             (32, 16, 16, 64))  # fmt: skip
_two("reduce_sum_matrix_0", lambda tf: lambda x: tf.reduce_sum(x, 0), (1024, 512))
_two("reduce_mean_matrix_-1", lambda tf: lambda x: tf.reduce_mean(x, -1), (1024, 512))
_two("transpose_heads", lambda tf: lambda x: tf.transpose(x, (0, 2, 1, 3)), (32, 64, 4, 32))
_two("transpose_image", lambda tf: lambda x: tf.transpose(x, (0, 3, 1, 2)), (64, 32, 32, 3))
_two("transpose_matrix", lambda tf: lambda x: tf.transpose(x), (1024, 512))
_two("concat_last", lambda tf: lambda x, y: tf.concat([x, y], -1),
     (32, 16, 16, 32), (32, 16, 16, 32))  # fmt: skip
_two("concat_first", lambda tf: lambda x, y: tf.concat([x, y], 0), (512, 512), (512, 512))
_two("tile", lambda tf: lambda x: tf.tile(x, (1, 8, 1)), (64, 16, 64))
_two("where", lambda tf: lambda x, y: tf.where(x > 0, x, y), (256, 1024), (256, 1024))
_two("sort", lambda tf: lambda x: tf.sort(x), (128, 1000))
_two("top_k", lambda tf: lambda x: tf.math.top_k(x, 5)[0], (128, 1000))
_two("cumsum", lambda tf: lambda x: tf.cumsum(x, 1), (128, 1000))
_two("cumsum_first", lambda tf: lambda x: tf.cumsum(x, 0), (128, 1000))
_two("resize_bilinear", lambda tf: lambda x: tf.image.resize(x, (64, 64)), (16, 32, 32, 3))
_two("resize_deep", lambda tf: lambda x: tf.image.resize(x, (32, 32)), (16, 16, 16, 32))
_two("softmax", lambda tf: lambda x: tf.nn.softmax(x), (32, 4, 64, 64))
_two("gelu", lambda tf: lambda x: tf.nn.gelu(x), (256, 1024))
_two("sigmoid", lambda tf: lambda x: tf.sigmoid(x), (256, 1024))
_two("tanh", lambda tf: lambda x: tf.tanh(x), (256, 1024))
_two("pad", lambda tf: lambda x: tf.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), (64, 32, 32, 16))
_two("bias_relu", lambda tf: lambda x, b: tf.nn.relu(tf.nn.bias_add(x, b)), (64, 32, 32, 32), (32,))
_two("matmul_batched", lambda tf: lambda x, y: tf.matmul(x, y, transpose_b=True),
     (32, 4, 64, 32), (32, 4, 64, 32))  # fmt: skip
_two("einsum_heads", lambda tf: lambda x, w: tf.einsum("btd,dhk->bthk", x, w),
     (32, 64, 128), (128, 4, 32))  # fmt: skip
_two("up_sampling", lambda tf: lambda x: tf.repeat(tf.repeat(x, 2, 1), 2, 2), (64, 8, 8, 64))


def _with_ids(
    make: Callable[[Any], Callable[..., Any]], shape: tuple[int, ...], high: int, *ids: int
) -> Callable[[Any, np.random.Generator], Case]:
    def case(tf: Any, rng: np.random.Generator) -> Case:
        chosen = np.sort(rng.integers(0, high, ids)).astype(np.int32)
        return Case(make(tf), [_f(rng, *shape), chosen], [0])

    return case


CASES |= {
    "gather": _with_ids(lambda tf: lambda x, i: tf.gather(x, i), (10_000, 64), 10_000, 2048),
    "gather_columns": _with_ids(
        lambda tf: lambda x, i: tf.gather(x, i, axis=1), (512, 1000), 1000, 100
    ),
    "gather_of_rows": _with_ids(
        lambda tf: lambda x, i: tf.gather(x, i, batch_dims=1), (128, 200, 64), 200, 128, 20
    ),
    "segment_sum": _with_ids(
        lambda tf: lambda x, i: tf.math.segment_sum(x, i), (4096, 64), 500, 4096
    ),
    "unsorted_segment_sum": _with_ids(
        lambda tf: lambda x, i: tf.math.unsorted_segment_sum(x, i, 500), (4096, 64), 500, 4096
    ),
}


def _plain(name: str, make: Callable[[Any], Callable[..., Any]], *shape: int) -> None:
    """A case of floats without a gradient."""

    def case(tf: Any, rng: np.random.Generator) -> Case:
        return Case(make(tf), [_f(rng, *shape)])

    CASES[name] = case


_plain("argmax", lambda tf: lambda x: tf.argmax(x, -1), 128, 1000)
_plain("argmax_classes", lambda tf: lambda x: tf.argmax(x, -1), 4096, 10)
_plain("argsort", lambda tf: lambda x: tf.argsort(x), 128, 1000)
_plain("one_hot", lambda tf: lambda x: tf.one_hot(tf.cast(x * 100, tf.int32), 1000), 256)
_plain("random_uniform", lambda tf: lambda x: tf.random.uniform((512, 1024)), 1)
_plain("random_normal", lambda tf: lambda x: tf.random.normal((512, 1024)), 1)
_plain("cast", lambda tf: lambda x: tf.cast(x, tf.int32), 512, 1024)
_plain("accuracy", lambda tf: lambda x: tf.math.in_top_k(tf.argmax(x, -1), x, 5), 512, 100)

for _name in ("elu", "selu", "leaky_relu", "softplus", "relu6", "silu", "log_softmax"):
    _two(_name, lambda tf, n=_name: lambda x: getattr(tf.nn, n)(x), (256, 1024))
for _name in ("exp", "sqrt", "square", "abs", "sin", "round"):
    _two(_name, lambda tf, n=_name: lambda x: getattr(tf, n)(x), (256, 1024))
_two("log", lambda tf: lambda x: tf.math.log(tf.abs(x) + 1.0), (256, 1024))
_two("pow", lambda tf: lambda x: tf.pow(tf.abs(x), 1.7), (256, 1024))
_two("clip", lambda tf: lambda x: tf.clip_by_value(x, -1.0, 1.0), (256, 1024))
_two("l2_normalize", lambda tf: lambda x: tf.nn.l2_normalize(x, -1), (4096, 64))
_two("logsumexp", lambda tf: lambda x: tf.reduce_logsumexp(x, -1), (4096, 64))
_two("reduce_prod", lambda tf: lambda x: tf.reduce_prod(x, -1), (4096, 64))
_two("reduce_std", lambda tf: lambda x: tf.math.reduce_std(x, -1), (4096, 64))
_two("norm", lambda tf: lambda x: tf.norm(x, axis=-1), (4096, 64))
_two("cumprod", lambda tf: lambda x: tf.math.cumprod(x, 1), (128, 1000))
_two("reverse", lambda tf: lambda x: tf.reverse(x, [2]), (64, 32, 32, 3))
_two("roll", lambda tf: lambda x: tf.roll(x, 5, 1), (64, 32, 32, 3))
_two("split", lambda tf: lambda x: tf.concat(tf.split(x, 4, -1)[::-1], 0), (256, 1024))
_two("stack", lambda tf: lambda x, y: tf.stack([x, y, x], 1), (256, 1024), (256, 1024))
_two("slice", lambda tf: lambda x: x[:, 1:-1, ::2, :2], (64, 32, 32, 3))
_two("matmul", lambda tf: lambda x, y: tf.matmul(x, y), (256, 512), (512, 512))
_two("matvec", lambda tf: lambda x, y: tf.linalg.matvec(x, y), (512, 512), (512,))
_two("grouped_conv", lambda tf: lambda a, b: tf.nn.conv2d(a, b, 1, "SAME"),
     (32, 16, 16, 64), (3, 3, 16, 64))  # fmt: skip
_two("dilated_conv", lambda tf: lambda a, b: tf.nn.conv2d(a, b, 1, "SAME", dilations=2),
     (32, 16, 16, 32), (3, 3, 32, 32))  # fmt: skip
_two("global_pooling", lambda tf: lambda x: tf.reduce_mean(x, (1, 2)), (64, 8, 8, 512))
_two("binary_cross_entropy",
     lambda tf: lambda x: tf.nn.sigmoid_cross_entropy_with_logits(tf.zeros_like(x), x),
     (256, 1024))  # fmt: skip
_two("boolean_mask", lambda tf: lambda x: tf.reduce_sum(tf.boolean_mask(x, x > 0)), (256, 1024))
_two("global_norm", lambda tf: lambda x, y: tf.clip_by_global_norm([x, y], 1.0)[0][0],
     (1000, 999), (1000,))  # fmt: skip
_two("flip", lambda tf: lambda x: tf.image.flip_left_right(x), (64, 32, 32, 3))
_plain("contrast", lambda tf: lambda x: tf.image.adjust_contrast(x, 1.5), 64, 32, 32, 3)
_plain("hue", lambda tf: lambda x: tf.image.adjust_hue(tf.abs(x), 0.1), 64, 32, 32, 3)
_plain("saturation", lambda tf: lambda x: tf.image.adjust_saturation(tf.abs(x), 1.5), 64, 32, 32, 3)
_plain("to_gray", lambda tf: lambda x: tf.image.rgb_to_grayscale(x), 64, 32, 32, 3)
_plain(
    "resize_nearest", lambda tf: lambda x: tf.image.resize(x, (64, 64), "nearest"), 16, 32, 32, 3
)
_plain("resize_down", lambda tf: lambda x: tf.image.resize(x, (64, 64)), 4, 224, 224, 3)
_plain("resize_cubic", lambda tf: lambda x: tf.image.resize(x, (64, 64), "bicubic"), 16, 32, 32, 3)
_plain("shuffle", lambda tf: lambda x: tf.random.shuffle(x), 4096, 32)
_plain("categorical", lambda tf: lambda x: tf.random.categorical(x, 10), 64, 1000)
_plain("truncated_normal", lambda tf: lambda x: tf.random.truncated_normal((512, 512)), 1)
_plain("bincount", lambda tf: lambda x: tf.math.bincount(tf.cast(tf.abs(x) * 100, tf.int32)), 65536)
_plain("unique", lambda tf: lambda x: tf.unique(tf.cast(x * 100, tf.int32))[0], 65536)
_plain("histogram", lambda tf: lambda x: tf.histogram_fixed_width(x, [-3.0, 3.0], 100), 65536)
_plain("confusion", lambda tf: lambda x: tf.math.confusion_matrix(
    tf.cast(tf.abs(x), tf.int32), tf.cast(tf.abs(x), tf.int32), 10), 65536)  # fmt: skip
_plain("fft", lambda tf: lambda x: tf.signal.rfft(x), 128, 1024)
_plain("stft", lambda tf: lambda x: tf.signal.stft(x, 255, 128), 16, 16000)
_plain("greater", lambda tf: lambda x: tf.reduce_any(x > 3.0, -1), 256, 1024)
_plain("equal_mean", lambda tf: lambda x: tf.reduce_mean(
    tf.cast(tf.equal(tf.argmax(x, 1), 3), tf.float32)), 4096, 10)  # fmt: skip
_plain("scatter_nd", lambda tf: lambda x: tf.scatter_nd(
    tf.cast(tf.abs(x[:, :1]) * 300, tf.int32), x, [4000, 64]), 4096, 64)  # fmt: skip
_plain("scatter_update", lambda tf: lambda x: tf.tensor_scatter_nd_update(
    x, tf.range(0, 4096, 3)[:, None], x[: (4096 + 2) // 3]), 4096, 64)  # fmt: skip
_plain("cholesky", lambda tf: lambda x: tf.linalg.cholesky(
    tf.matmul(x, x, transpose_b=True) + 100.0 * tf.eye(128)), 128, 128)  # fmt: skip
_plain("inverse", lambda tf: lambda x: tf.linalg.inv(x), 32, 64, 64)
_plain("svd", lambda tf: lambda x: tf.linalg.svd(x)[0], 128, 64)
_plain("meshgrid", lambda tf: lambda x: tf.meshgrid(x, x)[0], 512)
_plain("range_cast", lambda tf: lambda x: tf.cast(tf.range(262144), tf.float32) * x, 1)
_plain(
    "sequence_mask",
    lambda tf: lambda x: tf.sequence_mask(tf.cast(tf.abs(x) * 50, tf.int32), 200),
    256,
)

_layer("group_norm", lambda tf: tf.keras.layers.GroupNormalization(8), (32, 16, 16, 32))
_layer("conv_lstm", lambda tf: tf.keras.layers.ConvLSTM2D(8, 3, padding="same"), (4, 8, 16, 16, 4))
_layer("up_sampling_bilinear", lambda tf: tf.keras.layers.UpSampling2D(interpolation="bilinear"),
       (16, 16, 16, 32))  # fmt: skip
_layer("global_max_pool", lambda tf: tf.keras.layers.GlobalMaxPool2D(), (64, 8, 8, 256))
_layer("spatial_dropout", lambda tf: tf.keras.layers.SpatialDropout2D(0.3),
       (64, 16, 16, 32), training=True)  # fmt: skip
_layer("gaussian_noise", lambda tf: tf.keras.layers.GaussianNoise(0.3), (128, 1024), training=True)
_layer("prelu", lambda tf: tf.keras.layers.PReLU(shared_axes=[1, 2]), (64, 16, 16, 32))
_layer("simple_rnn", lambda tf: tf.keras.layers.SimpleRNN(64), (32, 80, 32))
_layer("bidirectional", lambda tf: tf.keras.layers.Bidirectional(tf.keras.layers.LSTM(32)),
       (32, 80, 32))  # fmt: skip
_two("pad_reflect", lambda tf: lambda x: tf.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)), "REFLECT"),
     (64, 32, 32, 3))  # fmt: skip
_two("crop", lambda tf: lambda x: tf.image.central_crop(x, 0.5), (64, 32, 32, 3))
_two("response_norm", lambda tf: lambda x: tf.nn.local_response_normalization(x),
     (16, 16, 16, 32))  # fmt: skip
_two("attention_scores", lambda tf: lambda q, k: tf.einsum("bqhd,bkhd->bhqk", q, k),
     (16, 64, 4, 32), (16, 64, 4, 32))  # fmt: skip
_two("space_to_depth", lambda tf: lambda x: tf.nn.space_to_depth(x, 2), (16, 32, 32, 16))
_two("depth_to_space", lambda tf: lambda x: tf.nn.depth_to_space(x, 2), (16, 16, 16, 64))
_two("reduce_max_relu", lambda tf: lambda x: tf.reduce_max(tf.nn.relu(x), 1), (32, 100, 128))
_two("cosine", lambda tf: lambda x, y: tf.keras.losses.cosine_similarity(x, y),
     (1024, 128), (1024, 128))  # fmt: skip
_two("huber", lambda tf: lambda x, y: tf.keras.losses.huber(x, y), (1024, 128), (1024, 128))
_two("distances", lambda tf: lambda x, y: tf.reduce_sum((x[:, None] - y[None]) ** 2, -1),
     (256, 64), (100, 64))  # fmt: skip
_plain("accuracy_metric", lambda tf: lambda x: tf.keras.metrics.sparse_categorical_accuracy(
    tf.range(512) % 10, x), 512, 10)  # fmt: skip
_plain("standardize", lambda tf: lambda x: tf.image.per_image_standardization(x), 64, 32, 32, 3)
_plain("bytes_to_floats", lambda tf: lambda x: tf.cast(
    tf.cast(tf.abs(x) * 50, tf.uint8), tf.float32) / 255.0, 64, 32, 32, 3)  # fmt: skip
_plain("random_crop", lambda tf: lambda x: tf.image.random_crop(x, (64, 24, 24, 3)), 64, 32, 32, 3)
_plain("crop_and_resize", lambda tf: lambda x: tf.image.crop_and_resize(
    x, tf.constant([[0.1, 0.1, 0.8, 0.9]] * 16), tf.range(16), (24, 24)),
    16, 32, 32, 3)  # fmt: skip
_plain("suppression", lambda tf: lambda x: tf.image.non_max_suppression(
    tf.concat([x[:, :2], x[:, :2] + tf.abs(x[:, 2:])], 1), tf.abs(x[:, 0]), 50),
    500, 4)  # fmt: skip
_plain("mel", lambda tf: lambda x: tf.matmul(
    tf.abs(tf.signal.stft(x, 400, 160)), tf.signal.linear_to_mel_weight_matrix(
        40, 257, 16000)), 4, 16000)  # fmt: skip

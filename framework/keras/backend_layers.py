"""The functions of `tf.keras.backend` that do what layers do: convolutions, pools, padding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from shardtape import dtypes as dt
from shardtape import sparse
from shardtape.keras import floatx as _floatx
from shardtape.keras.image_layout import layout_of
from shardtape.keras.image_sampling import resize
from shardtape.keras.layers.merging import products
from shardtape.ops import array, convolutions, ctc, math, poolings
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.ctc_beams import ctc_beam_search_decoder_op
from shardtape.ops.linalg import matmul
from shardtape.ops.normalization import batch_normalization as _normalized
from shardtape.ops.normalization import moments
from shardtape.ops.padding import pad


def _moved(x: Any, data_format: str | None) -> tuple[Any, Callable[[Any], Any]]:
    """(x with its channels last, what puts those of a result where the layout has them)."""
    x = convert_to_tensor(x)
    if _layout(data_format) == "channels_last":
        return x, lambda made: made
    last = x.shape.rank - 1
    moved = array.transpose(x, [0, *range(2, last + 1), 1])
    return moved, lambda made: array.transpose(made, [0, last, *range(1, last)])


def _layout(data_format: str | None) -> str:
    if data_format not in (None, "channels_first", "channels_last"):
        raise ValueError(f"Unknown data_format: {data_format}")
    return layout_of(data_format)


def _tuple(value: Any, count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """x plus a bias of its last axis, or of all axes but the batch."""
    bias = convert_to_tensor(bias)
    x, back = _moved(x, data_format)
    if bias.shape.rank not in (1, x.shape.rank - 1):
        raise ValueError(
            f"Unexpected bias dimensions {bias.shape.rank}. Expected it to be 1 or "
            f"{x.shape.rank - 1} dimensions"
        )
    return back(x + bias)


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta; None leaves a factor away."""
    return _normalized(x, mean, var, beta, gamma, epsilon)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Any, epsilon: float = 1e-3
) -> Any:
    """(x normalised by its own mean and variance over axes, the mean, the variance)."""
    x = convert_to_tensor(x)
    axes = [a % x.shape.rank for a in reduction_axes]
    mean, var = moments(x, axes)
    kept_mean, kept_var = mean, var
    if axes == [0, 1, 2] and x.shape.rank == 4 and None not in tuple(x.shape):
        # of images Keras gives back the variance of a sample
        count = math.cast(array.size(x), x.dtype) / x.shape[-1]
        kept_var = var * count / (count - 1.0)
    if sorted(axes) != list(range(x.shape.rank - 1)):
        sizes = array.shape(x)
        target = array.stack([1 if i in axes else sizes[i] for i in range(x.shape.rank)])

        def spread(t: Any) -> Any:
            return None if t is None else array.reshape(t, target)

        mean, var, gamma, beta = spread(mean), spread(var), spread(gamma), spread(beta)
    return _normalized(x, mean, var, beta, gamma, epsilon), kept_mean, kept_var


def _causal(x: Any, kernel: Any, padding: str, dilation: int) -> tuple[Any, str]:
    if padding != "causal":
        return x, padding.upper()
    return temporal_padding(x, (dilation * (kernel.shape[0] - 1), 0)), "VALID"


def conv1d(
    x: Any, kernel: Any, strides: int = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: int = 1,
) -> Any:  # fmt: skip
    """A convolution along one axis; "causal" padding looks back only."""
    x, back = _moved(x, data_format)
    x, padding = _causal(x, kernel, padding, dilation_rate)
    return back(convolutions.conv1d(x, kernel, strides, padding, dilations=dilation_rate))


def conv2d(
    x: Any, kernel: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """A convolution of images."""
    x, back = _moved(x, data_format)
    return back(
        convolutions.conv2d(
            x, kernel, _tuple(strides, 2), padding.upper(), dilations=_tuple(dilation_rate, 2)
        )
    )


def conv2d_transpose(
    x: Any, kernel: Any, output_shape: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """The transposed convolution of images, to a shape."""
    x_first = _layout(data_format) == "channels_first"
    x, back = _moved(x, data_format)
    if x_first:
        output_shape = [output_shape[i] for i in (0, 2, 3, 1)]
    return back(convolutions.conv2d_transpose(
        x, kernel, output_shape, _tuple(strides, 2), padding.upper(),
        dilations=_tuple(dilation_rate, 2),
    ))  # fmt: skip


def conv3d(
    x: Any, kernel: Any, strides: Any = (1, 1, 1), padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = (1, 1, 1),
) -> Any:  # fmt: skip
    """A convolution of volumes."""
    x, back = _moved(x, data_format)
    return back(convolutions.conv3d(
        x, kernel, [1, *_tuple(strides, 3), 1], padding.upper(),
        dilations=[1, *_tuple(dilation_rate, 3), 1],
    ))  # fmt: skip


def depthwise_conv2d(
    x: Any, depthwise_kernel: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """A convolution of each channel of images by itself."""
    x, back = _moved(x, data_format)
    return back(convolutions.depthwise_conv2d(
        x, depthwise_kernel, [1, *_tuple(strides, 2), 1], padding.upper(),
        dilations=_tuple(dilation_rate, 2),
    ))  # fmt: skip


def separable_conv2d(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Any = (1, 1),
    padding: str = "valid", data_format: str | None = None, dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """A convolution of each channel, then one across channels."""
    x, back = _moved(x, data_format)
    return back(convolutions.separable_conv2d(
        x, depthwise_kernel, pointwise_kernel, [1, *_tuple(strides, 2), 1], padding.upper(),
        dilations=_tuple(dilation_rate, 2),
    ))  # fmt: skip


def local_conv1d(
    inputs: Any, kernel: Any, kernel_size: Any, strides: Any, data_format: str | None = None
) -> Any:
    """A convolution whose kernel (places, window * channels, filters) differs at each place."""
    return _local(inputs, kernel, kernel_size, strides, None, data_format)


def local_conv2d(
    inputs: Any, kernel: Any, kernel_size: Any, strides: Any, output_shape: Any,
    data_format: str | None = None,
) -> Any:  # fmt: skip
    """As `local_conv1d`, of images, to (height, width)."""
    return _local(inputs, kernel, kernel_size, strides, output_shape, data_format)


def _local(
    x: Any, kernel: Any, sizes: Any, strides: Any, output_shape: Any, data_format: str | None
) -> Any:
    x, back = _moved(x, data_format)
    kernel = convert_to_tensor(kernel)
    places = list(output_shape) if output_shape is not None else [kernel.shape[0]]
    windows = []
    for at in product(*(range(n) for n in places)):
        cut = tuple(slice(i * s, i * s + n) for i, s, n in zip(at, strides, sizes))
        windows.append(array.reshape(x[(slice(None), *cut)], [-1, kernel.shape[1]]))
    made = matmul(array.stack(windows), kernel)  # (places, batch, filters)
    made = array.transpose(made, [1, 0, 2])
    return back(array.reshape(made, [-1, *places, kernel.shape[2]]))


def _pool(x: Any, size: Any, strides: Any, padding: str, mode: str, count: int) -> Any:
    kinds = {
        ("max", 2): poolings.max_pool2d, ("avg", 2): poolings.avg_pool2d,
        ("max", 3): poolings.max_pool3d, ("avg", 3): poolings.avg_pool3d,
    }  # fmt: skip
    found = kinds.get((mode, count))
    if found is None:
        raise ValueError(f"Invalid pooling mode: {mode}")
    return found(x, _tuple(size, count), _tuple(strides, count), padding.upper())


def pool2d(
    x: Any, pool_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str | None = None, pool_mode: str = "max",
) -> Any:  # fmt: skip
    """Maxima or means ("max", "avg") of windows of images."""
    x, back = _moved(x, data_format)
    return back(_pool(x, pool_size, strides, padding, pool_mode, 2))


def pool3d(
    x: Any, pool_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
    data_format: str | None = None, pool_mode: str = "max",
) -> Any:  # fmt: skip
    """Maxima or means of windows of volumes."""
    x, back = _moved(x, data_format)
    return back(_pool(x, pool_size, strides, padding, pool_mode, 3))


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Zeros before and after the middle axis of three."""
    return pad(x, [[0, 0], list(padding), [0, 0]])


def spatial_2d_padding(
    x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None
) -> Any:
    """Zeros around images."""
    x, back = _moved(x, data_format)
    return back(pad(x, [[0, 0], *[list(p) for p in padding], [0, 0]]))


def spatial_3d_padding(
    x: Any, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None
) -> Any:
    """Zeros around volumes."""
    return spatial_2d_padding(x, padding, data_format)


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str,
    interpolation: str = "nearest",
) -> Any:  # fmt: skip
    """Images enlarged by whole factors."""
    x, back = _moved(x, data_format)
    if interpolation == "nearest":
        return back(array.repeat(array.repeat(x, height_factor, 1), width_factor, 2))
    sizes = array.shape(x)
    made = resize(x, sizes[1] * height_factor, sizes[2] * width_factor, interpolation)
    return back(made)


def resize_volumes(
    x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str
) -> Any:
    """Volumes enlarged by whole factors."""
    x, back = _moved(x, data_format)
    for axis, factor in enumerate((depth_factor, height_factor, width_factor), 1):
        x = array.repeat(x, factor, axis)
    return back(x)


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """The product of two batches along an axis of each, example by example.

    Args:
      axes: the axis of each (or one for both); default the last of x and the last but one of y.
    """
    x, y = convert_to_tensor(x), convert_to_tensor(y)
    first, second = x.shape.rank, y.shape.rank
    if axes is None:
        axes = (first - 1, second - 1 if second == 2 else second - 2)
    elif isinstance(axes, int):
        axes = (axes, axes)
    batches = x.shape[0], y.shape[0]
    if None not in batches and batches[0] != batches[1]:
        raise ValueError(
            "Cannot do batch_dot on inputs with different batch sizes. Received inputs with shapes "
            f"{x.shape} and {y.shape}."
        )
    a, b = axes[0] % first, axes[1] % second
    if not a or not b:
        raise ValueError("Cannot perform batch_dot over axis 0. Use tf.tensordot instead.")
    return products(x, y, a, b)


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The CTC loss of each example, a column; the last class is the blank.

    Args:
      y_true: (batch, labels) class numbers; y_pred: (batch, steps, classes) probabilities.
      input_length, label_length: (batch, 1) numbers of steps and of labels.
    """
    logits = math.log(convert_to_tensor(y_pred) + _floatx.epsilon())
    labels, steps = (cast(array.reshape(n, [-1]), dt.int32) for n in (label_length, input_length))
    loss = ctc.ctc_loss(
        cast(y_true, dt.int32), logits, labels, steps, logits_time_major=False, blank_index=-1
    )
    return array.expand_dims(loss, 1)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> Any:
    """([class numbers, -1 behind the last], scores) of sequences; the last class is the blank.

    Args:
      y_pred: (batch, steps, classes) probabilities; input_length: (batch,) steps of each.
      greedy: take the likeliest class of each step, else search with `beam_width` beams for the
        `top_paths` likeliest spellings.

    The scores are minus the logarithms of the best path's probability, or the logarithms of those
    of the spellings.
    """
    y_pred = convert_to_tensor(y_pred)
    logits = math.log(array.transpose(y_pred, [1, 0, 2]) + _floatx.epsilon())
    lengths = cast(input_length, dt.int32)
    batch, steps = array.shape(y_pred)[0], array.shape(y_pred)[1]
    if greedy:
        decoded, scores = ctc.ctc_greedy_decoder(logits, lengths)
    else:
        got = ctc_beam_search_decoder_op(
            logits, lengths, beam_width=int(beam_width), top_paths=int(top_paths),
            merge_repeated=True,
        )  # fmt: skip
        n = int(top_paths)
        decoded = [sparse.SparseTensor(got[i], got[n + i], got[2 * n + i]) for i in range(n)]
        scores = got[-1]
    size = array.stack([cast(batch, dt.int64), cast(steps, dt.int64)])
    return [
        sparse.to_dense(sparse.SparseTensor(d.indices, d.values, size), -1) for d in decoded
    ], scores


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """A SparseTensor of the labels that count in each row of a matrix."""
    labels = convert_to_tensor(labels)
    counts = cast(array.reshape(label_lengths, [-1, 1]), dt.int32)
    inside = array.range(array.shape(labels)[1]) < counts
    indices = array.where(inside)
    return sparse.SparseTensor(
        indices, array.gather_nd(labels, indices), cast(array.shape(labels), dt.int64)
    )

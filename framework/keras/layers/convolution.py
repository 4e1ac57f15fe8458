"""Convolutions over one to three axes, transposed and depthwise."""

from __future__ import annotations

from typing import Any

from shardtape import nn
from shardtape.keras import activations, constraints, initializers, regularizers
from shardtape.keras.image_layout import layout_of
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.core import weight_config
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.ops.array import reshape, shape
from shardtape.ops.padding import pad
from shardtape.ops.windows import output_size
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


def per_axis(value: Any, rank: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """An int or a sequence of `rank` ints as a tuple. Raises ValueError naming the argument."""
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    least = 0 if allow_zero else 1
    if len(values) != rank or any(not isinstance(v, int) or v < least for v in values):
        raise ValueError(
            f"The `{name}` argument must be a tuple of {rank} integers >= {least}. "
            f"Received: {value}"
        )
    return values


def channel_layout(data_format: str | None, rank: int) -> tuple[str, str]:
    """(Keras's name, `tf.nn`'s name) of a layout. Raises ValueError for another one."""
    name = layout_of(data_format)
    letters = "DHW"[3 - rank :]
    return name, f"N{letters}C" if name == "channels_last" else f"NC{letters}"


class Conv(Layer):
    """What convolutions over `rank` axes share: arguments, weights, output shapes."""

    def __init__(
        self,
        rank: int,
        filters: int | None,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=activity_regularizer, **kwargs
        )
        self.rank = rank
        self.filters = None if filters is None else int(filters)
        if self.filters is not None and self.filters <= 0:
            raise ValueError(
                "Invalid value for argument `filters`. Expected a strictly positive value. "
                f"Received filters={filters}."
            )
        self.groups = groups or 1
        if self.filters is not None and self.filters % self.groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. "
                f"Received: groups={groups}, filters={filters}."
            )
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size")
        self.strides = per_axis(strides, rank, "strides")
        self.dilation_rate = per_axis(dilation_rate, rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Received: "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self.padding = padding.lower()
        allowed = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
        if self.padding not in allowed:
            raise ValueError(
                f"The `padding` argument must be one of {allowed}. Received: {padding}"
            )
        self.data_format, self._layout = channel_layout(data_format, rank)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=rank + 2)

    @property
    def _channel_axis(self) -> int:
        return -1 - self.rank if self.data_format == "channels_first" else -1

    def _channels(self, input_shape: Any) -> int:
        channels = TensorShape(input_shape)[self._channel_axis]
        if channels is None:
            raise ValueError(
                "The channel dimension of the inputs should be defined. The input_shape received "
                f"is {input_shape}, where axis {self._channel_axis} (0-based) is the channel "
                "dimension, which found to be `None`."
            )
        return channels

    def _kernel_shape(self, channels: int) -> tuple[int | None, ...]:
        return (*self.kernel_size, channels // self.groups, self.filters)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number of groups. "
                f"Received groups={self.groups}, but the input has {channels} channels (full "
                f"input shape is {input_shape})."
            )
        if isinstance(self, (Conv1D, Conv2D, Conv3D)):
            self._check_output(TensorShape(input_shape))
        self.kernel = self.add_weight(
            "kernel", self._kernel_shape(channels), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self._build_bias(self.filters)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self._channel_axis: channels})
        self.built = True

    def _check_output(self, full: TensorShape) -> None:
        """Raises ValueError for an input so small that its output would have a negative size."""
        first = self.data_format == "channels_first"
        sizes = full.as_list()[-self.rank :] if first else full.as_list()[-1 - self.rank : -1]
        for n, k, d in zip(sizes, self.kernel_size, self.dilation_rate):
            if self.padding == "valid" and n is not None and n < d * (k - 1):
                raise ValueError(
                    f"One of the dimensions in the output is <= 0 due to downsampling in "
                    f"{self.name}. Consider increasing the input size. Received input shape "
                    f"{full.as_list()} which would produce output shape with a zero or negative "
                    "value in a dimension."
                )

    def _build_bias(self, size: int | None) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", (size,), initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip

    def _finished(self, outputs: Tensor) -> Tensor:
        """Bias and activation."""
        if self.use_bias:
            first = self.data_format == "channels_first"
            if first and outputs.shape.rank not in (None, self.rank + 2):
                outputs = outputs + reshape(self.bias, [-1, *[1] * self.rank])
            else:
                outputs = nn.bias_add(outputs, self.bias, "NCHW" if first else "NHWC")
        if self.activation not in (None, activations.linear):
            outputs = self.activation(outputs)
        return outputs

    def call(self, inputs: Any) -> Tensor:
        if self.padding == "causal":
            inputs = pad(inputs, self._causal_padding(inputs.shape.rank))
        return self._finished(self.convolution_op(inputs, self.kernel))

    def convolution_op(self, inputs: Any, kernel: Any) -> Tensor:
        """The convolution itself, without bias and activation; subclasses may change the kernel."""
        padding = "VALID" if self.padding == "causal" else self.padding.upper()
        convolve = {1: nn.conv1d, 2: nn.conv2d, 3: nn.conv3d}[self.rank]
        return convolve(inputs, kernel, self.strides, padding, self._layout, self.dilation_rate)

    def _causal_padding(self, rank: int) -> list[list[int]]:
        left = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        outer = [[0, 0]] * (rank - 2)
        if self.data_format == "channels_last":
            return [*outer, [left, 0], [0, 0]]
        return [*outer, [0, 0], [left, 0]]

    def _output_sizes(self, sizes: list[int | None]) -> list[int | None]:
        padding = "VALID" if self.padding == "valid" else "SAME"
        steps = zip(sizes, self.kernel_size, self.strides, self.dilation_rate)
        return [output_size(n, k, s, d, padding) for n, k, s, d in steps]

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        if self.data_format == "channels_last":
            outer, sizes = dims[: -1 - self.rank], dims[-1 - self.rank : -1]
            return TensorShape([*outer, *self._output_sizes(sizes), self._features(dims)])
        outer, sizes = dims[: -1 - self.rank], dims[-self.rank :]
        return TensorShape([*outer, self._features(dims), *self._output_sizes(sizes)])

    def _features(self, dims: list[int | None]) -> int | None:
        return self.filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **weight_config(self, "kernel", "bias", activity=True),
        }


class Conv1D(Conv):
    """Convolution over one axis: (batch, steps, channels) to (batch, new steps, filters)."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = "channels_last", dilation_rate: Any = 1, groups: int = 1,
        activation: Any = None, use_bias: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(1, filters, kernel_size, strides, padding, data_format, dilation_rate,
                         groups, activation, use_bias, **kwargs)  # fmt: skip


class Conv2D(Conv):
    """Convolution over two axes: (batch, rows, columns, channels) to (..., filters).

    Args:
      filters: number of features of the outputs.
      kernel_size, strides, dilation_rate: an int or two.
      padding: "valid" or "same".
      data_format: "channels_last" or "channels_first"; default `image_data_format()`.
      groups: parts into which channels are split.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), groups: int = 1,
        activation: Any = None, use_bias: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(2, filters, kernel_size, strides, padding, data_format, dilation_rate,
                         groups, activation, use_bias, **kwargs)  # fmt: skip


class Conv3D(Conv):
    """Convolution over three axes: (batch, depth, rows, columns, channels) to (..., filters)."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1, 1), groups: int = 1,
        activation: Any = None, use_bias: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(3, filters, kernel_size, strides, padding, data_format, dilation_rate,
                         groups, activation, use_bias, **kwargs)  # fmt: skip


def without_groups(kwargs: dict[str, Any], kind: str) -> None:
    """Takes out the `groups` that Keras's configurations name. Raises ValueError for several."""
    if (groups := kwargs.pop("groups", 1)) != 1:
        raise ValueError(f"{kind} does not split channels into groups, got groups={groups}")


class _Transposed(Conv):
    """What transposes of convolutions over `rank` axes have beside the convolutions' own."""

    def __init__(
        self, rank: int, filters: int, kernel_size: Any, strides: Any, padding: str,
        output_padding: Any, data_format: str | None, dilation_rate: Any, activation: Any,
        use_bias: bool, **kwargs: Any,
    ) -> None:  # fmt: skip
        without_groups(kwargs, type(self).__name__)
        Conv.__init__(self, rank, filters, kernel_size, strides, padding, data_format,
                      dilation_rate, 1, activation, use_bias, **kwargs)  # fmt: skip
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = per_axis(output_padding, rank, "output_padding", allow_zero=True)
            if any(p >= s for p, s in zip(self.output_padding, self.strides)):
                raise ValueError(
                    f"Strides must be greater than output padding. Received strides={strides}, "
                    f"output_padding={output_padding}."
                )
        self.input_spec = InputSpec(ndim=rank + 2)

    def _kernel_shape(self, channels: int) -> tuple[int | None, ...]:
        return (*self.kernel_size, self.filters, channels)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        axes: dict[int, int | None] = {self._channel_axis: self._channels(input_shape)}
        self.input_spec = InputSpec(ndim=self.rank + 2, axes=axes)

    def _output_sizes(self, sizes: list[int | None]) -> list[int | None]:
        return [self._length(n, axis) for axis, n in enumerate(sizes)]

    def _length(self, size: Any, axis: int) -> Any:
        """Output size along an axis, of an int or a scalar tensor."""
        if size is None:
            return None
        stride = self.strides[axis]
        reach = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        if self.output_padding is None:
            return size * stride if self.padding == "same" else size * stride + max(
                reach - stride, 0)  # fmt: skip
        around = reach // 2 if self.padding == "same" else 0
        return (size - 1) * stride + reach - 2 * around + self.output_padding[axis]

    def call(self, inputs: Any) -> Tensor:
        dims = inputs.shape.as_list()
        if None in dims:
            dynamic = shape(inputs)
            dims = [dynamic[i] if d is None else d for i, d in enumerate(dims)]
        first = self.data_format == "channels_first"
        sizes = [self._length(n, i) for i, n in enumerate(dims[2:] if first else dims[1:-1])]
        full = [dims[0], self.filters, *sizes] if first else [dims[0], *sizes, self.filters]
        transpose = nn.conv2d_transpose if self.rank == 2 else nn.conv3d_transpose
        outputs = transpose(
            inputs, self.kernel, full, self.strides, self.padding.upper(), self._layout,
            self.dilation_rate,
        )  # fmt: skip
        outputs = self._finished(outputs)
        if hasattr(outputs, "set_shape"):
            outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.rank == 3 and max(self.dilation_rate) == 1:  # Keras's are never dilated
            del config["dilation_rate"]
        return {**config, "output_padding": self.output_padding}


class Conv2DTranspose(_Transposed, Conv2D):
    """The transpose of `Conv2D`: enlarges rows and columns by the strides.

    Args:
      output_padding: None, or the rows and columns that are added at the end of the outputs.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        output_padding: Any = None, data_format: str | None = None,
        dilation_rate: Any = (1, 1), activation: Any = None, use_bias: bool = True,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(2, filters, kernel_size, strides, padding, output_padding, data_format,
                         dilation_rate, activation, use_bias, **kwargs)  # fmt: skip


class Conv3DTranspose(_Transposed, Conv3D):
    """The transpose of `Conv3D`: enlarges depth, rows and columns by the strides.

    Args:
      output_padding: None, or what is added at the end of the three axes of the outputs.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
        output_padding: Any = None, data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1), activation: Any = None, use_bias: bool = True,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(3, filters, kernel_size, strides, padding, output_padding, data_format,
                         dilation_rate, activation, use_bias, **kwargs)  # fmt: skip


class DepthwiseConv2D(Conv):
    """Convolution of each channel with `depth_multiplier` filters of its own."""

    def __init__(
        self, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        depth_multiplier: int = 1, data_format: str | None = None,
        dilation_rate: Any = (1, 1), activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, depthwise_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        without_groups(kwargs, type(self).__name__)
        super().__init__(
            2, None, kernel_size, strides, padding, data_format, dilation_rate, 1, activation,
            use_bias, bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"Inputs to `DepthwiseConv` should have rank {self.rank + 2}. Received "
                f"input_shape={tuple(input_shape)}."
            )
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer, regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )  # fmt: skip
        self._build_bias(channels * self.depth_multiplier)
        self.input_spec = InputSpec(min_ndim=4, axes={self._channel_axis: channels})
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        steps = (1, *self.strides, 1) if self._layout == "NHWC" else (1, 1, *self.strides)
        return self._finished(
            nn.depthwise_conv2d(
                inputs, self.depthwise_kernel, steps, self.padding.upper(), self._layout,
                self.dilation_rate,
            )
        )  # fmt: skip

    def _features(self, dims: list[int | None]) -> int | None:
        channels = dims[self._channel_axis]
        return None if channels is None else channels * self.depth_multiplier

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        gone = ("filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
        return {
            **{k: v for k, v in config.items() if k not in gone},
            "depth_multiplier": self.depth_multiplier,
            **weight_config(self, "depthwise"),
        }


Convolution1D, Convolution2D, Convolution2DTranspose = Conv1D, Conv2D, Conv2DTranspose
Convolution3D, Convolution3DTranspose = Conv3D, Conv3DTranspose

"""Convolutions in two steps (over positions, then over channels), and those of lines."""

from __future__ import annotations

from typing import Any

from shardtape import nn
from shardtape.keras import constraints, initializers, regularizers
from shardtape.keras.layers.convolution import Conv, Conv1D, per_axis, without_groups
from shardtape.keras.layers.core import weight_config
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.ops.array import expand_dims, shape, squeeze
from shardtape.ops.padding import pad
from shardtape.tensor import Tensor


class SeparableConv(Conv):
    """A convolution of each channel with filters of its own, then one over the channels.

    Args:
      depth_multiplier: filters per channel in the first step.
    """

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        without_groups(kwargs, type(self).__name__)
        super().__init__(
            rank, filters, kernel_size, strides, padding, data_format, dilation_rate, 1,
            activation, use_bias, bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer, activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer, regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel",
            (*[1] * self.rank, channels * self.depth_multiplier, self.filters),
            initializer=self.pointwise_initializer, regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )  # fmt: skip
        self._build_bias(self.filters)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self._channel_axis: channels})
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        padding, layout = self.padding.upper(), self._layout
        if self.padding == "causal":
            inputs, padding = pad(inputs, self._causal_padding(3)), "VALID"
        depthwise, pointwise = self.depthwise_kernel, self.pointwise_kernel
        strides, dilations = self.strides, self.dilation_rate
        first = self.data_format == "channels_first"
        if self.rank == 1:
            inputs = expand_dims(inputs, 2 if first else 1)
            depthwise, pointwise = expand_dims(depthwise, 0), expand_dims(pointwise, 0)
            strides, dilations = strides * 2, (1, *dilations)
            layout = "NCHW" if first else "NHWC"
        steps = (1, 1, *strides) if first else (1, *strides, 1)
        outputs = nn.separable_conv2d(
            inputs, depthwise, pointwise, steps, padding, layout, dilations
        )
        if self.rank == 1:
            outputs = squeeze(outputs, [2 if first else 1])
        return self._finished(outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            **weight_config(self, "depthwise", "pointwise"),
        }


class SeparableConv1D(SeparableConv):
    """`SeparableConv` over one axis: (batch, steps, channels) to (batch, new steps, filters)."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(1, filters, kernel_size, strides, padding, data_format, dilation_rate,
                         **kwargs)  # fmt: skip


class SeparableConv2D(SeparableConv):
    """`SeparableConv` over two axes: (batch, rows, columns, channels) to (..., filters)."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(2, filters, kernel_size, strides, padding, data_format, dilation_rate,
                         **kwargs)  # fmt: skip


class Conv1DTranspose(Conv1D):
    """The transpose of `Conv1D`: makes the steps more by the stride.

    Args:
      output_padding: None, or steps that are added at the end of the outputs.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        output_padding: Any = None, data_format: str | None = None, dilation_rate: Any = 1,
        activation: Any = None, use_bias: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        without_groups(kwargs, type(self).__name__)
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate,
                         1, activation, use_bias, **kwargs)  # fmt: skip
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = per_axis(output_padding, 1, "output_padding", allow_zero=True)
            if self.output_padding[0] >= self.strides[0]:
                raise ValueError(
                    "Strides must be greater than output padding. Received strides="
                    f"{self.strides}, output_padding={self.output_padding}."
                )
        self.input_spec = InputSpec(ndim=3)

    def _kernel_shape(self, channels: int) -> tuple[int | None, ...]:
        return (*self.kernel_size, self.filters, channels)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(ndim=3, axes={self._channel_axis: self._channels(input_shape)})

    def _length(self, size: Any) -> Any:
        if size is None:
            return None
        stride, reach = self.strides[0], (self.kernel_size[0] - 1) * self.dilation_rate[0] + 1
        if self.output_padding is None:
            more = 0 if self.padding == "same" else max(reach - stride, 0)
            return size * stride + more
        around = reach // 2 if self.padding == "same" else 0
        return (size - 1) * stride + reach - 2 * around + self.output_padding[0]

    def _output_sizes(self, sizes: list[int | None]) -> list[int | None]:
        return [self._length(sizes[0])]

    def call(self, inputs: Any) -> Tensor:
        first = self.data_format == "channels_first"
        axis = 2 if first else 1
        dims, dynamic = inputs.shape.as_list(), shape(inputs)
        batch, steps = (dynamic[i] if dims[i] is None else dims[i] for i in (0, axis))
        steps = self._length(steps)
        full = [batch, self.filters, steps] if first else [batch, steps, self.filters]
        outputs = nn.conv1d_transpose(
            inputs, self.kernel, full, self.strides, self.padding.upper(), self._layout,
            self.dilation_rate,
        )  # fmt: skip
        outputs = self._finished(outputs)
        if hasattr(outputs, "set_shape"):
            outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_padding": self.output_padding}


class DepthwiseConv1D(Conv):
    """Convolution over one axis of each channel with `depth_multiplier` filters of its own."""

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        depth_multiplier: int = 1, data_format: str | None = None, dilation_rate: Any = 1,
        activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", depthwise_regularizer: Any = None,
        depthwise_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        without_groups(kwargs, type(self).__name__)
        super().__init__(1, None, kernel_size, strides, padding, data_format, dilation_rate, 1,
                         activation, use_bias, **kwargs)  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer, regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )  # fmt: skip
        self._build_bias(channels * self.depth_multiplier)
        self.input_spec = InputSpec(min_ndim=3, axes={self._channel_axis: channels})
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        first = self.data_format == "channels_first"
        axis, padding = (2 if first else 1), self.padding.upper()
        if self.padding == "causal":
            inputs, padding = pad(inputs, self._causal_padding(3)), "VALID"
        steps = (1, 1, *self.strides * 2) if first else (1, *self.strides * 2, 1)
        outputs = nn.depthwise_conv2d(
            expand_dims(inputs, axis), expand_dims(self.depthwise_kernel, 0), steps, padding,
            "NCHW" if first else "NHWC", (1, *self.dilation_rate),
        )  # fmt: skip
        return self._finished(squeeze(outputs, [axis]))

    def _features(self, dims: list[int | None]) -> int | None:
        channels = dims[self._channel_axis]
        return None if channels is None else channels * self.depth_multiplier

    def get_config(self) -> dict[str, Any]:
        gone = ("filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
        return {
            **{k: v for k, v in super().get_config().items() if k not in gone},
            "depth_multiplier": self.depth_multiplier,
            **weight_config(self, "depthwise"),
        }


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
Convolution1DTranspose = Conv1DTranspose

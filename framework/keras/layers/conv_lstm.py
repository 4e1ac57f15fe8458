"""LSTMs whose products are convolutions: ConvLSTM1D, ConvLSTM2D, ConvLSTM3D."""

from __future__ import annotations

from typing import Any

from shardtape import nn
from shardtape.keras import activations
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.convolution import channel_layout, per_axis
from shardtape.keras.layers.core import weight_config
from shardtape.keras.layers.gate_layers import GateLayer, of_cell
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.layers.recurrent import RNN
from shardtape.keras.layers.recurrent_cells import GateCell, LSTMCell
from shardtape.ops.array import concat, shape, split, zeros, zeros_like
from shardtape.ops.windows import output_size
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_CONVOLUTIONS = {1: nn.conv1d, 2: nn.conv2d, 3: nn.conv3d}


class ConvLSTMCell(LSTMCell):
    """An LSTM's step over (batch, rows, ..., channels); states are (batch, new rows, .., filters).

    Inputs are convolved with `strides`, `padding` and `dilation_rate`, states with padding "same".
    """

    _rank = 2

    def __init__(
        self, filters: int, activation: Any = "tanh", kernel_size: Any = None, strides: Any = 1,
        padding: str = "valid", data_format: str | None = None, dilation_rate: Any = 1,
        recurrent_activation: Any = "hard_sigmoid", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(filters, activation, recurrent_activation, **kwargs)
        rank = self._rank
        self.filters = filters
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size")
        self.strides = per_axis(strides, rank, "strides")
        self.padding = padding.lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(
                f'The `padding` argument must be one of "valid", "same". Received: {padding}'
            )
        self.data_format, self._layout = channel_layout(data_format, rank)
        self.dilation_rate = per_axis(dilation_rate, rank, "dilation_rate")

    @property
    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else -1

    def output_sizes(self, step_shape: Any) -> list[int | None]:
        """Sizes of a state without the batch, for a shape of the inputs of a step."""
        dims = TensorShape(step_shape).as_list()
        first = self.data_format == "channels_first"
        steps = zip(
            dims[2:] if first else dims[1:-1], self.kernel_size, self.strides, self.dilation_rate
        )
        sizes = [output_size(n, k, s, d, self.padding.upper()) for n, k, s, d in steps]
        return [self.filters, *sizes] if first else [*sizes, self.filters]

    def build(self, input_shape: Any) -> None:
        channels = TensorShape(input_shape)[self._channel_axis]
        if channels is None:
            raise ValueError(
                "The channel dimension of the inputs should be defined. The input_shape received "
                f"is {input_shape}"
            )
        width = 4 * self.filters
        self.kernel = self.add_weight(
            "kernel", (*self.kernel_size, channels, width), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.recurrent_kernel = self.add_weight(
            "recurrent_kernel", (*self.kernel_size, self.filters, width),
            initializer=self.recurrent_initializer, regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", (width,), initializer=self._bias_start(),
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.state_size = [TensorShape(self.output_sizes(input_shape))] * 2
        self.output_size = self.state_size[0]
        self.built = True

    def call(self, inputs: Any, states: Any, training: Any = None) -> tuple[Any, Any]:
        # not GateCell's own, which RNN replaces by one projection of the whole sequence
        return super().call(inputs, states, training)

    def project(self, inputs: Any) -> Tensor:
        y = self._convolved(inputs, self.kernel, "inputs", self.strides, self.padding.upper(),
                            self.dilation_rate)  # fmt: skip
        layout = "NHWC" if self._channel_axis == -1 else "NCHW"
        return y if self.bias is None else nn.bias_add(y, self.bias, layout)

    def _recur(self, h: Any) -> Tensor:
        return self._convolved(h, self.recurrent_kernel, "recurrent", 1, "SAME", 1)

    def _convolved(
        self, x: Any, kernel: Any, what: str, strides: Any, padding: str, dilations: Any
    ) -> Tensor:
        def one(x: Any, kernel: Any) -> Tensor:
            return _CONVOLUTIONS[self._rank](x, kernel, strides, padding, self._layout, dilations)

        masks = self._mask(what)
        if not masks:
            return one(x, kernel)
        if len(masks) == 1:
            return one(x * masks[0], kernel)
        parts = split(kernel, 4, axis=-1)
        return concat([one(x * m, k) for m, k in zip(masks, parts)], self._channel_axis)

    def advance(self, projected: Any, states: list[Any]) -> tuple[Tensor, list[Any]]:
        h, memory = states
        gate = self.recurrent_activation
        i, f, candidate, o = split(projected + self._recur(h), 4, axis=self._channel_axis)
        memory = gate(f) * memory + gate(i) * self.activation(candidate)
        h = gate(o) * self.activation(memory)
        return h, [h, memory]

    def get_config(self) -> dict[str, Any]:
        own = GateCell.get_config(self)
        of_layer = Layer.get_config(self)
        gates = {k: v for k, v in own.items() if k not in of_layer and k != "units"}
        drawn = ("dropout", "recurrent_dropout", "seed")
        last: dict[str, Any] = {k: gates.pop(k) for k in drawn if k in gates}
        weights = weight_config(self, "kernel", "recurrent", "bias")
        for name in (*weights, "activation", "use_bias"):
            gates.pop(name, None)
        initializers = {k: weights.pop(k) for k in list(weights) if k.endswith("_initializer")}
        return {
            **of_layer,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            **initializers,
            "unit_forget_bias": self.unit_forget_bias,
            **weights,
            **gates,
            **last,
        }


class _ConvLSTMCell1D(ConvLSTMCell):
    _rank = 1


class _ConvLSTMCell3D(ConvLSTMCell):
    _rank = 3


class ConvLSTM2D(GateLayer):
    """A convolutional LSTM over images: (batch, steps, rows, columns, channels).

    Args:
      filters: channels of outputs and states.
      kernel_size, strides, padding, dilation_rate: of the convolution of the inputs.
      data_format: "channels_last" or "channels_first"; default `image_data_format()`.

    The others are those of `LSTM`; `recurrent_activation` is "hard_sigmoid" here.
    """

    _cell, _cell_name = ConvLSTMCell, "conv_lstm_cell"

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, activation, kernel_size=kernel_size, strides=strides, padding=padding,
            data_format=data_format, dilation_rate=dilation_rate,
            recurrent_activation=recurrent_activation, **kwargs,
        )  # fmt: skip
        self.input_spec = [InputSpec(ndim=self._rank + 3)]

    @property
    def _rank(self) -> int:
        return self.cell._rank

    def build(self, input_shape: Any) -> None:
        full = TensorShape(input_shape)
        if not self.cell.built:  # in no scope of its own, so that weights are the layer's
            self.cell.build(self._step_shape(full))
            self.cell.built = True
        super().build(full)

    def get_initial_state(self, inputs: Any) -> list[Any]:
        """Zeros; rows and columns that are not known follow from the inputs."""
        step = inputs[0] if self.time_major else inputs[:, 0]
        sizes = self.cell.output_sizes(step.shape)
        if None in sizes:
            gates = split(self.cell.project(step), 4, axis=self.cell._channel_axis)
            return [zeros_like(gates[0])] * 2
        return [zeros([shape(step)[0], *sizes], step.dtype)] * 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        full = TensorShape(input_shape)
        self.cell.state_size = [TensorShape(self.cell.output_sizes(self._step_shape(full)))] * 2
        self.cell.output_size = self.cell.state_size[0]
        return RNN.compute_output_shape(self, full)

    filters = of_cell("filters")
    kernel_size = of_cell("kernel_size")
    strides = of_cell("strides")
    padding = of_cell("padding")
    data_format = of_cell("data_format")
    dilation_rate = of_cell("dilation_rate")
    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")


class ConvLSTM1D(ConvLSTM2D):
    """A convolutional LSTM over lines: (batch, steps, positions, channels); see `ConvLSTM2D`."""

    _cell = _ConvLSTMCell1D


class ConvLSTM3D(ConvLSTM2D):
    """A convolutional LSTM over volumes: (batch, steps, depth, rows, columns, channels)."""

    _cell = _ConvLSTMCell3D

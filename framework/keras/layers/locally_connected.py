"""Convolutions with weights of their own at every position: LocallyConnected1D and 2D."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from shardtape.keras import activations, constraints, initializers, regularizers
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.convolution import channel_layout, per_axis
from shardtape.keras.layers.core import weight_config
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.ops.array import reshape, shape, stack, transpose
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.windows import output_size
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _LocallyConnected(Layer):
    """Windows over `_rank` axes, each with a kernel and a bias of its own.

    Args:
      filters: features of the outputs.
      implementation: 1 keeps a kernel per window (padding "valid" only); 2 keeps one matrix from
        all inputs to all outputs, whose entries outside of the windows count for nothing.

    Raises:
      ValueError: padding "same" with implementation 1, or unknown sizes of the inputs.
      NotImplementedError: implementation 3 (a sparse matrix).
    """

    _rank = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = filters
        self.kernel_size = per_axis(kernel_size, self._rank, "kernel_size")
        self.strides = per_axis(strides, self._rank, "strides")
        self.padding, self.implementation = padding.lower(), implementation
        if self.padding not in ("valid", "same"):
            raise ValueError(
                f'The `padding` argument must be one of "valid", "same". Received: {padding}'
            )
        if implementation not in (1, 2):
            raise NotImplementedError(
                f"{type(self).__name__} has the implementations 1 and 2, got {implementation}: "
                "use 2, which computes the same"
            )
        if implementation == 1 and self.padding != "valid":
            raise ValueError(
                f"Invalid border mode for {type(self).__name__} (only \"valid\" is supported if "
                f"implementation is 1): {padding}"
            )  # fmt: skip
        self.data_format, _ = channel_layout(data_format, self._rank)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    @property
    def _is_first(self) -> bool:
        return self.data_format == "channels_first"

    def _output_sizes(self, sizes: list[int | None]) -> list[int | None]:
        steps = zip(sizes, self.kernel_size, self.strides)
        return [output_size(n, k, s, 1, self.padding.upper()) for n, k, s in steps]

    def _of(self, sizes: Any, channels: Any) -> tuple[Any, ...]:
        """Sizes with the channels where the layout has them."""
        return (channels, *sizes) if self._is_first else (*sizes, channels)

    def build(self, input_shape: Any) -> None:
        dims = TensorShape(input_shape).as_list()
        channels = dims[1] if self._is_first else dims[-1]
        sizes = dims[2:] if self._is_first else dims[1:-1]
        if channels is None or None in sizes:
            raise ValueError(
                "The spatial dimensions and the channels of the inputs to a "
                f"{type(self).__name__} layer should be fully-defined, but layer received an "
                f"inputs shape {input_shape}"
            )
        outputs: Any = self._output_sizes(sizes)
        self._sizes, self._outputs, self._channels = sizes, outputs, channels
        if self.implementation == 1:
            window = math.prod(self.kernel_size) * channels
            kernel: tuple[int, ...] = (math.prod(outputs), window, self.filters)
        else:
            kernel = (*self._of(sizes, channels), *self._of(outputs, self.filters))
            self._inside = self._window_mask()
        self.kernel = self.add_weight(
            "kernel", kernel, initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", (*outputs, self.filters), initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(
            ndim=self._rank + 2, axes={1 if self._is_first else -1: channels}
        )
        self.built = True

    def _window_mask(self) -> np.ndarray:
        """1 where an input lies in the window of an output, in the kernel's shape but the channels
        (which are 1)."""
        # Keras centres windows of padding "same" at the multiples of the strides
        before = [k // 2 if self.padding == "same" else 0 for k in self.kernel_size]
        mask = np.zeros((*self._sizes, *self._outputs), self._weight_dtype.numpy_dtype)
        for output in np.ndindex(*self._outputs):
            for member in np.ndindex(*self.kernel_size):
                places = zip(output, self.strides, member, before)
                at = [o * stride + m - pad for o, stride, m, pad in places]
                if all(0 <= p < size for p, size in zip(at, self._sizes)):
                    mask[(*at, *output)] = 1
        front, back = self._of(self._sizes, 1), self._of(self._outputs, 1)
        return mask.reshape(*front, *back)

    def call(self, inputs: Any) -> Tensor:
        outputs = self._by_window(inputs) if self.implementation == 1 else self._by_matrix(inputs)
        if self.bias is not None:
            # in Keras the bias has its filters last in both layouts, and is read in order
            bias = convert_to_tensor(self.bias)
            if self._is_first:
                bias = reshape(bias, self._of(self._outputs, self.filters))
            outputs = outputs + bias
        return (
            outputs if self.activation in (None, activations.linear) else self.activation(outputs)
        )

    def _by_window(self, inputs: Any) -> Tensor:
        first = self._is_first
        parts = []
        for member in itertools.product(*[range(k) for k in self.kernel_size]):
            steps = zip(member, self._outputs, self.strides)
            places = [slice(m, m + (n - 1) * s + 1, s) for m, n, s in steps]
            at = (slice(None), slice(None), *places) if first else (slice(None), *places)
            parts.append(inputs[at])
        # Keras has the channels before the members of a window where the layout has them first
        whole = stack(parts, 2 if first else self._rank + 1)
        batch = shape(inputs)[0]
        count, width = math.prod(self._outputs), math.prod(self.kernel_size) * self._channels
        if first:
            rows = transpose(reshape(whole, [batch, width, count]), [2, 0, 1])
        else:
            rows = transpose(reshape(whole, [batch, count, width]), [1, 0, 2])
        made = matmul(rows, self.kernel)  # [positions, batch, filters]
        made = transpose(made, [1, 2, 0] if first else [1, 0, 2])
        return reshape(made, [batch, *self._of(self._outputs, self.filters)])

    def _by_matrix(self, inputs: Any) -> Tensor:
        kernel = convert_to_tensor(self.kernel)
        kernel = kernel * convert_to_tensor(self._inside.astype(kernel.dtype.numpy_dtype))
        batch = shape(inputs)[0]
        width = math.prod(self._sizes) * self._channels
        made = matmul(reshape(inputs, [batch, width]), reshape(kernel, [width, -1]))
        return reshape(made, [batch, *self._of(self._outputs, self.filters)])

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        sizes = self._output_sizes(dims[2:] if self._is_first else dims[1:-1])
        return TensorShape([dims[0], *self._of(sizes, self.filters)])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **weight_config(self, "kernel", "bias", activity=True),
            "implementation": self.implementation,
        }


class LocallyConnected1D(_LocallyConnected):
    """(batch, steps, channels) to (batch, new steps, filters), unshared; see the base's Args."""

    _rank = 1


class LocallyConnected2D(_LocallyConnected):
    """(batch, rows, columns, channels) to (batch, new rows, new columns, filters), unshared."""

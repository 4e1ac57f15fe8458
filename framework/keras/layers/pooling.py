"""Pooling over one to three axes, and over all positions."""

from __future__ import annotations

from typing import Any

from shardtape import nn
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.convolution import channel_layout, per_axis
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.ops.array import expand_dims
from shardtape.ops.cast import cast
from shardtape.ops.reduce import reduce_max, reduce_mean, reduce_sum
from shardtape.ops.windows import output_size
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _Pooling(Layer):
    """Windows over `_rank` axes, with `_function` of `tf.nn`."""

    _rank = 2
    _function = "max_pool2d"

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = per_axis(pool_size, self._rank, "pool_size")
        self.strides = per_axis(pool_size if strides is None else strides, self._rank, "strides")
        self.padding = padding.lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(
                f'The `padding` argument must be one of "valid", "same". Received: {padding}'
            )
        self.data_format, self._layout = channel_layout(data_format, self._rank)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def call(self, inputs: Any) -> Tensor:
        pool = getattr(nn, self._function)
        return pool(inputs, self.pool_size, self.strides, self.padding.upper(), self._layout)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        first = self.data_format == "channels_first"
        sizes = dims[2:] if first else dims[1:-1]
        windows = zip(sizes, self.pool_size, self.strides)
        out = [output_size(n, k, s, 1, self.padding.upper()) for n, k, s in windows]
        return TensorShape([dims[0], dims[1], *out] if first else [dims[0], *out, dims[-1]])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling2D(_Pooling):
    """The largest of each window of rows and columns."""

    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid",
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class AveragePooling2D(_Pooling):
    """The mean of each window of rows and columns."""

    _function = "avg_pool2d"

    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid",
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class MaxPooling1D(_Pooling):
    """The largest of each window of steps."""

    _rank, _function = 1, "max_pool1d"

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
        data_format: str | None = "channels_last", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        order = ("strides", "pool_size", "padding", "data_format")
        own = {name: config.pop(name) for name in order}
        return {**config, **own}


class AveragePooling1D(MaxPooling1D):
    """The mean of each window of steps."""

    _function = "avg_pool1d"


class MaxPooling3D(_Pooling):
    """The largest of each window of three axes."""

    _rank, _function = 3, "max_pool3d"

    def __init__(
        self, pool_size: Any = (2, 2, 2), strides: Any = None, padding: str = "valid",
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class AveragePooling3D(MaxPooling3D):
    """The mean of each window of three axes."""

    _function = "avg_pool3d"


class _GlobalPooling(Layer):
    """One value per channel."""

    _rank = 2
    _reduce = staticmethod(reduce_mean)

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format, _ = channel_layout(data_format, self._rank)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self._rank + 2)

    @property
    def _axes(self) -> list[int]:
        first = 2 if self.data_format == "channels_first" else 1
        return list(range(first, first + self._rank))

    def call(self, inputs: Any) -> Tensor:
        return self._reduce(inputs, self._axes, keepdims=self.keepdims)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims, gone = TensorShape(input_shape).as_list(), self._axes
        if self.keepdims:
            return TensorShape([1 if i in gone else d for i, d in enumerate(dims)])
        return TensorShape([d for i, d in enumerate(dims) if i not in gone])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "keepdims": self.keepdims,
        }


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over rows and columns."""


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest over rows and columns."""

    _reduce = staticmethod(reduce_max)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over the steps; a mask leaves steps out."""

    _rank = 1

    def __init__(
        self, data_format: str | None = "channels_last", keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        if mask is None:
            return super().call(inputs)
        axis = self._axes[0]
        weights = expand_dims(cast(mask, inputs.dtype), 2 if axis == 1 else 1)
        total = reduce_sum(inputs * weights, axis, keepdims=self.keepdims)
        return total / reduce_sum(weights, axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


class GlobalMaxPooling1D(_GlobalPooling):
    """The largest over the steps."""

    _rank = 1
    _reduce = staticmethod(reduce_max)

    def __init__(
        self, data_format: str | None = "channels_last", keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format, keepdims, **kwargs)


class GlobalAveragePooling3D(_GlobalPooling):
    """The mean over three axes."""

    _rank = 3


class GlobalMaxPooling3D(_GlobalPooling):
    """The largest over three axes."""

    _rank = 3
    _reduce = staticmethod(reduce_max)


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool3D, GlobalMaxPool3D = GlobalAveragePooling3D, GlobalMaxPooling3D

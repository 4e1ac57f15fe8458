"""Layers that add, cut or repeat positions: ZeroPadding, Cropping, UpSampling."""

from __future__ import annotations

from typing import Any

from shardtape.keras.image_sampling import RESIZE_METHODS, resize
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.convolution import channel_layout
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.ops.array import repeat, shape, transpose
from shardtape.ops.padding import pad
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


def pairs(value: Any, rank: int, name: str) -> tuple[tuple[int, int], ...]:
    """(before, after) of each axis, from an int, one int per axis, or the pairs.

    Raises ValueError naming the argument.
    """
    if isinstance(value, int):
        return ((value, value),) * rank
    given = tuple(value)
    if rank == 1 and len(given) == 2 and all(isinstance(v, int) for v in given):
        return (given,)  # type: ignore[return-value]
    made = tuple((v, v) if isinstance(v, int) else tuple(v) for v in given)
    if len(made) != rank or any(len(p) != 2 or min(p) < 0 for p in made):
        raise ValueError(
            f"`{name}` should be an int, {rank} ints or {rank} pairs of ints >= 0. Found: {value}"
        )
    return made  # type: ignore[return-value]


class _Borders(Layer):
    """Base: works on `_rank` axes after the batch (and channels, if these come first)."""

    _rank = 2

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = channel_layout(data_format, self._rank)[0]
        self.input_spec = InputSpec(ndim=self._rank + 2)

    @property
    def _first(self) -> int:
        return 2 if self.data_format == "channels_first" else 1

    def _size(self, size: int, axis: int) -> int:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        for i in range(self._rank):
            at = self._first + i
            dims[at] = None if dims[at] is None else self._size(dims[at], i)
        return TensorShape(dims)

    def _layout_config(self) -> dict[str, Any]:
        return {} if self._rank == 1 else {"data_format": self.data_format}


class ZeroPadding2D(_Borders):
    """Zeros around rows and columns.

    Args:
      padding: an int, one for rows and one for columns, or pairs (before, after).
    """

    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.padding = pairs(padding, self._rank, "padding")

    def call(self, inputs: Any) -> Tensor:
        widths = [[0, 0] for _ in range(self._rank + 2)]
        for i, pair in enumerate(self.padding):
            widths[self._first + i] = list(pair)
        return pad(inputs, widths)

    def _size(self, size: int, axis: int) -> int:
        return size + sum(self.padding[axis])

    def get_config(self) -> dict[str, Any]:
        padding = self.padding if self._rank > 1 else self.padding[0]
        return {**super().get_config(), "padding": padding, **self._layout_config()}


class ZeroPadding1D(ZeroPadding2D):
    """Zeros before and after the steps."""

    _rank = 1

    def __init__(self, padding: Any = 1, **kwargs: Any) -> None:
        super().__init__(padding, **kwargs)


class ZeroPadding3D(ZeroPadding2D):
    """Zeros around three axes."""

    _rank = 3

    def __init__(
        self, padding: Any = (1, 1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(padding, data_format, **kwargs)


class Cropping2D(_Borders):
    """Cuts rows and columns off.

    Args:
      cropping: an int, one for rows and one for columns, or pairs (before, after).
    """

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.cropping = pairs(cropping, self._rank, "cropping")

    def call(self, inputs: Any) -> Tensor:
        sizes = inputs.shape.as_list()[self._first : self._first + self._rank]
        for size, pair in zip(sizes, self.cropping):
            if size is not None and sum(pair) >= size:
                raise ValueError(
                    "Values in `cropping` argument should be smaller than the corresponding "
                    f"spatial dimension of the input. Received: inputs.shape={inputs.shape}, and "
                    f"cropping={self.cropping}"
                )
        parts = [slice(a, -b if b else None) for a, b in self.cropping]
        return inputs[(*[slice(None)] * self._first, *parts)]

    def _size(self, size: int, axis: int) -> int:
        return size - sum(self.cropping[axis])

    def get_config(self) -> dict[str, Any]:
        cropping = self.cropping if self._rank > 1 else self.cropping[0]
        return {**super().get_config(), "cropping": cropping, **self._layout_config()}


class Cropping1D(Cropping2D):
    """Cuts steps off."""

    _rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)


class Cropping3D(Cropping2D):
    """Cuts positions of three axes off."""

    _rank = 3

    def __init__(
        self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(cropping, data_format, **kwargs)


class UpSampling2D(_Borders):
    """Enlarges rows and columns.

    Args:
      size: factors, an int or one per axis.
      interpolation: "nearest" repeats positions, "bilinear" goes from one to the next; or
        another method of `tf.image.resize`. All but "nearest" give float32, as in Keras.
    """

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.size = (size,) * self._rank if isinstance(size, int) else tuple(size)
        if len(self.size) != self._rank:
            raise ValueError(f"`size` should be an int or {self._rank} of them. Received: {size}")
        if interpolation not in RESIZE_METHODS:
            raise NotImplementedError(
                f"UpSampling interpolates {RESIZE_METHODS}. Received: {interpolation}"
            )
        self.interpolation = interpolation

    def call(self, inputs: Any) -> Tensor:
        if self.interpolation != "nearest":
            return self._resized(inputs)
        for i, factor in enumerate(self.size):
            inputs = repeat(inputs, factor, axis=self._first + i)
        return inputs

    def _resized(self, inputs: Any) -> Tensor:
        first = self.data_format == "channels_first"
        if first:
            inputs = transpose(inputs, [0, 2, 3, 1])
        sizes, dynamic = inputs.shape.as_list(), shape(inputs)
        high, wide = (
            (dynamic[i] if sizes[i] is None else sizes[i]) * f for i, f in zip((1, 2), self.size)
        )
        made = resize(inputs, high, wide, self.interpolation)
        made = transpose(made, [0, 3, 1, 2]) if first else made
        if hasattr(made, "set_shape"):
            made.set_shape(self.compute_output_shape(inputs.shape) if not first else made.shape)
        return made

    def _size(self, size: int, axis: int) -> int:
        return size * self.size[axis]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size if self._rank > 1 else self.size[0],
            **self._layout_config(),
            **({"interpolation": self.interpolation} if self._rank == 2 else {}),
        }


class UpSampling1D(UpSampling2D):
    """Repeats steps."""

    _rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, **kwargs)


class UpSampling3D(UpSampling2D):
    """Repeats positions of three axes."""

    _rank = 3

    def __init__(
        self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(size, data_format, **kwargs)

"""Base of layers that learn from data before training (`adapt`); Normalization and Rescaling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras.floatx import epsilon
from shardtape.keras.layers.axes import known_axes, known_sizes
from shardtape.keras.layers.base import Layer
from shardtape.ops.array import reshape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import maximum, sqrt
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable


class PreprocessingLayer(Layer):
    """Base: `adapt` shows the layer data, batch by batch.

    Subclasses define `update_state(self, data)`, `finalize_state(self)` and `reset_state(self)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._is_adapted = False

    @property
    def is_adapted(self) -> bool:
        return self._is_adapted

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learns from arrays (cut into batches of 32) or an iterable of batches.

        Args:
          steps: only so many batches.
        """
        if self._is_adapted:
            self.reset_state()
        i = -1
        for i, batch in enumerate(_batches(data, batch_size or 32, steps)):
            if steps is not None and i >= steps:
                break
            if not self.built:
                spec = getattr(getattr(data, "element_spec", None), "shape", None)
                self._check_kept(batch, spec is None or not spec.rank or spec[0] is None)
                self._build_for(batch)
                self._note_shape(batch)
            self.update_state(batch)
        if i < 0:
            raise ValueError("Expected input data to be non-empty.")
        self.finalize_state()
        self._is_adapted = True

    def compile(
        self, run_eagerly: bool | None = None, steps_per_execution: int | None = None
    ) -> None:
        """Accepted: batches are taken one by one, eagerly."""

    def make_adapt_function(self) -> Any:
        """A function that takes in the next batch of an iterator."""
        return lambda iterator: self.update_state(next(iterator))

    def _check_kept(self, batch: Any, batched: bool) -> None:
        """Raises ValueError where the layer cannot learn from batches of such a shape."""

    def _note_shape(self, batch: Any) -> None:
        """A Sequential model that begins with the layer takes what has as many axes."""
        if self._batch_input_shape is None:
            self._batch_input_shape = (None,) * len(batch.shape)

    def update_state(self, data: Any) -> None:
        """Takes one batch."""
        raise NotImplementedError

    def finalize_state(self) -> None:
        """Makes of all batches what `call` uses."""

    def reset_state(self) -> None:
        """Forgets what was learned."""
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], (list, tuple, str, bytes)) and not any(
            isinstance(t, (Tensor, Variable)) for t in args[0]
        ):  # fmt: skip
            args = (convert_to_tensor(args[0]), *args[1:])
        return super().__call__(*args, **kwargs)


def _batches(data: Any, size: int, steps: int | None) -> Iterator[Any]:
    if isinstance(data, (list, tuple)):
        data = np.asarray(convert_to_tensor(data))
    if not isinstance(data, (np.ndarray, Tensor)) and hasattr(data, "__array__"):
        data = np.asarray(data)  # a table
    if isinstance(data, (np.ndarray, Tensor)):
        for first in range(0, data.shape[0], size):
            yield convert_to_tensor(data[first : first + size])
        return
    if hasattr(data, "element_spec") and (steps is None or steps == int(data.cardinality())):
        iter(data)  # as in `fit`: Keras takes a dataset's first order and does not use it
    yield from data


class Normalization(PreprocessingLayer):
    """(inputs - mean) / deviation, where both were learned by `adapt`, or given.

    Args:
      axis: axes whose positions have statistics of their own; None: one mean for all values.
      mean, variance: given instead of learned.
      invert: inputs * deviation + mean.
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. Got mean: "
                f"{mean} and variance: {variance}"
            )
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        self._shape: list[int] | None = None  # of the statistics, for broadcasting

    def build(self, input_shape: Any) -> None:
        full = TensorShape(input_shape)
        kept = sorted(known_axes(list(self.axis), full))
        sizes = known_sizes(kept, full)
        self._reduced = tuple(i for i in range(len(full)) if i not in kept)
        self._shape = [full[i] if i in kept else 1 for i in range(len(full))]
        if self.input_mean is None:
            self.adapt_mean = self.add_weight("mean", sizes, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(
                "variance", sizes, initializer="ones", trainable=False
            )
            self.count = self.add_weight("count", (), dt.int64, "zeros", trainable=False)
        self._sizes = sizes
        self.built = True

    def _statistic(self, learned: str, given: Any) -> Any:
        if self._shape is None:
            raise RuntimeError("`build` must be called before the statistics are read.")
        if given is None:
            return reshape(getattr(self, learned), self._shape)
        spread = np.broadcast_to(np.asarray(given), self._sizes)
        return convert_to_tensor(spread.reshape(self._shape).astype(self._dtype.numpy_dtype))

    @property
    def mean(self) -> Tensor:
        """In a shape that broadcasts against the inputs."""
        return self._statistic("adapt_mean", self.input_mean)

    @property
    def variance(self) -> Tensor:
        """In a shape that broadcasts against the inputs."""
        return self._statistic("adapt_variance", self.input_variance)

    def _check_kept(self, batch: Any, batched: bool) -> None:
        rank = len(batch.shape)
        if batched and rank and 0 in [axis % rank for axis in self.axis]:
            shape = [None, *tuple(batch.shape)[1:]]
            raise ValueError(
                f"All `axis` values to be kept must have known shape. Got axis: {self.axis}, input "
                f"shape: {shape}, with unknown axis at index: 0"
            )

    def _note_shape(self, batch: Any) -> None:
        # Keras leaves the sizes open, and then cannot load the models that it saved
        if self._batch_input_shape is None:
            self._batch_input_shape = (None, *tuple(batch.shape)[1:])[: len(batch.shape)]

    def update_state(self, data: Any) -> None:
        if self.input_mean is not None:
            raise ValueError(
                "Cannot `adapt` a Normalization layer that is initialized with static `mean` and "
                f"`variance`, you passed mean {self.input_mean} and variance {self.input_variance}."
            )
        batch = np.asarray(cast(convert_to_tensor(data), self._weight_dtype))
        old_mean, old_variance = self.adapt_mean.numpy(), self.adapt_variance.numpy()
        mean, variance = batch.mean(self._reduced), batch.var(self._reduced)
        count = int(np.prod([batch.shape[i] for i in self._reduced]))
        total = count + int(self.count)
        new = mean.dtype.type(count) / mean.dtype.type(total)
        old = 1 - new
        joined = old_mean * old + mean * new
        spread = (old_variance + (old_mean - joined) ** 2) * old
        self.adapt_variance.assign(spread + (variance + (mean - joined) ** 2) * new)
        self.adapt_mean.assign(joined)
        self.count.assign(total)

    def reset_state(self) -> None:
        if self.input_mean is None and self.built:
            self.adapt_mean.assign(np.zeros_like(self.adapt_mean.numpy()))
            self.adapt_variance.assign(np.ones_like(self.adapt_variance.numpy()))
            self.count.assign(0)

    def call(self, inputs: Any) -> Tensor:
        inputs = cast(convert_to_tensor(inputs), self._dtype)
        deviation = maximum(sqrt(self.variance), convert_to_tensor(epsilon(), self._dtype))
        return inputs * deviation + self.mean if self.invert else (inputs - self.mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": _listed(self.input_mean),
            "variance": _listed(self.input_variance),
        }


def _listed(value: Any) -> Any:
    """Arrays and tensors as lists, fit for JSON."""
    return np.asarray(value).tolist() if hasattr(value, "__array__") else value


class Rescaling(Layer):
    """inputs * scale + offset."""

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, inputs: Any) -> Tensor:
        inputs = cast(convert_to_tensor(inputs), self._dtype)
        scale = convert_to_tensor(np.asarray(self.scale, self._dtype.numpy_dtype))
        return inputs * scale + convert_to_tensor(np.asarray(self.offset, self._dtype.numpy_dtype))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": _listed(self.scale),
            "offset": _listed(self.offset),
        }

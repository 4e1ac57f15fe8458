"""`tf.nn.RNNCellDropoutWrapper` and its sisters: cells around cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest, nn
from shardtape.devices import device as on_device
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.recurrent_cells import (
    AbstractRNNCell,
    cell_output_size,
    initial_state_of,
)
from shardtape.ops.cast import cast
from shardtape.ops.random import random_uniform
from shardtape.ops.rounding import floor
from shardtape.shapes import TensorShape


class _Wrapper(AbstractRNNCell):
    """A cell that runs another one."""

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not callable(getattr(cell, "call", None)):
            raise AttributeError(f"{cell!r} has no method `call`: it is no cell")
        self.cell = cell

    @property
    def state_size(self) -> Any:
        return self.cell.state_size

    @property
    def output_size(self) -> Any:
        return cell_output_size(self.cell)

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        """The first state of the cell."""
        return initial_state_of(self.cell, inputs, batch_size, dtype)

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """The first state of the cell."""
        return self.get_initial_state(batch_size=batch_size, dtype=dtype)

    def build(self, input_shape: Any) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(input_shape)
            self.cell.built = True
        self.built = True

    def call(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        return self.cell(inputs, states, **kwargs)

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.layers import serialize

        return {**super().get_config(), "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from shardtape.keras.layers import deserialize

        config = dict(config)
        return cls(deserialize(config.pop("cell"), custom_objects), **config)


class RNNCellDropoutWrapper(_Wrapper):
    """A cell whose inputs, states and outputs are dropped at random, at every call.

    Args:
      cell: a cell of `tf.keras.layers`.
      input_keep_prob, output_keep_prob, state_keep_prob: shares that stay, from 0 to 1.
      variational_recurrent: drop the same members at all steps (Gal and Ghahramani, 2016), which
        needs `dtype`, and `input_size` (a shape) where inputs are dropped.
      seed: of the random numbers.

    Raises ValueError for shares outside of 0 to 1, or without what `variational_recurrent` needs.
    """

    def __init__(
        self, cell: Any, input_keep_prob: float = 1.0, output_keep_prob: float = 1.0,
        state_keep_prob: float = 1.0, variational_recurrent: bool = False, input_size: Any = None,
        dtype: Any = None, seed: int | None = None, dropout_state_filter_visitor: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(cell, dtype=dtype, **kwargs)
        if dropout_state_filter_visitor is not None and not callable(dropout_state_filter_visitor):
            raise TypeError("dropout_state_filter_visitor must be callable.")
        shares = {"input_keep_prob": input_keep_prob, "output_keep_prob": output_keep_prob,
                  "state_keep_prob": state_keep_prob}  # fmt: skip
        for name, share in shares.items():
            if not 0 <= float(share) <= 1:
                raise ValueError(f"Parameter {name} must be between 0 and 1: {share}")
        self.input_keep_prob, self.output_keep_prob = input_keep_prob, output_keep_prob
        self.state_keep_prob, self.seed = state_keep_prob, seed
        self.variational_recurrent, self.input_size = variational_recurrent, input_size
        self._kept = dropout_state_filter_visitor or (lambda state: True)
        self._noise: dict[str, Any] = {}
        if variational_recurrent:
            if dtype is None:
                raise ValueError("When variational_recurrent=True, dtype must be provided")
            if input_keep_prob < 1 and input_size is None:
                raise ValueError(
                    "When variational_recurrent=True and input_keep_prob < 1.0 or is unknown, "
                    "input_size must be provided"
                )
            self._noise = {"output": self._drawn(self.output_size),
                           "state": self._drawn(self.state_size)}  # fmt: skip
            if input_size is not None:
                self._noise["input"] = self._drawn(input_size)

    def _drawn(self, sizes: Any) -> Any:
        def one(size: Any) -> Any:
            shape = TensorShape(size).as_list()
            return random_uniform([1, *shape], seed=self.seed, dtype=self._dtype)

        return one(sizes) if isinstance(sizes, TensorShape) else nest.map_structure(one, sizes)

    def _dropped(self, values: Any, share: float, which: str) -> Any:
        if float(share) == 1:
            return values
        if not self.variational_recurrent:
            return nest.map_structure(
                lambda v: nn.dropout(v, rate=1 - share, seed=self.seed) if self._kept(v) else v,
                values,
            )  # fmt: skip

        def masked(value: Any, noise: Any) -> Any:
            return value / share * cast(floor(cast(noise, dt.float32) + share), value.dtype)

        return nest.map_structure(masked, values, self._noise[which])

    def call(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        inputs = self._dropped(inputs, self.input_keep_prob, "input")
        output, new = self.cell(inputs, states, **kwargs)
        new = self._dropped(new, self.state_keep_prob, "state")
        return self._dropped(output, self.output_keep_prob, "output"), new

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "input_keep_prob": self.input_keep_prob,
            "output_keep_prob": self.output_keep_prob, "state_keep_prob": self.state_keep_prob,
            "variational_recurrent": self.variational_recurrent, "input_size": self.input_size,
            "seed": self.seed,
        }  # fmt: skip


class RNNCellResidualWrapper(_Wrapper):
    """A cell whose inputs are added to its outputs.

    Args:
      cell: a cell of `tf.keras.layers`, whose outputs have the size of the inputs.
      residual_fn: function `f(inputs, outputs)` in place of the sum.
    """

    def __init__(
        self, cell: Any, residual_fn: Callable[[Any, Any], Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cell, **kwargs)
        self._residual_fn = residual_fn

    def call(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        outputs, new = self.cell(inputs, states, **kwargs)
        if self._residual_fn is not None:
            return self._residual_fn(inputs, outputs), new
        return nest.map_structure(_sum, inputs, outputs), new

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self._residual_fn is None:
            return config
        raise NotImplementedError(
            f"{self.name}: a residual_fn of one's own has no configuration; make the cell anew"
        )


def _sum(given: Any, made: Any) -> Any:
    if not given.shape.is_compatible_with(made.shape):
        raise ValueError(
            f"Expected input and output shapes to match: {given.shape} and {made.shape}"
        )
    return given + made


class RNNCellDeviceWrapper(_Wrapper):
    """A cell that runs on a device.

    Args:
      cell: a cell of `tf.keras.layers`. device: its name, as for `tf.device`.
    """

    def __init__(self, cell: Any, device: str, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._device = device

    def call(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        with on_device(self._device):
            return self.cell(inputs, states, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "device": self._device}


__all__ = ["RNNCellDeviceWrapper", "RNNCellDropoutWrapper", "RNNCellResidualWrapper"]

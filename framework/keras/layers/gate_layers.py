"""Recurrent layers that make their own cell: SimpleRNN, LSTM, GRU."""

from __future__ import annotations

from typing import Any

from shardtape.keras import activations, regularizers
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.layers.recurrent import RNN
from shardtape.keras.layers.recurrent_cells import GateCell, GRUCell, LSTMCell, SimpleRNNCell
from shardtape.ops import math


def of_cell(name: str) -> Any:
    """A property of a layer that is its cell's."""
    return property(lambda self: getattr(self.cell, name), doc=f"The cell's `{name}`.")


class GateLayer(RNN):
    """A recurrent layer with a cell of its own, whose arguments it takes."""

    _cell: type[GateCell] = GateCell
    _cell_name = ""
    _loop_arguments = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll",
                       "time_major")  # fmt: skip
    _layer_arguments = ("name", "activity_regularizer", "input_shape", "batch_input_shape",
                        "input_dim", "input_length", "batch_size", "weights",
                        "zero_output_for_mask", "autocast")  # fmt: skip

    def __init__(self, units: int, activation: Any = "tanh", **kwargs: Any) -> None:
        own = {
            k: kwargs.pop(k)
            for k in (*self._loop_arguments, *self._layer_arguments) if k in kwargs
        }  # fmt: skip
        shared = {k: kwargs[k] for k in ("trainable", "dtype") if k in kwargs}
        cell = self._cell(units, activation, name=self._cell_name, **kwargs)
        super().__init__(cell, **own, **shared)
        self.input_spec = [InputSpec(ndim=3)]

    units = of_cell("units")
    activation = of_cell("activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")

    def get_config(self) -> dict[str, Any]:
        config = {**Layer.get_config(self), **self._loop_config()}
        for key, value in self.cell.get_config().items():
            config.setdefault(key, value)
            if key == "bias_regularizer":
                config["activity_regularizer"] = regularizers.serialize(self._activity_regularizer)
        return config


class _FusedLayer(GateLayer):
    """A layer that Keras runs by one op where it can: dropout then has masks of whole sequences.

    A `seed` is that of these masks: those that a cell draws for its steps have none, as in Keras.
    """

    def __init__(self, units: int, activation: Any = "tanh", **kwargs: Any) -> None:
        super().__init__(units, activation, **kwargs)
        if self.cell.seed is not None and not self._drops_sequences():
            self.cell.forget_seed()

    def _drops_sequences(self) -> bool:
        cell = self.cell
        return (
            bool(cell.use_bias)
            and cell.recurrent_dropout == 0
            and not self.unroll
            and getattr(cell, "reset_after", True)
            and cell.activation in (activations.tanh, math.tanh)
            and cell.recurrent_activation in (activations.sigmoid, math.sigmoid)
        )


class SimpleRNN(GateLayer):
    """The output of each step is an input of the next; see `SimpleRNNCell` and `RNN`."""

    _cell, _cell_name = SimpleRNNCell, "simple_rnn_cell"


class LSTM(_FusedLayer):
    """Long short-term memory; see `LSTMCell` and `RNN`. States are [output, memory]."""

    _cell, _cell_name = LSTMCell, "lstm_cell"

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(units, activation, recurrent_activation=recurrent_activation, **kwargs)

    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")
    implementation = of_cell("implementation")


class GRU(_FusedLayer):
    """Gated recurrent unit; see `GRUCell` and `RNN`."""

    _cell, _cell_name = GRUCell, "gru_cell"

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(units, activation, recurrent_activation=recurrent_activation, **kwargs)

    recurrent_activation = of_cell("recurrent_activation")
    reset_after = of_cell("reset_after")
    implementation = of_cell("implementation")

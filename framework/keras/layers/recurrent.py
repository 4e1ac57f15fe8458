"""RNN: runs a cell along sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.autograph import convert_in_graph
from shardtape.context import state
from shardtape.graph.scopes import name_scope
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.layers.recurrent_cells import (
    GateCell,
    cell_output_size,
    initial_state_of,
    is_several,
    takes,
)
from shardtape.keras.layers.stacked_cells import StackedRNNCells
from shardtape.keras.recurrence import rnn
from shardtape.ops.array import expand_dims, shape, squeeze, transpose, zeros_like
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.grids import sequence_mask
from shardtape.ops.ordering import reverse
from shardtape.ops.scanning import cumsum
from shardtape.ops.selecting import where
from shardtape.shapes import TensorShape
from shardtape.tensor import SymbolicTensor
from shardtape.variable import Variable


class RNN(Layer):
    """Runs a cell over the second axis of (batch, steps, features).

    Args:
      cell: has `call(inputs, states) -> (output, new states)` and `state_size`; a list of cells
        is stacked.
      return_sequences: give all outputs (batch, steps, units), not the last one only.
      return_state: give the last states, too: a list [outputs, state, ...].
      go_backwards: from the last step on; outputs come in that order.
      stateful: the states of a batch are the first ones of the next batch; the batch size must be
        known (`batch_input_shape`). `reset_states` forgets them.
      unroll: run the steps in Python also where a graph is built.
      time_major: inputs and outputs are (steps, batch, features).
    """

    _unseen = Layer._unseen | {"_states"}

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        time_major: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        for needed in ("call", "state_size"):
            if needed not in dir(cell):
                raise ValueError(
                    f"Argument `cell` should have a `{needed}`. The RNN was passed: cell={cell}"
                )
        self.zero_output_for_mask = kwargs.pop("zero_output_for_mask", False)
        length, features = kwargs.pop("input_length", None), kwargs.pop("input_dim", None)
        if "input_shape" not in kwargs and (length is not None or features is not None):
            kwargs["input_shape"] = (length, features)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful = go_backwards, stateful
        self.unroll, self.time_major = unroll, time_major
        self.supports_masking = True
        self._states: list[Variable] | None = None
        self._num_constants = 0

    # ---- building ---------------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        nested = not isinstance(input_shape, TensorShape) and any(
            isinstance(s, (TensorShape, list, tuple)) for s in input_shape
        )
        batch = 1 if self.time_major else 0
        if nested:
            step = nest.map_structure(lambda s: self._step_shape(TensorShape(s)), input_shape)
            full = TensorShape(nest.flatten(input_shape)[0])
        else:
            full = TensorShape(input_shape)
            step = self._step_shape(full)
            sizes = full.as_list()
            sizes[1 - batch] = None
            if not self.stateful:
                sizes[batch] = None
            self.input_spec = [InputSpec(shape=tuple(sizes))]
        if isinstance(self.cell, Layer) and not self.cell.built:
            with name_scope(self.cell.name):
                self.cell.build(step)
                self.cell.built = True
        if self.stateful and self._states is None:
            self._make_states(full[batch])
        self.built = True

    def _step_shape(self, full: TensorShape) -> TensorShape:
        return full[1:] if self.time_major else TensorShape([full[0], *full.as_list()[2:]])

    def _sizes(self) -> list[Any]:
        """The cell's state sizes, as a list (nested where cells are stacked)."""
        size = self.cell.state_size
        return list(size) if is_several(size) else [size]

    def _make_states(self, batch: int | None) -> None:
        if batch is None:
            raise ValueError(
                "If a RNN is stateful, it needs to know its batch size. Specify the batch size of "
                "your input tensors: \n- If using a Sequential model, specify the batch size by "
                "passing a `batch_input_shape` argument to your first layer.\n- If using the "
                "functional API, specify the batch size by passing a `batch_shape` argument to "
                "your Input layer."
            )
        self._states = [
            Variable(
                np.zeros((batch, *TensorShape(size).as_list()), self._weight_dtype.numpy_dtype),
                trainable=False, name="Variable",
            )
            for size in _flat_sizes(self._sizes())
        ]  # fmt: skip

    @property
    def states(self) -> list[Any]:
        """The states that a stateful layer keeps; a list of None before it is built."""
        if self._states is None:
            return [None] * len(_flat_sizes(self._sizes()))
        return self._states

    def reset_states(self, states: Any = None) -> None:
        """Sets the kept states to zeros, or to given arrays.

        Raises AttributeError where the layer is not stateful, ValueError for other shapes.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        if self._states is None:
            spec = self.input_spec[0] if self.input_spec else None
            self._make_states(spec.shape[1 if self.time_major else 0] if spec else None)
        held = self._states or []
        given = [None] * len(held) if states is None else nest.flatten(states)
        if len(given) != len(held):
            raise ValueError(
                f"Layer {self.name} expects {len(held)} states, but it received {len(given)} state "
                f"values. States received: {states}"
            )
        for variable, value in zip(held, given):
            array = np.zeros(tuple(variable.shape)) if value is None else np.asarray(value)
            if array.shape != tuple(variable.shape):
                raise ValueError(
                    f"State of layer {self.name} is incompatible: expected shape "
                    f"{tuple(variable.shape)}, found shape {array.shape}"
                )
            variable.assign(array.astype(variable.dtype.numpy_dtype))

    def get_initial_state(self, inputs: Any) -> list[Any]:
        """What the states are before the first step of `inputs`."""
        first = nest.flatten(inputs)[0]
        batch = shape(first)[1 if self.time_major else 0]
        made = initial_state_of(self.cell, None, batch, first.dtype)
        return list(made) if nest.is_nested(made) else [made]

    # ---- calls ------------------------------------------------------------------------------
    def __call__(  # type: ignore[override]
        self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any
    ) -> Any:
        inputs, initial_state, constants = standard_arguments(
            inputs, initial_state, constants, self._num_constants
        )
        if initial_state is not None:
            kwargs["initial_state"] = initial_state
        if constants is not None:
            self._num_constants = len(constants)
            kwargs["constants"] = constants
        return super().__call__(inputs, **kwargs)

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None,
        constants: Any = None,
    ) -> Any:  # fmt: skip
        first = nest.flatten(inputs)[0]
        if hasattr(first, "flat_values"):
            return self._ragged_call(first, training, initial_state, constants)
        if self.unroll and first.shape[0 if self.time_major else 1] is None:
            raise ValueError(
                "Cannot unroll a RNN if the time dimension is undefined. Give the first layer an "
                "`input_shape`, or the `Input` a shape, with the number of steps."
            )
        states = self._first_states(inputs, initial_state)
        self._forget_dropout()
        masks = [m for m in nest.flatten(mask) if m is not None]
        mask = masks[0] if masks else None
        zero_start = initial_state is None and not self.stateful
        if self._runs_as_one_op(inputs, states, training, constants):
            last, outputs, new = self._as_one_op(inputs, states, training, mask, zero_start)
        else:
            step, sequence = self._step(inputs, states, training, constants)
            last, outputs, new = rnn(
                step, sequence, states, self.go_backwards, mask, constants, self.unroll,
                time_major=self.time_major, zero_output_for_mask=self.zero_output_for_mask,
                return_all_outputs=self.return_sequences,
            )  # fmt: skip
        if self.stateful:
            for variable, value in zip(self._states or [], nest.flatten(new)):
                variable.assign(cast(value, variable.dtype))
        output = outputs if self.return_sequences else last
        if self.return_sequences:
            for t in nest.flatten(output):
                if isinstance(t, SymbolicTensor):  # the op of a loop does not know how long it ran
                    t.set_shape([*first.shape.as_list()[:2], *t.shape.as_list()[2:]])
        return [output, *new] if self.return_state else output

    def _ragged_call(self, rows: Any, training: Any, states: Any, constants: Any) -> Any:
        """Rows of different lengths as masked ones; sequences come back as rows."""
        lengths, whole = rows.row_lengths(), rows.to_tensor()
        mask = sequence_mask(lengths, shape(whole)[1])
        got = self.call(whole, mask, training, states, constants)
        if not self.return_sequences:
            return got
        parts = got if isinstance(got, list) else [got]
        made = type(rows).from_tensor(parts[0], lengths=lengths)
        return [made, *parts[1:]] if isinstance(got, list) else made

    def _first_states(self, inputs: Any, given: Any) -> list[Any]:
        if self.stateful and given is None:
            kept = [cast(v.value(), self._dtype) for v in self._states or []]
            return nest.pack_sequence_as(_nested_names(self._sizes()), kept)
        if given is None:
            return self.get_initial_state(inputs)
        given = list(given)
        if len(given) != len(self._sizes()):
            raise ValueError(
                f"Layer {self.name} expects {len(self._sizes())} state(s), but was passed "
                f"{len(given)} initial state(s)."
            )
        return given

    def _forget_dropout(self) -> None:
        for cell in (self.cell, *getattr(self.cell, "cells", ())):
            for reset in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
                getattr(cell, reset, _nothing)()

    def _step(self, inputs: Any, states: Any, training: Any, constants: Any) -> tuple[Any, Any]:
        """The step function, and the sequence that it runs over."""
        cell = self.cell
        own = isinstance(cell, GateCell) and type(cell).call is GateCell.call and not constants
        if own and not (self._redraws() and cell.draws(training)):
            slices = inputs[0] if self.time_major else inputs[:, 0]
            cell.prepare(slices, states[0], training)
            if not self.time_major:
                cell_inputs = transpose(inputs, [1, 0, 2])
            else:
                cell_inputs = inputs
            # masks of one step broadcast over sequences whose first axis is the steps
            projected = cell.project(cell_inputs)
            if not self.time_major:
                projected = transpose(projected, [1, 0, 2])
            return lambda x, given: cell.advance(x, list(given)), projected
        if isinstance(cell, GateCell) and not self._redraws():
            cell.prepare(inputs[0] if self.time_major else inputs[:, 0], states[0], training)
        options = {"training": training} if takes(cell, "training") else {}
        run = cell if callable(cell) else convert_in_graph(cell.call)
        count = len(constants or ())

        def step(x: Any, given: Any) -> tuple[Any, list[Any]]:
            more = dict(options)
            if count:
                more["constants"], given = list(given[-count:]), given[:-count]
            output, new = run(x, list(given), **more)
            return output, list(new) if nest.is_nested(new) else [new]

        return step, inputs

    def _runs_as_one_op(self, inputs: Any, states: Any, training: Any, constants: Any) -> bool:
        """Whether the cell offers its whole sequence as one op, for what it is set to."""
        offers = getattr(self.cell, "offers_sequence", None)
        if offers is None or constants or self.unroll or nest.is_nested(inputs):
            return False
        if self._redraws() and not self._drops_sequences() and self.cell.draws(training):
            return False
        return inputs.shape.rank == 3 and offers(training)

    def _redraws(self) -> bool:
        """Whether steps draw dropout masks anew, as Keras's loop in a graph does."""
        return state.graph is not None and not self.unroll

    def _drops_sequences(self) -> bool:
        """Whether dropout has a mask of the size of whole sequences, not of a step."""
        return False

    def _as_one_op(
        self, inputs: Any, states: Any, training: Any, mask: Any, zero_start: bool
    ) -> tuple[Any, Any, Any]:
        """(last output, outputs or None, last states), as `rnn` gives them."""
        cell = self.cell
        whole = self._drops_sequences()
        inputs = cell.drop_whole(inputs, training) if whole else inputs
        if not self.time_major:
            inputs = transpose(inputs, [1, 0, 2])
        cell.prepare(inputs[0], states[0], training and not whole)
        if self.go_backwards:
            inputs = reverse(inputs, [0])
        if mask is not None:
            mask = convert_to_tensor(mask)
            mask = squeeze(mask, [2]) if mask.shape.rank == 3 else mask
            mask = cast(mask if self.time_major else transpose(mask, [1, 0]), dt.bool)
            mask = reverse(mask, [0]) if self.go_backwards else mask
        outputs, new = cell.sequence(cell.project(inputs), states, mask)
        last = new[0]
        if mask is not None and (self.zero_output_for_mask or not zero_start):
            # before the first step that counts there are zeros, whatever the first state is
            counts = mask if self.zero_output_for_mask else cumsum(cast(mask, dt.int32), 0) > 0
            outputs = where(expand_dims(counts, -1), outputs, zeros_like(outputs))
            last = outputs[-1]
        if not self.return_sequences:
            return last, None, new
        return last, outputs if self.time_major else transpose(outputs, [1, 0, 2]), new

    # ---- shapes and masks -------------------------------------------------------------------
    def compute_output_shape(self, input_shape: Any) -> Any:
        full = input_shape
        if not isinstance(full, TensorShape) and any(
            isinstance(s, (TensorShape, list, tuple)) for s in full
        ):
            full = nest.flatten(full)[0] if isinstance(full[0], TensorShape) else full[0]
        full = TensorShape(full)
        batch, steps = (full[1], full[0]) if self.time_major else (full[0], full[1])
        size = TensorShape(cell_output_size(self.cell)).as_list()
        outer = [steps, batch] if self.time_major else [batch, steps]
        shape_ = TensorShape([*outer, *size] if self.return_sequences else [batch, *size])
        if not self.return_state:
            return shape_
        sizes = _flat_sizes(self._sizes())
        return [shape_, *[TensorShape([batch, *TensorShape(s).as_list()]) for s in sizes]]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = nest.flatten(mask)[0]
        kept = mask if self.return_sequences else None
        return [kept, *[None] * len(self.states)] if self.return_state else kept

    # ---- description ------------------------------------------------------------------------
    def _loop_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "time_major": self.time_major,
        }
        if self._num_constants:
            config["num_constants"] = self._num_constants
        if self.zero_output_for_mask:
            config["zero_output_for_mask"] = True
        return config

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.layers import serialize

        return {**super().get_config(), **self._loop_config(), "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from shardtape.keras.layers import deserialize

        config = dict(config)
        constants = config.pop("num_constants", 0)
        if "cell" in config:
            cell = deserialize(config.pop("cell"), custom_objects)
            layer = cls(cell, **config)
        else:
            layer = cls(**config)
        layer._num_constants = constants
        return layer


def _nothing() -> None: ...


def _flat_sizes(sizes: Any) -> list[Any]:
    """State sizes one after the other; shapes stay whole."""
    out: list[Any] = []
    for size in sizes:
        out.extend(_flat_sizes(size) if is_several(size) else [size])
    return out


def _nested_names(sizes: Any) -> Any:
    """The structure of state sizes, with a plain value for each."""
    return [_nested_names(s) if is_several(s) else 0 for s in sizes]


def standard_arguments(
    inputs: Any, initial_state: Any, constants: Any, count: int
) -> tuple[Any, Any, Any]:
    """(inputs, list of states or None, list of constants or None) from a list of all, or apart."""
    if isinstance(inputs, list) and len(inputs) > 1 and initial_state is None:
        if count and constants is None:
            inputs, constants = inputs[:-count], inputs[-count:]
        initial_state = inputs[1:] or None
        inputs = inputs[0]
    elif isinstance(inputs, list) and len(inputs) == 1:
        inputs = inputs[0]

    def as_list(x: Any) -> Any:
        if x is None or isinstance(x, list):
            return x
        return list(x) if isinstance(x, tuple) else [x]

    return inputs, as_list(initial_state), as_list(constants)

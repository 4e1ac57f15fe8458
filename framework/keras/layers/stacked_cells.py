"""StackedRNNCells: several cells as one."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.autograph import convert_in_graph
from shardtape.graph.scopes import name_scope
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.recurrent_cells import (
    cell_output_size,
    initial_state_of,
    is_several,
    takes,
)
from shardtape.shapes import TensorShape


class StackedRNNCells(Layer):
    """Cells one after the other, as one cell whose states are theirs."""

    def __init__(self, cells: Any, **kwargs: Any) -> None:
        for cell in cells:
            for needed in ("call", "state_size"):
                if needed not in dir(cell):
                    raise ValueError(
                        f"All cells must have a `{needed}`. Received: cell={cell}"
                    )  # fmt: skip
        super().__init__(**kwargs)
        self.cells = list(cells)

    @property
    def state_size(self) -> tuple[Any, ...]:
        return tuple(cell.state_size for cell in self.cells)

    @property
    def output_size(self) -> Any:
        return cell_output_size(self.cells[-1])

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        """The first states of all cells."""
        return tuple(initial_state_of(c, inputs, batch_size, dtype) for c in self.cells)

    def build(self, input_shape: Any) -> None:
        given = TensorShape(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                with name_scope(cell.name):
                    cell.build(given)
                    cell.built = True
            size = cell_output_size(cell)
            given = TensorShape([given[0], *TensorShape(size).as_list()])
        self.built = True

    def call(
        self, inputs: Any, states: Any, constants: Any = None, training: Any = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        new = []
        for cell, given in zip(self.cells, states):
            several = is_several(cell.state_size)
            options = {"training": training} if takes(cell, "training") else {}
            if constants is not None and takes(cell, "constants"):
                options["constants"] = constants
            wrapped = list(given) if nest.is_nested(given) else [given]
            run = cell if callable(cell) else convert_in_graph(cell.call)
            inputs, made = run(inputs, wrapped, **options)
            made = list(made) if nest.is_nested(made) else [made]
            new.append(nest.pack_sequence_as(cell.state_size, made) if several else made[0])
        return inputs, tuple(new)

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.layers import serialize

        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from shardtape.keras.layers import deserialize

        config = dict(config)
        cells = [deserialize(c, custom_objects) for c in config.pop("cells")]
        return cls(cells, **config)

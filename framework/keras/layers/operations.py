"""Layers that show functions which were called on symbolic tensors."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.keras.function_calls import CallNode, FunctionCall
from shardtape.keras.layers.base import Layer
from shardtape.keras.symbolic import fixed_value
from shardtape.tensor import Tensor


class TFOpLambda(Layer):
    """A public function that was called on symbolic tensors, as `tf.math.multiply`.

    Called, it runs the function again on other tensors, in the order of those that it had.
    """

    def __init__(self, made_by: FunctionCall) -> None:
        super().__init__(name=made_by.name, autocast=False)
        self._made_by = made_by
        self._inbound_nodes.append(CallNode(made_by))  # type: ignore[arg-type]
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The function's results for other tensors.

        Raises ValueError where their number differs from those that the function was called on.
        """
        from shardtape.keras.models.network import run_operation

        given = [t for t in nest.flatten((inputs, args, kwargs)) if isinstance(t, Tensor)]
        wanted = list({t._id: t for t in self._made_by.arguments()}.values())
        if len(given) != len(wanted):
            raise ValueError(
                f"the layer {self.name!r} shows a call on {len(wanted)} tensor(s), got "
                f"{len(given)}; its other arguments stay as they were"
            )
        values: dict[int, Any] = {t._id: x for t, x in zip(wanted, given)}
        for op in self._made_by.ops:
            taken = [values[t._id] if t._id in values else fixed_value(t) for t in op.inputs]
            made = run_operation(op.op_def, tuple(taken), op.attrs)
            values.update(zip([t._id for t in op.outputs], nest.flatten(made)))
        results = [values[t._id] for t in self._made_by.results()]
        return results[0] if len(results) == 1 else results

    def get_config(self) -> dict[str, Any]:
        """Name, type and the function's public name."""
        return {**super().get_config(), "function": self._made_by.function}


class SlicingOpLambda(TFOpLambda):
    """A part of a symbolic tensor, as `tf.__operators__.getitem`."""

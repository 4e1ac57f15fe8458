"""`clone_model`: the same layers with weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import nest
from shardtape.keras import function_code
from shardtape.keras.layers.additions import AddMetric
from shardtape.keras.models.model import Model
from shardtape.keras.models.sequential import Sequential
from shardtape.keras.saving.network_config import network_config, rebuilt
from shardtape.keras.symbolic import node_of


def clone_model(
    model: Any, input_tensors: Any = None, clone_function: Callable[[Any], Any] | None = None
) -> Any:
    """A model of new layers with the same configurations, with first weights.

    Args:
      input_tensors: symbolic inputs of the new model in place of its own, as many.
      clone_function: function from a layer to the layer to use in its place.

    Raises ValueError for something that is no model.
    """
    if not isinstance(model, Model):
        raise ValueError(f"Expected `model` argument to be a `Model` instance. Received: {model}")

    def copied(layer: Any) -> Any:
        if clone_function is not None:
            return clone_function(layer)
        if isinstance(layer, Model):
            return clone_model(layer)
        with function_code.kept():
            return type(layer).from_config(layer.get_config())  # its class need not be registered

    if isinstance(model, Sequential):
        layers = [copied(layer) for layer in model.layers]
        if input_tensors is not None:
            layers.insert(0, input_tensors)
        elif model._entrance is not None:
            layers.insert(0, type(model._entrance).from_config(model._entrance.get_config()))
        return Sequential(layers, name=model.name)
    if model._network is None:
        if clone_function is not None or input_tensors is not None:
            raise ValueError(
                "a subclassed model is cloned through its `get_config`: it takes neither "
                "`clone_function` nor `input_tensors`"
            )
        return type(model).from_config(model.get_config())
    by_name = {layer.name: layer for layer in model.layers}
    with function_code.kept():
        config = network_config(model._network)
    entrances = None if input_tensors is None else nest.flatten(input_tensors)
    wanted = len(model._network.flat_inputs)
    if entrances is not None and len(entrances) != wanted:
        raise ValueError(
            f"the model {model.name!r} has {wanted} inputs, `input_tensors` has {len(entrances)}"
        )
    inputs, outputs, added = rebuilt(
        config, lambda entry: copied(by_name[entry["name"]]), entrances
    )
    made = Model(inputs, outputs, name=model.name)
    added.sort(key=lambda t: isinstance(node_of(t).layer, AddMetric))  # losses first, as Keras
    made._add_outputs(added)
    return made

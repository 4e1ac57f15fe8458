"""`Sequential`: layers one after the other."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.context import building, state
from shardtape.graph.func_graph import TensorSpec
from shardtape.keras.layers.base import Layer, outside_calls
from shardtape.keras.layers.core import InputLayer
from shardtape.keras.layers.lambda_layer import Lambda
from shardtape.keras.models.model import Model
from shardtape.keras.models.network import Network
from shardtape.keras.naming import root_graph
from shardtape.keras.symbolic import KerasGraph, is_keras_tensor
from shardtape.module import Module
from shardtape.ops.convert import convert_to_tensor
from shardtape.replica_context import outside_replicas
from shardtape.shapes import TensorShape
from shardtape.type_spec import composite_spec
from shardtape.variable import Variable


def _asked_shape(layer: Layer) -> tuple[Any, Any]:
    """(batch shape or None, dtype) that a first layer was made for.

    Of a model it is what its first layer was made for. As in Keras that is unknown of a Sequential
    model that got its shape from a call, from `build` or from an InputLayer before its layers.
    """
    while isinstance(layer, Model) and (
        layer._network is not None or isinstance(layer, Sequential)
    ):
        if not layer.layers:
            raise ValueError("An empty Model cannot be used as a Layer.")
        if not isinstance(layer, Sequential):
            return tuple(layer.inputs[0].shape), layer.inputs[0].dtype
        layer = layer.layers[0]
    return layer._batch_input_shape, layer.dtype


class Sequential(Model):
    """Layers that are called one after the other.

    It is built when its first layer knows the shape of the inputs, else when it is first called.

    Args:
      layers: layers, or modules and functions of one argument.
    """

    _unseen = Model._unseen | {"_own_layers", "_entrance"}
    _shape_is_guessed = False  # it is that of the first inputs, which others may differ from
    _opens_scope = False

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._own_layers: list[Layer] = []
        self._entrance: InputLayer | None = None
        given = layers if isinstance(layers, (list, tuple)) or layers is None else [layers]
        for layer in given or ():
            self.add(layer)

    # ---- layers -----------------------------------------------------------------------------
    def add(self, layer: Any) -> None:
        """Puts a layer at the end.

        Raises:
          TypeError: something that is no layer.
          ValueError: a layer of a name that is taken.
        """
        if is_keras_tensor(layer):
            layer = layer.graph.history[layer._id][0].layer
        if isinstance(layer, Module) and not isinstance(layer, Layer):
            layer = _ModuleLayer(layer)
        if not isinstance(layer, Layer):
            raise TypeError(
                f"The added layer must be an instance of class Layer. Received: layer={layer} of "
                f"type {type(layer)}."
            )
        if any(layer.name == o.name for o in self._own_layers if o is not layer):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f'"{layer.name}" is already the name of a layer in this model. Update the `name` '
                "argument to pass a unique name."
            )
        if isinstance(layer, InputLayer):
            if self._own_layers or self._entrance is not None:
                raise ValueError("an InputLayer must be the first layer of a Sequential model")
            self._entrance = layer
            self._build_network()
            return
        self._own_layers.append(layer)
        if self._entrance is not None:
            self._extend_chain(layer)
            return
        if len(self._own_layers) == 1:
            try:
                shape, dtype = _asked_shape(layer)
            except ValueError:
                self._own_layers.pop()
                raise
            if shape:  # () where a layer was adapted to examples one by one
                self._entrance = InputLayer(
                    batch_input_shape=shape, dtype=dtype, name=f"{layer.name}_input"
                )
                self._build_network()

    def pop(self) -> None:
        """Takes the last layer away. Raises TypeError where there is none."""
        if not self._own_layers:
            raise TypeError("There are no layers in the model.")
        self._own_layers.pop()
        self._forget_steps()
        if self._entrance is not None:
            self._build_network()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return list(self._own_layers)

    def _sublayers(self) -> list[Layer]:
        return list(self._own_layers)

    def _tracked(self) -> Any:
        yield from self._own_layers
        yield from super()._tracked()

    def _check_created(self) -> None:
        if not self.built:
            raise ValueError(
                f"Weights for model {self.name!r} have not yet been created. Weights are created "
                "when the model is first called on inputs or `build()` is called with an "
                "`input_shape`."
            )

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that are trained. Raises ValueError before the model is built (so do the two
        properties below)."""
        self._check_created()
        return super().trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that are not trained."""
        self._check_created()
        return super().non_trainable_weights

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer."""
        self._check_created()
        return super().weights

    # ---- building ---------------------------------------------------------------------------
    def _build_network(self) -> None:
        """Calls all layers on the symbolic input."""
        assert self._entrance is not None
        x = self._entrance.output
        self._network = None
        self.built = False
        for layer in self._own_layers:
            x = layer(x)
        if self._own_layers:
            self._set_chain(x)

    def _extend_chain(self, layer: Layer) -> None:
        assert self._entrance is not None
        x = self._entrance.output if self._network is None else self._network.outputs
        self._set_chain(layer(x))

    def _set_chain(self, outputs: Any) -> None:
        assert self._entrance is not None
        if len(nest.flatten(outputs)) != 1:
            raise ValueError(
                "All layers in a Sequential model should have a single output tensor. For "
                "multi-output layers, use the functional API."
            )
        self._set_network(Network(self._entrance.output, outputs))

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights for inputs of a shape (None for the batch)."""
        if self._network is not None or not self._own_layers:
            self.built = True
            return
        if input_shape is None:
            raise ValueError("You must provide an `input_shape` argument.")
        self._build_from(TensorShape(input_shape), self._own_layers[0].dtype)

    def _build_from(self, shape: TensorShape, dtype: Any) -> None:
        first = self._own_layers[0]
        self._entrance = InputLayer(
            batch_input_shape=tuple(shape), dtype=dtype, name=f"{first.name}_input"
        )
        self._build_network()

    # ---- calls ------------------------------------------------------------------------------
    def _build_for(self, inputs: Any) -> None:
        """Calls the layers once on a symbolic input of the same shape, as Keras does."""
        flat = nest.flatten(inputs)
        symbolic = isinstance(state.graph, KerasGraph)
        outer = state.graph.outer_graph if symbolic else state.graph
        single = len(flat) == 1 and hasattr(flat[0], "shape")
        if self._own_layers and single and not self.dynamic and composite_spec(flat[0]) is None:
            x = convert_to_tensor(flat[0])
            # symbolic calls of their own, beside the one that this may be part of
            with building(outer), outside_calls(), outside_replicas():
                if root_graph() is None:
                    self._build_input_shape = x.shape
                    self._try_to_build(x.shape, x.dtype)
                self._forget_penalties()  # of the symbolic calls
        self.built = True

    def _try_to_build(self, shape: TensorShape, dtype: Any) -> None:
        try:
            self._build_from(shape, dtype)
            self._shape_is_guessed = True
        except Exception:  # noqa: BLE001  # of a layer that needs values: all are called on these
            self._entrance = self._network = None

    def _relax(self, inputs: Any) -> None:
        """Leaves open which sizes of the guessed shape other inputs do not have, as Keras does."""
        known, given = self._build_input_shape, getattr(inputs, "shape", None)
        if known is None or not isinstance(given, TensorShape) or given.rank != known.rank:
            return
        sizes = [a if a == b else None for a, b in zip(known, given)]
        if sizes == known.as_list():
            return
        symbolic = isinstance(state.graph, KerasGraph)
        outer = state.graph.outer_graph if symbolic else state.graph
        before, entrance, nodes = self._network, self._entrance, {}
        for layer in self._own_layers:
            nodes[layer] = list(layer._inbound_nodes)
            if before is not None:  # those of the network that is made anew
                layer._inbound_nodes = [n for n in nodes[layer] if n not in before.nodes]
        with building(outer), outside_calls(), outside_replicas():
            if root_graph() is None:
                steps = self._steps  # type: ignore[has-type]
                self._build_input_shape = TensorShape(sizes)
                self._try_to_build(self._build_input_shape, inputs.dtype)
                self._steps = steps
            self._forget_penalties()
        if self._network is None or self._network is before:  # none could be made
            self._network, self._entrance, self.built = before, entrance, True
            for layer, kept in nodes.items():
                layer._inbound_nodes = kept

    def leave_batch_open(self) -> None:
        """Makes the batch's size unknown where it is only that of the first inputs.

        Saved functions take batches of any size then.
        """
        shape, entrance = self._build_input_shape, self._entrance
        if self._shape_is_guessed and entrance is not None and shape is not None and shape.rank:
            self._relax(TensorSpec([None, *shape[1:]], entrance.output.dtype))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if self._shape_is_guessed:
            self._relax(inputs)
        x = inputs if self._network is None else self._fitted(inputs)
        for layer in self._own_layers:
            x = layer(x) if training is None else layer(x, training=training)
        return x

    def _fitted(self, inputs: Any) -> Any:
        assert self._network is not None
        try:
            return self._network.fitted(inputs)
        except ValueError:
            if self._shape_is_guessed:
                return inputs
            raise

    def _cast_inputs(self, inputs: Any) -> Any:
        return inputs  # the first layer casts as it needs

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = input_shape
        for layer in self._own_layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.saving.keras_form import NoKerasForm, described

        try:
            return {"name": self.name, "layers": self._described(described)}
        except NoKerasForm:
            return self._own_form()

    def _own_form(self) -> dict[str, Any]:
        """The configuration with values of layers that JSON has no form for."""
        from shardtape.keras.saving.serialization import plain_form

        return {"name": self.name, "layers": self._described(plain_form)}

    def _described(self, entry: Any) -> list[Any]:
        entrance = [] if self._entrance is None else [self._entrance]
        return [entry(layer) for layer in [*entrance, *self._own_layers]]

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """A model from what `get_config` gave (or a list of layers), with first weights."""
        from shardtape.keras.saving.keras_reading import plain_config
        from shardtape.keras.saving.network_config import made_layer
        from shardtape.keras.saving.registry import custom_object_scope

        given = config.get("layers") if isinstance(config, dict) else config
        if not isinstance(given, (list, tuple)) or not all(isinstance(e, dict) for e in given):
            raise ValueError(
                "A Sequential model is made of what its `get_config` gave, or of a list of "
                f"layers' configurations, got {config!r}"
            )
        with custom_object_scope(custom_objects):
            config = plain_config(config)
        listed = config["layers"] if isinstance(config, dict) else config
        name = config.get("name") if isinstance(config, dict) else None
        with custom_object_scope(custom_objects):
            made = cls([made_layer(entry) for entry in listed], name)
            shape = config.get("build_input_shape") if isinstance(config, dict) else None
            if shape is not None and not made.built:
                made.build(tuple(shape))
            return made


class _ModuleLayer(Lambda):
    """A plain module in a Sequential model."""

    def __init__(self, module: Module) -> None:
        super().__init__(module, name=getattr(module, "name", None))
        self.module = module

    def get_config(self) -> dict[str, Any]:
        """Raises NotImplementedError: a module has no configuration."""
        raise NotImplementedError(
            f"{self.module!r} in a Sequential model has no configuration: call it in a subclass "
            "of Layer with `get_config`"
        )

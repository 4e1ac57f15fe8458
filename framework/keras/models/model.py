"""`Model`: a layer that is trained, made of symbolic tensors or by subclassing."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.weights import unique
from shardtape.keras.metrics.base import Metric
from shardtape.keras.models.network import Network
from shardtape.keras.models.summary import print_summary
from shardtape.keras.models.training import Trainer
from shardtape.variable import Variable


class Model(Trainer, Layer):
    """A network of layers.

    `Model(inputs, outputs)` of symbolic tensors (see `Input`), or a subclass that makes layers in
    `__init__` and calls them in `call`.

    Args:
      inputs, outputs: symbolic tensors, nested.
      name: default the class name.
    """

    _unseen = Layer._unseen | {
        "_network", "_compiled_losses", "_compiled_metrics", "optimizer", "history",
        "_last_losses", "_own_layers",
    }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        inputs, outputs = kwargs.pop("inputs", None), kwargs.pop("outputs", None)
        if args and inputs is None:
            inputs, args = args[0], args[1:]
        if args and outputs is None:
            outputs, args = args[0], args[1:]
        if args:
            kwargs.setdefault("name", args[0])
        super().__init__(**kwargs)
        self._network: Network | None = None
        if inputs is not None or outputs is not None:
            self._set_network(Network(inputs, outputs))

    def _set_network(self, network: Network) -> None:
        self._network = network
        self.built = True
        self._opens_scope = False  # type: ignore[misc]
        self.input_names, self.output_names = network.input_names, network.output_names

    @property
    def inputs(self) -> Any:
        """The symbolic inputs, as a list."""
        return None if self._network is None else list(self._network._flat_inputs)

    @property
    def outputs(self) -> Any:
        """The symbolic outputs, as a list."""
        return None if self._network is None else nest.flatten(self._network.outputs)

    @property
    def input(self) -> Any:
        if self._network is None:
            return super().input
        return self._network.inputs

    @property
    def output(self) -> Any:
        if self._network is None:
            return super().output
        return self._network.outputs

    @property
    def _is_graph_network(self) -> bool:
        return self._network is not None

    # ---- layers -----------------------------------------------------------------------------
    @property
    def layers(self) -> list[Layer]:
        """The layers that the model is made of."""
        if self._network is not None:
            return list(self._network.layers)
        return self._sublayers()

    def _sublayers(self) -> list[Layer]:
        found = super()._sublayers()
        if self._network is not None:
            known = {id(layer) for layer in self._network.layers}
            found = [*self._network.layers, *[x for x in found if id(x) not in known]]
        return found

    # Keras lists the weights of a model layer by layer, its own ones last
    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that are trained, layer by layer."""
        if not self.trainable:
            return []
        inner = [v for s in self._sublayers() for v in s.trainable_weights]
        return unique(inner, [v for v in self._own_variables() if v.trainable])

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that are not trained, layer by layer."""
        inner = [v for s in self._sublayers() for v in s.non_trainable_weights]
        own = self._own_variables()
        if self.trainable:
            return unique(inner, [v for v in own if not v.trainable])
        trained = [v for v in own if v.trainable]
        return unique(trained, inner, [v for v in own if not v.trainable])

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer."""
        return unique([v for s in self._sublayers() for v in s.weights], self._own_variables())

    def _own_metrics(self) -> list[Any]:
        return [m for m in self._tracked() if isinstance(m, Metric)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by position.

        Raises ValueError where there is none.
        """
        if (name is None) == (index is None):
            raise ValueError(
                f"Provide either a layer name or layer index. Received: index={index}, name={name}"
            )
        layers = self.layers
        if index is not None:
            if len(layers) <= index:
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(layers)} layers."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in layers]}."
        )

    # ---- calls ------------------------------------------------------------------------------
    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Runs the network; subclasses define their own computation."""
        if self._network is None:
            raise NotImplementedError(
                "Unimplemented `tf.keras.Model.call()`: if you intend to create a `Model` with "
                "the Functional API, please provide `inputs` and `outputs` arguments. Otherwise, "
                "subclass `Model` with an overridden `call()` method."
            )
        return self._network.run(inputs, training)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of a subclassed model for inputs of a shape (None for the batch)."""
        if self._network is None and not self.built and self._is_whole_shape(input_shape):
            self.compute_output_shape(input_shape)
        super().build(input_shape)

    def _is_whole_shape(self, shape: Any) -> bool:
        """False while `build` runs as part of a call, where the layers build themselves."""
        return not self._in_call and shape is not None

    _in_call = False

    def _build_for(self, inputs: Any) -> None:
        self._in_call = True
        try:
            super()._build_for(inputs)
        finally:
            self._in_call = False

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._in_call = True
        try:
            return super().compute_output_shape(input_shape)
        finally:
            self._in_call = False

    def _needs_build(self) -> bool:
        return self._network is None

    def count_params(self) -> int:
        """The number of weights. Raises ValueError before the model is built."""
        if not self.built and not self.weights:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name}, but the layer isn't "
                "built. You can build it manually via: "
                f"`{self.name}.build(batch_input_shape)`."
            )
        return sum(v.shape.num_elements() or 0 for v in self.weights)

    # ---- description ------------------------------------------------------------------------
    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Shows layers, output shapes and numbers of weights.

        Args:
          print_fn: takes each line; default writes to stdout.
          expand_nested: show the layers of models inside.

        Raises ValueError before the model is built.
        """
        if not self.built:
            raise ValueError(
                "This model has not yet been built. Build the model first by calling `build()` "
                "or by calling the model on a batch of data."
            )
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            f"{type(self).__name__} {self.name!r} has no configuration: subclasses define "
            "`get_config`"
        )

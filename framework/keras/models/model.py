"""`Model`: a layer that is trained, made of symbolic tensors or by subclassing."""

from __future__ import annotations

import inspect
from typing import Any

from shardtape import nest
from shardtape.context import state
from shardtape.graph.func_graph import TensorSpec
from shardtape.keras.layers.additions import AddLoss, AddMetric
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.weights import unique
from shardtape.keras.metrics.base import Metric
from shardtape.keras.models.network import Network
from shardtape.keras.models.summary import print_summary
from shardtape.keras.models.training import Trainer
from shardtape.keras.models.weight_paths import weight_paths
from shardtape.keras.naming import unique_object_name
from shardtape.keras.saving.copying import model_bytes, model_of_bytes, own_classes
from shardtape.keras.symbolic import KerasGraph, is_keras_tensor
from shardtape.replica_context import current_strategy, scopes
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable


class Model(Trainer, Layer):
    """A network of layers.

    `Model(inputs, outputs)` of symbolic tensors (see `Input`), or a subclass that makes layers in
    `__init__` and calls them in `call`.

    Args:
      inputs, outputs: symbolic tensors, nested.
      name: default the class name.
    """

    # those of the model itself; not those of the layers inside it, as in Keras
    _counts_metrics = True
    history: Any = None  # that of the last `fit`
    _unseen = Layer._unseen | {
        "_network", "compiled_loss", "compiled_metrics", "optimizer", "history", "_steps",
        "_compile_arguments", "_given", "_added_metrics", "_own_layers", "_added_outputs",
        "_optimizer_given", "train_function", "test_function", "predict_function",
        "input_names", "output_names",
    }  # fmt: skip

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._network is None:
            return super().__reduce_ex__(protocol)
        return model_of_bytes, (model_bytes(self), own_classes(self))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        inputs, outputs = kwargs.pop("inputs", None), kwargs.pop("outputs", None)
        if len(args) == 1 and inputs is None and outputs is None:
            args = ()  # `super().__init__(self)`, which many programs have, means nothing
        if args and inputs is None:
            inputs, args = args[0], args[1:]
        if args and outputs is None:
            outputs, args = args[0], args[1:]
        if args:
            kwargs.setdefault("name", args[0])
        if type(self) is Functional and kwargs.get("name") is None:
            kwargs["name"] = unique_object_name("model")
        super().__init__(**kwargs)
        self._strategy = current_strategy()
        if scopes.strategies:
            self._made_in = scopes.strategies[-1]
        self._network: Network | None = None
        self._added_outputs: list[Any] = []  # symbolic; of AddLoss and AddMetric layers
        self._added_metrics: dict[str, Metric] = {}
        if inputs is not None or outputs is not None:
            self._set_network(Network(inputs, outputs))

    def __setattr__(self, name: str, value: Any) -> None:
        if "_network" not in self.__dict__ and isinstance(value, (Layer, Variable)):
            raise RuntimeError(
                "It looks like you are subclassing `Model` and you forgot to call "
                "`super().__init__()`. Always start with this line."
            )
        super().__setattr__(name, value)

    def _set_network(self, network: Network) -> None:
        self._network = network
        network.name = self.name
        self.built = True
        self._autocast = False  # the layers cast as they need
        if state.graph is None:  # a Sequential that its first traced step builds keeps the step
            self._forget_steps()
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
        """Weights that are not trained, layer by layer; if frozen, first the trained ones."""
        inner = [v for s in self._sublayers() for v in s.non_trainable_weights]
        own = self._own_variables()
        fixed = [v for v in own if not v.trainable]
        if self.trainable:
            return unique(inner, fixed)
        trained = [v for s in self._sublayers() for v in s.trainable_weights]
        return unique(trained, [v for v in own if v.trainable], inner, fixed)

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer."""
        return unique([v for s in self._sublayers() for v in s.weights], self._own_variables())

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

    def add_loss(self, losses: Any, **kwargs: Any) -> None:
        """Adds penalties: tensors, functions of no arguments, or symbolic tensors of the network.

        Raises ValueError for a symbolic tensor where the model has no network.
        """
        for loss in nest.flatten(losses):
            if is_keras_tensor(loss) and not isinstance(state.graph, KerasGraph):
                self._add_outputs([AddLoss()(loss)])
            else:
                super().add_loss(loss, **kwargs)

    def add_metric(
        self, value: Any, name: str | None = None, aggregation: Any = "mean", **kwargs: Any
    ) -> None:
        """Takes a tensor into a metric of the model: in `call`, or of the network's symbolic ones.

        Args:
          name: of the metric.
          aggregation: only "mean"; None where `value` is what a Metric returned.
        """
        if not is_keras_tensor(value) or isinstance(state.graph, KerasGraph):
            super().add_metric(value, name)
            return
        if name is None:
            raise ValueError("Please provide a name for your metric")
        self._add_outputs([AddMetric(aggregation, name)(value)])

    def _add_outputs(self, added: list[Any]) -> None:
        """Lets the network compute symbolic tensors beside its outputs; their layers are last."""
        for t in added:
            if self._network is None:
                raise ValueError("symbolic tensors can only be added to a functional model")
            before = self._network.layers
            self._added_outputs = [*self._added_outputs, t]
            network = Network(self._network.inputs, self._network.outputs, self._added_outputs)
            known = {id(layer) for layer in before}
            network.layers = [*before, *[x for x in network.layers if id(x) not in known]]
            self._set_network(network)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of a subclassed model for inputs of a shape (None for the batch)."""
        if self._network is None and not self.built and self._is_whole_shape(input_shape):
            self.built = type(self).build is not Model.build  # a `build` of one's own is running
            opens = self._opens_scope
            self._opens_scope = False  # type: ignore[misc]  # Keras runs `call` alone here
            try:
                self.compute_output_shape(input_shape)
            except Exception:  # of any kind: it is raised again
                self.built = False
                raise
            finally:
                self._opens_scope = opens  # type: ignore[misc]
        super().build(input_shape)

    def _is_whole_shape(self, shape: Any) -> bool:
        """False while `build` runs as part of a call, where the layers build themselves."""
        return not self._in_call and shape is not None

    _in_call = False
    _called_on: Any = None  # specs of the inputs for which it was built

    def _build_for(self, inputs: Any) -> None:
        self._called_on = self._specs_of(inputs)
        self._in_call = True
        try:
            super()._build_for(inputs)
        finally:
            self._in_call = False

    def _specs_of(self, inputs: Any) -> Any:
        """Specs of inputs with any number of examples; None where they are not all tensors."""
        if self._autocast:
            inputs = self._cast_inputs(inputs)
        if not all(isinstance(t, Tensor) for t in nest.flatten(inputs)):
            return None
        return nest.map_structure(_spec_of_batch, inputs)

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

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        functional = len(args) > 1 or "inputs" in kwargs or "outputs" in kwargs
        return super().__new__(Functional if cls is Model and functional else cls, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes the same model of, with first weights.

        Of a functional model its layers and calls, as Keras writes them where that can hold all
        of it; of a subclass the constructor's arguments.
        """
        if self._network is not None and _is_functional(type(self)):
            from shardtape.keras.saving.keras_form import NoKerasForm, functional_config

            try:
                return {"name": self.name, "trainable": self.trainable,
                        **functional_config(self._network)}  # fmt: skip
            except NoKerasForm:
                return self._own_form()
        args, kwargs = self._given
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        config = dict(list(bound.arguments.items())[1:])
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                config.update(config.pop(name, {}))
            elif parameter.kind is parameter.VAR_POSITIONAL and config.pop(name, ()):
                raise NotImplementedError(
                    f"{type(self).__name__} takes any number of arguments: define `get_config`"
                )
        return config

    def _own_form(self) -> dict[str, Any]:
        """The configuration with every operation between layers, in a form of ours."""
        if self._network is None or not _is_functional(type(self)):
            return self.get_config()
        from shardtape.keras.saving.network_config import network_config

        return {"name": self.name, "trainable": self.trainable, **network_config(self._network)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A model from what `get_config` (or Keras's) gave, with first weights."""
        from shardtape.keras.saving import keras_reading
        from shardtape.keras.saving.network_config import made_layer, rebuilt
        from shardtape.keras.saving.registry import custom_object_scope

        with custom_object_scope(custom_objects):
            if _is_functional(cls) and keras_reading.is_keras_form(config):
                plain = keras_reading.plain_config(config)
                rebuilt_model = keras_reading.rebuilt_functional(plain, made_layer)
                inputs, outputs, order, added = rebuilt_model
                made = cls(inputs=inputs, outputs=outputs, name=config.get("name"))
                made._add_outputs(added)
                network: Any = made._network
                network.order_layers(order)
                return made
            if "calls" not in config or not _is_functional(cls):
                try:
                    return cls(**config)
                except TypeError as error:
                    raise TypeError(
                        f"Unable to revive model from config: {cls.__name__}(**config) raised "
                        f"{error}. Define `get_config` and `from_config`. Config: {config}"
                    ) from error
            inputs, outputs, added = rebuilt(config)
            made = cls(inputs=inputs, outputs=outputs, name=config.get("name"))
            made._add_outputs(added)
            return made  # each layer has its own `trainable`; the model's is not taken, as in Keras

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` takes; of a functional model the shape of its inputs."""
        made = super().get_build_config()
        if made is not None or self._network is None:
            return made
        shapes = [tuple(t.shape) for t in self._network._flat_inputs]
        return {"input_shape": shapes[0] if len(shapes) == 1 else shapes}

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as JSON in Keras's form; None before it."""
        from shardtape.keras.saving.compile_form import compile_config

        return compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` (or Keras's) says."""
        from shardtape.keras.saving.compile_form import compile_from

        compile_from(self, config)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def get_weight_paths(self) -> dict[str, Variable]:
        """The weights by the way that leads to them: names of layers and attributes, with dots."""
        if self._network is None:
            return weight_paths([("", self)])
        return weight_paths((layer.name, layer) for layer in self.layers)

    def save_spec(self, dynamic_batch: bool = True) -> Any:
        """([specs of the inputs], {}) of what the model is called on; None before it is known.

        Args:
          dynamic_batch: leave the number of examples unknown.
        """
        from shardtape.saved_model.keras_export import input_names, input_specs

        specs = input_specs(self)
        if specs is None:
            return None
        flat, names = nest.flatten(specs), input_names(self, specs)
        sizes: list[Any] = [None] * len(flat)
        if not dynamic_batch:
            built = getattr(self, "_build_input_shape", None)
            shapes = [built] if isinstance(built, TensorShape) else nest.flatten(built)
            if len(shapes) == len(flat) and all(isinstance(s, TensorShape) for s in shapes):
                sizes = [s[0] if s.rank else None for s in shapes]
        made = [
            TensorSpec([size, *s.shape[1:]] if s.shape.rank else s.shape, s.dtype, name)
            for s, size, name in zip(flat, sizes, names)
        ]
        return [nest.pack_sequence_as(specs, made)], {}

    @property
    def state_updates(self) -> list[Any]:
        """Always empty; see `updates`."""
        return self.updates

    def to_yaml(self, **kwargs: Any) -> str:
        """Raises RuntimeError: YAML can hold code, which is not run from a file."""
        raise RuntimeError("Method `model.to_yaml()` has been removed: use `model.to_json()`")

    # ---- files ------------------------------------------------------------------------------
    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON; `kwargs` go to `json.dumps`."""
        from shardtape.keras.saving.serialization import to_json

        return to_json(self, **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, save_format: Any = None,
             **kwargs: Any) -> None:  # fmt: skip
        """Saves configuration, weights and the state of training; see `save_model`."""
        from shardtape.keras.saving.model_files import save_model

        save_model(self, filepath, overwrite, save_format, **kwargs)

    def export(self, filepath: Any) -> None:
        """Saves the model's call for serving, as `serve`; see `keras.export`."""
        from shardtape.keras.export import export_model

        export_model(self, filepath)

    def save_weights(self, filepath: Any, overwrite: bool = True, save_format: Any = None,
                     options: Any = None) -> None:  # fmt: skip
        """Saves the weights and the optimizer's state; see `keras.saving.weight_files`."""
        from shardtape.keras.saving.weight_files import save_weights

        save_weights(self, filepath, overwrite, save_format)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False,
                     options: Any = None) -> Any:  # fmt: skip
        """Takes over weights; see `keras.saving.weight_files`."""
        from shardtape.keras.saving.weight_files import load_weights

        return load_weights(self, filepath, skip_mismatch, by_name)


class Functional(Model):
    """What `Model(inputs, outputs)` makes."""


def _spec_of_batch(t: Tensor) -> TensorSpec:
    shape = t.shape
    return TensorSpec([None, *shape[1:]] if shape.rank else shape, t.dtype)


def _is_functional(cls: type) -> bool:
    """Whether a class is made of symbolic inputs and outputs, as `Model` itself is."""
    return cls.__init__ is Model.__init__  # type: ignore[misc]

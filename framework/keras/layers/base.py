"""`Layer`: what all layers share."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.checkpoint import pending
from shardtape.context import building, state, training_phase
from shardtape.graph.scopes import name_scope
from shardtape.keras import constraints, initializers, regularizers
from shardtape.keras.floatx import floatx
from shardtape.keras.layers.input_spec import check_inputs
from shardtape.keras.naming import snake_case, unique_object_name
from shardtape.keras.symbolic import KerasGraph, Node, is_keras_tensor, keras_graph
from shardtape.module import Module
from shardtape.ops import source
from shardtape.ops.array import identity, shape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable, VariableAggregation, VariableSynchronization

_OPTIONS = frozenset(
    ("input_dim", "input_shape", "batch_input_shape", "batch_size", "weights",
     "activity_regularizer", "autocast", "implementation")
)  # fmt: skip


class _Signature(NamedTuple):
    """What `call` takes, besides self."""

    first: str
    takes_training: bool
    position: int | None  # of `training` among the arguments after the first
    default: Any  # of `training`


@functools.lru_cache(maxsize=4096)
def _signature(call: Callable[..., Any]) -> _Signature:
    parameters = list(inspect.signature(call).parameters.values())[1:]
    first = parameters[0].name if parameters else "inputs"
    for i, p in enumerate(parameters):
        if p.name == "training":
            default = None if p.default is p.empty else p.default
            return _Signature(first, True, i - 1, default)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return _Signature(first, open_ended, None, None)


class _Calls(threading.local):
    path = ""  # names of the layers that are being called, as they were given


_calls = _Calls()


class Layer(Module):
    """Base of layers: makes its weights when it is first called, and is called on tensors.

    Subclasses define `build(self, input_shape)`, which makes weights with `add_weight`, and
    `call(self, inputs)`; `call` may take `training`.

    Args:
      trainable: whether the layer's weights are trained.
      name: its name; default the class name in snake case, made unique.
      dtype: type of weights and of the computation (default float32).
      input_shape, batch_input_shape, input_dim: shape of the inputs (without, with the batch
        size), so that a Sequential model of which it is the first layer can be built at once.
    """

    _unseen = Module._unseen | {"_inbound_nodes", "_made_weights"}
    # models whose layers are named as if they stood alone
    _opens_scope = True

    def __init__(
        self,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        dynamic: bool = False,
        **kwargs: Any,
    ) -> None:
        for option in kwargs:
            if option not in _OPTIONS:
                raise TypeError("Keyword argument not understood:", option)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"Expected `name` argument to be a string, but got: {name}")
        self._name = name or unique_object_name(snake_case(type(self).__name__))
        self._name_scope = self._name
        self._trainable = trainable
        self._dtype = dt.as_dtype(floatx() if dtype is None else getattr(dtype, "name", dtype))
        self._autocast = kwargs.get("autocast", True)
        self.built = False
        self.stateful = False
        self.supports_masking = False
        self.input_spec: Any = None
        self._activity_regularizer = regularizers.get(kwargs.get("activity_regularizer"))
        self._initial_weights = kwargs.get("weights")
        self._made_weights: list[Variable] = []
        self._weight_penalties: list[Callable[[], Any]] = []
        self._call_penalties: list[Any] = []
        self._inbound_nodes: list[Node] = []
        shape = kwargs.get("batch_input_shape")
        if "input_dim" in kwargs and "input_shape" not in kwargs:
            kwargs["input_shape"] = (kwargs["input_dim"],)
        if shape is None and "input_shape" in kwargs:
            shape = (kwargs.get("batch_size"), *tuple(kwargs["input_shape"]))
        self._batch_input_shape = None if shape is None else tuple(shape)

    # ---- what subclasses define -------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Makes the weights; `input_shape` is a TensorShape (nested as the inputs are)."""
        self._build_input_shape = input_shape
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The layer's computation."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for a shape of the inputs."""
        graph = KerasGraph(state.graph)
        shapes = input_shape if _is_nested_shape(input_shape) else TensorShape(input_shape)

        def placeholder(shape: Any) -> Any:
            return graph.add_op(
                source.placeholder, (), {"dtype": self._dtype, "shape": TensorShape(shape)}
            )

        with building(graph):
            if isinstance(shapes, TensorShape):
                inputs = placeholder(shapes)
            else:
                inputs = type(shapes)(placeholder(s) for s in shapes)
            outputs = self._run(inputs, (), {})
        return nest.map_structure(lambda t: t.shape, outputs)

    # ---- calls ------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs `call` on tensors (arrays and numbers are converted); builds the layer first.

        Raises ValueError for inputs that the layer does not take.
        """
        if "_made_weights" not in self.__dict__:
            raise RuntimeError("You must call `super().__init__()` in the layer constructor.")
        signature = _signature(type(self).call)
        if args:
            inputs, args = args[0], args[1:]
        elif signature.first in kwargs:
            inputs = kwargs.pop(signature.first)
        else:
            raise ValueError("The first argument to `Layer.call` must always be passed.")
        flat = nest.flatten(inputs)
        if any(is_keras_tensor(t) for t in flat) and not isinstance(state.graph, KerasGraph):
            return self._symbolic_call(inputs, args, kwargs)
        if any(isinstance(t, (np.ndarray, np.generic, float, int)) for t in flat):
            inputs = nest.map_structure(_as_tensor, inputs)
        return self._run(inputs, args, kwargs)

    def _run(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        training = self._training_mode(args, kwargs)
        if self.input_spec is not None:
            check_inputs(self.input_spec, inputs, self._name)
        if state.training is training:
            return self._scoped_call(inputs, args, kwargs)
        with training_phase(training):
            return self._scoped_call(inputs, args, kwargs)

    def _training_mode(self, args: Any, kwargs: dict[str, Any]) -> Any:
        """TensorFlow's order: the argument, the outer call's, the phase, the default, False.

        Puts the result into `kwargs` where `call` takes it.
        """
        signature = _signature(type(self).call)
        position = signature.position
        if position is not None and position < len(args):
            return args[position]
        given = kwargs.get("training")
        if given is None:
            given = state.training
        if not signature.takes_training:
            kwargs.pop("training", None)
            return given
        if given is None:
            given = False if signature.default is None else signature.default
        kwargs["training"] = given
        return given

    def _scoped_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        if not self._opens_scope:
            return self._built_call(inputs, args, kwargs)
        outer = _calls.path
        _calls.path = f"{outer}/{self._name}" if outer else self._name
        try:
            with name_scope(self._name):
                return self._built_call(inputs, args, kwargs)
        finally:
            _calls.path = outer

    def _built_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        if not self.built:
            self._build_for(inputs)
        if self._autocast:
            inputs = self._cast_inputs(inputs)
        outputs = self.call(inputs, *args, **kwargs)
        if self._activity_regularizer is not None:
            for t in nest.flatten(outputs):
                batch = cast(_batch_size(t), t.dtype)
                self.add_loss(self._activity_regularizer(t) / batch)
        return outputs

    def _cast_inputs(self, inputs: Any) -> Any:
        wanted = self._dtype
        if not wanted.is_floating:
            return inputs
        if isinstance(inputs, Tensor):
            dtype = inputs.dtype
            return cast(inputs, wanted) if dtype is not wanted and dtype.is_floating else inputs
        return nest.map_structure(
            lambda t: (
                cast(t, wanted)
                if isinstance(t, Tensor) and t.dtype.is_floating and t.dtype is not wanted
                else t
            ),
            inputs,
        )

    def _build_for(self, inputs: Any) -> None:
        """Builds for inputs; weights are made outside the graph of symbolic calls."""
        flat = nest.flatten(inputs)
        if not all(hasattr(t, "shape") for t in flat):
            shapes: Any = None
        else:
            shapes = nest.map_structure(lambda t: TensorShape(t.shape), inputs)
        if isinstance(state.graph, KerasGraph):
            with building(state.graph.outer_graph):
                # layer names as they are, not as the graph of symbolic calls made them unique
                state.name_stack = _calls.path
                self.build(shapes)
        else:
            self.build(shapes)
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None
        pending.proceed()

    def _symbolic_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        graph = keras_graph()
        given = dict(kwargs)
        with building(graph):
            outputs = self._run(inputs, args, dict(kwargs))
            known = {t._id for t in nest.flatten(inputs) if is_keras_tensor(t)}
            outputs = nest.map_structure(lambda t: _own(t, known), outputs)
        self._inbound_nodes.append(Node(self, (inputs, *args), given, outputs))
        return outputs

    # ---- weights ----------------------------------------------------------------------------
    def add_weight(
        self,
        name: str | None = None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        use_resource: Any = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
        **kwargs: Any,
    ) -> Variable:
        """Makes a Variable of the layer.

        Args:
          shape: sizes; () by default.
          initializer: name, object or function(shape, dtype); default glorot_uniform for floating
            types, else zeros.
          regularizer: function from the weight to a penalty, found in `losses`.
          constraint: function from an updated value to the value to keep.
        """
        if not isinstance(name, str) and name is not None and shape is None:
            name, shape = None, name  # Keras 3's order: add_weight(shape)
        dtype = self._dtype if dtype is None else dt.as_dtype(dtype)
        initializer = initializers.get(initializer)
        if initializer is None:
            initializer = initializers.get("glorot_uniform" if dtype.is_floating else "zeros")
        if inspect.isclass(initializer):
            initializer = initializer()
        if synchronization is VariableSynchronization.ON_READ:
            if trainable:
                raise ValueError(
                    "Synchronization value can be set to VariableSynchronization.ON_READ only "
                    "for non-trainable variables. You have specified trainable=True and "
                    "synchronization=VariableSynchronization.ON_READ."
                )
            trainable = False
        sizes = TensorShape(() if shape is None else shape)
        if not sizes.is_fully_defined():
            raise ValueError(
                f"weight {name!r} of layer {self._name!r} has the unknown shape {sizes}"
            )
        variable = Variable(
            lambda: initializer(sizes, dtype=dtype), trainable is None or trainable,
            name=name, dtype=dtype, constraint=constraints.get(constraint),
            synchronization=synchronization, aggregation=aggregation,
        )  # fmt: skip
        self._made_weights.append(variable)
        regularizer = regularizers.get(regularizer)
        if regularizer is not None:
            self._weight_penalties.append(lambda: regularizer(variable))
        return variable

    add_variable = add_weight

    def _own_variables(self) -> list[Variable]:
        """Variables of the layer and of its plain modules, in the order of their creation."""
        found: dict[int, Variable] = {v._id: v for v in self._made_weights}
        for value in self._tracked():
            if isinstance(value, Variable):
                found[value._id] = value
            elif isinstance(value, Module) and not isinstance(value, Layer):
                found.update((v._id, v) for v in value.variables)
        return [found[key] for key in sorted(found)]

    def _tracked(self) -> Iterator[Any]:
        """Layers, modules, Variables and metrics among the attributes, in order."""
        for name, value in self.__dict__.items():
            if name not in self._unseen:
                yield from _members(value)

    def _sublayers(self) -> list[Layer]:
        """The layers that hang directly on this one, each once."""
        found: dict[int, Layer] = {}
        for value in self._tracked():
            if isinstance(value, Layer) and value is not self:
                found.setdefault(id(value), value)
        return list(found.values())

    def _flatten_layers(self, recursive: bool = True, include_self: bool = True) -> Iterator[Layer]:
        """This layer and those inside it, depth first."""
        if include_self:
            yield self
        for layer in self._sublayers():
            yield from layer._flatten_layers() if recursive else (layer,)

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that are trained: own ones, then those of the layers inside."""
        if not self.trainable:
            return []
        own = [v for v in self._own_variables() if v.trainable]
        return unique(own, [v for s in self._sublayers() for v in s.trainable_weights])

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that are not trained."""
        if not self.trainable:
            own = self._own_variables()
            trained = [v for v in own if v.trainable] + [v for v in own if not v.trainable]
            return unique(trained, [v for s in self._sublayers() for v in s.weights])
        own = [v for v in self._own_variables() if not v.trainable]
        return unique(own, [v for s in self._sublayers() for v in s.non_trainable_weights])

    @property
    def weights(self) -> list[Variable]:
        """Trained weights, then the others."""
        return unique(self.trainable_weights, self.non_trainable_weights)

    @property
    def variables(self) -> list[Variable]:
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return self.non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; setting it sets it for the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """The values of `weights`."""
        return [np.array(v._read_array()) for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets `weights` from arrays. Raises ValueError where number or shapes do not fit."""
        variables, arrays = self.weights, list(weights)
        if len(variables) != len(arrays):
            raise ValueError(
                f'You called `set_weights(weights)` on layer "{self._name}" with a weight list of '
                f"length {len(arrays)}, but the layer was expecting {len(variables)} weights."
            )
        for variable, array in zip(variables, arrays):
            if tuple(np.shape(array)) != tuple(variable.shape):
                raise ValueError(
                    f"Layer {self._name} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {np.shape(array)}."
                )
        for variable, array in zip(variables, arrays):
            variable.assign(np.asarray(array, variable.dtype.numpy_dtype))

    def count_params(self) -> int:
        """The number of weights. Raises ValueError before the layer is built."""
        if not self.built and self._needs_build():
            raise ValueError(
                f"You tried to call `count_params` on layer {self._name}, but the layer isn't "
                "built. You can build it manually via: "
                f"`{self._name}.build(batch_input_shape)`."
            )
        return sum(v.shape.num_elements() or 0 for v in self.weights)

    def _needs_build(self) -> bool:
        return type(self).build is not Layer.build

    # ---- penalties --------------------------------------------------------------------------
    def add_loss(self, losses: Any, **kwargs: Any) -> None:
        """Adds scalar tensors, or functions that compute them, to `losses`."""
        for loss in nest.flatten(losses):
            if loss is None:
                continue
            (self._weight_penalties if callable(loss) else self._call_penalties).append(loss)

    @property
    def losses(self) -> list[Any]:
        """Penalties of this layer and of those inside it, as scalar tensors."""
        out = []
        for layer in self._flatten_layers():
            out.extend(layer._call_penalties)
            out.extend(convert_to_tensor(penalty()) for penalty in layer._weight_penalties)
        return out

    def _forget_penalties(self) -> None:
        for layer in self._flatten_layers():
            layer._call_penalties = []

    # ---- description ------------------------------------------------------------------------
    @property
    def dtype(self) -> str:
        """The type of weights, by name."""
        return self._dtype.name

    compute_dtype = variable_dtype = dtype

    @property
    def dtype_policy(self) -> str:
        return self._dtype.name

    @property
    def dynamic(self) -> bool:
        return False

    @property
    def activity_regularizer(self) -> Any:
        return self._activity_regularizer

    @property
    def inbound_nodes(self) -> list[Node]:
        return self._inbound_nodes

    def _only_node(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(f"The layer {self._name} has never been called symbolically and "
                                 f"thus has no defined {what}.")  # fmt: skip
        return self._inbound_nodes[0]

    @property
    def input(self) -> Any:
        """The symbolic inputs of the first symbolic call."""
        node = self._only_node("input")
        return node.args[0] if node.args else node.outputs

    @property
    def output(self) -> Any:
        """The symbolic outputs of the first symbolic call."""
        return self._only_node("output").outputs

    @property
    def input_shape(self) -> Any:
        return nest.map_structure(lambda t: tuple(t.shape), self.input)

    @property
    def output_shape(self) -> Any:
        return nest.map_structure(lambda t: tuple(t.shape), self.output)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON.

        Raises NotImplementedError for a subclass with arguments that does not define it.
        """
        config = {"name": self._name, "trainable": self._trainable, "dtype": self._dtype.name}
        if self._batch_input_shape is not None:
            config["batch_input_shape"] = self._batch_input_shape
        own = [
            p for p in list(inspect.signature(type(self).__init__).parameters)[1:]
            if p not in config and p not in ("args", "kwargs", "dynamic")
        ]  # fmt: skip
        if own and type(self).get_config is Layer.get_config:
            raise NotImplementedError(
                f"Layer {type(self).__name__} has arguments {own} in `__init__()` and therefore "
                "must override `get_config()`."
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} object at 0x{id(self):x}>"


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, (Variable, Module)):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _members(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _members(item)


def unique(*lists: list[Any]) -> list[Any]:
    """The members of all lists, each once."""
    found: dict[int, Any] = {}
    for items in lists:
        for item in items:
            found.setdefault(id(item), item)
    return list(found.values())


def _as_tensor(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic, float, int)):
        return convert_to_tensor(x)
    return x


def _own(x: Any, inputs: set[int]) -> Any:
    """An output of a symbolic call as a tensor of the symbolic graph, no input among them."""
    if isinstance(x, Variable) or (is_keras_tensor(x) and x._id in inputs):
        return identity(convert_to_tensor(x))
    if isinstance(x, Tensor) and not is_keras_tensor(x):
        return state.graph.capture(x)
    return x


def _is_nested_shape(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and any(
        isinstance(s, (list, tuple, TensorShape)) for s in shape
    )


def _batch_size(t: Tensor) -> Any:
    return shape(t)[0]

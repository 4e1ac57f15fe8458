"""`Layer`: what all layers share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.autograph import convert_in_graph
from shardtape.checkpoint import pending
from shardtape.context import building, converting, state, training_phase
from shardtape.graph.scopes import name_scope
from shardtape.keras import policy, regularizers
from shardtape.keras.layers.automatic_config import automatic_config
from shardtape.keras.layers.call_errors import told
from shardtape.keras.layers.call_signature import call_signature
from shardtape.keras.layers.calls import is_nested_shape
from shardtape.keras.layers.input_spec import check_inputs
from shardtape.keras.layers.reporting import Reporting
from shardtape.keras.masks import mask_of, masks_of, set_masks
from shardtape.keras.naming import names_of_symbolic_call, snake_case, unique_object_name
from shardtape.keras.symbolic import (
    KerasGraph,
    Node,
    graph_of,
    is_keras_tensor,
    owned,
    stood_for,
)
from shardtape.module import Module
from shardtape.ops import source
from shardtape.ops.array import shape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable

_OPTIONS = frozenset(
    ("input_dim", "input_shape", "batch_input_shape", "batch_size", "weights",
     "activity_regularizer", "autocast", "implementation")
)  # fmt: skip


_OTHER_THAN_USUAL = dt.FLOATING - {dt.float32}


class _Calls(threading.local):
    path = ""  # names of the layers that are being called, as they were given
    depth = 0  # layers that are being called, one inside the other
    outermost: Any = None


_calls = _Calls()


def outermost_call() -> Any:
    """The layer whose call all others are part of; None outside of calls."""
    return _calls.outermost if _calls.depth else None


@contextlib.contextmanager
def outside_calls() -> Iterator[None]:
    """Block in which names are those of layers that no other layer calls."""
    path, names = _calls.path, state.name_stack
    _calls.path = state.name_stack = ""
    try:
        yield
    finally:
        _calls.path, state.name_stack = path, names


class Layer(Reporting):
    """Base of layers: makes its weights when it is first called, and is called on tensors.

    Subclasses define `build(self, input_shape)`, which makes weights with `add_weight`, and
    `call(self, inputs)`; `call` may take `training`.

    Args:
      trainable: whether the layer's weights are trained.
      name: its name; default the class name in snake case, made unique.
      dtype: type of weights and of the computation, or a policy (default the global policy,
        which is float32 at first).
      dynamic: `call` runs eagerly alone, as do the steps of models that have the layer; for
        symbolic calls `compute_output_shape` is to be defined.
      input_shape, batch_input_shape, input_dim: shape of the inputs (without, with the batch
        size), so that a Sequential model of which it is the first layer can be built at once.
    """

    _unseen = Module._unseen | {
        "_inbound_nodes", "_made_weights", "_added_metrics", "_given", "_replica_penalties",
        "input_spec",
    }  # fmt: skip
    _given: tuple[tuple[Any, ...], dict[str, Any]]
    _dynamic = False
    # models whose layers are named as if they stood alone
    _opens_scope = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        made.__dict__["_given"] = (args, kwargs)  # its configuration, unless it defines one
        return made

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
        if name is None:
            name = unique_object_name(snake_case(type(self).__name__))
        self._name = name
        self._name_scope = self._name
        self._trainable, self._dynamic = trainable, dynamic
        self._set_policy(policy.as_policy(dtype))
        self._autocast = kwargs.get("autocast", True)
        self.built = False
        self.stateful = False
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self.input_spec: Any = None
        self._activity_regularizer = regularizers.get(kwargs.get("activity_regularizer"))
        self._initial_weights = kwargs.get("weights")
        self._made_weights: list[Variable] = []
        self._weight_penalties: list[Callable[[], Any]] = []
        self._call_penalties: list[Any] = []
        self._replica_penalties: dict[int, list[Any]] = {}  # the same, of replicas that take turns
        self._added_metrics: dict[str, Any] = {}
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

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks of the outputs: those of the inputs where the layer supports masks.

        Raises TypeError for a mask that reaches a layer which does not.
        """
        if self.supports_masking:
            return mask
        if any(m is not None for m in nest.flatten(mask)):
            raise TypeError(
                f"Layer {self._name} does not support masking, but was passed an input_mask: {mask}"
            )
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for a shape of the inputs."""
        graph = KerasGraph(state.graph)
        shapes = input_shape if is_nested_shape(input_shape) else TensorShape(input_shape)

        def placeholder(shape: Any) -> Any:
            return graph.add_op(
                source.placeholder, (), {"dtype": self._dtype, "shape": TensorShape(shape)}
            )

        with building(graph), converting(True):
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
        signature = call_signature(type(self).call)
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
        depth = _calls.depth
        if not depth:  # penalties are those of the last call of the outermost layer
            self._forget_penalties()
            _calls.outermost = self
        _calls.depth = depth + 1
        try:
            if state.training is training:
                return self._scoped_call(inputs, args, kwargs)
            with training_phase(training):
                return self._scoped_call(inputs, args, kwargs)
        finally:
            _calls.depth = depth
            if not depth:
                _calls.outermost = None

    def _training_mode(self, args: Any, kwargs: dict[str, Any]) -> Any:
        """TensorFlow's order: the argument, the outer call's, the phase, the default of `call`.

        Puts the result into `kwargs` where `call` takes it. None where nothing says so: then
        layers inside go by their own defaults.
        """
        signature = call_signature(type(self).call)
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
            given = signature.default
        kwargs["training"] = given
        return given

    def _scoped_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        if not self._opens_scope:
            return self._masked_call(inputs, args, kwargs)
        outer, inside = _calls.path, state.name_stack
        # an empty name leaves all scopes; in a graph it takes its place between two slashes
        nameless = not self._name and bool(inside) and state.graph is not None
        _calls.path = f"{outer}/{self._name}" if outer and (self._name or nameless) else self._name
        try:
            with name_scope(f"{inside}//" if nameless else self._name):
                return self._masked_call(inputs, args, kwargs)
        finally:
            _calls.path = outer

    def _masked_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        """Hands the inputs' masks to `call`, and puts those of `compute_mask` on the outputs."""
        signature = call_signature(type(self).call)
        if not (self.supports_masking or signature.takes_mask):
            return self._built_call(inputs, args, kwargs)
        position = signature.mask_position
        if position is not None and position < len(args):
            mask = args[position]
        else:
            mask = kwargs.get("mask")
            if mask is None:
                mask = masks_of(inputs)
                if mask is not None and signature.takes_mask:
                    kwargs["mask"] = mask
        outputs = self._built_call(inputs, args, kwargs)
        own = type(self).compute_mask is not Layer.compute_mask
        if not self.supports_masking or (mask is None and not own):
            return outputs
        if any(mask_of(t) is None for t in nest.flatten(outputs)):
            masks = self.compute_mask(inputs, mask)
            if masks is not None:
                set_masks(outputs, masks)
        return outputs

    def _built_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        if not self.built:
            self._build_for(inputs)
        if self._autocast:
            inputs = self._cast_inputs(inputs)
        declared = self._dynamic and isinstance(state.graph, KerasGraph)
        call = self._declared_outputs if declared else convert_in_graph(self.call)
        outer, state.autocast = state.autocast, self._read_in
        try:
            outputs = call(inputs, *args, **kwargs)
        except Exception as error:  # of any kind: it is raised again, with its layer's name
            if (made := told(error, self, inputs, args, kwargs)) is error:
                raise
            raise made from None
        finally:
            state.autocast = outer
        if self._activity_regularizer is not None:
            for t in nest.flatten(outputs):
                batch = cast(_batch_size(t), t.dtype)
                self.add_loss(self._activity_regularizer(t) / batch)
        return outputs

    def _is_called_symbolically(self) -> bool:
        """Whether this is the outermost layer of a call on symbolic tensors."""
        return _calls.depth == 1 and isinstance(state.graph, KerasGraph)

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

    def build_ahead(self, config: dict[str, Any]) -> None:
        """Builds what was read from a configuration before it is called, as Keras does.

        A `build` that does not call `super().build` leaves the layer unbuilt: its first call
        builds it anew, with first values that are drawn a second time.
        """
        shape = config.get("input_shape")
        if self.built or shape is None:
            return
        stack, state.name_stack = state.name_stack, self.name
        try:
            self.build(shape)
        finally:
            state.name_stack = stack
        if not self.built:
            self._made_weights.clear()
            self._weight_penalties.clear()

    def _build_for(self, inputs: Any) -> None:
        """Builds for inputs; weights are made outside the graph of symbolic calls."""
        flat = nest.flatten(inputs)
        if not all(hasattr(t, "shape") for t in flat):
            shapes: Any = None
        else:
            shapes = nest.map_structure(lambda t: TensorShape(t.shape), inputs)
        if shapes is not None:
            self._build_input_shape = shapes
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
        pending.proceed(self, _calls.outermost if _calls.depth else None)

    def _symbolic_call(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        graph = graph_of((inputs, args, kwargs))
        given = dict(kwargs)
        taken = inputs, args, dict(kwargs)
        if graph.composites:
            taken = nest.map_structure(stood_for, taken)
        with building(graph), graph.in_layer(), converting(True), names_of_symbolic_call():
            outputs = self._run(*taken)
            known = {t._id for t in nest.flatten((inputs, args, kwargs)) if is_keras_tensor(t)}
            outputs = nest.map_structure(lambda t: owned(t, known), outputs)
        self._inbound_nodes.append(Node(self, (inputs, *args), given, outputs))
        return outputs

    def _needs_build(self) -> bool:
        return type(self).build is not Layer.build

    # ---- description ------------------------------------------------------------------------
    @property
    def dtype(self) -> str:
        """The type of weights, by name."""
        return self._policy.variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """The type of the computation, by name; floating inputs are cast to it."""
        return self._policy.compute_dtype

    @property
    def dtype_policy(self) -> policy.Policy:
        return self._policy

    def _set_policy(self, given: policy.Policy) -> None:
        self._policy = given
        self._dtype, self._weight_dtype = given._compute, given._variable
        # weights of plain layers are read as they are kept
        self._read_in = self._dtype if self._dtype in _OTHER_THAN_USUAL else None

    @property
    def dynamic(self) -> bool:
        """Whether `call` of this layer or of one inside it runs eagerly alone."""
        return any(layer._dynamic for layer in self._flatten_layers())

    @property
    def activity_regularizer(self) -> Any:
        return self._activity_regularizer

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON.

        Raises NotImplementedError for a subclass that does not define it and was made with
        arguments that JSON cannot hold.
        """
        config = {
            "name": self._name,
            "trainable": self._trainable,
            "dtype": policy.serialize(self._policy),
        }
        if self._batch_input_shape is not None:
            config["batch_input_shape"] = self._batch_input_shape
        if type(self).get_config is Layer.get_config and type(self).__init__ is not Layer.__init__:
            return automatic_config(self, config)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} object at 0x{id(self):x}>"


def _as_tensor(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic, float, int)):
        return convert_to_tensor(x)
    return x


def _batch_size(t: Tensor) -> Any:
    return shape(t)[0]

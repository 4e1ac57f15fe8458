"""The weights of layers: made, found among the attributes, read and set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.checkpoint import pending
from shardtape.keras import constraints, initializers, regularizers
from shardtape.keras.autocast import AutoCastVariable
from shardtape.keras.metrics.base import Metric
from shardtape.module import Module
from shardtape.replica_context import outside_replicas
from shardtape.shapes import TensorShape
from shardtape.variable import Variable
from shardtape.variable_synchronization import VariableAggregation, VariableSynchronization

_NO_ARRAYS = ("string", "resource", "variant")
_HOLDING = (Variable, Module, list, tuple, dict)  # what `_members` looks into


class WeightHolder(Module):
    """What of `Layer` concerns weights. `Layer.__init__` sets the attributes named here."""

    built: bool
    _build_input_shape: Any = None  # nested TensorShapes, once it is built
    _dtype: dt.DType  # of the computation
    _weight_dtype: dt.DType
    _trainable: bool
    _made_weights: list[Variable]
    _weight_penalties: list[Callable[[], Any]]
    _counts_metrics = False  # whether the state of metrics is among the weights

    def _needs_build(self) -> bool:
        """Whether `build` makes weights."""
        return False

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
          experimental_autocast: False: under a mixed policy `call` reads it as it is kept.
        """
        if not isinstance(name, str) and name is not None and shape is None:
            name, shape = None, name  # Keras 3's order: add_weight(shape)
        dtype = self._weight_dtype if dtype is None else dt.as_dtype(dtype)
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
        # Keras calls the option by this name
        casts = kwargs.get("experimental_autocast", kwargs.get("autocast", True))
        mixed = self._dtype is not self._weight_dtype and dtype.is_floating
        kind = AutoCastVariable if casts and mixed else Variable
        waiting = self._waiting_value(name, tuple(sizes), dtype)
        variable = kind(
            lambda: initializer(sizes, dtype=dtype) if waiting is None else waiting,
            trainable is None or trainable,
            name=name, dtype=dtype, constraint=constraints.get(constraint),
            synchronization=synchronization, aggregation=aggregation,
        )  # fmt: skip
        self._made_weights.append(variable)
        regularizer = regularizers.get(regularizer)
        if regularizer is not None:
            self._weight_penalties.append(lambda: regularizer(variable))
        return variable

    add_variable = add_weight

    def _waiting_value(self, name: str | None, shape: tuple[int, ...], dtype: dt.DType) -> Any:
        """What a restore has for a weight that is about to be made; None for the most."""
        if name is None or not pending.waits():
            return None
        from shardtape.keras.layers.base import outermost_call

        # one that a layer makes in its `build` is not known before that is done
        concerned = (self, outermost_call())
        return pending.value_for(self, name, shape, dtype.name, concerned)

    def _own_variables(self) -> list[Variable]:
        """Variables of the layer and of its plain modules, in the order of their creation."""
        return self._found_variables(self._counts_metrics)

    def _found_variables(self, of_metrics: bool) -> list[Variable]:
        found: dict[int, Variable] = {v._id: v for v in self._made_weights}
        for value in self._tracked():
            if isinstance(value, Variable):
                found[value._id] = value
            elif isinstance(value, Metric) and not of_metrics:
                continue
            elif isinstance(value, Module) and not isinstance(value, WeightHolder):
                found.update((v._id, v) for v in value.variables)
        return [found[key] for key in sorted(found)]

    def _tracked(self) -> Iterator[Any]:
        """Layers, modules, Variables and metrics among the attributes, in order."""
        assigned = self.__dict__.get("_assigned", ())
        for name, value in self.__dict__.items():
            # most are none of these: each call of a layer walks over all of them
            if name in assigned and isinstance(value, _HOLDING) and name not in self._unseen:
                yield from _members(value)

    def __setattr__(self, name: str, value: Any) -> None:
        # as in Keras what is put into `vars(layer)` past this is not part of the layer
        if isinstance(value, _HOLDING):
            self.__dict__.setdefault("_assigned", set()).add(name)
        super().__setattr__(name, value)

    def _sublayers(self) -> list[Any]:
        """The layers that hang directly on this one, each once."""
        found: dict[int, Any] = {}
        for value in self._tracked():
            if isinstance(value, WeightHolder) and value is not self:
                found.setdefault(id(value), value)
        return list(found.values())

    def _flatten_layers(self, recursive: bool = True, include_self: bool = True) -> Iterator[Any]:
        """This layer and those inside it, depth first."""
        if include_self:
            yield self
        for layer in self._sublayers():
            yield from layer._flatten_layers() if recursive else (layer,)

    @property
    def submodules(self) -> tuple[Module, ...]:
        """All layers, metrics and modules inside this one, those of each before what is in them."""
        found: dict[int, Module] = {id(self): self}

        def visit(module: Module) -> None:
            own: Any = module._flatten(recursive=False)
            if isinstance(module, WeightHolder):
                network = getattr(module, "_network", None)  # which has inputs as layers, too
                inputs = [] if network is None else network.layers
                own = [*inputs, *module._sublayers(), *module._tracked()]
            new = {id(m): m for m in own if isinstance(m, Module) and id(m) not in found}
            found.update(new)
            for inner in new.values():
                visit(inner)

        visit(self)
        return tuple(found.values())[1:]

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

    def get_weights(self) -> list[Any]:
        """The values of `weights`."""
        return [np.array(v._read_array())[()] for v in self.weights]

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
            with outside_replicas():
                variable.assign(np.asarray(array, variable.dtype.numpy_dtype))

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` takes: the shape that the layer was built for, if it was."""
        shapes = self._build_input_shape
        if shapes is None:
            return None
        return {"input_shape": _as_tuples(shapes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for what `get_build_config` gave."""
        shape = config["input_shape"]
        if shape is None:
            return
        several = isinstance(shape, (list, tuple)) and any(
            isinstance(s, (list, tuple)) for s in shape
        )
        shapes: Any = [TensorShape(s) for s in shape] if several else TensorShape(shape)
        self.build(shapes)  # type: ignore[attr-defined]
        self.built = True

    def save_own_variables(self, store: Any) -> None:
        """Puts the weights that are the layer's own into a mapping, under "0", "1", ..."""
        for i, variable in enumerate(self._kept_variables()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Takes over what `save_own_variables` gave.

        Raises ValueError where number or shapes do not fit.
        """
        variables = self._kept_variables()
        if len(store) != len(variables):
            raise ValueError(
                f"Layer '{self._name}' expected {len(variables)} variables, but received "
                f"{len(store)} variables during loading. Expected: {[v.name for v in variables]}"
            )
        arrays = [np.asarray(store[str(i)]) for i in range(len(variables))]
        for variable, array in zip(variables, arrays):
            if tuple(variable.shape) != array.shape:
                raise ValueError(
                    f"Layer '{self._name}': cannot assign value to variable '{variable.name}': "
                    f"Shape mismatch. The variable shape {tuple(variable.shape)}, and the "
                    f"assigned value shape {array.shape} are incompatible."
                )
        for variable, array in zip(variables, arrays):
            with outside_replicas():
                variable.assign(np.asarray(array, variable.dtype.numpy_dtype))

    def _kept_variables(self) -> list[Variable]:
        """The weights of the layer and of none inside it: trained ones first."""
        made = {v._id for v in self._made_weights}
        found = self._found_variables(of_metrics=False)  # which keep their state themselves
        own = [v for v in found if v._id in made or v.dtype.name not in _NO_ARRAYS]
        return [*[v for v in own if v.trainable], *[v for v in own if not v.trainable]]

    def count_params(self) -> int:
        """The number of weights. Raises ValueError before the layer is built."""
        if not self.built and self._needs_build():
            raise ValueError(
                f"You tried to call `count_params` on layer {self._name}, but the layer isn't "
                "built. You can build it manually via: "
                f"`{self._name}.build(batch_input_shape)`."
            )
        return sum(v.shape.num_elements() or 0 for v in self.weights)


def _as_tuples(shapes: Any) -> Any:
    """Shapes as tuples, in their structure."""
    if isinstance(shapes, TensorShape):
        return None if shapes.rank is None else tuple(shapes)
    if isinstance(shapes, dict):
        return {name: _as_tuples(shape) for name, shape in shapes.items()}
    if isinstance(shapes, (list, tuple)):
        return type(shapes)(_as_tuples(shape) for shape in shapes)
    return shapes


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

"""Layers around a layer: Bidirectional, TimeDistributed."""

from __future__ import annotations

import inspect
from typing import Any

from shardtape import nest
from shardtape.graph.scopes import name_scope
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.recurrent import standard_arguments
from shardtape.ops.array import concat, reshape, reverse, shape
from shardtape.shapes import TensorShape


class Wrapper(Layer):
    """Base of layers that hold one in `layer`."""

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Layer {layer} supplied to wrapper is not a supported layer type. Please ensure "
                "wrapped layer is a valid Keras layer."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.layers import serialize

        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from shardtape.keras.layers import deserialize

        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize(config[name], custom_objects)
        return cls(**config)


class Bidirectional(Wrapper):
    """A recurrent layer and its mirror image, which starts at the last step.

    Args:
      layer: has `go_backwards`, `return_sequences`, `return_state`; it is copied.
      merge_mode: how the outputs become one: "concat", "sum", "mul", "ave"; None gives both.
      backward_layer: the mirror image, where it is not the same layer backwards.
    """

    _unseen = Wrapper._unseen | {"layer"}

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", weights: Any = None,
        backward_layer: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode}. Merge mode should be one of "
                '{"sum", "mul", "ave", "concat", None}'
            )
        super().__init__(layer, **kwargs)
        self.forward_layer = _copy(layer)
        self._own_backward = backward_layer
        self.backward_layer = _copy(layer, True) if backward_layer is None else backward_layer
        for prefix, one in (("forward", self.forward_layer), ("backward", self.backward_layer)):
            one._name = f"{prefix}_{one.name}"
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self._check()
        self.merge_mode = merge_mode
        if weights:
            half = len(weights) // 2
            self.forward_layer._initial_weights = weights[:half]
            self.backward_layer._initial_weights = weights[half:]
        self.stateful, self.return_sequences = layer.stateful, layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self._trainable = kwargs.get("trainable", layer.trainable)
        self.input_spec = layer.input_spec

    _unseen = _unseen | {"_own_backward"}

    def _check(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    "Forward layer and backward layer are expected to have the same value for "
                    f'attribute "{name}", got "{getattr(forward, name)}" for forward layer and '
                    f'"{getattr(backward, name)}" for backward layer'
                )

    def build(self, input_shape: Any = None) -> None:
        for one in (self.forward_layer, self.backward_layer):
            if not one.built:
                with name_scope(one.name):
                    one.build(input_shape)
                one.built = True
                if one._initial_weights is not None:
                    one.set_weights(one._initial_weights)
                    one._initial_weights = None
        self.built = True

    def __call__(  # type: ignore[override]
        self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any
    ) -> Any:
        inputs, initial_state, constants = standard_arguments(inputs, initial_state, constants, 0)
        if initial_state is not None:
            if len(initial_state) % 2:
                raise ValueError(
                    "When passing `initial_state` to a Bidirectional RNN, the state should be a "
                    "list containing the states of the underlying RNNs. Received: "
                    f"{initial_state}"
                )
            kwargs["initial_state"] = initial_state
        if constants is not None:
            kwargs["constants"] = constants
        return super().__call__(inputs, **kwargs)

    def call(
        self, inputs: Any, training: Any = None, mask: Any = None, initial_state: Any = None,
        constants: Any = None,
    ) -> Any:  # fmt: skip
        options = {} if constants is None else {"constants": constants}
        parameters = inspect.signature(type(self.layer).call).parameters
        if "training" in parameters:
            options["training"] = training
        if "mask" in parameters and mask is not None:
            options["mask"] = mask
        ahead = behind = options
        if initial_state is not None:
            half = len(initial_state) // 2
            ahead = {**options, "initial_state": initial_state[:half]}
            behind = {**options, "initial_state": initial_state[half:]}
        y, mirrored = self.forward_layer(inputs, **ahead), self.backward_layer(inputs, **behind)
        states: list[Any] = []
        if self.return_state:
            states = [*y[1:], *mirrored[1:]]
            y, mirrored = y[0], mirrored[0]
        if self.return_sequences:
            mirrored = reverse(mirrored, [0 if self.forward_layer.time_major else 1])
        merged = self._merged(y, mirrored)
        if not self.return_state:
            return merged
        return [*(merged if self.merge_mode is None else [merged]), *states]

    def _merged(self, y: Any, mirrored: Any) -> Any:
        if self.merge_mode == "concat":
            return concat([y, mirrored], -1)
        if self.merge_mode == "sum":
            return y + mirrored
        if self.merge_mode == "ave":
            return (y + mirrored) / 2
        return y * mirrored if self.merge_mode == "mul" else [y, mirrored]

    def reset_states(self, states: Any = None) -> None:
        """Forgets the kept states of both layers, or sets them."""
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        half = len(states) // 2 if states is not None else 0
        self.forward_layer.reset_states(None if states is None else states[:half])
        self.backward_layer.reset_states(None if states is None else states[half:])

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape_ = self.forward_layer.compute_output_shape(input_shape)
        states: list[Any] = []
        if self.return_state:
            shape_, states = shape_[0], shape_[1:]
        if self.merge_mode == "concat":
            shape_ = shape_[:-1].concatenate([shape_[-1] * 2])
        merged = [shape_, shape_] if self.merge_mode is None else [shape_]
        if self.return_state:
            return [*merged, *states, *states]
        return merged if self.merge_mode is None else shape_

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = nest.flatten(mask)[0]
        kept = mask if self.return_sequences else None
        masks = [kept, kept] if self.merge_mode is None else [kept]
        if self.return_state:
            return [*masks, *[None] * (2 * len(self.forward_layer.states))]
        return masks if self.merge_mode is None else kept

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.layers import serialize

        config = {**super().get_config(), "merge_mode": self.merge_mode}
        if self._own_backward is not None:
            made = serialize(self._own_backward)
            made["config"]["name"] = made["config"]["name"].removeprefix("backward_")
            config["backward_layer"] = made
        return config


def _copy(layer: Any, mirrored: bool = False) -> Any:
    config = layer.get_config()
    if mirrored:
        config["go_backwards"] = not config["go_backwards"]
    if "custom_objects" not in inspect.signature(type(layer).from_config).parameters:
        return type(layer).from_config(config)
    cells = [c for c in (getattr(layer, "cell", None),) if c is not None]
    cells += getattr(cells[0], "cells", []) if cells else []
    own = {type(cell).__name__: type(cell) for cell in cells}
    return type(layer).from_config(config, custom_objects=own)


class TimeDistributed(Wrapper):
    """Calls a layer on each step of (batch, steps, ...)."""

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        several = isinstance(input_shape, (list, tuple)) and any(
            isinstance(s, (list, tuple, TensorShape)) for s in input_shape
        )
        for one in input_shape if several else [input_shape]:
            rank = TensorShape(one).rank
            if rank is not None and rank < 3:
                raise ValueError(
                    "`TimeDistributed` Layer should be passed an `input_shape ` with at least 3 "
                    f"dimensions, received: {tuple(TensorShape(one))}"
                )
        if several:
            super().build(type(input_shape)(_without_steps(TensorShape(s)) for s in input_shape))
        else:
            super().build(_without_steps(TensorShape(input_shape)))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        parameters = inspect.signature(type(self.layer).call).parameters
        options: dict[str, Any] = {}
        if "training" in parameters:
            options["training"] = training
        if "mask" in parameters and mask is not None:
            options["mask"] = nest.map_structure(_merged_steps, mask)
        first = nest.flatten(inputs)[0]
        if hasattr(first, "flat_values"):  # rows of steps: the layer takes the steps of all
            return first.with_values(self.layer(first.values, **options))
        sizes, dynamic = first.shape.as_list(), shape(first)
        batch = sizes[0] if sizes[0] is not None else dynamic[0]
        steps = sizes[1] if sizes[1] is not None else dynamic[1]
        y = self.layer(nest.map_structure(_merged_steps, inputs), **options)

        def parted(t: Any) -> Any:
            inner, full = t.shape.as_list()[1:], shape(t)
            rest = [full[i + 1] if d is None else d for i, d in enumerate(inner)]
            out = reshape(t, [batch, steps, *rest])
            if hasattr(out, "set_shape"):
                out.set_shape([sizes[0], sizes[1], *inner])
            return out

        return nest.map_structure(parted, y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        full = TensorShape(input_shape)
        inner = self.layer.compute_output_shape(_without_steps(full))
        return TensorShape([full[0], full[1], *inner.as_list()[1:]])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask


def _without_steps(full: TensorShape) -> TensorShape:
    return TensorShape([full[0], *full.as_list()[2:]])


def _merged_steps(t: Any) -> Any:
    """(batch, steps, ...) as (batch x steps, ...)."""
    rest, dynamic = t.shape.as_list()[2:], shape(t)
    return reshape(t, [-1, *[dynamic[i + 2] if d is None else d for i, d in enumerate(rest)]])

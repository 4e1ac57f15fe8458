"""What a layer knows of its symbolic calls: their inputs, outputs, shapes and masks."""

from __future__ import annotations

import warnings
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.context import state
from shardtape.graph.func_graph import TensorSpec
from shardtape.keras.layers.weights import WeightHolder
from shardtape.keras.masks import mask_of
from shardtape.keras.symbolic import Node, is_keras_tensor
from shardtape.ops import source
from shardtape.shapes import TensorShape


class CalledSymbolically(WeightHolder):
    """What of `Layer` concerns symbolic calls. `Layer.__init__` sets the attributes named here."""

    _name: str
    _inbound_nodes: list[Node]
    _dtype: dt.DType

    def __getstate__(self) -> dict[str, Any]:
        # symbolic calls are those of the original
        return {**self.__dict__, "_inbound_nodes": []}

    @property
    def inbound_nodes(self) -> list[Node]:
        """The symbolic calls, in their order."""
        return self._inbound_nodes

    @property
    def outbound_nodes(self) -> list[Node]:
        """The symbolic calls of layers that take this layer's outputs, in their order."""
        found: dict[int, Node] = {}
        for own in self._inbound_nodes:
            made = [t for t in nest.flatten(own.outputs) if is_keras_tensor(t)]
            keys = {t._id for t in made}
            for graph in {id(t.graph): t.graph for t in made}.values():
                for node, _ in graph.history.values():
                    if any(t._id in keys for t in node.inputs()):
                        found[node.index] = node
        return [found[index] for index in sorted(found)]

    def _only_node(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(f"The layer {self._name} has never been called symbolically and "
                                 f"thus has no defined {what}.")  # fmt: skip
        return self._inbound_nodes[0]

    def _node_at(self, index: int, what: str) -> Node:
        if not self._inbound_nodes:
            raise RuntimeError(
                f"The layer {self._name} has never been called and thus has no defined {what}."
            )
        if index >= len(self._inbound_nodes):
            raise ValueError(
                f"Asked to get {what} at node {index}, but the layer has only "
                f"{len(self._inbound_nodes)} inbound nodes."
            )
        return self._inbound_nodes[index]

    @property
    def input(self) -> Any:
        """The symbolic inputs of the first symbolic call."""
        return _inputs(self._only_node("input"))

    @property
    def output(self) -> Any:
        """The symbolic outputs of the first symbolic call."""
        return self._only_node("output").outputs

    @property
    def input_shape(self) -> Any:
        """The shape of the inputs. Raises AttributeError where calls differ in it."""
        if getattr(self, "_is_graph_network", False):  # of its own inputs, whoever calls it
            return _shapes(self.input)
        shapes = [_shapes(_inputs(n)) for n in self._inbound_nodes]
        return self._common_shape("input", shapes) if shapes else _shapes(self.input)

    @property
    def output_shape(self) -> Any:
        """The shape of the outputs. Raises AttributeError where calls differ in it."""
        if getattr(self, "_is_graph_network", False):
            return _shapes(self.output)
        shapes = [_shapes(n.outputs) for n in self._inbound_nodes]
        return self._common_shape("output", shapes) if shapes else _shapes(self.output)

    def _common_shape(self, what: str, shapes: list[Any]) -> Any:
        if any(shape != shapes[0] for shape in shapes[1:]):
            raise AttributeError(
                f'The layer "{self._name}" has multiple inbound nodes, with different {what} '
                f'shapes. Hence the notion of "{what} shape" is ill-defined for the layer. Use '
                f"`get_{what}_shape_at(node_index)` instead."
            )
        return shapes[0]

    @property
    def input_mask(self) -> Any:
        """The masks of the inputs of the first symbolic call; None for an input without one."""
        return _masks(self.input)

    @property
    def output_mask(self) -> Any:
        """The masks of the outputs of the first symbolic call."""
        return _masks(self.output)

    def get_input_at(self, node_index: int) -> Any:
        """The inputs of a symbolic call.

        Raises RuntimeError where the layer was never called, ValueError for a call too many (so
        do the methods below).
        """
        return _inputs(self._node_at(node_index, "input"))

    def get_output_at(self, node_index: int) -> Any:
        """The outputs of a symbolic call."""
        return self._node_at(node_index, "output").outputs

    def get_input_shape_at(self, node_index: int) -> Any:
        """The shapes of the inputs of a symbolic call, as tuples."""
        return _shapes(_inputs(self._node_at(node_index, "input shape")))

    def get_output_shape_at(self, node_index: int) -> Any:
        """The shapes of the outputs of a symbolic call, as tuples."""
        return _shapes(self._node_at(node_index, "output shape").outputs)

    def get_input_mask_at(self, node_index: int) -> Any:
        """The masks of the inputs of a symbolic call."""
        return _masks(_inputs(self._node_at(node_index, "input")))

    def get_output_mask_at(self, node_index: int) -> Any:
        """The masks of the outputs of a symbolic call."""
        return _masks(self._node_at(node_index, "output").outputs)

    def compute_output_signature(self, input_signature: Any) -> Any:
        """Specs of the outputs for specs (shape and dtype) of the inputs.

        Raises TypeError for something else than TensorSpecs.
        """
        for spec in nest.flatten(input_signature):
            if not isinstance(spec, TensorSpec):
                raise TypeError(
                    f"Only TensorSpec signature types are supported. Received: {spec!r}"
                )
        shapes = nest.map_structure(lambda spec: spec.shape, input_signature)
        made = self.compute_output_shape(shapes)  # type: ignore[attr-defined]
        return nest.map_structure(lambda shape: TensorSpec(shape, self._dtype), made)

    def _declared_outputs(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs of a layer whose `call` is not to be traced."""
        rule: Any = type(self).compute_output_shape  # type: ignore[attr-defined]
        if rule.__module__.startswith("shardtape."):
            raise NotImplementedError(
                "Please run in eager mode or implement the `compute_output_shape` method on your "
                f"layer ({type(self).__name__})."
            )
        shapes = self.compute_output_shape(  # type: ignore[attr-defined]
            nest.map_structure(lambda t: t.shape, inputs)
        )
        if not is_nested_shape(shapes):
            shapes = TensorShape(shapes)

        def placeholder(shape: Any) -> Any:
            attrs = {"dtype": self._dtype, "shape": TensorShape(shape)}
            return state.graph.add_op(source.placeholder, (), attrs)

        if isinstance(shapes, TensorShape):
            return placeholder(shapes)
        return type(shapes)(placeholder(shape) for shape in shapes)

    @property
    def updates(self) -> list[Any]:
        """Always empty: updates run when they are added."""
        warnings.warn(
            "`layer.updates` is always empty, as updates are applied when they are added",
            stacklevel=2,
        )
        return []


def is_nested_shape(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and any(
        isinstance(s, (list, tuple, TensorShape)) for s in shape
    )


def _inputs(node: Node) -> Any:
    return node.args[0] if node.args else node.outputs


def _shapes(tensors: Any) -> Any:
    return nest.map_structure(lambda t: tuple(t.shape), tensors)


def _masks(tensors: Any) -> Any:
    return nest.map_structure(mask_of, tensors)

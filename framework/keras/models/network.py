"""A network of layer calls between symbolic inputs and outputs, which runs on real tensors."""

from __future__ import annotations

import warnings
from typing import Any

from shardtape import nest
from shardtape.keras.function_calls import CallNode
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.call_errors import as_check
from shardtape.keras.symbolic import (
    Node,
    OperationCall,
    fixed_value,
    is_keras_tensor,
    node_of,
)
from shardtape.ops.composites import is_composite, override_of
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.ops.state import apply_resource
from shardtape.tensor import SymbolicTensor
from shardtape.variable import Variable


class Network:
    """The calls that lead from `inputs` to `outputs` (symbolic tensors, nested), in order.

    Args:
      added: further symbolic tensors that `run` may be asked for.

    Attributes:
      layers: each layer once, from the inputs on; calls of functions are among them.
      calls: as `nodes`, with the operations of one function's call as one node.
      name: of the model that it belongs to, for errors.

    Raises:
      ValueError: an output depends on an input that is not given, two layers share a name.
    """

    def __init__(self, inputs: Any, outputs: Any, added: Any = ()) -> None:
        inputs, outputs = _unwrapped(inputs), _unwrapped(outputs)
        self.inputs, self.outputs = inputs, outputs
        self.name = "model"
        self._flat_inputs = nest.flatten(inputs)
        for t in [*self._flat_inputs, *nest.flatten(outputs)]:
            if not is_keras_tensor(t):
                raise ValueError(
                    "Found unexpected instance while processing input tensors for "
                    "keras functional model. Expecting a tensor which is from tf.keras.Input() or "
                    f"output from keras layer call(). Got: {t}"
                )
        if len({t._id for t in self._flat_inputs}) != len(self._flat_inputs):
            raise ValueError(
                "The list of inputs passed to the model contains the same input multiple times. "
                f"All inputs should only appear once. Received inputs={inputs}"
            )
        wanted = [*nest.flatten(outputs), *added]
        for t in wanted:
            t.graph.end_call()
        self._nodes, self._by_tensor = _ordered(self._flat_inputs, wanted)
        self.calls, self._callers = _calls(self._nodes, self._by_tensor)
        self.layers = _layers(self.calls, self._flat_inputs, wanted, self._callers)
        self._run_order = _by_depth(self._nodes, self.calls, self._callers)
        names = [layer.name for layer in self.layers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f'The name "{name}" is used {names.count(name)} times in the model. All layer '
                    "names should be unique."
                )

    @property
    def input_names(self) -> list[str]:
        return [_producer_name(t) for t in self._flat_inputs]

    @property
    def output_names(self) -> list[str]:
        names: list[str] = []
        for t in nest.flatten(self.outputs):
            base = name = self._callers[t._id].layer.name
            copies = 0
            while name in names:
                copies += 1
                name = f"{base}_{copies}"
            names.append(name)
        return names

    @property
    def flat_inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs, in order."""
        return list(self._flat_inputs)

    def order_layers(self, names: list[str]) -> None:
        """Puts the layers in the order of a file, which is that of its weights."""
        places = {name: i for i, name in enumerate(names)}
        if {layer.name for layer in self.layers} <= set(places):
            self.layers.sort(key=lambda layer: places[layer.name])

    def producer_name(self, tensor: SymbolicTensor) -> str:
        """The name of the layer that made a tensor."""
        return _producer_name(tensor)

    @property
    def nodes(self) -> list[Node]:
        """The calls of layers and the single operations between them, in order."""
        return self._nodes

    def caller_of(self, tensor: SymbolicTensor) -> tuple[Any, int] | None:
        """The node of `calls` that made a tensor, and its place among the outputs."""
        node = self._callers.get(tensor._id)
        if node is None:
            return None
        if isinstance(node, CallNode):
            return node, node.place_of(tensor)
        return node, tensor.graph.history.get(tensor._id, (None, 0))[1]

    def run(self, inputs: Any, training: Any = None, added: Any = None) -> Any:
        """The outputs for real inputs, nested as the symbolic ones (or in their order).

        Args:
          added: symbolic tensors whose values are returned too: (outputs, values).

        Raises ValueError where their number differs.
        """
        try:
            given = self._given(inputs)
        except ValueError as error:
            raise as_check(error) from None
        values = dict(zip([t._id for t in self._flat_inputs], given))
        for node in self._run_order:
            args = nest.map_structure(lambda t: _value(t, values), node.args)
            kwargs = nest.map_structure(lambda t: _value(t, values), node.kwargs)
            if isinstance(node.layer, OperationCall):
                operation = node.layer.operation
                made = run_operation(operation.op_def, args, operation.attrs)
            else:
                if training is not None and kwargs.get("training") is None:
                    kwargs = {**kwargs, "training": training}
                made = node.layer(*args, **kwargs)
            for symbolic, value in zip(nest.flatten(node.outputs), nest.flatten(made)):
                if is_keras_tensor(symbolic):
                    values[symbolic._id] = value
        outputs = nest.map_structure(lambda t: values[t._id], self.outputs)
        return outputs if added is None else (outputs, [values[t._id] for t in added])

    def fitted(self, inputs: Any) -> Any:
        """The only input as the network takes it; see `_fitted`."""
        flat = nest.flatten(inputs)
        if len(flat) != 1:
            return inputs
        try:
            return self._fitted(0, flat[0])
        except ValueError as error:
            raise as_check(error) from None

    def _given(self, inputs: Any) -> list[Any]:
        if isinstance(inputs, dict):
            flat = self._chosen(inputs)
        else:
            flat = nest.flatten(inputs)
        if len(flat) != len(self._flat_inputs):
            raise ValueError(
                f"the model takes {len(self._flat_inputs)} input(s) ({', '.join(self.input_names)})"
                f", got {len(flat)}"
            )
        return [self._fitted(i, x) for i, x in enumerate(flat)]

    def _chosen(self, given: dict[str, Any]) -> list[Any]:
        """The values that belong to the inputs, by key or by the name of an input layer."""
        wanted = sorted(self.inputs) if isinstance(self.inputs, dict) else self.input_names
        missing = [n for n in wanted if n not in given]
        if missing:
            raise ValueError(
                f'Missing data for input "{missing[0]}". You passed a data dictionary with '
                f"keys {list(given)}. Expected the following keys: {list(wanted)}"
            )
        others = [n for n in given if n not in wanted]
        if others:
            warnings.warn(
                f"Input dict contained keys {others} which did not match any model input. "
                "They will be ignored by the model.",
                stacklevel=2,
            )
        return nest.flatten([given[n] for n in wanted])

    def _fitted(self, position: int, x: Any) -> Any:
        """An input as a tensor of the wanted type; a missing or superfluous last axis is mended.

        Raises ValueError for other sizes than those of the symbolic input; batches may differ.
        """
        from shardtape.ops.array import expand_dims, squeeze
        from shardtape.ops.cast import cast

        symbolic = self._flat_inputs[position]
        stands_for = symbolic.graph.composites.get(symbolic._id)
        if stands_for is not None and not is_composite(stands_for):  # an extension type
            if type(x) is not type(stands_for):
                raise ValueError(
                    f'Input {position} of layer "{self.name}" is incompatible with the layer: '
                    f"expected a {type(stands_for).__name__}, got a {type(x).__name__}"
                )
            return x
        # ragged and sparse tensors stay as they are
        if not hasattr(x, "_as_tensor") and not is_composite(x):
            x = convert_to_tensor(x)
        if x.dtype is not symbolic.dtype:
            x = cast(x, symbolic.dtype)
        wanted, rank = symbolic.shape, x.shape.rank
        if wanted.rank is not None and rank is not None:
            if rank == wanted.rank + 1 and x.shape[-1] == 1:
                x = squeeze(x, [-1])
            elif rank == wanted.rank - 1 and wanted[-1] == 1:
                x = expand_dims(x, -1)
            elif any(a is not None and b is not None and a != b
                     for a, b in zip(tuple(wanted)[1:], tuple(x.shape)[1:])):  # fmt: skip
                raise ValueError(
                    f'Input {position} of layer "{self.name}" is incompatible with the layer: '
                    f"expected shape={wanted}, found shape={x.shape}"
                )
        return x


def _unwrapped(given: Any) -> Any:
    """A list of one tensor is that tensor."""
    if isinstance(given, list) and len(given) == 1 and not nest.is_nested(given[0]):
        return given[0]
    return given


def _value(t: Any, values: dict[int, Any]) -> Any:
    if not is_keras_tensor(t):
        return t
    found = values.get(t._id)
    if found is not None:
        return found
    found = fixed_value(t)
    if found is not None:
        return found
    raise KeyError(t.name)


def run_operation(op_def: Op, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Applies an op to tensors, or to a Variable and tensors."""
    for x in inputs:
        if is_composite(x):
            return _run_on_composite(op_def, inputs, attrs)
    if inputs and isinstance(inputs[0], Variable):
        return apply_resource(op_def, inputs[0], tuple(inputs[1:]), attrs)
    return op_def(*inputs, **attrs)


def _run_on_composite(op_def: Op, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    from shardtape.keras.saving import operation_layers

    taken = override_of(op_def.type, inputs[0])
    if taken is not None:  # a reduction of ragged rows
        axes = inputs[1].numpy().tolist()
        return taken(inputs[0], axes, attrs.get("keep_dims", False))
    if operation_layers.is_shaping(op_def.type):
        return operation_layers.shaped(op_def, inputs, attrs)
    return op_def(*inputs, **attrs)


def _producer_name(t: SymbolicTensor) -> str:
    node = t.graph.history.get(t._id)
    return node[0].layer.name if node is not None and node[0].layer is not None else t.op.name


def _ordered(
    inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]
) -> tuple[list[Node], dict[int, Node]]:
    """The calls between, each after those that it depends on, and the call of each tensor."""
    stop = {t._id for t in inputs}
    by_tensor: dict[int, Node] = {}
    for t in inputs:
        found = t.graph.history.get(t._id)
        by_tensor[t._id] = found[0] if found else Node(None, (), {}, t)
    done: set[int] = set()
    order: list[Node] = []
    made: dict[int, Node] = {}
    stack: list[tuple[SymbolicTensor, bool]] = [(t, False) for t in reversed(outputs)]
    while stack:
        t, expanded = stack.pop()
        if t._id in stop:
            continue
        node = made.get(t._id)
        if node is None:
            node = node_of(t)
            for out in nest.flatten(node.outputs):
                if is_keras_tensor(out):
                    made[out._id] = node
        if id(node) in done:
            continue
        if not expanded:
            _check_connected(t, node)
            stack.append((t, True))
            stack.extend((x, False) for x in reversed(list(node.inputs())) if not _is_given(x))
            continue
        done.add(id(node))
        order.append(node)
    by_tensor.update(made)
    return order, by_tensor


def _calls(nodes: list[Node], by_tensor: dict[int, Node]) -> tuple[list[Any], dict[int, Any]]:
    """The nodes with each function's operations as one, after the last of them; by tensor too."""
    made: dict[int, Any] = {}
    found: dict[int, Any] = {}
    callers: dict[int, Any] = dict(by_tensor)
    for node in nodes:
        key, shown = id(node), node
        if isinstance(node.layer, OperationCall):
            operation = node.layer.operation
            call = operation.graph.calls.get(operation)
            if call is not None:
                key = id(call)
                shown = made.setdefault(key, CallNode(call))
                callers.update((t._id, shown) for t in operation.outputs)
        found.pop(key, None)
        found[key] = shown
    return list(found.values()), callers


def _is_given(t: SymbolicTensor) -> bool:
    """Constants from outside, and handles of Variables."""
    return t.op.is_handle or t.op.type == "Const" or fixed_value(t) is not None


def _check_connected(t: SymbolicTensor, node: Node) -> None:
    if node.layer is None or (t.op.type == "Placeholder" and not node.args):
        raise ValueError(
            f"Graph disconnected: cannot obtain value for tensor {t}: it is no input of the model"
        )


def _as_met(outputs: list[SymbolicTensor], by_tensor: dict[int, Node]) -> dict[int, int]:
    """The place of each layer on the way from the outputs to the inputs, depth first."""
    places: dict[int, int] = {}
    seen: set[int] = set()
    stack = list(reversed(outputs))
    while stack:
        node = by_tensor.get(stack.pop()._id)
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        places.setdefault(id(node.layer), len(places))
        stack.extend(reversed(list(node.inputs())))
    return places


def _depths(nodes: list[Any], by_tensor: dict[int, Any]) -> tuple[dict[int, int], dict[int, int]]:
    """The distance of each call from the outputs, in the order in which they are met; of layers."""
    depths: dict[int, int] = {}
    layer_depth: dict[int, int] = {}
    for node in reversed(nodes):
        depth = max(depths.get(id(node), 0), layer_depth.get(id(node.layer), 0))
        depths[id(node)] = layer_depth[id(node.layer)] = depth
        for t in node.inputs():
            parent = by_tensor.get(t._id)
            if parent is not None:
                depths[id(parent)] = max(depth + 1, depths.get(id(parent), 0))
    return depths, layer_depth


def _by_depth(nodes: list[Node], calls: list[Any], callers: dict[int, Any]) -> list[Node]:
    """The calls as Keras runs them, the farthest from the outputs first.

    It matters for random operations without a seed, whose numbers depend on the place in the graph.
    """
    depths, _ = _depths(calls, callers)
    places = {key: (-depth, i) for i, (key, depth) in enumerate(depths.items())}

    def place(node: Node) -> tuple[int, int]:
        made = next((t for t in nest.flatten(node.outputs) if is_keras_tensor(t)), None)
        return places[id(node if made is None else callers.get(made._id, node))]

    return sorted(nodes, key=place)


def _layers(
    nodes: list[Any], inputs: list[SymbolicTensor], outputs: list[SymbolicTensor],
    by_tensor: dict[int, Any],
) -> list[Layer]:  # fmt: skip
    """Layers by their distance from the outputs, the farthest first, as Keras lists them."""
    depths, layer_depth = _depths(nodes, by_tensor)
    entrances = [by_tensor[t._id] for t in inputs]
    met = _as_met(outputs, by_tensor)
    found: dict[int, tuple[int, int, Any]] = {}
    for node in [*entrances, *nodes]:
        position = met.get(id(node.layer), -1)
        layer = node.layer
        if isinstance(layer, Layer):
            depth = max(depths.get(id(node), 0), layer_depth.get(id(layer), 0))
            if id(layer) not in found or depth > found[id(layer)][0]:
                first = found[id(layer)][1] if id(layer) in found else position
                found[id(layer)] = (depth, first, layer)
    ranked = sorted(found.values(), key=lambda item: (-item[0], item[1]))
    return [layer for _, _, layer in ranked]

"""The branches of a graph's nodes as TensorFlow's FunctionDef messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from shardtape.graph.graphdef import attributes_of, inputs_of, known_attributes, shape_proto
from shardtape.graph.shown import has_effects, order_of_effects


def functions_of(graph: Any) -> Iterator[Any]:
    """The functions that the nodes of a graph call, those that they call first."""
    for node in graph.get_operations():
        control = getattr(node.op_def, "control", None)
        if control is None or node.type.removeprefix("Stateless") not in ("If", "Case", "While"):
            continue
        branches = list(enumerate(control[0].branches))
        for number, branch in branches[::-1] if len(branches) == 2 else branches:
            yield from functions_of(branch.graph)
            yield _Function(node, control[0], number, branch).message()


class Names:
    """Names of inputs and outputs: small letters, digits and _, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def free(self, hint: str) -> str:
        """The name, with a number behind it where it is taken."""
        plain = re.sub(r"[^a-z0-9_]", "_", hint.lower())
        name, count = plain, 0
        while name in self._taken:
            count += 1
            name = f"{plain}_{count}"
        self._taken.add(name)
        return name


def output_name(tensor: Any, text: str) -> str:
    """How a function's nodes name an output that graphs call `text`: `node:output:place`."""
    name, _, index = text.partition(":")
    if name != tensor.op.name:  # the copy that is shown of it
        return f"{name}:output:0"
    outputs = known_attributes().get(tensor.op.type, {}).get("/outputs", ["output"])
    place = int(index or 0)
    if outputs[0].endswith("*"):
        return f"{name}:{outputs[0][:-1]}:{place}"
    return f"{name}:{outputs[min(place, len(outputs) - 1)]}:0"


class _Function:
    """One branch of a node, which is described as a function of the node's inputs."""

    def __init__(self, node: Any, held: Any, number: int, branch: Any) -> None:
        from tensorboard.compat.proto import function_pb2

        self._node, self._branch, self._graph = node, branch, branch.graph
        self._held, self._number = held, number
        self._limit = node.op_def.control[1].get("limit")
        self._is_loop = node.type.removeprefix("Stateless") == "While"
        self._leading = node.graph.shown.leading.get(node.index, ())
        self._made = function_pb2.FunctionDef()
        self._made.signature.name = branch.graph.function_name
        self._inputs: dict[int, str] = {}  # names of the function's inputs, by what stands for them
        self._names = Names()

    def message(self) -> Any:
        made = self._made
        made.attr["_construction_context"].s = b"kEagerRuntime"
        passed = self._take_inputs()
        order = order_of_effects(self._graph)
        for node in self._graph.get_operations():
            if node.op_def.type == "Placeholder" or node.is_handle:
                continue
            self._add(node, order.get(node.index, ()))
        outputs = list(self._branch.outputs)
        step = self._is_loop and self._number == 1
        results = [self._reference(None, t) for t in outputs]
        types = [t.dtype for t in outputs]
        if step and self._leading:  # the counter goes up, the limit stays
            results = [*self._counted(), *results]
            types = [*[t.dtype for t in self._leading], *types]
        if self._is_loop and not step and self._leading and self._limit is not None:
            results = [self._below_limit(results[0])]
        effects = [n for n in self._graph.get_operations() if has_effects(n)]
        for i, (result, dtype) in enumerate(zip(results, types)):
            self._result(i, result, dtype, bool(effects))
        for name, dtype in passed if step else ():
            self._output(self._names.free(re.sub(r"_0$", "", name)), name, dtype.as_datatype_enum)
        if effects:
            last = made.node_def.add(name=self._own("NoOp"), op="NoOp")
            last.input.extend(sorted(f"^{self._own(n.name)}" for n in effects))
            made.signature.is_stateful = True
            for n in effects:
                made.signature.control_output.append(self._own(n.name))
                made.control_ret[self._own(n.name)] = self._own(n.name)
        return made

    # ---- names ------------------------------------------------------------------------------
    def _own(self, name: str) -> str:
        return f"{self._node.name}/{name}"

    def _reference(self, node: Any, tensor: Any) -> str:
        """How a tensor is named inside a function: an input, or `node:output:place`."""
        if tensor._id in self._inputs:
            return self._inputs[tensor._id]
        text = self._graph.shown.input(node if node is not None else _NOBODY, tensor)
        return self._own(output_name(tensor, text))

    # ---- inputs -----------------------------------------------------------------------------
    def _take_inputs(self) -> list[tuple[str, Any]]:
        """Adds the inputs; returns those that a loop captures, which it hands on."""
        passed = []
        for t in self._leading:
            called = t.op.name.rsplit("/", 1)[-1]
            self._input(None, self._own(f"{self._node.name}_{called}"), t, t.op.name)
        first = len(self._branch.arguments) if self._is_loop else 1
        for stand_in in self._branch.arguments:
            self._input(stand_in, self._own("placeholder"), stand_in, None)
        captured = dict(
            zip(self._held.positions[self._number], (p for _, p in self._graph.captures))
        )
        handles, unread = self._graph._handles, 0
        for i in self._held.order():
            outer = self._node.inputs[first + i]
            if i < len(self._held.outer):
                stand_in = captured.get(i)
                called = outer.op.name
            else:
                stand_in = handles.get(self._held.variables[i - len(self._held.outer)]._id)
                called = "resource"
            reader = None if stand_in is None else self._reader(stand_in)
            hint = "placeholder" if reader is None else f"{reader}/{called}"
            known = reader is not None or self._is_loop and self._number == 1
            if self._is_loop and self._number == 1:
                hint = f"{called if reader is None else hint}_0"
            elif self._is_loop and reader is None:  # the loop's body has it
                hint = f"{self._graph.function_name}___redundant_placeholder{unread}"
                unread += 1
            name = self._input(stand_in, self._own(hint), outer, called if known else None)
            passed.append((name, outer.dtype))
        return passed

    def _reader(self, stand_in: Any) -> str | None:
        """The name of the first node that reads an input; of a result its Identity."""
        for node in self._graph.get_operations():
            if any(t is stand_in for t in node.inputs):
                return node.name
        for i, t in enumerate(self._branch.outputs):
            if t is stand_in:
                return f"Identity_{i}" if i else "Identity"
        return None

    def _input(self, stand_in: Any, hint: str, tensor: Any, called: str | None) -> str:
        name = self._names.free(hint)
        if stand_in is not None:
            self._inputs[stand_in._id] = name
        self._made.signature.input_arg.add(name=name, type=tensor.dtype.as_datatype_enum)
        place = len(self._made.signature.input_arg) - 1
        if called is not None:
            self._made.arg_attr[place].attr["_user_specified_name"].s = called.encode()
        if tensor.dtype.name != "resource":
            listed = self._made.arg_attr[place].attr["_output_shapes"].list
            listed.shape.add().CopyFrom(shape_proto(tensor.shape))
        return name

    # ---- nodes and outputs ------------------------------------------------------------------
    def _add(self, node: Any, earlier: Sequence[Any]) -> None:
        made = self._made.node_def.add(name=self._own(node.name), op=node.type)
        inputs = inputs_of(node)
        made.input.extend([self._reference(node, t) for t in inputs])
        before = (*node.control_inputs, *earlier)
        made.input.extend(sorted({f"^{self._own(c.name)}" for c in before}))
        attributes_of(made, node, inputs)

    def _named_free(self, name: str) -> str:
        return self._own(self._graph.unique_name(name, absolute=True, mark_as_used=False))

    def _below_limit(self, wanted: str) -> str:
        """Whether the loop goes on and its counter has not come to the limit."""
        names = [a.name for a in self._made.signature.input_arg[:2]]
        less = self._made.node_def.add(name=self._named_free("Less"), op="Less", input=names)
        less.attr["T"].type = self._leading[0].dtype.as_datatype_enum
        both = self._made.node_def.add(name=self._named_free("LogicalAnd"), op="LogicalAnd")
        both.input.extend([f"{less.name}:z:0", wanted])
        return f"{both.name}:z:0"

    def _counted(self) -> list[str]:
        """The counter of a turn, one higher, and the limit."""
        free = self._named_free("add")
        one = self._made.node_def.add(name=f"{free}/y", op="Const")
        number = self._leading[0].dtype.as_datatype_enum
        one.attr["dtype"].type = number
        one.attr["value"].tensor.dtype = number
        one.attr["value"].tensor.tensor_shape.SetInParent()
        one.attr["value"].tensor.int_val.append(1)
        names = [a.name for a in self._made.signature.input_arg[:2]]
        total = self._made.node_def.add(name=free, op="AddV2")
        total.input.extend([names[0], f"{one.name}:output:0"])
        total.attr["T"].type = number
        return [f"{total.name}:z:0", names[1]]

    def _result(self, number: int, result: str, dtype: Any, waits: bool) -> None:
        called = f"Identity_{number}" if number else "Identity"
        node = self._made.node_def.add(name=self._own(called), op="Identity", input=[result])
        if waits:
            node.input.append(f"^{self._own('NoOp')}")
        node.attr["T"].type = dtype.as_datatype_enum
        name = self._names.free(self._own(called))
        self._output(name, f"{node.name}:output:0", dtype.as_datatype_enum)

    def _output(self, name: str, value: str, dtype: int) -> None:
        self._made.signature.output_arg.add(name=name, type=dtype)
        self._made.ret[name] = value


class _Nobody:
    """Stands for the function's end, which reads its results."""

    index = -1


_NOBODY = _Nobody()

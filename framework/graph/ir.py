"""The graph: operations, their tensors, names. Values never live here."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.context import building, state
from shardtape.graph.shown import Shown
from shardtape.graph.static import partial_value
from shardtape.graph.types import check_types, checked_results
from shardtape.ops import registry, source
from shardtape.ops import state as variable_ops
from shardtape.ops.node_names import NODE_NAMES, argument_name
from shardtape.ops.registry import Arg, Op
from shardtape.source_lines import original
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_NAME = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$")
_HERE = __file__.rsplit("/", 2)[0]  # the package: frames outside it are the user's


class Operation:
    """A node; nothing of it changes after it was made, except what is known of shapes."""

    __slots__ = (
        "graph", "name", "op_def", "inputs", "attrs", "_outputs", "_waits_for", "device",
        "index", "where", "__weakref__",
    )  # fmt: skip

    def __init__(
        self, graph: Graph, name: str, op_def: Op, inputs: tuple[SymbolicTensor, ...],
        attrs: dict[str, Any], control_inputs: tuple[Operation, ...], index: int,
    ) -> None:  # fmt: skip
        self.graph, self.name, self.op_def = graph, name, op_def
        self.inputs, self.attrs, self._waits_for = inputs, attrs, control_inputs
        self.device = state.device or ""
        self.index = index
        self.where = _user_frame()
        self._outputs: tuple[SymbolicTensor, ...] = ()

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The tensors that it makes; a list of the caller's own, as in TensorFlow."""
        return list(self._outputs)

    @property
    def control_inputs(self) -> list[Operation]:
        """The operations that run before it without a tensor that says so."""
        return list(self._waits_for)

    @property
    def type(self) -> str:
        """The op's TensorFlow type name."""
        if self.is_handle and self.graph.takes_resources:
            return "Placeholder"
        return self.op_def.type

    @property
    def is_handle(self) -> bool:
        """Whether it stands for a Variable."""
        return self.op_def is variable_ops.var_handle

    def get_attr(self, name: str) -> Any:
        """The attribute's value. Raises ValueError naming the node where it has none."""
        if name not in self.attrs:
            raise ValueError(f"Operation {self.name!r} has no attr named {name!r}.")
        return self.attrs[name]

    def values(self) -> tuple[SymbolicTensor, ...]:
        return self._outputs

    @property
    def node_def(self) -> Any:
        """The node as TensorFlow's NodeDef message."""
        from shardtape.graph.graphdef import node_def

        return node_def(self)

    def __str__(self) -> str:
        return str(self.node_def)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"


def _user_frame() -> tuple[str, int] | None:
    """File and line of the user's code that made the node."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return None
    file, number = frame.f_code.co_filename, frame.f_lineno
    line = original(file, number)
    return (file, number) if line is None else (line.file, line.number)


class Graph:
    """A growing list of operations; building is not thread-safe, running is."""

    finished = False  # the trace is done: its tensors cannot be used from outside
    shows_calls = False  # functions that are called on its tensors are shown, whatever they do
    takes_resources = False  # Variables are inputs of the graph, as they are of a function's
    shows_copies = False
    claims_ops = False  # what is done to its tensors is added to it, whatever is being built

    checks_names = True  # names of nodes are of the letters that TensorFlow allows

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._by_name: dict[str, Operation] = {}
        self._names: dict[str, int] = {}
        self._handles: dict[int, SymbolicTensor] = {}
        self._captured: dict[int, SymbolicTensor] = {}
        self.variable_names: set[str] = set()  # reserved by the Variables made in this graph
        self.collections: dict[str, list[Any]] = {}
        self.seed: int | None = None
        self.random_count = 0
        self.finalized = False
        self.plans: dict[Any, Any] = {}
        self.gradient_overrides: dict[str, str] = {}
        self.guards: list[Any] = []  # locks that its runs take, see `CriticalSection`
        self.shown = Shown()
        self.lock = threading.RLock()

    # ---- building -------------------------------------------------------------------------
    def add_op(
        self, op: Op, inputs: Sequence[Any], attrs: dict[str, Any], name: str | None = None
    ) -> Any:
        """Adds a node and returns its output (a tuple of several, the Operation for none).

        Raises:
          ValueError: shapes that cannot fit; the text names the node.
          RuntimeError: the graph is finalized.
        """
        if self.finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        full_name = None
        if EagerTensor in map(type, inputs):  # it gets a name in the node's scope
            full_name = self.unique_name(name or NODE_NAMES.get(op.type, op.type))
            count = len(inputs)
            symbols = tuple(
                [
                    self.capture(x, f"{full_name}/{argument_name(op, i, count)}")
                    for i, x in enumerate(inputs)
                ]
            )
        else:
            symbols = tuple([self.capture(x) for x in inputs])
        dtypes = [t.dtype for t in symbols]
        check_types(op, dtypes)
        if full_name is None:
            full_name = self.unique_name(name or NODE_NAMES.get(op.type, op.type))
        args = [Arg(t.shape, t.dtype, _thunk(t)) for t in symbols]
        try:
            shape = op.shape_rule(*args, **attrs)
        except ValueError as error:
            shown = ", ".join(str(t.shape) for t in symbols)
            raise ValueError(
                f"{error} for '{full_name}' (op: '{op.type}') with input shapes: {shown}."
            ) from None
        node = Operation(
            self, full_name, op, symbols, attrs, state.control_inputs, len(self._operations)
        )
        result_types = checked_results(op, dtypes, attrs)
        several = isinstance(shape, list)
        all_shapes = shape if several else [shape]
        if isinstance(result_types, dt.DType):
            result_types = (result_types,) * len(all_shapes)
        node._outputs = tuple(
            [
                SymbolicTensor(node, i, d, shapes.as_shape(s))
                for i, (d, s) in enumerate(zip(result_types, all_shapes))
            ]
        )
        self._operations.append(node)
        self._by_name[full_name] = node
        if op.effects == registry.RANDOM:
            self.random_count += 1
        if not node._outputs:
            return node
        return node._outputs if several else node._outputs[0]

    def constant(self, array: Any, name: str | None = None) -> SymbolicTensor:
        """A node with a fixed value (a numpy array or scalar)."""
        return self.add_op(source.const, (), {"value": array}, name or "Const")

    def capture(self, value: Any, name: str | None = None) -> SymbolicTensor:
        """A tensor of this graph that stands for `value`.

        Args:
          name: of the node that is made for an eager tensor which the graph does not know yet.

        Raises:
          ValueError: a tensor of another graph.
        """
        if type(value) is SymbolicTensor:
            if value.op.graph is self:
                return value
            return self._capture_symbolic(value)
        if type(value) is EagerTensor:
            key = value._key()
            found = self._captured.get(key)
            if found is None:
                with building(self):
                    found = self.constant(value._array)
                self._captured[key] = found
            return found
        if isinstance(value, Tensor):
            raise TypeError(f"cannot use {value!r} in a graph")
        return self.variable_handle(value)

    def _capture_symbolic(self, value: SymbolicTensor) -> SymbolicTensor:
        raise ValueError(
            f"{value!r} must be from the same graph as the operation that uses it: it belongs to "
            "another graph"
        )

    def variable_handle(self, variable: Any, name: str | None = None) -> SymbolicTensor:
        """The tensor of type resource that stands for a Variable.

        Args:
          name: of its node in the graph of a function; else it has the Variable's.
        """
        found = self._handles.get(variable._id)
        if found is None:
            node_name = variable._name
            if node_name not in self.variable_names or node_name in self._by_name:
                node_name = self.unique_name(node_name, absolute=True, mark_as_used=False)
            with building(self):
                state.control_inputs = ()
                found = self.add_op(
                    variable_ops.var_handle, (), {"variable": variable}, node_name + "/"
                )
            self._handles[variable._id] = found
        return found

    @property
    def variables(self) -> list[Any]:
        """The Variables that the graph reads or writes, in the order of their creation.

        Those that are its inputs are not among them.
        """
        handles = [handle for _, handle in sorted(self._handles.items())]
        return [h.op.attrs["variable"] for h in handles if h.op.is_handle]

    def finalize(self) -> None:
        """No node can be added from now on."""
        self.finalized = True

    # ---- names ----------------------------------------------------------------------------
    def unique_name(self, name: str, mark_as_used: bool = True, absolute: bool = False) -> str:
        """TensorFlow's rule: the scope's prefix, then `_1`, `_2`, ... where the name is taken.

        A name that ends in "/" is taken as it is.

        Args:
          mark_as_used: False leaves the name to who asks next.
          absolute: without the scope's prefix.
        """
        if name.endswith("/"):
            name = name[:-1]
            if name.lower() in self._names:
                return name  # the node that carries the name of the scope around it
        elif state.name_stack and not absolute:
            name = f"{state.name_stack}/{name}"
        if self.checks_names and not _NAME.match(name):
            raise ValueError(
                f"'{name}' is not a valid scope name: names of nodes have letters of English, "
                "digits and _ . - / \\ >, and begin with a letter, a digit or ."
            )
        key = name.lower()
        count = self._names.get(key, 0)
        unique = name
        if count:
            while True:
                unique = f"{name}_{count}"
                count += 1
                if unique.lower() not in self._names:
                    break
        if mark_as_used:
            self._names[key] = max(count, 1)
            if unique is not name:
                self._names[unique.lower()] = 1
        return unique

    # ---- looking --------------------------------------------------------------------------
    def get_operations(self) -> list[Operation]:
        return list(self._operations)

    def get_operation_by_name(self, name: str) -> Operation:
        """Raises KeyError naming what is missing."""
        if name not in self._by_name:
            raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
        return self._by_name[name]

    def get_tensor_by_name(self, name: str) -> SymbolicTensor:
        """`node:index`. Raises ValueError or KeyError naming what is wrong."""
        node, colon, index = name.partition(":")
        if not colon:
            raise ValueError(
                f"The name {name!r} looks like an (invalid) Tensor name; Tensor names must be of "
                'the form "<op_name>:<output_index>".'
            )
        if node not in self._by_name:
            raise KeyError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, "
                f"{node!r}, does not exist in the graph."
            )
        outputs = self._by_name[node].outputs
        if int(index) >= len(outputs):
            raise KeyError(f"The operation {node!r} has only {len(outputs)} outputs: {name!r}")
        return outputs[int(index)]

    @property
    def building_function(self) -> bool:
        """Whether it is the graph of a function."""
        return self.takes_resources

    @property
    def version(self) -> int:
        """How many nodes it has; it rises with each."""
        return len(self._operations)

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Any:
        """The node or tensor of a name, or a node or tensor itself.

        Raises:
          ValueError: it is of another graph, or a name that cannot be of what is allowed.
          KeyError: there is none of this name.
          TypeError: something else.
        """
        if isinstance(obj, str):
            if ":" in obj and allow_tensor:
                return self.get_tensor_by_name(obj)
            if ":" not in obj and allow_operation:
                return self.get_operation_by_name(obj)
            raise ValueError(
                f"The name {obj!r} looks like that of {'a tensor' if ':' in obj else 'a node'}, "
                "which is not what is asked for"
            )
        wanted: list[Any] = [*[SymbolicTensor] * allow_tensor, *[Operation] * allow_operation]
        if not isinstance(obj, tuple(wanted)):
            raise TypeError(f"Can not convert a {type(obj).__name__} into a node or tensor")
        element: Any = obj
        if element.graph is not self:
            raise ValueError(f"{obj!r} is not an element of this graph.")
        return obj

    @contextmanager
    def gradient_override_map(self, op_type_map: dict[str, str]) -> Iterator[None]:
        """Ops made inside take the gradient that is registered under another name.

        Args:
          op_type_map: names given to RegisterGradient by op type.

        Raises TypeError for something else.
        """
        if not isinstance(op_type_map, dict):
            raise TypeError("`op_type_map` must be a dictionary mapping strings to strings")
        if not all(isinstance(s, str) for pair in op_type_map.items() for s in pair):
            raise TypeError("`op_type_map` must be a dictionary mapping strings to strings")
        outer = self.gradient_overrides
        self.gradient_overrides = {**outer, **op_type_map}
        try:
            yield
        finally:
            self.gradient_overrides = outer

    def as_graph_def(self, from_version: Any = None, add_shapes: bool = False) -> Any:
        """The graph as TensorFlow's GraphDef message."""
        from shardtape.graph.graphdef import graph_def

        return graph_def(self, add_shapes)

    def as_default(self) -> Any:
        """Context in which ops are added to this graph."""
        return building(self)

    @contextmanager
    def control_dependencies(self, control_inputs: Any) -> Iterator[None]:
        """Ops made inside run after `control_inputs`; None clears what is in force."""
        outer = state.control_inputs
        if control_inputs is None:
            state.control_inputs = ()
        else:
            nodes = [getattr(c, "op", c) for c in control_inputs if c is not None]
            # what is given is there, and nothing has to wait for it
            state.control_inputs = outer + tuple(
                n for n in nodes if isinstance(n, Operation) and n.type != "Placeholder"
            )
        try:
            yield
        finally:
            state.control_inputs = outer


def _thunk(tensor: SymbolicTensor) -> Any:
    return lambda: partial_value(tensor)

"""Operations that only wait for others: `no_op`, `group`, `tuple`; what is known of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import nest
from shardtape.context import state
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.scopes import control_dependencies
from shardtape.graph.static import constant_value
from shardtape.ops import array, source
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor, is_tensor
from shardtape.type_spec import composite_spec


def no_op(name: str | None = None) -> Any:
    """An operation that does nothing; eagerly None."""
    if state.graph is None:
        return None
    return state.graph.add_op(source.no_op, (), {}, name or "NoOp")


def group(*inputs: Any, name: str | None = None) -> Any:
    """An operation that is done when all `inputs` (operations, tensors, nested) are; eagerly None.

    Raises TypeError for an input that is neither.
    """
    if state.graph is None:
        return None
    given = [x for x in nest.flatten(list(inputs)) if x is not None]
    for x in given:
        if not hasattr(x, "op") and not hasattr(x, "op_def"):
            raise TypeError(f"'inputs' should be zero or more (nested) Tensors. Received {x!r}")
    with control_dependencies(given):
        return no_op(name or "group_deps")


def tuple(tensors: Sequence[Any], control_inputs: Any = None, name: str | None = None) -> list[Any]:
    """The tensors, none of which is there before all are.

    Raises ValueError where all are None.
    """
    if state.graph is None:
        return list(tensors)
    given = [t for t in tensors if t is not None]
    if not given:
        raise ValueError(f"Must have at least one Tensor. Received: {tensors}")
    with control_dependencies([*given, *(control_inputs or ())]):
        return [None if t is None else array.identity(t) for t in tensors]


def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """The value where it is known without running anything, else None.

    What is no tensor is its own value; of Variables and composite tensors none is known.
    """
    if composite_spec(tensor) is not None and hasattr(tensor, "_as_operand"):
        tensor = tensor._as_operand()
    if isinstance(tensor, EagerTensor):
        return tensor.numpy()
    if isinstance(tensor, SymbolicTensor):
        return constant_value(tensor)
    return None if is_tensor(tensor) else tensor


def is_symbolic_tensor(tensor: Any) -> bool:
    """Whether a tensor stands for a value of a graph."""
    return isinstance(tensor, SymbolicTensor)


def inside_function() -> bool:
    """Whether a function is being traced."""
    return isinstance(state.graph, FuncGraph)


def get_current_name_scope() -> str:
    """The names of the scopes around, joined by "/"."""
    return state.name_stack


def identity_n(input: Sequence[Any], name: str | None = None) -> list[Tensor]:
    """Each of several tensors as it is."""
    return [array.identity(x) for x in input]


def shape_n(input: Sequence[Any], out_type: Any = None, name: str | None = None) -> list[Tensor]:
    """The shapes of several tensors."""
    return [array.shape(x, out_type=out_type) for x in input]

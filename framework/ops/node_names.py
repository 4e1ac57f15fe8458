"""Names of nodes, as TensorFlow's Python functions give them where the user gives none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from shardtape.context import state

_Function = TypeVar("_Function", bound=Callable[..., Any])

# where it is not the type
NODE_NAMES = {
    "AddV2": "Add",
    "BitwiseAnd": "and",
    "DivNoNan": "div_no_nan",
    "FloorDiv": "floordiv",
    "If": "cond",
    "StatelessIf": "cond",
    "Case": "indexed_case",
    "StatelessCase": "indexed_case",
    "OneHot": "one_hot",
    "OnesLike": "ones_like",
    "RealDiv": "truediv",
    "StridedSlice": "strided_slice",
    "Transpose": "transpose",
    "While": "while",
    "StatelessWhile": "while",
    "ZerosLike": "zeros_like",
}
_REDUCTION = ("input", "reduction_indices")
# constants that are made of inputs, where they are not called as the inputs are
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **{t: _REDUCTION for t in ("Sum", "Mean", "Prod", "Max", "Min", "All", "Any")},
    "ExpandDims": ("input", "dim"),
    "Split": ("split_dim", "value"),
    "SplitV": ("value", "size_splits", "split_dim"),
    "StridedSlice": ("input", "stack", "stack_1", "stack_2"),
}


def argument_name(op: Any, index: int, count: int) -> str:
    """The name of the constant that stands for input `index` of `count`."""
    names = ARGUMENTS.get(op.type) or op.input_names
    if index < len(names):
        return names[index]
    if op.host and op.is_host(index, count):
        return "axis"
    return f"{op.list_name}_{index - len(names)}"


def scoped(name: str) -> Callable[[_Function], _Function]:
    """Decorator of functions whose nodes stand in a scope; its `name` argument renames that."""

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def inside(*args: Any, **keywords: Any) -> Any:
            if state.graph is None:
                return function(*args, **keywords)
            from shardtape.graph.scopes import name_scope

            with name_scope(keywords.pop("name", None) or name):
                return function(*args, **keywords)

        return inside  # type: ignore[return-value]

    return decorate


def scope_itself() -> str | None:
    """In a scope of `scoped`, the name for the node that carries the scope's own."""
    return f"{state.name_stack}/" if state.graph is not None and state.name_stack else None

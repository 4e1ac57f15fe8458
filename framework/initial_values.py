"""What a Variable begins with: its first value and its name."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.context import building, state
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor, is_tensor


def initial_array(initial_value: Any, dtype: Any) -> Any:
    """The array that a Variable begins with.

    Args:
      initial_value: Tensor, array, Python value, or a callable without arguments.
      dtype: of the Variable; None for that of the value.

    Raises ValueError for a tensor of another dtype.
    """
    if callable(initial_value) and not is_tensor(initial_value):
        with building(None):
            initial_value = initial_value()
    if isinstance(initial_value, SymbolicTensor):
        # inside a graph that is being traced: the initial value is computed now, once
        from shardtape.graph.plan import evaluate_now

        value: Tensor = EagerTensor(evaluate_now(initial_value))
    else:
        with building(None):
            value = convert_to_tensor(initial_value, _if_convertible(initial_value, dtype))
    if dtype is not None and value.dtype is not dt.as_dtype(dtype):
        raise ValueError(
            f"Tensor conversion requested dtype {dt.as_dtype(dtype).name} for an initial value "
            f"of dtype {value.dtype.name}"
        )
    return value._array  # type: ignore[attr-defined]


def _if_convertible(value: Any, dtype: Any) -> Any:
    return dtype if not isinstance(value, Tensor) else None


def scoped_name(name: str) -> str:
    """A name behind the scopes that are open; in a graph it is unique."""
    scoped = f"{state.name_stack}/{name}" if state.name_stack else name
    if state.graph is not None:
        unique = state.graph.unique_name(scoped, absolute=True)
        state.graph.variable_names.add(unique)
        return unique
    return scoped

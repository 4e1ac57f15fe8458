"""`for` loops over datasets and iterators in traced functions, for AutoGraph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def for_loop(
    iterator: Any,
    extra_test: Callable[[], Any] | None,
    body: Callable[[Any], None],
    get_state: Callable[[], tuple[Any, ...]],
    set_state: Callable[[tuple[Any, ...]], None],
    symbol_names: tuple[str, ...],
    opts: dict[str, Any] | None,
) -> None:
    """Adds a loop of the graph that runs `body` for each element that the iterator has left.

    Args:
      extra_test: whether the loop goes on (`break`, `return`); it is asked before an element is
        taken.
      get_state, set_state, symbol_names, opts: see AutoGraph's `for_stmt`.
    """
    from shardtape.autograph.operators import _graph_loop
    from shardtape.data.graph_ops import get_next, has_next
    from shardtape.graph.control_flow import cond
    from shardtape.ops.convert import convert_to_tensor

    handle = iterator._as_handle()

    def test() -> Any:
        if extra_test is None:
            return has_next(handle)
        wanted = convert_to_tensor(extra_test())
        return cond(wanted, lambda: has_next(handle), lambda: convert_to_tensor(False))

    def run_body() -> None:
        body(get_next(handle, iterator._type))

    # TensorFlow limits no loops over datasets either,
    unlimited = {**(opts or {}), "maximum_iterations": None}
    # and shapes may change in them
    _graph_loop(test, run_body, get_state, set_state, symbol_names, unlimited, strict=False)

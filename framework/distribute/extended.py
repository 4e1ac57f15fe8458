"""What `strategy.extended` offers, for one replica; a strategy is its own `extended`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


class Extended:
    """The part of a strategy that libraries use."""

    experimental_require_static_shapes = False
    experimental_between_graph = False
    experimental_should_init = True
    should_checkpoint = True
    should_save_summary = True
    worker_devices: Any
    parameter_devices: Any
    run: Any

    def update(
        self, var: Any, fn: Callable[..., Any], args: Any = (), kwargs: Any = None,
        group: bool = True,
    ) -> Any:  # fmt: skip
        """Calls `fn(var, *args)`; in a tuple if not `group`."""
        result = fn(var, *args, **(kwargs or {}))
        return result if group else (result,)

    def reduce_to(self, reduce_op: Any, value: Any, destinations: Any, options: Any = None) -> Any:
        """The sum or mean over one replica: the value."""
        return value

    def batch_reduce_to(
        self, reduce_op: Any, value_destination_pairs: Any, options: Any = None
    ) -> list[Any]:
        """`reduce_to` of each (value, destinations)."""
        return [self.reduce_to(reduce_op, v, d, options) for v, d in value_destination_pairs]

    def broadcast_to(self, tensor: Any, destinations: Any) -> Any:
        """The tensor for each replica: the tensor."""
        return tensor

    def call_for_each_replica(self, fn: Any, args: Any = (), kwargs: Any = None) -> Any:
        """`run`."""
        return self.run(fn, args, kwargs)

    def read_var(self, v: Any) -> Any:
        """The value of a Variable."""
        return v.value()

    def value_container(self, value: Any) -> Any:
        """The Variable that a component belongs to: the value."""
        return value

    def variable_created_in_scope(self, v: Any) -> bool:
        """Whether a Variable is of this strategy: any one is that has no other."""
        return getattr(v, "distribute_strategy", None) is None

    def non_slot_devices(self, var_list: Any) -> Any:
        """Where Variables are kept that belong to no other one."""
        return self.parameter_devices

    def update_non_slot(
        self, colocate_with: Any, fn: Callable[..., Any], args: Any = (), kwargs: Any = None,
        group: bool = True,
    ) -> Any:  # fmt: skip
        """Calls `fn(*args)` once; in a tuple if not `group`."""
        result = fn(*args, **(kwargs or {}))
        return result if group else (result,)

    @contextlib.contextmanager
    def colocate_vars_with(self, colocate_with_variable: Any) -> Iterator[None]:
        """Block of no effect: Variables are where they always are."""
        yield

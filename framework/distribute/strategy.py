"""Strategies with one replica: this process and one device. Several: `distribute.mirrored`.

Training on several machines is what the parameter server is for; see `tf.Trainer`.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from shardtape.devices import canonical_name, device
from shardtape.distribute.extended import Extended
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_mean, reduce_sum
from shardtape.replica_context import scopes
from shardtape.tensor import Tensor
from shardtape.variable_creation import listeners
from shardtape.variable_synchronization import VariableSynchronization


class ReduceOp(enum.Enum):
    """How values of replicas become one."""

    SUM = "SUM"
    MEAN = "MEAN"


class InputReplicationMode(enum.Enum):
    """Whether workers or replicas have input pipelines of their own."""

    PER_WORKER = "PER_WORKER"
    PER_REPLICA = "PER_REPLICA"


class InputOptions(NamedTuple):
    """How a dataset is distributed; nothing depends on it here: all devices share one memory."""

    experimental_fetch_to_device: bool | None = None
    experimental_replication_mode: InputReplicationMode = InputReplicationMode.PER_WORKER
    experimental_place_dataset_on_device: bool = False
    experimental_per_replica_buffer_size: int = 1


class RunOptions(NamedTuple):
    """How `Strategy.run` traces; nothing depends on it here."""

    experimental_enable_dynamic_batch_size: bool = True
    experimental_bucketizing_dynamic_shape: bool = False
    experimental_xla_options: Any = None


class ValueContext:
    """For which replica a value is made.

    Args:
      replica_id_in_sync_group: its number.
    """

    def __init__(self, replica_id_in_sync_group: int = 0, num_replicas_in_sync: int = 1) -> None:
        self.replica_id_in_sync_group = replica_id_in_sync_group
        self.num_replicas_in_sync = num_replicas_in_sync


class InputContext:
    """Which part of the input a pipeline reads: all of it."""

    def __init__(
        self, num_input_pipelines: int = 1, input_pipeline_id: int = 0,
        num_replicas_in_sync: int = 1,
    ) -> None:  # fmt: skip
        self.num_input_pipelines = num_input_pipelines
        self.input_pipeline_id = input_pipeline_id
        self.num_replicas_in_sync = num_replicas_in_sync

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """Raises ValueError where the replicas cannot share the batch evenly."""
        if global_batch_size % self.num_replicas_in_sync:
            raise ValueError(
                f"The `global_batch_size` {global_batch_size} is not divisible by "
                f"`num_replicas_in_sync` {self.num_replicas_in_sync}"
            )
        return global_batch_size // self.num_replicas_in_sync

    def __str__(self) -> str:
        return (
            f"tf.distribute.InputContext(input pipeline id {self.input_pipeline_id}, "
            f"total: {self.num_input_pipelines})"
        )


class ReplicaContext:
    """What code that runs in the one replica asks about it."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.replica_id_in_sync_group = 0

    num_replicas_in_sync = 1

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        """The sum or mean over one replica: the value."""
        _check_op(reduce_op)
        return value

    def all_gather(self, value: Any, axis: int, options: Any = None) -> Any:
        """The values of one replica: the value."""
        return value

    def merge_call(self, merge_fn: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        """Calls `merge_fn(strategy, *args)`."""
        return merge_fn(self.strategy, *args, **(kwargs or {}))


def _check_op(reduce_op: Any) -> ReduceOp:
    if isinstance(reduce_op, str):
        reduce_op = reduce_op.upper()
    return ReduceOp(reduce_op)


class Strategy(Extended):
    """One replica on one device.

    Args:
      device_name: where its ops run; None for where they always do.
    """

    cluster_resolver: Any = None
    mirrors = False  # Variables of its scope are shown as those of several replicas are
    draws_by_replica = True  # generators that are made in the scope have a key for each replica

    def __init__(self, device_name: str | None = None) -> None:
        self._device = device_name

    @property
    def num_replicas_in_sync(self) -> int:
        return 1

    @property
    def extended(self) -> Strategy:
        return self

    @property
    def worker_devices(self) -> tuple[str, ...]:
        return (canonical_name(self._device or "CPU:0"),)

    parameter_devices = worker_devices

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Block in which this is the current strategy."""
        before = scopes.strategies
        scopes.strategies = (*before, self)
        if self.mirrors:
            listeners.functions.append(_mirrored)
        try:
            with device(self._device):
                yield self
        finally:
            scopes.strategies = before
            if self.mirrors:
                listeners.functions.remove(_mirrored)

    def run(
        self, fn: Callable[..., Any], args: Any = (), kwargs: Any = None, options: Any = None
    ) -> Any:
        """`fn(*args, **kwargs)` in the one replica."""
        before, scopes.in_replica = scopes.in_replica, True
        try:
            with self.scope():
                return fn(*args, **(kwargs or {}))
        finally:
            scopes.in_replica = before

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """The value of the one replica, summed or averaged over `axis` where one is given."""
        kind = _check_op(reduce_op)
        if axis is None:
            return value if isinstance(value, Tensor) else convert_to_tensor(value)
        return (reduce_sum if kind is ReduceOp.SUM else reduce_mean)(value, axis)

    def gather(self, value: Any, axis: int) -> Any:
        """The values of all replicas along `axis`: the value."""
        return convert_to_tensor(value)

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """The values of the replicas of this process."""
        return (value,)

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """The dataset as it is: one replica gets whole batches."""
        return dataset

    def distribute_datasets_from_function(
        self, dataset_fn: Callable[[InputContext], Any], options: Any = None
    ) -> Any:
        """The dataset that the function makes."""
        return dataset_fn(InputContext())

    def experimental_distribute_values_from_function(self, value_fn: Callable[[Any], Any]) -> Any:
        """The value that the function makes for the one replica."""
        return value_fn(ValueContext())

    def make_dataset_iterator(self, dataset: Any) -> Iterator[Any]:
        return iter(dataset)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of one replica>"


def _mirrored(variable: Any) -> None:
    read = variable.synchronization is VariableSynchronization.ON_READ
    variable._shown_as = "SyncOnReadVariable" if read else "MirroredVariable"


class OneDeviceStrategy(Strategy):
    """Everything on one device.

    Args:
      device: its name.
    """

    def __init__(self, device: str) -> None:
        super().__init__(device)


_default = Strategy()
_default.draws_by_replica = False


def get_strategy() -> Strategy:
    """The strategy of the innermost `scope`, else one with one replica."""
    return scopes.strategies[-1] if scopes.strategies else _default


def has_strategy() -> bool:
    """Whether a `scope` is open."""
    return bool(scopes.strategies)


def in_cross_replica_context() -> bool:
    """Whether a `scope` is open and no replica runs."""
    return has_strategy() and not scopes.in_replica


def get_replica_context() -> ReplicaContext | None:
    """That of the replica that runs; None in a scope outside `run`."""
    if scopes.replica is not None:
        return scopes.replica
    return None if in_cross_replica_context() else ReplicaContext(get_strategy())


def experimental_set_strategy(strategy: Strategy | None) -> None:
    """Makes a strategy the current one until further notice, as if its scope were open.

    Raises RuntimeError inside a scope.
    """
    if scopes.strategies and not (scopes.set and scopes.strategies == (scopes.set[0],)):
        raise RuntimeError(
            "tf.distribute.experimental_set_strategy() must not be called inside of "
            "strategy.scope()."
        )
    if scopes.set:
        before, scopes.set = scopes.set, None
        before[1].__exit__(None, None, None)
    if strategy is not None:
        opened = strategy.scope()
        opened.__enter__()
        scopes.set = strategy, opened

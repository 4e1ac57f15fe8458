"""`MirroredStrategy`: replicas of one process, each with a copy of the Variables."""

from __future__ import annotations

import contextlib
import functools
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from shardtape import nest
from shardtape.autograph import convert_in_graph
from shardtape.devices import (
    canonical_name,
    device,
    get_soft_device_placement,
    list_logical_devices,
)
from shardtape.distribute.cross_device_ops import CrossDeviceOps, spread
from shardtape.distribute.input import FunctionDataset, SplitDataset
from shardtape.distribute.reductions import gathered, mean_along, reduced, reduced_value
from shardtape.distribute.replicas import Run
from shardtape.distribute.strategy import (
    InputContext,
    ReduceOp,
    Strategy,
    ValueContext,
    _check_op,
)
from shardtape.distribute.values import DistributedValues, Mirrored, PerReplica, holder_of, regroup
from shardtape.distribute.variables import DistributedVariable, created
from shardtape.graph.arguments import Declared
from shardtape.graph.constraints import binding_error
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import Function, functions_run_eagerly
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_sum
from shardtape.replica_context import scopes
from shardtape.variable_creation import variable_creator_scope

_log = logging.getLogger("shardtape")


class MirroredStrategy(Strategy):
    """A replica on each of several devices, all in this process; they take turns.

    Logical devices divide the work of one CPU or GPU as its replicas; of several GPUs the first
    one computes for all.

    Args:
      devices: names; default all GPUs, else all (logical) CPUs. With one device there is one
        replica, which costs nothing.
      cross_device_ops: how values are reduced over devices.

    Raises:
      ValueError: a device that is named twice, or that does not exist while
        `tf.config.set_soft_device_placement(False)` is in force.
    """

    mirrors = True

    def __new__(cls, devices: Any = None, cross_device_ops: Any = None) -> Any:
        several = len(_names(devices)) > 1
        return object.__new__(_SeveralReplicas if several and cls is MirroredStrategy else cls)

    def __init__(self, devices: Any = None, cross_device_ops: Any = None) -> None:
        names = _names(devices)
        if len(names) > 1 and not isinstance(self, _SeveralReplicas):
            raise ValueError(
                f"{type(self).__name__} is a subclass of MirroredStrategy and has one replica, "
                f"got the devices {names}: make a tf.distribute.MirroredStrategy"
            )
        super().__init__(names[0] if names else None)


def _names(devices: Any) -> list[str]:
    if devices is None:
        found = list_logical_devices("GPU") or list_logical_devices("CPU")
        if len(found) == 1 and found[0].device_type == "CPU":
            return []
        return [d.name for d in found]
    given = [devices] if isinstance(devices, str) else list(devices)
    return [getattr(d, "name", d) for d in given]


class _SeveralReplicas(MirroredStrategy):
    """What `MirroredStrategy` makes for several devices."""

    def __init__(self, devices: Any = None, cross_device_ops: Any = None) -> None:
        super().__init__(devices, cross_device_ops)
        self._devices = tuple(canonical_name(name) for name in _names(devices))
        if len(set(self._devices)) < len(self._devices):
            raise ValueError(
                f"MirroredStrategy: no device may be named twice, got {list(self._devices)}"
            )
        existing = {canonical_name(d.name) for d in list_logical_devices()}
        missing = [name for name in self._devices if name not in existing]
        if missing and not get_soft_device_placement():
            raise ValueError(
                f"MirroredStrategy: there are no devices {missing}; there are {sorted(existing)}. "
                "tf.config.set_logical_device_configuration makes several of one"
            )
        if missing:
            _log.warning(
                "MirroredStrategy: the devices %s do not exist; their replicas run on what "
                "exists. tf.config.set_logical_device_configuration makes several of one",
                missing,
            )
        self._cross_device_ops = cross_device_ops or CrossDeviceOps()
        self._functions: weakref.WeakKeyDictionary[Function, Any] = weakref.WeakKeyDictionary()

    # ---- what it is -----------------------------------------------------------------------
    @property
    def num_replicas_in_sync(self) -> int:
        return len(self._devices)

    @property
    def worker_devices(self) -> tuple[str, ...]:
        return self._devices

    @property
    def parameter_devices(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._devices

    def __deepcopy__(self, memo: Any) -> Any:
        return self  # of a copied model, too

    def __repr__(self) -> str:
        return f"<MirroredStrategy of {len(self._devices)} replicas>"

    # ---- scope and run --------------------------------------------------------------------
    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Block in which this is the current strategy: Variables are made for all replicas.

        Raises RuntimeError inside the scope of another strategy of several replicas.
        """
        before = scopes.strategies
        others = [s for s in before if s is not self and s.num_replicas_in_sync > 1]
        if others:
            raise RuntimeError(
                f"the scope of {self!r} is opened inside that of {others[-1]!r}: scopes of "
                "different strategies cannot be nested"
            )
        scopes.strategies = (*before, self)
        try:
            if self in before:
                yield self
            else:
                with variable_creator_scope(self._create), device(self._devices[0]):
                    yield self
        finally:
            scopes.strategies = before

    def _create(self, next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        make = functools.partial(created, self, next_creator, kwargs)
        replica = scopes.replica
        if replica is None or replica.strategy is not self:
            return make()
        run = replica._replica
        return run._run.variable(run, str(kwargs.get("name")), make)

    def run(
        self, fn: Callable[..., Any], args: Any = (), kwargs: Any = None, options: Any = None
    ) -> Any:
        """Calls `fn` once for each replica, one after the other.

        Args:
          fn: the function; a `tf.function` is traced once, for all replicas together.
          args, kwargs: nested; of PerReplica values each replica gets its own.

        Returns what the replicas return: PerReplica where it differs.

        Raises RuntimeError inside a replica, and where replicas merge differently often.
        """
        self._check_across("run")
        if isinstance(fn, Function) and not functions_run_eagerly():
            return self._function_of(fn)(tuple(args), dict(kwargs or {}))
        with self.scope():
            return Run(self, fn, args, kwargs).results()

    def _function_of(self, fn: Function) -> Function:
        """A function that runs the Python function of another one in all replicas."""
        found = self._functions.get(fn)
        if found is None:
            inner = _conforming(fn)

            def in_replicas(args: Any, kwargs: Any) -> Any:
                with self.scope():
                    return Run(self, inner, args, kwargs).results()

            found = Function(in_replicas, fn.name, None, fn._relax, fn._autograph)
            self._functions[fn] = found
        return found

    def _check_across(self, method: str) -> None:
        if scopes.replica is not None:
            raise RuntimeError(
                f"`{method}` of a strategy is called in one of its replicas: use "
                "tf.distribute.get_replica_context().merge_call, or all_reduce"
            )

    # ---- values of replicas ---------------------------------------------------------------
    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """The sum or mean over replicas, and along `axis` (one or several) where one is given.

        Raises ValueError for the sum of a value that is not distributed, RuntimeError in a
        replica.
        """
        self._check_across("reduce")
        op = _check_op(reduce_op)
        if isinstance(value, DistributedVariable):
            value = PerReplica([v.value() for v in value.values])
        if axis is None:
            return nest.map_structure(
                lambda v: reduced_value(op, v, self.num_replicas_in_sync), value
            )
        values = self._values(value)
        if op is ReduceOp.MEAN:
            return mean_along(values, axis)
        return reduced(op, [reduce_sum(v, axis) for v in values])

    def _values(self, value: Any) -> list[Any]:
        if isinstance(value, (DistributedValues, DistributedVariable)):
            return list(value.values)
        return [value] * self.num_replicas_in_sync

    def gather(self, value: Any, axis: int) -> Any:
        """The values of all replicas along `axis`. Raises ValueError for scalars."""
        self._check_across("gather")
        return nest.map_structure(lambda v: gathered(self._values(v), axis), value)

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """The values of the replicas; of a structure one structure for each."""
        if isinstance(value, (DistributedValues, DistributedVariable)):
            return value.values
        if not nest.is_nested(value):
            return (value,)
        return tuple(_own(i, value) for i in range(self.num_replicas_in_sync))

    unwrap = experimental_local_results

    def experimental_distribute_values_from_function(self, value_fn: Callable[[Any], Any]) -> Any:
        """The values that the function makes for each replica."""
        self._check_across("experimental_distribute_values_from_function")
        count = self.num_replicas_in_sync
        return regroup([value_fn(ValueContext(i, count)) for i in range(count)], True)

    # ---- input ----------------------------------------------------------------------------
    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """A dataset whose batches are shared by the replicas: elements are PerReplica.

        Raises ValueError for elements that are no batches.
        """
        if isinstance(dataset, (SplitDataset, FunctionDataset)):
            raise ValueError("the dataset is distributed already: iterate over it")
        return SplitDataset(dataset, self.num_replicas_in_sync)

    def distribute_datasets_from_function(
        self, dataset_fn: Callable[[InputContext], Any], options: Any = None
    ) -> Any:
        """A dataset whose elements are the next ones of what the function makes, by replica."""
        made = dataset_fn(InputContext(1, 0, self.num_replicas_in_sync))
        return FunctionDataset(made, self.num_replicas_in_sync)

    # ---- extended -------------------------------------------------------------------------
    def update(
        self, var: Any, fn: Callable[..., Any], args: Any = (), kwargs: Any = None,
        group: bool = True,
    ) -> Any:  # fmt: skip
        """Calls `fn(component, *args)` for each component of a Variable.

        Args:
          args, kwargs: of distributed values each component gets its own.
          group: give the results as one value, else as a tuple.
        """
        self._check_across("update")
        components = var.values if isinstance(var, DistributedVariable) else (var,)
        results = []
        for i, component in enumerate(components):
            own_args, own_kwargs = _own(i, tuple(args)), _own(i, dict(kwargs or {}))
            outer, scopes.updating = scopes.updating, i
            try:
                with device(self._devices[i]):
                    results.append(fn(component, *own_args, **own_kwargs))
            finally:
                scopes.updating = outer
        if not group:
            return tuple(results)
        return Mirrored(results) if len(results) > 1 else results[0]

    def reduce_to(
        self, reduce_op: Any, value: Any, destinations: Any, options: Any = None
    ) -> Any:  # fmt: skip
        """The sum or mean over replicas, for each replica that the destinations have."""
        self._check_across("reduce_to")
        if not isinstance(value, DistributedValues):
            made = reduced_value(_check_op(reduce_op), value, self.num_replicas_in_sync)
            return spread(made, destinations)
        return self._cross_device_ops.reduce(reduce_op, value, destinations, options)

    def broadcast_to(self, tensor: Any, destinations: Any) -> Any:
        """The tensor for each replica that the destinations have."""
        self._check_across("broadcast_to")
        return self._cross_device_ops.broadcast(tensor, destinations)

    def value_container(self, value: Any) -> Any:
        """The Variable that a component belongs to; anything else itself."""
        holder = holder_of(value)
        return value if holder is None else holder

    def variable_created_in_scope(self, v: Any) -> bool:
        """Whether a Variable was made in the scope of this strategy."""
        return getattr(v, "_strategy", None) is self


_SeveralReplicas.__name__ = _SeveralReplicas.__qualname__ = "MirroredStrategy"


def _conforming(fn: Function) -> Callable[..., Any]:
    """The Python function of another one, on arguments made to fit its `input_signature`."""
    constraints, signature = fn._constraints, fn._signature
    function = fn.python_function  # of `fn` nothing more: its run is kept weakly
    if constraints is None:
        return function

    def plain(leaf: Any) -> Any:
        if not isinstance(leaf, Declared):
            return leaf
        if isinstance(leaf.spec, TensorSpec):
            return convert_to_tensor(leaf.value, leaf.spec.dtype)
        return leaf.value

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = constraints.conform(bound.arguments)
        except TypeError as error:
            raise binding_error(error, args, kwargs, signature, constraints) from None
        for name, value in given.items():
            bound.arguments[name] = nest.map_structure(plain, value)
        return convert_in_graph(function)(*bound.args, **bound.kwargs)

    return call


def _own(i: int, structure: Any) -> Any:
    """What replica i has of a structure, of Variables too."""

    def own(leaf: Any) -> Any:
        distributed = isinstance(leaf, (DistributedValues, DistributedVariable))
        return leaf.values[i] if distributed else leaf

    return nest.map_structure(own, structure)

"""Variables of several replicas: each replica has a component, which is a Variable of its own.

In the function of a replica a read gives its component. Outside, a `MirroredVariable` reads as
its first component, since all have the same value, and a `SyncOnReadVariable` as the sum (mean,
first) of all. The engine (graphs, tapes, kernels) only ever meets components.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from shardtape.context import building, next_id, recording, state
from shardtape.distribute.reductions import reduced
from shardtape.distribute.strategy import ReduceOp
from shardtape.distribute.values import DistributedValues, Mirrored, shown
from shardtape.ops.cast import cast
from shardtape.replica_context import across_replicas, scopes
from shardtape.tensor import EagerTensor, Tensor
from shardtape.variable import Variable
from shardtape.variable_creation import creation_listeners, listeners
from shardtape.variable_synchronization import VariableAggregation, VariableSynchronization

_OPS = {VariableAggregation.SUM: ReduceOp.SUM, VariableAggregation.MEAN: ReduceOp.MEAN}


class DistributedVariable(Variable):
    """Base of both kinds.

    Args:
      strategy: whose replicas have the components.
      components: Variables in the order of the replicas.
      aggregation: how values of replicas become one.
      synchronization: ON_WRITE or ON_READ.
    """

    _is_input = False  # which component is meant, the replica decides

    def __init__(
        self, strategy: Any, components: Sequence[Variable], aggregation: VariableAggregation,
        synchronization: VariableSynchronization,
    ) -> None:  # fmt: skip
        self._strategy, self._components = strategy, tuple(components)
        first = components[0]
        self._dtype, self._trainable, self._name = first._dtype, first._trainable, first._name
        self._differentiable, self._bound = first._differentiable, False
        self.constraint = first.constraint
        self.aggregation, self.synchronization = aggregation, synchronization
        holder = self._holder = weakref.ref(self)
        for component in components:
            component._holder = holder
            component.aggregation, component.synchronization = aggregation, synchronization

    # ---- components -----------------------------------------------------------------------
    @property
    def values(self) -> tuple[Variable, ...]:
        """The components in the order of the replicas."""
        return self._components

    @property
    def distribute_strategy(self) -> Any:
        """The strategy whose replicas have the components."""
        return self._strategy

    def _local(self) -> Variable | None:
        """The component of the replica that runs or is updated; None outside of replicas."""
        number = scopes.updating
        if number is None:
            replica = scopes.replica
            if replica is None or replica.strategy is not self._strategy:
                return None
            number = replica.number
        return self._components[number]

    @property
    def _engine(self) -> Variable:
        """The component that graphs, tapes and kernels are given here."""
        local = self._local()
        return self._components[0] if local is None else local

    @property
    def _id(self) -> int:  # type: ignore[override]
        return self._engine._id

    @property
    def _shape(self) -> Any:  # type: ignore[override]
        return self._components[0]._shape

    @property
    def _array(self) -> Any:  # type: ignore[override]
        return self._read_array()

    def set_shape(self, shape: Any) -> None:
        for component in self._components:
            component.set_shape(shape)

    @property
    def device(self) -> str:
        return self._engine.device

    @property
    def op(self) -> Any:
        return self._engine.op

    @property
    def handle(self) -> Any:
        return self._engine.handle

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_components", "_strategy"):
            raise AttributeError(name)
        return getattr(self._engine, name)

    # ---- reading --------------------------------------------------------------------------
    def value(self) -> Tensor:
        """The value in this replica, else the one of all."""
        return self._engine.value()

    read_value = value

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        return self._engine.sparse_read(indices, name)

    def numpy(self) -> Any:
        return self._engine.numpy()

    def _read_array(self) -> Any:
        return self._engine._read_array()

    # ---- writing --------------------------------------------------------------------------
    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Any:  # fmt: skip
        return self._write("assign", (value,), name, read_value)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Any:  # fmt: skip
        return self._write("assign_add", (delta,), name, read_value)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Any:  # fmt: skip
        return self._write("assign_sub", (delta,), name, read_value)

    def _scatter_op(self, op: Any, slices: Any, name: Any) -> Any:
        return self._write("_scatter_op", (op, slices), name, True)

    def _scatter_nd_op(self, op: Any, indices: Any, updates: Any, name: Any) -> Any:
        return self._write("_scatter_nd_op", (op, indices, updates), name, True)

    def _write(self, method: str, args: tuple[Any, ...], name: Any, read_value: bool) -> Any:
        raise NotImplementedError

    def _call(self, i: int, method: str, args: tuple[Any, ...], name: Any, read: bool) -> Any:
        """Writes one component, as a Variable's method does."""
        function = getattr(self._components[i], method)
        given = [a.values[i] if isinstance(a, DistributedValues) else a for a in args]
        return function(*given, name=name, **({} if method[0] == "_" else {"read_value": read}))

    def _write_each(self, method: str, args: tuple[Any, ...], name: Any) -> None:
        for i in range(len(self._components)):
            self._call(i, method, args, name, False)

    # ---- storage --------------------------------------------------------------------------
    def _storage(self) -> Any:
        return self._components[0]._storage()

    def _write_array(self, value: Any) -> None:
        local = self._local()
        for component in self._components if local is None else (local,):
            component._write_array(value)

    def bind(self, array: Any) -> None:
        raise TypeError(
            f"variable '{self.name}' has {len(self._components)} components: it cannot live in "
            "one array"
        )

    def _free_mirrors(self) -> None:
        """Lets go of arrays that are shared with the first component, so that it is written in
        place. `_share_mirrors` is to follow."""
        held = self._components[0]._array
        for component in self._components[1:]:
            if component._array is held:
                component._array = None

    def _share_mirrors(self) -> None:
        """Gives all components the value of the first one; who writes it next copies it."""
        held = self._components[0]._array
        for component in self._components[1:]:
            component._array = held

    # ---- Python ---------------------------------------------------------------------------
    def __deepcopy__(self, memo: Any) -> Any:
        components = [copy.deepcopy(c, memo) for c in self._components]
        made = type(self)(self._strategy, components, self.aggregation, self.synchronization)
        memo[id(self)] = made
        return made

    def __reduce__(self) -> Any:
        # where it arrives it is a Variable of the scope that is open there
        make, (_, *rest) = super().__reduce__()
        return make, (Variable, *rest)

    def __repr__(self) -> str:
        return shown(type(self).__name__, self._components, repr)

    __str__ = __repr__


class MirroredVariable(DistributedVariable):
    """A Variable of which all replicas have the same value, while they write it together.

    A write in a replica waits for the same write of the others and takes the sum, mean or first
    of their values; without an aggregation it changes the component alone.
    """

    def _write(self, method: str, args: tuple[Any, ...], name: Any, read_value: bool) -> Any:
        if scopes.updating is not None:
            return self._call(scopes.updating, method, args, name, read_value)
        local = self._local()
        if local is None:
            return self._write_all(method, args, name, read_value)
        if self.aggregation is VariableAggregation.NONE:
            return self._call(scopes.replica.number, method, args, name, read_value)
        if method[0] != "_":
            args = (local._operand(args[0]),)
        return scopes.replica.merge_call(
            lambda strategy, *merged: self._write_merged(method, merged, name, read_value), args
        )

    def _write_all(
        self, method: str, args: tuple[Any, ...], name: Any, read_value: bool
    ) -> Mirrored | None:
        with across_replicas(self._strategy):
            self._write_each(method, args, name)
            if not read_value:
                return None
            return Mirrored([component.value() for component in self._components])

    def _write_merged(
        self, method: str, args: tuple[Any, ...], name: Any, read_value: bool
    ) -> Mirrored | None:
        """Across replicas: what all of them write, made one."""
        merged = tuple([self._merged(a) for a in args])
        return self._write_all(method, merged, name, read_value)

    def _merged(self, value: Any) -> Any:
        if not isinstance(value, DistributedValues):
            # replicas that write the same constant add it up, too
            is_number = isinstance(value, Tensor) and self.aggregation is VariableAggregation.SUM
            return value * len(self._components) if is_number else value
        if self.aggregation is VariableAggregation.ONLY_FIRST_REPLICA:
            return value.values[0]
        return reduced(_OPS[self.aggregation], value.values)


class SyncOnReadVariable(DistributedVariable):
    """A Variable whose components differ; what is read outside of replicas is made of all."""

    def value(self) -> Tensor:
        local = self._local()
        return self._together() if local is None else local.value()

    read_value = value

    def _together(self) -> Tensor:
        """The sum, mean or first of all components. Raises ValueError without aggregation."""
        if self.aggregation is VariableAggregation.ONLY_FIRST_REPLICA:
            return self._components[0].value()
        op = _OPS.get(self.aggregation)
        if op is None:
            raise ValueError(
                f"variable '{self.name}' has a value for each replica and no aggregation that "
                "makes one of them: read it in a replica, or make it with aggregation=SUM, MEAN "
                "or ONLY_FIRST_REPLICA"
            )
        return reduced(op, [component.value() for component in self._components])

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        from shardtape.ops.gather import gather

        local = self._local()
        if local is not None:
            return local.sparse_read(indices, name)
        return gather(self._together(), indices, name=name)

    def numpy(self) -> Any:
        if state.graph is not None:
            raise NotImplementedError("numpy() is only available when eager execution is enabled.")
        return self.value().numpy()  # type: ignore[attr-defined]

    def _read_array(self) -> Any:
        local = self._local()
        if local is not None:
            return local._read_array()
        with building(None), recording(()):
            return self._together()._array  # type: ignore[attr-defined]

    def _write(self, method: str, args: tuple[Any, ...], name: Any, read_value: bool) -> Any:
        if scopes.updating is not None:
            return self._call(scopes.updating, method, args, name, read_value)
        if self._local() is not None:
            return self._call(scopes.replica.number, method, args, name, read_value)
        if method not in ("assign", "assign_add", "assign_sub"):
            raise NotImplementedError(
                f"variable '{self.name}' is synchronised on read: scatter into it in a replica"
            )
        if self.aggregation is VariableAggregation.SUM:
            args = (self._share(method, args[0]),)
        with across_replicas(self._strategy):
            self._write_each(method, args, name)
            return self.value() if read_value else None

    def _share(self, method: str, value: Any) -> Any:
        """What each component takes, so that their sum is the value."""
        if method != "assign":
            raise ValueError(
                f"`{method}` of variable '{self.name}' outside of replicas is not supported while "
                "its aggregation is SUM: assign the sum, or change it in the replicas"
            )
        if isinstance(value, DistributedValues):
            return value
        value = self._components[0]._operand(value)
        return cast(value / len(self._components), self._dtype)

    def _write_array(self, value: Any) -> None:
        if self._local() is None and self.aggregation is VariableAggregation.SUM:
            self.assign(EagerTensor(value))
        else:
            super()._write_array(value)


# ---- making ---------------------------------------------------------------------------------
def created(strategy: Any, make: Callable[..., Any], given: dict[str, Any]) -> Any:
    """The Variable of a strategy's replicas for the arguments of `tf.Variable`.

    Raises ValueError for synchronization NONE, and for means of integers.
    """
    aggregation = VariableAggregation(given.get("aggregation") or VariableAggregation.NONE)
    sync = VariableSynchronization(given.get("synchronization") or VariableSynchronization.AUTO)
    if sync is VariableSynchronization.NONE:
        raise ValueError(
            "`NONE` variable synchronization mode is not supported with tf.distribute strategy: "
            f"change the `synchronization` of variable {given.get('name')!r}"
        )
    heard, listeners.functions = listeners.functions, []  # of the whole, not of components
    try:
        first = make(**given)
    finally:
        listeners.functions = heard
    if isinstance(first, DistributedVariable):  # an inner creator made it with the scope open
        return first
    on_read = sync is VariableSynchronization.ON_READ
    if aggregation is VariableAggregation.MEAN and not (
        first.dtype.is_floating or first.dtype.is_complex
    ):
        raise ValueError(
            f"variable '{first.name}' of {first.dtype.name} has the aggregation MEAN, which is no "
            "integer: take SUM or ONLY_FIRST_REPLICA, or a floating dtype"
        )
    kind = SyncOnReadVariable if on_read else MirroredVariable
    if not on_read:
        sync = VariableSynchronization.ON_WRITE
    components = [first]
    for i in range(1, strategy.num_replicas_in_sync):
        components.append(_copied(first, f"{first._name}/replica_{i}"))
    made = kind(strategy, components, aggregation, sync)
    for listener in creation_listeners():
        listener(made)
    return made


def _copied(variable: Variable, name: str) -> Variable:
    """Another Variable with the same value, which is copied by who writes first."""
    made = object.__new__(type(variable))
    made.__dict__.update(variable.__dict__)
    made._id, made._name = next_id(), name
    return made

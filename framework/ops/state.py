"""Ops that read and write Variables. Their first input is the Variable (in a graph: its handle)."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend, errors, shapes
from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.registry import READS, WRITES, Op, op
from shardtape.tensor import EagerTensor, SymbolicTensor

_RESOURCE = frozenset((dt.resource,))


def apply_resource(
    resource_op: Op,
    variable: Any,
    inputs: tuple[Any, ...] = (),
    attrs: dict[str, Any] | None = None,
    name: str | None = None,
) -> Any:
    """Applies an op of this file to a Variable: eagerly, or as a node of the current graph."""
    attrs = resource_op.bind_attrs(attrs or {})
    graph = state.graph
    if graph is None:
        for x in inputs:
            if type(x) is SymbolicTensor:
                graph = x.open_graph()
                break
    if graph is None:
        arrays = [t._array for t in inputs]
        try:
            got = resource_op.kernel(np, variable, *arrays, **attrs)
        except errors.InaccessibleTensorError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise errors.InvalidArgumentError(
                f"{error} [Op:{resource_op.type}] on variable '{variable.name}'"
            ) from error
        outputs = None if got is None else EagerTensor(got)
    else:
        if graph.takes_resources and variable._id not in graph._handles:
            scope = graph.unique_name(name or resource_op.type)
            handle, name = graph.variable_handle(variable, f"{scope}/resource"), f"{scope}/"
        else:
            handle = graph.variable_handle(variable)
        outputs = graph.add_op(resource_op, (handle, *inputs), attrs, name)
    if state.recorders:
        outs = (outputs,) if isinstance(outputs, (EagerTensor, SymbolicTensor)) else ()
        for recorder in state.recorders:
            recorder.read(variable)
            if outs:
                recorder.record(resource_op, (variable, *inputs), attrs, outs)
    return outputs


@op("VarHandleOp", shape=lambda variable: shapes.TensorShape([]), dtype=dt.resource,
    dtypes=dt.ANY, effects=READS, differentiable=False, widen=False)  # fmt: skip
def var_handle(xp, *, variable):
    """The Variable itself, as a value of type resource."""
    return variable


@op("ReadVariableOp", shape=lambda handle, dtype: handle.value.shape, dtype="dtype",
    dtypes=_RESOURCE, effects=READS, mixed=True, may_view=True, widen=False)  # fmt: skip
def read_variable(xp, variable, *, dtype):
    """The Variable's value, shared with it until it is next written, or its copy on a device."""
    array = variable._read_array()
    return array if xp is np else backend.to_device(array)


@read_variable.gradient
def _(g, _y, _variable):
    return g


def _gather_shape(handle, indices, dtype):
    return indices.shape.concatenate(handle.value.shape[1:])


@op("ResourceGather", shape=_gather_shape, dtype="dtype", dtypes=dt.ANY, effects=READS,
    mixed=True, widen=False, retains=False)  # fmt: skip
def resource_gather(xp, variable, indices, *, dtype):
    """Rows of a Variable without reading the rest; indices (...) to (..., row)."""
    table = variable._read_array()
    if backend.accelerated:
        xp, (table, indices) = backend.together(table, indices)
    rows = table.shape[0]
    # to look at indices on a device would cost a wait
    if xp is np and indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < rows:
        bad = indices[(indices < 0) | (indices >= rows)].ravel()[0]
        raise IndexError(f"indices has value {int(bad)}, which is not in [0, {rows})")
    return xp.take(table, indices, axis=0)


@resource_gather.gradient
def _(g, _y, variable, indices):
    from shardtape.indexed_slices import IndexedSlices
    from shardtape.ops.array import concat, reshape
    from shardtape.variable_spec import variable_of

    if type(variable) is SymbolicTensor:  # its handle
        variable = variable_of(variable)
    dense = _dense_shape(variable)
    if variable.shape[1:].is_fully_defined():
        rows = reshape(g, [-1, *variable.shape.as_list()[1:]])
    else:
        rows = reshape(g, concat([[-1], dense[1:]], 0))
    return IndexedSlices(rows, reshape(indices, [-1]), dense), None


def _dense_shape(variable: Any) -> Any:
    from shardtape.ops.array import shape
    from shardtape.ops.convert import convert_to_tensor

    if variable.shape.is_fully_defined():
        return convert_to_tensor(variable.shape.as_list(), dt.int32)
    return shape(variable.read_value())


def _no_outputs(*args: Any, **attrs: Any) -> list[Any]:
    return []


def _write(type_name: str, retains: bool = False) -> Any:
    return op(type_name, shape=_no_outputs, dtype=lambda dtypes, attrs: (), dtypes=dt.ANY,
              outputs=0, effects=WRITES, retains=retains, mixed=True, differentiable=False,
              widen=False)  # fmt: skip


@_write("AssignVariableOp", retains=True)
def assign_variable(xp, variable, value):
    """variable = value."""
    variable._write_array(value)


@_write("AssignAddVariableOp")
def assign_add_variable(xp, variable, value):
    """variable += value."""
    variable._update_array("add", value)


@_write("AssignSubVariableOp")
def assign_sub_variable(xp, variable, value):
    """variable -= value."""
    variable._update_array("subtract", value)


def _scatter(type_name: str, function: str) -> Op:
    @_write(type_name)
    def kernel(xp, variable, indices, updates):
        variable._scatter(function, indices, updates)

    kernel.__doc__ = f"Rows of a Variable: {function}(rows, updates) at indices."
    return kernel


def _scatter_nd(type_name: str, function: str) -> Op:
    @_write(type_name)
    def kernel(xp, variable, indices, updates):
        variable._scatter_nd(function, indices, updates)

    kernel.__doc__ = f"Parts of a Variable: {function}(parts, updates) at index vectors."
    return kernel


scatter_update = _scatter("ResourceScatterUpdate", "update")
scatter_add = _scatter("ResourceScatterAdd", "add")
scatter_sub = _scatter("ResourceScatterSub", "subtract")
scatter_mul = _scatter("ResourceScatterMul", "multiply")
scatter_div = _scatter("ResourceScatterDiv", "divide")
scatter_max = _scatter("ResourceScatterMax", "maximum")
scatter_min = _scatter("ResourceScatterMin", "minimum")
scatter_nd_update = _scatter_nd("ResourceScatterNdUpdate", "update")
scatter_nd_add = _scatter_nd("ResourceScatterNdAdd", "add")
scatter_nd_sub = _scatter_nd("ResourceScatterNdSub", "subtract")
scatter_nd_max = _scatter_nd("ResourceScatterNdMax", "maximum")
scatter_nd_min = _scatter_nd("ResourceScatterNdMin", "minimum")

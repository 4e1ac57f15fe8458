"""`apply`: the one way in which an op runs or becomes a node, and is seen by tapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend, errors
from shardtape import dtypes as dt
from shardtape.context import building, state
from shardtape.ops import registry
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import complete, cpp_name, kernel_error
from shardtape.ops.node_names import NODE_NAMES, argument_name
from shardtape.ops.registry import Op
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_HALF = {t.numpy_dtype for t in dt.HALVES}
# Composite types (IndexedSlices, ragged, sparse) and other tensor-likes take an op over here.
_MOST_SIGNATURES = 1000  # of one op; attributes can have any number of values
_dispatchers: list[Any] = []
_PLAIN = (Tensor, np.ndarray, float, int, str, bytes, list, tuple, complex)


def add_dispatcher(handler: Any) -> None:
    """`handler(op, inputs, attrs, name)` returns NotImplemented or the result."""
    _dispatchers.append(handler)


def apply(op: Op, inputs: tuple[Any, ...], attrs: dict[str, Any], name: str | None = None) -> Any:
    """Applies an op: dispatch on types, capture, node or kernel, record.

    Raises:
      InvalidArgumentError: wrong dtype or shape; the text names the op.
    """
    eager, given = True, inputs
    for x in inputs:
        kind = type(x)
        if kind is not EagerTensor:
            if kind is SymbolicTensor:
                eager = False
            else:
                got = _as_tensors(op, inputs, name)
                if got is NotImplemented:
                    return NotImplemented
                if not isinstance(got, tuple):
                    return got(op, attrs, name)
                inputs, name = got
                eager = not any(type(t) is SymbolicTensor for t in inputs)
                break
    if attrs or op.attr_defaults:
        attrs = op.bind_attrs(attrs)
    recorders = state.eager
    if eager and recorders is not None:
        try:
            outputs = _run(op, inputs, attrs)
        except errors.OpError as error:
            complete(error, op, given)
            raise
    else:
        recorders = state.recorders
        graph = state.graph if eager else _graph_of(inputs)
        if op.type in graph.gradient_overrides:
            from shardtape.gradient_registry import overridden

            op = overridden(op, graph.gradient_overrides[op.type])
        outputs = graph.add_op(op, inputs, attrs, name)
    if recorders:
        outs = outputs if type(outputs) is tuple else (outputs,)
        for recorder in recorders:
            recorder.record(op, inputs, attrs, outs)
    return outputs


def _graph_of(inputs: tuple[Any, ...]) -> Any:
    """The graph that a node belongs to: the current one, else that of the symbolic inputs.

    A graph that claims its ops (Keras's) gets what is done to its tensors, unless the current
    graph is being built inside it.
    """
    current = state.graph
    for x in inputs:
        if type(x) is SymbolicTensor:
            if current is None:
                return x.open_graph()
            own = x.graph
            if own.claims_ops and not _inside(current, own):
                return own
    return current


def _inside(graph: Any, outer: Any) -> bool:
    while graph is not None:
        if graph is outer:
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def _as_tensors(op: Op, inputs: tuple[Any, ...], name: str | None) -> Any:
    """(tensors, name of the node): in a graph, what is converted stands in the node's scope."""
    if state.graph is None:
        for x in inputs:
            if type(x) is SymbolicTensor:  # Variables beside it are read in its graph
                with building(x.graph):
                    return _as_tensors(op, inputs, name)
    for x in inputs:
        if not isinstance(x, _PLAIN) and not hasattr(x, "_as_operand"):
            for handler in _dispatchers:
                got = handler(op, inputs)
                if got is not NotImplemented:
                    return got
    graph = state.graph
    if graph is None:
        return _converted(op, inputs, False), name
    scope = graph.unique_name(name or NODE_NAMES.get(op.type, op.type))
    outer, state.name_stack = state.name_stack, scope
    try:
        return _converted(op, inputs, True), f"{scope}/"
    finally:
        state.name_stack = outer


def _converted(op: Op, inputs: tuple[Any, ...], names: bool) -> tuple[Any, ...]:
    # where an op takes one type only, Python values are of that type
    wanted = next(iter(op.dtypes)) if len(op.dtypes) == 1 and not op.mixed else None
    count = len(inputs)
    if not op.mixed:
        for i, x in enumerate(inputs):
            if isinstance(x, Tensor) and not op.is_host(i, count):
                wanted = x.dtype
                break
            # Keras's weights may be read in another type than they are kept in
            inner = getattr(x, "read_dtype", None) or getattr(x, "dtype", None)
            if isinstance(inner, dt.DType) and not op.is_host(i, count):
                wanted = inner
                break
    out = []
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor):
            out.append(x)
            continue
        name = argument_name(op, i, count) if names else None
        if op.is_host(i, count):
            out.append(convert_to_tensor(x, name=name, hint_integer=True))
        elif wanted is not None:
            try:
                inner = getattr(x, "dtype", None)
                if hasattr(x, "_as_operand"):
                    out.append(x._as_operand())
                elif isinstance(inner, dt.DType):
                    out.append(convert_to_tensor(x, name=name))
                else:
                    out.append(convert_to_tensor(x, wanted, name=name))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{error} (input {i} of op {op.type})") from None
        else:
            t = convert_to_tensor(x, name=name)
            if not op.mixed:
                wanted = t.dtype
            out.append(t)
    return tuple(out)


def check_dtypes(op: Op, in_dtypes: list[dt.DType]) -> None:
    """Raises InvalidArgumentError for a type that the op does not take, or for mixed types."""
    first = None
    count = len(in_dtypes)
    for i, d in enumerate(in_dtypes):
        if op.host and op.is_host(i, count):
            continue
        if d not in op.dtypes:
            allowed = ", ".join(sorted(t.name for t in op.dtypes))
            raise errors.InvalidArgumentError(
                f"Value for attr 'T' of {d.name} is not in the list of allowed values: {allowed}"
                f" [Op:{op.type}]"
            )
        if op.mixed:
            continue
        if first is None:
            first = d
        elif d is not first:
            raise errors.InvalidArgumentError(
                f"cannot compute {op.type} as input #{i}(zero-based) was expected to be a "
                f"{cpp_name(first)} tensor but is a {cpp_name(d)} tensor [Op:{op.type}] name: "
            )


def _run(op: Op, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    # one or two inputs without a comprehension, which costs a frame
    count = len(inputs)
    if count == 2:
        x, y = inputs[0]._array, inputs[1]._array
        arrays: Any = x, y
        key: Any = x.dtype.num, y.dtype.num
    elif count == 1:
        x = inputs[0]._array
        arrays, key = (x,), (x.dtype.num,)
    else:
        arrays = [t._array for t in inputs]
        key = tuple([a.dtype.num for a in arrays])
    if attrs and attrs is not op.defaults:
        key = None if op.direct else (key, *attrs.values())
    if not backend.accelerated:
        try:
            expected = op.signatures.get(key)
        except TypeError:  # an attribute that cannot be hashed
            expected = key = None
        if expected is not None:
            try:
                result = op.kernel(np, *arrays, **attrs)
                if type(expected) is tuple:
                    return tuple([EagerTensor(_as_dtype(a, e)) for a, e in zip(result, expected)])
                if getattr(result, "dtype", None) is not expected:
                    result = _as_dtype(result, expected)
                return EagerTensor(result)
            except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:
                raise kernel_error(op, arrays, error) from error
    check_dtypes(op, [t.dtype for t in inputs])
    xp = np
    if backend.accelerated:
        xp, arrays = _place(op, arrays)
    result = compute(op, xp, arrays, attrs)
    learns = xp is np and key is not None and not any(a.dtype in _HALF for a in arrays)
    learns = learns and len(op.signatures) < _MOST_SIGNATURES
    if type(result) is tuple:
        if learns and op.outputs == len(result):  # their number is not a matter of values
            op.signatures[key] = tuple([a.dtype for a in result])
        return tuple([EagerTensor(a) for a in result])
    # a fast op returns its ufunc's result as it is, so that has to have the right type
    right = learns and (not op.is_ufunc or _same_type(op.kernel(np, *arrays), result))
    if right:
        op.signatures[key] = result.dtype
    return EagerTensor(result)


def _same_type(raw: Any, result: Any) -> bool:
    # for strings a ufunc gives bare bytes where the arrays have no axes
    return result.dtype.kind != "O" and raw.dtype == result.dtype


def _place(op: Op, arrays: list[Any]) -> tuple[Any, list[Any]]:
    """The array module that runs the op, with its inputs moved to where it runs."""
    count = len(arrays)
    xp = backend.op_module(*[a for i, a in enumerate(arrays) if not op.is_host(i, count)])
    return xp, [
        backend.to_host(a) if xp is np or op.is_host(i, count) else backend.to_device(a)
        for i, a in enumerate(arrays)
    ]


def compute(op: Op, xp: Any, arrays: Any, attrs: dict[str, Any]) -> Any:
    """Runs a kernel on arrays with the result dtypes asserted and errors named.

    float16 and bfloat16 are computed in float32 where the op widens.
    """
    expected = op.output_dtypes([dt.from_numpy(a.dtype) for a in arrays], attrs)
    try:
        if op.widen and any(a.dtype in _HALF for a in arrays):
            arrays = [a.astype(np.float32) if a.dtype in _HALF else a for a in arrays]
        result = op.kernel(xp, *arrays, **attrs)
    except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:
        raise kernel_error(op, arrays, error) from error
    if type(result) is tuple:
        if isinstance(expected, dt.DType):
            expected = (expected,) * len(result)
        return tuple([_as_dtype(a, e._numpy) for a, e in zip(result, expected)])
    if not isinstance(expected, dt.DType):  # a tuple of one, or of none
        if not expected:
            return result
        [expected] = expected
    return _as_dtype(result, expected._numpy)


def _as_dtype(array: Any, wanted: np.dtype) -> Any:
    got = getattr(array, "dtype", None)
    if got is wanted or got == wanted:
        return array
    if got is None:
        made = np.asarray(array, wanted)
        return made if wanted.kind == "O" else made[()]
    return array.astype(wanted)


registry._apply = apply

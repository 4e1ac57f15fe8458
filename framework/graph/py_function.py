"""Python code as an operation: `tf.py_function` on eager tensors, `tf.numpy_function` on arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.context import building, recording, state
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.array import zeros_like
from shardtape.ops.convert import convert_to_tensor, to_array
from shardtape.ops.registry import IO, READS, op
from shardtape.tape import GradientTape
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor


def error_of(raised: Exception) -> errors.OpError:
    """The error of TensorFlow's kind for what user code raised; its text begins with the type."""
    if isinstance(raised, errors.OpError):
        return raised
    text = f"{type(raised).__name__}: {raised}"
    if isinstance(raised, (ValueError, TypeError)):
        return errors.InvalidArgumentError(text)
    if isinstance(raised, StopIteration):
        return errors.OutOfRangeError(text)
    if isinstance(raised, MemoryError):
        return errors.ResourceExhaustedError(text)
    if isinstance(raised, NotImplementedError):
        return errors.UnimplementedError(text)
    return errors.UnknownError(text)


class _Kept:
    """A run of a differentiable Python function, as a value of type variant."""

    shape: tuple[int, ...] = ()
    ndim = 0
    dtype = np.dtype(object)

    def __init__(self, tape: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self.tape, self.inputs, self.outputs = tape, inputs, outputs


def _result_shapes(*args: Any, specs: Any, **attrs: Any) -> list[Any]:
    return [s.shape for s in specs]


def _result_dtypes(dtypes: Any, attrs: Any) -> tuple[Any, ...]:
    return tuple([s.dtype for s in attrs["specs"]])


@op("EagerPyFunc", shape=lambda *args, specs, function: [*[s.shape for s in specs], ()],
    dtype=lambda dtypes, attrs: (*_result_dtypes(dtypes, attrs), dt.variant), dtypes=dt.ANY,
    mixed=True, outputs=-1, effects=IO, direct=True, dynamic=True, widen=False)  # fmt: skip
def eager_py_func(xp, *inputs, function, specs):
    """Calls Python on eager tensors; the last output keeps the run for its gradient."""
    tensors = [EagerTensor(a) for a in inputs]
    with building(None), recording(()), GradientTape(persistent=True) as tape:
        tape.watch([t for t in tensors if t.dtype.is_floating or t.dtype.is_complex])
        made = _called(function, tensors)
        outputs = _converted(made, specs)
    return (*[t._array for t in outputs], _Kept(tape, tensors, outputs))


@eager_py_func.gradient
def _(grads, outputs, *inputs):
    wanted = [i for i, x in enumerate(inputs) if x.dtype.is_floating or x.dtype.is_complex]
    seeds = [zeros_like(y) if g is None else g for g, y in zip(grads[:-1], outputs[:-1])]
    specs = tuple(TensorSpec(inputs[i].shape, inputs[i].dtype) for i in wanted)
    if not wanted:
        return [None] * len(inputs)
    got = eager_py_func_grad(outputs[-1], *seeds, wanted=tuple(wanted), specs=specs)
    found = dict(zip(wanted, got if isinstance(got, tuple) else (got,)))
    return [found.get(i) for i in range(len(inputs))]


@op("EagerPyFuncGrad", shape=_result_shapes, dtype=_result_dtypes, dtypes=dt.ANY, mixed=True,
    outputs=-1, effects=READS, direct=True, dynamic=True, widen=False)  # fmt: skip
def eager_py_func_grad(xp, kept, *seeds, wanted, specs):
    """Gradients of an earlier run with respect to some of its inputs."""
    sources = [kept.inputs[i] for i in wanted]
    with building(None), recording(()):
        got = kept.tape.gradient(kept.outputs, sources, [EagerTensor(s) for s in seeds])
        full = [zeros_like(s) if g is None else convert_to_tensor(g) for g, s in zip(got, sources)]
    return _one_or_all([t._array for t in full])


@op("PyFunc", shape=_result_shapes, dtype=_result_dtypes, dtypes=dt.ANY, mixed=True, outputs=-1,
    effects=IO, direct=True, dynamic=True, widen=False, differentiable=False)  # fmt: skip
def py_func_op(xp, *inputs, function, specs):
    """Calls Python on numpy arrays of their own."""
    made = _called(function, [np.array(a)[()] for a in inputs])
    return _one_or_all([t._array for t in _converted(made, specs)])


# stateless functions may be left out where nobody reads the result
@op("PyFuncStateless", shape=_result_shapes, dtype=_result_dtypes, dtypes=dt.ANY, mixed=True,
    outputs=-1, effects=READS, direct=True, dynamic=True, widen=False, differentiable=False,
    )  # fmt: skip
def py_func_stateless_op(xp, *inputs, function, specs):
    """As PyFunc."""
    return py_func_op.kernel(xp, *inputs, function=function, specs=specs)


def _one_or_all(arrays: list[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def _called(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    try:
        return function(*arguments)
    except Exception as raised:  # whatever user code raises becomes the operation's error
        raise error_of(raised) from raised


def _converted(made: Any, specs: Sequence[TensorSpec]) -> list[EagerTensor]:
    """The results as eager tensors. Raises InvalidArgumentError for a wrong number or type."""
    values = list(made) if isinstance(made, (list, tuple)) and len(specs) != 1 else [made]
    if isinstance(made, (list, tuple)) and len(specs) == 1 and len(made) == 1:
        values = list(made)
    if made is None:
        values = [None] * len(specs)
    if len(values) != len(specs):
        raise errors.InvalidArgumentError(
            f"the Python function was expected to return {len(specs)} values but returned "
            f"{len(values)}"
        )
    out = []
    for value, spec in zip(values, specs):
        try:
            if value is None:
                value = 0  # what TensorFlow makes of None
            _check_array(value, spec.dtype)
            out.append(_eager(value, spec.dtype))
        except (TypeError, ValueError) as error:
            raise errors.InvalidArgumentError(
                f"{type(error).__name__}: the Python function returned what is no "
                f"{spec.dtype.name} tensor: {error}"
            ) from error
    return out


def _check_array(value: Any, dtype: dt.DType) -> None:
    """Raises TypeError for an array of another type, which nothing converts in silence."""
    given = value.dtype if isinstance(value, (np.ndarray, np.generic)) else None
    if given is not None and given.kind not in "SUO" and given != dtype.numpy_dtype:
        raise TypeError(f"Tensor conversion requested dtype {dtype.name} for an array of {given}")


def _eager(value: Any, dtype: dt.DType) -> EagerTensor:
    if isinstance(value, (Tensor, list, tuple)) or hasattr(value, "_as_tensor"):
        return convert_to_tensor(value, dtype)  # type: ignore[return-value]
    return EagerTensor(to_array(value, dtype))


def _specs(result_types: Any) -> tuple[list[TensorSpec], bool]:
    several = isinstance(result_types, (list, tuple))
    flat = list(result_types) if several else [result_types]
    return [
        t if isinstance(t, TensorSpec) else TensorSpec(shapes.UNKNOWN, dt.as_dtype(t)) for t in flat
    ], several


def py_function(func: Any = None, inp: Any = None, Tout: Any = None, name: Any = None) -> Any:
    """Calls `func` on eager tensors each time the operation runs; gradients flow through it.

    Args:
      func: takes one tensor per input, returns one value per dtype in `Tout`; without it the
        result is a decorator of one.
      inp: tensors.
      Tout: a dtype (or TensorSpec) or a list of them.

    Returns:
      A tensor of unknown shape, or a list of them.

    Raises:
      InvalidArgumentError and its kin: what `func` raised, or a result of another type.
    """
    if func is None:
        return _decorator(lambda f, args: py_function(f, args, Tout, name))
    specs, several = _specs(Tout)
    inputs = [convert_to_tensor(x) for x in inp]
    if _eagerly(inputs):
        got: list[Any] = list(_converted(_called(func, inputs), specs))
    else:
        made = eager_py_func(*inputs, function=func, specs=tuple(specs), name=name)
        got = list(made[:-1])
    return got if several else got[0]


def numpy_function(
    func: Any = None, inp: Any = None, Tout: Any = None, stateful: bool = True,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Calls `func` on numpy arrays each time the operation runs; it has no gradient.

    Args:
      func: function of arrays; without it the result is a decorator of one.
      stateful: False lets the call be left out where nobody reads its results.

    Returns:
      A tensor of unknown shape, or a list of them. In eager mode the dtype is what `func` gives.
    """
    if func is None:
        return _decorator(lambda f, args: numpy_function(f, args, Tout, stateful, name))
    several = isinstance(Tout, (list, tuple))
    if _eagerly(inp):
        made = func(*[np.array(x) for x in inp])
        results = list(made) if isinstance(made, (list, tuple)) else [made]
        got: list[Any] = [convert_to_tensor(x) for x in results]
        return got if several else got[0]
    inputs = [convert_to_tensor(x) for x in inp]
    specs, _ = _specs(Tout)
    operation = py_func_op if stateful else py_func_stateless_op
    out = operation(*inputs, function=func, specs=tuple(specs), name=name)
    got = list(out) if isinstance(out, tuple) else [out]
    return got if several else got[0]


def _decorator(apply: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def decorated(*args: Any) -> Any:
            return apply(function, args)

        return decorated

    return decorate


def py_func(func: Any, inp: Any, Tout: Any, stateful: bool = True, name: Any = None) -> Any:
    """TF1's name of `numpy_function`."""
    return numpy_function(func, inp, Tout, stateful, name)


def _eagerly(inputs: Sequence[Any]) -> bool:
    return state.graph is None and not any(isinstance(t, SymbolicTensor) for t in inputs)

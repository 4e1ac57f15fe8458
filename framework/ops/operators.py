"""Python's operators on Tensors and Variables, written in ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.ops import array, math
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.indexing import getitem
from shardtape.ops.variable_slices import variable_part
from shardtape.shapes import as_shape, broadcast_shapes
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_NUMBERS = (int, float, list, tuple)
_VALUES = (*_NUMBERS, complex, str, bytes)
_REFUSED = (int, float, complex, str, bytes)  # what `==` raises for where the dtype cannot hold it
_PLAIN = (float, int, bool, complex, list, tuple, np.ndarray)


def _operand(value: Any, like: Any) -> Any:
    """The other operand, converted to the tensor's dtype where it is no tensor itself.

    In a graph numbers and arrays are left to the op, whose name is that of their scope.
    """
    if type(value) is float and type(like) is EagerTensor and state.graph is None:
        dtype = like._array.dtype
        if dtype.kind == "f":
            return EagerTensor(dtype.type(value))
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "_read_array"):
        return value._as_operand() if type(like) is EagerTensor else value
    if isinstance(getattr(value, "dtype", None), dt.DType):
        return value
    if state.graph is not None and type(value) in _PLAIN:
        return value
    return convert_to_tensor(value, like.dtype)


# `taker(name of the operator, x, y)` computes it for types of the user's own, or NotImplemented
takers: list[Any] = []


def _of_others(name: str, x: Any, y: Any) -> Any:
    for taker in takers:
        got = taker(name, x, y)
        if got is not NotImplemented:
            return got
    return NotImplemented


def _binary(op: Any, name: str) -> tuple[Any, Any]:
    """`x <op> y` and `y <op> x`; in a graph the node is called `name`."""

    def forward(self: Any, other: Any) -> Any:
        if type(self) is EagerTensor:
            if type(other) is EagerTensor:
                return op(self, other)
        elif hasattr(self, "_read_array") and (
            type(other) is not SymbolicTensor
            or (state.graph is not None and not other.graph.claims_ops)
        ):
            self = self._as_operand()  # beside a tensor whose graph gets the op it is read there
        if type(other) is not type(self):
            if getattr(other, "_takes_operators", False):
                return NotImplemented
            try:
                other = _operand(other, self)
            except (TypeError, ValueError):
                if other is None:
                    raise
                if name == "add" and state.graph is None and isinstance(other, _VALUES):
                    other = convert_to_tensor(other)  # of its own type, which the op refuses
                elif hasattr(other, "__array__") or isinstance(other, _NUMBERS):
                    raise
                else:
                    return _of_others(name, self, other)
        if state.graph is None:
            return op(self, other)
        return op(self, other, name=name)

    def backward(self: Any, other: Any) -> Any:
        try:
            other = _operand(other, self)
        except (TypeError, ValueError):
            taken = _of_others(name, other, self)
            if taken is NotImplemented:
                raise
            return taken
        return op(other, self) if state.graph is None else op(other, self, name=name)

    return forward, backward


def _power(x: Any, y: Any, name: str | None = None) -> Any:
    return math.pow(x, y, name)


def _divide(x: Any, y: Any, name: str | None = None) -> Any:
    return math.truediv(x, y, name)


def _matmul(x: Any, y: Any, name: str | None = None) -> Any:
    from shardtape.ops.linalg import matmul

    return matmul(x, y, name=name)


def _logical(bool_op: str, int_op: str) -> Any:
    def op(x: Any, y: Any, name: str | None = None) -> Any:
        function = getattr(math, bool_op if x.dtype is dt.bool else int_op)
        return function(x, y) if name is None else function(x, y, name=name)

    return op


def _compare(op: Any, name: str) -> Any:
    def compare(self: Any, other: Any) -> Any:
        try:
            other = _operand(other, self)
        except (TypeError, ValueError):
            taken = _of_others(name, self, other)
            if taken is NotImplemented:
                raise
            return taken
        return op(self, other)

    return compare


def _comparing(op: Any, differs: bool) -> Any:
    """`==` and `!=`: by value, or by identity as in TF1; other shapes are simply not equal."""

    def compare(self: Any, other: Any) -> Any:
        if other is None:
            return differs
        if not Tensor._equals_by_value:
            return (self is not other) if differs else (self is other)
        try:
            other = _operand(other, self)
        except (TypeError, ValueError):
            if isinstance(other, _REFUSED):
                raise
            return differs
        other_shape = as_shape(getattr(other, "shape", ()))
        if self.shape.rank is not None and other_shape.rank is not None:
            try:
                broadcast_shapes(self.shape, other_shape)
            except ValueError:
                if _is_ragged(self) or _is_ragged(other):
                    return differs
                return convert_to_tensor(differs)
        if not (_is_ragged(self) or _is_ragged(other)):
            return op(self, other)
        try:
            return op(self, other)
        except (errors.InvalidArgumentError, TypeError, ValueError):
            return differs  # rows of other lengths, or another type

    return compare


def _is_ragged(value: Any) -> bool:
    return type(value) not in (EagerTensor, SymbolicTensor) and hasattr(value, "flat_values")


def attach(cls: Any) -> None:
    """Gives a class the operators; used for Tensor and Variable."""
    for name, op in (
        ("add", math.add),
        ("sub", math.subtract),
        ("mul", math.multiply),
        ("truediv", _divide),
        ("floordiv", math.floordiv),
        ("mod", math.floormod),
        ("pow", _power),
        ("matmul", _matmul),
        ("and", _logical("logical_and", "bitwise_and")),
        ("or", _logical("logical_or", "bitwise_or")),
        ("xor", _logical("logical_xor", "bitwise_xor")),
    ):
        forward, backward = _binary(op, name)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", backward)
    cls.__div__, cls.__rdiv__ = cls.__truediv__, cls.__rtruediv__
    cls.__lt__, cls.__le__ = _compare(math.less, "lt"), _compare(math.less_equal, "le")
    cls.__gt__, cls.__ge__ = _compare(math.greater, "gt"), _compare(math.greater_equal, "ge")
    cls.__eq__ = _comparing(math.equal, False)
    cls.__ne__ = _comparing(math.not_equal, True)
    cls.__neg__ = lambda self: math.negative(self)
    cls.__pos__ = lambda self: array.identity(self)
    cls.__abs__ = lambda self: math.abs(self)
    cls.__invert__ = lambda self: (
        math.logical_not(self) if self.dtype is dt.bool else math.invert(self)
    )
    cls.__getitem__ = getitem
    cls.__array_ufunc__ = _array_ufunc


def attach_to_variables(cls: Any) -> None:
    """As `attach`; besides, parts can be assigned, and `variable += value` is refused."""
    attach(cls)
    cls.__getitem__ = variable_part
    for name, sign, instead in (
        ("iadd", "+", "variable.assign_add(value)"),
        ("isub", "-", "variable.assign_sub(value)"),
        ("imul", "*", "variable.assign(variable * value)"),
        ("itruediv", "/", "variable.assign(variable / value)"),
        ("ipow", "**", "variable.assign(variable ** value)"),
    ):
        setattr(cls, f"__{name}__", _refusing(sign, instead))


def _refusing(sign: str, instead: str) -> Any:
    def refuse(self: Any, other: Any) -> Any:
        raise RuntimeError(
            f"`variable {sign}= value` with `tf.Variable`s is not supported. Use `{instead}` to "
            f"modify the variable, or `out = variable {sign} value` if you need to get a new "
            "output Tensor."
        )

    return refuse


_UFUNCS = {
    np.add: "__radd__", np.subtract: "__rsub__", np.multiply: "__rmul__",
    np.true_divide: "__rtruediv__", np.floor_divide: "__rfloordiv__", np.power: "__rpow__",
    np.remainder: "__rmod__", np.matmul: "__rmatmul__", np.equal: "__eq__",
    np.not_equal: "__ne__", np.less: "__gt__", np.less_equal: "__ge__", np.greater: "__lt__",
    np.greater_equal: "__le__",
}  # fmt: skip


def _array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """`ndarray * tensor` is a tensor; `np.abs(tensor)` is an array."""
    is_operator = method == "__call__" and len(inputs) == 2 and not options
    if is_operator and ufunc in _UFUNCS and isinstance(inputs[0], (np.ndarray, np.generic)):
        return getattr(self, _UFUNCS[ufunc])(inputs[0])
    arrays = [np.asarray(x) if hasattr(x, "__array__") else x for x in inputs]
    return getattr(ufunc, method)(*arrays, **options)


attach(Tensor)

"""The public functions that promote types in the modes "safe" and "all", and what they become.

Nothing is changed before one of these modes is chosen, so that functions cost nothing more.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.experimental.numpy import promotion
from shardtape.experimental.numpy.weak import WeakTensor, plain, weakened
from shardtape.logger import get_logger
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.tensor import Tensor
from shardtape.variable import Variable

_Function = Callable[..., Any]

# by module: functions of one value, whose result is weak where the value is
_UNARY = {
    "": "abs acos acosh asin asinh atan atanh clip_by_value cos cosh exp expand_dims floor "
    "identity negative ones_like reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod "
    "reduce_sum reshape round sigmoid sign sin sinh sqrt square squeeze stop_gradient tan tanh "
    "transpose zeros_like",
    "math": "abs acos acosh angle asin asinh atan atanh bessel_i0 bessel_i0e bessel_i1 bessel_i1e "
    "ceil conj cos cosh digamma erf erfc erfcinv erfinv exp expm1 floor imag lgamma log log1p "
    "log_sigmoid log_softmax ndtri negative real reciprocal reciprocal_no_nan "
    "reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod "
    "reduce_std reduce_sum reduce_variance rint round rsqrt sigmoid sign sin sinh softplus sqrt "
    "square tan tanh",
    "nn": "depth_to_space gelu leaky_relu log_softmax relu6 sigmoid silu softplus space_to_depth "
    "swish tanh",
    "linalg": "diag diag_part matrix_transpose tensor_diag_part trace",
    "image": "extract_patches",
    "debugging": "check_numerics",
    "special_functions": "bessel_i0 bessel_i0e bessel_i1 bessel_i1e bessel_j0 bessel_j1 bessel_k0 "
    "bessel_k0e bessel_k1 bessel_k1e bessel_y0 bessel_y1 dawsn expint fresnel_cos fresnel_sin "
    "spence",
    "experimental.numpy": "abs absolute amax amin angle arange arccos arcsin arcsinh arctan "
    "arctanh around array asanyarray asarray ascontiguousarray average bitwise_not cbrt ceil conj "
    "conjugate copy cos cosh cumprod cumsum deg2rad diag diagflat diagonal diff empty_like exp "
    "exp2 expand_dims expm1 fabs fix flatten flip fliplr flipud floor full_like imag log log10 "
    "log1p log2 max mean min moveaxis nanmean negative ones_like positive prod rad2deg ravel real "
    "reciprocal repeat reshape rot90 round sin sinc sinh sort sqrt square squeeze std sum swapaxes "
    "tan tanh trace transpose triu vander var zeros_like",
}
# functions of two values, both of which take the promoted type
_BINARY = {
    "": "add divide matmul multiply pow realdiv subtract truediv truncatediv truncatemod",
    "math": "add divide divide_no_nan floordiv floormod mod multiply multiply_no_nan pow subtract "
    "truediv",
    "linalg": "matmul",
    "experimental.numpy": "matmul",
}
# as these, with results that are never weak
_STRONG = {"": "equal maximum minimum", "math": "equal maximum minimum"}
# the scalar takes the type of the second argument
_SECOND = {"": "scalar_mul", "math": "scalar_mul"}

_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_TYPED_BY_FIRST = ("and", "or", "xor")
_COMPARED = ("lt", "le", "gt", "ge", "ne")
_WRITES = ("assign", "assign_add", "assign_sub")
_installed = False


def converted(value: Any, kind: dt.DType, name: str | None = None) -> Any:
    """`value` as a tensor of a type, whatever it was before."""
    value = plain(value)
    if isinstance(value, (np.ndarray, np.generic)):
        value = convert_to_tensor(value)
    if isinstance(getattr(value, "dtype", None), dt.DType):
        return cast(convert_to_tensor(value), kind)
    try:
        return convert_to_tensor(value, kind, name=name)
    except (TypeError, ValueError, OverflowError):  # what the type does not hold goes round in it
        return cast(convert_to_tensor(value, name=name), kind)


def _met(function: Any, *values: Any) -> promotion.Kind | None:
    """The type in which values meet; None where promotion does not know theirs."""
    try:
        return promotion.result_kind(*values)
    except NotImplementedError as error:
        _warn(getattr(function, "__name__", str(function)), str(error))
        return None


@functools.lru_cache(1000)
def _warn(name: str, reason: str) -> None:
    """Says, once, that the rules outside of these modes hold."""
    get_logger().warning("Types are not promoted in %s: %s", name, reason)


def _parameters(function: Any) -> list[str]:
    if isinstance(function, Op):
        return [*function.input_names, "name"]
    return list(inspect.signature(function).parameters)


def _unary(function: _Function, index: int = 0) -> _Function:
    names = _parameters(function)
    subject = names[index]
    typed = names.index("dtype") if "dtype" in names else None

    @functools.wraps(function, updated=())
    def promoting(*args: Any, **kwargs: Any) -> Any:
        given = len(args) > index
        x = args[index] if given else kwargs.get(subject)
        if not promotion.is_on() or isinstance(x, Tensor) or x is None:
            return function(*args, **kwargs)
        wanted = kwargs.get("dtype")
        if typed is not None and len(args) > typed:
            wanted = args[typed]
        met = None if wanted is not None else _met(function, x)
        x = plain(x) if met is None else converted(x, met[0], "x")
        if given:
            args = (*args[:index], x, *args[index + 1 :])
        else:
            kwargs[subject] = x
        return weakened(function(*args, **kwargs), met is not None and met[1])

    return promoting


def _binary(function: _Function, strong: bool = False) -> _Function:
    first, second, *_ = _parameters(function)

    @functools.wraps(function, updated=())
    def promoting(*args: Any, **kwargs: Any) -> Any:
        if not promotion.is_on():
            return function(*args, **kwargs)
        rest = list(args)
        x = rest.pop(0) if rest else kwargs.pop(first)
        y = rest.pop(0) if rest else kwargs.pop(second)
        met = _met(function, x, y)
        if met is None:
            return function(plain(x), plain(y), *rest, **kwargs)
        x, y = converted(x, met[0], "x"), converted(y, met[0], "y")
        return weakened(function(x, y, *rest, **kwargs), met[1] and not strong)

    return promoting


def _constant(function: _Function) -> _Function:
    @functools.wraps(function, updated=())
    def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Any:
        if not promotion.is_on():
            return function(value, dtype, shape, name)
        wanted = None if dtype is None else dt.as_dtype(dtype)
        met = _met(function, value, wanted)
        value = plain(value)
        if met is not None and wanted is None:
            wanted = met[0]
            if not isinstance(value, Tensor) and wanted is not dt.string:
                value = _filled(value, wanted)
        elif met is not None and met[0] is wanted and isinstance(value, Tensor):
            value = cast(value, wanted)
        made = function(value, wanted, shape, name)
        return weakened(made, dtype is None and met is not None and met[1])

    return constant


def _filled(value: Any, kind: dt.DType) -> Any:
    """Python's values as an array; truth values among numbers count as 0 and 1."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value
    made = np.asarray(value)
    return made.astype(kind.numpy_dtype) if made.dtype.kind in "biufc" else value


def _write(method: _Function) -> _Function:
    name, given = method.__name__, _parameters(method)[1]

    @functools.wraps(method)
    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not promotion.is_on():
            return method(self, *args, **kwargs)
        value, args = (args[0], args[1:]) if args else (kwargs.pop(given), ())
        met = _met(method, self, value)
        if met is None:
            return method(self, plain(value), *args, **kwargs)
        if met[0] is not self.dtype:
            shown = plain(value)
            shown = shown if not isinstance(shown, Tensor) else str(value)
            raise TypeError(
                f"Variable dtype is immutable. Calling {name} of Variable (with dtype "
                f"{self.dtype}) on {shown} needs a value of that type: cast it with tf.cast first."
            )
        return method(self, converted(value, self.dtype, "value"), *args, **kwargs)

    return write


def promoting_operator(
    operator: _Function, strong: bool = False, reflected: bool = False
) -> _Function:
    """A method of two operands that computes in their promoted type.

    Args:
      strong: the result is never weak.
      reflected: the second operand stands on the left.
    """

    def promoted(self: Any, other: Any) -> Any:
        if other is None or getattr(other, "_takes_operators", False):
            return operator(plain(self), other)
        met = _met(operator, other, self) if reflected else _met(operator, self, other)
        if met is None:
            return operator(plain(self), plain(other))
        x, y = converted(self, met[0], "x"), converted(other, met[0], "y")
        return weakened(operator(x, y), met[1] and not strong)

    return promoted


def operators(originals: dict[str, _Function]) -> dict[str, _Function]:
    """The operators of tensors in these modes, by the names of methods.

    Args:
      originals: those of tensors in no mode, and the matrix product of NumPy.
    """
    made = {}
    for name in (*_OPERATORS, "matmul"):
        for form, reflected in ((f"__{name}__", False), (f"__r{name}__", True)):
            made[form] = promoting_operator(originals[form], reflected=reflected)
    made["__eq__"] = promoting_operator(originals["__eq__"], strong=True)
    return made


def _unwrapping(operator: _Function) -> _Function:
    return lambda self, *others: operator(plain(self), *[plain(o) for o in others])


def _keeping(function: _Function) -> _Function:
    """A method whose result is as weak as the tensor."""
    return lambda self, *args, **kwargs: weakened(function(self.tensor, *args, **kwargs), True)


def _dress(originals: dict[str, _Function]) -> None:
    """Gives weak tensors the operators and methods of tensors."""
    for form, operator in operators(originals).items():
        setattr(WeakTensor, form, operator)
    for name in _TYPED_BY_FIRST:
        for form in (f"__{name}__", f"__r{name}__"):
            setattr(WeakTensor, form, _unwrapping(originals[form]))
    for name in _COMPARED:
        setattr(WeakTensor, f"__{name}__", _unwrapping(originals[f"__{name}__"]))
    for form in ("__neg__", "__pos__", "__abs__", "__invert__"):
        setattr(WeakTensor, form, _keeping(getattr(Tensor, form)))
    for name in ("reshape", "ravel", "flatten", "transpose", "max", "min", "mean"):
        setattr(WeakTensor, name, _keeping(getattr(Tensor, name)))
    rounded = importlib.import_module("shardtape.experimental.numpy.elementwise").around
    members = {
        "__getitem__": _unwrapping(Tensor.__getitem__),
        "__array_ufunc__": Tensor.__array_ufunc__,  # type: ignore[attr-defined]
        "__round__": _keeping(rounded),
        "T": property(_keeping(Tensor.T.fget)),  # type: ignore[attr-defined]
    }
    for name, member in members.items():
        setattr(WeakTensor, name, member)


def install(originals: dict[str, _Function]) -> None:
    """Puts the promoting functions in the place of the public ones, once.

    Args:
      originals: see `operators`.
    """
    global _installed
    if _installed:
        return
    _installed = True
    made: dict[int, tuple[Any, Any]] = {}  # so that one function stays one under all its names
    for table, wrap in (
        (_UNARY, _unary),
        (_BINARY, _binary),
        (_STRONG, functools.partial(_binary, strong=True)),
        (_SECOND, functools.partial(_unary, index=1)),
        ({"": "constant"}, _constant),
    ):
        for path, names in table.items():
            module = importlib.import_module(f"shardtape.{path}".rstrip("."))
            for name in names.split():
                function = getattr(module, name)
                if id(function) not in made:
                    made[id(function)] = (function, wrap(function))
                setattr(module, name, made[id(function)][1])
    older = vars(sys.modules["shardtape.compat.v1"]) if "shardtape.compat.v1" in sys.modules else {}
    for name, value in list(older.items()):
        found = made.get(id(value))
        if found is not None:
            older[name] = found[1]
    for name in _WRITES:
        setattr(Variable, name, _write(getattr(Variable, name)))
    _dress(originals)

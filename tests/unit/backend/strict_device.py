"""A stand-in for the GPU: arrays in host memory that behave as strictly as cupy's.

Kernels are written once, for numpy and cupy. Run on these arrays, a kernel fails where it would
fail (or copy in silence) on a GPU:

* a function of `numpy` called on a device array, or a numpy array mixed with a device array;
* an implicit copy to the host: `float(x)`, `if x:`, `np.asarray(x)`, iteration over values;
* a function or ufunc method that cupy does not have (cupy 14.2 against numpy 2.4);
* a numpy array returned where the result belongs on the device.

`run(op, inputs, attrs)` runs one op's kernel and returns numpy arrays. `accelerator()` is for
`shardtape.backend.using_accelerator`, which puts this device in cupy's place for whole programs.
"""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import numpy as np

from shardtape import backend


class HostCopyError(TypeError):
    """A kernel mixed host and device arrays or copied to the host without saying so."""


# Public names of numpy 2.4 that cupy 14.2 lacks.
_ABSENT = frozenset(
    """
    ScalarType asmatrix block bmat busday_count bytes_ char character clongdouble complex256
    core ctypeslib datetime64 datetime_as_string dtypes einsum_path emath errstate flexible
    float128 frompyfunc fromregex geomspace getbufsize geterr histogram_bin_edges insert
    is_busday isnat longdouble ma matrix matvec memmap nanpercentile nanquantile ndenumerate
    nditer nested_iters object_ polyder polydiv polyint rec recarray record setbufsize seterr
    spacing str_ strings timedelta64 typing unstack vecdot vecmat void
    """.split()  # noqa: SIM905
)
_LINALG = frozenset(
    """
    LinAlgError cholesky cond cross det eig eigh eigvals eigvalsh inv lstsq matmul matrix_power
    matrix_rank matrix_transpose norm pinv qr slogdet solve svd tensorinv tensorsolve
    """.split()  # noqa: SIM905
)
# ufunc methods that cupy implements, by ufunc
_UFUNC_METHODS = {
    "reduce": {"add", "multiply"},
    "accumulate": {"add", "multiply"},
    "reduceat": {"add"},
    "at": {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"},
}
_FROM_HOST = frozenset({"asarray", "array", "asanyarray", "ascontiguousarray", "asfortranarray"})


def _unwrap(value: Any, where: str) -> Any:
    if isinstance(value, StrictArray):
        return value._value
    if isinstance(value, np.ndarray):
        raise HostCopyError(
            f"{where} got a numpy array of shape {value.shape} on a device: move it with "
            "backend.to_device, or make the input a host input"
        )
    if isinstance(value, (list, tuple)):
        return type(value)(_unwrap(item, where) for item in value)
    if isinstance(value, dict):
        return {name: _unwrap(item, where) for name, item in value.items()}
    return value


def _wrap(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return StrictArray(value)
    if isinstance(value, np.generic):  # a reduction stays on the device, with rank 0
        return StrictArray(np.asarray(value))
    if isinstance(value, (list, tuple)) and any(
        isinstance(item, (np.ndarray, np.generic)) for item in value
    ):
        made = [_wrap(item) for item in value]
        return made if isinstance(value, list) else tuple(made)
    return value


def _refuse(what: str) -> Any:
    def method(self: StrictArray, *args: Any, **options: Any) -> Any:
        raise HostCopyError(
            f"{what} copies an array of shape {self.shape} to the host in silence: use xp's "
            "functions on the device, or backend.to_host where the copy is meant"
        )

    return method


class StrictArray:
    """An array of the device; only its module `XP` and its own methods take it."""

    __slots__ = ("_value",)
    __array_ufunc__ = None  # numpy's operators and ufuncs refuse it
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: np.ndarray) -> None:
        self._value = value

    def get(self) -> np.ndarray:
        """An explicit copy on the host."""
        return self._value.copy()

    def item(self, *index: int) -> Any:
        return self._value.item(*index)

    def tolist(self) -> Any:
        return self._value.tolist()

    def __array_function__(self, function: Any, *rest: Any) -> Any:
        raise HostCopyError(f"numpy.{function.__name__} was called on a device array: use xp")

    __array__ = _refuse("np.asarray")
    __bool__ = _refuse("bool()")
    __int__ = _refuse("int()")
    __float__ = _refuse("float()")
    __complex__ = _refuse("complex()")
    __index__ = _refuse("an index")
    __contains__ = _refuse("`in`")

    shape = property(lambda self: self._value.shape)
    dtype = property(lambda self: self._value.dtype)
    ndim = property(lambda self: self._value.ndim)
    size = property(lambda self: self._value.size)
    nbytes = property(lambda self: self._value.nbytes)
    itemsize = property(lambda self: self._value.itemsize)
    strides = property(lambda self: self._value.strides)
    flags = property(lambda self: self._value.flags)
    T = property(lambda self: StrictArray(self._value.T))
    real = property(lambda self: StrictArray(self._value.real))
    imag = property(lambda self: StrictArray(self._value.imag))

    @property
    def base(self) -> Any:
        return None if self._value.base is None else StrictArray(self._value.base)

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> StrictArray:
        # cupy gives views where numpy gives scalars
        picked = self._value[_unwrap(index, "indexing")]
        return StrictArray(picked if isinstance(picked, np.ndarray) else np.asarray(picked))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._value[_unwrap(index, "indexing")] = _unwrap(value, "assignment")

    def __repr__(self) -> str:
        return f"StrictArray(shape={self.shape}, dtype={self.dtype})"


def _forward(name: str) -> Any:
    def method(self: StrictArray, *args: Any, **options: Any) -> Any:
        where = f"array.{name}"
        return _wrap(getattr(self._value, name)(*_unwrap(args, where), **_unwrap(options, where)))

    method.__name__ = name
    return method


def _binary(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: StrictArray, other: Any) -> Any:
        return _wrap(function(self._value, _unwrap(other, name)))

    def reflected(self: StrictArray, other: Any) -> Any:
        return _wrap(function(_unwrap(other, name), self._value))

    def in_place(self: StrictArray, other: Any) -> Any:
        value = _unwrap(other, name)
        getattr(np, _UFUNC_OF[name])(self._value, value, out=self._value, casting="same_kind")
        return self

    return method, reflected, in_place


def _unary(name: str) -> Any:
    function = getattr(operator, name)
    return lambda self: _wrap(function(self._value))


_UFUNC_OF = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "and_": "bitwise_and",
    "or_": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
    "matmul": "matmul",
}  # fmt: skip

for _name in """
    astype reshape transpose ravel flatten sum mean max min prod argmax argmin any all copy
    view fill squeeze swapaxes take cumsum cumprod clip repeat sort argsort std var conj
    conjugate dot diagonal trace nonzero round ptp partition argpartition put compress choose
    """.split():  # noqa: SIM905
    setattr(StrictArray, _name, _forward(_name))
for _name in _UFUNC_OF:
    _method, _reflected, _in_place = _binary(_name)
    _plain = _name.rstrip("_")
    setattr(StrictArray, f"__{_plain}__", _method)
    setattr(StrictArray, f"__r{_plain}__", _reflected)
    setattr(StrictArray, f"__i{_plain}__", _in_place)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(StrictArray, f"__{_name}__", _binary(_name)[0])
for _name in ("neg", "pos", "abs", "invert"):
    setattr(StrictArray, f"__{_name}__", _unary(_name))


class _Function:
    """A function of the module, which takes device arrays and scalars only."""

    def __init__(self, name: str, function: Any) -> None:
        self._name, self._function = name, function
        self.__name__ = name

    def __call__(self, *args: Any, **options: Any) -> Any:
        where = f"xp.{self._name}"
        if self._name in _FROM_HOST and args and isinstance(args[0], np.ndarray):
            # an explicit transfer; cupy's asarray copies, too
            return _wrap(np.array(self._function(*args, **_unwrap(options, where))))
        return _wrap(self._function(*_unwrap(args, where), **_unwrap(options, where)))

    def __getattr__(self, method: str) -> Any:
        if isinstance(self._function, np.ufunc):
            if method == "outer" or self._name in _UFUNC_METHODS.get(method, ()):
                return _Function(f"{self._name}.{method}", getattr(self._function, method))
            if method in ("nin", "nout", "nargs"):
                return getattr(self._function, method)
            raise AttributeError(f"cupy has no {self._name}.{method}")
        raise AttributeError(method)


class _Module:
    """numpy's functions that cupy has, for device arrays."""

    def __init__(self, name: str, source: Any, absent: Any) -> None:
        self.__name__, self._source, self._absent = name, source, absent

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self._absent(name):
            raise AttributeError(f"cupy has no {self.__name__}.{name}")
        found = getattr(self._source, name)
        made = found if isinstance(found, type) or not callable(found) else _Function(name, found)
        setattr(self, name, made)
        return made


XP: Any = _Module("xp", np, _ABSENT.__contains__)
XP.ndarray = StrictArray
XP.asnumpy = lambda array, **_: array.get() if isinstance(array, StrictArray) else array
XP.linalg = _Module("xp.linalg", np.linalg, lambda name: name not in _LINALG)
XP.fft = _Module("xp.fft", np.fft, lambda name: False)
XP.lib = _Module("xp.lib", np.lib, lambda name: name != "stride_tricks")
XP.lib.stride_tricks = _Module(
    "xp.lib.stride_tricks",
    np.lib.stride_tricks,
    lambda name: name not in ("as_strided", "sliding_window_view"),
)


def put(array: Any) -> StrictArray:
    """Moves a numpy array (or scalar) to the device."""
    return StrictArray(np.array(array))


def get(array: StrictArray) -> np.ndarray:
    """Moves a device array to the host."""
    return array.get()


def accelerator() -> backend.Accelerator:
    """This device, for `shardtape.backend.using_accelerator`."""
    return backend.Accelerator(XP, StrictArray, put, get)


def run(op: Any, inputs: Any, attrs: dict[str, Any] | None = None, host_outputs: Any = ()) -> Any:
    """Runs an op's kernel on the device.

    Args:
      op: a registered Op; its host inputs stay numpy arrays.
      inputs: numpy arrays.
      attrs: attributes.
      host_outputs: indices of outputs that are host arrays by design (shapes, sizes).

    Returns:
      A numpy array, or a tuple of them.

    Raises:
      HostCopyError: the kernel left the device, or returned a host array.
    """
    count = len(inputs)
    placed = [x if op.is_host(i, count) else put(x) for i, x in enumerate(inputs)]
    with backend.using_accelerator(accelerator()):
        got = op.kernel(XP, *placed, **op.bind_attrs(dict(attrs or {})))
    several = isinstance(got, tuple)
    out = []
    for i, array in enumerate(got if several else (got,)):
        if isinstance(array, StrictArray):
            array = array.get()
        elif i not in host_outputs:
            raise HostCopyError(f"output {i} of {op.type} is a {type(array)} on the host")
        out.append(array)
    return tuple(out) if several else out[0]


def whole_program() -> contextlib.AbstractContextManager[None]:
    """A block in which this device is the GPU of the process."""
    return backend.using_accelerator(accelerator())

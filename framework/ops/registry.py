"""One definition per op: kernel, gradient, shape rule, dtype rule and samples side by side.

    @op("Sigmoid", dtypes=FLOATING | COMPLEX, shape=same_as(0), samples=lambda rng: [...])
    def sigmoid(xp, x):
        \"\"\"Logistic function 1 / (1 + exp(-x)); any shape to the same shape.\"\"\"
        return 0.5 * xp.tanh(0.5 * x) + 0.5

    @sigmoid.gradient
    def _(g, y, x):
        return g * y * (1 - y)

The decorated name is the `Op`, which is called on tensors: `sigmoid(x)`.

Kernel: `f(xp, *inputs, attr=default)`. `xp` is the array module (numpy or cupy); inputs are its
arrays; `host` inputs are always numpy arrays. It returns one array (a tuple for several outputs).

Gradient: `f(g, y, *inputs, **attrs)` in Tensors (with several outputs `g` and `y` are tuples and
members of `g` may be None). It returns one Tensor or None per input that is no host input: alone
if there is one such input, else as a tuple. Un-broadcasting, None-skipping, accumulation and
shape checks are the engine's. A parameter whose name starts with `_` is not kept for the
backward pass and arrives as None.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import backend, shapes
from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.repeated_rows import spread_into
from shardtape.tensor import EagerTensor

REGISTRY: dict[str, Op] = {}

PURE, READS, WRITES, RANDOM, IO, BLOCKING = "pure", "reads", "writes", "random", "io", "blocking"


class Arg:
    """What is known of one input while a graph is built.

    Attributes:
      shape: TensorShape.  dtype: DType.
      value: the numpy value if it is a constant, for integer vectors a list whose unknown
        members are None, else None.
    """

    __slots__ = ("shape", "dtype", "_value")

    def __init__(self, shape: shapes.TensorShape, dtype: dt.DType, value: Any = None) -> None:
        self.shape, self.dtype, self._value = shape, dtype, value

    @property
    def value(self) -> Any:
        if callable(self._value):
            self._value = self._value()
        return self._value


# ops that TensorFlow knows no gradient of, so that a tape refuses them instead of returning None
_WITHOUT_ENTRY = {
    "AdjustHue", "AdjustSaturation", "CombinedNonMaxSuppression", "DrawBoundingBoxesV2", "ListDiff",
    "NonMaxSuppressionV5", "QuantizeV2", "RandomPoissonV2", "ResizeArea", "Unique",
    "UniqueWithCounts",
}  # fmt: skip


class Op:
    """A registered operation; call it on tensors to apply it."""

    def __init__(
        self,
        kernel: Callable[..., Any],
        type_name: str,
        *,
        shape: Callable[..., Any],
        dtype: Any = None,
        dtypes: frozenset[dt.DType] = dt.NUMERIC,
        host: Sequence[Any] = (),
        mixed: bool = False,
        broadcasts: bool = False,
        outputs: Any = 1,
        effects: str = PURE,
        may_view: bool = False,
        shape_only: Sequence[Any] = (),
        dynamic: bool = False,
        direct: bool | None = None,
        retains: bool | None = None,
        widen: bool | None = None,
        differentiable: bool = True,
        samples: Callable[..., Any] | None = None,
        reference: Callable[..., Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.kernel = kernel
        self.type = type_name
        self.name = name or kernel.__name__
        self.shape_rule = shape
        self.dtype_rule = dtype
        self.dtypes = dtypes
        self.mixed = mixed
        self.broadcasts = broadcasts
        self.outputs = outputs
        self.effects = effects
        self.may_view = may_view
        self.dynamic = dynamic
        self.samples = samples
        self.reference = reference
        self.differentiable = differentiable
        self.into: Callable[..., Any] | None = None
        self.inplace: tuple[int, ...] = ()
        self._gradient: Callable[..., Any] | None = None
        # by RegisterGradient: f(op, grads, outputs, inputs, attrs) -> gradients of all inputs
        self.registered_gradient: Callable[..., Sequence[Any]] | None = None
        # (gradient, number of results) of a call with a gradient of its own
        self.custom: tuple[Any, int] | None = None
        # the op of a node's copy in another graph, given the copies of tensors by key
        self.relocate: Callable[[dict[int, Any]], Op] | None = None
        self.draws_inside = False  # holds traced code that may draw random numbers
        self.__doc__ = kernel.__doc__
        self.__name__ = self.name
        self.__qualname__ = self.name
        self.__module__ = kernel.__module__

        parameters = list(inspect.signature(kernel).parameters.values())[1:]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.input_names = tuple(
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        )
        # what a list of inputs is called in names of constants
        self.list_name = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self._arity = -1 if self.variadic else len(self.input_names)
        self.attr_defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.required_attrs = frozenset(
            n for n, d in self.attr_defaults.items() if d is inspect.Parameter.empty
        )
        # shared by all calls that give no attribute; nobody may change it
        self.defaults = None if self.required_attrs else self.attr_defaults
        # positions of host inputs; negative ones count from the end of a variadic list
        self.host = tuple(self.input_names.index(h) if isinstance(h, str) else h for h in host)
        # the kernel takes Variables or other objects and gives its results as they are
        self.direct = effects in (READS, WRITES) if direct is None else direct
        # whether an array that it is given may be somewhere after the call
        self.retains = self.direct if retains is None else retains
        # inputs of which only the shape is read: a plan keeps no values alive for them
        self.shape_only = tuple(
            self.input_names.index(n) if isinstance(n, str) else n for n in shape_only
        )
        self.widen = widen if widen is not None else (dt.string not in dtypes and not may_view)
        # numpy dtype numbers of the inputs (and attributes that are not the defaults) that were
        # found right -> result's numpy dtype; for ops with one output, where nothing else decides
        self.signatures: dict[tuple[Any, ...], Any] = {}
        self.is_ufunc = False
        self.keeps_inputs: tuple[bool, ...] | None = None  # None: all
        self.keeps_outputs = True
        self.drops_inputs = False
        self.simple_gradient = False  # takes (g, y, *inputs) and no more

    # ---- definition -----------------------------------------------------------------------
    def gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Registers the gradient; see the module's text for its signature."""
        if self._gradient is not None:
            raise ValueError(f"op {self.type} already has a gradient")
        self._gradient = function
        parameters = list(inspect.signature(function).parameters.values())
        self._gradient_attrs = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.keeps_outputs = not positional[1].name.startswith("_")
        if not any(p.kind is p.VAR_POSITIONAL for p in positional):
            self.keeps_inputs = tuple(not p.name.startswith("_") for p in positional[2:])
            self.drops_inputs = not all(self.keeps_inputs)
        self.simple_gradient = self.outputs == 1 and not self.host and not self._gradient_attrs
        return function

    def writes_into(self, *inplace: int) -> Callable[..., Any]:
        """Registers `f(xp, out, *inputs, **attrs)`, which computes into `out`.

        Args:
          inplace: inputs whose own buffer may be `out`.
        """

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.into, self.inplace = function, inplace
            return function

        return register

    # ---- properties -----------------------------------------------------------------------
    def is_host(self, index: int, count: int) -> bool:
        """Whether input `index` of `count` is a host input."""
        return index in self.host or index - count in self.host

    @property
    def has_gradient(self) -> bool:
        return self._gradient is not None or self.registered_gradient is not None

    def bind_attrs(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Attributes with defaults filled in. Raises TypeError for an unknown or missing one."""
        if not attrs and self.defaults is not None:
            return self.defaults
        if attrs.keys() == self.attr_defaults.keys():
            return attrs
        for name in attrs:
            if name not in self.attr_defaults:
                raise TypeError(f"{self.name}() got an unexpected keyword argument {name!r}")
        full = {**self.attr_defaults, **attrs}
        for name in self.required_attrs:
            if full[name] is inspect.Parameter.empty:
                raise TypeError(f"{self.name}() misses the keyword argument {name!r}")
        return full

    def output_dtypes(self, in_dtypes: Sequence[dt.DType], attrs: dict[str, Any]) -> Any:
        """One DType, or a tuple of them for several outputs."""
        rule = self.dtype_rule
        if rule is None:
            for i, d in enumerate(in_dtypes):
                if not self.is_host(i, len(in_dtypes)):
                    return d
            raise TypeError(f"op {self.type} needs a dtype rule: all its inputs are host inputs")
        if isinstance(rule, dt.DType):
            return rule
        if isinstance(rule, str):
            return dt.as_dtype(attrs[rule])
        return rule(in_dtypes, attrs)

    def run_gradient(
        self, grads: Sequence[Any], outputs: Sequence[Any], inputs: Sequence[Any], attrs: Any
    ) -> Sequence[Any]:
        """Gradients with respect to all inputs (None for host inputs).

        Raises LookupError where the op has no gradient registered.
        """
        count = len(inputs)
        if self.registered_gradient is not None:
            return self.registered_gradient(self, grads, outputs, inputs, attrs)
        if self._gradient is None:
            if not self.differentiable and self.type not in _WITHOUT_ENTRY:
                return [None] * count
            raise LookupError(f"gradient registry has no entry for: {self.type}")
        keywords = {name: attrs[name] for name in self._gradient_attrs}
        if self.outputs == 1:
            got = self._gradient(grads[0], outputs[0], *inputs, **keywords)
        else:
            got = self._gradient(tuple(grads), tuple(outputs), *inputs, **keywords)
        if not isinstance(got, (tuple, list)):
            got = (got,)
        if not self.host:
            full = got
        else:
            rest = iter(got)
            full = [None if self.is_host(i, count) else next(rest, None) for i in range(count)]
        if len(full) != count:
            raise AssertionError(
                f"gradient of {self.type} returned {len(got)} values for {count} inputs"
            )
        return full

    def __call__(self, *inputs: Any, name: str | None = None, **attrs: Any) -> Any:
        if len(inputs) != self._arity:
            inputs, attrs, name = self._positional(inputs, attrs, name)
        return _apply(self, inputs, attrs, name)

    def _positional(self, inputs: Any, attrs: Any, name: Any) -> tuple[Any, Any, Any]:
        """Inputs that were given by keyword in their places, a name that was given as the last
        positional argument in its own. Raises TypeError for a missing or a surplus input."""
        if self.variadic:
            return inputs, attrs, name
        count = len(self.input_names)
        if len(inputs) == count + 1 and (inputs[-1] is None or isinstance(inputs[-1], str)):
            return inputs[:-1], attrs, inputs[-1]
        if len(inputs) > count:
            raise TypeError(f"{self.name}() takes {count} inputs but {len(inputs)} were given")
        missing = [n for n in self.input_names[len(inputs) :] if n not in attrs]
        if missing:
            raise TypeError(f"{self.name}() misses the input {missing[0]!r}")
        attrs = dict(attrs)
        given = [attrs.pop(n) for n in self.input_names[len(inputs) :]]
        return (*inputs, *given), attrs, name

    def __repr__(self) -> str:
        return f"<op {self.type}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return get, (self.type,)


def _apply(op: Op, inputs: Any, attrs: Any, name: Any) -> Any:
    raise RuntimeError("shardtape.ops.dispatch is not imported")


def get(type_name: str) -> Op:
    """The op of a TensorFlow type name. Raises KeyError naming it."""
    if type_name not in REGISTRY:
        raise KeyError(f"no op of type {type_name!r} is registered")
    return REGISTRY[type_name]


def op(type_name: str, **options: Any) -> Callable[[Callable[..., Any]], Op]:
    """Registers an op under its TensorFlow type name.

    Args:
      shape: rule `f(*args: Arg, **attrs) -> TensorShape` (a list of them for several outputs);
        raises ValueError for shapes that cannot be right. Ready rules: `same_as`, `broadcast`,
        `scalar`, `unknown`.
      dtype: result type: None = that of the first input that is no host input, a DType, the
        name of an attribute, or `f(dtypes, attrs)`.
      dtypes: types that the inputs which are no host inputs may have.
      host: inputs (names or positions) that are integers or other small values kept on the host.
      mixed: the inputs need not share one dtype.
      broadcasts: inputs broadcast against each other; the engine sums their gradients back.
      outputs: number of outputs, or `f(attrs, input_count) -> int`.
      effects: PURE, READS, WRITES, RANDOM, IO or BLOCKING.
      may_view: the result may share memory with an input.
      shape_only: inputs (names or positions) of which the kernel reads only shape and dtype.
      dynamic: the result's shape depends on values.
      direct: inputs may be Variables or other objects, and results are given as they are
        (default: for ops that read or write Variables).
      retains: an input may be kept beyond the call, by a Variable, a list, a Python function
        (default: as `direct`): a plan must not compute it in memory that it uses again.
      widen: float16 and bfloat16 are computed in float32 (default: for arithmetic ops).
      differentiable: False lists the op as one without a gradient (None flows back).
      samples: `f(rng) -> [(inputs, attrs), ...]` with float64 arrays for floating inputs, at
        smooth points, small (numeric differentiation runs over them).
      reference: independent numpy or pure Python definition `f(*inputs, **attrs)`.
      name: function name where it differs from the kernel's.
    """

    def register(kernel: Callable[..., Any]) -> Op:
        if type_name in REGISTRY:
            raise ValueError(f"op {type_name!r} is registered twice")
        made = Op(kernel, type_name, **options)
        REGISTRY[type_name] = made
        return made

    return register


def ufunc_op(type_name: str, function: str, arity: int, **options: Any) -> Callable[..., Op]:
    """Registers an elementwise op that is one numpy ufunc; it also computes in place.

    Used as a decorator of a function that carries the name, parameters and docstring only.
    """

    def register(described: Callable[..., Any]) -> Op:
        made_by = {1: _unary_kernel, 2: _binary_kernel}[arity]
        kernel, into = made_by(function)
        kernel.__name__, kernel.__doc__ = described.__name__, described.__doc__
        kernel.__module__ = described.__module__
        if arity == 1:
            options.setdefault("shape", same_as(0))
        else:
            options.setdefault("shape", broadcast)
            options.setdefault("broadcasts", True)
        made = op(type_name, **options)(kernel)
        made.writes_into(*range(arity))(into)
        made.is_ufunc = True
        made.__class__ = {1: _fast_unary, 2: _fast_binary}[arity](getattr(np, function))
        return made

    return register


_NO_ATTRS: dict[str, Any] = {}


def _fast_unary(ufunc: Any) -> type[Op]:
    """An Op class whose call goes straight to the ufunc for eager tensors of known types."""

    class FastOp(Op):
        def __call__(self, x: Any, name: str | None = None) -> Any:  # type: ignore[override]
            recorders = state.eager
            if type(x) is EagerTensor and recorders is not None and not backend.accelerated:
                a = x._array
                if (a.dtype.num,) in self.signatures:
                    y = EagerTensor(ufunc(a))
                    for recorder in recorders:
                        recorder.record(self, (x,), _NO_ATTRS, (y,))
                    return y
            return _apply(self, (x,), {}, name)

    return FastOp


def _fast_binary(ufunc: Any) -> type[Op]:
    class FastOp(Op):
        def __call__(self, x: Any, y: Any, name: str | None = None) -> Any:  # type: ignore[override]
            recorders = state.eager
            known = type(x) is EagerTensor and type(y) is EagerTensor
            if known and recorders is not None and not backend.accelerated:
                a, b = x._array, y._array
                if (a.dtype.num, b.dtype.num) in self.signatures:
                    try:
                        z = EagerTensor(ufunc(a, b))
                    except ValueError:  # the general path says properly what does not broadcast
                        return _apply(self, (x, y), {}, name)
                    for recorder in recorders:
                        recorder.record(self, (x, y), _NO_ATTRS, (z,))
                    return z
            return _apply(self, (x, y), {}, name)

    return FastOp


def _unary_kernel(function: str) -> tuple[Any, Any]:
    ufunc = getattr(np, function)

    def kernel(xp: Any, x: Any) -> Any:
        return ufunc(x) if xp is np else getattr(xp, function)(x)

    def into(xp: Any, out: Any, x: Any) -> Any:
        return getattr(xp, function)(x, out=out)

    return kernel, into


def _binary_kernel(function: str) -> tuple[Any, Any]:
    ufunc = getattr(np, function)

    def kernel(xp: Any, x: Any, y: Any) -> Any:
        return ufunc(x, y) if xp is np else getattr(xp, function)(x, y)

    def into(xp: Any, out: Any, x: Any, y: Any) -> Any:
        if xp is np:
            return spread_into(ufunc, x, y, out)
        return getattr(xp, function)(x, y, out=out)

    return kernel, into


# ---- shape rules ----------------------------------------------------------------------------
def same_as(index: int) -> Callable[..., shapes.TensorShape]:
    """The shape of input `index`."""

    def rule(*args: Arg, **attrs: Any) -> shapes.TensorShape:
        return args[index].shape

    return rule


def broadcast(*args: Arg, **attrs: Any) -> shapes.TensorShape:
    """The broadcast of all inputs."""
    return shapes.broadcast_shapes(*[a.shape for a in args])


def scalar(*args: Arg, **attrs: Any) -> shapes.TensorShape:
    return shapes.TensorShape([])


def unknown(*args: Arg, **attrs: Any) -> shapes.TensorShape:
    return shapes.UNKNOWN

"""`tf.experimental.dispatch_for_api` and its sisters: functions of tf for types of one's own.

Nothing is in the way of a call until the first of them is used: then the public functions that are
named give way to ones that look at the types of their arguments first.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shardtape.ops import operators
from shardtape.ops.registry import Op
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec

_PLACES = ("", "math", "math.special", "linalg", "strings", "signal", "random", "sparse", "ragged",
           "debugging", "io", "sets", "bitwise", "audio", "nn", "image")  # fmt: skip

_UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise.invert", "cast",
    "clip_by_value", "cos", "cosh", "debugging.check_numerics", "exp", "floor",
    "image.adjust_brightness", "image.adjust_gamma", "image.convert_image_dtype",
    "image.random_brightness", "image.stateless_random_brightness", "io.decode_base64",
    "io.decode_compressed", "io.encode_base64", "math.angle", "math.bessel_i0", "math.bessel_i0e",
    "math.bessel_i1", "math.bessel_i1e", "math.ceil", "math.conj", "math.digamma", "math.erf",
    "math.erfc", "math.erfcinv", "math.erfinv", "math.expm1", "math.imag", "math.is_finite",
    "math.is_inf", "math.is_nan", "math.lgamma", "math.log", "math.log1p", "math.log_sigmoid",
    "math.logical_not", "math.ndtri", "math.negative", "math.nextafter", "math.real",
    "math.reciprocal", "math.reciprocal_no_nan", "math.rint", "math.rsqrt", "math.sigmoid",
    "math.softplus", "math.special.bessel_j0", "math.special.bessel_j1", "math.special.bessel_k0",
    "math.special.bessel_k0e", "math.special.bessel_k1", "math.special.bessel_k1e",
    "math.special.bessel_y0", "math.special.bessel_y1", "math.special.dawsn",
    "math.special.expint", "math.special.fresnel_cos", "math.special.fresnel_sin",
    "math.special.spence", "math.square", "nn.elu", "nn.gelu", "nn.leaky_relu", "nn.log_softmax",
    "nn.relu", "nn.relu6", "nn.selu", "nn.silu", "nn.softsign", "ones_like", "round",
    "saturate_cast", "sign", "sin", "sinh", "sqrt", "strings.as_string", "strings.length",
    "strings.lower", "strings.regex_full_match", "strings.regex_replace", "strings.strip",
    "strings.substr", "strings.to_hash_bucket", "strings.to_hash_bucket_fast",
    "strings.to_hash_bucket_strong", "strings.to_number", "strings.unicode_script",
    "strings.unicode_transcode", "strings.upper", "tan", "tanh", "zeros_like",
)  # fmt: skip
_BINARY = (
    "add", "bitwise.bitwise_and", "bitwise.bitwise_or", "bitwise.bitwise_xor",
    "bitwise.left_shift", "bitwise.right_shift", "complex", "divide", "equal", "greater",
    "greater_equal", "less", "less_equal", "logical_and", "logical_or", "math.atan2",
    "math.divide_no_nan", "math.floordiv", "math.floormod", "math.logical_xor",
    "math.multiply_no_nan", "math.pow", "math.scalar_mul", "math.squared_difference",
    "math.xdivy", "math.xlog1py", "math.xlogy", "math.zeta", "maximum", "minimum", "multiply",
    "nn.sigmoid_cross_entropy_with_logits", "not_equal", "subtract", "truediv",
)  # fmt: skip
_ASSERTS = tuple(
    f"debugging.assert_{what}"
    for what in ("equal", "greater", "greater_equal", "less", "less_equal", "near", "none_equal")
)


class _Api:
    """A public function and what takes it over.

    Attributes:
      function: what there was before.
      called: what stands in its place while there are targets.
      targets: (the types of arguments by name, the function for them), in order.
    """

    def __init__(self, function: Any, places: list[tuple[Any, str]]) -> None:
        self.function, self._places = function, places
        self.targets: list[tuple[Mapping[str, Any], Callable[..., Any]]] = []
        self.signature = _signature(function)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            if any(map(_own, args)) or any(map(_own, kwargs.values())):
                target = self.target(args, kwargs)
                if target is not None:
                    return target(*args, **kwargs)
            return function(*args, **kwargs)

        self.called = called

    def set_targets(self, targets: Sequence[tuple[Mapping[str, Any], Callable[..., Any]]]) -> None:
        """Other targets; without any the function itself is back in its places."""
        self.targets[:] = targets
        for module, name in self._places:
            setattr(module, name, self.called if targets else self.function)

    def target(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The first function whose types fit these arguments; None where there is none."""
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError:  # the function itself says what is wrong
            return None
        for wanted, target in self.targets:
            if all(n in given and _fits(given[n], kind) for n, kind in wanted.items()):
                return target
        return None


_apis: dict[int, _Api] = {}  # by the ids of the function and of what stands in its place
_types: tuple[type, ...] = ()  # that a signature names
_handlers: dict[tuple[str, Any], Any] = {}


def _own(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_own, value))
    return isinstance(value, _types)


def _signature(function: Any) -> inspect.Signature:
    if not isinstance(function, Op):
        return inspect.signature(function)
    kinds = inspect.Parameter
    inputs = [kinds(n, kinds.POSITIONAL_OR_KEYWORD) for n in function.input_names]
    name = kinds("name", kinds.POSITIONAL_OR_KEYWORD, default=None)
    return inspect.Signature([*inputs, name, kinds("attrs", kinds.VAR_KEYWORD)])


def _fits(value: Any, kind: Any) -> bool:
    """Whether an argument is of an annotated type."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return True
    if kind is None:
        return value is None
    if isinstance(kind, TypeSpec):
        return kind.is_compatible_with(value)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, k) for k in typing.get_args(kind))
    if origin in (list, tuple, Sequence):
        (inner, *_) = typing.get_args(kind)
        whole = (list, tuple) if origin is Sequence else origin
        return isinstance(value, whole) and all(_fits(v, inner) for v in value)
    return isinstance(value, origin or kind)


def _classes(kind: Any) -> list[type]:
    """The types of one's own in an annotation. Raises ValueError for what is none."""
    if isinstance(kind, TypeSpec):
        return [kind.value_type]
    if typing.get_origin(kind) is not None:
        return [c for k in typing.get_args(kind) if k is not ... for c in _classes(k)]
    if kind is Any or kind is None or kind is type(None):
        return []
    if not isinstance(kind, type):
        raise ValueError(f"a signature has types, TypeSpecs, lists and unions of them; got {kind}")
    return [] if issubclass(kind, (Tensor, int, float, str, bytes)) else [kind]


def _namespaces() -> list[Any]:
    import shardtape
    from shardtape.absent import namespace

    found = [shardtape if not place else namespace(shardtape, place) for place in _PLACES]
    return [module for module in found if module is not None]


def _api_of(function: Any) -> _Api:
    """The entry of a public function, or of what stands in its place.

    Raises ValueError for what is no public function.
    """
    known = _apis.get(id(function))
    if known is not None:
        return known
    places = [
        (module, name)
        for module in _namespaces()
        for name, value in vars(module).items()
        if value is function and not name.startswith("_")
    ]
    if not callable(function) or not places:
        name = getattr(function, "__name__", function)
        raise ValueError(f"{name} does not support dispatch: it is no function of tf")
    made = _Api(function, places)
    _apis[id(function)] = _apis[id(made.called)] = made
    return made


def _public(path: str) -> Any:
    """The function of this name, or what stands in its place; None where there is none."""
    import shardtape
    from shardtape.absent import namespace

    place, _, name = path.rpartition(".")
    module = namespace(shardtape, place) if place else shardtape
    return vars(module).get(name) if module is not None else None


def _add(api: _Api, wanted: Mapping[str, Any], target: Callable[..., Any], first: bool) -> None:
    global _types
    for kind in wanted.values():
        _types = tuple({*_types, *_classes(kind)})
    added = [(wanted, target)]
    api.set_targets([*added, *api.targets] if first else [*api.targets, *added])


def _named_or_not(target: Callable[..., Any]) -> Callable[..., Any]:
    """A target that leaves the name away, which it does not take."""
    parameters = inspect.signature(target).parameters.values()
    if any(p.name == "name" or p.kind is p.VAR_KEYWORD for p in parameters):
        return target

    @functools.wraps(target)
    def nameless(*args: Any, name: str | None = None, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    nameless._handler = target  # type: ignore[attr-defined]
    return nameless


_OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "truediv",
              "floordiv": "math.floordiv", "mod": "math.floormod", "pow": "pow",
              "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}  # fmt: skip


def _operated(name: str, x: Any, y: Any) -> Any:
    """`tensor * value` and `value * tensor`, where `tf.multiply` was taken over for them."""
    if name in _OPERATORS and (_own(x) or _own(y)):
        api = _apis.get(id(_public(_OPERATORS[name])))
        target = None if api is None else api.target((x, y), {})
        if target is not None:
            return target(x, y)
    return NotImplemented


operators.takers.append(_operated)


def dispatch_for_api(api: Callable[..., Any], *signatures: Mapping[Any, Any]) -> Any:
    """Decorates a function that takes over `api` for arguments of given types.

    Args:
      api: a function of tf, such as `tf.concat`.
      signatures: types by the names (or places) of parameters; lists and unions of types and
        TypeSpecs, too. By default the annotations of the function that is decorated.

    Raises ValueError for parameters that `api` has not, and where no type is given.

    Example:
      >>> @tf.experimental.dispatch_for_api(tf.stack)
      ... def masked_stack(values: typing.List[MaskedTensor], axis=0, name="stack"): ...
    """
    entry = _api_of(api)
    names = list(entry.signature.parameters)

    def decorator(target: Callable[..., Any]) -> Callable[..., Any]:
        given: Sequence[Mapping[Any, Any]] = signatures
        if not given:
            hints = typing.get_type_hints(target)
            hints.pop("return", None)
            given = [hints]
        own = [n for n in inspect.signature(target).parameters if n != "name"]
        known = [n for n in names if n not in ("name", "attrs")]
        if own != known[: len(own)]:
            raise ValueError(
                f"Dispatch function's signature {own} does not match the API's signature {known}"
            )
        for types_ in given:
            wanted = {names[k] if isinstance(k, int) else k: kind for k, kind in types_.items()}
            unknown = [n for n in wanted if n not in names]
            if unknown:
                raise ValueError(f"signature includes annotation for unknown parameter {unknown}")
            if not any(_classes(kind) for kind in wanted.values()):
                raise ValueError(
                    "a dispatch signature needs a parameter of a type of its own: annotate it, or "
                    "give the types to dispatch_for_api"
                )
            _add(entry, wanted, _named_or_not(target), True)
        return target

    return decorator


def _elementwise(kind: str, paths: Sequence[str], types_: tuple[Any, ...]) -> Any:
    """A decorator of handlers for many functions of one or two elementwise arguments."""

    def decorator(handler: Callable[..., Any]) -> Callable[..., Any]:
        key = (kind, types_)
        if key in _handlers:
            names = ", ".join(getattr(t, "__name__", str(t)) for t in types_)
            raise ValueError(
                f"{kind} dispatch handler ({_handlers[key].__name__}) has already been registered "
                f"for {names}."
            )
        _handlers[key] = handler
        for path in paths:
            function = _public(path)
            if function is not None:
                entry = _api_of(function)
                leading = list(entry.signature.parameters)[: len(types_)]
                _add(entry, dict(zip(leading, types_)), _handing(handler, entry, leading), False)
        return handler

    return decorator


def _handing(handler: Callable[..., Any], entry: _Api, names: Sequence[str]) -> Any:
    """A target that gives the handler the function with all other arguments filled in."""

    @functools.wraps(handler)
    def target(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(entry.signature.parameters, args))
        given.update(kwargs)
        elements = [given.pop(n) for n in names]

        def function(*values: Any) -> Any:
            return entry.called(*values, **given)

        function.__name__ = getattr(entry.function, "__name__", "function")
        return handler(function, *elements)

    target._handler = handler  # type: ignore[attr-defined]
    return target


def dispatch_for_unary_elementwise_apis(x_type: Any) -> Any:
    """Decorates `handler(api_func, x)`, which computes all functions of single elements.

    `api_func` is the function with its other arguments filled in: `lambda x: tf.cast(x, dtype)`.
    """
    return _elementwise("A unary elementwise", _UNARY, (x_type,))


def dispatch_for_binary_elementwise_apis(x_type: Any, y_type: Any) -> Any:
    """Decorates `handler(api_func, x, y)`, which computes all functions of pairs of elements."""
    return _elementwise("A binary elementwise", _BINARY, (x_type, y_type))


def dispatch_for_binary_elementwise_assert_apis(x_type: Any, y_type: Any) -> Any:
    """Decorates `handler(assert_func, x, y)`, which makes all assertions of pairs of elements."""
    return _elementwise("A binary elementwise assert", _ASSERTS, (x_type, y_type))


def unregister_dispatch_for(dispatch_target: Callable[..., Any]) -> None:
    """Takes back what a decorator of this module did for a function.

    Raises ValueError where no decorator did anything.
    """
    found = False
    for key in [k for k, handler in _handlers.items() if handler is dispatch_target]:
        del _handlers[key]
    for entry in set(_apis.values()):
        kept = [
            (wanted, target)
            for wanted, target in entry.targets
            if dispatch_target is not target
            and getattr(target, "_handler", None) is not dispatch_target
        ]
        if len(kept) < len(entry.targets):
            found = True
            entry.set_targets(kept)
    if not found:
        raise ValueError(f"Function {dispatch_target} was not registered.")

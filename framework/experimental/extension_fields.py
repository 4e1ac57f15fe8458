"""The fields of extension types: which annotations there are, and what they take."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec, composite_spec

_PLAIN = (int, float, bool, str, bytes, type(None))
_UNIONS = (typing.Union, types.UnionType)


class ImmutableDict(dict):
    """A dictionary that cannot be changed."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a mapping inside an ExtensionType cannot be changed")

    __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = _refuse

    def __repr__(self) -> str:
        return f"ImmutableDict({super().__repr__()})"


class Field:
    """One field of an extension type.

    Args:
      name: of the attribute.
      kind: its annotation.
      default: what it is if nothing is given; REQUIRED for none.

    Raises TypeError for an annotation that there is not, or a default that does not fit.
    """

    REQUIRED: ClassVar[Any] = object()

    def __init__(self, name: str, kind: Any, default: Any) -> None:
        self.name, self.kind = name, kind
        try:
            _check(kind)
        except TypeError as error:
            raise TypeError(f"In field '{name}': {error}") from None
        self.required = default is Field.REQUIRED
        self.default = default
        if not self.required:
            self.default = _converted(default, kind, f"default value for {name}", False)

    def convert(self, value: Any) -> Any:
        """The value as the field keeps it. Raises TypeError where it does not fit."""
        return _converted(value, self.kind, self.name, False)

    def spec(self, value: Any) -> Any:
        """The value of the field in a spec. Raises TypeError where it does not fit."""
        return _converted(value, self.kind, self.name, True)


def _is_composite(kind: Any) -> bool:
    return isinstance(kind, type) and (hasattr(kind, "_type_spec") or hasattr(kind, "Spec"))


def _check(kind: Any) -> None:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        for part in inside:
            if part is not Ellipsis:
                _check(part)
        return
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if inside[0] not in (str, int, bool, bytes, float):
            raise TypeError(f"Mapping had a key {inside[0]!r} with type {type(inside[0])!r}")
        return _check(inside[1])
    if origin in _UNIONS:
        for part in inside:
            _check(part)
        return
    plain = kind in _PLAIN or kind in (Tensor, dt.DType, shapes.TensorShape, None)
    if not plain and not _is_composite(kind):
        raise TypeError(
            f"Unsupported type annotation {_name(kind)!r}: fields are tf.Tensor, composite "
            "tensors, int, float, bool, str, bytes, tf.DType, tf.TensorShape, and tuples, "
            "mappings and unions of them"
        )


def _converted(value: Any, kind: Any, where: str, as_spec: bool) -> Any:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _tuple(value, inside, where, as_spec)
    if origin in _UNIONS:
        for part in inside:
            try:
                return _converted(value, part, where, as_spec)
            except (TypeError, ValueError):
                continue
        names = " | ".join(_name(part) for part in inside)
        raise TypeError(f"{where}: expected one of {names}, got {type(value).__name__!r}")
    if origin is not None:
        if not isinstance(value, Mapping):
            raise _unexpected(where, "mapping", value)
        return ImmutableDict(
            (
                _converted(k, inside[0], f"{where}.keys()", False),
                _converted(v, inside[1], f"{where}[{k!r}]", as_spec),
            )
            for k, v in value.items()
        )
    if kind is Tensor:
        return _tensor(value, where, as_spec)
    if kind is dt.DType:
        return dt.as_dtype(value)
    if kind is shapes.TensorShape:
        return shapes.as_shape(value)
    if kind in _PLAIN:
        fits = isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))
        if not fits:
            raise _unexpected(where, kind.__name__, value)
        return value
    if as_spec:
        if not isinstance(value, TypeSpec) or not issubclass(value.value_type, kind):
            raise _unexpected(where, f"spec of {kind.__name__}", value)
        return value
    if not isinstance(value, kind) or composite_spec(value) is None:
        raise _unexpected(where, kind.__name__, value)
    return value


def _tuple(value: Any, inside: tuple[Any, ...], where: str, as_spec: bool) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _unexpected(where, "tuple", value)
    if len(inside) == 2 and inside[1] is Ellipsis:
        inside = (inside[0],) * len(value)
    if len(inside) != len(value):
        raise TypeError(f"{where}: expected a tuple of {len(inside)}, got {len(value)} values")
    return tuple(
        _converted(v, part, f"{where}[{i}]", as_spec)
        for i, (v, part) in enumerate(zip(value, inside))
    )


def _tensor(value: Any, where: str, as_spec: bool) -> Any:
    if as_spec:
        if not isinstance(value, TensorSpec):
            raise _unexpected(where, "TensorSpec", value)
        return value
    if value is None or composite_spec(value) is not None:
        raise _unexpected(where, "Tensor", value)
    try:
        return convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}: expected a Tensor, got {type(value).__name__!r}: {error}") from (
            error
        )


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _unexpected(where: str, wanted: str, value: Any) -> TypeError:
    return TypeError(f"{where}: expected {wanted!r}, got {type(value).__name__!r}")

"""`input_signature`: which spec each parameter has, and arguments made to fit it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shardtape import nest
from shardtape.graph.arguments import Declared, fed_tensor
from shardtape.graph.func_graph import TensorSpec
from shardtape.type_spec import TypeSpec
from shardtape.variable_spec import VariableSpec

_SELF = "self"


class Constraints:
    """The specs of an `input_signature` by parameter.

    Parameters without a spec keep their defaults.

    Raises:
      TypeError: a parameter that has neither spec nor default, or specs that are left over.
    """

    def __init__(self, signature: inspect.Signature, specs: Sequence[Any]) -> None:
        if not isinstance(specs, (list, tuple)):
            raise TypeError(f"input_signature must be either a tuple or a list, got {type(specs)}.")
        if any(isinstance(s, VariableSpec) for s in nest.flatten(specs)):
            raise TypeError(f"input_signature doesn't support VariableSpec, got {specs}")
        wrong = [s for s in nest.flatten(specs) if not isinstance(s, TypeSpec)]
        if wrong:
            raise TypeError(
                "input_signature must be a possibly nested sequence of TensorSpec objects, got "
                f"{wrong[0]!r}"
            )
        self._parameters = signature.parameters
        self.by_name: dict[str, Any] = {}
        rest = list(specs)
        for place, (name, p) in enumerate(self._parameters.items()):
            if place == 0 and name == _SELF:  # a method that is bound later
                continue
            if p.kind is p.VAR_KEYWORD:
                continue
            if p.kind is p.VAR_POSITIONAL:
                keywords = [q for q in self._parameters.values() if q.kind is q.KEYWORD_ONLY]
                taken = max(len(rest) - len(keywords), 0)
                self.by_name[name], rest = tuple(rest[:taken]), rest[taken:]
            elif rest:
                self.by_name[name] = rest.pop(0)
            elif p.default is p.empty and p.kind is p.KEYWORD_ONLY:
                raise TypeError(
                    "Since input_signature is defined, keyword-only parameter "
                    f"`{name}` must have a default value"
                )
            elif p.default is p.empty:
                raise TypeError(f"input_signature missing type constraint for {name}")
        if rest:
            raise TypeError(f"input_signature contains {len(rest)} extra type constraints.")

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The specs as a call's positional arguments and those by name."""
        positional: list[Any] = []
        by_name = {}
        for name, spec in self.by_name.items():
            kind = self._parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                positional.extend(spec)
            elif kind is inspect.Parameter.KEYWORD_ONLY:
                by_name[name] = spec
            else:
                positional.append(spec)
        return positional, by_name

    def conform(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by parameter, their tensors declared with their specs.

        Raises:
          TypeError: an argument that does not fit, or one without a spec that is not the default.
        """
        out = {}
        for name, value in given.items():
            if name in self.by_name:
                spec = self.by_name[name]
                if isinstance(spec, TypeSpec):
                    out[name] = _declared(spec, value, name)
                    continue
                if self._parameters[name].kind is inspect.Parameter.VAR_POSITIONAL and (
                    len(spec) != len(value)
                ):
                    raise TypeError(
                        f"it takes {len(spec)} arguments `*{name}`, it was given {len(value)}"
                    )
                pairs = _pairs(spec, value, name)
                made = [_declared(s, v, name) for s, v in pairs]
                out[name] = nest.pack_sequence_as(spec, made)
                continue
            p = self._parameters[name]
            if p.kind is p.VAR_KEYWORD:
                if value:
                    raise TypeError(f"got an unexpected keyword argument {next(iter(value))!r}")
            elif name != _SELF and value is not p.default and not _same(value, p.default):
                raise TypeError(
                    f"Can not cast {value!r} to Literal[{p.default!r}]: the input_signature has no "
                    f"spec for {name!r}"
                )
            out[name] = value
        return out


class _Captured:
    def __repr__(self) -> str:
        return "<captured_default_value>"


_CAPTURED = _Captured()


def binding_error(
    reason: TypeError, args: Any, kwargs: Any, signature: inspect.Signature,
    constraints: Constraints | None,
) -> TypeError:  # fmt: skip
    """What a call raises whose arguments do not fit; it shows the parameters with their specs."""
    shown = []
    for p in signature.parameters.values():
        spec = p.empty if constraints is None else constraints.by_name.get(p.name, p.empty)
        default = p.empty if p.default is p.empty else _CAPTURED
        shown.append(p.replace(default=default, annotation=spec))
    return TypeError(
        f"Binding inputs to tf.function failed due to `{reason}`. Received args: {args} "
        f"and kwargs: {kwargs} for signature: {inspect.Signature(shown)}."
    )


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, (bool, int, float, str, bytes)) and a == b


def _pairs(spec: Any, value: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """(spec, value) of every leaf of the spec; the values may be lists themselves."""
    if not nest.is_nested(spec):
        yield spec, value
        return
    if isinstance(spec, Mapping):
        fits = isinstance(value, Mapping) and spec.keys() == value.keys()
    else:
        kind = list if isinstance(spec, list) else tuple if isinstance(spec, tuple) else type(spec)
        fits = isinstance(value, kind) and len(nest._children(spec)) == len(nest._children(value))
    if not fits:
        raise TypeError(
            f"argument {name!r} is or holds {value!r}, the input_signature asks for {spec!r}"
        )
    for inner, part in zip(nest._children(spec), nest._children(value)):
        yield from _pairs(inner, part, name)


def _declared(spec: Any, value: Any, name: str) -> Any:
    if not isinstance(spec, TensorSpec):
        if not spec.is_compatible_with(value):
            raise TypeError(
                f"argument {name!r} is {value!r}, the input_signature asks for {spec!r}"
            )
        return Declared(value, spec)
    try:
        t: Any = value if isinstance(value, TypeSpec) else fed_tensor(value, spec.dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(str(error)) from None
    if t.dtype is not spec.dtype or not spec.shape.is_compatible_with(t.shape):
        raise TypeError(f"Can not cast {TensorSpec(t.shape, t.dtype)!r} to {spec!r}")
    return Declared(t, spec)

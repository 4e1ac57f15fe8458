"""Linear operators at the boundaries of functions: the tensors that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linear_operators import LinearOperator
from shardtape.type_spec import TypeSpec


class LinearOperatorSpec(TypeSpec):
    """The spec of an operator: its class, the specs of its tensors, its other arguments."""

    __slots__ = ("_kind", "_names", "_specs", "_static")

    def __init__(self, kind: type, names: Any, specs: Any, static: Any) -> None:
        # names: (argument, None for one value, or how many there are) for each group of specs
        self._kind, self._names, self._specs, self._static = kind, names, specs, static

    @classmethod
    def from_value(cls, operator: LinearOperator) -> LinearOperatorSpec:
        """The spec of an operator."""
        names: list[tuple[str, int | None]] = []
        specs: list[TypeSpec] = []
        for name, parts, several in _parts(operator):
            names.append((name, len(parts) if several else None))
            for part in parts:
                nested = isinstance(part, LinearOperator)
                specs.append(part._type_spec if nested else TensorSpec(part.shape, part.dtype))
        taken = {name for name, _ in names}
        static = tuple(
            (k, tuple(v) if isinstance(v, list) else v)
            for k, v in operator.parameters.items()
            if k not in taken
        )
        return cls(type(operator), tuple(names), tuple(specs), static)

    @property
    def value_type(self) -> type:
        return self._kind

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        out: list[TypeSpec] = []
        for spec in self._specs:
            nested = isinstance(spec, LinearOperatorSpec)
            out.extend(spec._component_specs if nested else [spec])
        return tuple(out)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        out: list[Any] = []
        for _, parts, _ in _parts(value):
            for part in parts:
                if isinstance(part, LinearOperator):
                    out.extend(part._type_spec._to_components(part))
                else:
                    out.append(convert_to_tensor(part))
        return tuple(out)

    def _from_components(self, components: Sequence[Any]) -> Any:
        rest, specs = iter(components), iter(self._specs)

        def one() -> Any:
            spec = next(specs)
            if isinstance(spec, LinearOperatorSpec):
                return spec._from_components([next(rest) for _ in spec._component_specs])
            return next(rest)

        made = {n: one() if k is None else [one() for _ in range(k)] for n, k in self._names}
        return self._kind(**dict(self._static), **made)

    def _serialize(self) -> tuple[Any, ...]:
        return self._kind, self._names, self._specs, tuple((k, repr(v)) for k, v in self._static)

    def __repr__(self) -> str:
        tensors = dict(zip([n for n, _ in self._names], self._specs))
        return f"{self._kind.__name__}Spec({tensors}, {dict(self._static)})"


def _parts(operator: LinearOperator) -> list[tuple[str, list[Any], bool]]:
    """(argument, its tensors, Variables or operators, whether it is a list)."""
    out, given = [], operator.parameters
    for name in operator._tensors:
        value = getattr(operator, name)
        if given[name] is None:
            continue
        several = isinstance(value, (list, tuple)) or hasattr(value, "__iter__") and not hasattr(
            value, "dtype"
        )  # fmt: skip
        out.append((name, list(value) if several else [value], several))
    return out

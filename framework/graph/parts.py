"""Results of traced code whose leaves may be made of several tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from shardtape import nest
from shardtape.type_spec import TypeSpec, composite_spec


class Parts:
    """A leaf of a structure that stands for several tensors."""

    __slots__ = ("spec", "tensors")

    def __init__(self, spec: TypeSpec, tensors: Sequence[Any]) -> None:
        self.spec, self.tensors = spec, tuple(tensors)


class _NoneSpec(TypeSpec):
    """The spec of None."""

    def _from_components(self, components: Sequence[Any]) -> Any:
        return None

    def most_specific_compatible_type(self, other: TypeSpec) -> TypeSpec:
        return self


_NOTHING = _NoneSpec()


def taken_apart(structure: Any, tensor: Callable[[Any], Any]) -> Any:
    """The structure with `tensor(leaf)` for each leaf, or Parts for a composite one."""

    def one(leaf: Any) -> Any:
        if leaf is None:
            return Parts(_NOTHING, ())
        spec = composite_spec(leaf)
        if spec is None:
            return tensor(leaf)
        return Parts(spec, [tensor(t) for t in spec._to_components(leaf)])

    return nest.map_structure(one, structure)


def tensors_of(structure: Any) -> list[Any]:
    """All tensors of what `taken_apart` gave."""
    out: list[Any] = []
    for leaf in nest.flatten(structure):
        out.extend(leaf.tensors if isinstance(leaf, Parts) else [leaf])
    return out


def put_together(structure: Any, tensors: Sequence[Any]) -> Any:
    """The structure with other tensors, composites made whole."""
    rest: Iterator[Any] = iter(tensors)
    leaves = []
    for leaf in nest.flatten(structure):
        if isinstance(leaf, Parts):
            leaves.append(leaf.spec._from_components([next(rest) for _ in leaf.tensors]))
        else:
            leaves.append(next(rest))
    return nest.pack_sequence_as(structure, leaves)


def general_specs(before: Any, after: Any) -> Any:
    """`before` with the specs of composites made so general that those of `after` fit."""
    leaves = []
    for a, b in zip(nest.flatten(before), nest.flatten(after)):
        if isinstance(a, Parts) and isinstance(b, Parts):
            a = Parts(a.spec.most_specific_compatible_type(b.spec), a.tensors)
        leaves.append(a)
    return nest.pack_sequence_as(before, leaves)

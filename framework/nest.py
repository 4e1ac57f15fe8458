"""Nested structures of Python containers: flatten, map, pack again (TensorFlow's order)."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shardtape.type_spec import composite_spec


def is_nested(seq: Any) -> bool:
    """True for lists, tuples, dicts and attrs classes; not for strings and tensors."""
    kind: Any = type(seq)
    return _nests(kind)


@functools.lru_cache(maxsize=1024)  # asking an abstract class costs more than most ops
def _nests(kind: type) -> bool:
    return issubclass(kind, (list, tuple, Mapping)) or hasattr(kind, "__attrs_attrs__")


def _kind(value: Any) -> Any:
    kind: Any = type(value)
    return getattr(kind, "_plain", kind)  # lists that are attributes count as lists


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [value[k] for k in _keys(value)]
    if hasattr(type(value), "__attrs_attrs__"):
        return [getattr(value, a.name) for a in type(value).__attrs_attrs__]
    return list(value)


def _keys(value: Mapping) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves in order; dicts by sorted key.

    Args:
      expand_composites: ragged, sparse and extension types count as their tensors.
    """
    if not is_nested(structure):
        spec = composite_spec(structure) if expand_composites else None
        return [structure] if spec is None else list(spec._to_components(structure))
    out: list[Any] = []
    for child in _children(structure):
        out.extend(flatten(child, expand_composites))
    return out


def _rebuild(like: Any, children: list[Any]) -> Any:
    if hasattr(like, "_rebuilt"):  # an attribute of a module
        return like._rebuilt(children)
    if isinstance(like, Mapping):
        by_key = dict(zip(_keys(like), children))
        if isinstance(like, defaultdict):
            made: Any = defaultdict(like.default_factory)
            made.update((k, by_key[k]) for k in like)
            return made
        if isinstance(like, (dict, OrderedDict)):
            return type(like)((k, by_key[k]) for k in like)
        return {k: by_key[k] for k in like}
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*children)
    if hasattr(type(like), "__attrs_attrs__"):
        return type(like)(*children)
    if isinstance(like, tuple):
        return tuple(children)
    return type(like)(children) if type(like) is list else list(children)


def pack_sequence_as(
    structure: Any, flat_sequence: Sequence[Any], expand_composites: bool = False
) -> Any:
    """The structure again with `flat_sequence` as leaves. Raises ValueError on a wrong count."""
    flat = list(flat_sequence)
    kind = type(structure)
    plain = (kind is list or kind is tuple) and not expand_composites
    if plain and len(structure) == len(flat) and not any(map(is_nested, structure)):
        return kind(flat)  # what nearly all callers have
    spec = composite_spec(structure) if expand_composites else None
    if not is_nested(structure) and spec is None:
        if len(flat) != 1:
            raise ValueError(f"The target structure is a single leaf, got {len(flat)} values.")
        return flat[0]
    count = len(flatten(structure, expand_composites))
    if count != len(flat):
        raise ValueError(
            f"Could not pack sequence. Structure had {count} atoms, but flat_sequence had "
            f"{len(flat)} items."
        )
    return _packed(structure, iter(flat), expand_composites)


def _packed(node: Any, rest: Iterator[Any], expand_composites: bool) -> Any:
    # no closure that calls itself: such a cycle kept all gradients until the garbage collector ran
    if not is_nested(node):
        inner = composite_spec(node) if expand_composites else None
        if inner is None:
            return next(rest)
        return inner._from_components([next(rest) for _ in inner._component_specs])
    children = [_packed(child, rest, expand_composites) for child in _children(node)]
    return _rebuild(node, children)


def map_structure(func: Callable[..., Any], *structures: Any, **options: Any) -> Any:
    """Applies `func` to the corresponding leaves of structures of the same form.

    Args:
      options: `check_types`, and `expand_composites` as in `flatten`.
    """
    if not structures:
        raise ValueError("Must provide at least one structure")
    for other in structures[1:]:
        assert_same_structure(structures[0], other, options.get("check_types", True))
    expand = options.get("expand_composites", False)
    flat = [flatten(s, expand) for s in structures]
    return pack_sequence_as(structures[0], [func(*leaves) for leaves in zip(*flat)], expand)


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raises ValueError (form) or TypeError (container type) where the structures differ."""
    a, b = nest1, nest2
    if is_nested(a) != is_nested(b):
        raise ValueError(
            f"The two structures don't have the same nested structure: {a!r} and {b!r}"
        )
    if not is_nested(a):
        return
    if check_types and _kind(a) is not _kind(b) and not (
        isinstance(a, Mapping) and isinstance(b, Mapping)
    ):  # fmt: skip
        raise TypeError(
            "The two structures don't have the same sequence type: "
            f"{type(a).__name__} and {type(b).__name__}"
        )
    if isinstance(a, Mapping):
        if set(a) != set(b):
            raise ValueError(f"The two dictionaries have other keys: {list(a)} and {list(b)}")
        for k in a:
            assert_same_structure(a[k], b[k], check_types)
        return
    left, right = _children(a), _children(b)
    if len(left) != len(right):
        raise ValueError(
            "The two structures don't have the same number of elements: "
            f"{len(left)} and {len(right)}"
        )
    for x, y in zip(left, right):
        assert_same_structure(x, y, check_types)

"""What a trace takes and returns, as TensorFlow shows it: parameters, results, captures."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.graph.func_graph import TensorSpec
from shardtape.indexed_slices import IndexedSlices
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec

_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def parameters(signature: Any, arguments: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(name, kind, value) of each parameter, with `*args` and `**kwargs` written out.

    Args:
      signature: of the Python function; None for a function that takes its inputs by name.
      arguments: specs of tensors, and other values, by parameter.
    """
    if signature is None:
        return [(name, "KEYWORD_ONLY", value) for name, value in sorted(arguments.items())]
    kinds = {n: p.kind for n, p in signature.parameters.items()}
    several = inspect.Parameter.VAR_POSITIONAL in kinds.values()
    out: list[tuple[str, str, Any]] = []
    for name, value in arguments.items():
        kind = kinds.get(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if kind is inspect.Parameter.VAR_POSITIONAL:
            out += [(f"{name}_{i}", "POSITIONAL_ONLY", v) for i, v in enumerate(value)]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            out += [(n, "KEYWORD_ONLY", v) for n, v in value.items()]
        elif several and kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            out.append((name, "POSITIONAL_ONLY", value))
        else:
            out.append((name, kind.name, value))
    return out


def type_text(value: Any) -> str:
    """A type as TensorFlow shows it: a spec, `Literal[2]`, `List[...]`, `Dict[[key, type]]`."""
    if isinstance(value, TypeSpec):
        return repr(value)
    if isinstance(value, Tensor):
        return repr(TensorSpec(value.shape, value.dtype))
    if isinstance(value, IndexedSlices):
        return f"IndexedSlicesSpec({value.shape_anywhere()}, {value.dtype!r})"
    inner = getattr(value, "spec", None)  # a result that is made of several tensors
    if isinstance(inner, TypeSpec):
        return repr(inner)
    if hasattr(value, "_read_array"):
        return (f"VariableSpec(shape={value.shape}, dtype={value.dtype!r}, "
                f"trainable={value.trainable}, alias_id=0)")  # fmt: skip
    if isinstance(value, Mapping):
        shown = ", ".join(f"[{k!r}, {type_text(v)}]" for k, v in value.items())
        return f"Dict[{shown}]" if value else "Dict[]"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        shown = ", ".join(f"[{k!r}, {type_text(v)}]" for k, v in zip(value._fields, value))
        return f"{type(value).__name__}[{shown}]"
    if isinstance(value, (list, tuple)):
        kind = "List" if isinstance(value, list) else "Tuple"
        return f"{kind}[{', '.join(type_text(v) for v in value)}]"
    return f"Literal[{value!r}]" if isinstance(value, _PLAIN) else repr(value)


def one_line(shown: list[tuple[str, str, Any]], result: Any) -> str:
    """`(x: TensorSpec(...)) -> TensorSpec(...)`."""
    parts: list[str] = []
    before = ""
    for name, kind, value in [*shown, ("", "", None)]:
        if before == "POSITIONAL_ONLY" and kind != before:
            parts.append("/")
        if kind == "KEYWORD_ONLY" and before != kind:
            parts.append("*")
        if kind:
            parts.append(f"{name}: {type_text(value)}")
        before = kind
    return f"({', '.join(parts)}) -> {type_text(result)}"


def paragraph(shown: list[tuple[str, str, Any]], result: Any, captures: list[Any]) -> str:
    """Parameters, result and captures, a line each."""
    lines = ["Input Parameters:"]
    lines += [f"  {name} ({kind}): {type_text(value)}" for name, kind, value in shown]
    if not shown:
        lines.append("  None")
    lines += ["Output Type:", f"  {type_text(result)}", "Captures:"]
    for outer in captures:
        variable = hasattr(outer, "_read_array")
        spec = TensorSpec([], dt.resource) if variable else TensorSpec(outer.shape, outer.dtype)
        lines.append(f"  {id(outer)}: {spec!r}")
    if not captures:
        lines.append("  None")
    return "\n".join(lines)


def structured_input(shown: list[tuple[str, str, Any]]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(positional, by name): specs that bear the names of the inputs, and other values."""
    positional = tuple(_named(n, v) for n, k, v in shown if k != "KEYWORD_ONLY")
    return positional, {n: _named(n, v) for n, k, v in shown if k == "KEYWORD_ONLY"}


def _named(name: str, value: Any) -> Any:
    count = len(nest.flatten(value))

    def named(i: int, leaf: Any) -> Any:
        if isinstance(leaf, TensorSpec) and leaf.name is None:
            return TensorSpec(leaf.shape, leaf.dtype, name if count == 1 else f"{name}_{i}")
        return leaf

    flat = [named(i, leaf) for i, leaf in enumerate(nest.flatten(value))]
    return nest.pack_sequence_as(value, flat)

"""What a trace takes and returns, as TensorFlow shows it: parameters, results, captures."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from typing import Any

from shardtape import dtypes as dt
from shardtape.graph.func_graph import TensorSpec
from shardtape.indexed_slices import IndexedSlices
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec

_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def python_name(name: str) -> str:
    """A name of a tensor ("user-id") as that of a Python argument: "user_id", as TensorFlow's."""
    if name.isidentifier():
        return f"{name}_" if keyword.iskeyword(name) else name
    made = "".join(c if c.isalnum() else "_" for c in name)
    return made if made.isidentifier() else f"arg_{made}"


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
    lines += ["Output Type:", f"  {type_text(result)}", "Captures:"]
    for outer in captures:
        variable = hasattr(outer, "_read_array")
        spec = TensorSpec([], dt.resource) if variable else TensorSpec(outer.shape, outer.dtype)
        lines.append(f"  {id(outer)}: {spec!r}")
    if not captures:
        lines.append("  None")
    return "\n".join(lines)


class Parameter:
    """A parameter of a trace: `name`, `kind`, and the `type_constraint` of its values."""

    __slots__ = ("name", "kind", "type_constraint")

    def __init__(self, name: str, kind: str, type_constraint: Any) -> None:
        self.name, self.type_constraint = name, type_constraint
        self.kind = getattr(inspect.Parameter, kind)

    def __repr__(self) -> str:
        return f"{self.name} ({self.kind.name}): {type_text(self.type_constraint)}"


class FunctionType:
    """What a trace takes, returns and captures: a line as `str`, a paragraph as `repr`.

    Attributes:
      parameters: by name, in order.
      output: the structure of the results.
      captures: the tensors and Variables from outside.
    """

    def __init__(self, shown: list[tuple[str, str, Any]], output: Any, captures: Any) -> None:
        self._shown, self.output, self.captures = shown, output, list(captures)
        self.parameters = {name: Parameter(name, kind, value) for name, kind, value in shown}

    def __str__(self) -> str:
        return one_line(self._shown, self.output)

    def __repr__(self) -> str:
        return paragraph(self._shown, self.output, self.captures)


def structured_input(shown: list[tuple[str, str, Any]]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(positional, by name): specs that bear the names of the inputs, and other values."""
    positional = tuple(_named(n, v) for n, k, v in shown if k != "KEYWORD_ONLY")
    return positional, {n: _named(n, v) for n, k, v in shown if k == "KEYWORD_ONLY"}


def _named(name: str, value: Any) -> Any:
    """The specs in a value, with the names that lead to them."""
    if isinstance(value, TensorSpec):
        return value if value.name is not None else TensorSpec(value.shape, value.dtype, name)
    if isinstance(value, Mapping):
        made = {k: _named(f"{name}_{k}", v) for k, v in value.items()}
        return made if type(value) is dict else type(value)(made)  # type: ignore[call-arg]
    if isinstance(value, (list, tuple)):
        keys = getattr(value, "_fields", range(len(value)))
        parts = [_named(f"{name}_{k}", v) for k, v in zip(keys, value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value

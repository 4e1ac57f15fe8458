"""What a `tf.function` is called with: tensors, specs, composites and other values."""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.context import state
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor, Tensor
from shardtape.type_spec import TypeSpec, composite_spec
from shardtape.variable import Variable
from shardtape.variable_spec import VariableInput, VariableSpec

VARIABLES = (Variable, VariableSpec)
_LITERALS = frozenset((bool, int, float, complex, str, bytes, type(None)))


class Declared:
    """A value with the spec that an input_signature gives it."""

    __slots__ = ("value", "spec")

    def __init__(self, value: Any, spec: Any) -> None:
        self.value, self.spec = value, spec


def is_tensor_like(x: Any) -> bool:
    if isinstance(x, (Tensor, np.ndarray, np.generic, TypeSpec, Declared)):
        return True
    return composite_spec(x) is not None


def spec_of(x: Any) -> Any:
    """The spec of an argument that is a tensor; any other argument itself."""
    if not is_tensor_like(x):
        return x
    spec = composite_of(x)
    if spec is not None:
        return spec
    declared = x.spec if isinstance(x, Declared) else x
    dtype, shape = declared_type(x)
    return TensorSpec(shape, dtype, declared.name if isinstance(declared, TensorSpec) else None)


def composite_of(x: Any) -> TypeSpec | None:
    """The spec of an argument that is made of several tensors; None for a tensor."""
    if isinstance(x, Declared):
        x = x.spec
    if isinstance(x, TypeSpec):
        return None if isinstance(x, TensorSpec) else x
    return None if isinstance(x, Tensor) else composite_spec(x)


def components_of(x: Any) -> Sequence[Any]:
    """The tensors that are fed for an argument."""
    spec = composite_of(x)
    if spec is None:
        return (fed_tensor(x),)
    value = x.value if isinstance(x, Declared) else x
    return () if isinstance(value, TypeSpec) else spec._to_components(value)


def fed_tensor(x: Any, dtype: Any = None) -> Any:
    if isinstance(x, Declared):
        x = x.value
    if isinstance(x, (Tensor, TensorSpec)):
        return x
    return convert_to_tensor(x, dtype)


def declared_type(x: Any) -> tuple[Any, Any]:
    if isinstance(x, Declared):
        return x.spec.dtype, x.spec.shape
    if isinstance(x, (Tensor, TensorSpec)):
        return x.dtype, x.shape
    t = convert_to_tensor(x)
    return t.dtype, t.shape


def variable_type(x: Any) -> VariableSpec | None:
    """The spec of a Variable that is an input of the trace; None for any other argument."""
    if isinstance(x, Declared):
        x = x.spec
    if isinstance(x, Variable):
        return VariableSpec.from_value(x) if x._is_input else None
    return x if isinstance(x, VariableSpec) else None


def alias_numbers(leaves: Sequence[Any]) -> dict[int, int]:
    """For the places of Variables which of the different Variables each of them is."""
    numbers: dict[int, int] = {}
    known: dict[Any, int] = {}
    for i, x in enumerate(leaves):
        if type(x) is EagerTensor:
            continue
        if type(x) is Declared and type(x.spec) is VariableSpec:
            x = x.value
        if isinstance(x, Variable):
            if x._is_input:
                numbers[i] = known.setdefault(x._id, len(known))
        elif type(x) is VariableSpec:
            place = i if x.alias_id is None else -1
            numbers[i] = known.setdefault(("alias", place, x.alias_id), len(known))
    return numbers


def given_values(leaves: Sequence[Any], numbers: Mapping[int, int]) -> list[Any]:
    """What is fed for the arguments: each Variable once."""
    values: list[Any] = []
    seen: set[int] = set()
    for i, x in enumerate(leaves):
        if type(x) is EagerTensor:
            values.append(x)
        elif type(x) in _LITERALS:
            continue
        elif i not in numbers:
            values.extend(components_of(x) if is_tensor_like(x) else ())
        elif numbers[i] not in seen:
            seen.add(numbers[i])
            values.append(x)
    return values


def variable_argument(graph: Any, leaf: Any, spec: VariableSpec, name: str) -> tuple[Any, Any]:
    """(what the Python code gets, the placeholder) for a Variable, or for the spec of one."""
    origin = leaf if isinstance(leaf, Variable) else None
    held = VariableInput(spec, name, origin)
    return held if origin is None else origin, graph.add_variable_input(held, name)


def bound_specs(arguments: Mapping[str, Any], leaves: Sequence[Any]) -> dict[str, Any]:
    """The arguments with specs of the tensors and Variables; no object is kept alive."""
    numbers = alias_numbers(leaves)
    specs: list[Any] = []
    for i, x in enumerate(leaves):
        spec = variable_type(x)
        if spec is not None:
            specs.append(spec.numbered(numbers[i]))
        else:
            specs.append(spec_of(x) if is_tensor_like(x) else held_weakly(x))
    return nest.pack_sequence_as(dict(arguments), in_nest_order(arguments, specs))


def held_weakly(x: Any) -> Any:
    """A weak reference to an object that only equals itself; any other value as it is."""
    if type(x).__hash__ is not object.__hash__:
        return x
    try:
        return weakref.ref(x)
    except TypeError:
        return x


def held_value(x: Any) -> Any:
    """What `held_weakly` was given; None where it is gone."""
    return x() if type(x) is weakref.ref else x


def key_of(x: Any) -> Any:
    if type(x) is EagerTensor:
        return x._array.dtype.num, x._array.shape
    if type(x) in _LITERALS:
        return type(x), x
    if isinstance(x, VARIABLES) and getattr(x, "_is_input", True):
        # some Variables are read in another type than they are kept in
        return "variable", x.dtype, x.shape._dims, x.trainable, hasattr(x, "read_dtype")
    if is_tensor_like(x):
        spec = composite_of(x)
        if spec is not None:
            return "composite", spec
        dtype, shape = declared_type(x)
        return dtype.numpy_dtype.num, tuple(shape) if shape.rank is not None else None
    if isinstance(x, Variable):
        return "variable", x._id
    tracing_type = getattr(type(x), "__tf_tracing_type__", None)
    if tracing_type is not None:
        return "traced", tracing_type(x, None)
    try:
        hash(x)
    except TypeError:
        return type(x), id(x)
    return type(x), held_weakly(x)


def context_key() -> Any:
    return state.training if state.autocast is None else (state.training, state.autocast)


def structure_of(value: Any) -> Any:
    if not nest.is_nested(value):
        return None
    if isinstance(value, Mapping):
        return (type(value).__name__, tuple((k, structure_of(v)) for k, v in sorted(value.items())))
    return (type(value).__name__, tuple(structure_of(v) for v in nest._children(value)))


def contents(arguments: Mapping[str, Any]) -> dict[str, tuple[Any, list[Any]]]:
    """Structure and leaves of the arguments that a function could change."""
    return {
        name: (structure_of(value), nest.flatten(value))
        for name, value in arguments.items()
        if nest.is_nested(value)
    }


def unchanged(before: tuple[Any, list[Any]], value: Any) -> bool:
    """Whether a container still holds what it held."""
    structure, leaves = before
    if structure_of(value) != structure:
        return False
    return all(a is b for a, b in zip(leaves, nest.flatten(value)))


def leaves_of(arguments: Mapping[str, Any]) -> list[Any]:
    """All leaves, in the order of the arguments."""
    return [leaf for value in arguments.values() for leaf in nest.flatten(value)]


def names_of(arguments: Mapping[str, Any]) -> list[str]:
    """For each leaf the name that its TensorSpec or else its parameter gives it."""
    names = []
    for name, value in arguments.items():
        for leaf in nest.flatten(value):
            declared = leaf.spec if isinstance(leaf, Declared) else leaf
            own = declared.name if isinstance(declared, TensorSpec) else None
            names.append(own or name)
    return names


def in_nest_order(arguments: Mapping[str, Any], leaves: list[Any]) -> list[Any]:
    """Leaves in the order of the arguments, put into the sorted order that nest flattens in."""
    rest = iter(leaves)
    by_name = {n: [next(rest) for _ in nest.flatten(v)] for n, v in arguments.items()}
    return [leaf for n in sorted(by_name) for leaf in by_name[n]]


def ordered(original: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rebuilt[name] for name in original}


def valid_name(name: str) -> str:
    """A name that a node may have."""
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name).lstrip("_\\/>-") or "arg"

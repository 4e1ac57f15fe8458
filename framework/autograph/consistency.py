"""What differs between the branches of an `if`, or before and after a turn of a loop: by name."""

from __future__ import annotations

from typing import Any

from malt.operators.variables import Undefined, UndefinedReturnValue

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.ops.convert import to_array
from shardtape.shapes import as_shape
from shardtape.tensor import SymbolicTensor
from shardtape.type_spec import composite_spec


def is_undefined(value: Any) -> bool:
    return isinstance(value, (Undefined, UndefinedReturnValue))


def equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, (str, bytes, type(None))) and a == b


def _dtype(leaf: Any) -> dt.DType | None:
    """The dtype that a leaf has, or would have as a tensor; None for anything else."""
    own = getattr(leaf, "dtype", None)
    if isinstance(own, dt.DType) and (composite_spec(leaf) is None or hasattr(leaf, "_as_tensor")):
        return own
    if isinstance(leaf, (bool, int, float, complex, str, bytes)) or own is not None:
        try:
            return dt.from_numpy(to_array(leaf, None).dtype)
        except (TypeError, ValueError):
            return None
    return None


def _other_dtypes(a: Any, b: Any) -> tuple[str, str] | None:
    """The names of the first two dtypes that differ."""
    for x, y in zip(nest.flatten(a), nest.flatten(b)):
        first, second = _dtype(x), _dtype(y)
        if first is not None and second is not None and first is not second:
            return first.name, second.name
    return None


def _other_structure(a: Any, b: Any) -> str | None:
    try:
        nest.assert_same_structure(a, b)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def check_branches(names: Any, main: Any, other: Any) -> None:
    """Says which name the branches of an `if` that cannot be joined leave different.

    Raises:
      TypeError: a name with another dtype or structure.
      ValueError: a name that is None in one branch.
    """
    for name, a, b in zip(names, main, other):
        if is_undefined(a) or is_undefined(b):
            continue
        if (a is None) != (b is None):
            where = "main" if a is None else "else"
            raise ValueError(f"'{name}' is None at the end of the {where} branch.")
        structure = _other_structure(a, b)
        if structure is not None:
            raise TypeError(
                f"'{name}' does not have the same nested structure in the main and else "
                f"branches: {structure}"
            )
        found = _other_dtypes(a, b)
        if found is not None:
            raise TypeError(
                f"'{name}' has dtype {found[0]} in the main branch, but dtype {found[1]} in the "
                "else branch"
            )


def check_turn(name: str, before: Any, after: Any) -> None:
    """Raises TypeError for a loop variable to which a turn gives another structure or dtype.

    Python numbers that the variable's dtype can hold take that.
    """
    structure = _other_structure(before, after)
    if structure is not None:
        raise TypeError(
            f"'{name}' does not have the same nested structure before and after one iteration: "
            f"{structure}"
        )
    for x, y in zip(nest.flatten(before), nest.flatten(after)):
        old, new = _dtype(x), _dtype(y)
        if old is None or new is None or old is new or _held(y, old):
            continue
        raise TypeError(
            f"'{name}' has dtype {old.name} before the loop, but dtype {new.name} after one "
            "iteration"
        )


def check_shape(name: str, before: Any, entered: Any, after: Any) -> None:
    """Raises ValueError for a loop variable of another shape after a turn.

    Args:
      before: its value before the loop.
      entered: what it is in the turn, whose shape the loop has declared.
      after: what the turn makes of it.
    """
    for x, y, z in zip(nest.flatten(before), nest.flatten(entered), nest.flatten(after)):
        if not isinstance(y, SymbolicTensor) or not isinstance(z, SymbolicTensor):
            continue
        if y.shape.is_compatible_with(z.shape):
            continue
        first = getattr(x, "shape", y.shape)
        if as_shape(first) != y.shape:
            raise ValueError(
                f"'{name}' has shape {z.shape} after one iteration, which does not conform with "
                f"the shape invariant {y.shape}."
            )
        raise ValueError(
            f"'{name}' has shape {y.shape} before the loop, but shape {z.shape} after one "
            "iteration. Use tf.autograph.experimental.set_loop_options to set shape invariants."
        )


def _held(value: Any, dtype: dt.DType) -> bool:
    if not isinstance(value, (bool, int, float, complex, str, bytes)):
        return False
    try:
        to_array(value, dtype)
    except (TypeError, ValueError):
        return False
    return True

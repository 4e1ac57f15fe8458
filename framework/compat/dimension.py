"""One size of a static shape, as TensorFlow 1 had it."""

from __future__ import annotations

from typing import Any

from shardtape.shapes import TensorShape


class Dimension:
    """A size that may be unknown.

    Attributes:
      value: int, or None where it is unknown.
    """

    def __init__(self, value: Any) -> None:
        self.value = dimension_value(value)

    def __eq__(self, other: Any) -> Any:
        """None where either is unknown."""
        other = dimension_value(other)
        if self.value is None or other is None:
            return None
        return self.value == other

    def __ne__(self, other: Any) -> Any:
        equal = self == other
        return None if equal is None else not equal

    def __hash__(self) -> int:
        raise ValueError("Unable to hash a Dimension: use its `value`")

    def __int__(self) -> int:
        if self.value is None:
            raise TypeError("a Dimension that is unknown has no int")
        return self.value

    __index__ = __int__

    def __str__(self) -> str:
        return "?" if self.value is None else str(self.value)

    def __repr__(self) -> str:
        return f"Dimension({self.value})"


def dimension_value(dimension: Any) -> Any:
    """The size itself: an int or None."""
    return dimension.value if isinstance(dimension, Dimension) else dimension


def dimension_at_index(shape: TensorShape, index: int) -> Dimension:
    """The size of an axis; unknown where the rank is."""
    return Dimension(None if shape.rank is None else shape[index])

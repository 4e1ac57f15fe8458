"""Static shapes: some or all dimensions may be unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def _dimension(value: Any) -> int | None:
    if value is None or type(value) is int:
        size = value
    else:
        size = getattr(value, "value", value)  # TF1's Dimension
        if size is not None:
            try:
                size = size.__index__()
            except AttributeError:
                raise TypeError(
                    f"Dimension value must be integer or None, got {value!r} of {type(value)}"
                ) from None
    if size is not None and size < 0:
        if size == -1:
            return None
        raise ValueError(f"Dimension {size} must be >= 0")
    return size


class TensorShape:
    """A possibly unknown shape.

    Args:
      dims: None for unknown rank, or an iterable of sizes, each an int or None.
    """

    __slots__ = ("_dims",)

    def __init__(self, dims: Any) -> None:
        if dims is None:
            self._dims: tuple[int | None, ...] | None = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        elif isinstance(dims, (str, bytes)):
            raise TypeError(f"Cannot make a TensorShape of the string {dims!r}.")
        elif isinstance(dims, Iterable):
            self._dims = tuple([_dimension(d) for d in dims])
        else:
            self._dims = (_dimension(dims),)

    @classmethod
    def _of(cls, dims: tuple[int | None, ...] | None) -> TensorShape:
        made = object.__new__(cls)
        made._dims = dims
        return made

    @property
    def rank(self) -> int | None:
        return None if self._dims is None else len(self._dims)

    ndims = rank

    @property
    def dims(self) -> list[int | None] | None:
        return None if self._dims is None else list(self._dims)

    def as_list(self) -> list[Any]:
        """Sizes, None where unknown. Raises ValueError for an unknown rank."""
        if self._dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self._dims)

    def is_fully_defined(self) -> bool:
        return self._dims is not None and None not in self._dims

    def num_elements(self) -> int | None:
        if not self.is_fully_defined():
            return None
        count = 1
        for d in self._dims or ():
            count *= d  # type: ignore[operator]
        return count

    def is_compatible_with(self, other: Any) -> bool:
        other = TensorShape(other)
        if self._dims is None or other._dims is None:
            return True
        return len(self._dims) == len(other._dims) and all(
            a is None or b is None or a == b for a, b in zip(self._dims, other._dims)
        )

    def merge_with(self, other: Any) -> TensorShape:
        """What both know. Raises ValueError where they contradict each other."""
        other = TensorShape(other)
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are not compatible")
        if self._dims is None:
            return other
        if other._dims is None:
            return self
        return TensorShape._of(
            tuple(b if a is None else a for a, b in zip(self._dims, other._dims))
        )

    def concatenate(self, other: Any) -> TensorShape:
        other = TensorShape(other)
        if self._dims is None or other._dims is None:
            return TensorShape._of(None)
        return TensorShape._of(self._dims + other._dims)

    def with_rank(self, rank: int) -> TensorShape:
        try:
            return self.merge_with([None] * rank)
        except ValueError:
            raise ValueError(f"Shape {self} must have rank {rank}") from None

    def with_rank_at_least(self, rank: int) -> TensorShape:
        if self.rank is not None and self.rank < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        if self.rank is not None and self.rank > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def assert_has_rank(self, rank: int) -> None:
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def assert_same_rank(self, other: Any) -> None:
        other = TensorShape(other)
        if self.rank is not None and other.rank is not None and self.rank != other.rank:
            raise ValueError(f"Shapes {self} and {other} must have the same rank")

    def assert_is_compatible_with(self, other: Any) -> None:
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are incompatible")

    def assert_is_fully_defined(self) -> None:
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def is_subtype_of(self, other: Any) -> bool:
        """Whether every shape that this one may be is one that `other` may be."""
        if not isinstance(other, TensorShape) or other._dims is None:
            return isinstance(other, TensorShape)
        return (
            self._dims is not None
            and len(self._dims) == len(other._dims)
            and all(b is None or a == b for a, b in zip(self._dims, other._dims))
        )

    def most_specific_common_supertype(self, others: Any) -> TensorShape | None:
        """What this shape and all `others` have in common; None where one is no shape."""
        found = self
        for other in others:
            if not isinstance(other, TensorShape):
                return None
            found = found.most_specific_compatible_shape(other)
        return found

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        other = TensorShape(other)
        if self._dims is None or other._dims is None or len(self._dims) != len(other._dims):
            return TensorShape._of(None)
        return TensorShape._of(
            tuple(a if a == b else None for a, b in zip(self._dims, other._dims))
        )

    def __iter__(self) -> Iterator[Any]:
        if self._dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(self._dims)

    def __len__(self) -> int:
        if self._dims is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self._dims)

    def __bool__(self) -> bool:
        return self._dims is not None

    def __getitem__(self, key: Any) -> Any:
        if self._dims is None:
            return TensorShape._of(None) if isinstance(key, slice) else None
        got = self._dims[key]
        return TensorShape._of(got) if isinstance(key, slice) else got

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(other).concatenate(self)

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == TensorShape(other)._dims
        except (TypeError, ValueError):
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._dims)

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        if len(self._dims) == 1:
            return f"({self._dims[0]},)"
        return "(" + ", ".join(str(d) for d in self._dims) + ")"

    def __repr__(self) -> str:
        if self._dims is None:
            return "TensorShape(None)"
        return f"TensorShape([{', '.join(str(d) for d in self._dims)}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._dims,)


def as_shape(value: Any) -> TensorShape:
    return value if isinstance(value, TensorShape) else TensorShape(value)


UNKNOWN = TensorShape(None)


def broadcast_shapes(*shapes: TensorShape) -> TensorShape:
    """The static shape of a broadcast. Raises ValueError where known sizes contradict."""
    if any(s._dims is None for s in shapes):
        return UNKNOWN
    rank = max(len(s._dims or ()) for s in shapes)
    out: list[int | None] = [1] * rank
    for s in shapes:
        dims = s._dims or ()
        for i, d in enumerate(dims, rank - len(dims)):
            if out[i] == 1:
                out[i] = d
            elif d is None:
                pass  # a known size above one wins; the run checks the rest
            elif out[i] is None:
                out[i] = d if d != 1 else None
            elif d not in (1, out[i]):
                raise ValueError(
                    "Incompatible shapes for broadcasting: "
                    + " and ".join(str(shape) for shape in shapes)
                )
    return TensorShape._of(tuple(out))

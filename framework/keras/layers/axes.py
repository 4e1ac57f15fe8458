"""Axes of layers: how they are given, checked and written down."""

from __future__ import annotations

from typing import Any

from shardtape.shapes import TensorShape


def given_axes(axis: Any) -> Any:
    """A list of a layer's axes, or the int. Raises TypeError for something else."""
    if isinstance(axis, (list, tuple)):
        return list(axis)
    if isinstance(axis, int):
        return axis
    raise TypeError(
        f"Expected an int or a list/tuple of ints for the argument 'axis', but received: {axis!r}"
    )


def known_axes(axis: Any, shape: TensorShape) -> list[int]:
    """Axes counted from the front, as a list. Raises ValueError for one that is not there."""
    rank = shape.rank
    if rank is None:
        raise ValueError("Input has undefined rank.")
    axes = [axis] if isinstance(axis, int) else list(axis)
    found = [a + rank if a < 0 else a for a in axes]
    for a in found:
        if not 0 <= a < rank:
            raise ValueError(
                "Invalid value for `axis` argument. Expected 0 <= axis < inputs.rank (with "
                f"inputs.rank={rank}). Received: axis={tuple(axes)}"
            )
    if len(set(found)) != len(found):
        raise ValueError(f"Duplicate axis: {tuple(axes)}")
    return found


def known_sizes(axes: list[int], shape: TensorShape) -> list[int]:
    """The sizes of axes. Raises ValueError where one is unknown."""
    sizes = [shape[a] for a in axes]
    if None in sizes:
        raise ValueError(
            f"Input has undefined `axis` dimension. Received input with shape {tuple(shape)} and "
            f"axis={tuple(axes)}"
        )
    return sizes

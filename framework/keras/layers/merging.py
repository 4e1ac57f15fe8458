"""Layers that make one tensor of several: Add, Multiply, Concatenate, Dot and their like."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras.layers.base import Layer
from shardtape.ops import math
from shardtape.ops.array import concat, expand_dims, ones_like
from shardtape.ops.contraction import einsum
from shardtape.ops.reduce import reduce_all
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class Merge(Layer):
    """Base: element by element on a list of tensors whose shapes broadcast.

    Tensors of lower rank get axes of size 1 after the batch.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._shapes(input_shape)
        self.built = True

    def _shapes(self, input_shape: Any) -> list[TensorShape]:
        several = isinstance(input_shape, (list, tuple)) and input_shape and isinstance(
            input_shape[0], (list, tuple, TensorShape)
        )  # fmt: skip
        if not several:
            raise ValueError(
                "A merge layer should be called on a list of inputs. Received: "
                f"input_shape={input_shape} (not a list of shapes)"
            )
        shapes = [TensorShape(s) for s in input_shape]
        if len({s[0] for s in shapes if s.rank} - {None}) > 1:
            raise ValueError(
                "Cannot merge tensors with different batch sizes. Got tensors with shapes "
                f"{[tuple(s) for s in shapes]}"
            )
        self._check_shapes(shapes)
        return shapes

    def _check_shapes(self, shapes: list[TensorShape]) -> None:
        self._common(shapes)

    def _common(self, shapes: list[TensorShape]) -> TensorShape:
        sizes: list[int | None] = []
        for s in shapes:
            sizes = _broadcast(sizes, s.as_list()[1:])
        batch = {s[0] for s in shapes} - {None}
        return TensorShape([batch.pop() if batch else None, *sizes])

    def call(self, inputs: Any) -> Tensor:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(
                "A merge layer should be called on a list of inputs. Received: "
                f"inputs={inputs} (not a list of tensors)"
            )
        return self._merge(self._of_one_rank(list(inputs)))

    def _of_one_rank(self, inputs: list[Any]) -> list[Any]:
        highest = max(t.shape.rank for t in inputs)
        out = []
        for t in inputs:
            while t.shape.rank < highest:
                t = expand_dims(t, 1)
            out.append(t)
        return out

    def _merge(self, inputs: list[Any]) -> Tensor:
        out = inputs[0]
        for t in inputs[1:]:
            out = self._pair(out, t)
        return out

    def _pair(self, a: Any, b: Any) -> Tensor:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return self._common(self._shapes(input_shape))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or all(m is None for m in mask):
            return None
        masks = [expand_dims(m, 0) for m in mask if m is not None]
        return reduce_all(concat(masks, 0), axis=0)


def _broadcast(a: list[int | None], b: list[int | None]) -> list[int | None]:
    if len(a) < len(b):
        a, b = b, a
    out = a[: len(a) - len(b)]
    for i, j in zip(a[len(a) - len(b) :], b):
        if i is None or j is None:
            out.append(None)
        elif 1 not in (i, j) and i != j:
            raise ValueError(
                "Inputs have incompatible shapes. Received shapes "
                f"{tuple(a)} and {tuple(b)}"
            )  # fmt: skip
        else:
            out.append(j if i == 1 else i)
    return out


class Add(Merge):
    """The sum of the inputs."""

    def _pair(self, a: Any, b: Any) -> Tensor:
        return a + b


class Subtract(Merge):
    """The first of two inputs less the second."""

    def _check_shapes(self, shapes: list[TensorShape]) -> None:
        if len(shapes) != 2:
            raise ValueError(
                "A `Subtract` layer should be called on exactly 2 inputs. Received: "
                f"input_shape={[tuple(s) for s in shapes]}"
            )
        super()._check_shapes(shapes)

    def _pair(self, a: Any, b: Any) -> Tensor:
        return a - b


class Multiply(Merge):
    """The product of the inputs."""

    def _pair(self, a: Any, b: Any) -> Tensor:
        return a * b


class Average(Merge):
    """The mean of the inputs."""

    def _merge(self, inputs: list[Any]) -> Tensor:
        return super()._merge(inputs) / len(inputs)

    def _pair(self, a: Any, b: Any) -> Tensor:
        return a + b


class Maximum(Merge):
    """The largest of the inputs."""

    def _pair(self, a: Any, b: Any) -> Tensor:
        return math.maximum(a, b)


class Minimum(Merge):
    """The smallest of the inputs."""

    def _pair(self, a: Any, b: Any) -> Tensor:
        return math.minimum(a, b)


class Concatenate(Merge):
    """The inputs one after the other along `axis`."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def _check_shapes(self, shapes: list[TensorShape]) -> None:
        ranks = {s.rank for s in shapes}
        if None in ranks:
            return
        others = {
            tuple(d for i, d in enumerate(s) if i != self.axis % len(s) and i > 0) for s in shapes
        }
        first = next(iter(others))
        fits = len(ranks) == 1 and all(
            a is None or b is None or a == b for other in others for a, b in zip(first, other)
        )
        if not fits:
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                f"concatenation axis. Received: input_shape={[tuple(s) for s in shapes]}"
            )

    def call(self, inputs: Any) -> Tensor:
        return concat(list(inputs), self.axis)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        shapes = self._shapes(input_shape)
        dims = shapes[0].as_list()
        sizes = [s[self.axis] for s in shapes]
        dims[self.axis] = None if None in sizes else sum(sizes)
        return TensorShape(dims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or all(m is None for m in mask):
            return None
        masks = []
        for t, m in zip(inputs, mask):
            if m is None:
                m = ones_like(t, dtype=dt.bool)
            elif m.shape.rank < t.shape.rank:
                m = expand_dims(m, -1)
            masks.append(m)
        return reduce_all(concat(masks, self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """The products of two inputs summed along an axis of each, example by example.

    Args:
      axes: the axis, or one of each input.
      normalize: bring both to 2-norm 1 along it first, which gives their cosine.
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = isinstance(axes, (list, tuple))
        if not isinstance(axes, int) and not (
            several and len(axes) == 2 and all(isinstance(a, int) for a in axes)
        ):
            raise TypeError(
                f"`axes` of a Dot layer should be an int or two of them. Received: axes={axes}"
            )
        self.axes, self.normalize = axes, normalize

    def _axes_of(self, ranks: list[int]) -> list[int]:
        given = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        return [a % rank for a, rank in zip(given, ranks)]

    def _check_shapes(self, shapes: list[TensorShape]) -> None:
        if len(shapes) != 2:
            raise ValueError(
                "A `Dot` layer should be called on a list of 2 inputs. Received: "
                f"input_shape={[tuple(s) for s in shapes]}"
            )
        a, b = self._axes_of([len(s) for s in shapes])
        if shapes[0][a] != shapes[1][b]:
            raise ValueError(
                f"Incompatible input shapes: axis values {shapes[0][a]} (at axis {a}) != "
                f"{shapes[1][b]} (at axis {b}). Full input shapes: {tuple(shapes[0])}, "
                f"{tuple(shapes[1])}"
            )

    def call(self, inputs: Any) -> Tensor:
        x, y = inputs
        a, b = self._axes_of([x.shape.rank, y.shape.rank])
        if self.normalize:
            x, y = nn.l2_normalize(x, a), nn.l2_normalize(y, b)
        return products(x, y, a, b)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        shapes = self._shapes(input_shape)
        a, b = self._axes_of([len(s) for s in shapes])
        dims = [d for i, d in enumerate(shapes[0]) if i != a]
        dims += [d for i, d in enumerate(shapes[1]) if i not in (0, b)]
        return TensorShape(dims if len(dims) > 1 else [*dims, 1])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def products(x: Tensor, y: Tensor, a: int, b: int) -> Tensor:
    """Products of two batches summed along axis a of x and b of y, example by example."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in x.shape]
    right = [next(letters) for _ in y.shape]
    right[0], right[b] = left[0], left[a]
    out = [c for c in left if c != left[a]] + [c for c in right[1:] if c != left[a]]
    made = einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)
    return expand_dims(made, -1) if len(out) == 1 else made


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add` as a function."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract` as a function."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply` as a function."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average` as a function."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum` as a function."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum` as a function."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` as a function."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any, normalize: bool = False, **kwargs: Any) -> Any:
    """`Dot` as a function."""
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)

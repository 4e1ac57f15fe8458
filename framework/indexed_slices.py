"""Sparse gradients: some rows of a larger tensor."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import shapes


class IndexedSlices:
    """Rows `values[i]` at row `indices[i]` of a tensor of shape `dense_shape`.

    An index may occur more than once; the rows are then meant to be summed.

    Args:
      values: Tensor of shape (n, ...).
      indices: integer Tensor of shape (n,).
      dense_shape: integer Tensor, the shape of the whole; optional.
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values = values
        self.indices = indices
        self.dense_shape = dense_shape

    @property
    def dtype(self) -> dt.DType:
        return self.values.dtype

    @property
    def shape(self) -> shapes.TensorShape:
        from shardtape.graph.static import constant_value

        known = None if self.dense_shape is None else constant_value(self.dense_shape)
        if known is None:
            return shapes.TensorShape([None]).concatenate(self.values.shape[1:])
        return shapes.TensorShape([int(d) for d in known])

    def get_shape(self) -> shapes.TensorShape:
        return self.shape

    @property
    def device(self) -> str:
        return self.values.device

    @property
    def name(self) -> str:
        return self.values.name

    @property
    def op(self) -> Any:
        return self.values.op

    @property
    def graph(self) -> Any:
        return self.values.graph

    def consumers(self) -> list[Any]:
        """The operations that take the values, in a graph; none in eager mode."""
        from shardtape.tensor import EagerTensor

        return [] if type(self.values) is EagerTensor else self.values.consumers()

    @property
    def _type_spec(self) -> Any:
        from shardtape.indexed_slices_spec import IndexedSlicesSpec

        return IndexedSlicesSpec.from_value(self)

    def shape_anywhere(self) -> Any:
        """`dense_shape` as a tensor for use outside of the graph it was made in, where known."""
        from shardtape.graph.static import constant_value
        from shardtape.ops.convert import convert_to_tensor

        known = None if self.dense_shape is None else constant_value(self.dense_shape)
        return None if known is None else convert_to_tensor(known)

    def _as_tensor(self, dtype: Any = None) -> Any:
        """The dense tensor. Raises ValueError where `dense_shape` is unknown."""
        from shardtape.ops.gather import unsorted_segment_sum

        if self.dense_shape is None:
            raise ValueError(
                f"Tensor conversion requested for IndexedSlices without dense_shape: {self!r}"
            )
        return unsorted_segment_sum(self.values, self.indices, self.dense_shape[0])

    def numpy(self) -> Any:
        return self._as_tensor().numpy()

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self.values, self.indices, self.dense_shape)

    def __str__(self) -> str:
        shape = "" if self.dense_shape is None else f", dense_shape={self.dense_shape!s}"
        return f"IndexedSlices(indices={self.indices!s}, values={self.values!s}{shape})"


def concatenate(a: IndexedSlices, b: IndexedSlices) -> IndexedSlices:
    """The sum of two sparse gradients of one tensor, kept sparse."""
    from shardtape.ops.cast import cast
    from shardtape.ops.joining import concat

    indices = [a.indices, b.indices]
    if a.indices.dtype is not b.indices.dtype:
        indices = [cast(i, dt.int64) for i in indices]
    return IndexedSlices(
        concat([a.values, b.values], 0), concat(indices, 0),
        b.dense_shape if a.dense_shape is None else a.dense_shape,
    )  # fmt: skip

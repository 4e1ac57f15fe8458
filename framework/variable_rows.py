"""Parts of Variables that index vectors name: read, written, updated."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from shardtape import backend
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops import state as ops
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import shown
from shardtape.ops.scatter import gather_nd, index_columns
from shardtape.tensor import Tensor


def _with_batch(indices: Any) -> Tensor:
    """Row numbers [batch..., n] as index vectors [batch..., n, 1 + rank of batch]."""
    from shardtape.ops.array import broadcast_to, range, reshape, shape, stack

    indices = convert_to_tensor(indices)
    rank = indices.shape.rank
    if not rank:
        raise ValueError(
            f"the indices of batch_scatter_update are [batch..., n], got {indices.shape}"
        )
    sizes = shape(indices, indices.dtype)
    columns = []
    for axis in builtins.range(rank - 1):
        along = reshape(range(sizes[axis]), [1] * axis + [-1] + [1] * (rank - axis - 1))
        columns.append(broadcast_to(along, sizes))
    return stack([*columns, indices], axis=-1)


class ScatteredParts:
    """What `tf.Variable` does at indices.

    The `scatter_*` methods take rows as `tf.IndexedSlices`; the `scatter_nd_*` methods take index
    vectors `indices` [..., depth] and `updates` [..., rest of the shape]. All return the Variable
    (in a graph its value after the update) and raise InvalidArgumentError for an index outside.
    """

    __slots__ = ()

    def _scatter_op(self: Any, op: Any, slices: Any, name: Any) -> Any:
        indices = convert_to_tensor(slices.indices)
        updates = convert_to_tensor(slices.values, self._dtype)
        return self._written(op, (indices, updates), name, True)

    def scatter_update(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Sets rows; `sparse_delta` is an IndexedSlices."""
        return self._scatter_op(ops.scatter_update, sparse_delta, name)

    def scatter_add(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Adds to rows."""
        return self._scatter_op(ops.scatter_add, sparse_delta, name)

    def scatter_sub(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Subtracts from rows."""
        return self._scatter_op(ops.scatter_sub, sparse_delta, name)

    def scatter_mul(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Multiplies rows."""
        return self._scatter_op(ops.scatter_mul, sparse_delta, name)

    def scatter_div(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Divides rows."""
        return self._scatter_op(ops.scatter_div, sparse_delta, name)

    def scatter_max(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Keeps the larger of rows and updates."""
        return self._scatter_op(ops.scatter_max, sparse_delta, name)

    def scatter_min(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Any:
        """Keeps the smaller of rows and updates."""
        return self._scatter_op(ops.scatter_min, sparse_delta, name)

    def batch_scatter_update(
        self: Any, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Sets rows of each member of a batch: `v[b, indices[b, i]] = values[b, i]`.

        Args:
          sparse_delta: IndexedSlices; indices [batch..., n], values [batch..., n, row...], where
            the batch dimensions are the Variable's first ones.
        """
        if not isinstance(sparse_delta, IndexedSlices):
            raise TypeError(
                "Argument `sparse_delta` must be a `tf.IndexedSlices`. Received arg: "
                f"{sparse_delta!r}"
            )
        return self.scatter_nd_update(_with_batch(sparse_delta.indices), sparse_delta.values, name)

    def gather_nd(self: Any, indices: Any, name: str | None = None) -> Tensor:
        """Elements or slices at the index vectors [..., depth]."""
        return gather_nd(self, indices, name=name)

    def _scatter_nd_op(self: Any, op: Any, indices: Any, updates: Any, name: Any) -> Any:
        inputs = (convert_to_tensor(indices), convert_to_tensor(updates, self._dtype))
        return self._written(op, inputs, name, True)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Sets elements or slices."""
        return self._scatter_nd_op(ops.scatter_nd_update, indices, updates, name)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Adds to elements or slices; what is named twice is added twice."""
        return self._scatter_nd_op(ops.scatter_nd_add, indices, updates, name)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Subtracts from elements or slices."""
        return self._scatter_nd_op(ops.scatter_nd_sub, indices, updates, name)

    def scatter_nd_max(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Keeps the larger of what is there and the updates."""
        return self._scatter_nd_op(ops.scatter_nd_max, indices, updates, name)

    def scatter_nd_min(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Keeps the smaller of what is there and the updates."""
        return self._scatter_nd_op(ops.scatter_nd_min, indices, updates, name)

    # ---- kernels of ops/state.py ----------------------------------------------------------
    def _beside(self: Any, *values: Any) -> tuple[Any, list[Any]]:
        """The module to compute in, and the values where the Variable is: it goes to a device
        with the first value that lies there."""
        if self._bound:
            return np, [backend.to_host(v) for v in values]
        xp, (self._array, *beside) = backend.together(self._array, *values)
        return xp, beside

    def _scatter(self: Any, function: str, indices: Any, updates: Any) -> None:
        xp = np
        if backend.accelerated:
            xp, (indices, updates) = self._beside(indices, updates)
        target = self._storage()
        rows = target.shape[0]
        # to look at indices on a device would cost a wait
        if xp is np and indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < rows:
            raise IndexError(f"indices of variable '{self.name}' reach beyond {rows}")
        wanted = indices.shape + target.shape[1:]
        if updates.shape != wanted and updates.ndim:
            raise ValueError(
                "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], "
                f"got updates.shape {shown(updates.shape)}, indices.shape {shown(indices.shape)}, "
                f"params.shape {shown(target.shape)}"
            )
        self._put(xp, target, function, indices, updates)

    def _scatter_nd(self: Any, function: str, indices: Any, updates: Any) -> None:
        xp = np
        if backend.accelerated:
            xp, (indices, updates) = self._beside(indices, updates)
        target = self._storage()
        columns = index_columns(xp, indices, target.shape, "ResourceScatterNd")
        wanted = indices.shape[:-1] + target.shape[len(columns) :]
        if updates.shape != wanted:
            raise ValueError(f"updates have the shape {updates.shape}, the indices need {wanted}")
        self._put(xp, target, function, columns, updates)

    @staticmethod
    def _put(xp: Any, target: Any, function: str, at: Any, updates: Any) -> None:
        if function == "update":
            target[at] = updates
        else:
            getattr(xp, function).at(target, at, updates)

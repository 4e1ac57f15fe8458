"""`tf.SparseTensor`: a tensor by the places and values of its elements that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.context import building
from shardtape.errors import InvalidArgumentError
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.static import partial_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor
from shardtape.type_spec import TypeSpec


class SparseTensorValue(NamedTuple):
    """A SparseTensor in numpy arrays."""

    indices: Any
    values: Any
    dense_shape: Any


class SparseTensor:
    """Values at places of a tensor that is empty elsewhere.

    Args:
      indices: int64 (n, rank), in row-major order for most operations.
      values: (n,).
      dense_shape: int64 (rank,).

    Raises:
      ValueError: shapes that contradict each other.
    """

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        self._indices = _as_int64(indices, "indices")
        self._values = convert_to_tensor(values)
        self._dense_shape = _as_int64(dense_shape, "dense_shape")
        self._indices.shape.with_rank(2)
        self._values.shape.with_rank(1)
        self._dense_shape.shape.with_rank(1)
        self._told = shapes.UNKNOWN  # by set_shape
        count, rank = self._indices.shape.rank and self._indices.shape, self._dense_shape.shape
        if count:
            shapes.TensorShape([count[0]]).merge_with(self._values.shape)
            shapes.TensorShape([count[1]]).merge_with(rank)

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """A SparseTensor of one, or of a SparseTensorValue."""
        v = sparse_tensor_value
        return cls(v.indices, v.values, v.dense_shape)

    @property
    def indices(self) -> Any:
        """int64 (n, rank)."""
        return self._indices

    @property
    def values(self) -> Any:
        """(n,)."""
        return self._values

    @property
    def dense_shape(self) -> Any:
        """int64 (rank,)."""
        return self._dense_shape

    @property
    def dtype(self) -> dt.DType:
        return self._values.dtype

    @property
    def shape(self) -> shapes.TensorShape:
        """What is known of `dense_shape`."""
        if type(self._dense_shape) is EagerTensor:
            return shapes.TensorShape(self._dense_shape._host().tolist())
        return self._inferred().merge_with(self._told)

    def _inferred(self) -> shapes.TensorShape:
        known = partial_value(self._dense_shape)
        if known is not None:
            return shapes.TensorShape([None if d is None else int(d) for d in known])
        rank = self._dense_shape.shape[0] if self._dense_shape.shape.rank else None
        return shapes.UNKNOWN if rank is None else shapes.TensorShape([None] * rank)

    def get_shape(self) -> shapes.TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Adds what is known of the shape. Raises ValueError for one that cannot be."""
        merged = self.shape.merge_with(shapes.as_shape(shape))
        if type(self._dense_shape) is not EagerTensor:
            self._told = merged

    def consumers(self) -> list[Any]:
        """The operations that take one of its tensors, in a graph; none in eager mode."""
        parts: tuple[Any, ...] = (self._indices, self._values, self._dense_shape)
        return [c for part in parts if type(part) is not EagerTensor for c in part.consumers()]

    def eval(self, feed_dict: Any = None, session: Any = None) -> SparseTensorValue:
        """TensorFlow 1's way to a value. Raises AttributeError: there are no sessions here."""
        raise AttributeError(
            "SparseTensor.eval needs a session and a graph; in eager mode its value is in "
            "`indices`, `values` and `dense_shape` (`.numpy()` of each)"
        )

    @property
    def op(self) -> Any:
        return self._values.op

    @property
    def graph(self) -> Any:
        return self._values.graph

    @property
    def _type_spec(self) -> SparseTensorSpec:
        return SparseTensorSpec(self.shape, self.dtype)

    def with_values(self, new_values: Any) -> SparseTensor:
        """The same places with other values."""
        return SparseTensor(self._indices, new_values, self._dense_shape)

    def _to_numpy(self) -> SparseTensorValue:
        return SparseTensorValue(
            self._indices.numpy(), self._values.numpy(), self._dense_shape.numpy()
        )

    def __repr__(self) -> str:
        return (
            f"SparseTensor(indices={self._indices!s}, values={self._values!s}, "
            f"dense_shape={self._dense_shape!s})"
        )


def _as_int64(value: Any, name: str) -> Any:
    tensor = convert_to_tensor(value, dtype_hint=dt.int64)
    if tensor.dtype is not dt.int64:
        if not isinstance(value, (list, tuple, np.ndarray)):
            raise ValueError(f"`{name}` of a SparseTensor is int64, got {tensor.dtype.name}")
        tensor = convert_to_tensor(np.asarray(value, np.int64))
    return tensor


class SparseTensorSpec(TypeSpec):
    """The spec of a SparseTensor.

    Args:
      shape: of the dense tensor.
      dtype: of the values.
    """

    __slots__ = ("_shape", "_dtype")

    def __init__(self, shape: Any = None, dtype: Any = dt.float32) -> None:
        self._shape, self._dtype = shapes.as_shape(shape), dt.as_dtype(dtype)

    @classmethod
    def from_value(cls, value: Any) -> SparseTensorSpec:
        """The spec of a SparseTensor."""
        return cls(value.shape, value.dtype)

    @property
    def value_type(self) -> type:
        return SparseTensor

    @property
    def shape(self) -> shapes.TensorShape:
        return self._shape

    @property
    def dtype(self) -> dt.DType:
        return self._dtype

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        rank = self._shape.rank
        return (
            TensorSpec([None, rank], dt.int64),
            TensorSpec([None], self._dtype),
            TensorSpec([rank], dt.int64),
        )

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        value = SparseTensor.from_value(value)
        return value.indices, value.values, value.dense_shape

    def _from_components(self, components: Sequence[Any]) -> Any:
        return SparseTensor(*components)

    def _serialize(self) -> tuple[Any, ...]:
        return self._shape, self._dtype

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = getattr(spec_or_value, "_type_spec", spec_or_value)
        return (
            isinstance(other, SparseTensorSpec)
            and other._dtype is self._dtype
            and self._shape.is_compatible_with(other._shape)
        )

    def most_specific_compatible_type(self, other: TypeSpec) -> SparseTensorSpec:
        if not isinstance(other, SparseTensorSpec) or other._dtype is not self._dtype:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        return SparseTensorSpec(
            self._shape.most_specific_compatible_shape(other._shape), self._dtype
        )

    def __repr__(self) -> str:
        return f"SparseTensorSpec({self._shape!r}, {self._dtype!r})"

    # ---- batches of datasets: leaves are SparseTensors of eager tensors --------------------
    def _batch(self, size: int | None) -> SparseTensorSpec:
        return SparseTensorSpec(shapes.TensorShape([size]).concatenate(self._shape), self._dtype)

    def _unbatch(self) -> SparseTensorSpec:
        return SparseTensorSpec(self._shape[1:], self._dtype)

    def _unwrap(self, value: Any) -> Any:
        with building(None):
            return SparseTensor.from_value(value)

    def _row_count(self, leaf: Any) -> int:
        return int(leaf.dense_shape._host()[0])

    def _stack(self, leaves: Sequence[Any]) -> Any:
        """Rows of the same rank; the result is as large as the largest."""
        parts = []
        for i, leaf in enumerate(leaves):
            found = leaf.indices._host()
            parts.append(np.concatenate([np.full((len(found), 1), i), found], 1))
        largest = np.max([leaf.dense_shape._host() for leaf in leaves], 0)
        return _eager(
            np.concatenate(parts),
            np.concatenate([leaf.values._host() for leaf in leaves]),
            [len(leaves), *largest],
        )

    def _slices(self, leaf: Any) -> Iterator[Any]:
        indices, values = leaf.indices._host(), leaf.values._host()
        inner = leaf.dense_shape._host()[1:]
        for i in range(self._row_count(leaf)):
            mine = indices[:, 0] == i
            yield _eager(indices[mine, 1:], values[mine], inner)

    def _cut(self, leaf: Any, start: int, stop: int) -> Any:
        indices, dims = leaf.indices._host(), leaf.dense_shape._host()
        mine = (indices[:, 0] >= start) & (indices[:, 0] < stop)
        moved = indices[mine] - np.eye(1, len(dims), dtype=np.int64) * start
        return _eager(moved, leaf.values._host()[mine], [stop - start, *dims[1:]])

    def _join(self, leaves: Sequence[Any]) -> Any:
        parts, at = [], 0
        for leaf in leaves:
            shift = np.eye(1, leaf.indices._host().shape[1], dtype=np.int64) * at
            parts.append(leaf.indices._host() + shift)
            at += self._row_count(leaf)
        inner = np.max([leaf.dense_shape._host()[1:] for leaf in leaves], 0)
        return _eager(
            np.concatenate(parts),
            np.concatenate([leaf.values._host() for leaf in leaves]),
            [at, *inner],
        )


def _eager(indices: Any, values: Any, dense_shape: Any) -> SparseTensor:
    with building(None):
        return SparseTensor(
            EagerTensor(np.ascontiguousarray(indices, np.int64)),
            EagerTensor(values),
            EagerTensor(np.asarray(dense_shape, np.int64)),
        )


def to_dense(
    sp_input: Any,
    default_value: Any = None,
    validate_indices: bool = True,
    name: str | None = None,
) -> Any:
    """The dense tensor.

    Args:
      default_value: scalar where there is no value; 0 or "" by default.
      validate_indices: check that they are sorted and different.

    Raises:
      InvalidArgumentError: indices that are not.
      TypeError: something that is no SparseTensor.
    """
    from shardtape.ops.array import fill
    from shardtape.ops.scatter import tensor_scatter_nd_update

    sp = checked(sp_input)
    if default_value is None:
        default_value = b"" if sp.dtype is dt.string else sp.dtype.numpy_dtype.type(0)
    background = fill(sp.dense_shape, convert_to_tensor(default_value, sp.dtype))
    indices = _in_order(sp) if validate_indices else sp.indices
    return tensor_scatter_nd_update(background, indices, sp.values)


def _in_order(sp: SparseTensor) -> Any:
    """The indices, once they are known to be sorted and different."""
    from shardtape.debugging.assertions import Assert
    from shardtape.graph.scopes import control_dependencies
    from shardtape.ops.reduce import reduce_all, reduce_sum
    from shardtape.ops.scanning import cumprod
    from shardtape.ops.shaping import identity

    if sp.indices.shape[0] in (0, 1):
        return sp.indices
    if isinstance(sp.indices, EagerTensor) and isinstance(sp.dense_shape, EagerTensor):
        _check_order(sp.indices._host(), sp.dense_shape._host())
        return sp.indices
    strides = cumprod(sp.dense_shape, exclusive=True, reverse=True)
    places = reduce_sum(sp.indices * strides, 1)
    fits = reduce_all(places[1:] > places[:-1])
    text = (
        "indices are out of order or repeated. Many sparse ops require sorted indices. Use "
        "`tf.sparse.reorder` to create a correctly ordered copy."
    )
    with control_dependencies([Assert(fits, [text, sp.indices])]):
        return identity(sp.indices)


def _check_order(indices: Any, dims: Any) -> None:
    """Raises InvalidArgumentError that names the first index that is not where it should be."""
    outside = np.any((indices < 0) | (indices >= dims), 1)
    if outside.any():
        i = int(outside.argmax())
        shown = ",".join(map(str, indices[i]))
        limits = ",".join(map(str, dims))
        raise InvalidArgumentError(
            f"indices[{i}] = [{shown}] is out of bounds: need 0 <= index < [{limits}] "
            "[Op:SparseToDense] name: "
        )
    places = np.ravel_multi_index(indices.T, dims) if len(dims) else np.zeros(len(indices), int)
    wrong = places[1:] <= places[:-1]
    if not wrong.any():
        return
    i = int(wrong.argmax()) + 1
    shown = ",".join(map(str, indices[i]))
    what = "repeated" if places[i] == places[i - 1] else (
        "out of order. Many sparse ops require sorted indices.\n    Use `tf.sparse.reorder` to "
        "create a correctly ordered copy.\n\n"
    )  # fmt: skip
    raise InvalidArgumentError(f"indices[{i}] = [{shown}] is {what} [Op:SparseToDense] name: ")


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements that are not 0 (not empty, for strings)."""
    from shardtape.ops.array import shape, where
    from shardtape.ops.compare import not_equal
    from shardtape.ops.scatter import gather_nd

    tensor = convert_to_tensor(tensor)
    nothing = b"" if tensor.dtype is dt.string else tensor.dtype.numpy_dtype.type(0)
    indices = where(not_equal(tensor, convert_to_tensor(nothing, tensor.dtype)))
    return SparseTensor(indices, gather_nd(tensor, indices), shape(tensor, out_type=dt.int64))


def checked(value: Any) -> SparseTensor:
    """A SparseTensor. Raises TypeError for anything else."""
    if isinstance(value, SparseTensorValue):
        return SparseTensor.from_value(value)
    if not isinstance(value, SparseTensor):
        raise TypeError(f"Input must be a SparseTensor, got {type(value).__name__}: {value!r}")
    return value

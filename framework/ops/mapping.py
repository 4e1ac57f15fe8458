"""Functions applied to every row: `map_fn`, `scan`, `foldl`, `foldr`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest, shapes
from shardtape.context import state
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.loops import while_loop
from shardtape.ops import array
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse_tensor import SparseTensor, SparseTensorSpec
from shardtape.tensor import SymbolicTensor
from shardtape.tensor_array import TensorArray
from shardtape.type_spec import TypeSpec, composite_spec


class _Rows:
    """The rows of nested elements: of tensors, ragged and sparse tensors.

    Raises ValueError for no elements, or scalars.
    """

    def __init__(self, elems: Any) -> None:
        self.structure = elems
        self.leaves = [_leaf(x) for x in nest.flatten(elems)]
        if not self.leaves:
            raise ValueError("elems must be a Tensor or (possibly nested) sequence of Tensors.")
        self.symbolic = state.graph is not None or any(
            isinstance(x, SymbolicTensor) for x in self.leaves
        )
        counts = [_static_count(x) for x in self.leaves]
        self.static = next((c for c in counts if c is not None), None)
        if any(c not in (None, self.static) for c in counts):
            raise ValueError(f"the elements have different numbers of rows: {counts}")
        self.readers = [self._reader(x) for x in self.leaves]

    def _reader(self, x: Any) -> Callable[[Any], Any]:
        if isinstance(x, RaggedTensor):
            return lambda i: x[i]
        if self.symbolic:
            # reading from a list costs what a row costs, in the gradient too
            rows = TensorArray(x.dtype, size=self.count(), element_shape=x.shape[1:]).unstack(x)
            return rows.read
        rows = array.unstack(x)
        return lambda i: rows[i]

    def count(self) -> Any:
        if self.static is not None:
            return self.static
        x = self.leaves[0]
        if isinstance(x, RaggedTensor):
            return x.nrows(dt.int32)
        return array.shape(x)[0]

    def __getitem__(self, i: Any) -> Any:
        return nest.pack_sequence_as(self.structure, [read(i) for read in self.readers])


def _leaf(value: Any) -> Any:
    if isinstance(value, SparseTensor):
        return RaggedTensor.from_sparse(value)
    if isinstance(value, RaggedTensor):
        return value
    tensor = convert_to_tensor(value)
    if tensor.shape.rank == 0:
        raise ValueError("Elements in elems must be 1+ dimensional Tensors, not scalars")
    return tensor


def _static_count(x: Any) -> int | None:
    rank = x.shape.rank
    return None if rank is None else x.shape[0]


# ---- map_fn -----------------------------------------------------------------------------------
def map_fn(
    fn: Callable[[Any], Any], elems: Any, dtype: Any = None, parallel_iterations: Any = None,
    back_prop: bool = True, swap_memory: bool = False, infer_shape: bool = True,
    name: str | None = None, fn_output_signature: Any = None,
) -> Any:  # fmt: skip
    """The results of `fn` for each row of `elems`, stacked.

    Args:
      elems: tensors, ragged or sparse tensors, nested; their first axes have one size.
      fn_output_signature: dtypes or TypeSpecs of a result, where they are not those of `elems`;
        with a RaggedTensorSpec or SparseTensorSpec the results may differ in length.

    Raises:
      TypeError: `fn` cannot be called.
      ValueError: results of another structure or dtype than the signature's.
    """
    if not callable(fn):
        raise TypeError(f"The provided function {fn!r} is not callable.")
    signature = dtype if fn_output_signature is None else fn_output_signature
    if any(_coder(x) is not None for x in [*nest.flatten(elems), *nest.flatten(signature)]):
        return _map_encoded(fn, elems, signature)
    rows = _Rows(elems)
    if signature is None:
        signature = nest.pack_sequence_as(elems, [_spec_of_row(x) for x in rows.leaves])
    specs = [s if isinstance(s, TypeSpec) else dt.as_dtype(s) for s in nest.flatten(signature)]
    columns = [_Column(s, rows.count()) for s in specs]

    def one(i: Any) -> list[Any]:
        result = fn(rows[i])
        if nest.is_nested(signature):
            nest.assert_same_structure(signature, result, check_types=False)
        return nest.flatten(result) if nest.is_nested(signature) else [result]

    if not rows.symbolic:
        for i in range(int(rows.count())):
            for column, value in zip(columns, one(i)):
                column.write(i, value)
    else:
        arrays = [c.arrays for c in columns]

        def body(i: Any, arrays: Any) -> Any:
            new = []
            for column, mine, value in zip(columns, arrays, one(i)):
                column.arrays = mine
                column.write(i, value)
                new.append(column.arrays)
            return i + 1, new

        count = convert_to_tensor(rows.count(), dt.int32)
        _, arrays = while_loop(
            lambda i, _: i < count, body, (convert_to_tensor(0, dt.int32), arrays)
        )
        for column, mine in zip(columns, arrays):
            column.arrays = mine
    made = [c.result(rows.static) for c in columns]
    return nest.pack_sequence_as(signature, made) if nest.is_nested(signature) else made[0]


def _coder(value: Any) -> Any:
    """How a value, or the values of a spec, go over rows as tensors; None: they are tensors."""
    spec = value if isinstance(value, TypeSpec) else composite_spec(value)
    if isinstance(spec, SparseTensorSpec):
        from shardtape.sparse.row_encoding import SparseRows

        return SparseRows(spec)
    return spec if hasattr(spec, "_encoded_specs") else None


def _map_encoded(fn: Callable[[Any], Any], elems: Any, signature: Any) -> Any:
    """`map_fn` over what sparse tensors and extension types are encoded as."""
    leaves = nest.flatten(elems)
    coders = [_coder(x) for x in leaves]
    given = [x if c is None else c._encoded(x, 1) for x, c in zip(leaves, coders)]
    ones = [None if c is None else c._unbatch() for c in coders]
    if signature is None:
        own = [getattr(c, "spec", c) for c in ones]
        signature = nest.pack_sequence_as(
            elems, [_spec_of_row(_leaf(x)) if s is None else s for x, s in zip(leaves, own)]
        )
    wanted: list[Any] = nest.flatten(signature)
    results = [_coder(s) for s in wanted]

    def encoded(row: Any) -> list[Any]:
        values = [x if c is None else c._decoded(x) for x, c in zip(row, ones)]
        result = fn(nest.pack_sequence_as(elems, values))
        if nest.is_nested(signature):
            nest.assert_same_structure(signature, result, check_types=False)
        parts = nest.flatten(result) if nest.is_nested(signature) else [result]
        return [x if c is None else c._encoded(x, 0) for x, c in zip(parts, results)]

    outputs = [s if c is None else c._encoded_specs() for s, c in zip(wanted, results)]
    made = map_fn(encoded, given, fn_output_signature=outputs)
    whole = [x if c is None else c._batch(None)._decoded(x) for x, c in zip(made, results)]
    return nest.pack_sequence_as(signature, whole) if nest.is_nested(signature) else whole[0]


def _spec_of_row(x: Any) -> Any:
    if isinstance(x, RaggedTensor):
        return RaggedTensorSpec(x.shape[1:], x.dtype, x.ragged_rank - 1, x.row_splits.dtype)
    return x.dtype


class _Column:
    """One result of all rows: TensorArrays that are written row by row."""

    def __init__(self, spec: Any, count: Any) -> None:
        if isinstance(spec, TypeSpec) and not isinstance(spec, (TensorSpec, RaggedTensorSpec)):
            raise ValueError(
                f"fn_output_signature has {spec!r}, whose values cannot be stacked as rows: use "
                "tf.TensorSpec or tf.RaggedTensorSpec, and convert what fn returns"
            )
        self.ragged = spec if isinstance(spec, RaggedTensorSpec) else None
        self.dtype = spec.dtype if isinstance(spec, (TensorSpec, RaggedTensorSpec)) else spec
        options = {"size": count, "infer_shape": self.ragged is None}
        self.arrays = [TensorArray(self.dtype, **options)]
        if self.ragged is not None:
            self.arrays += [
                TensorArray(dt.int64, **options) for _ in range(self.ragged.ragged_rank + 1)
            ]

    def write(self, i: Any, value: Any) -> None:
        if self.ragged is None:
            self.arrays = [self.arrays[0].write(i, _typed(value, self.dtype))]
            return
        if not isinstance(value, RaggedTensor):
            value = convert_to_tensor(value, self.dtype)
            if self.ragged.ragged_rank:
                value = RaggedTensor.from_tensor(value, ragged_rank=self.ragged.ragged_rank)
        flat = value.flat_values if isinstance(value, RaggedTensor) else value
        lengths = list(value.nested_row_lengths()) if isinstance(value, RaggedTensor) else []
        rows = value.nrows() if isinstance(value, RaggedTensor) else (
            array.shape(value, out_type=dt.int64)[0])  # fmt: skip
        parts = [flat, array.reshape(rows, [1]), *lengths]
        self.arrays = [
            a.write(i, p if k == 0 else array.reshape(_int64(p), [-1]))
            for k, (a, p) in enumerate(zip(self.arrays, parts))
        ]

    def result(self, static: int | None) -> Any:
        if self.ragged is None:
            made = self.arrays[0].stack()
            if type(made) is SymbolicTensor:
                made.set_shape(shapes.TensorShape([static]).concatenate(made.shape[1:]))
            return made
        flat, *lengths = [a.concat() for a in self.arrays]
        kind = self.ragged.row_splits_dtype
        made = RaggedTensor.from_nested_row_lengths(flat, lengths, validate=False)
        return made if kind is dt.int64 else made.with_row_splits_dtype(kind)


def _int64(x: Any) -> Any:
    from shardtape.ops.cast import cast

    return cast(x, dt.int64)


def _typed(value: Any, dtype: dt.DType) -> Any:
    """A result as a tensor. Raises ValueError for another dtype."""
    if composite_spec(value) is not None:
        raise ValueError(
            f"fn returned {value!r}: say so by fn_output_signature=tf.RaggedTensorSpec(...)"
        )
    tensor = convert_to_tensor(value, None if hasattr(value, "dtype") else dtype)
    if tensor.dtype is not dtype:
        raise ValueError(f"fn returned {tensor.dtype.name}, fn_output_signature says {dtype.name}")
    return tensor


# ---- folds ------------------------------------------------------------------------------------
def scan(
    fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None,
    parallel_iterations: int = 10, back_prop: bool = True, swap_memory: bool = False,
    infer_shape: bool = True, reverse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """All values of `value = fn(value, row)` for the rows of `elems`, stacked.

    Args:
      initializer: the first value; without it that is the first row, which is a result, too.
      reverse: go from the last row to the first.

    Raises ValueError where there is no initializer and no row.
    """
    return _folded(fn, elems, initializer, reverse, keep=True)


def foldl(
    fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None,
    parallel_iterations: int = 10, back_prop: bool = True, swap_memory: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The last value of `value = fn(value, row)` from the first row on; see `scan`."""
    return _folded(fn, elems, initializer, reverse=False, keep=False)


def foldr(
    fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None,
    parallel_iterations: int = 10, back_prop: bool = True, swap_memory: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The last value of `value = fn(value, row)` from the last row on; see `scan`."""
    return _folded(fn, elems, initializer, reverse=True, keep=False)


def _folded(fn: Any, elems: Any, initializer: Any, reverse: bool, keep: bool) -> Any:
    if not callable(fn):
        raise TypeError(f"{fn.__class__.__name__} is not callable.")
    rows = _Rows(elems)
    count = rows.count()
    first = 0 if initializer is not None else 1
    if rows.static is not None and rows.static < first:
        raise ValueError("without an initializer there has to be at least one row")
    if initializer is None:
        value = rows[count - 1 if reverse else 0]
    else:
        value = nest.map_structure(convert_to_tensor, initializer)

    def place(step: Any) -> Any:
        return count - 1 - step if reverse else step

    if not rows.symbolic:
        kept: dict[int, Any] = {}
        for step in range(int(count)):
            if step >= first:
                value = nest.map_structure(convert_to_tensor, fn(value, rows[place(step)]))
            kept[int(place(step))] = value
        if not keep:
            return value
        if not kept:
            return nest.map_structure(lambda v: array.zeros([0, *v.shape], v.dtype), value)
        flat = [nest.flatten(kept[i]) for i in range(int(count))]
        return nest.pack_sequence_as(value, [array.stack(list(c)) for c in zip(*flat)])
    return _folded_in_graph(fn, rows, value, first, place, keep)


def _folded_in_graph(fn: Any, rows: _Rows, value: Any, first: int, place: Any, keep: bool) -> Any:
    count = convert_to_tensor(rows.count(), dt.int32)
    arrays = [
        TensorArray(v.dtype, size=count, element_shape=v.shape) for v in nest.flatten(value)
    ] if keep else []  # fmt: skip
    if keep and first:
        arrays = [a.write(place(0), v) for a, v in zip(arrays, nest.flatten(value))]

    def body(step: Any, value: Any, arrays: Any) -> Any:
        new = fn(value, rows[place(step)])
        nest.assert_same_structure(value, new, check_types=False)
        new = nest.pack_sequence_as(value, [convert_to_tensor(v) for v in nest.flatten(new)])
        written = [a.write(place(step), v) for a, v in zip(arrays, nest.flatten(new))]
        return step + 1, new, written

    start = convert_to_tensor(first, dt.int32)
    _, value, arrays = while_loop(lambda step, *_: step < count, body, (start, value, arrays))
    if not keep:
        return value
    made = [a.stack() for a in arrays]
    for m in made:
        m.set_shape(shapes.TensorShape([rows.static]).concatenate(m.shape[1:]))
    return nest.pack_sequence_as(value, made)

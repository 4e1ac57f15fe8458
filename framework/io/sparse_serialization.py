"""SparseTensors as rows of three strings: places, values, shape, each a serialised tensor."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.io.decoding import parse_tensor, serialize_tensor_op
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.mapping import map_fn
from shardtape.ops.reduce import reduce_max
from shardtape.sparse.places import slice as sparse_slice
from shardtape.sparse_tensor import SparseTensor, checked


def serialize_sparse(sp_input: Any, out_type: Any = dt.string, name: str | None = None) -> Any:
    """Three strings: serialised places, values and dense shape.

    Raises ValueError for another `out_type` than string.
    """
    if dt.as_dtype(out_type) is not dt.string:
        raise ValueError("serialize_sparse gives strings only")
    sp = checked(sp_input)
    return array.stack(
        [serialize_tensor_op(t, packed=True) for t in (sp.indices, sp.values, sp.dense_shape)]
    )


def serialize_many_sparse(sp_input: Any, out_type: Any = dt.string, name: str | None = None) -> Any:
    """The rows of a SparseTensor serialised: (rows, 3)."""
    sp = checked(sp_input)
    zeros = array.zeros_like(sp.dense_shape[1:])
    size = array.concat([[1], sp.dense_shape[1:]], 0)

    def one(i: Any) -> Any:
        row = sparse_slice(sp, array.concat([array.reshape(i, [1]), zeros], 0), size)
        return serialize_sparse(
            SparseTensor(row.indices[:, 1:], row.values, sp.dense_shape[1:]), out_type
        )

    return map_fn(one, array.range(sp.dense_shape[0]), fn_output_signature=dt.string)


def deserialize_many_sparse(
    serialized_sparse: Any, dtype: Any, rank: int | None = None, name: str | None = None
) -> SparseTensor:
    """The SparseTensor whose rows were serialised; as large as the largest of them.

    Args:
      serialized_sparse: (rows, 3) strings; their number has to be known.
      dtype: of the values.
    """
    rows = array.unstack(convert_to_tensor(serialized_sparse))
    indices, values, shapes = [], [], []
    for i, row in enumerate(rows):
        places = parse_tensor(row[0], dt.int64)
        column = array.zeros_like(places[:, :1]) + i
        indices.append(array.concat([column, places], 1))
        values.append(parse_tensor(row[1], dtype))
        shapes.append(parse_tensor(row[2], dt.int64))
    largest = reduce_max(array.stack(shapes), 0)
    count = cast(convert_to_tensor([len(rows)]), dt.int64)
    return SparseTensor(
        array.concat(indices, 0), array.concat(values, 0), array.concat([count, largest], 0)
    )

"""Rows of embedding tables."""

from __future__ import annotations

from typing import Any

from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.gather import gather
from shardtape.ops.joining import concat
from shardtape.ops.shaping import reshape, shape


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    """Rows of `params` at `ids` (any shape of integers): shape(ids) + params.shape[1:].

    Args:
      params: a table, or a list of tables over which row `i` is spread: row `i // n` of table
        `i % n` ("mod" partitioning, the rule of TF1's default).
      max_norm: rows with a larger 2-norm are scaled down to it.

    A Variable is not read as a whole, and its gradient is IndexedSlices.

    Raises:
      ValueError: an empty list of tables.
      InvalidArgumentError: an id that is no row.
    """
    ids = convert_to_tensor(ids)
    tables = list(params) if isinstance(params, (list, tuple)) else [params]
    if not tables:
        raise ValueError("params must be specified")
    if len(tables) == 1:
        rows = gather(tables[0], ids, name=name)
    else:
        rows = _from_tables(tables, ids)
    return rows if max_norm is None else _clipped(rows, ids, max_norm)


def _from_tables(tables: list[Any], ids: Any) -> Any:
    from shardtape.ops.filling import range as range_
    from shardtape.ops.partition import dynamic_partition, dynamic_stitch
    from shardtape.ops.shaping import size

    count = len(tables)
    flat = reshape(ids, [-1])
    table_of = cast(flat % count, "int32")
    places = dynamic_partition(range_(size(flat)), table_of, count)
    wanted = dynamic_partition(flat // count, table_of, count)
    rows = dynamic_stitch(places, [gather(t, w) for t, w in zip(tables, wanted)])
    tail = shape(rows)[1:]
    return reshape(rows, concat([shape(ids), tail], 0))


def _clipped(rows: Any, ids: Any, max_norm: Any) -> Any:
    from shardtape.ops.clip import clip_by_norm

    rank = len(ids.shape)
    axes = list(range(rank, len(rows.shape)))
    return clip_by_norm(rows, max_norm, axes=axes)

"""Rows of embedding tables."""

from __future__ import annotations

from typing import Any

from shardtape.ops.arithmetic import maximum
from shardtape.ops.cast import cast
from shardtape.ops.clip import clip_by_norm
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import range as range_
from shardtape.ops.gather import gather
from shardtape.ops.joining import concat
from shardtape.ops.node_names import scoped
from shardtape.ops.partition import dynamic_partition, dynamic_stitch
from shardtape.ops.selecting import where
from shardtape.ops.shaping import reshape, shape, size


@scoped("embedding_lookup")
def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    """Rows of `params` at `ids` (any shape of integers): shape(ids) + params.shape[1:].

    Args:
      params: a table, or a list of tables that hold its rows one after the other.
      max_norm: rows with a larger 2-norm are scaled down to it.

    A Variable is not read as a whole, and its gradient is IndexedSlices.

    Raises:
      ValueError: an empty list of tables.
      InvalidArgumentError: an id that is no row.
    """
    return embedding_lookup_v1(params, ids, "div", name, max_norm=max_norm)


def embedding_lookup_v1(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Any:
    """As `embedding_lookup`; with "mod" row `i` of n tables is row `i // n` of table `i % n`."""
    if params is None:
        raise ValueError("params must be specified")
    tables = list(params) if isinstance(params, (list, tuple)) else [params]
    if not tables:
        raise ValueError("Length of params must be greater than 0.")
    ids = convert_to_tensor(ids)
    if len(tables) == 1:
        rows = gather(tables[0], ids, name=name)
    else:
        rows = _from_tables(tables, ids, partition_strategy)
    return rows if max_norm is None else _clipped(rows, ids, max_norm)


def _from_tables(tables: list[Any], ids: Any, strategy: str) -> Any:
    count = len(tables)
    flat = reshape(ids, [-1])
    if strategy == "mod":
        table_of, row_of = flat % count, flat // count
    elif strategy == "div":
        sizes = [t.shape[0] for t in tables]
        if None in sizes:
            raise ValueError('"div" needs tables with a known number of rows')
        least, larger = divmod(sum(sizes), count)
        first = flat // (least + 1)
        table_of = maximum(first, (flat - larger) // least)
        row_of = where(table_of < larger, flat % (least + 1), (flat - larger) % least)
    else:
        raise ValueError(f'Only "div" and "mod" are supported, got {strategy!r}')
    table_of = cast(table_of, "int32")
    places = dynamic_partition(range_(size(flat)), table_of, count)
    wanted = dynamic_partition(row_of, table_of, count)
    rows = dynamic_stitch(places, [gather(t, w) for t, w in zip(tables, wanted)])
    return reshape(rows, concat([shape(ids), shape(rows)[1:]], 0))


def _clipped(rows: Any, ids: Any, max_norm: Any) -> Any:
    rank = len(ids.shape)
    axes = list(range(rank, len(rows.shape)))
    return clip_by_norm(rows, max_norm, axes=axes)

"""Rows of embedding tables."""

from __future__ import annotations

from typing import Any

from shardtape.ops.arithmetic import div_no_nan, maximum
from shardtape.ops.cast import cast
from shardtape.ops.clip import clip_by_norm
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import ones
from shardtape.ops.filling import range as range_
from shardtape.ops.gather import gather
from shardtape.ops.joining import concat
from shardtape.ops.node_names import scoped
from shardtape.ops.partition import dynamic_partition, dynamic_stitch
from shardtape.ops.segments import segment_sum
from shardtape.ops.selecting import where
from shardtape.ops.shaping import reshape, shape, size
from shardtape.ops.transcendental import sqrt


@takes_composites
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


@scoped("embedding_lookup_sparse")
def embedding_lookup_sparse(
    params: Any, sp_ids: Any, sp_weights: Any, combiner: str | None = None, max_norm: Any = None,
    name: str | None = None, allow_fast_lookup: bool = False,
) -> Any:  # fmt: skip
    """Rows of `params` at the ids of each row of `sp_ids`, combined to one.

    Args:
      params: a table, or a list of tables that hold its rows one after the other.
      sp_ids: a SparseTensor or RaggedTensor of ids.
      sp_weights: the weight of each id, in the form of `sp_ids`; None: all 1.
      combiner: "mean" (default), "sum", or "sqrtn": the sum over the root of the weights' squares.
      max_norm: rows with a larger 2-norm are scaled down to it.

    Returns:
      (the number of the last row with an id, plus 1) + params.shape[1:].

    Raises ValueError for another combiner, TypeError for ids of another kind.
    """
    combiner = "mean" if combiner is None else combiner
    if combiner not in ("mean", "sqrtn", "sum"):
        raise ValueError(f"combiner must be one of 'mean', 'sqrtn' or 'sum', got {combiner}")
    if hasattr(sp_ids, "value_rowids"):
        rows, ids = sp_ids.value_rowids(), sp_ids.values
    elif hasattr(sp_ids, "indices") and hasattr(sp_ids, "dense_shape"):
        rows, ids = sp_ids.indices[:, 0], sp_ids.values
    else:
        raise TypeError(f"sp_ids must be SparseTensor or RaggedTensor, got {type(sp_ids).__name__}")
    found = embedding_lookup(params, ids, max_norm=max_norm)
    if sp_weights is None:
        weights = ones([size(ids)], found.dtype)
    else:
        weights = cast(sp_weights.values, found.dtype)
    one = reshape(weights, concat([shape(weights), [1] * (len(found.shape) - 1)], 0))
    total = segment_sum(found * one, rows)
    if combiner == "sum":
        return total
    if combiner == "mean":
        return div_no_nan(total, segment_sum(one, rows))
    return div_no_nan(total, sqrt(segment_sum(one * one, rows)))


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

"""Examples of values that are made of several tensors: ragged, sparse, extension types."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import nest
from shardtape.experimental.extension_type import ExtensionType
from shardtape.ops.composites import is_composite
from shardtape.ops.gather import gather
from shardtape.ops.joining import concat


def is_composite_value(x: Any) -> bool:
    """True for ragged and sparse tensors and for values of extension types."""
    return is_composite(x) or isinstance(x, ExtensionType)


def count_of(x: Any) -> int:
    """The number of examples of an array or a composite value."""
    return _parts(x)[0].shape[0] if isinstance(x, ExtensionType) else x.shape[0]


def chosen(x: Any, rows: Any) -> Any:
    """Some examples (a slice, or numbers) of a composite value."""
    if not is_composite(x):
        count = len(np.arange(count_of(x))[rows])
        parts = [_chosen_part(part, rows) for part in _parts(x)]
        return _made_of(x, parts, count)
    wanted = np.arange(x.shape[0])[rows]
    if hasattr(x, "flat_values"):
        return gather(x, wanted)
    places, values = np.asarray(x.indices), np.asarray(x.values)
    at = np.full(x.shape[0], -1)
    at[wanted] = np.arange(len(wanted))
    kept = np.flatnonzero(at[places[:, 0]] >= 0)
    kept = kept[np.argsort(at[places[kept, 0]], kind="stable")]
    moved = np.concatenate([at[places[kept, :1]], places[kept, 1:]], 1)
    return type(x)(moved, values[kept], [len(wanted), *np.asarray(x.dense_shape)[1:]])


def joined(values: list[Any]) -> Any:
    """The composite values of batches as one."""
    if is_composite(values[0]):
        return concat(values, 0)
    columns = zip(*[_parts(value) for value in values])
    parts = [concat(list(column), 0) for column in columns]
    return _made_of(values[0], parts, sum(count_of(value) for value in values))


def _chosen_part(part: Any, rows: Any) -> Any:
    if is_composite_value(part):
        return chosen(part, rows)
    return gather(part, np.arange(part.shape[0])[rows])


def _batchable(x: Any) -> Any:
    spec = x._type_spec
    if not hasattr(spec, "_encoded_specs"):
        raise ValueError(
            f"a {type(x).__name__} cannot be cut into batches: derive its class from "
            "`tf.experimental.BatchableExtensionType`, or give `fit` a dataset of batches"
        )
    return spec


def _parts(x: Any) -> list[Any]:
    return nest.flatten(_batchable(x)._encoded(x, minimum_rank=1))


def _made_of(like: Any, parts: list[Any], count: int) -> Any:
    spec = _batchable(like)._unbatch()._batch(count)
    return spec._decoded(nest.pack_sequence_as(spec._encoded_specs(), parts))

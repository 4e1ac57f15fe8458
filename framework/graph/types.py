"""Types that ops refuse in graphs: TypeErrors, where a run has InvalidArgumentErrors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.dispatch import check_dtypes
from shardtape.ops.node_names import argument_name
from shardtape.ops.registry import Op


def check_types(op: Op, dtypes: Sequence[dt.DType]) -> None:
    """Raises TypeError, by TensorFlow's rules for graphs, for types that the op does not take."""
    given = [d for d in dtypes if d is not dt.resource] if op.mixed else list(dtypes)
    try:
        check_dtypes(op, given)
    except errors.InvalidArgumentError as error:
        raise TypeError(_text(op, given) or error.message) from None


def checked_results(op: Op, dtypes: Sequence[dt.DType], attrs: dict[str, Any]) -> Any:
    """The types of the results; a rule that refuses its inputs raises TypeError."""
    try:
        return op.output_dtypes(dtypes, attrs)
    except errors.InvalidArgumentError as error:
        raise TypeError(error.message) from None


def _text(op: Op, dtypes: Sequence[dt.DType]) -> str | None:
    count = len(dtypes)
    places = [i for i in range(count) if not op.is_host(i, count)]
    for i in places:
        if dtypes[i] not in op.dtypes:
            allowed = ", ".join(sorted(t.name for t in op.dtypes))
            return (
                f"Value passed to parameter '{_name(op, i, count)}' has DataType "
                f"{dtypes[i].name} not in list of allowed values: {allowed}"
            )
    if op.variadic:
        types = ", ".join(dtypes[i].name for i in places)
        return (
            f"Tensors in list passed to '{op.list_name}' of '{op.type}' Op have types [{types}] "
            "that don't all match."
        )
    first = places[0] if places else 0
    for i in places:
        if dtypes[i] is not dtypes[first]:
            return (
                f"Input '{_name(op, i, count)}' of '{op.type}' Op has type {dtypes[i].name} that "
                f"does not match type {dtypes[first].name} of argument '{_name(op, first, count)}'."
            )
    return None


def _name(op: Op, index: int, count: int) -> str:
    names: Any = op.input_names
    return names[index] if index < len(names) else argument_name(op, index, count)

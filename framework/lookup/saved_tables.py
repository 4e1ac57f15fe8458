"""Tables as saved models hold them: their class, settings, keys and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.keras.layers.vocabulary import VocabularyTable
from shardtape.keras.saving import values
from shardtape.lookup.tables import (
    DenseHashTable,
    LookupInterface,
    MutableHashTable,
    StaticHashTable,
    StaticVocabularyTable,
)

_CLASSES: dict[str, Any] = {
    c.__name__: c
    for c in (
        StaticHashTable, StaticVocabularyTable, MutableHashTable, DenseHashTable, VocabularyTable,
    )
}  # fmt: skip


def has_form(value: Any) -> bool:
    """Whether it is a table that a saved model can hold as an attribute."""
    return isinstance(value, LookupInterface) and _CLASSES.get(type(value).__name__) is type(value)


def written_table(
    table: LookupInterface, constant: Callable[[np.ndarray], dict[str, Any]]
) -> dict[str, Any]:
    """A table as JSON.

    Args:
      constant: writes an array.

    Raises UnimplementedError for a table of a class of the user's own.
    """
    kind = type(table).__name__
    if not has_form(table):
        LookupInterface._saved(table)  # says so
    keys, found = table._contents()
    return {
        "class": kind, "settings": values.encode(table._saved()),
        "keys": constant(keys), "values": constant(found),
    }  # fmt: skip


def read_table(
    entry: dict[str, Any], constant: Callable[[dict[str, Any]], np.ndarray]
) -> LookupInterface:
    """The table that `written_table` wrote.

    Args:
      constant: reads an array.

    Raises InvalidArgumentError for a class that is not known.
    """
    cls = _CLASSES.get(entry["class"])
    if cls is None:
        raise errors.InvalidArgumentError(
            f"the saved model holds a table of the unknown class {entry['class']!r}; it was "
            "written by a later version"
        )
    settings = values.decode(entry["settings"])
    return cls._from_saved(settings, constant(entry["keys"]), constant(entry["values"]))

"""What an entry of `tf.raw_ops` is that is made of public functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.raw_outputs import record
from shardtape.tensor import Tensor

# A function with the arguments of the op's definition, and the names of its outputs if several.
Entry = tuple[Callable[..., Any], tuple[str, ...]]


def library() -> Any:
    """The package, which is not there yet while the entries are made."""
    import shardtape

    return shardtape


def entry(function: Callable[..., Any], *outputs: str) -> Entry:
    return function, outputs


def whole_numbers(values: Any) -> list[int]:
    """The elements of an array, a number or an eager tensor."""
    return [int(v) for v in np.reshape(np.asarray(values), -1)]


def named(type_name: str, outputs: tuple[str, ...], result: Any) -> Any:
    """Several outputs under their names, as TensorFlow gives them; a list for one as it is."""
    if not outputs or isinstance(result, Tensor):
        return result
    return record(type_name, outputs)(*result)

"""NumPy's indexing by lists, arrays and masks, on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array as arrays
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.indexing import getitem as plain_getitem
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor


def getitem(self: Any, key: Any) -> Any:
    """`tensor[key]` as NumPy does it.

    Raises:
      ValueError: a list, array or mask beside others on a tensor whose shape is not known, or an
        index without a value.
      InvalidArgumentError: an index that is out of bounds.
      IndexError: too many indices.
    """
    entries = key if isinstance(key, tuple) else (key,)
    if not any(_is_advanced(k) for k in entries):
        return plain_getitem(self, key)
    if len(entries) == 1 and _is_symbolic(entries[0]):
        [index] = entries
        masked = index.dtype is dt.bool
        return arrays.boolean_mask(self, index) if masked else arrays.gather(self, index)
    shape = self.shape
    if not shape.is_fully_defined() or any(_is_symbolic(k) for k in entries):
        raise ValueError(
            f"{self!r} can be indexed by several lists, arrays or masks only where its shape and "
            "they are known; use tf.gather or tf.gather_nd"
        )
    places = np.arange(shape.num_elements()).reshape(shape.as_list())
    try:
        chosen = places[tuple(_plain(k) for k in entries)]
    except IndexError as error:
        if len(entries) > len(places.shape):
            raise
        raise errors.InvalidArgumentError(f"{error} (index of {self.shape})") from None
    flat = arrays.reshape(self, [-1])
    return arrays.gather(flat, convert_to_tensor(np.asarray(chosen, np.int64)))


def _is_advanced(k: Any) -> bool:
    if isinstance(k, (list, tuple, bool, np.bool_)):
        return True
    if isinstance(k, (np.ndarray, Tensor)):
        return k.ndim != 0 or k.dtype == bool
    return False


def _is_symbolic(k: Any) -> bool:
    return isinstance(k, SymbolicTensor)


def _plain(k: Any) -> Any:
    if isinstance(k, EagerTensor):
        return k.numpy()
    if isinstance(k, slice):
        return slice(*[None if p is None else int(p) for p in (k.start, k.stop, k.step)])
    return list(k) if isinstance(k, tuple) else k

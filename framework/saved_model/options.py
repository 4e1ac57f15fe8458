"""Options of `save` and `load`, which change nothing here, and files that belong to a model."""

from __future__ import annotations

import weakref
from typing import Any

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor


class SaveOptions:
    """Accepted by `tf.saved_model.save`."""

    def __init__(
        self, namespace_whitelist: Any = None, save_debug_info: bool = False,
        function_aliases: Any = None, experimental_io_device: str | None = None,
        experimental_variable_policy: Any = None, experimental_custom_gradients: bool = True,
        **others: Any,
    ) -> None:  # fmt: skip
        self.function_aliases = function_aliases
        self.experimental_io_device = experimental_io_device
        self.experimental_custom_gradients = experimental_custom_gradients


class LoadOptions:
    """Accepted by `tf.saved_model.load`."""

    def __init__(
        self, allow_partial_checkpoint: bool = False, experimental_io_device: str | None = None,
        experimental_skip_checkpoint: bool = False, **others: Any,
    ) -> None:  # fmt: skip
        self.allow_partial_checkpoint = allow_partial_checkpoint
        self.experimental_io_device = experimental_io_device
        self.experimental_skip_checkpoint = experimental_skip_checkpoint


# by the tensor of the path, which functions capture
_known: weakref.WeakValueDictionary[int, Asset] = weakref.WeakValueDictionary()


def asset_of(path: Any) -> Asset | None:
    """The Asset that a tensor is the path of."""
    return _known.get(path._key())


class Asset:
    """The path of a file that belongs to a model: a saved model takes a copy of it along."""

    def __init__(self, path: Any) -> None:
        self.asset_path = convert_to_tensor(path, dt.string)
        if type(self.asset_path) is EagerTensor:
            _known[self.asset_path._key()] = self

    @property
    def dtype(self) -> dt.DType:
        return dt.string

    def _as_tensor(self, dtype: Any = None) -> Any:
        """The path; operations take an Asset in its place."""
        return self.asset_path

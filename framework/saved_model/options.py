"""Options of `save` and `load`, as TensorFlow's programs pass them; they change nothing here."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor


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


class Asset:
    """The path of a file that belongs to a model."""

    def __init__(self, path: Any) -> None:
        self.asset_path = convert_to_tensor(path, dt.string)

    @property
    def dtype(self) -> dt.DType:
        return dt.string

    def _as_tensor(self, dtype: Any = None) -> Any:
        """The path; operations take an Asset in its place."""
        return self.asset_path

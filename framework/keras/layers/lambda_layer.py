"""Lambda: any function as a layer."""

from __future__ import annotations

import inspect
from typing import Any

from shardtape.autograph import convert_in_graph
from shardtape.keras import function_code
from shardtape.keras.layers.base import Layer
from shardtape.shapes import TensorShape


class Lambda(Layer):
    """Any function as a layer.

    Args:
      function: called on the inputs; with `training` and `mask` where it takes them.
      output_shape: sizes without the batch, or a function of the inputs' shape; for
        `compute_output_shape`, default what the function gives.
      mask: the mask of the outputs, or a function (inputs, mask).
      arguments: more arguments of the function.

    Files hold the function's name where it is registered or one of this package, else its code,
    which is loaded with `safe_mode=False` only.
    """

    _unseen = Layer._unseen | {"arguments"}

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments or {})
        self._output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None
        self._takes = {n for n in ("training", "mask") if _takes(function, n)}

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        given = dict(self.arguments)
        if "mask" in self._takes:
            given["mask"] = mask
        if "training" in self._takes:
            given["training"] = training
        return convert_in_graph(self.function)(inputs, **given)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """What the layer was made with; never the mask of the inputs by itself."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return TensorShape(self._output_shape(input_shape))
        sizes = TensorShape(input_shape)
        return TensorShape([sizes[0] if sizes.rank else None, *self._output_shape])

    def get_config(self) -> dict[str, Any]:
        """As Keras has it. Raises NotImplementedError for a callable without a name and code."""
        owner = f"the Lambda layer {self.name!r}"
        function, kind, module = function_code.described(self.function, owner)
        shape, shape_kind, shape_module = self._output_shape, "raw", None
        if callable(shape):
            shape, shape_kind, shape_module = function_code.described(shape, owner)
        config = {
            **super().get_config(), "function": function, "function_type": kind, "module": module,
            "output_shape": shape, "output_shape_type": shape_kind,
            "output_shape_module": shape_module,
        }  # fmt: skip
        if self.mask is not None:
            config["mask"] = self.mask
            if callable(self.mask):
                config["mask"], config["mask_type"], config["mask_module"] = (
                    function_code.described(self.mask, owner)
                )
        return {**config, "arguments": self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A layer from what `get_config` (or Keras's) gave.

        Raises ValueError for code where that is not allowed, see `load_model`.
        """
        from shardtape.keras.saving.registry import custom_object_scope

        config = dict(config)
        owner = f"the Lambda layer {config.get('name')!r}"
        with custom_object_scope(custom_objects):
            for name in ("function", "output_shape", "mask"):
                kind = config.pop("function_type" if name == "function" else f"{name}_type", "raw")
                place = config.pop("module" if name == "function" else f"{name}_module", None)
                if kind != "raw" or name == "function":
                    form = config[name]
                    config[name] = function_code.function_of(form, kind, place, owner)
        if isinstance(config.get("output_shape"), list):
            config["output_shape"] = tuple(config["output_shape"])
        return cls(**config)


def _takes(function: Any, name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False

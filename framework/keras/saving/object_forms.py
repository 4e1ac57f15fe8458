"""`serialize_keras_object` and `deserialize_keras_object`: any value of a configuration as JSON.

Plain values are what they are; containers are gone through; arrays, tensors and type specs get the
forms that Keras 2.15 gives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras.saving import serialization
from shardtape.keras.saving.registry import known
from shardtape.keras.saving.spec_forms import KIND, spec_form, spec_of
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec
from shardtape.variable import Variable

_PLAIN = (str, int, float, bool)


def serialize_keras_object(obj: Any) -> Any:
    """A value as JSON: objects as `{"module", "class_name", "config", "registered_name"}`.

    Raises TypeError for a value without a `get_config()` that is no plain value either.
    """
    if obj is None or isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode()}}
    if isinstance(obj, (list, tuple)):
        forms = [serialize_keras_object(v) for v in obj]
        return tuple(forms) if isinstance(obj, tuple) else forms  # named tuples lose their names
    if isinstance(obj, dict):
        return {k: serialize_keras_object(v) for k, v in obj.items()}
    if isinstance(obj, TensorShape):
        return None if obj.rank is None else list(obj)
    if isinstance(obj, dt.DType):
        return obj.name
    if isinstance(obj, TypeSpec):
        return spec_form(obj)
    if isinstance(obj, np.generic):
        return obj.item()
    array = isinstance(obj, np.ndarray)
    if array or (isinstance(obj, Tensor) and not isinstance(obj, Variable)):
        return {"class_name": "__numpy__" if array else "__tensor__",
                "config": {"value": np.asarray(obj).tolist(), "dtype": obj.dtype.name}}  # fmt: skip
    if not hasattr(obj, "get_config") and (isinstance(obj, Variable) or not callable(obj)):
        raise TypeError(
            f"Cannot serialize object {obj!r} of type {type(obj)}. To be serializable, a class "
            "must implement the `get_config()` method."
        )
    return serialization.keras_form(obj)


def deserialize_keras_object(
    config: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The value of a form of `serialize_keras_object`; tuples come back as lists.

    Args:
      custom_objects: classes and functions of your own by name.
      safe_mode: False lets the configuration run code of its own (of Lambda layers).
      kwargs: `module_objects`, more classes and functions by name.

    Raises:
      TypeError: a class that nobody knows (named), or no form of a value.
      ValueError: code in the configuration with `safe_mode`.
    """
    objects = kwargs.get("module_objects") or {}
    if isinstance(config, str):
        found = known(config, custom_objects) if custom_objects else None
        return objects.get(config, config) if found is None else found
    if config is None or isinstance(config, _PLAIN):
        return config
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(v, custom_objects, safe_mode, **kwargs) for v in config]
    if not isinstance(config, dict):
        raise TypeError(f"Could not parse config: {config}")
    name = config.get("class_name")
    if name is None or "config" not in config:
        return {
            k: deserialize_keras_object(v, custom_objects, safe_mode, **kwargs)
            for k, v in config.items()
        }
    inner = config["config"]
    if name == "__tensor__":
        return convert_to_tensor(inner["value"], inner["dtype"])
    if name == "__numpy__":
        return np.array(inner["value"], inner["dtype"])
    if name == "__bytes__":
        return str(inner["value"]).encode()
    if name == KIND:
        return spec_of(config)
    return serialization.deserialize_keras_object(
        config, objects, custom_objects, safe_mode=safe_mode
    )

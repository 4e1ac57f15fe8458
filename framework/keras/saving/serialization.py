"""Keras objects as `{"class_name", "config"}` and back."""

from __future__ import annotations

import json
from typing import Any

from shardtape.keras import function_code
from shardtape.keras.saving import values
from shardtape.keras.saving.registry import custom_object_scope, get_registered_name, known

_VERSION = "2.15.0"  # of the Keras whose configurations these are like


def _modules() -> list[Any]:
    from shardtape import optimizers
    from shardtape.keras import (
        activations,
        constraints,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        regularizers,
    )
    from shardtape.keras.applications import convnext, inception_resnet_v2  # layers of their own
    from shardtape.keras.layers import additions, instance_members
    from shardtape.optimizers import schedules

    return [layers, models, losses, metrics, initializers, regularizers, constraints, optimizers,
            schedules, additions, activations, mixed_precision, convnext,
            inception_resnet_v2, instance_members]  # fmt: skip


class UnknownObjectError(TypeError, ValueError):
    """Nobody knows the class or function of a name.

    Keras raises TypeError for one in a `.keras` file, ValueError for one in an HDF5 file.
    """


def find(name: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The class or function of a name. Raises UnknownObjectError where nobody knows it."""
    found = known(name, custom_objects)
    if found is not None:
        return found
    if name == "Functional":
        name = "Model"
    for module in _modules():
        found = vars(module).get(name)
        if found is not None and callable(found):
            return found
    raise UnknownObjectError(
        f"Unknown object: '{name}'. If it is a class or function of your own, pass it in "
        "`custom_objects`, or register it with `tf.keras.utils.register_keras_serializable`."
    )


def plain_form(instance: Any) -> Any:
    """`{"class_name", "config"}` of an object, the name of a function, None of None."""
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": class_name(instance), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(f"Cannot serialize {instance} because it doesn't implement `get_config()`.")


def function_form(function: Any) -> dict[str, Any]:
    """What Keras's `serialize` gives of a function of a user's own in the settings of a layer."""
    return {"module": "builtins", "class_name": "function",
            "config": get_registered_name(function), "registered_name": "function"}  # fmt: skip


def function_name(identifier: Any) -> Any:
    """The name in what `function_form` gave; anything else as it is."""
    of_function = isinstance(identifier, dict) and identifier.get("class_name") == "function"
    return identifier.get("config") if of_function else identifier


def keras_form(obj: Any) -> Any:
    """What Keras's `serialize` gives of an object or a function, with modules.

    Without modules where Keras's form has no place for something; None of None.
    """
    from shardtape.keras.saving.keras_form import NoKerasForm, described

    instance = obj
    if instance is None or isinstance(instance, (str, dict, bool, int, float)):
        return instance
    if not hasattr(instance, "get_config"):
        name = get_registered_name(instance)
        own = name != getattr(instance, "__name__", None)
        return {"module": "builtins", "class_name": "function",
                "config": getattr(instance, "__name__", str(instance)),
                "registered_name": name if own else "function"}  # fmt: skip
    try:
        return described(instance)
    except NoKerasForm:
        return plain_form(instance)


serialize_keras_object = keras_form


def without_modules(identifier: Any) -> Any:
    """An entry of `keras_form` as `{"class_name", "config"}`, a function's name; others as is."""
    if not isinstance(identifier, dict) or "module" not in identifier:
        return identifier
    from shardtape.keras.saving.keras_reading import plain_config

    return plain_config(identifier)


def class_name(instance: Any) -> str:
    """The name of an object's class in configurations."""
    name = type(instance).__name__
    return "Functional" if name == "Model" else name


def deserialize_keras_object(
    config: Any, module_objects: dict[str, Any] | None = None,
    custom_objects: dict[str, Any] | None = None, printable_module_name: str = "object",
    safe_mode: bool = True,
) -> Any:  # fmt: skip
    """The object of `keras_form`'s result. Raises ValueError for unknown names.

    Args:
      safe_mode: False lets the configuration run code of its own (of Lambda layers).
    """
    if not safe_mode:
        with function_code.reading(safe_mode):
            return deserialize_keras_object(
                config, module_objects, custom_objects, printable_module_name
            )
    with custom_object_scope(custom_objects):  # these come before what modules have
        identifier = without_modules(config)
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = known(identifier, custom_objects) or (module_objects or {}).get(identifier)
        return found if found is not None else find(identifier)
    cls = known(identifier["class_name"], custom_objects)
    if cls is None:
        cls = (module_objects or {}).get(identifier["class_name"]) or find(identifier["class_name"])
    if not hasattr(cls, "from_config"):
        return cls
    with custom_object_scope(custom_objects):
        return cls.from_config(identifier.get("config", {}))


def _listed(value: Any) -> Any:
    """A configuration in Keras's form with lists for tuples; our own form marks its tuples."""
    if isinstance(value, dict):
        return value if "calls" in value else {k: _listed(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return [_listed(v) for v in value]
    return value


def looked_up(
    identifier: Any, functions: dict[str, Any], classes: dict[str, Any], kind: str
) -> Any:  # fmt: skip
    """What `losses.get` and `metrics.get` give for a name, a config or a callable; None of None.

    Args:
      functions, classes: by their names.
      kind: "loss" or "metric", for errors.

    Raises ValueError for an unknown name, and for what is no name.
    """
    identifier = without_modules(identifier)
    if identifier is None or callable(identifier):
        return identifier
    if not isinstance(identifier, (str, dict)):
        raise ValueError(
            f"Could not interpret {kind} identifier: {identifier}. Pass a name, a {kind} or a "
            "function."
        )
    name = identifier.get("class_name") if isinstance(identifier, dict) else identifier
    if known(name) is not None:
        return deserialize_keras_object(identifier)
    if isinstance(identifier, dict):
        if name in classes:
            return classes[name].from_config(identifier.get("config", {}))
    elif identifier in functions:
        return functions[identifier]
    elif identifier in classes:
        return classes[identifier]()
    raise ValueError(
        f"Unknown {kind} function: '{name}'. It is one of "
        f"{', '.join(sorted({*functions, *classes}))}, or pass a function."
    )


def to_json(model: Any, **options: Any) -> str:
    """A model's configuration; `options` go to `json.dumps`."""
    config = {
        "class_name": class_name(model), "config": values.encode(_listed(model.get_config())),
        "keras_version": _VERSION, "backend": "tensorflow",
    }  # fmt: skip
    return json.dumps(config, **options)


def model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of `{"class_name", "config"}`, with first weights."""
    return deserialize_keras_object(config, custom_objects=custom_objects)


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model from what `to_json` gave, with first weights."""
    with custom_object_scope(custom_objects):
        return model_from_config(values.decode(json.loads(json_string)), custom_objects)

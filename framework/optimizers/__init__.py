"""Optimizers, and the update rules and schedules that they share with the parameter server.

They have the arguments, defaults and values of Keras 2.15.
"""

from __future__ import annotations

from typing import Any

from shardtape.errors import InvalidArgumentError
from shardtape.optimizers import experimental, legacy, schedules
from shardtape.optimizers.adadelta import Adadelta, AdadeltaRule
from shardtape.optimizers.adafactor import _ONLY_WHOLE, Adafactor
from shardtape.optimizers.adagrad import Adagrad, AdagradRule
from shardtape.optimizers.adam import Adam, AdamRule
from shardtape.optimizers.adamax import Adamax, AdamaxRule
from shardtape.optimizers.adamw import AdamW, AdamWRule
from shardtape.optimizers.ftrl import Ftrl, FtrlRule
from shardtape.optimizers.lion import Lion, LionRule
from shardtape.optimizers.nadam import Nadam, NadamRule
from shardtape.optimizers.optimizer import Optimizer
from shardtape.optimizers.rmsprop import RMSprop, RMSpropRule
from shardtape.optimizers.rule import Rule, learning_rate_from_config
from shardtape.optimizers.sgd import SGD, SGDRule

__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "Rule",
    "SGD",
    "deserialize",
    "experimental",
    "get",
    "legacy",
    "rule_from_config",
    "schedules",
    "serialize",
]

_RULES = {
    rule.class_name: rule
    for rule in (
        SGDRule, AdamRule, AdagradRule, RMSpropRule, AdadeltaRule, AdamaxRule, AdamWRule, FtrlRule,
        LionRule, NadamRule,
    )
}  # fmt: skip
_OPTIMIZERS = {
    cls.__name__: cls
    for cls in (SGD, Adam, Adafactor, Adagrad, RMSprop, Adadelta, Adamax, AdamW, Ftrl, Lion, Nadam)
}


def rule_from_config(config: dict[str, Any]) -> Rule:
    """The update rule of `Rule.config()` (or `Optimizer.rule_config()`).

    Raises InvalidArgumentError that names an unknown class or argument.
    """
    name = config.get("class_name")
    if name == "Adafactor":
        raise InvalidArgumentError(_ONLY_WHOLE)
    cls = _RULES.get(name)  # type: ignore[arg-type]
    if cls is None:
        raise InvalidArgumentError(
            f"unknown update rule {name!r}: expected one of {', '.join(_RULES)}"
        )
    arguments = dict(config.get("config", {}))
    if "learning_rate" in arguments:
        arguments["learning_rate"] = learning_rate_from_config(arguments["learning_rate"])
    try:
        return cls(**arguments)
    except TypeError as error:
        raise InvalidArgumentError(f"update rule {name}: {error}") from error


def serialize(optimizer: Optimizer, use_legacy_format: bool = False) -> dict[str, Any]:
    """An optimizer as Keras writes it, with its module.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`.
    """
    from shardtape.keras.saving.serialization import keras_form, plain_form

    if use_legacy_format:
        return plain_form(optimizer)  # type: ignore[no-any-return]
    form: dict[str, Any] = keras_form(optimizer)
    if type(optimizer).__module__ == legacy.__name__:
        form["module"] = "keras.optimizers.legacy"
    return form


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None,
    use_legacy_format: bool = False, **kwargs: Any,
) -> Optimizer:  # fmt: skip
    """The optimizer of `serialize`'s dictionary; the class name's case does not matter.

    A configuration with `decay` is that of an older optimizer, see `legacy`.

    Raises ValueError that names an unknown class.
    """
    from shardtape.keras.saving.registry import custom_object_scope
    from shardtape.keras.saving.registry import known as known_class
    from shardtape.keras.saving.serialization import without_modules

    if not isinstance(config, dict):
        raise TypeError(
            f"An optimizer is made of the dictionary that `serialize` gives, got {config!r}"
        )
    older = config.get("module") == "keras.optimizers.legacy"
    with custom_object_scope(custom_objects):
        config = without_modules(config)
    name = str(config.get("class_name"))
    held = config.get("config", {})
    older = older or "decay" in held
    ours = {n: getattr(legacy, n, c) for n, c in _OPTIMIZERS.items()} if older else _OPTIMIZERS
    registered = known_class(name, custom_objects)
    if registered is not None:
        return registered.from_config(held, custom_objects)
    known = {**ours, **(custom_objects or {})}
    for other, cls in known.items():
        if other.lower() == name.lower():
            return cls.from_config(held, custom_objects)
    raise ValueError(f"unknown optimizer {name!r}: expected one of {', '.join(known)}")


def get(identifier: Any, **arguments: Any) -> Optimizer:
    """An optimizer of a name ("adam"), of `serialize`'s dictionary, or the optimizer itself."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": arguments})
    raise ValueError(f"Could not interpret optimizer identifier: {identifier!r}")

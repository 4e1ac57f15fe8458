"""Optimizers, and the update rules and schedules that they share with the parameter server."""

from __future__ import annotations

from typing import Any

from shardtape.errors import InvalidArgumentError
from shardtape.optimizers.adagrad import AdagradRule
from shardtape.optimizers.adam import AdamRule
from shardtape.optimizers.rmsprop import RMSpropRule
from shardtape.optimizers.rule import Rule, learning_rate_from_config
from shardtape.optimizers.sgd import SGDRule

_RULES = {rule.class_name: rule for rule in (SGDRule, AdamRule, AdagradRule, RMSpropRule)}


def rule_from_config(config: dict[str, Any]) -> Rule:
    """The update rule of `Rule.config()` (or `Optimizer.rule_config()`).

    Raises InvalidArgumentError that names an unknown class or argument.
    """
    name = config.get("class_name")
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

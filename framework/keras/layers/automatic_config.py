"""The configuration of layers that define no `get_config`: what they were made with."""

from __future__ import annotations

import inspect
from typing import Any

from shardtape import nest

_PLAIN = (str, int, float, bool, type(None))


def automatic_config(layer: Any, base: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments, as Keras 2.15 collects them.

    Args:
      layer: its `_given` is what its class was called with.
      base: what all layers have; left out where the constructor has no `**kwargs` for it.

    Raises NotImplementedError for arguments that JSON cannot hold (named), and for unnamed ones.
    """
    args, kwargs = layer._given
    kind = type(layer)
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(args) > len(names):
        raise NotImplementedError(
            f"Layer {kind.__name__} was created with the unnamed arguments {args[len(names) :]}, "
            "and therefore the layer must override `get_config()`."
        )
    given = {**kwargs, **dict(zip(names, args))}
    for name, value in given.items():
        if not all(type(v) in _PLAIN for v in nest.flatten(value)):
            raise NotImplementedError(
                f"Layer {kind.__name__} was created by passing non-serializable argument values "
                f"in `__init__()` ({name}={value!r}), and therefore the layer must override "
                "`get_config()` in order to be serializable. Please implement `get_config()`."
            )
    open_ended = any(p.kind is p.VAR_KEYWORD and p.name == "kwargs" for p in parameters)
    kept = base if open_ended else {k: v for k, v in base.items() if k in names}
    return {**kept, **given}

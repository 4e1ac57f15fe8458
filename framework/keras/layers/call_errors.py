"""What an error of a layer's `call` says besides its own text: which layer, called with what."""

from __future__ import annotations

import inspect
from typing import Any

from shardtape import nest
from shardtape.errors import OpError
from shardtape.tensor import Tensor

_TOLD, _CHECK = "_layer_told", "_is_check_of_inputs"


def as_check(error: Exception) -> Exception:
    """Marks an error as a check of a model's inputs, which is not told as one of its `call`."""
    setattr(error, _CHECK, True)
    return error


def told(error: Exception, layer: Any, inputs: Any, args: Any, kwargs: Any) -> Exception:
    """The error with the layer's name and arguments around its text, of the same class.

    The same error where an inner layer has told, or where `call` does not take the arguments; a
    RuntimeError where the class is not made of a text.
    """
    if error.__dict__.pop(_CHECK, False) or hasattr(error, _TOLD):
        return error
    signature = inspect.signature(layer.call)
    try:
        bound = signature.bind(inputs, *args, **kwargs)
    except TypeError:
        return error
    given = set(bound.arguments)
    bound.apply_defaults()
    lines = []
    for name, value in bound.arguments.items():
        # defaults as they are written, the rest leaf by leaf
        shown = nest.map_structure(_shown, value) if name in given else value
        lines.append(f"  • {name}={shown}")
    quote = '"' if layer._is_called_symbolically() else "'"
    who = f"layer {quote}{layer.name}{quote} (type {type(layer).__name__})"
    own = error.message if isinstance(error, OpError) else (error.args or ("",))[0]
    text = (
        f"Exception encountered when calling {who}.\n\n{own}\n\n"
        f"Call arguments received by {who}:\n" + "\n".join(lines)
    )
    made = _of_class(error, text)
    setattr(made, _TOLD, True)
    return made.with_traceback(error.__traceback__)


def _of_class(error: Exception, text: str) -> Exception:
    try:
        if isinstance(error, OpError):
            return type(error)(error.node_def, error.op, text)
        return type(error)(text)
    except Exception:  # noqa: BLE001 - a constructor of the user's refuses a text as it likes
        return RuntimeError(text)


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tf.Tensor(shape={value.shape}, dtype={value.dtype.name})"
    return repr(value)

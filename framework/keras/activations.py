"""Keras's activation functions, and their look-up by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import nn
from shardtape.keras.logits import remember
from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.ops import math
from shardtape.ops.clip import clip_by_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_max, reduce_sum
from shardtape.tensor import Tensor

__all__ = [
    "deserialize", "elu", "exponential", "gelu", "get", "hard_sigmoid", "linear", "mish",
    "relu", "selu", "serialize", "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh",
]  # fmt: skip


def linear(x: Any) -> Any:
    """x itself."""
    return x


def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Tensor:
    """x above `threshold`, alpha * (x - threshold) below, at most `max_value`."""
    x = convert_to_tensor(x)
    if not threshold and max_value is None:
        return nn.leaky_relu(x, alpha) if alpha else nn.relu(x)
    if not threshold and not alpha and max_value == 6:
        return nn.relu6(x)
    below = nn.relu(threshold - x) * alpha if alpha else None
    y = x * math.cast(x > threshold, x.dtype) if threshold else nn.relu(x)
    if max_value is not None:
        limit = convert_to_tensor(max_value, x.dtype)
        y = math.minimum(math.maximum(y, convert_to_tensor(0, x.dtype)), limit)
    return y if below is None else y - below


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """exp(x) over its sum along `axis` (an int or several); rank 2 or more.

    Raises ValueError for a lower rank.
    """
    x = convert_to_tensor(x)
    if x.shape.rank is not None and x.shape.rank < 2:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D. Received input: {x}")
    if not isinstance(axis, (list, tuple)):
        return remember(nn.softmax(x, axis=axis), x)
    axes = list(axis)
    powers = math.exp(x - reduce_max(x, axes, keepdims=True))
    return remember(powers / reduce_sum(powers, axes, keepdims=True), x)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`."""
    return nn.log_softmax(x, axis=axis)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x above 0, alpha * (exp(x) - 1) below."""
    y = nn.elu(x)
    if alpha == 1:
        return y
    return nn.relu(y) - alpha * nn.relu(-y)


def selu(x: Any) -> Tensor:
    """Scaled exponential linear unit."""
    return nn.selu(x)


def softplus(x: Any) -> Tensor:
    """log(exp(x) + 1)."""
    return nn.softplus(x)


def softsign(x: Any) -> Tensor:
    """x / (abs(x) + 1)."""
    return nn.softsign(x)


def swish(x: Any) -> Tensor:
    """x * sigmoid(x)."""
    return nn.silu(x)


silu = swish


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution function at x."""
    return nn.gelu(x, approximate)


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return math.tanh(convert_to_tensor(x))


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    x = convert_to_tensor(x)
    return remember(math.sigmoid(x), x)


def hard_sigmoid(x: Any) -> Tensor:
    """0.2 * x + 0.5, within [0, 1]."""
    x = convert_to_tensor(x)
    # by these names Keras lists them in functional models
    return clip_by_value(math.add(math.multiply(x, 0.2), 0.5), 0.0, 1.0)


def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return math.exp(convert_to_tensor(x))


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    x = convert_to_tensor(x)
    return x * math.tanh(nn.softplus(x))


_BY_NAME: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        linear, relu, softmax, log_softmax, elu, selu, softplus, softsign, swish, gelu, tanh,
        sigmoid, hard_sigmoid, exponential, mish,
    )
}  # fmt: skip
_BY_NAME["silu"] = swish
_BY_NAME["leaky_relu"] = nn.leaky_relu
_BY_NAME["relu6"] = nn.relu6


def get(identifier: Any) -> Callable[..., Any]:
    """The function of a name ("relu"), or the callable itself; None is `linear`.

    Raises ValueError for an unknown name, TypeError for something else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, dict):
        if isinstance(identifier.get("config"), dict):  # of a layer that is an activation
            from shardtape.keras.saving.serialization import deserialize_keras_object

            return deserialize_keras_object(identifier)
        if not identifier.keys() & {"config", "class_name"}:
            raise ValueError(
                f"Improper config format for {identifier}. Expecting python dict contains "
                "`class_name` and `config` as keys"
            )
        identifier = identifier.get("config", identifier.get("class_name"))
    if isinstance(identifier, str):
        found = known(identifier) or _BY_NAME.get(identifier)
        if found is None:
            raise ValueError(
                f"Unknown activation function: '{identifier}'. It is one of "
                f"{', '.join(sorted(_BY_NAME))}, or pass a function."
            )
        return found
    if callable(identifier):
        return identifier
    raise TypeError(f"Could not interpret activation function identifier: {identifier}")


def serialize(activation: Callable[..., Any], use_legacy_format: bool = False) -> Any:
    """The name of an activation of this module; of another function what Keras writes of it.

    A layer that stands for an activation gives the dictionary that describes layers.

    Raises ValueError for a text, which says no function, TypeError for anything else than those.
    """
    if isinstance(activation, str):
        raise ValueError(
            f"Unknown activation function '{activation}' cannot be serialized: give the function, "
            f"as tf.keras.activations.get('{activation}') finds it, not its name"
        )
    if not callable(activation):
        raise TypeError(f"an activation is a function or a layer, got {activation!r}")
    for name, function in _BY_NAME.items():
        if function is activation:
            return name
    if hasattr(activation, "get_config"):
        from shardtape.keras.saving.serialization import keras_form, plain_form

        return plain_form(activation) if use_legacy_format else keras_form(activation)
    of_tensorflow = getattr(activation, "__module__", "").startswith("shardtape.")
    if of_tensorflow and getattr(activation, "__name__", None) in _BY_NAME:  # `tf.nn.relu`
        return _BY_NAME[activation.__name__].__name__
    from shardtape.keras.saving.serialization import function_form, plain_form

    return plain_form(activation) if use_legacy_format else function_form(activation)


def deserialize(
    name: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """As `get`, where names may be those of `custom_objects`."""
    with custom_object_scope(custom_objects):
        return get(name)

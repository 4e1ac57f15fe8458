"""Gradients that programs register for op types: `tf.RegisterGradient`, `tf.no_gradient`.

The gradients of Shardtape's own ops stand beside their kernels. What is registered here serves op
types that have none, and names that `Graph.gradient_override_map` puts in place of a type.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from shardtape.ops.array import zeros_like
from shardtape.ops.registry import REGISTRY, Op
from shardtape.tensor import SymbolicTensor

# what was registered by type, with the place where that was done
_registered: dict[str, tuple[Callable[..., Any] | None, traceback.FrameSummary]] = {}


class RegisterGradient:
    """Decorator of the gradient function of an op type.

    The function is called with the operation (`inputs`, `outputs`, `get_attr`) and the gradient
    of each output. It returns one gradient (or None) for each input: alone if there is one.

    Raises:
      TypeError: an op type that is no string.
      KeyError: the type has a gradient already.
    """

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        _register(self._op_type, f)
        return f


def no_gradient(op_type: str) -> None:
    """Lists an op type as one that is not differentiable: None flows back through it.

    Raises TypeError and KeyError as `RegisterGradient`.
    """
    if not isinstance(op_type, str):
        raise TypeError("op_type must be a string")
    _register(op_type, None)


NotDifferentiable = NoGradient = no_gradient


def _register(op_type: str, function: Callable[..., Any] | None) -> None:
    op = REGISTRY.get(op_type)
    if op_type in _registered:
        place = _registered[op_type][1]
        raise KeyError(
            f"Registering two gradient with name '{op_type}'! (Previous registration was in "
            f"{place.name} {place.filename}:{place.lineno})"
        )
    if op is not None and (op.has_gradient or not op.differentiable):
        raise KeyError(
            f"Registering two gradient with name '{op_type}'! (Previous registration was in "
            f"{op.kernel.__module__})"
        )
    _registered[op_type] = (function, traceback.extract_stack(limit=3)[0])
    if op is None:
        return
    if function is None:
        op.differentiable = False
    else:
        op.registered_gradient = _run


class RecordedOperation:
    """What a registered gradient function sees of an op that ran eagerly."""

    def __init__(
        self, op: Op, inputs: Sequence[Any], outputs: Sequence[Any], attrs: dict[str, Any]
    ) -> None:
        self.type = self.name = op.type
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._attrs = attrs

    def get_attr(self, name: str) -> Any:
        """The attribute's value. Raises ValueError naming the op where it has none."""
        if name in self._attrs:
            return self._attrs[name]
        if name == "T" and self.inputs:
            return self.inputs[0].dtype
        raise ValueError(f"Operation {self.name!r} has no attr named {name!r}.")


def _run(op: Op, grads: Any, outputs: Any, inputs: Any, attrs: Any) -> Sequence[Any]:
    return _call(_registered[op.type][0], op, grads, outputs, inputs, attrs)


def _call(
    function: Any, op: Op, grads: Any, outputs: Any, inputs: Any, attrs: Any
) -> Sequence[Any]:
    """Gradients with respect to all inputs."""
    if function is None:
        return [None] * len(inputs)
    if isinstance(outputs[0], SymbolicTensor):
        operation = outputs[0].op
    else:
        operation = RecordedOperation(op, inputs, outputs, attrs)
    grads = [zeros_like(y) if g is None else g for g, y in zip(grads, outputs)]
    got = function(operation, *grads)
    if not isinstance(got, (list, tuple)):
        got = (got,)
    if len(got) != len(inputs):
        raise ValueError(
            f"Num gradients {len(got)} generated for op {op.type} do not match num inputs "
            f"{len(inputs)}"
        )
    return got


def overridden(op: Op, name: str) -> Op:
    """The op with the gradient that is registered under `name` (looked up when it is asked for).

    Its gradient raises LookupError where nothing is registered.
    """

    def run(op: Op, grads: Any, outputs: Any, inputs: Any, attrs: Any) -> Sequence[Any]:
        if name not in _registered:
            raise LookupError(f"gradient registry has no entry for: {name}")
        return _call(_registered[name][0], op, grads, outputs, inputs, attrs)

    made = object.__new__(type(op))  # copy.copy gives the registered op itself
    made.__dict__.update(op.__dict__)
    made.registered_gradient = run
    made.keeps_inputs, made.keeps_outputs, made.drops_inputs = None, True, False
    made.simple_gradient = False
    return made

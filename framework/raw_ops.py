"""`tf.raw_ops`: every op of the registry by its TensorFlow type, called with keyword arguments."""

from __future__ import annotations

import inspect
from typing import Any

from shardtape import dtypes as dt
from shardtape.absent import missing_text
from shardtape.ops import array as _array  # noqa: F401 - registers the ops
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import IO, PURE, RANDOM, REGISTRY, Op
from shardtape.optimizers.raw_updates import resource_apply_gradient_descent
from shardtape.raw_entries import named
from shardtape.raw_outputs import arranged

_TYPES_OF_INPUTS = ("T", "SrcT")  # attributes that say the type of the first input


class RawOp:
    """Calls an op as TensorFlow's raw function does: `tf.raw_ops.AddV2(x=1.0, y=2.0)`.

    Inputs that the op calls otherwise than TensorFlow are taken in the order of the call;
    attributes that only name types (`T=tf.float32`) are not needed.
    """

    def __init__(self, op: Op) -> None:
        self._op = op
        self.__name__ = self.__qualname__ = op.type
        self.__doc__ = op.__doc__

    def __call__(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Raises TypeError for positional, missing or unknown arguments."""
        op = self._op
        if args:
            raise TypeError(f"{op.type} only takes keyword args (possible keys: "
                            f"{[*op.input_names, *op.attr_defaults, 'name']}). Please pass these "
                            "args as kwargs instead.")  # fmt: skip
        attrs = {k: _attribute(v) for k, v in kwargs.items() if k in op.attr_defaults}
        given = {k: v for k, v in kwargs.items() if k not in attrs}
        if op.variadic:
            inputs: list[Any] = []
            for value in given.values():
                inputs += value if isinstance(value, (list, tuple)) else [value]
            return arranged(op.type, op(*inputs, name=name, **attrs))
        placed = {k: given.pop(k) for k in list(given) if k in op.input_names}
        others = [k for k, v in given.items() if not _is_type(v)]
        for k, own in zip(others, [n for n in op.input_names if n not in placed]):
            placed[own] = given.pop(k)
        unknown = [k for k, v in given.items() if not _is_type(v)]
        missing = [n for n in op.input_names if n not in placed]
        if unknown or missing:
            raise TypeError(
                f"{op.type} takes the inputs {list(op.input_names)} and the attributes "
                f"{list(op.attr_defaults)}; got {list(kwargs)}"
            )
        ordered = [placed[n] for n in op.input_names]
        for attribute in op.required_attrs - attrs.keys():
            if attribute in _TYPES_OF_INPUTS:
                ordered[0] = convert_to_tensor(ordered[0])
                attrs[attribute] = ordered[0].dtype
        return arranged(op.type, op(*ordered, name=name, **attrs))

    def __repr__(self) -> str:
        return f"<raw op {self._op.type}>"


class RawFunction:
    """A raw op that is made of public functions, called with keyword arguments."""

    def __init__(self, type_name: str, function: Any, outputs: tuple[str, ...]) -> None:
        self._function, self._outputs = function, outputs
        self.__name__ = self.__qualname__ = self._type = type_name
        self._signature = inspect.signature(self._function)

    def __call__(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Raises TypeError for positional, missing or unknown arguments."""
        known = self._signature.parameters
        if args:
            raise TypeError(f"{self._type} only takes keyword args (possible keys: "
                            f"{[*known, 'name']}). Please pass these args as kwargs "
                            "instead.")  # fmt: skip
        given = {k: v for k, v in kwargs.items() if k in known or not _is_type(v)}
        try:
            self._signature.bind(**given)
        except TypeError as error:
            raise TypeError(f"{self._type} takes {list(known)}, got {list(kwargs)}") from error
        return named(self._type, self._outputs, self._function(**given))

    def __repr__(self) -> str:
        return f"<raw op {self._type}>"


def _is_type(value: Any) -> bool:
    return isinstance(value, (dt.DType, type))


def _attribute(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value) if isinstance(value, list) else value


def _callable(op: Op) -> bool:
    return op.effects in (PURE, RANDOM, IO)


_OF_VARIABLES = {"ResourceApplyGradientDescent": resource_apply_gradient_descent}


def _entries() -> dict[str, Any]:
    from shardtape.raw_functions import ENTRIES  # many: not before one is asked for

    return ENTRIES


def __getattr__(name: str) -> Any:
    if name in _OF_VARIABLES:
        return _OF_VARIABLES[name]
    entry = _entries().get(name)
    if entry is not None:
        function = globals()[name] = RawFunction(name, *entry)
        return function
    op = REGISTRY.get(name)
    if op is None or not _callable(op):
        known = [n for n, o in REGISTRY.items() if _callable(o)]
        raise AttributeError(missing_text("tf.raw_ops", name, known))
    made = globals()[name] = RawOp(op)
    return made


def __dir__() -> list[str]:
    return sorted({*_OF_VARIABLES, *_entries(), *(n for n, o in REGISTRY.items() if _callable(o))})

"""Calls of public functions on symbolic tensors, each of which Keras shows as a layer.

Keras makes a layer (`TFOpLambda`) of each function or operator that is called on a symbolic tensor,
named after it: `tf.math.multiply`. Here the ops arrive one by one; the frame of the function that
the user called says which of them belong together, and what it is called.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from shardtape.ops.registry import Op
from shardtape.tensor import SymbolicTensor

_OWN, _KERAS = "shardtape.", "shardtape.keras."
# Frames of these only hand on what was called.
_BETWEEN = ("shardtape.graph.", "shardtape.experimental.dispatching")
_NUMPY = "shardtape.experimental.numpy"
PART, RAGGED_PART = "__operators__.getitem", "__operators__.ragged_getitem"
_SLICES = (PART, RAGGED_PART, "compat.v1.boolean_mask")

# Names under which Keras knows operators; the rest of them goes by the op.
_OPERATORS = {
    "add": "__operators__.add", "sub": "math.subtract", "mul": "math.multiply",
    "truediv": "math.truediv", "floordiv": "compat.v1.floor_div", "mod": "math.floormod",
    "pow": "math.pow", "matmul": "linalg.matmul",
}  # fmt: skip
_BY_TYPE = {"Equal": "__operators__.eq", "NotEqual": "__operators__.ne", "Abs": "math.abs"}

# Where a function is found under several names, the first of these places names it ...
_PLACES = (
    "math", "linalg", "strings", "signal", "random", "sparse", "ragged", "debugging", "io", "sets",
    "bitwise", "audio", "nn", "image", "",
)  # fmt: skip
# ... except for these, which go by another
_ALIASES = (
    "guarantee_const", "linalg.einsum", "linalg.eye", "linalg.norm", "linalg.tensordot",
    "math.log_softmax", "math.softmax", "math.softsign",
)  # fmt: skip
# TensorFlow's functions that hand on to an older one, which is what Keras sees
_RENAMED = {
    "boolean_mask": "compat.v1.boolean_mask", "gather": "compat.v1.gather",
    "gather_nd": "compat.v1.gather_nd", "math.scalar_mul": "compat.v1.math.scalar_mul",
    "nn.crelu": "compat.v1.nn.crelu", "nn.weighted_moments": "compat.v1.nn.weighted_moments",
    "math.divide": "math.truediv", "math.floordiv": "compat.v1.floor_div",
    "nn.conv1d": "compat.v1.nn.conv1d", "nn.conv2d": "compat.v1.nn.conv2d",
    "nn.depthwise_conv2d": "compat.v1.nn.depthwise_conv2d",
    "nn.embedding_lookup": "compat.v1.nn.embedding_lookup", "norm": "compat.v1.norm",
    "nn.sigmoid_cross_entropy_with_logits": "compat.v1.nn.sigmoid_cross_entropy_with_logits",
    "nn.softmax_cross_entropy_with_logits": "compat.v1.nn.softmax_cross_entropy_with_logits_v2",
    "nn.sparse_softmax_cross_entropy_with_logits":
        "compat.v1.nn.sparse_softmax_cross_entropy_with_logits",
    "pad": "compat.v1.pad", "shape": "compat.v1.shape", "size": "compat.v1.size",
    "squeeze": "compat.v1.squeeze", "transpose": "compat.v1.transpose",
}  # fmt: skip
_BARE = re.compile(r"_\d+$")  # what makes the name of an operation unique
_BY_TYPES_NAME = ("__operators__.add", "compat.v1.floor_div")  # their operation is so called
_TAKE_LISTS = ("ConcatV2", "Pack", "AddN")  # ops whose first argument is a list
# Functions that are no call of their own: Keras sees what they call.
_TRANSPARENT = {
    "shardtape.ops.normalization": ("batch_normalization", "moments"),
    "shardtape.ops.compare": ("logical_xor",),
    "shardtape.ragged.elementwise": ("map_flat_values",),
}


class FunctionCall:
    """One call of a public function on symbolic tensors.

    Attributes:
      function: its public name, without "tf.".
      name: of the layer that shows it.
      ops: the operations that it added, in their order.
      given: its arguments by name, without those that are as by default; None where they are not
        known.
    """

    given: dict[str, Any] | None = None

    def __init__(self, function: str, name: str, slices: bool | None = None) -> None:
        self.function, self.name = function, name
        self.slices = function in _SLICES if slices is None else slices
        self.ops: list[Any] = []
        self._layer: Any = None

    @property
    def class_name(self) -> str:
        return "SlicingOpLambda" if self.slices else "TFOpLambda"

    @property
    def layer(self) -> Any:
        """The layer that shows the call."""
        if self._layer is None:
            from shardtape.keras.layers.operations import SlicingOpLambda, TFOpLambda

            self._layer = (SlicingOpLambda if self.slices else TFOpLambda)(self)
        return self._layer

    def own_name(self, op: Any) -> str:
        """The name of one of the operations, as if the function had a graph for itself."""
        names = [_BARE.sub("", o.name.rpartition("/")[2]) for o in self.ops]
        place = self.ops.index(op)
        if self.function in _BY_TYPES_NAME:
            return str(op.type)
        before = names[:place].count(names[place])
        return f"{names[place]}_{before}" if before else names[place]

    def results(self) -> list[SymbolicTensor]:
        """The tensors that the function returned: those that it made and did not use up."""
        used = {t._id for op in self.ops for t in op.inputs}
        left = [t for op in self.ops for t in op.outputs if t._id not in used]
        last = self.ops[-1].outputs
        return left or list(last)

    def arguments(self) -> list[SymbolicTensor]:
        """The tensors that it was called on, in the order of the last operation's inputs."""
        own = {id(op) for op in self.ops}
        seen: set[int] = set()

        def given(op: Any) -> Iterator[SymbolicTensor]:
            for t in op.inputs:
                if id(t.op) not in own:
                    if t.op.inputs or t.op.type == "Placeholder":
                        yield t
                elif id(t.op) not in seen:
                    seen.add(id(t.op))
                    yield from given(t.op)

        found: list[SymbolicTensor] = []
        for t in self.results():
            if id(t.op) not in seen:
                seen.add(id(t.op))
                found.extend(given(t.op))
        if len(self.ops) == 1:
            return found
        return list({t._id: t for t in found}.values())


class CallNode:
    """A FunctionCall as the call of its layer; see `symbolic.Node`."""

    kwargs: dict[str, Any] = {}
    index = 0

    def __init__(self, call: FunctionCall) -> None:
        self._call = call

    @property
    def layer(self) -> Any:
        return self._call.layer

    @property
    def args(self) -> tuple[Any, ...]:
        given = self._call.arguments()
        listed = self._call.ops[-1].type in _TAKE_LISTS
        return (given if listed or not given else given[0],)

    @property
    def outputs(self) -> Any:
        made = self._call.results()
        return made[0] if len(made) == 1 else made

    def inputs(self) -> Iterator[SymbolicTensor]:
        """The symbolic tensors among the arguments."""
        yield from self._call.arguments()

    def place_of(self, tensor: SymbolicTensor) -> int:
        """The place of a tensor among the outputs; 0 for one that the function used itself."""
        ids = [t._id for t in self._call.results()]
        return ids.index(tensor._id) if tensor._id in ids else 0


def entered() -> FrameType | None:
    """The frame of the public function that is being called, from the user's code or Keras's."""
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(_OWN):
            if module not in ("contextlib", "functools"):
                break
        elif module.startswith(_KERAS):
            if found is not None:
                break
        elif module.startswith(_NUMPY) or frame.f_code.co_name in _TRANSPARENT.get(module, ()):
            break
        elif not module.startswith(_BETWEEN):
            found = frame
        frame = frame.f_back
    return found


def function_of(frame: FrameType | None, op: Op) -> str:
    """The public name of the function of a frame, without "tf."; else one after its first op."""
    found = None
    if frame is not None:
        code, module = frame.f_code, frame.f_globals.get("__name__", "")
        if module == "shardtape.ops.operators":
            found = _operator(code, frame, op)
        elif module == "shardtape.ops.indexing" and code.co_name == "getitem":
            found = "__operators__.getitem"
        elif module == "shardtape.ops.registry" or module == "shardtape.ops.dispatch":
            found = _names().of_op(frame.f_locals.get("self", op))
        else:
            found = _names().of_code(code, frame)
    found = found or _names().of_op(op) or f"raw_ops.{op.type}"
    return _RENAMED.get(found, found)


def arguments_of(frame: FrameType | None, op: Op, inputs: Any, attrs: Any) -> Any:
    """The arguments of the public function of a frame, by name, first of all its first one.

    Args:
      op, inputs, attrs: the operation that is added, which is all that a public op does.

    Returns None where the frame does not say.
    """
    if frame is None:
        return None
    code, module = frame.f_code, frame.f_globals.get("__name__", "")
    if module in ("shardtape.ops.registry", "shardtape.ops.dispatch"):
        if frame.f_locals.get("self", op) is not op or len(op.input_names) != len(inputs):
            return None
        usual = op.attr_defaults
        more = {k: v for k, v in attrs.items() if k in usual and not _is(v, usual[k])}
        return {**dict(zip(op.input_names, inputs)), **more}
    function = _names().function_of_code(code, frame)
    if function is None:
        return None
    count = code.co_argcount + code.co_kwonlyargcount
    names, values = code.co_varnames, frame.f_locals
    args = [values.get(n) for n in names[: code.co_argcount]]
    kwargs = {n: values.get(n) for n in names[code.co_argcount : count]}
    if code.co_flags & inspect.CO_VARARGS:
        args += values.get(names[count], ())
        count += 1
    if code.co_flags & inspect.CO_VARKEYWORDS:
        kwargs.update(values.get(names[count], {}))
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return None
    first = next(iter(signature.parameters), None)
    given = {}
    for name, value in bound.items():
        parameter = signature.parameters[name]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        if name != "name" and (name == first or not _is(value, parameter.default)):
            given[name] = value
    return given


def _is(value: Any, usual: Any) -> bool:
    """Whether an argument is as by default."""
    return value is usual or (
        type(value) is type(usual) and not hasattr(value, "shape") and bool(value == usual)
    )


def _operator(code: CodeType, frame: FrameType, op: Op) -> str | None:
    if code.co_name in ("forward", "backward"):
        return _OPERATORS.get(frame.f_locals.get("name", ""))
    return _BY_TYPE.get(op.type)


class _PublicNames:
    """Under which names functions and ops are public."""

    def __init__(self) -> None:
        import shardtape
        from shardtape.absent import namespace

        self._ops: dict[int, str] = {}
        self._types: dict[str, str] = {}
        self._functions: dict[CodeType, list[tuple[Any, str]]] = {}
        for place in _PLACES:
            module = namespace(shardtape, place)
            for name, value in sorted(vars(module).items()) if module is not None else ():
                path = f"{place}.{name}" if place else name
                if not name.startswith("_") and path not in _ALIASES:
                    self._add(value, path)

    def _add(self, value: Any, path: str) -> None:
        if isinstance(value, type):
            return
        while hasattr(value, "__code__"):  # what decorators put around it, then itself
            known = self._functions.setdefault(value.__code__, [])
            if all(value is not other for other, _ in known):
                known.append((value, path))
            value = getattr(value, "__wrapped__", None)
        if isinstance(value, Op):
            self._ops.setdefault(id(value), path)
            self._types.setdefault(value.type, path)

    def of_op(self, op: Any) -> str | None:
        if not isinstance(op, Op):
            return None
        return self._ops.get(id(op)) or self._types.get(op.type)

    def of_code(self, code: CodeType, frame: FrameType) -> str | None:
        found = self._found(code, frame)
        return None if found is None else found[1]

    def function_of_code(self, code: CodeType, frame: FrameType) -> Any:
        found = self._found(code, frame)
        return None if found is None else found[0]

    def _found(self, code: CodeType, frame: FrameType) -> tuple[Any, str] | None:
        found = self._functions.get(code, [])
        for function, path in found:
            if len(found) == 1 or _closes_over(function, code, frame):
                return function, path
        return None


def _closes_over(function: Any, code: CodeType, frame: FrameType) -> bool:
    """Whether a frame runs this one of the functions that share their code."""
    cells = zip(code.co_freevars, function.__closure__ or ())
    return all(frame.f_locals.get(name) is cell.cell_contents for name, cell in cells)


_found: list[_PublicNames] = []


def _names() -> _PublicNames:
    if not _found:
        _found.append(_PublicNames())
    return _found[0]

"""What the errors of kernels say: TensorFlow's words, where its users see them."""

from __future__ import annotations

import dis
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.registry import Op

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_RAISE = dis.opmap["RAISE_VARARGS"]
# the names that TensorFlow's functions give their nodes where they are given none
_NAMES = {"ConcatV2": "concat", "Pack": "stack", "Split": "split", "SplitV": "split",
          "Unpack": "unstack"}  # fmt: skip
# ops whose functions make tensors of sequences before they call the op
_CONVERTED = frozenset(
    ("AddV2", "Sub", "Mul", "RealDiv", "FloorDiv", "FloorMod", "MatMul", "BatchMatMulV2",
     "ConcatV2", "Pack", "Split", "SplitV", "Einsum")
)  # fmt: skip
# ops that are given sequences, as a rule
_GIVEN_SEQUENCES = frozenset(
    ("Reshape", "Slice", "Tile", "Transpose", "Fill", "BroadcastTo", "Pad", "PadV2", "MirrorPad",
     "OneHot", "ScatterNd", "DecodeRaw", "ReadFile", "StringToNumber")
)  # fmt: skip
# ops of one kernel in TensorFlow, too, so that their name tells the same
_NAMED = frozenset(
    ("FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod", "ReadFile", "CheckNumerics")
)
_SEQUENCES = (list, tuple, str, bytes)


def shown(shape: Iterable[Any]) -> str:
    """A shape as TensorFlow's kernels write it: `[2,3]`."""
    return f"[{','.join(map(str, shape))}]"


def cpp_name(dtype: dt.DType) -> str:
    """A type's name in the errors of TensorFlow's kernels."""
    return {"float32": "float", "float64": "double", "float16": "half"}.get(dtype.name, dtype.name)


def kernel_error(op: Op, arrays: Any, error: BaseException) -> errors.OpError:
    """The error of TensorFlow's kind for what a kernel raised."""
    shapes = [list(getattr(a, "shape", ())) for a in arrays]
    text = None
    if op.broadcasts and len(shapes) == 2:
        text = f"Incompatible shapes: {shown(shapes[0])} vs. {shown(shapes[1])}"
    elif _in_own_words(error):
        text = str(error)
    elif op.type in _TEXTS and arrays:
        text = _TEXTS[op.type](arrays)
    if text is None:
        text = f"{error} (input shapes: {', '.join(map(str, shapes))})"
    return errors.InvalidArgumentError(None, None, f"{text} [Op:{op.type}]")


def complete(error: errors.OpError, op: Op, given: Sequence[Any]) -> None:
    """Adds to the text of an eager call what TensorFlow's has at its end.

    TensorFlow names the node, unless it had to make a tensor of a Python sequence or text.
    """
    text = error.message
    if op.type in _NAMED and "[Op:" not in text:
        text = f"{text} [Op:{op.type}]"
    sequences = op.type in _GIVEN_SEQUENCES or any(type(x) in _SEQUENCES for x in given)
    if text.endswith(f"[Op:{op.type}]") and (op.type in _CONVERTED or not sequences):
        text = f"{text} name: {_NAMES.get(op.type, '')}"
    if text is not error.message:
        error._message, error.args = text, (text,)


def _in_own_words(error: BaseException) -> bool:
    """Whether a kernel raised the error itself, and not NumPy below it."""
    at = error.__traceback__
    if at is None:
        return False
    while at.tb_next is not None:
        at = at.tb_next
    code = at.tb_frame.f_code
    return code.co_filename.startswith(_PACKAGE) and code.co_code[at.tb_lasti] == _RAISE


# ---- what NumPy says in its own way --------------------------------------------------------------
def _concat(arrays: Any) -> str | None:
    *values, axis = arrays
    first = values[0]
    at = int(axis) % first.ndim if first.ndim else 0
    for i, value in enumerate(values[1:], 1):
        if value.ndim != first.ndim:
            return (
                f"ConcatOp : Ranks of all input tensors should match: shape[0] = "
                f"{shown(first.shape)} vs. shape[{i}] = {shown(value.shape)}"
            )
        for d, (a, b) in enumerate(zip(first.shape, value.shape)):
            if d != at and a != b:
                return (
                    f"ConcatOp : Dimension {d} in both shapes must be equal: shape[0] = "
                    f"{shown(first.shape)} vs. shape[{i}] = {shown(value.shape)}"
                )
    return None


def _pack(arrays: Any) -> str | None:
    first = arrays[0].shape
    for i, value in enumerate(arrays):
        if value.shape != first:
            return (
                f"Shapes of all inputs must match: values[0].shape = {shown(first)} != "
                f"values[{i}].shape = {shown(value.shape)}"
            )
    return None


def _transpose(arrays: Any) -> str | None:
    x, perm = arrays
    if perm.size == x.ndim:
        return None
    return (
        f"transpose expects a vector of size {x.ndim}. But input(1) is a vector of size {perm.size}"
    )


def _broadcast_to(arrays: Any) -> str:
    return f"Incompatible shapes: {shown(arrays[0].shape)} vs. {shown(arrays[1].tolist())}"


def _fill(arrays: Any) -> str | None:
    negative = [d for d in arrays[0].tolist() if d < 0]
    return f"Dimension {negative[0]} must be >= 0" if negative else None


def _select(arrays: Any) -> str:
    c, t, e = [shown(a.shape) for a in arrays]
    return f"condition {c}, then {t}, and else {e} must be broadcastable"


_TEXTS: dict[str, Callable[[Any], str | None]] = {
    "ConcatV2": _concat,
    "Pack": _pack,
    "Transpose": _transpose,
    "BroadcastTo": _broadcast_to,
    "Fill": _fill,
    "SelectV2": _select,
}

"""Which functions do to each row of a batch what they do to a single row.

Such a function of rows of arrays runs once for a whole batch. Only ops are let through whose
result for an element is the same bits wherever the element stands: casts, comparisons, basic
arithmetic, `one_hot` and the like; no reductions and no functions that numpy computes by vector
instructions in blocks (exp, sin, ...).
"""

from __future__ import annotations

from typing import Any

from shardtape.graph.static import constant_value
from shardtape.tensor import SymbolicTensor

_ELEMENTWISE = frozenset(
    ("Cast", "Identity", "StopGradient", "Neg", "Abs", "Sign", "Square", "Floor", "Ceil",
     "LogicalNot", "ZerosLike", "OnesLike")
)  # fmt: skip
_BROADCASTING = frozenset(
    ("AddV2", "Add", "Sub", "Mul", "RealDiv", "Div", "FloorDiv", "FloorMod", "Maximum", "Minimum",
     "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd",
     "LogicalOr", "SquaredDifference", "SelectV2")
)  # fmt: skip


def is_rowwise(traced: Any) -> bool:
    """Whether a `TracedFunction` may run on batches of its arguments; found out once."""
    known = traced.__dict__.get("_rowwise")
    if known is None:
        known = traced.__dict__["_rowwise"] = not traced.debug and _analyse(traced)
    return known


def _analyse(traced: Any) -> bool:
    if not (traced.input.plain and traced.output.plain) or traced._effects or traced._random:
        return False
    rows = {p._id for p in traced._placeholders}
    # what depends on the arguments, and so has the rows as a new first axis
    if any(t.shape.rank is None for t in traced._placeholders):
        return False
    captured = {p._id for _, p in traced.graph.captures}
    for node in traced._plan.nodes:
        if node.op_def.type == "Placeholder":
            continue
        of_rows = [t._id in rows for t in node.inputs]
        if not any(of_rows):
            if any(t._id in captured for t in node.inputs) or node.type == "Const":
                continue
            return False
        if node.control_inputs or not _allowed(node, of_rows):
            return False
        rows.update(t._id for t in node.outputs)
    return all(t._id in rows for t in traced._outputs)


def _allowed(node: Any, of_rows: list[bool]) -> bool:
    if node.type in _ELEMENTWISE:
        return True
    output: SymbolicTensor = node.outputs[0]
    rank = output.shape.rank
    if rank is None:
        return False
    if node.type in _BROADCASTING:
        # the axes are counted from the right: one of lower rank would meet the rows' axis
        return all(
            t.shape.rank == rank if is_row else t.shape.rank is not None and t.shape.rank <= rank
            for t, is_row in zip(node.inputs, of_rows)
        )
    if node.type == "OneHot":
        return of_rows == [True, False, False, False] and node.attrs.get("axis", -1) == -1
    if node.type == "ExpandDims":
        axis = constant_value(node.inputs[1]) if of_rows == [True, False] else None
        return axis is not None and int(axis) < 0
    return False

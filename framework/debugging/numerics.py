"""Infinities and NaNs: a check of one tensor, and of everything that runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import refresh, state
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import op, same_as
from shardtape.tensor import EagerTensor


@op("CheckNumerics", dtypes=dt.FLOATING, shape=same_as(0), widen=False,
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {"message": "m"})])  # fmt: skip
def check_numerics_op(xp, tensor, *, message):
    """The tensor; raises where it has infinities or NaNs."""
    wide = tensor.astype(np.float32) if tensor.dtype.kind == "V" else tensor
    nan, inf = bool(xp.isnan(wide).any().item()), bool(xp.isinf(wide).any().item())
    if nan or inf:
        what = "Inf and NaN" if nan and inf else "NaN" if nan else "Inf"
        raise errors.InvalidArgumentError(f"{message} : Tensor had {what} values")
    return tensor


@check_numerics_op.gradient
def _(g, _y, _tensor, *, message):
    return check_numerics_op(
        g, message="Not a number (NaN) or infinity (Inf) values detected in gradient. " + message
    )


@takes_composites
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor; raises InvalidArgumentError, which `message` begins, for infinities and NaNs.

    So does its gradient.
    """
    return check_numerics_op(convert_to_tensor(tensor), message=message, name=name)


class _Watcher:
    """Sees every op as a tape does, and looks at its results."""

    def record(self, op: Any, inputs: Any, attrs: Any, outputs: Any) -> None:
        count = len(outputs)
        for i, out in enumerate(outputs):
            if type(out) is not EagerTensor or getattr(out._array, "dtype", None) is None:
                continue
            a = np.asarray(out._host()) if out._array.dtype != object else None
            if a is None or out.dtype not in dt.FLOATING:
                continue
            wide = a.astype(np.float32) if a.dtype.kind == "V" else a
            if not np.isfinite(wide).all():
                raise errors.InvalidArgumentError(_report(op, inputs, i, count, wide, out))

    def read(self, variable: Any) -> None: ...


def _report(op: Any, inputs: Any, index: int, count: int, a: np.ndarray, out: Any) -> str:
    kinds = {"-Inf": np.isneginf(a), "+Inf": np.isposinf(a), "+NaN": np.isnan(a)}
    lines = [
        f'\n\n!!! Detected Infinity or NaN in output {index} of eagerly-executing op "{op.type}" '
        f"(# of outputs: {count}) !!!",
        f"  dtype: {out.dtype}",
        f"  shape: {out.shape}",
        *[f"  # of {k} elements: {v.sum()}" for k, v in kinds.items() if v.any()],
    ]
    given = [x for x in inputs if type(x) is EagerTensor]
    if len(given) == 1:
        lines.append(f"\n  Input tensor: {given[0]!s}")
    elif given:
        lines.append(f"\n  Input tensors ({len(given)}):")
        lines += [f"         {i}: {x!s}" for i, x in enumerate(given)]
    return "\n".join(lines)


_watcher = _Watcher()


def enable_check_numerics(stack_height_limit: int = 30, path_length_limit: int = 50) -> None:
    """From now on every op of this thread that gives infinities or NaNs raises
    InvalidArgumentError naming it; a function that is called counts as one op."""
    if not any(r is _watcher for r in state.recorders):
        state.recorders = (_watcher, *state.recorders)
        refresh()


def disable_check_numerics() -> None:
    """Ends what `enable_check_numerics` began."""
    state.recorders = tuple(r for r in state.recorders if r is not _watcher)
    refresh()

"""Assertions on values: at once where they are known, as operations in a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.graph.static import constant_value
from shardtape.ops import compare
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import abs
from shardtape.ops.reduce import reduce_all
from shardtape.ops.registry import IO, op
from shardtape.ops.selecting import matching
from shardtape.ops.value_text import summarized
from shardtape.tensor import EagerTensor


@op("Assert", dtypes=dt.ANY, mixed=True, outputs=0, effects=IO, direct=True, widen=False,
    differentiable=False, dtype=lambda dtypes, attrs: (),
    shape=lambda *inputs, **attrs: [])  # fmt: skip
def assert_op(xp, condition, *data, texts=(), summarize=3):
    """Raises where the scalar condition is false, with texts and the values of `data`.

    Args:
      texts: what stands before each value; one more where text follows the last one.
    """
    if not bool(condition):
        parts = []
        for i in range(max(len(texts), len(data))):
            parts.append(f"[{texts[i]}]" if i < len(texts) and texts[i] else "")
            parts.append(f"[{_shown(data[i], summarize)}]" if i < len(data) else "")
        text = " ".join(p for p in parts if p)
        raise errors.InvalidArgumentError(f"assertion failed: {text}")
    return ()


def _shown(value: Any, summarize: int | None) -> str:
    return summarized(np.asarray(value), 3 if summarize is None else summarize)


def Assert(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> Any:
    """Raises InvalidArgumentError with the values of `data` where the condition is false.

    In a graph it is an operation that runs in the program's order.
    """
    tensor = convert_to_tensor(condition)
    if isinstance(tensor, EagerTensor):
        if not bool(tensor):
            shown = ", ".join(_plain(x, summarize) for x in data)
            raise errors.InvalidArgumentError(
                f"Expected '{condition!s}' to be true. Summarized data: {shown}"
            )
        return None
    texts: list[str] = []
    values: list[Any] = []
    for x in data:
        if isinstance(x, str):
            texts.append(x)
            continue
        texts += [""] * (len(values) - len(texts))
        values.append(x)
    return assert_op(tensor, *values, texts=tuple(texts), summarize=summarize or 3, name=name)


def _plain(x: Any, summarize: int | None) -> str:
    if isinstance(x, str):
        return x
    flat = np.asarray(convert_to_tensor(x)._host()).reshape(-1)  # type: ignore[attr-defined]
    count = 3 if summarize is None else summarize
    shown = flat if count < 0 else flat[:count]
    text = "\n".join(str(v) for v in shown)
    return text.replace("\n", ", ") + (", ..." if len(shown) < len(flat) else "")


# ---- two values -------------------------------------------------------------------------------
def _binary(sign: str, function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def check(
        x: Any, y: Any, message: str | None = None, summarize: int | None = None,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        x, y = matching(x, y)
        return _compared(sign, function, x, y, message, summarize)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = (
        f"Raises InvalidArgumentError where not all `x {sign} y` hold, elementwise.\n\n"
        "    Args:\n      message: begins the text.\n"
        "      summarize: how many elements it shows (3)."
    )
    return check


def _compared(
    sign: str, function: Callable[..., Any], x: Any, y: Any, message: str | None,
    summarize: int | None,
) -> Any:  # fmt: skip
    held = function(x, y)
    if isinstance(held, EagerTensor):
        if bool(reduce_all(held)):
            return None
        raise errors.InvalidArgumentError(_difference(sign, held, x, y, message, summarize))
    known = constant_value(reduce_all(held))
    if known is not None and not known:
        raise errors.InvalidArgumentError(f"{message or ''}\nCondition x {sign} y did not hold.")
    text = f"{message} " if message else ""
    texts = (f"{text}Condition x {sign} y did not hold element-wise: x = ", "y = ")
    return assert_op(reduce_all(held), x, y, texts=texts, summarize=summarize or 3)


def _difference(
    sign: str, held: Any, x: Any, y: Any, message: str | None, summarize: int | None
) -> str:
    count = 3 if summarize is None else summarize
    lines = [message] if message else []
    lines.append(f"Condition x {sign} y did not hold.")
    a, b = np.asarray(x._host()), np.asarray(y._host())
    mask = np.logical_not(held._host())
    if a.shape == b.shape and mask.ndim:
        places = np.argwhere(mask)[: count if count >= 0 else None]
        at = tuple(places.T)
        lines += [
            f"Indices of first {len(places)} different values:", str(places),
            "Corresponding x values:", str(a[at]), "Corresponding y values:", str(b[at]),
        ]  # fmt: skip
    for label, value in (("x", a), ("y", b)):
        shown = value.reshape(-1)[: count if count >= 0 else None]
        lines += [f"First {len(shown)} elements of {label}:", str(shown)]
    return "\n".join(lines)


assert_equal = _binary("==", compare.equal, "assert_equal")
_none_equal = _binary("!=", compare.not_equal, "assert_none_equal")
assert_less = _binary("<", compare.less, "assert_less")
assert_less_equal = _binary("<=", compare.less_equal, "assert_less_equal")
assert_greater = _binary(">", compare.greater, "assert_greater")
assert_greater_equal = _binary(">=", compare.greater_equal, "assert_greater_equal")


def assert_none_equal(
    x: Any, y: Any, summarize: int | None = None, message: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Raises InvalidArgumentError where `x == y` holds for some element."""
    return _none_equal(x, y, message, summarize, name)


def assert_near(
    x: Any, y: Any, rtol: Any = None, atol: Any = None, message: str | None = None,
    summarize: int | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Raises InvalidArgumentError where |x - y| > atol + rtol * |y| somewhere.

    Args:
      rtol, atol: ten times the distance of 1 and the next number by default.
    """
    x, y = matching(x, y)
    kind = x.dtype.real_dtype
    tolerance = 10 * np.finfo(kind.numpy_dtype if kind.name != "bfloat16" else np.float16).eps
    rtol = cast(convert_to_tensor(tolerance if rtol is None else rtol), kind)
    atol = cast(convert_to_tensor(tolerance if atol is None else atol), kind)
    held = compare.less_equal(abs(x - y), atol + rtol * abs(y))
    return Assert(
        reduce_all(held),
        [message or "", f"x and y not equal to tolerance rtol = {rtol!s}, atol = {atol!s}",
         "x = ", x, "y = ", y],
        summarize,
    )  # fmt: skip


# ---- one value --------------------------------------------------------------------------------
def _unary(sign: str, function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def check(
        x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> Any:
        tensor = convert_to_tensor(x)
        held = function(tensor, convert_to_tensor(0, tensor.dtype))
        if isinstance(held, EagerTensor):
            if bool(reduce_all(held)):
                return None
            count = 3 if summarize is None else summarize
            shown = [str(v) for v in np.asarray(tensor._host()).reshape(-1)]  # type: ignore
            shown = shown if count < 0 or len(shown) <= count else [*shown[:count], "..."]
            raise errors.InvalidArgumentError(
                f"{message or ''}\nCondition x {sign} 0 did not hold element-wise:\n"
                f"x (shape={tensor.shape} dtype={tensor.dtype.name}) = \n{shown}"
            )
        text = f"{message} " if message else ""
        return assert_op(
            reduce_all(held), tensor, summarize=summarize or 3,
            texts=(f"{text}Condition x {sign} 0 did not hold element-wise: x = ",),
        )  # fmt: skip

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"Raises InvalidArgumentError where not all `x {sign} 0` hold."
    return check


assert_positive = _unary(">", compare.greater, "assert_positive")
assert_negative = _unary("<", compare.less, "assert_negative")
assert_non_negative = _unary(">=", compare.greater_equal, "assert_non_negative")
assert_non_positive = _unary("<=", compare.less_equal, "assert_non_positive")


def assert_all_finite(x: Any, message: str | None, name: str | None = None) -> Any:
    """`x`; raises InvalidArgumentError for infinities and NaNs in it."""
    from shardtape.debugging.numerics import check_numerics

    return check_numerics(x, message or "")

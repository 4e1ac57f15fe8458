"""Update rules: what an optimizer does to one array, here and on a shard alike.

A rule works in place, in blocks that stay in the processor's cache, and makes no temporary of the
array's size. It is elementwise, so a row range of a variable is updated exactly as it would be
inside the whole variable: results do not depend on how many shards hold it. What needs the whole
variable, or all of them (norm clipping), is a factor that the caller brings as `scale`.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from shardtape.errors import InvalidArgumentError
from shardtape.optimizers.schedules import LearningRateSchedule, schedule_from_config

# Elements per block. Measured with 3.7 MB of float32 on one core with 1 MiB of second-level cache:
# SGD 0.22, 0.15, 0.14 ms and Adam 1.23, 1.02, 1.11 ms with 16, 64, 128 Ki; unblocked 0.16 and 1.14
# (and a temporary of the array's size).
BLOCK_ELEMENTS = 64 << 10

_HALF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
_FLOAT32 = np.dtype(np.float32)
_FLOATS = (_FLOAT32, np.dtype(np.float64), *_HALF)


def compute_dtype(dtype: Any) -> np.dtype:
    """The dtype that a rule computes and keeps slots in: float32 for the half types."""
    dtype = np.dtype(dtype)
    if dtype not in _FLOATS:
        raise InvalidArgumentError(
            f"an optimizer cannot update a variable of dtype {dtype.name}: it takes float16, "
            "bfloat16, float32 and float64"
        )
    return _FLOAT32 if dtype in _HALF else dtype


class _Scratch(threading.local):
    """Temporaries of one block, kept from call to call: fresh pages cost more than the work."""

    def __init__(self) -> None:
        self._kept: dict[tuple[np.dtype, int], np.ndarray] = {}

    def take(self, xp: Any, dtype: np.dtype, number: int, elements: int) -> Any:
        if xp is not np:
            return xp.empty(elements, dtype)  # cupy has a pool of its own
        buffer = self._kept.get((dtype, number))
        if buffer is None or buffer.size < elements:
            buffer = np.empty(max(elements, BLOCK_ELEMENTS), dtype)
            self._kept[dtype, number] = buffer
        return buffer


_scratch = _Scratch()


class Rule:
    """Base of the update rules.

    Args:
      learning_rate: a float or a `LearningRateSchedule`; used only by `learning_rate_at`.
      weight_decay: None, or the factor of `param -= param * weight_decay * learning_rate`, which
        comes before the update.
      clipvalue: None, or the bound of each gradient element's absolute value.
      use_ema, ema_momentum, ema_overwrite_frequency: keep a moving average of the parameters in
        the slot "average", and write it over them every so many steps (None: never).
      exclude_from_weight_decay: regular expressions; a variable whose name one of them finds is
        not decayed (see `for_variable`).
      older: compute as Keras's legacy optimizers do: most of them change only the rows that a
        sparse gradient names, and they round 1 - beta in the type of the computation.

    A subclass names its slots, computes `factors` once per call, and updates one block.
    """

    class_name: ClassVar[str] = "Rule"
    # True: rows without gradient stay as they are, so a sparse gradient costs only its rows
    touches_only_rows: bool = False

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        weight_decay: float | None = None,
        clipvalue: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        exclude_from_weight_decay: tuple[str, ...] = (),
        older: bool = False,
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipvalue = clipvalue
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.exclude_from_weight_decay = tuple(exclude_from_weight_decay)
        self.older = older

    # ---- what a subclass gives ---------------------------------------------------------------

    @property
    def own_slots(self) -> tuple[str, ...]:
        """Names of the slots that `block` gets, in its order."""
        return ()

    @property
    def decays(self) -> dict[str, float]:
        """Factors of slots that an update of rows takes before its gradients, in all rows."""
        return {}

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        """Scalars of one call, which `block` gets.

        Args:
          dtype: compute dtype; where Keras computes a factor in it, so does the rule.
          step: number of updates before this one (Keras's `iterations`).
        """
        return (learning_rate,)

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        """Updates one block: all arrays are flat, of one length and of the compute dtype.

        `p` and `slots` (the rule's own) are written, `g` is not; `t` and `u` are temporaries.
        """
        raise NotImplementedError

    def rest(self, decay: float, dtype: np.dtype) -> Any:
        """1 - decay, of a moving average."""
        return dtype.type(1) - dtype.type(decay) if self.older else 1 - decay

    # ---- what a caller uses ------------------------------------------------------------------

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays that the rule keeps per parameter array, each of its shape."""
        return (*self.own_slots, "average") if self.use_ema else self.own_slots

    def initial(self, slot: str, param: Any) -> Any:
        """First value of a slot: an array of param's shape, of the compute dtype.

        `param` has its first values (the slot "average" starts as a copy of them).
        """
        dtype = compute_dtype(param.dtype)
        if slot == "average":
            return param.astype(dtype)
        value = np.empty_like(param, dtype=dtype) if isinstance(param, np.ndarray) else (
            param.astype(dtype)
        )  # fmt: skip
        value.fill(self.initial_value(slot))
        return value

    def initial_value(self, slot: str) -> float:
        """What a slot of the rule's own is filled with at first."""
        return 0.0

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of the update that follows `step` others, rounded to float32."""
        rate = self.learning_rate
        value = rate.value(step) if isinstance(rate, LearningRateSchedule) else rate
        return float(np.float32(value))

    def for_variable(self, name: str) -> Rule:
        """This rule, or one without weight decay if the name is excluded from it."""
        if self.weight_decay is None or not any(
            re.search(pattern, name) for pattern in self.exclude_from_weight_decay
        ):
            return self
        return self.without_decay()

    def without_decay(self) -> Rule:
        """This rule without `weight_decay`."""
        rule = copy.copy(self)
        rule.weight_decay = None
        return rule

    def without_clipping(self) -> Rule:
        """This rule without `clipvalue`."""
        rule = copy.copy(self)
        rule.clipvalue = None
        return rule

    def dense(
        self,
        xp: Any,
        param: Any,
        grad: Any,
        slots: Mapping[str, Any],
        step: int,
        learning_rate: float,
        scale: float = 1.0,
    ) -> None:
        """Applies a dense gradient in place.

        Args:
          xp: numpy or cupy, the module of the arrays.
          param: C-contiguous, float16, bfloat16, float32 or float64; written.
          grad: same shape, same dtype or the compute dtype; not written.
          slots: by name, C-contiguous, param's shape, compute dtype; written.
          step: number of updates before this one.
          scale: factor of the gradient.
        """
        p = _flat(param)
        g = xp.asarray(grad).reshape(-1)
        s = [_flat(slots[name]) for name in self.slots]
        dtype = compute_dtype(p.dtype)
        f = self.factors(dtype, step, learning_rate)
        size = p.size
        length = min(size, BLOCK_ELEMENTS) if xp is np else size
        if not length:
            return
        buffers = [_scratch.take(xp, dtype, i, length) for i in range(4)]
        changed = scale != 1.0 or self.clipvalue or self.weight_decay is not None
        bare = not (changed or self.use_ema) and p.dtype == g.dtype == dtype
        for start in range(0, size, length):
            stop = min(start + length, size)
            parts = p[start:stop], g[start:stop], [a[start:stop] for a in s]
            if bare:
                t, u = buffers[0][: stop - start], buffers[1][: stop - start]
                self.block(xp, *parts, t, u, f)
            else:
                self._update(xp, *parts, buffers, f, step, learning_rate, scale)

    def rows(
        self,
        xp: Any,
        param: Any,
        rows: Any,
        grad: Any,
        slots: Mapping[str, Any],
        step: int,
        learning_rate: float,
        scale: float = 1.0,
    ) -> None:
        """Applies a gradient of some rows in place.

        The result is that of `dense` with zeros in the other rows, bit for bit, as in Keras (a
        rule with momentum moves those too); only a rule that leaves them as they are, or was made
        with `lazy=True` (or `older=True`, most of them), works on the given rows alone.

        Args:
          rows: (n,) int64, unique, in range.
          grad: (n, ...) of param's row shape.
          Others as in `dense`.
        """
        p = _flat(param)
        count = param.shape[0] if param.ndim else 1
        rows = xp.asarray(rows)
        if not p.size or (not rows.size and self.only_rows):
            return
        width = p.size // count
        g = xp.asarray(grad).reshape(rows.size, width)
        s = [_flat(slots[name]) for name in self.slots]
        dtype = compute_dtype(p.dtype)
        f = self.factors(dtype, step, learning_rate)
        apply = self._gathered if self.only_rows else self._scattered
        apply(xp, p, rows, g, s, count, width, dtype, f, step, learning_rate, scale)

    # ---- machinery ---------------------------------------------------------------------------

    @property
    def only_rows(self) -> bool:
        """Whether `rows` writes the given rows alone."""
        return self.touches_only_rows and self.weight_decay is None and not self.use_ema

    def _gathered(
        self, xp: Any, p: Any, rows: Any, g: Any, s: list[Any], count: int, width: int,
        dtype: np.dtype, f: tuple[Any, ...], step: int, learning_rate: float, scale: float,
    ) -> None:  # fmt: skip
        p, s = p.reshape(count, width), [a.reshape(count, width) for a in s]
        chunk = max(1, BLOCK_ELEMENTS // width) if xp is np else rows.size
        chunk = min(chunk, rows.size)
        buffers = [_scratch.take(xp, dtype, i, chunk * width) for i in range(4)]
        for start in range(0, rows.size, chunk):
            at = rows[start : start + chunk]
            p_rows, s_rows = p[at], [a[at] for a in s]
            self._update(
                xp, p_rows.reshape(-1), g[start : start + chunk].reshape(-1),
                [a.reshape(-1) for a in s_rows], buffers, f, step, learning_rate, scale,
            )  # fmt: skip
            p[at] = p_rows
            for a, values in zip(s, s_rows):
                a[at] = values

    def _scattered(
        self, xp: Any, p: Any, rows: Any, g: Any, s: list[Any], count: int, width: int,
        dtype: np.dtype, f: tuple[Any, ...], step: int, learning_rate: float, scale: float,
    ) -> None:  # fmt: skip
        chunk = max(1, BLOCK_ELEMENTS // width) if xp is np else count
        chunk = min(chunk, count)
        order = xp.argsort(rows)
        ordered = rows[order]
        edges = [0, rows.size]
        if chunk < count:
            edges = np.searchsorted(ordered, np.arange(0, count + chunk, chunk)).tolist()
        buffers = [_scratch.take(xp, dtype, i, chunk * width) for i in range(5)]
        for number, first in enumerate(range(0, count, chunk)):
            last = min(first + chunk, count)
            a, b = first * width, last * width
            block = buffers[4][: b - a]
            block.fill(0)
            lo, hi = edges[number], edges[number + 1]
            if hi > lo:
                block.reshape(last - first, width)[ordered[lo:hi] - first] = g[order[lo:hi]]
            self._update(
                xp, p[a:b], block, [array[a:b] for array in s], buffers, f,
                step, learning_rate, scale,
            )  # fmt: skip

    def _update(
        self, xp: Any, p: Any, g: Any, slots: list[Any], buffers: list[Any], f: tuple[Any, ...],
        step: int, learning_rate: float, scale: float,
    ) -> None:  # fmt: skip
        """One block: casts, scales, clips, decays, `block`, average."""
        n = p.size
        t, u = buffers[0][:n], buffers[1][:n]
        stored = p
        if p.dtype != t.dtype:
            p = buffers[2][:n]
            p[...] = stored
        if scale != 1.0 or self.clipvalue or g.dtype != t.dtype:
            scaled = buffers[3][:n]
            if g.dtype == t.dtype:
                xp.multiply(g, scale, scaled)
            else:
                scaled[...] = g
                if scale != 1.0:
                    xp.multiply(scaled, scale, scaled)
            g = scaled
            if self.clipvalue:
                xp.minimum(g, self.clipvalue, out=g)
                xp.maximum(g, -self.clipvalue, out=g)
        if self.weight_decay is not None:
            xp.multiply(p, self.weight_decay, t)
            xp.multiply(t, learning_rate, t)
            xp.subtract(p, t, p)
        self.block(xp, p, g, slots[:-1] if self.use_ema else slots, t, u, f)
        if self.use_ema:
            average = slots[-1]
            xp.multiply(average, self.ema_momentum, average)
            xp.multiply(p, 1 - self.ema_momentum, t)
            xp.add(average, t, average)
            if self.ema_overwrite_frequency and (step + 1) % self.ema_overwrite_frequency == 0:
                p[...] = average
        if stored is not p:
            stored[...] = p

    # ---- configuration -----------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """`{"class_name", "config"}`, JSON-able; `rule_from_config` reads it."""
        rate = self.learning_rate
        return {
            "class_name": self.class_name,
            "config": {
                "learning_rate": rate.config() if isinstance(rate, LearningRateSchedule) else rate,
                "weight_decay": self.weight_decay,
                "clipvalue": self.clipvalue,
                "use_ema": self.use_ema,
                "ema_momentum": self.ema_momentum,
                "ema_overwrite_frequency": self.ema_overwrite_frequency,
                "exclude_from_weight_decay": list(self.exclude_from_weight_decay),
                **({"older": True} if self.older else {}),
                **self.own_config(),
            },
        }

    def own_config(self) -> dict[str, Any]:
        """The subclass's part of `config`: its own arguments."""
        return {}


def learning_rate_from_config(value: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """A learning rate as `Rule.config` writes it, or as it is.

    What is exactly a float32 is taken as the short number that it was: 0.0010000000474974513, as
    files hold it, as 0.001.
    """
    if isinstance(value, float) and float(np.float32(value)) == value:
        return shortest(value)
    return schedule_from_config(value, custom_objects) if isinstance(value, dict) else value


def shortest(value: Any) -> float:
    """A float32 number as a float of as few digits: 0.1, not 0.10000000149011612."""
    return float(str(np.float32(np.asarray(value))))


def _flat(array: Any) -> Any:
    if not array.flags.c_contiguous:
        raise InvalidArgumentError(
            f"an update rule writes in place and needs a C-contiguous array, got shape "
            f"{array.shape} with strides {array.strides}"
        )
    return array.reshape(-1)

"""Ready-made samples for ops: small float64 arrays at smooth points.

Each function returns a `samples` callable for `op(...)`: `f(rng) -> [(inputs, attrs), ...]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Samples = Callable[[np.random.Generator], list[tuple[tuple[Any, ...], dict[str, Any]]]]


def normal(*cases: Any, **attrs: Any) -> Samples:
    """One sample per case; a case is a shape, or a list of shapes for several inputs."""
    return _drawn(lambda rng, shape: rng.normal(size=shape), cases, attrs)


def uniform(low: float, high: float, *cases: Any, **attrs: Any) -> Samples:
    """As `normal`, with values in [low, high)."""
    return _drawn(lambda rng, shape: rng.uniform(low, high, size=shape), cases, attrs)


def away_from_zero(*cases: Any, **attrs: Any) -> Samples:
    """As `normal`, with absolute values in [0.3, 1.5)."""

    def draw(rng: np.random.Generator, shape: Any) -> Any:
        return rng.uniform(0.3, 1.5, size=shape) * rng.choice([-1.0, 1.0], size=shape)

    return _drawn(draw, cases, attrs)


def distinct(*cases: Any, **attrs: Any) -> Samples:
    """As `normal`, with values at least 0.05 apart within one array (no ties)."""

    def draw(rng: np.random.Generator, shape: Any) -> Any:
        count = int(np.prod(shape))
        values = rng.permutation(count) * 0.15 - 0.07 * count + rng.uniform(0, 0.1, size=count)
        return values.reshape(shape)

    return _drawn(draw, cases, attrs)


def given(*cases: Any) -> Samples:
    """Fixed cases: each is `(inputs, attrs)` or a function of the generator that makes one."""
    return lambda rng: [case(rng) if callable(case) else case for case in cases]


def _drawn(draw: Callable[..., Any], cases: Any, attrs: dict[str, Any]) -> Samples:
    def samples(rng: np.random.Generator) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        made = []
        for case in cases:
            shapes = case if isinstance(case, list) else [case]
            made.append((tuple(np.asarray(draw(rng, s)) for s in shapes), dict(attrs)))
        return made

    return samples

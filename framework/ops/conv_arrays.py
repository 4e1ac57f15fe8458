"""What the convolution ops share: layouts, groups, shape rules, samples and their definition.

The arithmetic is in `patches`. `attrs` are the attributes of an op, one value per dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.ops import patches
from shardtape.ops.registry import Arg
from shardtape.ops.shape_rules import known_ints
from shardtape.ops.windows import (
    check_attributes,
    geometry,
    is_channels_first,
    output_shape,
    spatial,
    spatial_explicit,
)
from shardtape.shapes import TensorShape


def conv_attrs(
    strides: Any, padding: Any, explicit_paddings: Any, data_format: Any, dilations: Any
) -> dict[str, Any]:
    """The attributes of a convolution by name."""
    return {
        "strides": strides,
        "padding": padding,
        "explicit_paddings": explicit_paddings,
        "data_format": data_format,
        "dilations": dilations,
    }


def channels_last(xp: Any, x: Any) -> Any:
    """(n, c, spatial...) to (n, spatial..., c), contiguous."""
    return xp.ascontiguousarray(xp.moveaxis(x, 1, -1))


def channels_first(xp: Any, x: Any) -> Any:
    """(n, spatial..., c) to (n, c, spatial...), contiguous."""
    return xp.ascontiguousarray(xp.moveaxis(x, -1, 1))


def axes_of(sizes: Any, window: Any, attrs: dict[str, Any]) -> patches.Axes:
    layout = attrs["data_format"]
    return geometry(
        tuple(sizes),
        tuple(window),
        spatial(attrs["strides"], layout),
        spatial(attrs["dilations"], layout),
        attrs["padding"],
        spatial_explicit(attrs["explicit_paddings"], layout),
    )


def _groups(channels: int, filter_channels: int, features: int) -> int:
    """Number of groups of a convolution. Raises ValueError where the channels do not divide."""
    if not filter_channels or channels % filter_channels:
        raise ValueError(
            f"input depth must be evenly divisible by filter depth: {channels} vs {filter_channels}"
        )
    groups = channels // filter_channels
    if groups and features % groups:
        raise ValueError(
            f"output depth must be evenly divisible by number of groups: {features} vs {groups}"
        )
    return groups


def _parts(array: Any, groups: int) -> list[Any]:
    each = array.shape[-1] // groups
    return [array[..., i * each : (i + 1) * each] for i in range(groups)]


def convolve(xp: Any, x: Any, w: Any, attrs: dict[str, Any], out: Any = None) -> Any:
    first = is_channels_first(attrs["data_format"])
    if first:
        x = channels_last(xp, x)
    axes = axes_of(x.shape[1:-1], w.shape[:-2], attrs)
    groups = _groups(x.shape[-1], w.shape[-2], w.shape[-1])
    if groups == 1:
        y = patches.convolve(xp, x, w, axes, None if first else out)
    else:
        pairs = zip(_parts(x, groups), _parts(w, groups))
        y = xp.concatenate([patches.convolve(xp, a, b, axes) for a, b in pairs], axis=-1)
    return channels_first(xp, y) if first else y


def input_gradient(
    xp: Any, sizes: Any, w: Any, g: Any, attrs: dict[str, Any], out: Any = None
) -> Any:
    first = is_channels_first(attrs["data_format"])
    dims = sizes.tolist()
    if len(dims) == len(g.shape) - 2:  # TensorFlow takes the spatial sizes alone, too
        dims = [g.shape[0], *dims, w.shape[-2]]
    elif first:
        dims = [dims[0], *dims[2:], dims[1]]
    if first:
        g = channels_last(xp, g)
    axes = axes_of(dims[1:-1], w.shape[:-2], attrs)
    expected = (dims[0], *[a.outputs for a in axes], w.shape[-1])
    if tuple(g.shape) != expected:
        raise ValueError(
            f"input_sizes {sizes.tolist()} and a filter of shape {list(w.shape)} give an output "
            f"of shape {list(expected)}, but out_backprop has shape {list(g.shape)}"
        )
    groups = _groups(dims[-1], w.shape[-2], w.shape[-1])
    if groups == 1:
        dx = patches.input_gradient(xp, w, g, axes, None if first else out)
    else:
        pairs = zip(_parts(w, groups), _parts(g, groups))
        dx = xp.concatenate([patches.input_gradient(xp, a, b, axes) for a, b in pairs], axis=-1)
    return channels_first(xp, dx) if first else dx


def filter_gradient(
    xp: Any, x: Any, sizes: Any, g: Any, attrs: dict[str, Any], out: Any = None
) -> Any:
    if is_channels_first(attrs["data_format"]):
        x, g = channels_last(xp, x), channels_last(xp, g)
    dims = sizes.tolist()
    axes = axes_of(x.shape[1:-1], dims[:-2], attrs)
    expected = (x.shape[0], *[a.outputs for a in axes], dims[-1])
    if tuple(g.shape) != expected:
        raise ValueError(
            f"an input of shape {list(x.shape)} and filter_sizes {dims} give an output of shape "
            f"{list(expected)}, but out_backprop has shape {list(g.shape)}"
        )
    groups = _groups(x.shape[-1], dims[-2], dims[-1])
    if groups == 1:
        return patches.filter_gradient(xp, x, g, axes, out)
    pairs = zip(_parts(x, groups), _parts(g, groups))
    return xp.concatenate([patches.filter_gradient(xp, a, b, axes) for a, b in pairs], axis=-1)


# ---- shapes ---------------------------------------------------------------------------------
def forward_shape(input: Arg, filter: Arg, **attrs: Any) -> TensorShape:
    layout = attrs["data_format"]
    rank = len(attrs["strides"])
    check_attributes("Convolution", attrs["strides"], attrs["padding"], layout, attrs["dilations"])
    w = filter.shape.with_rank(rank)
    x = input.shape.with_rank(rank)
    channels = x[1 if is_channels_first(layout) else -1]
    if channels is not None and w[-2] is not None:
        _groups(channels, w[-2], w[-1] or 0)
    return output_shape(
        x, w[-1], w[:-2].as_list(), attrs["strides"], attrs["dilations"], attrs["padding"],
        attrs["explicit_paddings"], layout,
    )  # fmt: skip


def sizes_shape(index: int) -> Callable[..., TensorShape]:
    """The shape that integer input `index` of a gradient op holds."""

    def rule(*args: Arg, **attrs: Any) -> TensorShape:
        rank = len(attrs["strides"])
        dims = known_ints(args[index])
        if dims is None:
            return TensorShape([None] * rank)
        if len(dims) == rank - 2 and index == 0:
            g, w = args[2].shape.with_rank(rank), args[1].shape.with_rank(rank)
            return TensorShape([g[0], *dims, w[-2]])
        return TensorShape(dims)

    return rule


# ---- samples --------------------------------------------------------------------------------
def case(x: tuple[int, ...], w: tuple[int, ...], **attrs: Any) -> tuple[Any, ...]:
    rank = len(x)
    layout = "NHWC" if rank == 4 else "NDHWC"
    full = {"strides": (1,) * rank, "padding": "VALID", "dilations": (1,) * rank, **attrs}
    axes = axes_of(x[1:-1], w[:-2], {"data_format": layout, "explicit_paddings": (), **full})
    return x, w, (x[0], *[a.outputs for a in axes], w[-1]), full


CASES_2D = [
    case((2, 5, 4, 2), (3, 2, 2, 3)),
    case((1, 5, 6, 1), (2, 3, 1, 2), padding="SAME", strides=(1, 2, 2, 1)),
    case((1, 6, 5, 2), (2, 2, 2, 2), padding="SAME", dilations=(1, 2, 2, 1)),
    case((1, 3, 4, 2), (2, 3, 2, 1), padding="EXPLICIT",
          explicit_paddings=(0, 0, 1, 0, 2, 1, 0, 0)),
    case((2, 3, 3, 3), (1, 1, 3, 2)),
]  # fmt: skip
CASES_3D = [
    case((1, 3, 3, 4, 2), (2, 2, 3, 2, 2)),
    case((1, 3, 4, 3, 1), (2, 2, 2, 1, 2), padding="SAME", strides=(1, 2, 1, 2, 1)),
]


def samples_of(cases: list[Any], form: str) -> Callable[..., Any]:
    """`form` names the inputs: x, w, g are arrays, X and W their shapes."""

    def samples(rng: np.random.Generator) -> list[Any]:
        made = []
        for x, w, y, attrs in cases:
            shapes = {"x": x, "w": w, "g": y}
            made.append((
                tuple(
                    np.array(shapes[c.lower()], np.int32) if c.isupper()
                    else rng.normal(size=shapes[c])
                    for c in form
                ),
                dict(attrs),
            ))  # fmt: skip
        return made

    return samples


def direct(x: Any, w: Any, **attrs: Any) -> np.ndarray:
    """A convolution written out, one product per output and member of the window."""
    axes = axes_of(
        x.shape[1:-1], w.shape[:-2], {"data_format": "NHWC", "explicit_paddings": (), **attrs}
    )
    y = np.zeros((x.shape[0], *[a.outputs for a in axes], w.shape[-1]), np.float64)
    for o in np.ndindex(*[a.outputs for a in axes]):
        for k in np.ndindex(*[a.window for a in axes]):
            at = [p * a.stride + q * a.dilation - a.before for p, q, a in zip(o, k, axes)]
            if all(0 <= p < a.size for p, a in zip(at, axes)):
                y[(slice(None), *o)] += x[(slice(None), *at)] @ w[k]
    return y


def _adjoint(linear: Callable[[Any], Any], shape: tuple[int, ...], g: Any) -> np.ndarray:
    """The transpose of a linear function applied to `g`, from its values on a basis."""
    out = np.zeros(shape, np.float64)
    for at in np.ndindex(*shape):
        basis = np.zeros(shape, np.float64)
        basis[at] = 1
        out[at] = (linear(basis) * g).sum()
    return out


def direct_input_gradient(sizes: Any, w: Any, g: Any, **attrs: Any) -> np.ndarray:
    return _adjoint(lambda x: direct(x, w, **attrs), tuple(sizes), g)


def direct_filter_gradient(x: Any, sizes: Any, g: Any, **attrs: Any) -> np.ndarray:
    return _adjoint(lambda w: direct(x, w, **attrs), tuple(sizes), g)

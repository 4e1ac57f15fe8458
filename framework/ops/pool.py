"""MaxPool and AvgPool over one to three spatial axes, and their gradients, as ops.

The gradient of the gradient of a largest value reads at the place that the value came from
(MaxPoolGradGrad); a mean is linear, so that its gradients are means and spread means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import pool_arrays, samples
from shardtape.ops.array import shape, zeros_like
from shardtape.ops.conv_arrays import channels_first, channels_last
from shardtape.ops.registry import Arg, Op, op
from shardtape.ops.shape_rules import known_ints, merged
from shardtape.ops.windows import (
    check_attributes,
    geometry,
    is_channels_first,
    output_shape,
    spatial,
    spatial_explicit,
)
from shardtape.shapes import TensorShape

_TYPES = dt.REAL - {dt.uint32, dt.uint64}


def _axes(sizes: Any, ksize: Any, strides: Any, padding: str, layout: str, explicit: Any) -> Any:
    window, steps = spatial(ksize, layout), spatial(strides, layout)
    pads = spatial_explicit(explicit, layout)
    return geometry(tuple(sizes), window, steps, (1,) * len(window), padding, pads)


def _pool_shape(
    value: Arg,
    *,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    explicit_paddings: Any = (),
) -> TensorShape:
    check_attributes("Pooling", strides, padding, data_format)
    check_attributes("Pooling", ksize, padding, data_format)
    channels = None
    if value.shape.rank is not None:
        channels = value.shape.with_rank(len(ksize))[1 if is_channels_first(data_format) else -1]
    return output_shape(
        value.shape, channels, spatial(ksize, data_format), strides, (1,) * len(ksize), padding,
        explicit_paddings, data_format,
    )  # fmt: skip


def _run(
    xp: Any,
    function: Callable[..., Any],
    arrays: tuple[Any, ...],
    sizes: Any,
    layout: str,
    **attrs: Any,
) -> Any:
    """`function(xp, *arrays, axes)` on channels-last arrays; `sizes` None: of the first array."""
    first = is_channels_first(layout)
    if first:
        arrays = tuple([channels_last(xp, a) for a in arrays])
    axes = _axes(
        arrays[0].shape[1:-1] if sizes is None else spatial(sizes, layout),
        attrs["ksize"], attrs["strides"], attrs["padding"], layout,
        attrs.get("explicit_paddings", ()),
    )  # fmt: skip
    y = function(xp, *arrays, axes)
    return channels_first(xp, y) if first else y


# ---- the definition, written out ------------------------------------------------------------
def _places(sizes: Any, attrs: dict[str, Any]) -> Any:
    """(output index, indices of the members inside the input) of every window."""
    layout = "NHWC" if len(sizes) == 4 else "NDHWC"
    axes = _axes(
        sizes[1:-1], attrs["ksize"], attrs["strides"], attrs["padding"], layout,
        attrs.get("explicit_paddings", ()),
    )  # fmt: skip
    for o in np.ndindex(*[a.outputs for a in axes]):
        members = []
        for k in np.ndindex(*[a.window for a in axes]):
            at = [p * a.stride + q - a.before for p, q, a in zip(o, k, axes)]
            if all(0 <= p < a.size for p, a in zip(at, axes)):
                members.append((slice(None), *at))
        yield (slice(None), *o), members, tuple(a.outputs for a in axes)


def _direct_largest(x: Any, **attrs: Any) -> np.ndarray:
    windows = list(_places(x.shape, attrs))
    y = np.zeros((x.shape[0], *windows[0][2], x.shape[-1]), x.dtype)
    for o, members, _ in windows:
        y[o] = np.max([x[m] for m in members], axis=0)
    return y


def _direct_picked(x: Any, y: Any, values: Any, **attrs: Any) -> np.ndarray:
    out = np.zeros(y.shape, values.dtype)
    for o, members, _ in _places(x.shape, attrs):
        first = np.argmax([x[m] for m in members], axis=0)
        out[o] = np.take_along_axis(np.array([values[m] for m in members]), first[None], 0)[0]
    return out


def _direct_gradient(x: Any, y: Any, g: Any, **attrs: Any) -> np.ndarray:
    out = np.zeros(x.shape, g.dtype)
    for o, members, _ in _places(x.shape, attrs):
        first = np.argmax([x[m] for m in members], axis=0)
        for i, m in enumerate(members):
            out[m] += g[o] * (first == i)
    return out


def _direct_mean(x: Any, **attrs: Any) -> np.ndarray:
    windows = list(_places(x.shape, attrs))
    y = np.zeros((x.shape[0], *windows[0][2], x.shape[-1]), x.dtype)
    for o, members, _ in windows:
        y[o] = np.mean([x[m] for m in members], axis=0)
    return y


def _direct_mean_gradient(sizes: Any, g: Any, **attrs: Any) -> np.ndarray:
    out = np.zeros(tuple(sizes), g.dtype)
    for o, members, _ in _places(tuple(sizes), attrs):
        for m in members:
            out[m] += g[o] / len(members)
    return out


# ---- samples --------------------------------------------------------------------------------
def _attrs(rank: int, window: int, stride: int, padding: str, **more: Any) -> dict[str, Any]:
    inner = rank - 2
    return {
        "ksize": (1, *[window] * inner, 1),
        "strides": (1, *[stride] * inner, 1),
        "padding": padding,
        **more,
    }


_PLANE = [
    ((1, 4, 6, 2), _attrs(4, 2, 2, "VALID")),
    ((1, 5, 4, 1), _attrs(4, 3, 2, "SAME")),
    ((1, 4, 4, 2), _attrs(4, 2, 1, "SAME")),
]
_EXPLICIT = ((1, 4, 3, 1), _attrs(4, 2, 2, "EXPLICIT", explicit_paddings=(0, 0, 1, 0, 0, 1, 0, 0)))
_SOLID = [((1, 3, 4, 3, 1), _attrs(5, 2, 2, "SAME")), ((1, 2, 3, 4, 2), _attrs(5, 2, 1, "VALID"))]


def _value_samples(cases: list[Any]) -> Callable[..., Any]:
    def made(rng: np.random.Generator) -> list[Any]:
        return [s for x, attrs in cases for s in samples.distinct(x, **attrs)(rng)]

    return made


def _gradient_samples(cases: list[Any], of_inputs: bool) -> Callable[..., Any]:
    """(x, its largest values, an array of the outputs' or the inputs' shape)."""

    def made(rng: np.random.Generator) -> list[Any]:
        out = []
        for sizes, attrs in cases:
            # positive, with whole numbers apart: also as integers y holds the largest of x
            x = rng.permutation(int(np.prod(sizes))).reshape(sizes) + rng.uniform(0.5, 1.0, sizes)
            y = _direct_largest(x, **attrs)
            out.append(((x, y, rng.normal(size=(x if of_inputs else y).shape)), attrs))
        return out

    return made


def _mean_gradient_samples(cases: list[Any]) -> Callable[..., Any]:
    def made(rng: np.random.Generator) -> list[Any]:
        out = []
        for sizes, attrs in cases:
            y = _direct_mean(np.zeros(sizes), **attrs).shape
            out.append(((np.array(sizes, np.int32), rng.normal(size=y)), attrs))
        return out

    return made


# ---- the largest ----------------------------------------------------------------------------
def _same_as_input(orig_input: Arg, orig_output: Arg, grad: Arg, **attrs: Any) -> TensorShape:
    return orig_input.shape


def _same_as_output(orig_input: Arg, orig_output: Arg, grad: Arg, **attrs: Any) -> TensorShape:
    return merged([orig_output])


@op("MaxPool", dtypes=_TYPES, shape=_pool_shape,
    samples=_value_samples([*_PLANE, _EXPLICIT]), reference=_direct_largest)  # fmt: skip
def max_pool_op(xp, input, *, ksize, strides, padding, explicit_paddings=(), data_format="NHWC"):
    """The largest of each window, (n, h, w, c) to (n, oh, ow, c)."""
    if input.ndim != 4:
        raise ValueError(f"Input must be 4 or 5-dimensional, got rank {input.ndim}")
    return _run(xp, pool_arrays.largest, (input,), None, data_format, ksize=ksize,
                strides=strides, padding=padding, explicit_paddings=explicit_paddings)  # fmt: skip


@max_pool_op.writes_into()
def _(xp, out, input, *, ksize, strides, padding, explicit_paddings=(), data_format="NHWC"):
    attrs = {"ksize": ksize, "strides": strides, "padding": padding}
    if is_channels_first(data_format):
        made = _run(xp, pool_arrays.largest, (input,), None, data_format,
                    explicit_paddings=explicit_paddings, **attrs)  # fmt: skip
    else:
        axes = _axes(input.shape[1:-1], ksize, strides, padding, data_format, explicit_paddings)
        made = pool_arrays.largest(xp, input, axes, out)
    if made is not out:
        xp.copyto(out, made)


@max_pool_op.gradient
def _(g, y, input, *, ksize, strides, padding, explicit_paddings, data_format):
    return max_pool_grad(input, y, g, ksize=ksize, strides=strides, padding=padding,
                         explicit_paddings=explicit_paddings,
                         data_format=data_format)  # fmt: skip


@op("MaxPoolGrad", dtypes=_TYPES, shape=_same_as_input,
    samples=_gradient_samples([*_PLANE, _EXPLICIT], False),
    reference=_direct_gradient)  # fmt: skip
def max_pool_grad(xp, orig_input, orig_output, grad, *, ksize, strides, padding,
                  explicit_paddings=(), data_format="NHWC"):  # fmt: skip
    """Carries `grad` to where the largest values of the input lie (the first of equals).

    `orig_output` is not looked at, as in TensorFlow.
    """
    return _run(xp, pool_arrays.largest_gradient, (orig_input, grad), None,
                data_format, ksize=ksize, strides=strides, padding=padding,
                explicit_paddings=explicit_paddings)  # fmt: skip


@max_pool_grad.gradient
def _(g, _y, orig_input, orig_output, _grad, *, ksize, strides, padding, explicit_paddings,
      data_format):  # fmt: skip
    by_grad = max_pool_grad_grad(orig_input, orig_output, g, ksize=ksize, strides=strides,
                                 padding=padding, explicit_paddings=explicit_paddings,
                                 data_format=data_format)  # fmt: skip
    return lambda: zeros_like(orig_input), lambda: zeros_like(orig_output), by_grad


@op("MaxPoolGradGrad", dtypes=_TYPES, shape=_same_as_output,
    samples=_gradient_samples(_PLANE, True), reference=_direct_picked)  # fmt: skip
def max_pool_grad_grad(xp, orig_input, orig_output, grad, *, ksize, strides, padding,
                       explicit_paddings=(), data_format="NHWC"):  # fmt: skip
    """The members of `grad` (of the input's shape) where the largest values of the input lie."""
    return _run(xp, pool_arrays.picked, (orig_input, grad), None,
                data_format, ksize=ksize, strides=strides, padding=padding,
                explicit_paddings=explicit_paddings)  # fmt: skip


@max_pool_grad_grad.gradient
def _(g, _y, orig_input, orig_output, _grad, *, ksize, strides, padding, explicit_paddings,
      data_format):  # fmt: skip
    by_grad = max_pool_grad(orig_input, orig_output, g, ksize=ksize, strides=strides,
                            padding=padding, explicit_paddings=explicit_paddings,
                            data_format=data_format)  # fmt: skip
    return lambda: zeros_like(orig_input), lambda: zeros_like(orig_output), by_grad


# ---- the largest over three axes, which take no explicit paddings ----------------------------
def _attributes(ksize: Any, strides: Any, padding: Any, data_format: Any) -> dict[str, Any]:
    return {"ksize": ksize, "strides": strides, "padding": padding, "data_format": data_format}


@op("MaxPool3D", dtypes=dt.FLOATING, shape=_pool_shape, samples=_value_samples(_SOLID),
    reference=_direct_largest)  # fmt: skip
def max_pool3d_op(xp, input, *, ksize, strides, padding, data_format="NDHWC"):
    """The largest of each window, (n, d, h, w, c) to (n, od, oh, ow, c)."""
    return _run(xp, pool_arrays.largest, (input,), None, data_format, ksize=ksize,
                strides=strides, padding=padding)  # fmt: skip


@max_pool3d_op.gradient
def _(g, y, input, *, ksize, strides, padding, data_format):
    return max_pool3d_grad(input, y, g, **_attributes(ksize, strides, padding, data_format))


@op("MaxPool3DGrad", dtypes=dt.FLOATING, shape=_same_as_input,
    samples=_gradient_samples(_SOLID, False), reference=_direct_gradient)  # fmt: skip
def max_pool3d_grad(xp, orig_input, orig_output, grad, *, ksize, strides, padding,
                    data_format="NDHWC"):  # fmt: skip
    """Carries `grad` to where the largest values of the input lie: to all equals, as TensorFlow."""
    return _run(xp, pool_arrays.largest_gradient_to_all, (orig_input, grad), None, data_format,
                ksize=ksize, strides=strides, padding=padding)  # fmt: skip


@max_pool3d_grad.gradient
def _(g, _y, orig_input, orig_output, _grad, *, ksize, strides, padding, data_format):
    attrs = _attributes(ksize, strides, padding, data_format)
    by_grad = max_pool3d_grad_grad(orig_input, orig_output, g, **attrs)
    return lambda: zeros_like(orig_input), lambda: zeros_like(orig_output), by_grad


@op("MaxPool3DGradGrad", dtypes=dt.FLOATING, shape=_same_as_output,
    samples=_gradient_samples(_SOLID, True), reference=_direct_picked)  # fmt: skip
def max_pool3d_grad_grad(xp, orig_input, orig_output, grad, *, ksize, strides, padding,
                         data_format="NDHWC"):  # fmt: skip
    """The members of `grad` (of the input's shape) where the largest values of the input lie."""
    return _run(xp, pool_arrays.picked, (orig_input, grad), None, data_format, ksize=ksize,
                strides=strides, padding=padding)  # fmt: skip


@max_pool3d_grad_grad.gradient
def _(g, _y, orig_input, orig_output, _grad, *, ksize, strides, padding, data_format):
    attrs = _attributes(ksize, strides, padding, data_format)
    by_grad = max_pool3d_grad(orig_input, orig_output, g, **attrs)
    return lambda: zeros_like(orig_input), lambda: zeros_like(orig_output), by_grad


# ---- the mean -------------------------------------------------------------------------------
def _sizes_shape(orig_input_shape: Arg, grad: Arg, **attrs: Any) -> TensorShape:
    dims = known_ints(orig_input_shape)
    return TensorShape([None] * len(attrs["ksize"]) if dims is None else dims)


def _mean_family(names: tuple[str, str], cases: list[Any], layout: str) -> tuple[Op, Op]:
    """The op of the mean and that of its gradient for one number of spatial axes."""

    def forward(xp, value, *, ksize, strides, padding, data_format=layout):
        """The mean of each window (of its members inside the input)."""
        return _run(xp, pool_arrays.mean, (value,), None, data_format, ksize=ksize,
                    strides=strides, padding=padding)  # fmt: skip

    def backward(xp, orig_input_shape, grad, *, ksize, strides, padding, data_format=layout):
        """Spreads `grad` evenly over the windows of an input of shape `orig_input_shape`."""
        return _run(xp, pool_arrays.mean_gradient, (grad,), orig_input_shape.tolist(),
                    data_format, ksize=ksize, strides=strides, padding=padding)  # fmt: skip

    mean = op(names[0], dtypes=dt.FLOATING, shape=_pool_shape, samples=_value_samples(cases),
              reference=_direct_mean, name="avg_pool")(forward)  # fmt: skip
    grad = op(names[1], dtypes=dt.FLOATING, shape=_sizes_shape, host=("orig_input_shape",),
              samples=_mean_gradient_samples(cases), reference=_direct_mean_gradient,
              name="avg_pool_grad")(backward)  # fmt: skip

    @mean.gradient
    def _(g, _y, value, *, ksize, strides, padding, data_format):
        return grad(shape(value), g, ksize=ksize, strides=strides, padding=padding,
                    data_format=data_format)  # fmt: skip

    @grad.gradient
    def _(g, _y, _sizes, _grad, *, ksize, strides, padding, data_format):
        return mean(g, ksize=ksize, strides=strides, padding=padding, data_format=data_format)

    return mean, grad


avg_pool_op, avg_pool_grad = _mean_family(("AvgPool", "AvgPoolGrad"), _PLANE, "NHWC")
avg_pool3d_op, avg_pool3d_grad = _mean_family(("AvgPool3D", "AvgPool3DGrad"), _SOLID, "NDHWC")

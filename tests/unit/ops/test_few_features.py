"""Convolutions from many channels to few features against the definition written out."""

import numpy as np
import pytest

from shardtape.ops import conv_arrays, few_features, patches
from shardtape.ops.conv_arrays import axes_of

GEOMETRIES = [
    ((6, 5), (3, 2), 1, 1, "SAME"),
    ((6, 5), (3, 3), 1, 1, "VALID"),
    ((7, 8), (3, 2), 1, 2, "SAME"),
    ((1, 1), (3, 3), 1, 1, "SAME"),  # most members of the window lie outside
    ((7, 6), (4, 4), 2, 1, "SAME"),
    ((8, 5), (3, 2), 3, 1, "VALID"),
    ((9,), (4,), 1, 2, "SAME"),
    ((4, 3, 5), (2, 3, 2), 1, 1, "SAME"),
    ((5, 4, 5), (2, 2, 3), 2, 1, "SAME"),
]


def _attrs(rank, stride, dilation, padding):
    layout = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank]
    return {
        "strides": (1, *[stride] * rank, 1), "padding": padding, "explicit_paddings": (),
        "data_format": layout, "dilations": (1, *[dilation] * rank, 1),
    }  # fmt: skip


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize(("sizes", "window", "stride", "dilation", "padding"), GEOMETRIES)
def test_against_the_definition(sizes, window, stride, dilation, padding, features, monkeypatch):
    monkeypatch.setattr(few_features, "_BLOCK_BYTES", 1 << 12)  # several blocks
    channels, r = 24, np.random.default_rng(0)
    attrs = _attrs(len(sizes), stride, dilation, padding)
    axes = axes_of(sizes, window, attrs)
    x = r.normal(size=(3, *sizes, channels))
    w = r.normal(size=(*window, channels, features))
    y = conv_arrays.direct(x, w, **attrs)
    assert few_features.is_wanted(axes, channels, features) == (stride == 1)
    np.testing.assert_allclose(patches.convolve(np, x, w, axes), y, atol=1e-12)
    g = r.normal(size=y.shape)
    by_filter = patches.filter_gradient(np, x, g, axes)
    moved = r.normal(size=w.shape)
    np.testing.assert_allclose(
        (by_filter * moved).sum(), (conv_arrays.direct(x, moved, **attrs) * g).sum(), rtol=1e-10
    )
    # the transpose: from many features to few channels
    w = r.normal(size=(*window, features, channels))
    g = r.normal(size=(*y.shape[:-1], channels))
    x = r.normal(size=(3, *sizes, features))
    assert few_features.is_few(axes, channels, features)
    by_input = patches.input_gradient(np, w, g, axes)
    np.testing.assert_allclose(
        (by_input * x).sum(), (conv_arrays.direct(x, w, **attrs) * g).sum(), rtol=1e-10
    )


def test_other_forms_keep_their_way():
    axes = axes_of((6, 6), (3, 3), _attrs(2, 1, 1, "SAME"))
    assert not few_features.is_wanted(axes, 24, 4)
    assert not few_features.is_wanted(axes, 7, 1)
    pointwise = axes_of((6, 6), (1, 1), _attrs(2, 1, 1, "SAME"))
    assert not few_features.is_wanted(pointwise, 24, 1)

"""Inputs at which implementations differ: ties, zeros, signs, limits, special numbers.

`EDGE_CASES[type]` is a list of (inputs, attrs); TensorFlow's results and gradients decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_INF, _NAN = np.inf, np.nan
_SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, _INF, -_INF, _NAN, 1e-30, 80.0, -80.0, 120.0, -120.0],
                    np.float32)  # fmt: skip
# where integrals change from one way of computing to another, and beyond their ends
_PLACES = np.array([-_INF, -50.0, -3.0, -1e-3, 0.0, 1e-8, 0.1, 0.19, 0.21, 0.37, 0.5, 1.0, 1.49,
                    1.51, 3.9, 5.99, 6.01, 12.0, 24.9, 25.1, 39.9, 40.1, 300.0, _INF,
                    _NAN])  # fmt: skip
_INTS = np.array([7, -7, 7, -7, 6, -6, 0], np.int32)
_BY = np.array([3, 3, -3, -3, 2, -3, 5], np.int32)
_FLOATS = np.array([7.5, -7.5, 7.5, -7.5, 1.0, -1.0, 0.0])
_BY_FLOATS = np.array([2.0, 2.0, -2.0, -2.0, 0.1, 0.1, -3.0])


def _i(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def _unary(*types: str) -> dict[str, list[Any]]:
    return {t: [((_SPECIAL,), {})] for t in types}


EDGE_CASES: dict[str, list[Any]] = {
    **_unary(
        "Sqrt",
        "Rsqrt",
        "Exp",
        "Expm1",
        "Log",
        "Log1p",
        "Tanh",
        "Sigmoid",
        "Sign",
        "Abs",
        "Reciprocal",
        "Square",
        "Erf",
        "Erfc",
        "Lgamma",
        "Digamma",
        "Floor",
        "Ceil",
        "Softplus",
        "Relu",
        "Relu6",
        "Elu",
        "Selu",
        "Softsign",
        "Sinh",
        "Cosh",
        "Asinh",
        "Atan",
        "Neg",
    ),
    "Round": [((np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999]),), {})],
    "Rint": [((np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999]),), {})],
    "FloorDiv": [((_INTS, _BY), {}), ((_FLOATS, _BY_FLOATS), {})],
    "FloorMod": [((_INTS, _BY), {}), ((_FLOATS, _BY_FLOATS), {})],
    "TruncateDiv": [((_INTS, _BY), {})],
    "TruncateMod": [((_INTS, _BY), {}), ((_FLOATS, _BY_FLOATS), {})],
    "Div": [((_INTS, _BY), {})],
    "DivNoNan": [((np.array([1.0, 0.0, -2.0]), np.array([0.0, 0.0, 4.0])), {})],
    "MulNoNan": [((np.array([_INF, _NAN, 2.0]), np.array([0.0, 0.0, 4.0])), {})],
    "RealDiv": [((np.array([1.0, 0.0, -2.0]), np.array([0.0, 0.0, 0.0])), {})],
    "Pow": [
        ((np.array([0.0, 0.0, -2.0, -2.0, 4.0]), np.array([0.0, 2.0, 3.0, 2.0, 0.5])), {}),
        ((_i(-2, 3, 0, 0), _i(3, 4, 0, 2)), {}),
    ],
    "Xlogy": [((np.array([0.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.5])), {})],
    "Xlog1py": [((np.array([0.0, 0.0, 2.0]), np.array([-1.0, 3.0, 0.5])), {})],
    "Xdivy": [((np.array([0.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.5])), {})],
    "Maximum": [
        ((np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), {}),
        ((np.array([_NAN, 2.0, -0.0]), np.array([1.0, _NAN, 0.0])), {}),
    ],
    "Minimum": [
        ((np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), {}),
        ((np.array([_NAN, 2.0]), np.array([1.0, _NAN])), {}),
    ],
    "Atan2": [((np.array([0.0, 1.0, -1.0, 0.0]), np.array([-1.0, 0.0, 0.0, 1.0])), {})],
    "Mean": [
        ((_i(1, 0, 1, 0), _i(0)), {}),
        ((_i(-1, -2), _i(0)), {}),
        ((np.zeros((0, 2)), _i(0)), {}),
    ],
    "Sum": [((np.zeros((0, 2)), _i(0)), {}), ((np.array([2**31 - 1, 1], np.int32), _i(0)), {})],
    "Max": [
        ((np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), _i(1)), {}),
        ((np.array([[1.0, 3.0], [3.0, 3.0]]), _i(0, 1)), {"keep_dims": True}),
        ((np.zeros((0, 2)), _i(0)), {}),
        ((np.array([1.0, _NAN]), _i(0)), {}),
        ((np.zeros((0, 2), np.int32), _i(0)), {}),
    ],
    "Min": [
        ((np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]), _i(1)), {}),
        ((np.zeros((0, 2)), _i(0)), {}),
    ],
    "Prod": [
        ((np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0]]), _i(1)), {}),
        ((np.array([[1.0, 2.0, 3.0], [0.0, 4.0, 2.0]]), _i(0, 1)), {}),
    ],
    "All": [((np.zeros((0, 2), bool), _i(0)), {})],
    "Any": [((np.zeros((0, 2), bool), _i(0)), {})],
    "Cumprod": [((np.array([1.0, 0.0, 3.0]), np.int32(0)), {})],
    "CumulativeLogsumexp": [((_BY_FLOATS, np.int32(0)), {"exclusive": True})],
    "Cumsum": [((np.zeros((0, 2)), np.int32(0)), {"exclusive": True})],
    "ArgMax": [
        ((np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), np.int32(1)), {}),
        ((np.array([True, True, False]), np.int32(0)), {}),
    ],
    "ComplexAbs": [((np.array([0j, 3 + 4j]),), {})],
    "Cast": [],
    "ClipByValue": [],
    "Range": [
        ((np.float32(0), np.float32(1), np.float32(0.1)), {}),
        ((np.int32(5), np.int32(0), np.int32(-2)), {}),
        ((np.int32(0), np.int32(0), np.int32(1)), {}),
    ],
    "Where": [((np.array(True),), {}), ((np.zeros((0, 3), bool),), {})],
    "SelectV2": [
        ((np.array([True, False]), np.array([1.0, _NAN]), np.array([_NAN, 2.0])), {}),
    ],
    "GatherV2": [
        ((np.zeros((3, 0)), _i(0, 2), np.int32(0)), {}),
        ((np.arange(6.0).reshape(3, 2), np.zeros((0,), np.int32), np.int32(0)), {}),
    ],
    "StridedSlice": [
        ((np.arange(5.0), _i(10), _i(-10), _i(-2)), {}),
        ((np.arange(5.0), _i(-3), _i(0), _i(1)), {"end_mask": 1}),
        ((np.arange(12.0).reshape(3, 4), _i(-1), _i(0), _i(1)), {"shrink_axis_mask": 1}),
        ((np.arange(24.0).reshape(2, 3, 4), _i(0, 1), _i(0, 3), _i(1, 1)), {"ellipsis_mask": 1}),
    ],
    "MatMul": [((np.zeros((2, 0)), np.zeros((0, 3))), {})],
    "Equal": [((np.array([_NAN, 1.0]), np.array([_NAN, 1.0])), {})],
    "NotEqual": [((np.array([_NAN, 1.0]), np.array([_NAN, 1.0])), {})],
    **{
        name: [((_PLACES,), {})]
        for name in (
            "BesselY0",
            "BesselY1",
            "Dawsn",
            "Expint",
            "FresnelCos",
            "FresnelSin",
            "Spence",
        )
    },
}

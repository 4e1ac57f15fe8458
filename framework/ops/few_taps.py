"""Products of host images with matrices of which each row has few numbers that are not zero.

A resized row is a weighted sum of two or four rows; a product with the whole matrix multiplies all
the zeros. Eight images of 375 x 500 to 224 x 224, one core: 22.7 ms by products, 4.9 ms by sums.
"""

from __future__ import annotations

import numpy as np

# Nanoseconds measured on one core, of which only the ratios matter: of rows, an element of a
# product for each input, and of a sum; of columns, the same for few and for many channels, a run of
# channels that is taken from its place, and each of its elements.
_ROW_PRODUCT_NS, _ROW_SUM_NS = 0.0085, 0.35
_FEW_PRODUCT_NS, _MANY_PRODUCT_NS, _FEW_CHANNELS = 0.025, 0.009, 8
_RUN_NS, _RUN_ELEMENT_NS = 2.0, 0.3
_LEAST_INPUTS = 48  # with fewer there is nothing to gain by two taps


class Taps:
    """Places and weights, (taps, outputs) each, of the rows of a matrix (outputs, inputs)."""

    def __init__(self, matrix: np.ndarray) -> None:
        # a flat mask is searched several times as fast as a matrix of floats
        outputs, inputs = np.divmod(np.flatnonzero(matrix.ravel() != 0), matrix.shape[1])
        counts = np.bincount(outputs, minlength=len(matrix))
        self.count = int(counts.max(initial=0))
        starts = np.cumsum(counts) - counts
        order = np.arange(outputs.size) - starts[outputs]
        self.places = np.zeros((self.count, len(matrix)), np.intp)
        self.weights = np.zeros((self.count, len(matrix)), matrix.dtype)
        self.places[order, outputs] = inputs
        self.weights[order, outputs] = matrix[outputs, inputs]


def along_rows(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """matrix (out, height) @ x (n, height, width * channels)."""
    inputs = matrix.shape[1]
    taps = Taps(matrix) if inputs >= _LEAST_INPUTS else None
    if taps is None or not 0 < taps.count * _ROW_SUM_NS < inputs * _ROW_PRODUCT_NS:
        return np.matmul(matrix, x)
    out = x.take(taps.places[0], 1)
    out *= taps.weights[0][:, None]
    for places, weights in zip(taps.places[1:], taps.weights[1:]):
        part = x.take(places, 1)
        part *= weights[:, None]
        out += part
    return out


def along_columns(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """matrix (out, width) @ x (n, height, width, channels)."""
    inputs, channels = matrix.shape[1], x.shape[-1]
    taps = Taps(matrix) if inputs >= _LEAST_INPUTS else None
    run_ns = _RUN_NS + channels * _RUN_ELEMENT_NS
    product_ns = _FEW_PRODUCT_NS if channels <= _FEW_CHANNELS else _MANY_PRODUCT_NS
    if taps is None or not 0 < taps.count * run_ns < inputs * channels * product_ns:
        return np.matmul(matrix, x)
    flat = (*x.shape[:2], len(matrix) * channels)
    out = x.take(taps.places[0], 2).reshape(flat)
    out *= taps.weights[0].repeat(channels)
    for places, weights in zip(taps.places[1:], taps.weights[1:]):
        part = x.take(places, 2).reshape(flat)
        part *= weights.repeat(channels)
        out += part
    return out.reshape(*x.shape[:2], len(matrix), channels)

"""The work in plain numpy: shapes, start weights and batches, the same for every peer.

Everything is float32, class labels are int32, all from fixed seeds.
"""

from __future__ import annotations

import numpy as np

SMALL_MLP = (784, 512, 512, 10)  # 0.67 million parameters
WIDE_MLP = (784, 1024, 1024, 10)  # 1.86 million parameters, 7.45 MB


def mlp_weights(sizes: tuple[int, ...], seed: int = 1) -> list[np.ndarray]:
    """[kernel, bias, kernel, bias, ...], kernels (in, out) He-uniform, biases zero."""
    rng = np.random.default_rng(seed)
    weights = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:]):
        limit = np.sqrt(6.0 / inputs)
        weights.append(rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32))
        weights.append(np.zeros(outputs, np.float32))
    return weights


def class_batches(
    batch: int, features: int = 784, classes: int = 10, pool: int = 8, seed: int = 2
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`pool` batches (x (batch, features), y (batch,)) of noise around the means of classes."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 1, (classes, features)).astype(np.float32)
    batches = []
    for _ in range(pool):
        y = rng.integers(0, classes, batch).astype(np.int32)
        x = (means[y] * 0.1 + rng.normal(0, 1, (batch, features))).astype(np.float32)
        batches.append((x, y))
    return batches

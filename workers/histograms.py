"""Histograms of weights and gradients, counted by a worker away from the step's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shardtape.protos import coordinator_pb2 as pb
from shardtape.summary.buckets import linear_buckets

# Of a larger array every n-th value is counted: 1 million values take about 10 ms.
_VALUES = 1 << 20


def histograms(
    parameters: Mapping[str, np.ndarray], gradients: Mapping[str, Any]
) -> Iterator[pb.Histogram]:
    """Histograms with the tags "weights/KEY" and "gradients/KEY".

    Args:
      parameters: by variable key.
      gradients: by variable key, arrays or `Rows` (then of the rows' values).
    """
    for kind, arrays in (("weights", parameters), ("gradients", gradients)):
        for key, array in sorted(arrays.items()):
            values = np.asarray(getattr(array, "values", array)).reshape(-1)
            sample = values[:: -(-values.size // _VALUES) or 1]
            buckets = linear_buckets(sample.astype(np.float32, copy=False))
            yield pb.Histogram(tag=f"{kind}/{key}", buckets=buckets.reshape(-1).tolist())

"""What a model function hands to a worker: the loss, and what else to report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Step:
    """One training step of a model.

    Args:
      loss: scalar tensor of a floating type.
      metrics: scalar tensors by name, averaged over batches when reported.

    Raises:
      TypeError: a loss that is no tensor.
    """

    def __init__(self, loss: Any, metrics: Mapping[str, Any] | None = None) -> None:
        if not hasattr(loss, "dtype") or not hasattr(loss, "shape"):
            raise TypeError(f"tf.Step(loss) takes a scalar tensor, got {loss!r}")
        self.loss = loss
        self.metrics = dict(metrics or {})

    def __repr__(self) -> str:
        return f"tf.Step(loss={self.loss!r}, metrics={list(self.metrics)})"

"""Layers that show the losses and metrics which were added to a functional model."""

from __future__ import annotations

from typing import Any

from shardtape.keras.layers.base import Layer


class AddLoss(Layer):
    """Adds its input to the losses, and passes it on.

    Args:
      unconditional: kept for the configuration; losses depend on the inputs.
    """

    def __init__(self, unconditional: bool = False, **kwargs: Any) -> None:
        kwargs["autocast"] = False
        super().__init__(**kwargs)
        self.unconditional = unconditional

    def call(self, inputs: Any) -> Any:
        self.add_loss(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unconditional": self.unconditional}


class AddMetric(Layer):
    """Takes its input into a metric, and passes it on.

    Args:
      aggregation: only "mean"; None where the input is what a Metric returned.
      metric_name: of the metric.
    """

    def __init__(
        self, aggregation: str | None = None, metric_name: str | None = None, **kwargs: Any
    ) -> None:
        kwargs["autocast"] = False
        super().__init__(**kwargs)
        self.aggregation, self.metric_name = aggregation, metric_name

    def call(self, inputs: Any) -> Any:
        self.add_metric(inputs, self.metric_name, aggregation=self.aggregation)
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = {"aggregation": self.aggregation, "metric_name": self.metric_name}
        return {**super().get_config(), **config}

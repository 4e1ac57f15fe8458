"""`SharpnessAwareMinimization`: steps by the gradient at the worst point nearby.

Foret and others, Sharpness-Aware Minimization for Efficiently Improving Generalization, 2021.
"""

from __future__ import annotations

from typing import Any

from shardtape.keras.models.batches import unpack
from shardtape.keras.models.model import Model
from shardtape.ops import array
from shardtape.ops.clip import global_norm
from shardtape.ops.math import add_n
from shardtape.tape import GradientTape

_SMALL = 1e-12


class SharpnessAwareMinimization(Model):
    """A model that is trained by the gradients a step of length `rho` uphill.

    Args:
      model: the model; its weights are those of this one.
      rho: the length of the step uphill.
      num_batch_splits: parts of a batch that each have a step uphill of their own; their
        gradients are added.
    """

    def __init__(
        self, model: Any, rho: float = 0.05, num_batch_splits: int | None = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name=name)
        self.model, self.rho, self.num_batch_splits = model, rho, num_batch_splits

    def call(self, inputs: Any) -> Any:  # type: ignore[override]
        return self.model(inputs)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y, weight = unpack(data)
        parts = [(x, y, weight)]
        if self.num_batch_splits is not None:
            count = self.num_batch_splits
            several = [array.split(v, count) for v in (x, y)]
            weights = [None] * count if weight is None else array.split(weight, count)
            parts = list(zip(*several, weights))
        found, outputs = [], []
        variables = self.trainable_variables
        for part in parts:
            gradients, y_pred = self._gradients(*part)
            length = global_norm([g for g in gradients if g is not None])
            uphill = [None if g is None else g * (self.rho / (length + _SMALL)) for g in gradients]
            _move(variables, uphill, 1)
            outputs.append(y_pred)
            found.append(self._gradients(*part)[0])
            _move(variables, uphill, -1)
        summed = [_sum(several) for several in zip(*found)]
        self.optimizer.apply_gradients(zip(summed, variables))
        y_pred = outputs[0] if len(outputs) == 1 else array.concat(outputs, 0)
        return self.compute_metrics(x, y, y_pred, weight)

    def _gradients(self, x: Any, y: Any, weight: Any) -> tuple[list[Any], Any]:
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, weight)
        return tape.gradient(loss, self.trainable_variables), y_pred

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "model": self.model, "rho": self.rho,
                "num_batch_splits": self.num_batch_splits}  # fmt: skip


def _move(variables: Any, steps: Any, sign: int) -> None:
    for variable, step in zip(variables, steps):
        if step is not None:
            variable.assign_add(sign * step)


def _sum(gradients: Any) -> Any:
    given = [g for g in gradients if g is not None]
    return add_n(given) if given else None

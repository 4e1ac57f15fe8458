"""`tf.keras.mixed_precision`: dtype policies of layers, and optimizers that scale the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape.backend import array_module
from shardtape.context import state
from shardtape.errors import UnimplementedError
from shardtape.keras.policy import Policy, global_policy, set_global_policy
from shardtape.ops.cast import cast
from shardtape.optimizers import deserialize, serialize
from shardtape.optimizers.legacy_numbers import number
from shardtape.optimizers.legacy_optimizer import Optimizer as LegacyOptimizer
from shardtape.optimizers.optimizer import Optimizer
from shardtape.variable import Variable

__all__ = ["LossScaleOptimizer", "Policy", "global_policy", "set_global_policy"]


class LossScaleOptimizer(Optimizer):
    """An optimizer whose loss is multiplied by a scale, so that small gradients survive float16.

    `minimize` scales the loss and divides the gradients; in a custom loop `get_scaled_loss` and
    `get_unscaled_gradients` do. An update with gradients that are not finite is left out.

    Args:
      inner_optimizer: does the updates.
      dynamic: halve the scale after an update that was left out, double it after
        `dynamic_growth_steps` others.
      initial_scale: default 2 ** 15; fixed if not `dynamic`.
    """

    def __init__(
        self, inner_optimizer: Optimizer, dynamic: bool = True,
        initial_scale: float | None = None, dynamic_growth_steps: int | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(inner_optimizer, Optimizer):
            raise TypeError(
                '"inner_optimizer" must be an instance of `tf.keras.optimizers.Optimizer`, but '
                f"got: {inner_optimizer}."
            )
        if not dynamic and initial_scale is None:
            raise ValueError('"initial_scale" must be specified if "dynamic" is False')
        if not dynamic and dynamic_growth_steps is not None:
            raise ValueError('"dynamic_growth_steps" must be None if "dynamic" is False')
        if inner_optimizer._updates_by_step:
            raise UnimplementedError(
                f"{type(inner_optimizer).__name__} defines `update_step`, which LossScaleOptimizer "
                "does not call: scale the loss and unscale the gradients yourself"
            )
        inner = self.inner_optimizer = inner_optimizer
        self.name, self.rule = inner.name, inner.rule
        self.clipnorm, self.global_clipnorm = inner.clipnorm, inner.global_clipnorm
        self.loss_scale_factor, self._slots, self._variables = None, inner._slots, inner._variables
        self._built_for, self._index_dict = inner._built_for, inner._index_dict
        self._slot_variables, self._added = inner._slot_variables, inner._added
        self._keeps_variables = inner._keeps_variables
        self._slot_scopes, self._undecayed = inner._slot_scopes, inner._undecayed
        self.dynamic = dynamic
        self.dynamic_growth_steps = (dynamic_growth_steps or 2000) if dynamic else None
        self.initial_scale = float(2**15 if initial_scale is None else initial_scale)
        self._scale = _scalar(self.initial_scale, "float32", "current_loss_scale")
        self._good_steps = _scalar(0, "int64", "good_steps")

    def _trackable_children(self) -> dict[str, Any]:
        return {
            "inner_optimizer": self.inner_optimizer, "loss_scale": self._scale,
            "good_steps": self._good_steps,
        }  # fmt: skip

    @property
    def loss_scale(self) -> Any:
        """The scale, a float32 scalar tensor."""
        return self._scale.value()

    @property
    def dynamic_counter(self) -> Any:
        """Updates since the scale changed, a Variable."""
        return self._good_steps if self.dynamic else None

    @property
    def variables(self) -> Any:
        """The state of the inner optimizer."""
        return self.inner_optimizer.variables

    @property
    def iterations(self) -> Variable:
        return self.inner_optimizer.iterations

    @iterations.setter
    def iterations(self, variable: Any) -> None:
        self.inner_optimizer.iterations = variable

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    lr = learning_rate

    def current_learning_rate(self) -> float:
        return self.inner_optimizer.current_learning_rate()

    def _step(self) -> int:
        return self.inner_optimizer._step()

    def get_scaled_loss(self, loss: Any) -> Any:
        """The loss (or a function that computes it) times the scale."""
        if callable(loss):
            return lambda: self.get_scaled_loss(loss())
        return loss * cast(self._scale, loss.dtype)

    def get_unscaled_gradients(self, grads: Any) -> list[Any]:
        """Gradients over the scale; None stays None."""
        out: list[Any] = []
        for g in grads:
            if g is None:
                out.append(None)
            elif hasattr(g, "indices") and hasattr(g, "values"):
                values = g.values / cast(self._scale, g.values.dtype)
                out.append(type(g)(values, g.indices, g.dense_shape))
            else:
                out.append(g / cast(self._scale, g.dtype))
        return out

    def compute_gradients(  # type: ignore[override]
        self, loss: Any, var_list: Any, tape: Any = None
    ) -> list[Any]:
        """(gradient of the unscaled loss, variable) pairs; see `Optimizer.compute_gradients`."""
        if callable(loss):
            loss = self.get_scaled_loss(loss)
        elif tape is not None:
            with tape:
                loss = self.get_scaled_loss(loss)
        pairs = super().compute_gradients(loss, var_list, tape)
        return list(zip(self.get_unscaled_gradients([g for g, _ in pairs]), [v for _, v in pairs]))

    def _build_in_scope(self, variables: list[Any]) -> None:
        if isinstance(self.inner_optimizer, LegacyOptimizer):
            self.inner_optimizer._build_in_scope(variables)
        else:
            self.build(variables)

    def _apply_pairs(self, pairs: list[tuple[Any, Any]]) -> Any:
        made = super()._apply_pairs(pairs)
        return None if state.graph is None else made

    def run_update(self, pairs: list[tuple[Any, Any]]) -> None:
        """Updates where all gradients are finite; adapts the scale."""
        finite = all(_finite(g[1] if isinstance(g, tuple) else g) for g, _ in pairs)
        if finite:
            self.inner_optimizer.run_update(pairs)
        else:
            self.inner_optimizer.iterations.assign_add(1)  # as Keras counts
        if not self.dynamic:
            return
        if not finite:
            self._set_scale(max(float(self._scale._read_array()) / 2, 1.0))
            return
        good = int(self._good_steps._read_array()) + 1
        if self.dynamic_growth_steps is not None and good >= self.dynamic_growth_steps:
            doubled = float(self._scale._read_array()) * 2
            if math.isfinite(np.float32(doubled)):
                self._set_scale(doubled)
                return
        self._good_steps._write_array(np.asarray(good, np.int64))

    def _set_scale(self, scale: float) -> None:
        self._scale._write_array(np.asarray(scale, np.float32))
        self._good_steps._write_array(np.asarray(0, np.int64))

    def get_config(self) -> dict[str, Any]:
        return {
            "inner_optimizer": serialize(self.inner_optimizer), "dynamic": self.dynamic,
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        arguments = dict(config)
        arguments["inner_optimizer"] = deserialize(arguments["inner_optimizer"], custom_objects)
        return cls(**arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        inner = self.__dict__.get("inner_optimizer")
        if inner is not None and isinstance(getattr(type(inner), name, None), number):
            setattr(inner, name, value)
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name == "inner_optimizer":
            raise AttributeError(name)
        return getattr(self.inner_optimizer, name)


def _finite(array: Any) -> bool:
    return bool(array_module(array).isfinite(array).all())


def _scalar(value: Any, dtype: str, name: str) -> Variable:
    from shardtape.context import building

    with building(None):
        return Variable(value, trainable=False, name=name, dtype=dtype)

"""`tf.keras.optimizers.legacy`: the optimizers by the arguments that Keras 2.10 and before took.

They are the optimizers of today with `lr` and `decay`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.graph.scopes import init_scope
from shardtape.optimizers import adadelta, adagrad, adam, adamax, ftrl, nadam, rmsprop, sgd
from shardtape.optimizers.legacy_numbers import number
from shardtape.optimizers.legacy_optimizer import Optimizer
from shardtape.optimizers.rule import compute_dtype
from shardtape.variable import Variable

__all__ = [
    "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop", "SGD",
]  # fmt: skip


class Adadelta(Optimizer, adadelta.Adadelta):
    """See `Optimizer`."""

    rho = number()


class Adagrad(Optimizer, adagrad.Adagrad):
    """See `Optimizer`."""


class Adam(Optimizer, adam.Adam):
    """See `Optimizer`."""

    beta_1 = number()
    beta_2 = number()


class Adamax(Optimizer, adamax.Adamax):
    """See `Optimizer`."""

    beta_1 = number()
    beta_2 = number()


class Ftrl(Optimizer, ftrl.Ftrl):
    """See `Optimizer`."""

    learning_rate_power = number()
    l1_regularization_strength = number()
    l2_regularization_strength = number()
    beta = number()


class Nadam(Optimizer, nadam.Nadam):
    """See `Optimizer`; the momentum's schedule is the older one.

    Args:
      schedule_decay: by which the momentum rises; the learning rate does not fall.
      decay: without effect, as in Keras.
    """

    beta_1 = number()
    beta_2 = number()

    def __init__(self, *args: Any, schedule_decay: float = 0.004, **kwargs: Any) -> None:
        kwargs.pop("decay", None)
        super().__init__(*args, **kwargs)
        self.rule.schedule_decay = schedule_decay
        self._cache: Variable | None = None
        self._cache_step = 0  # the update after which it was set

    @property
    def weights(self) -> list[Any]:
        """`iterations`, the product of the momenta so far, then the slots."""
        first, *slots = super().weights
        return [first, self._momentum_cache(), *slots] if self.updated_variables else [first]

    def set_weights(self, weights: Any) -> None:
        """As in the base."""
        super().set_weights(weights)
        self._cache_step = self._step()

    def _momentum_cache(self) -> Variable:
        """The product of the momenta of the updates so far; what it is set to counts."""
        step = self._step()
        if self._cache is None:
            dtype = compute_dtype(self.updated_variables[0].dtype.numpy_dtype)
            with init_scope():
                self._cache = Variable(
                    np.ones((), dtype), trainable=False, name=f"{self.name}/momentum_cache"
                )
        elif self._cache_step == step:
            return self._cache
        dtype = self._cache.dtype.numpy_dtype
        self._cache._storage()[...] = self.rule._momentum_product(dtype, step)
        self._cache_step = step
        return self._cache

    def run_update(self, pairs: list[tuple[Any, Any]]) -> None:
        """As in the base, with the product of the momenta as it is after `_momentum_cache`."""
        self._numbers.take()
        cache = self._momentum_cache()._storage()
        step = self._step()
        product = cache * self.rule._momentum(cache.dtype, step + 1)
        self.rule.products[:] = [product] * len(pairs)
        try:
            super(nadam.Nadam, self).run_update(pairs)
        finally:
            self.rule.products.clear()
        cache[...] = product
        self._cache_step = step + 1

    def traced(self, variables: int) -> Any:
        """None: the older Nadam multiplies its momenta once for each update, traced or not."""

    @property
    def decay(self) -> Any:
        """That of the momentum's schedule, a Variable."""
        return self._numbers.variable("schedule_decay", "decay")

    def get_config(self) -> dict[str, Any]:
        """The arguments; Keras writes `schedule_decay` as "decay"."""
        config = super().get_config()
        config["decay"] = config.pop("schedule_decay", self.rule.schedule_decay)
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """An optimizer of `get_config`'s dictionary."""
        given = dict(config)
        if "decay" in given:
            given["schedule_decay"] = given.pop("decay")
        return super().from_config(given, custom_objects)


class RMSprop(Optimizer, rmsprop.RMSprop):
    """See `Optimizer`."""

    rho = number()
    momentum = number()


class SGD(Optimizer, sgd.SGD):
    """See `Optimizer`."""

    momentum = number()

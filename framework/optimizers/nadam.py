"""Nadam: Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shardtape.optimizers.optimizer import Optimizer, hyperparameter
from shardtape.optimizers.rule import Rule, compute_dtype


class NadamRule(Rule):
    """Dozat's Nadam, with Keras's schedule of the momentum: beta_1 * (1 - 0.96 ** t / 2).

    Args:
      beta_1, beta_2: decay of the first and second moment.
      epsilon: added to the root of the corrected second moment.
      schedule_decay: factor of t in the schedule; Keras's older Nadam has 0.004.
      Others as in `Rule`.
    """

    class_name = "Nadam"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        schedule_decay: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, **shared)
        self._product: tuple[Any, int, Any] | None = None
        self.products: list[Any] = []  # of the next calls of `factors`, where the caller has them
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay

    @property
    def own_slots(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def _momentum(self, dtype: np.dtype, number: int) -> Any:
        decay = np.power(dtype.type(0.96), dtype.type(self.schedule_decay) * dtype.type(number))
        return dtype.type(self.beta_1) * (dtype.type(1) - dtype.type(0.5) * decay)

    def _momentum_product(self, dtype: np.dtype, number: int) -> Any:
        """The product of the momenta of the updates 1 to `number`."""
        done, product = 0, dtype.type(1)
        last = self._product
        if last is not None and last[0] == dtype and last[1] <= number:
            _, done, product = last
        for i in range(done + 1, number + 1):
            product = product * self._momentum(dtype, i)
            if not product:  # it stays zero
                break
        self._product = (dtype, number, product)
        return product

    @property
    def decays(self) -> dict[str, float]:
        return {"momentum": self.beta_1, "velocity": self.beta_2}

    def own_config(self) -> dict[str, Any]:
        out = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return out if self.schedule_decay == 1 else {**out, "schedule_decay": self.schedule_decay}

    def factors(self, dtype: np.dtype, step: int, learning_rate: float) -> tuple[Any, ...]:
        one = dtype.type(1)
        momentum, following = self._momentum(dtype, step + 1), self._momentum(dtype, step + 2)
        product = self.products.pop(0) if self.products else None
        if product is None:
            product = self._momentum_product(dtype, step + 1)
        power_2 = np.power(dtype.type(self.beta_2), dtype.type(step + 1))
        return (
            following / (one - product * following), (one - momentum) / (one - product),
            one - power_2, dtype.type(learning_rate),
            one - dtype.type(self.beta_1), one - dtype.type(self.beta_2),
        )  # fmt: skip

    def rows(
        self, xp: Any, param: Any, rows: Any, grad: Any, slots: Mapping[str, Any], step: int,
        learning_rate: float, scale: float = 1.0,
    ) -> None:  # fmt: skip
        """As in `Rule`; the older one's moments decay everywhere, but it moves the rows alone."""
        before = param.copy() if self.older else None
        super().rows(xp, param, rows, grad, slots, step, learning_rate, scale)
        if before is not None:
            before[rows] = param[rows]
            param[...] = before

    def block(
        self, xp: Any, p: Any, g: Any, slots: list[Any], t: Any, u: Any, f: tuple[Any, ...]
    ) -> None:
        of_moment, of_gradient, correction, rate, new_m, new_v = f
        m, v = slots
        xp.subtract(g, m, t)
        xp.multiply(t, new_m, t)
        xp.add(m, t, m)
        xp.multiply(g, g, t)
        xp.subtract(t, v, t)
        xp.multiply(t, new_v, t)
        xp.add(v, t, v)
        xp.multiply(m, of_moment, t)
        xp.multiply(g, of_gradient, u)
        xp.add(t, u, t)
        xp.multiply(t, rate, t)
        xp.divide(v, correction, u)
        xp.sqrt(u, u)
        xp.add(u, self.epsilon, u)
        xp.divide(t, u, t)
        xp.subtract(p, t, p)


class Nadam(Optimizer):
    """Nadam: `NadamRule` on Variables.

    Inside traced functions (`fit`, `tf.function`) of one process the product of the momenta is
    Keras's there: Keras counts in Python how often it was multiplied, which happens while it
    traces, so that traced updates multiply it for every Variable but one of some updates. Updates
    that run eagerly, and those of shards, multiply it once for each update. Where Keras's first
    update is infinite (one Variable, slots made in the trace) it is multiplied.

    Args: those of `NadamRule` and of `Optimizer`.
    """

    rule_class = NadamRule
    beta_1 = hyperparameter()
    beta_2 = hyperparameter()
    epsilon = hyperparameter()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        name: str = "Nadam",
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, name, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, jit_compile,
            beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **kwargs,
        )  # fmt: skip
        self._traced_product: Any = None  # from the first traced update on
        self._eager_updates = 0
        self._history = 0  # Variables of the traced updates before, where a file had them
        self._counter = 1  # what Keras counts in Python

    def traced(self, variables: int) -> int:
        """Keras's counter as the trace sees it."""
        if self._traced_product is None:
            done = int(self.iterations._read_array())  # also while a graph is built
            if done and not self._eager_updates:  # of a file: as if it were traced from the start
                self._counter, self._history = 1, variables
            else:
                self._counter = 1 + done
            self._traced_product = ()
        start = self._counter
        self._counter = start + variables
        return start

    def _begin_again(self) -> None:
        """The product of the momenta is not in Keras's files: it begins with 1 there."""
        self._counter, self._traced_product = 1, np.float32(1)

    def run_traced_update(self, pairs: list[tuple[Any, Any]], trace: int) -> None:
        """One update of a trace that began with the counter `trace`."""
        self._with_products(pairs, [trace + i for i in range(len(pairs))])

    def run_update(self, pairs: list[tuple[Any, Any]]) -> None:
        if self._traced_product is None:
            super().run_update(pairs)
            self._eager_updates += 1
            return
        counters = []
        for _ in pairs:
            counters.append(self._counter)
            self._counter += self._counter != self._step() + 2
        self._with_products(pairs, counters)

    def _with_products(self, pairs: list[tuple[Any, Any]], counters: list[int]) -> None:
        """Updates; the product is multiplied where a counter is not that of this update."""
        products = self._multiplied(compute_dtype(pairs[0][1].dtype.numpy_dtype), counters)
        self.rule.products[:] = products
        try:
            super().run_update(pairs)
        finally:
            self.rule.products.clear()
        self._traced_product = products[-1]

    def _multiplied(self, dtype: Any, counters: list[int]) -> list[Any]:
        """The product as each of the updates takes it."""
        step = self._step()
        product = self._traced_product
        if isinstance(product, tuple):
            product = self._product_before(dtype, step)
        products = []
        for counter in counters:
            if counter != step + 2 or product == 1:  # Keras divides by 1 - 1 there
                product = product * self.rule._momentum(dtype, step + 1)
            products.append(product)
        return products

    def _count_without_gradients(self, traced: Mapping[str, Any]) -> None:
        counters = [traced["trace"] + i for i in range(len(traced["sparse"]))]
        dtype = compute_dtype(self._variables[0].dtype.numpy_dtype)
        self._traced_product = self._multiplied(dtype, counters)[-1]
        super()._count_without_gradients(traced)

    def _product_before(self, dtype: Any, step: int) -> Any:
        """The product after `step` updates: eager ones, or traced ones that a file had."""
        if not self._history:
            return self.rule._momentum_product(dtype, step)
        product = dtype.type(1)
        for done in range(step):
            for counter in range(1 + self._history, 1 + 2 * self._history):
                if counter != done + 2 or product == 1:
                    product = product * self.rule._momentum(dtype, done + 1)
            if not product:  # it stays zero
                break
        return product

"""Seeds of Keras objects: initializers, dropout layers and whatever draws for a layer."""

from __future__ import annotations

import random as python_random
import weakref
from typing import Any

import numpy as np

from shardtape.backend import random as streams
from shardtape.ops import dropout, random, random_stateless
from shardtape.random_generator import Generator
from shardtape.replica_context import scopes

_MAX_SEED = 10**9
# In the state of a Mersenne Twister, which begins each program at a place of its own.
_NOTHING_DRAWN = 624
_AT_START = python_random.getstate()

# Python's generator that the current global seed led to, None for Python's own
_derived: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()


def set_random_seed(seed: int) -> None:
    """Seeds Python, numpy and Shardtape; Keras objects made from now on are reproducible.

    Raises ValueError for a seed that is no int.
    """
    if not isinstance(seed, int):
        raise ValueError(
            "Expected `seed` argument to be an integer. "
            f"Received: seed={seed} (of type {type(seed)})"
        )
    python_random.seed(seed)
    np.random.seed(seed)
    random.set_seed(seed)
    streams.current_seed().objects = python_random.Random(seed)


def make_seed(seed: int | None = None) -> int:
    """`seed`, or the next one for an object that was given none.

    After `set_random_seed` these are Keras's numbers. Keras then takes them from Python's random
    numbers, which `tf.random.set_seed` does not seed; here that is enough: they follow from the
    global seed, unless Python was seeded, too, which gives Keras's numbers again.
    """
    if seed is not None:
        return seed
    current = streams.current_seed()
    generator: Any = current.objects
    if generator is None:
        generator = _from_global_seed(current)
    elif _in_thread_of_replica():
        generator = python_random
    return generator.randint(1, _MAX_SEED)


def _in_thread_of_replica() -> bool:
    """Whether a replica runs that in TensorFlow has a thread of its own.

    Keras's generator of seeds belongs to the thread that it was seeded in; others draw from
    Python's random numbers.
    """
    strategies = scopes.strategies
    return bool(scopes.in_replica and strategies and getattr(strategies[-1], "mirrors", False))


def _from_global_seed(current: streams.GlobalSeed) -> Any:
    if current.value is None:
        return python_random
    setting, made = _derived.get(current, (None, None))
    if setting is not current.setting:
        made = None if _python_is_seeded() else python_random.Random(current.value)
        _derived[current] = current.setting, made
    return made or python_random


def _python_is_seeded() -> bool:
    """Whether Python's random numbers stand where `random.seed` puts them."""
    now = python_random.getstate()
    return now[1][-1] == _NOTHING_DRAWN and now != _AT_START


class RandomGenerator:
    """Draws for an initializer or a layer.

    Args:
      seed: None, or the seed.
      rng_type: "stateless": every draw is the same, from the seed or one that is made on first
        use; "legacy_stateful" (default): the stateful ops, the seed counting up with each draw;
        "stateful": a `tf.random.Generator`.
    """

    RNG_STATELESS = "stateless"
    RNG_STATEFUL = "stateful"
    RNG_LEGACY_STATEFUL = "legacy_stateful"

    def __init__(self, seed: int | None = None, rng_type: str | None = None) -> None:
        kinds = (self.RNG_STATELESS, self.RNG_STATEFUL, self.RNG_LEGACY_STATEFUL)
        self._rng_type = rng_type or self.RNG_LEGACY_STATEFUL
        if self._rng_type not in kinds:
            raise ValueError(
                "Invalid `rng_type` received. Valid `rng_type` are "
                f'["stateless", "stateful", "legacy_stateful"]. Got: {rng_type}'
            )
        self._seed = seed
        self._generator: Generator | None = None
        self._made_seed = False

    def prepare(self) -> None:
        """Takes the seed now, where draws need one."""
        if self._rng_type == self.RNG_STATEFUL:
            self._stateful()

    def make_seed_for_stateless_op(self) -> Any:
        """A seed [2] for a stateless op, None for the legacy type."""
        if self._rng_type == self.RNG_STATELESS:
            if not self._made_seed:
                self._seed, self._made_seed = make_seed(self._seed), True
            return [self._seed, 0]
        if self._rng_type == self.RNG_STATEFUL:
            return self._stateful().make_seeds()[:, 0]  # type: ignore[index]
        return None

    def make_legacy_seed(self) -> int | None:
        """The op seed for the next stateful op: it counts up; None without a seed."""
        if self._seed is None:
            return None
        self._seed += 1
        return self._seed - 1

    def _stateful(self) -> Generator:
        if self._generator is None:
            self._generator = Generator.from_seed(make_seed(self._seed), alg="auto_select")
        return self._generator

    def random_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32",
        nonce: int | None = None,
    ) -> Any:  # fmt: skip
        """Normal values."""
        return self._draw("normal", random.random_normal, shape, mean, stddev, dtype, nonce)

    def random_uniform(
        self, shape: Any, minval: Any = 0.0, maxval: Any = None, dtype: Any = "float32",
        nonce: int | None = None,
    ) -> Any:  # fmt: skip
        """Values uniform in [minval, maxval)."""
        return self._draw("uniform", random.random_uniform, shape, minval, maxval, dtype, nonce)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32",
        nonce: int | None = None,
    ) -> Any:  # fmt: skip
        """Normal values within two standard deviations."""
        return self._draw(
            "truncated_normal", random.truncated_normal, shape, mean, stddev, dtype, nonce
        )

    def dropout(
        self, inputs: Any, rate: Any, noise_shape: Any = None, nonce: int | None = None
    ) -> Any:
        """A share `rate` of the inputs as zeros, the others scaled by 1 / (1 - rate)."""
        if self._rng_type == self.RNG_LEGACY_STATEFUL:
            return dropout.dropout(inputs, rate, noise_shape, self.make_legacy_seed())
        if self._rng_type == self.RNG_STATEFUL:
            return dropout.general_dropout(
                inputs, rate, self._stateful().uniform, noise_shape=noise_shape
            )
        seed = self.make_seed_for_stateless_op()
        if nonce:
            seed = random_stateless.fold_in(seed, nonce)
        return dropout.stateless_dropout(inputs, rate, seed, noise_shape=noise_shape)

    def _draw(
        self, kind: str, stateful: Any, shape: Any, a: Any, b: Any, dtype: Any,
        nonce: int | None,
    ) -> Any:  # fmt: skip
        if self._rng_type == self.RNG_LEGACY_STATEFUL:
            return stateful(shape, a, b, dtype, seed=self.make_legacy_seed())
        if self._rng_type == self.RNG_STATEFUL:
            return getattr(self._stateful(), kind)(shape, a, b, dtype)
        seed = self.make_seed_for_stateless_op()
        if nonce:
            seed = random_stateless.fold_in(seed, nonce)
        return getattr(random_stateless, f"stateless_{kind}")(shape, seed, a, b, dtype)

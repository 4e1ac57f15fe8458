"""`tf.keras.backend.experimental`: which random numbers layers draw."""

from __future__ import annotations

from shardtape.errors import UnimplementedError


def is_tf_random_generator_enabled() -> bool:
    """True: layers draw from generators of their own."""
    return True


def enable_tf_random_generator() -> None:
    """Nothing to do: layers draw from generators of their own."""


def disable_tf_random_generator() -> None:
    """Raises UnimplementedError: there are no older random numbers to go back to."""
    raise UnimplementedError(
        "layers draw from generators of their own; tf.keras.utils.set_random_seed makes them repeat"
    )


__all__ = [
    "disable_tf_random_generator",
    "enable_tf_random_generator",
    "is_tf_random_generator_enabled",
]

"""`tf.autograph`: Python control flow on symbolic tensors."""

from shardtape.autograph import experimental
from shardtape.autograph.conversion import (
    convert_in_graph,
    convert_now,
    to_code,
    to_graph,
)

_print = print  # tf.print would print at each run

__all__ = [
    "convert_in_graph",
    "convert_now",
    "experimental",
    "set_verbosity",
    "to_code",
    "to_graph",
    "trace",
]


def trace(*args: object) -> None:
    """Prints its arguments when the function around it is traced, and not when it runs."""
    _print(*args)


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Shows the warnings of conversion from level 1 on."""
    import logging

    logging.getLogger("shardtape.autograph").setLevel(logging.DEBUG if level else logging.WARNING)

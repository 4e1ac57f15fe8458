"""`tf.autograph`: Python control flow on symbolic tensors."""

from shardtape.autograph import experimental
from shardtape.autograph.conversion import (
    convert_in_graph,
    convert_now,
    to_code,
    to_graph,
)

__all__ = [
    "convert_in_graph",
    "convert_now",
    "experimental",
    "set_verbosity",
    "to_code",
    "to_graph",
]


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Shows the warnings of conversion from level 1 on."""
    import logging

    logging.getLogger("shardtape.autograph").setLevel(logging.DEBUG if level else logging.WARNING)

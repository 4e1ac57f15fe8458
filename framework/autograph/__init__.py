"""`tf.autograph`: Python control flow on symbolic tensors."""

from types import SimpleNamespace as _Namespace

from shardtape.autograph.conversion import (
    convert_in_graph,
    convert_now,
    do_not_convert,
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


def set_loop_options(
    parallel_iterations: object = None,
    swap_memory: object = None,
    maximum_iterations: object = None,
    shape_invariants: object = None,
) -> None:
    """Options of the loop in whose body it stands first; read when the loop is converted."""


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Shows the warnings of conversion from level 1 on."""
    import logging

    logging.getLogger("shardtape.autograph").setLevel(logging.DEBUG if level else logging.WARNING)


experimental = _Namespace(do_not_convert=do_not_convert, set_loop_options=set_loop_options)

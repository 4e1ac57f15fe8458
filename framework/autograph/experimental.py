"""`tf.autograph.experimental`.

A module, and not a namespace, because the converter looks for `set_loop_options` by following
attributes of modules; it takes the call out of the loop and hands its arguments to the loop.
"""

from malt.lang.directives import set_loop_options

from shardtape.autograph.conversion import do_not_convert

__all__ = ["do_not_convert", "set_loop_options"]

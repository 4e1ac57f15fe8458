"""`tf.autograph.experimental`.

A module, and not a namespace, because the converter looks for `set_loop_options` by following
attributes of modules; it takes the call out of the loop and hands its arguments to the loop.
"""

from __future__ import annotations

import enum

from malt.lang.directives import set_loop_options

from shardtape.autograph.conversion import do_not_convert


class Feature(enum.Enum):
    """Parts of the conversion, for `experimental_autograph_options`; all of them are on."""

    ALL = "ALL"
    AUTO_CONTROL_DEPS = "AUTO_CONTROL_DEPS"
    ASSERT_STATEMENTS = "ASSERT_STATEMENTS"
    BUILTIN_FUNCTIONS = "BUILTIN_FUNCTIONS"
    EQUALITY_OPERATORS = "EQUALITY_OPERATORS"
    LISTS = "LISTS"
    NAME_SCOPES = "NAME_SCOPES"

    @classmethod
    def all(cls) -> tuple[Feature, ...]:
        """All of them."""
        return tuple(cls)

    @classmethod
    def all_but(cls, exclude: object) -> tuple[Feature, ...]:
        """All but one, or but those of a collection."""
        left = exclude if isinstance(exclude, (list, tuple, set)) else [exclude]
        return tuple(f for f in cls if f not in left and f is not cls.ALL)


__all__ = ["Feature", "do_not_convert", "set_loop_options"]

"""The error for an argument that no op could take, found before an op is made."""

from __future__ import annotations

from shardtape import errors
from shardtape.context import executing_eagerly


def refusal(
    text: str, eager: type[errors.OpError] = errors.InvalidArgumentError
) -> errors.OpError | ValueError:
    """The error to raise: what a kernel would raise in eager mode, a shape rule in a graph.

    Args:
      text: names the argument and what it may be.
      eager: the class in eager mode; in a graph it is ValueError always.
    """
    return (eager if executing_eagerly() else ValueError)(text)

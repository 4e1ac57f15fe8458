"""`tf.summary.experimental`."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from shardtape.graph.scopes import name_scope
from shardtape.summary.summaries import write_raw_pb
from shardtape.summary.writer import full_tag, get_step, set_step


@contextlib.contextmanager
def summary_scope(
    name: str | None, default_name: str = "summary", values: Any = None
) -> Iterator[tuple[str, str]]:
    """A block for a summary of one's own: (tag, scope): the name with the scopes around it in
    front, and the scope of the block."""
    given = name or default_name
    tag = full_tag(given)
    # scopes take fewer letters than tags
    allowed = re.sub(r"[^A-Za-z0-9_./-]", "", given).lstrip("-/_")
    with name_scope(allowed or default_name) as scope:
        yield tag, scope


__all__ = ["get_step", "set_step", "summary_scope", "write_raw_pb"]

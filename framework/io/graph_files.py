"""`tf.io.write_graph`, and names of files that are looked up once."""

from __future__ import annotations

import os
from typing import Any

from shardtape.io import gfile
from shardtape.io.files import matching_files
from shardtape.variable import Variable


def write_graph(graph_or_graph_def: Any, logdir: Any, name: str, as_text: bool = True) -> str:
    """Writes the GraphDef of a graph into a folder, which is made if it is missing.

    Args:
      graph_or_graph_def: a Graph or a GraphDef.
      as_text: as text, else as bytes.

    Returns: the path of the file.
    """
    made = graph_or_graph_def
    if hasattr(made, "as_graph_def"):
        made = made.as_graph_def()
    folder = os.fspath(logdir)
    gfile.makedirs(folder)
    path = os.path.join(folder, name)
    if as_text:
        from google.protobuf import text_format

        with gfile.GFile(path, "w") as file:
            file.write(text_format.MessageToString(made))
    else:
        with gfile.GFile(path, "wb") as file:
            file.write(made.SerializeToString(deterministic=True))
    return path


def match_filenames_once(pattern: Any, name: str | None = None) -> Variable:
    """A Variable of the names that match a pattern now; files that come later are not in it."""
    return Variable(matching_files(pattern), trainable=False, name=name)

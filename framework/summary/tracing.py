"""`tf.summary.trace_on` and `trace_export`: graphs of the functions that run in between."""

from __future__ import annotations

import logging
from typing import Any

from shardtape.graph import function as functions
from shardtape.profiler import experimental as profiler
from shardtape.summary.summaries import graph as write_graph
from shardtape.summary.writer import resolve_step, target

_log = logging.getLogger("shardtape")
_profiling = False


def trace_on(
    graph: bool = True, profiler: bool = False, profiler_outdir: str | None = None
) -> None:
    """Remembers the traces of functions that run until `trace_export` or `trace_off`.

    Args:
      graph: remember their graphs.
      profiler: profile the Python code, too; written to `profiler_outdir` by `trace_export`.
    """
    if functions.called is not None:
        _log.warning("Trace already enabled")
        return
    functions.called = [] if graph else None
    if profiler:
        _start_profiler(profiler_outdir)


def _start_profiler(directory: str | None) -> None:
    global _profiling
    profiler.start(directory or ".")
    _profiling = True


def trace_export(name: str, step: Any = None, profiler_outdir: str | None = None) -> None:
    """Writes the largest graph that ran since `trace_on` to the default writer, and stops.

    Args:
      name: of the trace; the Graphs page shows one graph per run.
      step: of the trace, by default that of `tf.summary.experimental.set_step`.
      profiler_outdir: where the profile goes.

    Raises ValueError without `trace_on`, or without a step.
    """
    global _profiling
    if functions.called is None and not _profiling:
        raise ValueError("Must enable trace before export through tf.summary.trace_on.")
    found = {id(f): f for f in functions.called or ()}
    if found and target() is not None:
        resolve_step(step)
        write_graph(max(found.values(), key=lambda f: len(f.graph.get_operations())).graph)
    if _profiling:
        profiler.stop(directory=profiler_outdir)
        _profiling = False
    functions.called = None


def trace_off() -> None:
    """Stops without writing."""
    global _profiling
    functions.called = None
    if _profiling:
        profiler.stop(save=False)
        _profiling = False

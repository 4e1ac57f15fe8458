"""The row that every benchmark writes, its JSON and its table, and how peers are run.

A row: `{name, ours, unit, against, theirs, ratio, min, max, runs}`. `ours` and `theirs` are
medians, `min` and `max` the extremes of ours over `runs` measurements. `ratio` says how many
times as good as theirs ours is: ours / theirs for rates, theirs / ours for times. `theirs` and
`ratio` are null where there is nothing to compare with, for example without `make bench-peers`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PEERS_PYTHON = HERE.parent / ".venv-peers" / "bin" / "python"
# Units in which less is better.
_TIMES = {"s", "ms", "us", "ns", "us per call", "us round trip"}


@dataclass(frozen=True)
class Row:
    """One line of a benchmark; see the module's text."""

    name: str
    ours: float
    unit: str
    against: str
    theirs: float | None
    ratio: float | None
    min: float
    max: float
    runs: int


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def row(
    name: str,
    unit: str,
    ours: Sequence[float],
    against: str = "",
    theirs: Sequence[float] | float | None = None,
) -> Row:
    """Makes a row of measurements of one thing and, where there are any, of a peer's.

    Args:
      name: short and without spaces; it identifies the row from run to run.
      unit: of both; times (s, ms, us, ns) are better when they are smaller.
      ours: one figure for each run, at least one.
      against: what `theirs` was measured on.
      theirs: figures of the peer, or its median.
    """
    if not ours:
        raise ValueError(f"{name}: no measurements")
    middle = statistics.median(ours)
    peer: float | None = None
    if isinstance(theirs, (int, float)):
        peer = float(theirs)
    elif theirs:
        peer = statistics.median(theirs)
    ratio = None
    if peer is not None:
        pair = (peer, middle) if unit in _TIMES else (middle, peer)
        ratio = pair[0] / pair[1] if pair[1] else math.inf
    return Row(
        name=name,
        ours=_short(middle),
        unit=unit,
        against=against,
        theirs=None if peer is None else _short(peer),
        ratio=None if ratio is None else _short(ratio),
        min=_short(min(ours)),
        max=_short(max(ours)),
        runs=len(ours),
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every script has."""
    made = argparse.ArgumentParser(
        description=(description or "").split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    return made


def report(rows: Sequence[Row], file: Path | None) -> None:
    """Prints the table and, where a file is named, writes the rows as JSON."""
    print(table(rows))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(each) for each in rows], indent=1) + "\n")


def read(file: Path) -> list[Row]:
    """Rows that `report` wrote; a file of another form raises TypeError or ValueError."""
    return [Row(**each) for each in json.loads(file.read_text())]


def table(rows: Sequence[Row]) -> str:
    """The rows as lines of text in columns."""
    lines = [("name", "ours", "unit", "theirs", "ratio", "min..max", "runs", "against")]
    for each in rows:
        theirs = "-" if each.theirs is None else f"{each.theirs:g}"
        ratio = "-" if each.ratio is None else f"{each.ratio:.2f}"
        spread = f"{each.min:g}..{each.max:g}"
        lines.append(
            (each.name, f"{each.ours:g}", each.unit, theirs, ratio, spread)
            + (str(each.runs), each.against)
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def peers_python() -> Path | None:
    """The interpreter of the peers' environment, None where it was not made.

    `make bench-peers` makes it; SHARDTAPE_PEERS_PYTHON names another.
    """
    named = os.environ.get("SHARDTAPE_PEERS_PYTHON")
    if named:
        return Path(named)
    return PEERS_PYTHON if PEERS_PYTHON.exists() else None


def run_peer(script: str, *arguments: object, limit_s: float = 300.0) -> list[dict] | None:
    """Runs a script of benchmarks/peers in the peers' environment.

    Returns:
      What it emitted (`measure.emit`: workload, peer, unit, median, min, max, runs, ...), None
      without that environment.

    Raises:
      RuntimeError: it failed, took longer than `limit_s`, or emitted nothing.
    """
    python = peers_python()
    if python is None:
        return None
    command = [str(python), str(PEERS / script), *map(str, arguments)]
    done = run_limited(command, limit_s, capture=True)
    emitted = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not emitted:
        tail = "\n".join(done.stderr.splitlines()[-8:])
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{tail}")
    return emitted


def run_limited(
    command: Sequence[str], limit_s: float, *, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process group of its own, which ends with it or at the limit.

    Raises:
      RuntimeError: it took longer than `limit_s`.
    """
    pipe = subprocess.PIPE if capture else None
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{' '.join(command)}: not done within {limit_s:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, output or "", errors or "")


def note_environment() -> None:
    """Says what of this environment slows the measurements, on standard error."""
    from shardtape.backend import environment

    advice = environment.describe()["advice"]
    for sentence in advice if isinstance(advice, list) else ():
        print(f"note: {sentence}", file=sys.stderr)

"""Runs every benchmark of this folder, prints one table, keeps the JSON in results/.

    python benchmarks/run.py [NAME ...] [--limit SECONDS]

A benchmark is a script beside this one that takes `--json FILE` and writes rows (see rows.py).
One that fails is named at the end, the others still run.
"""

import argparse
import sys
import time
from pathlib import Path

import rows

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
NO_BENCHMARKS = {"run.py", "rows.py"}
LIMIT_S = 900.0


def scripts() -> list[Path]:
    """The benchmarks of this folder, in alphabetical order."""
    return [path for path in sorted(HERE.glob("*.py")) if path.name not in NO_BENCHMARKS]


def run(script: Path, limit_s: float) -> tuple[list[rows.Row], str]:
    """Runs one benchmark: its rows, or what went wrong."""
    result = RESULTS / f"{script.stem}.json"
    result.unlink(missing_ok=True)
    print(f"-- {script.name}", flush=True)
    begin = time.monotonic()
    try:
        done = rows.run_limited([sys.executable, str(script), "--json", str(result)], limit_s)
    except RuntimeError as error:
        return [], str(error)
    print(f"-- {script.name} took {time.monotonic() - begin:.0f} s\n", flush=True)
    if done.returncode:
        return [], f"{script.name}: exit status {done.returncode}"
    try:
        return rows.read(result), ""
    except (OSError, TypeError, ValueError) as error:
        return [], f"{script.name}: no rows in {result}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the benchmarks, print one table.")
    parser.add_argument("names", nargs="*", help="only these (dense_ps, transport, ...)")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for one script")
    options = parser.parse_args()
    found = {script.stem: script for script in scripts()}
    unknown = set(options.names) - set(found)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    RESULTS.mkdir(exist_ok=True)
    rows.note_environment()
    if rows.peers_python() is None:
        print("note: no peers to compare with; make bench-peers installs them", file=sys.stderr)
    everything: list[rows.Row] = []
    failures = []
    for name in options.names or found:
        got, failure = run(found[name], options.limit)
        everything += got
        failures += [failure] if failure else []
    print(rows.table(everything))
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

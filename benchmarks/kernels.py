"""Kernels beside TensorFlow's: operators and layers at the sizes of tutorials, one thread.

For each case of peers/kernel_cases.py a row of the compiled function and one of the function with
its gradient (`NAME_gradient`), in milliseconds. Two processes, ours and TensorFlow's, are asked
for each case in turn, so that what else runs on the machine meets both; a figure is the least of
several windows.

    python benchmarks/kernels.py [CASE ...] [--rounds 2] [--worse-than 1.5] [--json FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

import rows  # noqa: E402 - the path of the peers' modules comes first
from children import Child  # noqa: E402
from kernel_cases import CASES  # noqa: E402

LIMIT_S = 60.0
SCRIPT = HERE / "peers" / "kernels.py"


def start(python: str, peer: str) -> Child:
    """A process that answers cases; it stays on the first core that this one may use."""
    return Child(str(SCRIPT), [peer], python=python)


def ask(child: Child, name: str) -> dict[str, Any]:
    """The answer of one process for one case.

    Raises:
      RuntimeError: the case failed there.
    """
    child.say({"case": name})
    found = child.hear(LIMIT_S)
    if "error" in found:
        raise RuntimeError(f"{name}: {found['error']}")
    return found


def measure(names: list[str], rounds: int) -> list[rows.Row]:
    """The rows of these cases."""
    python = rows.peers_python()
    ours = start(sys.executable, "ours")
    theirs = start(str(python), "tf") if python else None
    made = []
    try:
        for name in names:
            mine: list[dict[str, Any]] = []
            peer: list[dict[str, Any]] = []
            for _ in range(rounds):
                mine.append(ask(ours, name))
                if theirs is not None:
                    peer.append(ask(theirs, name))
            for what, suffix in (("forward", ""), ("gradient", "_gradient")):
                figures = [found[what] for found in mine if found[what] is not None]
                against = [found[what] for found in peer if found[what] is not None]
                if figures:
                    made.append(
                        rows.row(f"{name}{suffix}", "ms", figures, "TensorFlow", against or None)
                    )
    finally:
        for child in (ours, theirs):
            if child is not None:
                child.stop()
    return made


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each, in turn")
    parser.add_argument(
        "--worse-than", type=float, metavar="TIMES", help="only rows that take so many times theirs"
    )
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    rows.note_environment()
    made = measure(options.cases or list(CASES), options.rounds)
    if options.worse_than:
        made = [row for row in made if row.ratio and row.ratio * options.worse_than < 1]
    rows.report(made, options.json)


if __name__ == "__main__":
    main()

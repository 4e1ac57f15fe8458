"""Runs programs cell by cell, as a notebook does, and keeps what each cell prints.

A file of cells is Python; `# %%` starts a cell. The last expression of a cell is shown. Knows
nothing of the framework but the module that it is given, so that TensorFlow can run it, too.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RECORDED = HERE / "tensorflow_2_15.json"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def programs() -> dict[str, list[str]]:
    """The cells of each file, by its name."""
    return {
        path.stem: [c for c in re.split(r"^# %%.*\n", path.read_text(), flags=re.M) if c.strip()]
        for path in sorted(HERE.glob("cells_*.txt"))
    }


def run(name: str, cells: list[str], tf: Any) -> Iterator[str]:
    """What each cell printed and showed; the class of what it raised in place of a traceback."""
    home = types.ModuleType(f"guide_{name}")
    home.__dict__.update(tf=tf, np=np)
    sys.modules[home.__name__] = home  # classes and functions look for their module
    try:
        for number, cell in enumerate(cells):
            yield _run_cell(f"<{name}-{number}>", cell, home.__dict__)
    finally:
        del sys.modules[home.__name__]


def _run_cell(filename: str, cell: str, names: dict[str, Any]) -> str:
    linecache.cache[filename] = (len(cell), None, cell.splitlines(True), filename)
    tree = ast.parse(cell, filename)
    shown = None
    if isinstance(tree.body[-1], ast.Expr):
        shown = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(tree, filename, "exec"), names)
            if shown is not None:
                value = eval(compile(shown, filename, "eval"), names)
                if value is not None:
                    print(repr(value))
        except Exception as error:  # noqa: BLE001 - a cell may be there to fail
            print(f"raised {type(error).__name__}")
    return _plain(printed.getvalue())


def _plain(text: str) -> str:
    """Without what differs between two runs of one program, or two versions of NumPy."""
    text = re.sub(r"0x[0-9a-fA-F]+", "0x", text)
    text = re.sub(r"^  \d{9,}: ", "  captured: ", text, flags=re.M)
    return re.sub(r"np\.\w+\(([^()]*)\)", r"\1", text)


def differ(got: str, want: str, tolerance: float = 1e-5) -> bool:
    """Whether two texts differ in more than white space and the last digits of numbers."""
    split = [" ".join(_NUMBER.sub("#", text).split()) for text in (got, want)]
    if split[0] != split[1]:
        return True
    pairs = zip(_NUMBER.findall(got), _NUMBER.findall(want))
    return any(
        abs(float(a) - float(b)) > tolerance * max(1.0, abs(float(a)), abs(float(b)))
        for a, b in pairs
    )

"""From lines of generated code back to the user's own lines.

AutoGraph runs a copy of a function whose source lies in a temporary file, which nobody has ever
seen and which is gone when the program ends. Whoever shows a place in code asks here first.
"""

from __future__ import annotations

import bisect
import os
import textwrap
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

_HEADING = "in user code:"
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Line(NamedTuple):
    """A line of the user's source."""

    file: str
    number: int
    function: str
    text: str


# by generated file: its mapped line numbers in their order, and what they come from
_generated: dict[str, tuple[list[int], list[Line]]] = {}


def register(lines: Iterable[tuple[str, int, Line]]) -> None:
    """Takes in where generated lines come from: (generated file, line number, origin)."""
    found: dict[str, dict[int, Line]] = {}
    for file, number, line in lines:
        found.setdefault(file, {})[number] = line
    for file, by_number in found.items():
        numbers = sorted(by_number)
        _generated[file] = numbers, [by_number[number] for number in numbers]


def original(file: str, number: int) -> Line | None:
    """The user's line behind a line of generated code; None for other files.

    Generated lines without an origin of their own belong to the one before them.
    """
    mapped = _generated.get(file)
    if mapped is None:
        return None
    numbers, lines = mapped
    return lines[max(bisect.bisect_right(numbers, number) - 1, 0)]


def original_frame(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    """The frame as the user's source has it; the same one if it is not of generated code."""
    line = original(frame.filename, frame.lineno or 0)
    if line is None:
        return frame
    return traceback.FrameSummary(line.file, line.number, line.function, line=line.text)


@contextmanager
def origins_noted() -> Iterator[None]:
    """Puts the user's lines on the way to an error in generated code into its text, once.

    The form is TensorFlow's ("in user code:"). Errors whose text is not simply their only
    argument get a note instead.
    """
    try:
        yield
    except Exception as error:
        lines = "".join(_origins(error)).rstrip()
        if lines:
            _tell(error, f"{_HEADING}\n\n{lines}")
        raise


def _tell(error: Exception, lines: str) -> None:
    if not _replaced(error, lines) and not any(
        note.startswith(_HEADING) for note in getattr(error, "__notes__", ())
    ):
        error.add_note(lines)


def _replaced(error: Exception, lines: str) -> bool:
    """Puts the lines before the text; False where the error makes its text in another way."""
    given = error.args
    if len(given) != 1 or not isinstance(given[0], str) or hasattr(error, "error_code"):
        return False
    text = plain_text(error)  # a function around tells it anew, with its own lines
    shown = textwrap.indent(f"{type(error).__name__}: {text}", "    ")
    error.args = (f"{lines}\n\n{shown}\n",)
    if str(error) != error.args[0]:
        error.args = given
        return False
    error._plain_text = text  # type: ignore[attr-defined]
    return True


def plain_text(error: BaseException) -> str:
    """The error's text without the lines that `origins_noted` put before it."""
    return getattr(error, "_plain_text", None) or str(error)


def _origins(error: BaseException) -> Iterator[str]:
    inside = False
    last = None
    for frame in traceback.extract_tb(error.__traceback__):
        generated = frame.filename in _generated
        inside = inside or generated
        if not inside or not (generated or _is_users(frame.filename)):
            continue
        shown = original_frame(frame)
        if (shown.filename, shown.lineno) != last:  # a block of the copy belongs to the same line
            yield f'    File "{shown.filename}", line {shown.lineno}, in {shown.name}'
            yield "  *\n" if generated else "\n"
            yield f"        {shown.line}\n" if shown.line else ""
        last = shown.filename, shown.lineno


def _is_users(file: str) -> bool:
    return not file.startswith((_OWN, "<")) and f"{os.sep}site-packages{os.sep}" not in file

"""The assertions of `tf.test.TestCase` on plain Python values, as Abseil's test case has them."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import tempfile
import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

_COMMAND_DEADLINE_S = 600.0


class Assertions(unittest.TestCase):
    """Lengths, prefixes, subsets, orders, commands and files."""

    # ---- containers -----------------------------------------------------------------------
    def assertLen(self, container: Any, expected_len: int, msg: str | None = None) -> None:
        """A container of so many members."""
        if len(container) != expected_len:
            self._fail(f"{container!r} has length of {len(container)}, expected {expected_len}.",
                       msg)  # fmt: skip

    def assertEmpty(self, container: Any, msg: str | None = None) -> None:
        """A container without members."""
        if len(container):
            self._fail(f"{container!r} has length of {len(container)}.", msg)

    def assertNotEmpty(self, container: Any, msg: str | None = None) -> None:
        """A container with members."""
        if not len(container):
            self._fail(f"{container!r} has length of 0.", msg)

    def assertContainsSubset(
        self, expected_subset: Iterable[Any], actual_set: Iterable[Any], msg: str | None = None
    ) -> None:
        """All members of the first are in the second."""
        lacking = set(expected_subset) - set(actual_set)
        if lacking:
            self._fail(f"Missing elements {lacking}", msg)

    def assertNoCommonElements(
        self, expected_seq: Iterable[Any], actual_seq: Iterable[Any], msg: str | None = None
    ) -> None:
        """No member is in both."""
        common = set(expected_seq) & set(actual_seq)
        if common:
            self._fail(f"Common elements {common}", msg)

    def assertItemsEqual(self, *args: Any, **kwargs: Any) -> None:
        """`assertCountEqual`: the same members, as often, in any order."""
        self.assertCountEqual(*args, **kwargs)

    def assertSameElements(
        self, expected_seq: Iterable[Any], actual_seq: Iterable[Any], msg: str | None = None
    ) -> None:
        """The same members, however often. Strings are refused: they are sequences by accident."""
        for given in (expected_seq, actual_seq):
            if isinstance(given, str):
                self.fail(f"Passing string/bytes to assertSameElements is usually a bug: {given!r}")
        try:
            expected, actual = dict.fromkeys(expected_seq), dict.fromkeys(actual_seq)
            lacking = [e for e in expected if e not in actual]
            surplus = [a for a in actual if a not in expected]
        except TypeError:  # members that cannot be hashed
            first, second = list(expected_seq), list(actual_seq)
            lacking = [e for e in first if e not in second]
            surplus = [a for a in second if a not in first]
        if lacking or surplus:
            self._fail(f"missing: {lacking}, unexpected: {surplus}", msg)

    def assertSequenceAlmostEqual(
        self, expected_seq: Sequence[Any], actual_seq: Sequence[Any], places: int | None = None,
        msg: str | None = None, delta: float | None = None,
    ) -> None:  # fmt: skip
        """Numbers that are almost equal, one by one."""
        self.assertLen(actual_seq, len(expected_seq), msg)
        for a, b in zip(expected_seq, actual_seq):
            self._almost(a, b, places, msg, delta)

    def assertDictAlmostEqual(
        self, expected: Mapping[Any, Any], actual: Mapping[Any, Any], places: int | None = None,
        msg: str | None = None, delta: float | None = None,
    ) -> None:  # fmt: skip
        """Equal keys, and values that are almost equal."""
        self.assertSameElements(expected, actual, msg)
        for key, value in expected.items():
            self._almost(value, actual[key], places, msg, delta)

    def _almost(self, a: Any, b: Any, places: Any, msg: str | None, delta: Any) -> None:
        self.assertAlmostEqual(a, b, places, msg, delta)

    def assertMappingEqual(
        self, a: Mapping[Any, Any], b: Mapping[Any, Any], msg: str | None = None
    ) -> None:
        """Mappings with equal keys and values."""
        self.assertDictEqual(dict(a), dict(b), msg)

    def assertSequenceStartsWith(self, prefix: Any, whole: Any, msg: str | None = None) -> None:
        """A sequence that begins with another one (or with one element)."""
        if isinstance(prefix, Iterable) and not isinstance(prefix, str):
            head = list(prefix)
        else:
            head = [prefix]
        self.assertTrue(head, "prefix length must not be 0")
        self.assertEqual(list(whole)[: len(head)], head, msg)

    def assertContainsSubsequence(
        self, container: Sequence[Any], subsequence: Sequence[Any], msg: str | None = None
    ) -> None:
        """Members of the second come in the first in their order, others may be between."""
        rest = iter(container)
        for wanted in subsequence:
            if not any(item == wanted for item in rest):
                self._fail(f"{list(container)} does not have {list(subsequence)} in this order: "
                           f"first lacking {wanted!r}", msg)  # fmt: skip

    def assertContainsExactSubsequence(
        self, container: Sequence[Any], subsequence: Sequence[Any], msg: str | None = None
    ) -> None:
        """Members of the second come in the first one after the other."""
        whole, part = list(container), list(subsequence)
        starts = range(len(whole) - len(part) + 1)
        if not any(whole[i : i + len(part)] == part for i in starts):
            self._fail(f"{whole} does not have {part} in one piece", msg)

    def assertContainsInOrder(
        self, strings: Sequence[str], target: str, msg: str | None = None
    ) -> None:
        """Pieces that come in a text in their order."""
        at = 0
        for piece in [strings] if isinstance(strings, str) else strings:
            found = target.find(piece, at)
            if found < 0:
                self._fail(f"Did not find {piece!r} in {target!r} after position {at}", msg)
            at = found + len(piece)

    def assertTotallyOrdered(self, *groups: Any, **kwargs: Any) -> None:
        """Groups of values: equal within a group, greater than those of the groups before."""
        flat = [(i, value) for i, group in enumerate(groups) for value in group]
        for i, a in flat:
            for j, b in flat:
                self.assertEqual((a < b, a <= b, a == b, a > b), (i < j, i <= j, i == j, i > j),
                                 kwargs.get("msg") or f"{a!r} and {b!r}")  # fmt: skip

    def assertSameStructure(
        self, a: Any, b: Any, aname: str = "a", bname: str = "b", msg: str | None = None
    ) -> None:
        """Nested dictionaries and lists that are equal; the first difference is named."""
        difference = _difference(a, b, "")
        if difference is not None:
            self._fail(f"{aname} and {bname} differ at {difference}", msg)

    def assertJsonEqual(self, first: str, second: str, msg: str | None = None) -> None:
        """Texts that hold the same JSON."""
        self.assertSameStructure(json.loads(first), json.loads(second), "first", "second", msg)

    def assertDataclassEqual(self, first: Any, second: Any, msg: str | None = None) -> None:
        """Dataclasses of one type with equal fields."""
        self.assertIs(type(first), type(second), msg)
        self.assertEqual(first, second, msg)

    # ---- values -----------------------------------------------------------------------------
    def assertBetween(self, value: Any, minv: Any, maxv: Any, msg: str | None = None) -> None:
        """A value from `minv` to `maxv`."""
        if not minv <= value <= maxv:
            self._fail(f'"{value!r}" unexpectedly not between "{minv!r}" and "{maxv!r}"', msg)

    def assertStartsWith(self, actual: str, expected_start: str, msg: str | None = None) -> None:
        if not actual.startswith(expected_start):
            self._fail(f"{actual!r} does not start with {expected_start!r}", msg)

    def assertNotStartsWith(
        self, actual: str, unexpected_start: str, msg: str | None = None
    ) -> None:
        if actual.startswith(unexpected_start):
            self._fail(f"{actual!r} does start with {unexpected_start!r}", msg)

    def assertEndsWith(self, actual: str, expected_end: str, msg: str | None = None) -> None:
        if not actual.endswith(expected_end):
            self._fail(f"{actual!r} does not end with {expected_end!r}", msg)

    def assertNotEndsWith(self, actual: str, unexpected_end: str, msg: str | None = None) -> None:
        if actual.endswith(unexpected_end):
            self._fail(f"{actual!r} does end with {unexpected_end!r}", msg)

    def assertRegexMatch(
        self, actual_str: str, regexes: Sequence[str], message: str | None = None
    ) -> None:
        """A text that one of the patterns is found in."""
        if isinstance(regexes, str):
            self.fail("regexes is string or bytes; use assertRegex instead.")
        if not any(re.search(pattern, actual_str) for pattern in regexes):
            self._fail(f"{actual_str!r} does not match any of {list(regexes)}", message)

    def assertIsSubclass(self, issubclass_: Any, superclass: Any, msg: str | None = None) -> None:
        if not issubclass(issubclass_, superclass):
            self._fail(f"{issubclass_!r} is not a subclass of {superclass!r}", msg)

    def assertNotIsSubclass(
        self, issubclass_: Any, superclass: Any, msg: str | None = None
    ) -> None:
        if issubclass(issubclass_, superclass):
            self._fail(f"{issubclass_!r} is a subclass of {superclass!r}", msg)

    def assertUrlEqual(self, a: str, b: str, msg: str | None = None) -> None:
        """Addresses with equal parts, however the parameters of the query are ordered."""
        import urllib.parse

        first, second = urllib.parse.urlparse(a), urllib.parse.urlparse(b)
        self.assertEqual((first.scheme, first.netloc, first.path, first.fragment),
                         (second.scheme, second.netloc, second.path, second.fragment),
                         msg)  # fmt: skip
        self.assertEqual(sorted(first.params.split(";")), sorted(second.params.split(";")), msg)
        one, other = (urllib.parse.parse_qs(u.query, keep_blank_values=True)
                      for u in (first, second))  # fmt: skip
        self.assertDictEqual(one, other, msg)

    def assertRaisesWithPredicateMatch(
        self, expected_exception: Any, predicate: Any, callable_obj: Any = None, *args: Any,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        """A call (or a block) that raises an error of which `predicate(error)` is true.

        A text in the place of the predicate is a pattern of the error's text.
        """
        if callable(predicate):
            holds: Callable[[BaseException], Any] = predicate
        else:

            def holds(error: BaseException) -> Any:
                return re.search(predicate, str(error))

        context = self._raised(expected_exception, holds, f"by {predicate!r}")
        if callable_obj is None:
            return context
        with context:
            callable_obj(*args, **kwargs)
        return None

    def assertRaisesWithLiteralMatch(
        self, expected_exception: Any, expected_exception_message: str, callable_obj: Any = None,
        *args: Any, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """A call (or a block) that raises an error with exactly this text."""
        return self.assertRaisesWithPredicateMatch(
            expected_exception, lambda error: str(error) == expected_exception_message,
            callable_obj, *args, **kwargs,
        )  # fmt: skip

    @contextlib.contextmanager
    def _raised(
        self, kind: Any, holds: Callable[[BaseException], Any], said: str
    ) -> Iterator[None]:
        try:
            yield
        except kind as error:
            if not holds(error):
                self.fail(f"{error!r} does not match {said}")
            return
        self.fail(f"{getattr(kind, '__name__', kind)} not raised")

    # ---- commands, files, contexts ----------------------------------------------------------
    def assertCommandSucceeds(
        self, command: Any, regexes: Sequence[Any] = (b"",), env: Any = None,
        close_fds: bool = True, msg: str | None = None,
    ) -> None:  # fmt: skip
        """A command that ends well, and prints what one of the patterns is found in."""
        self._command(command, regexes, env, close_fds, msg, True)

    def assertCommandFails(
        self, command: Any, regexes: Sequence[Any], env: Any = None, close_fds: bool = True,
        msg: str | None = None,
    ) -> None:  # fmt: skip
        """A command that fails, and prints what one of the patterns is found in."""
        self._command(command, regexes, env, close_fds, msg, False)

    def _command(
        self, command: Any, regexes: Any, env: Any, close_fds: bool, msg: Any, well: bool
    ) -> None:
        import subprocess  # not where no command is run

        if isinstance(regexes, (str, bytes)):
            self.fail("regexes is a string; it needs to be a list of strings.")
        try:
            ran = subprocess.run(
                command, shell=isinstance(command, str), env=env, close_fds=close_fds,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                timeout=_COMMAND_DEADLINE_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            self._fail(
                f"{command!r} has not ended after {error.timeout:g} s: {error.stdout!r}", msg
            )
        if (ran.returncode == 0) is not well:
            self._fail(f"{command!r} ended with {ran.returncode}: {ran.stdout!r}", msg)
        patterns = [r if isinstance(r, bytes) else r.encode() for r in regexes]
        if not any(re.search(p, ran.stdout) for p in patterns):
            self._fail(f"{command!r} printed {ran.stdout!r}, which matches none of {patterns}", msg)

    def create_tempdir(self, name: str | None = None, cleanup: Any = None) -> TemporaryFolder:
        """A folder of this test's own, which is removed after it."""
        made = TemporaryFolder(tempfile.mkdtemp() if name is None else self._named(name))
        os.makedirs(made.full_path, exist_ok=True)
        self.addCleanup(_remove_tree, made.full_path)
        return made

    def create_tempfile(
        self, file_path: str | None = None, content: Any = None, mode: str = "w",
        encoding: str = "utf8", errors: str = "strict", cleanup: Any = None,
    ) -> TemporaryFile:  # fmt: skip
        """A file of this test's own, which is removed after it."""
        folder = self.create_tempdir()
        return folder.create_file(file_path, content, mode, encoding, errors)

    def _named(self, name: str) -> str:
        folder = tempfile.mkdtemp()
        self.addCleanup(_remove_tree, folder)
        return os.path.join(folder, name)

    def enter_context(self, manager: Any) -> Any:
        """What a context manager gives; it is left after the test."""
        found = type(manager).__enter__(manager)
        self.addCleanup(type(manager).__exit__, manager, None, None, None)
        return found

    def _fail(self, text: str, msg: str | None) -> None:
        self.fail(text if msg is None else f"{text} : {msg}")


def _difference(a: Any, b: Any, path: str) -> str | None:
    """Where two nested values differ first; None if nowhere."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in collections.ChainMap(dict(b), dict(a)):
            if key not in a or key not in b:
                return f"{path}[{key!r}], which only one of them has"
        found = (_difference(a[k], b[k], f"{path}[{k!r}]") for k in a)
        return next((f for f in found if f is not None), None)
    plain = (str, bytes)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, plain):
        if len(a) != len(b):
            return f"{path}: {len(a)} and {len(b)} elements"
        found = (_difference(x, y, f"{path}[{i}]") for i, (x, y) in enumerate(zip(a, b)))
        return next((f for f in found if f is not None), None)
    return None if a == b else f"{path or 'the top'}: {a!r} and {b!r}"


def _remove_tree(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


class TemporaryFile:
    """A file that `create_tempfile` made; `full_path` says where."""

    def __init__(self, path: str) -> None:
        self.full_path = path

    def __fspath__(self) -> str:
        return self.full_path

    def read_text(self, encoding: str = "utf8", errors: str = "strict") -> str:
        with self.open_text("rt", encoding, errors) as file:
            return file.read()

    def read_bytes(self) -> bytes:
        with self.open_bytes() as file:
            return file.read()

    def write_text(
        self, text: str, mode: str = "w", encoding: str = "utf8", errors: str = "strict"
    ) -> None:
        with self.open_text(mode, encoding, errors) as file:
            file.write(text)

    def write_bytes(self, data: bytes, mode: str = "wb") -> None:
        with self.open_bytes(mode) as file:
            file.write(data)

    def open_text(self, mode: str = "rt", encoding: str = "utf8", errors: str = "strict") -> Any:
        return open(self.full_path, mode, encoding=encoding, errors=errors)

    def open_bytes(self, mode: str = "rb") -> Any:
        return open(self.full_path, mode)


class TemporaryFolder:
    """A folder that `create_tempdir` made; `full_path` says where."""

    def __init__(self, path: str) -> None:
        self.full_path = path

    def __fspath__(self) -> str:
        return self.full_path

    def create_file(
        self, file_path: str | None = None, content: Any = None, mode: str = "w",
        encoding: str = "utf8", errors: str = "strict",
    ) -> TemporaryFile:  # fmt: skip
        """A file in the folder (in folders of it that are made), with a text or bytes."""
        if file_path is None:
            handle, path = tempfile.mkstemp(dir=self.full_path)
            os.close(handle)
        else:
            path = os.path.join(self.full_path, file_path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
        made = TemporaryFile(path)
        if isinstance(content, bytes):
            made.write_bytes(content, mode if "b" in mode else f"{mode}b")
        else:
            made.write_text(content or "", mode, encoding, errors)
        return made

    def mkdir(self, dir_path: str | None = None) -> TemporaryFolder:
        """A folder in the folder."""
        if dir_path is None:
            return TemporaryFolder(tempfile.mkdtemp(dir=self.full_path))
        path = os.path.join(self.full_path, dir_path)
        os.makedirs(path, exist_ok=True)
        return TemporaryFolder(path)

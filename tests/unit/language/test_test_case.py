"""The assertions of `tf.test.TestCase`: each passes what is right and fails what is wrong."""

import dataclasses
import os
import unittest

import numpy as np
import pytest

import shardtape as tf


class _Case(tf.test.TestCase):
    def runTest(self):
        pass


@pytest.fixture
def case():
    made = _Case()
    yield made
    made.doCleanups()


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("assertLen", ([1, 2], 2), ([1, 2], 3)),
        ("assertEmpty", ([],), ([1],)),
        ("assertNotEmpty", ("a",), ("",)),
        ("assertContainsSubset", ([1], [1, 2]), ([3], [1, 2])),
        ("assertNoCommonElements", ([1], [2]), ([1], [1, 2])),
        ("assertItemsEqual", ([1, 2, 2], [2, 1, 2]), ([1, 2, 2], [2, 1])),
        ("assertSameElements", ([1, 2, 2], [2, 1]), ([1], [1, 2])),
        ("assertSameElements", ([[1], [2]], [[2], [1]]), ("ab", "ba")),
        ("assertSequenceAlmostEqual", ([1.0], [1.0 + 1e-9]), ([1.0], [1.1])),
        ("assertDictAlmostEqual", ({"a": 1.0}, {"a": 1 + 1e-9}), ({"a": 1.0}, {"b": 1.0})),
        ("assertMappingEqual", ({"a": 1}, {"a": 1}), ({"a": 1}, {"a": 2})),
        ("assertSequenceStartsWith", ([1], [1, 2]), ([2], [1, 2])),
        ("assertContainsSubsequence", ([1, 2, 3], [1, 3]), ([1, 2, 3], [3, 1])),
        ("assertContainsExactSubsequence", ([1, 2, 3], [2, 3]), ([1, 2, 3], [1, 3])),
        ("assertContainsInOrder", (["a", "c"], "abc"), (["c", "a"], "abc")),
        ("assertTotallyOrdered", ([1], [2, 2.0], [3]), ([1, 2], [3])),
        ("assertSameStructure", ({"a": [1]}, {"a": [1]}), ({"a": [1]}, {"a": [2]})),
        ("assertJsonEqual", ('{"a":1}', '{"a": 1}'), ('{"a":1}', '{"b": 1}')),
        ("assertDataclassEqual", (Point(1), Point(1)), (Point(1), Point(2))),
        ("assertBetween", (2, 1, 3), (4, 1, 3)),
        ("assertStartsWith", ("abc", "ab"), ("abc", "b")),
        ("assertNotStartsWith", ("abc", "b"), ("abc", "ab")),
        ("assertEndsWith", ("abc", "bc"), ("abc", "b")),
        ("assertNotEndsWith", ("abc", "b"), ("abc", "bc")),
        ("assertRegexMatch", ("abc", ["x", "b."]), ("abc", ["x"])),
        ("assertIsSubclass", (bool, int), (int, bool)),
        ("assertNotIsSubclass", (int, bool), (bool, int)),
        ("assertUrlEqual", ("http://a/b?x=1&y=2", "http://a/b?y=2&x=1"),
         ("http://a/b", "http://a/c")),
        ("assertCommandSucceeds", (["echo", "hi"], [b"hi"]), (["false"],)),
        ("assertCommandFails", ("echo no; false", ["no"]), ("true", [""])),
        ("assertAllInSet", ([1, 2], {1, 2, 3}), ([1, 4], {1, 2, 3})),
        ("assertAllGreaterEqual", ([1, 2], 1), ([1, 2], 2)),
        ("assertAllLessEqual", ([1, 2], 2), ([1, 2], 1)),
        ("assertAllInRange", ([1, 2], 1, 2), ([1, 2], 1, 2, True)),
        ("assertArrayNear", ([1.0, 2.0], [1.1, 2.0], 0.2), ([1.0, 2.0], [1.1, 2.0], 0.05)),
        ("assertNDArrayNear", (np.ones(4), np.ones(4) + 0.1, 0.21), (np.ones(4), np.zeros(4), 1)),
        ("assertDeviceEqual", ("/cpu:0", "/device:CPU:0"), ("/cpu:0", "/cpu:1")),
        ("assertProtoEquals", ("value: 3", tf.train.FloatList(value=[3])),
         ("value: 4", tf.train.FloatList(value=[3]))),
        ("assertNotAllClose", ([1.0], [2.0]), ([1.0], [1.0])),
        ("assertAllCloseAccordingToType", (np.float16([1.0]), np.float16([1.001])),
         (np.float32([1.0]), np.float32([1.001]))),
    ],
)  # fmt: skip
def test_assertions(case, name, right, wrong):
    assertion = getattr(case, name)
    assertion(*right)
    with pytest.raises(unittest.TestCase.failureException):
        assertion(*wrong)


def test_errors_that_must_be_raised(case):
    with case.assertRaisesWithLiteralMatch(ValueError, "a b"):
        raise ValueError("a b")
    with pytest.raises(AssertionError), case.assertRaisesWithLiteralMatch(ValueError, "a"):
        raise ValueError("a b")
    with case.assertRaisesWithPredicateMatch(ValueError, lambda e: e.args == (3,)):
        raise ValueError(3)
    with pytest.raises(AssertionError, match="not raised"):
        case.assertRaisesWithPredicateMatch(ValueError, "x", int, "1")
    with case.assertRaisesIncompatibleShapesError():
        tf.add([1, 2], [1, 2, 3])
    with pytest.raises(AssertionError), case.assertRaisesIncompatibleShapesError():
        tf.ensure_shape([1, 2], [3])  # about a shape, and no two that do not fit
    with pytest.raises(TypeError):  # not taken as a call that is never made
        case.assertRaisesIncompatibleShapesError(ValueError, tf.add, [1, 2], [1, 2, 3])


def test_messages_that_differ_in_the_ends_of_floats(case):
    def message(number, name="w"):
        made = tf.train.Features()
        made.feature[name].float_list.value.extend([1.0, number])
        return made

    case.assertProtoEquals(message(2.5), message(2.5001), relative_tolerance=1e-3)
    wrong = [(message(2.51), 1e-3), (message(2.5001), None), (message(2.5, "v"), 1e-3)]
    for other, tolerance in wrong:
        with pytest.raises(AssertionError):
            case.assertProtoEquals(message(2.5), other, relative_tolerance=tolerance)


def test_a_command_that_does_not_end(case, monkeypatch):
    monkeypatch.setattr("shardtape.case_assertions._COMMAND_DEADLINE_S", 0.2)
    with pytest.raises(AssertionError, match="has not ended after 0.2 s: b'here"):
        case.assertCommandSucceeds("echo here; exec sleep 20")


def test_sessions_files_and_contexts():
    seen = []

    class Case(tf.test.TestCase):
        def test_it(self):
            with self.cached_session() as session:
                seen.append(session.run({"a": tf.constant(3) + 1})["a"])
                with self.assertRaisesRegex(RuntimeError, "feed_dict"):
                    session.run(tf.constant(1), feed_dict={1: 2})
            folder = self.create_tempdir()
            file = folder.create_file("x/y.txt", content="hello")
            self.assertEqual(file.read_text(), "hello")
            self.assertEqual(self.create_tempfile(content=b"\0").read_bytes(), b"\0")
            self.enter_context(tf.name_scope("scope"))
            seen.append(os.fspath(folder))

    result = unittest.TestResult()
    Case("test_it").run(result)
    assert result.wasSuccessful(), result.errors + result.failures
    assert seen[0] == 4 and not os.path.exists(seen[1])

"""Rarer names of `tf.test`, and scopes of summaries; results as TensorFlow 2.15's."""

import unittest

import pytest

import shardtape as tf


def test_scopes_of_summaries():
    scope = tf.summary.experimental.summary_scope
    with tf.name_scope("a"), scope("b") as (tag, inside):
        assert (tag, inside) == ("a/b", "a/b/")
    with scope("") as found:
        assert found == ("summary", "summary/")
    with scope("x y") as found:
        assert found == ("x y", "xy/")


def test_tests_that_are_skipped():
    ran = []

    @tf.test.with_eager_op_as_function
    class Case(tf.test.TestCase):
        @tf.test.disable_with_predicate(lambda: True, "not here")
        def test_a(self):
            ran.append("a")

        @tf.test.disable_with_predicate(lambda: False, "not here")
        def test_b(self):
            ran.append("b")

    result = unittest.TestResult()
    for name in ("test_a", "test_b"):
        Case(name).run(result)
    assert ran == ["b"] and [reason for _, reason in result.skipped] == ["not here"]
    assert tf.test.with_eager_op_as_function(only_as_function=True)(Case) is Case
    tf.test.experimental.sync_devices()


def test_graphs_that_are_equal():
    def made(number):
        traced = tf.function(lambda x: x + number)
        return traced.get_concrete_function(tf.TensorSpec([], tf.float32)).graph.as_graph_def()

    tf.test.assert_equal_graph_def(made(1.0), made(1.0))
    with pytest.raises(AssertionError, match="difference in node"):
        tf.test.assert_equal_graph_def(made(1.0), made(2.0))
    fewer = made(1.0)
    del fewer.node[-1]
    with pytest.raises(AssertionError, match="unexpected: \\["):
        tf.test.assert_equal_graph_def(fewer, made(1.0))
    with pytest.raises(TypeError, match="Expected GraphDef for actual, got int"):
        tf.test.assert_equal_graph_def(fewer, 3)

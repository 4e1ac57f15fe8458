"""What `tf.while_loop` returns eagerly: a list or a tuple, as TensorFlow 2.15 does."""

from typing import Any

import shardtape as tf


def loop(start: Any, body: Any) -> Any:
    return tf.while_loop(lambda i: i < 3, body, start)


def test_the_result_has_the_form_of_what_the_body_returns() -> None:
    zero = tf.constant(0)
    assert type(loop([zero], lambda i: (i + 1,))) is tuple
    assert type(loop((zero,), lambda i: [i + 1])) is list
    assert type(loop([zero], lambda i: [i + 1])) is list
    assert [int(v) for v in loop([zero], lambda i: (i + 2,))] == [4]


def test_without_a_turn_the_result_has_the_form_of_the_start() -> None:
    assert type(loop([tf.constant(5)], lambda i: (i + 1,))) is list
    assert type(loop((tf.constant(5),), lambda i: [i + 1])) is tuple

"""`tf.compat`; the values are TensorFlow 2.15's."""

import logging
import pathlib

import numpy as np
import pytest

import shardtape as tf

C = tf.compat


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (lambda: C.as_bytes("a"), b"a"),
        (lambda: C.as_bytes(bytearray(b"q")), b"q"),
        (lambda: C.as_bytes("é", encoding="latin-1"), b"\xe9"),
        (lambda: C.as_bytes(np.str_("a")), b"a"),
        (lambda: C.as_text(b"\xe9", "latin-1"), "é"),
        (lambda: C.as_text("a"), "a"),
        (lambda: C.as_text(np.bytes_(b"a")), "a"),
        (lambda: C.as_str(b"a"), "a"),
        (lambda: C.as_str_any(3), "3"),
        (lambda: C.as_str_any(b"a"), "a"),
        (lambda: C.as_str_any(1.5), "1.5"),
        (lambda: C.path_to_str(pathlib.Path("a/b")), "a/b"),
        (lambda: C.path_to_str(b"a"), b"a"),
        (lambda: C.path_to_str(3), 3),
        (lambda: C.dimension_value(tf.TensorShape([2, 3])[0]), 2),
        (lambda: C.dimension_value(None), None),
        (lambda: repr(C.dimension_at_index(tf.TensorShape([2, None]), 0)), "Dimension(2)"),
        (lambda: C.dimension_at_index(tf.TensorShape([2, None]), 1).value, None),
        (lambda: C.dimension_at_index(tf.TensorShape(None), 1).value, None),
        (lambda: C.dimension_at_index(tf.TensorShape([2, 3]), 0) == 2, True),
        (lambda: C.dimension_at_index(tf.TensorShape([None]), 0) == 2, None),
        (lambda: tf.TensorShape([C.dimension_at_index(tf.TensorShape([2]), 0)]).as_list(), [2]),
        (lambda: C.forward_compatible(2023, 10, 9), True),
        (lambda: C.forward_compatible(2023, 10, 10), False),
        (lambda: C.bytes_or_text_types, (bytes, str)),
        (lambda: isinstance(np.int32(3), C.integral_types), True),
        (lambda: isinstance(1.5, C.integral_types), False),
        (lambda: isinstance(np.float32(3), C.real_types), True),
        (lambda: isinstance(1j, C.complex_types), True),
        (lambda: C.v2.constant, tf.constant),
    ],
)
def test_values(got, want):
    assert got() == want or got() is want
    assert type(got()) is type(want)


@pytest.mark.parametrize("convert", [C.as_bytes, C.as_text, C.as_str])
def test_numbers_are_no_text(convert):
    with pytest.raises(TypeError, match="Expected binary or unicode string, got 3"):
        convert(3)


def test_another_day():
    with C.forward_compatibility_horizon(2040, 1, 1):
        assert C.forward_compatible(2039, 1, 1)
        assert not C.forward_compatible(2040, 1, 1)
    assert not C.forward_compatible(2039, 1, 1)


def test_logging_of_tensorflow_1(caplog):
    log = C.v1.logging
    before = tf.get_logger().level
    try:
        log.set_verbosity(log.INFO)
        assert log.get_verbosity() == logging.INFO
        log.info("hello %d", 3)
        log.debug("unheard")
        for i in range(5):
            log.log_every_n(log.WARN, "every %d", 2, i)
        for i in range(5):
            log.log_first_n(log.WARN, "first %d", 2, i)
        log.set_verbosity("ERROR")
        log.warning("unheard")
        log.log_if(log.ERROR, "if %d", True, 4)
        log.log_if(log.ERROR, "if %d", False, 5)
    finally:
        tf.get_logger().setLevel(before)
    assert [r.getMessage() for r in caplog.records] == [
        "hello 3", "every 0", "every 2", "every 4", "first 0", "first 1", "if 4"
    ]  # fmt: skip


def test_switches_of_tensorflow_1():
    C.v1.enable_eager_execution()
    C.v1.enable_v2_behavior()
    assert C.v1.executing_eagerly()
    assert not tf.function(C.v1.executing_eagerly)()
    with pytest.raises(ImportError, match="Session"):
        from shardtape.compat.v1 import Session  # noqa: F401

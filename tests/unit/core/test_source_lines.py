"""Errors in converted code name the user's lines, not those of the generated copy."""

import traceback

import pytest

import shardtape as tf
from shardtape import errors
from shardtape.workers import failures

HERE = __file__


def inner(x):
    return tf.matmul(x, tf.ones((3, 3)))  # the line that counts


@tf.function
def outer(x):
    if tf.reduce_sum(x) > 0:
        y = inner(x)
    else:
        y = x
    return y


def line_of(text):
    with open(HERE) as file:
        return next(n for n, line in enumerate(file, 1) if text in line)


def test_the_text_of_an_error_while_tracing_has_the_users_lines():
    with pytest.raises(ValueError) as caught:
        outer(tf.ones((2, 2)))
    text = str(caught.value)
    assert text.startswith("in user code:\n\n    File")
    assert f'File "{HERE}", line {line_of("y = inner(x)")}, in outer  *' in text
    assert f'File "{HERE}", line {line_of("# the line that counts")}, in inner  *' in text
    assert "\n\n    ValueError: Dimensions must be equal, but are 2 and 3" in text
    assert "__autograph_generated" not in text
    assert "".join(traceback.format_exception(caught.value)).count("in user code:") == 1


def test_nested_functions_tell_it_once():
    @tf.function
    def around(x):
        return outer(x) + 1.0

    with pytest.raises(ValueError) as caught:
        around(tf.ones((2, 2)))
    text = str(caught.value)
    assert text.count("in user code:") == text.count("ValueError:") == 1
    assert text.index("in around  *") < text.index("in outer  *") < text.index("in inner  *")


def test_errors_of_other_forms_have_the_lines_as_a_note():
    @tf.function
    def missing(x):
        return {}["x"]  # no such key

    with pytest.raises(KeyError) as caught:
        missing(1)
    (note,) = caught.value.__notes__
    assert note.startswith("in user code:\n") and caught.value.args == ("x",)
    assert f'File "{HERE}", line {line_of("# no such key")}, in missing  *' in note


def test_a_job_does_not_tell_the_lines_twice():
    with pytest.raises(ValueError) as caught:
        outer(tf.ones((2, 2)))
    sent = failures.to_message(caught.value, 1)
    assert sent.message.startswith("Dimensions must be equal")
    assert sent.traceback.count("# the line that counts") == 1


def test_a_job_shows_the_users_lines_of_a_function():
    with pytest.raises(ValueError) as caught:
        outer(tf.ones((2, 2)))
    text = failures.user_traceback(caught.value)
    assert f'File "{HERE}", line {line_of("# the line that counts")}, in inner' in text
    assert "__autograph_generated" not in text and "ag__" not in text


def test_other_lines_of_a_file_with_converted_functions_stay_as_they_are():
    outer(tf.ones((3, 3)))  # converted now
    with pytest.raises(OSError) as caught:
        raise OSError("bad disk")  # no part of it
    text = failures.user_traceback(caught.value)
    line = line_of("# no part of it")
    assert text.count("File") == 1
    assert f'File "{HERE}", line {line}, in test_other_lines' in text


def test_a_node_that_fails_at_run_time_names_the_users_line():
    @tf.function
    def at_run_time(x, i):
        if tf.reduce_sum(x) > 0:
            x = tf.gather(x, i)  # fails for indices beyond the end
        return x

    with pytest.raises(errors.InvalidArgumentError) as caught:
        at_run_time(tf.ones((2,)), tf.constant([7]))
    assert f"{HERE}:{line_of('# fails for indices')}" in str(caught.value)


def test_a_lambda_of_a_dataset():
    bad = lambda x: tf.reshape(x, (7,))  # the line of the lambda
    with pytest.raises((ValueError, errors.InvalidArgumentError)) as caught:
        list(tf.data.Dataset.from_tensor_slices(tf.ones((2, 2))).map(bad))
    shown = "".join(traceback.format_exception(caught.value))
    assert str(line_of("the line of the lambda")) in shown

"""`tf.print`: text, streams, and when it is written."""

import sys

import pytest

import shardtape as tf


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (("a", tf.constant("b"), tf.constant(["c"])), 'a "b" ["c"]'),
        ((tf.constant("b"),), "b"),
        ((tf.constant(True), 1, 2.5, None), "1 1 2.5 None"),
        (([1, tf.constant(2)], {"k": tf.constant([1.5])}), "[1, 2] {'k': [1.5]}"),
        ((tf.range(10),), "[0 1 2 ... 7 8 9]"),
        ((tf.reshape(tf.range(4), [2, 2]),), "[[0 1]\n [2 3]]"),
        ((tf.constant([3.14159274, 1e10, float("nan")]),), "[3.14159274 1e+10 nan]"),
        ((tf.ragged.constant([[1, 2], [3]]),), "[[1, 2], [3]]"),
        ((), ""),
        ((tf.constant("a\nb"),), "a\nb"),
        ((tf.constant("a\nb"), 1), '"a\\nb" 1'),
        ((tf.constant(["a\nb", 'c"d\\e\t', "it's"]),), '["a\\nb" "c\\"d\\\\e\\t" "it\\\'s"]'),
        ((tf.constant(["\x01", "\x7f", "é"]),), '["\\001" "\\177" "é"]'),
        ((tf.zeros([2, 0]),), "[\n ...]"),
        ((tf.zeros([2, 0, 3]),), "[\n\n ...]"),
        ((tf.zeros([0, 2]),), "[]"),
    ],
)
def test_text(values, text, capsys):
    tf.print(*values)
    assert capsys.readouterr().err == text + "\n"


def test_streams_and_options(capsys, tmp_path, caplog):
    tf.print("x", tf.constant(1), output_stream=sys.stdout, sep="|", end="!")
    assert capsys.readouterr().out == "x|1!"
    target = tmp_path / "out.txt"
    tf.print(tf.range(6), output_stream=f"file://{target}", summarize=1)
    assert target.read_text() == "[0 ... 5]\n"
    with caplog.at_level("WARNING", "shardtape"):
        tf.print("careful", output_stream="log(warning)")
    assert "careful" in caplog.text
    with pytest.raises(ValueError, match="Unknown output stream"):
        tf.print("x", output_stream="nowhere")
    with pytest.raises(TypeError, match="flush"):
        tf.print("x", flush=True)


def test_a_function_prints_when_it_runs_in_order(capsys):
    @tf.function
    def steps(x):
        tf.print("first", x)
        y = x + 1
        tf.print("second", y)
        return y

    steps(tf.constant(1))
    capsys.readouterr()
    steps(tf.constant(5))
    assert capsys.readouterr().err == "first 5\nsecond 6\n"


def test_slogdet_is_a_named_pair():
    got = tf.linalg.slogdet(tf.linalg.diag([2.0, -1.0]))
    assert repr(got).startswith("LogMatrixDeterminant(sign=<tf.Tensor: shape=(), dtype=float32")
    assert got.sign.numpy() == -1.0 and abs(got.log_abs_determinant.numpy() - 0.6931472) < 1e-6


def _composites():
    ragged = tf.ragged.constant([list(range(10)), [3], *[[i] for i in range(8)]])
    return ragged, tf.SparseTensor([[0, 0]], [1.5], [2, 2])


_RAGGED = "[[0, 1, 2, ..., 7, 8, 9], [3], [0], ..., [5], [6], [7]]"
_SPARSE = "'SparseTensor(indices=[[0 0]], values=[1.5], shape=[2 2])'"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[1.5, 2.0], [0.1]], "[[1.500000, 2.000000], [0.100000]]"),
        ([[True], [False, True]], "[[true], [false, true]]"),
        ([["a'b", "é"], ['c"']], "[['a\\'b', 'é'], ['c\"']]"),
        ([[[1, 2], []], [[3]]], "[[[1, 2], []], [[3]]]"),
    ],
)
def test_ragged_tensors_have_the_text_of_tensorflow(values, text, capsys):
    tf.print(tf.ragged.constant(values))
    assert capsys.readouterr().err == text + "\n"


def test_composites_in_structures_and_functions(capsys):
    def shown(ragged, sparse):
        tf.print(ragged, sparse)
        tf.print(ragged, summarize=2)
        tf.print({"a": (ragged, sparse)})

    text = (
        f"{_RAGGED} {_SPARSE}\n[[0, 1, ..., 8, 9], [3], ..., [6], [7]]\n"
        f"{{'a': ({_RAGGED}, {_SPARSE})}}\n"
    )
    for call in (shown, tf.function(shown)):
        call(*_composites())
        assert capsys.readouterr().err == text


def test_a_saved_function_prints(tmp_path, capsys):
    class Teller(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([])])
        def tell(self, x):
            tf.print("x is", x)
            if x > 0.0:
                tf.print("positive", output_stream=sys.stdout)
            return x

    tf.saved_model.save(Teller(), str(tmp_path / "teller"))
    tf.saved_model.load(str(tmp_path / "teller")).tell(tf.constant(2.0))
    written = capsys.readouterr()
    assert (written.err, written.out) == ("x is 2\n", "positive\n")


def test_a_string_alone_has_no_quotes_in_a_function(capsys):
    @tf.function
    def tell(x):
        tf.print(x)
        tf.print(x, "a")
        tf.print([x])

    tell(tf.constant('h"y'))
    assert capsys.readouterr().err == 'h"y\n"h\\"y" a\n["h\\"y"]\n'

"""`tf.debugging`: what is checked, when, and what the errors say."""

import pytest

import shardtape as tf

_REFUSED = [
    (lambda d: d.assert_equal([1, 2], [1, 3], message="sizes"), "sizes\nCondition x == y did not"),
    (lambda d: d.assert_none_equal([1, 2], [3, 2]), "Condition x != y did not hold"),
    (lambda d: d.assert_less([3.0, 1.0], 2.0), "Condition x < y did not hold"),
    (lambda d: d.assert_less_equal(3, 2), "Condition x <= y"),
    (lambda d: d.assert_greater([1], [1]), "Condition x > y"),
    (lambda d: d.assert_greater_equal([1], [2]), "Condition x >= y"),
    (lambda d: d.assert_positive([-1, 2]), "Condition x > 0"),
    (lambda d: d.assert_negative([-1, 2]), "Condition x < 0"),
    (lambda d: d.assert_non_negative([-1]), "Condition x >= 0"),
    (lambda d: d.assert_non_positive([1]), "Condition x <= 0"),
    (lambda d: d.assert_near(1.0, 1.1), "not equal to tolerance"),
    (lambda d: d.Assert(False, [tf.constant([1, 2])]), "Summarized data: 1, 2"),
    (lambda d: d.check_numerics([1.0, float("nan")], "loss"), "loss : Tensor had NaN values"),
    (lambda d: d.assert_all_finite([float("inf")], "x"), "Tensor had Inf values"),
]


@pytest.mark.parametrize(("call", "text"), _REFUSED)
def test_values_are_refused_with_what_they_are(call, text):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        call(tf.debugging)
    assert text in str(caught.value)


def test_differing_elements_are_shown():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.debugging.assert_equal([1, 2], [1, 3])
    assert "Indices of first 1 different values:\n[[1]]" in str(caught.value)
    assert "First 2 elements of y:\n[1 3]" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda d: d.assert_rank([1, 2], 2), ValueError),
        (lambda d: d.assert_rank_at_least(1, 2), ValueError),
        (lambda d: d.assert_rank_in(1, [2, 3]), ValueError),
        (lambda d: d.assert_scalar([1]), ValueError),
        (lambda d: d.assert_type(tf.constant(1.0), tf.int32), TypeError),
        (lambda d: d.assert_integer(1.0), TypeError),
        (lambda d: d.assert_proper_iterable(tf.constant([1])), TypeError),
        (lambda d: d.assert_same_float_dtype([tf.constant(1.0), tf.ones([], tf.float64)]),
         ValueError),
        (lambda d: d.assert_shapes([(tf.zeros([2, 3]), ("N", 3)), (tf.zeros([4]), ("N",))]),
         ValueError),
    ],
)  # fmt: skip
def test_forms_are_refused(call, kind):
    with pytest.raises(kind):
        call(tf.debugging)


def test_what_holds_passes():
    d = tf.debugging
    d.assert_equal([1, 2], [1, 2])
    d.assert_near(1.0, 1.0 + 1e-7)
    d.assert_shapes([(tf.zeros([2, 3]), ("N", 3)), (tf.zeros([2, 5, 7]), ("N", None, 7))])
    d.assert_shapes([(tf.zeros([9, 2, 3]), ("*", "N", 3)), (tf.zeros([2]), ("N",))])
    assert d.is_numeric_tensor(tf.constant(1)) and not d.is_numeric_tensor(tf.constant("a"))


def test_a_function_asserts_when_it_runs():
    @tf.function
    def checked(x):
        tf.debugging.assert_less(x, 3, message="too large")
        return x + 1

    assert int(checked(tf.constant(2))) == 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
        checked(tf.constant(4))


def test_everything_that_runs_is_checked_for_numbers():
    tf.debugging.enable_check_numerics()
    try:
        assert float(tf.math.log(tf.constant(1.0))) == 0.0
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            tf.math.log(tf.constant([-1.0, 0.0]))
    finally:
        tf.debugging.disable_check_numerics()
    assert 'output 0 of eagerly-executing op "Log"' in str(caught.value)
    assert "# of -Inf elements: 1" in str(caught.value)
    tf.math.log(tf.constant(-1.0))


# the texts are TensorFlow 2.15's
@pytest.mark.parametrize(
    ("check", "x", "y", "places", "of_x", "of_y"),
    [
        ("less", [1, 2, 3], [1, 2, 4], "[[0]\n [1]]", "[1 2]", "[1 2]"),
        (
            "less_equal",
            [[1.0, 2.0], [3.0, 4.0]],
            [[1.0, 1.0], [5.0, 4.0]],
            "[[0 1]]",
            "[2.]",
            "[1.]",
        ),
        ("greater", [1, 2, 3], [1, 2, 2], "[[0]\n [1]]", "[1 2]", "[1 2]"),
        ("greater_equal", [1, 2, 3], [2, 2, 4], "[[0]\n [2]]", "[1 3]", "[2 4]"),
        ("none_equal", [1, 2, 3], [1, 2, 2], "[[0]\n [1]]", "[1 2]", "[1 2]"),
    ],
)
def test_comparisons_say_where_they_fail(check, x, y, places, of_x, of_y):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        getattr(tf.debugging, f"assert_{check}")(x, y)
    count = places.count("[") - 1
    assert (
        f"did not hold.\nIndices of first {count} different values:\n{places}\n"
        f"Corresponding x values:\n{of_x}\nCorresponding y values:\n{of_y}\nFirst 3 elements"
    ) in str(caught.value)


def test_comparisons_of_other_shapes_say_no_places():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.debugging.assert_less([1, 2, 3], 2)
    assert "Indices" not in str(caught.value)

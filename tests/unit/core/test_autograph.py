"""AutoGraph: Python's control flow on tensors inside tf.function."""

import pytest

import shardtape as tf


def test_if_on_a_tensor():
    @tf.function
    def f(x):
        if x > 0:
            y = x * 2
        else:
            y = -x
        return y + 1

    assert f(tf.constant(3)).numpy() == 7
    assert f(tf.constant(-3)).numpy() == 4


def test_elif_early_return_and_logic():
    @tf.function
    def f(x):
        if x > 10 and x < 20:
            return tf.constant("teens")
        elif x > 20 or x < 0:
            return tf.constant("far")
        else:
            if not x == 5:  # noqa: SIM201 - `not` is what is tested
                return tf.constant("small")
            return tf.constant("five")

    got = [f(tf.constant(v)).numpy() for v in (15, 30, -1, 3, 5)]
    assert got == [b"teens", b"far", b"far", b"small", b"five"]


def test_while_with_break_and_continue():
    @tf.function
    def collatz(n):
        steps = 0
        while n != 1:
            steps += 1
            if steps > 1000:
                break
            if n % 2 == 0:
                n = n // 2
                continue
            n = 3 * n + 1
        return steps

    assert collatz(tf.constant(27)).numpy() == 111


def test_for_over_a_tensor_a_range_and_a_list():
    @tf.function
    def f(x, n):
        total = tf.constant(0)
        for v in x:
            total += v
        for i in tf.range(n):
            total += i * 10
        for i in range(n):
            total += i
        for k in [1, 2]:  # a Python list: unrolled
            total += k
        return total

    assert f(tf.constant([1, 2, 3]), tf.constant(3)).numpy() == 6 + 30 + 3 + 3


def test_gradients_through_converted_control_flow():
    @tf.function
    def f(x):
        y = x
        while tf.reduce_sum(y) < 100.0:
            if y[0] > 3.0:
                y = y * y
            else:
                y = y * 2.0
        return tf.reduce_sum(y)

    x = tf.constant([1.0, 0.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    # 1 -> 2 -> 4 -> 16 -> 256 and 0.5 -> 1 -> 2 -> 4 -> 16: y = (4x)^4
    assert y.numpy() == 256 + 16
    assert tape.gradient(y, x).numpy().tolist() == [4 * 4**4, 4 * 4**4 * 0.5**3]


def test_called_functions_and_methods_are_converted_too():
    def sign(x):
        if x < 0:
            return -1
        return 1

    class Counter:
        def __init__(self):
            self.v = tf.Variable(0)

        @tf.function
        def add(self, x):
            if sign(x) > 0:
                self.v.assign_add(x)
            return self.v.read_value()

    c = Counter()
    assert [c.add(tf.constant(v)).numpy() for v in (3, -2, 4)] == [3, 3, 7]


def test_python_conditions_stay_python():
    ran = []

    @tf.function
    def f(x, flag):
        if flag:
            ran.append("yes")
            x = x + 1
        return x

    assert f(tf.constant(1), True).numpy() == 2
    assert f(tf.constant(1), False).numpy() == 1
    assert ran == ["yes"]


def test_a_name_of_one_branch_only_is_an_error_that_names_it():
    @tf.function
    def f(x):
        if x > 0:
            y = x
        return y

    with pytest.raises(ValueError, match="'y' must also be initialized in the else branch"):
        f(tf.constant(1))

    @tf.function
    def g(x):
        if x > 0:
            return x

    with pytest.raises(ValueError, match="else branch must also have a return"):
        g(tf.constant(1))


def test_conversion_can_be_turned_off_and_looked_at():
    def f(x):
        if x > 0:
            x = x + 1
        return x

    with pytest.raises(TypeError, match="bool"):
        tf.function(f, autograph=False)(tf.constant(1))
    assert "if_stmt" in tf.autograph.to_code(f)
    keep = tf.autograph.experimental.do_not_convert(f)
    with pytest.raises(TypeError, match="bool"):
        tf.function(lambda x: keep(x))(tf.constant(1))


def test_conditional_expressions():
    @tf.function
    def f(x):
        return x * 2 if x > 0 else x - 1

    assert (f(tf.constant(3)).numpy(), f(tf.constant(-3)).numpy()) == (6, -4)


def test_converted_source_starts_at_the_margin():
    def count(x):
        for _ in tf.range(3):
            x += 1
        return x

    code = tf.autograph.to_code(count)
    assert code.startswith("def ") and "for_stmt" in code
    compile(code, "converted", "exec")


def _counted(values, limit):
    n = 0
    for i in values:
        tf.autograph.experimental.set_loop_options(maximum_iterations=limit)
        if i == 1:
            break
        n += 1
    return n


def _counted_while(limit):
    n = tf.constant(0)
    while n < 10:
        tf.autograph.experimental.set_loop_options(maximum_iterations=limit)
        n += 1
    return n


def test_loop_options():
    # numbers of TensorFlow 2.15
    counted, counted_while = tf.function(_counted), tf.function(_counted_while)
    assert counted(tf.range(2, 12), 3).numpy() == 3
    assert counted(tf.range(2, 12), tf.constant(4)).numpy() == 4
    assert counted(tf.range(10), 3).numpy() == 1
    assert counted([2, 3, 4, 5, 6], 3).numpy() == 5
    assert counted(tf.data.Dataset.range(2, 12), 3).numpy() == 10
    assert counted_while(3).numpy() == 3


def test_loop_options_of_shapes():
    @tf.function
    def doubled(n):
        x = tf.zeros([1])
        for _ in tf.range(n):
            tf.autograph.experimental.set_loop_options(
                shape_invariants=[(x, tf.TensorShape([None]))]
            )
            x = tf.concat([x, x], 0)
        return x

    assert doubled(3).shape == [8]
    assert doubled.get_concrete_function(3).output_shapes.as_list() == [None]


def test_names_that_are_none_before_a_loop():
    # numbers of TensorFlow 2.15
    @tf.function
    def summed(x):
        v = None
        for _ in tf.range(3):
            v = x if v is None else v + x
        return v

    @tf.function
    def branched(x):
        v = None
        for _ in tf.range(3):
            if v is not None:
                x = x + v
            v = x * 2
        return x, v

    @tf.function
    def tested(x):
        v = None
        i = 0
        while i < x:
            v = [i * 2, x]
            i += 1
        return v

    @tf.function
    def left_alone(x):
        nothing, empty = None, []
        for _ in tf.range(3):
            nothing, empty = None, empty + []
            x += 1
        return x, nothing, empty

    two = tf.constant(2)
    assert summed(two).numpy() == 6
    assert [v.numpy() for v in branched(two)] == [18, 36]
    assert [v.numpy() for v in tested(two)] == [2, 2]
    # which TensorFlow refuses
    assert (left_alone(two)[0].numpy(), *left_alone(two)[1:]) == (5, None, [])


def _branches(x, main, other):
    if x > 0:
        y = main
    else:
        y = other
    return y


def _turns(y, after):
    for _ in tf.range(3):
        y = after
    return y


def _expression(x):
    return 1 if x > 0 else 2.0


def _returns(x):
    if x > 0:
        return 1
    else:
        return 2.0


def _breaks(x):
    for i in range(3):
        if x > i:
            break
    return x


@pytest.mark.parametrize(
    ("function", "arguments", "error", "text"),
    [
        (_branches, (1, 1.0), TypeError,
         "'y' has dtype int32 in the main branch, but dtype float32 in the else branch"),
        (_branches, (1, "a"), TypeError,
         "'y' has dtype int32 in the main branch, but dtype string in the else branch"),
        (_branches, ([1, 2], [1]), TypeError,
         "'y' does not have the same nested structure in the main and else branches"),
        (_branches, (None, 1), ValueError, "'y' is None at the end of the main branch"),
        (_branches, (1, None), ValueError, "'y' is None at the end of the else branch"),
        (_returns, (), TypeError,
         "'retval_' has dtype int32 in the main branch, but dtype float32 in the else branch"),
        (_expression, (), TypeError,
         "'x > 0' has dtype int32 in the main branch, but dtype float32 in the else branch"),
        (_breaks, (), NotImplementedError, "break and return statements which depend on a TF cond"),
    ],
)  # fmt: skip
def test_what_branches_leave_different(function, arguments, error, text):
    # the classes and texts of TensorFlow 2.15
    with pytest.raises(error, match=text):
        tf.function(lambda x: function(x, *arguments))(tf.constant(1))


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (0, 1.5, "'y' has dtype int32 before the loop, but dtype float32 after one iteration"),
        (1, "a", "'y' has dtype int32 before the loop, but dtype string after one iteration"),
        ([1], [1, 2], "'y' does not have the same nested structure before and after one iterati"),
    ],
)
def test_what_a_turn_changes(before, after, text):
    with pytest.raises(TypeError, match=text):
        tf.function(lambda: _turns(before, after))()


def test_the_test_of_a_while_statement_runs_once_a_turn_where_it_makes_no_tensors():
    calls = []

    def more():
        calls.append(len(calls))
        return len(calls) < 4

    def count(x):
        while more():
            x = x + 1.0
        return x

    plain = count(1.0)  # by Python alone
    calls.clear()
    assert tf.function(count)(tf.constant(1.0)).numpy() == plain == 4.0
    assert calls == [0, 1, 2, 3]


def test_what_the_test_of_a_while_statement_makes_belongs_to_the_function():
    held = {}

    @tf.function
    def f(x):
        turns = 0

        def more():
            held["double"] = x * 2.0
            return turns < 2

        while more():
            x = x + held["double"]
            turns += 1
        return x

    assert f(tf.constant(1.0)).numpy() == 9.0  # 1 + 2, 3 + 6


def test_texts_become_tensors_where_a_tensor_decides():
    @tf.function
    def said(x):
        word = "none"
        if x > 0:
            word = "up"
        line = "a"
        for _ in tf.range(x):
            line = line + "b"
        return word, line, "yes" if x > 1 else "no"

    assert [t.numpy() for t in said(tf.constant(2))] == [b"up", b"abb", b"yes"]
    assert [t.numpy() for t in said(tf.constant(-1))] == [b"none", b"a", b"no"]


def test_tensors_of_outside_are_staged():
    flag, numbers, traced = tf.constant(True), tf.range(50), []

    @tf.function
    def summed(x):
        if flag:
            traced.append("then")
        else:
            traced.append("else")
        for n in numbers:
            traced.append("turn")
            x += n
        return x + tf.cond(flag, lambda: traced.append("a") or 1, lambda: traced.append("b") or 2)

    assert summed(tf.constant(0)).numpy() == 1226
    assert sorted(set(traced)) == ["a", "b", "else", "then", "turn"]
    assert traced.count("turn") <= 2

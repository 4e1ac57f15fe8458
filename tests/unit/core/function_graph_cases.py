"""Small functions of the guides, for `test_function_graphs.py` and for TensorFlow.

Run by hand in an environment that has TensorFlow 2.15 to write what it gives:

    python function_graph_cases.py function_graphs_2_15.json
"""

import json
import re
import sys


def cases(tf):
    """(name, function, arguments) of each case, made with the package `tf`."""
    scalar, matrix = tf.TensorSpec([], tf.float32), tf.TensorSpec([2, 2], tf.float32)
    whole = tf.TensorSpec([], tf.int32)
    v, w = tf.Variable(1.0, name="v"), tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="w")
    b = tf.Variable([1.0, 2.0], name="b")

    def simple_relu(x):
        if tf.greater(x, 0):
            return x
        else:
            return 0

    def branches(x):
        if x > 0.0:
            y = x * 2.0
        else:
            y = x
        return y + 1.0

    def doubled(x, y):
        while x < y:
            x = x * 2.0
        return x < y

    def pow(a, b):
        return a**b

    def assigned(x):
        v.assign_add(x)

    def order(x):
        v.assign_add(x)
        return v * 2.0

    return [
        ("simple_relu", simple_relu, (tf.constant(1),), {}),
        ("pow", pow, (), {"a": tf.TensorSpec(None, tf.float32), "b": 2}),
        ("dense", lambda x: (tf.nn.relu(tf.matmul(x, w) + b), {"k": x * 2.0, "n": 3}),
         (matrix,), {}),
        ("read", lambda x: x + v, (scalar,), {}),
        ("variable", lambda x: v, (scalar,), {}),
        ("twice", lambda x: v * x + v, (scalar,), {}),
        ("list", lambda x: (x + [1.0, 2.0], [3.0, 1.0] - x), (tf.TensorSpec([2], tf.float32),), {}),
        ("nothing", lambda x: None, (scalar,), {}),
        ("assigned", lambda x: (v.assign(x), assigned(x), x)[2], (scalar,), {}),
        ("order", lambda x: order(x), (scalar,), {}),
        ("branches", branches, (scalar,), {}),
        ("statement", doubled, (scalar, scalar), {}),
        ("cond_reads", lambda x: tf.cond(x > 0.0, lambda: v * x, lambda: x + x), (scalar,), {}),
        ("while_reads", lambda x, y: tf.while_loop(lambda x: x < y, lambda x: [x * v], [x]),
         (scalar, scalar), {}),
        ("cond", lambda x: tf.cond(x > 0.0, lambda: (x, x * 2.0), lambda: (x, x)), (scalar,), {}),
        ("while", lambda i: tf.while_loop(lambda i: i < 10, lambda i: [i + 1], [i]), (whole,), {}),
        ("limited", lambda i: tf.while_loop(lambda i: i < 10, lambda i: [i + 1], [i],
                                            maximum_iterations=3), (whole,), {}),
        ("constants", lambda: (tf.constant([[1, 2], [3, 4]]), tf.constant([True, False]), "abc",
                               tf.constant(1 + 2j), tf.constant([2.5])), (), {}),
        ("reductions", lambda x: (tf.reduce_sum(x), tf.reduce_mean(x, axis=1, keepdims=True),
                                  tf.cast(x, tf.int32), tf.argmax(x, 1), tf.concat([x, x], 0),
                                  tf.stack([x, x]), x[0], tf.reshape(x, [-1])), (matrix,), {}),
        ("convolution", lambda x: tf.nn.conv2d(x, x, 1, "SAME"),
         (tf.TensorSpec([1, 1, 1, 1]),), {}),
        ("named", lambda x: tf.identity(x, name="y"), (tf.TensorSpec([], name="given"),), {}),
        ("nested", lambda d: d["a"] + d["b"][0], ({"a": scalar, "b": [scalar]},), {}),
        ("random", lambda: tf.random.uniform((2,)), (), {}),
    ]  # fmt: skip


_NUMBER = re.compile(r"((?:true|false|cond|body|branch\d)_)\d+")


def _plain(function):
    """A function's message without numbers, and without a line that stands in either place."""
    return _NUMBER.sub(r"\1N", str(function)).replace("  is_stateful: true\n", "")


def described(tf, function, args, kwargs):
    """What the trace of a function shows of itself, without numbers that no two runs share."""
    concrete = tf.function(function).get_concrete_function(*args, **kwargs)
    graph = concrete.graph.as_graph_def()
    # the order of the parts of a message is that of its definition, of which there are several
    functions = sorted(
        sorted(re.split(r"^(?=\w)", _plain(f), flags=re.M)[1:]) for f in graph.library.function
    )
    graph.ClearField("library")
    graph.ClearField("versions")
    return {
        "graph": _NUMBER.sub(r"\1N", str(graph)),
        "functions": functions,
        "operations": [f"{o.name} {o.type}" for o in concrete.graph.get_operations()],
        "type": str(concrete.function_type),
        "signature": re.sub(r"^  \d+: ", "  ID: ", str(concrete), flags=re.M),
        "repr": re.sub("0x[0-9A-F]+", "0x0", repr(concrete)),
        "structured": repr(concrete.structured_input_signature),
        "outputs": repr(concrete.structured_outputs),
        "inputs": repr(concrete.inputs),
        "flat": repr(concrete.outputs),
        "name": re.sub(r"_\d+", "_N", repr(concrete.name)),
        "shown": re.sub(r"id=\d+", "id=N", str(concrete.graph)),
    }


if __name__ == "__main__":
    import tensorflow

    found = {n: described(tensorflow, f, a, k) for n, f, a, k in cases(tensorflow)}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file, indent=1)
        file.write("\n")

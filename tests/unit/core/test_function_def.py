"""`ConcreteFunction.function_def` and the lists of an operation, as TensorFlow 2.15 has them."""

import shardtape as tf


def test_the_definition_of_a_trace():
    @tf.function
    def tf_cube(x):
        return x**3

    concrete = tf_cube.get_concrete_function(tf.constant(2.0))
    made = concrete.function_def
    assert made.signature.name == concrete.name.decode()
    assert [(a.name, a.type) for a in made.signature.input_arg] == [("x", 1)]
    assert [(a.name, a.type) for a in made.signature.output_arg] == [("identity", 1)]
    assert not made.signature.is_stateful
    assert [(n.name, n.op, list(n.input)) for n in made.node_def] == [
        ("pow/y", "Const", []),
        ("pow", "Pow", ["x", "pow/y:output:0"]),
        ("Identity", "Identity", ["pow:z:0"]),
    ]
    assert dict(made.ret) == {"identity": "Identity:output:0"}
    assert made.arg_attr[0].attr["_user_specified_name"].s == b"x"


def test_variables_effects_and_several_results():
    v = tf.Variable([[2.0, 1.0]])
    w = tf.constant([1.0, 3.0])

    @tf.function
    def f(X, y=3.0):
        v.assign_add([[1.0, y]])
        return {"a": tf.matmul(X, v, transpose_b=True) + 1.0, "b": (X * w, tf.split(X, 2)[1])}

    made = f.get_concrete_function(tf.ones([2, 2])).function_def
    assert [(a.name, a.type) for a in made.signature.input_arg] == [
        ("x", 1), ("assignaddvariableop_resource", 20), ("mul_y", 1),
    ]  # fmt: skip
    assert [a.name for a in made.signature.output_arg] == ["identity", "identity_1", "identity_2"]
    assert made.signature.is_stateful
    assert sorted(made.signature.control_output) == ["AssignAddVariableOp", "MatMul/ReadVariableOp"]
    nodes = {n.name: list(n.input) for n in made.node_def}
    assert nodes["AssignAddVariableOp"] == ["assignaddvariableop_resource", "Const:output:0"]
    assert nodes["MatMul/ReadVariableOp"] == [
        "assignaddvariableop_resource", "^AssignAddVariableOp",
    ]  # fmt: skip
    assert nodes["MatMul"] == ["x", "MatMul/ReadVariableOp:value:0"]
    assert nodes["mul"] == ["x", "mul_y"]
    assert nodes["Identity_2"] == ["split:output:1", "^NoOp"]
    assert nodes["NoOp"] == ["^AssignAddVariableOp", "^MatMul/ReadVariableOp"]


def test_the_lists_of_an_operation():
    @tf.function
    def tf_cube(x):
        return x**3

    graph = tf_cube.get_concrete_function(tf.constant(2.0)).graph
    op = graph.get_operation_by_name("pow")
    assert op.outputs == [graph.get_tensor_by_name("pow:0")]
    assert list(op.inputs) == [graph.get_tensor_by_name(n) for n in ("x:0", "pow/y:0")]
    assert (type(op.inputs), type(op.outputs), type(op.control_inputs)) == (tuple, list, list)
    op.outputs.clear()  # a list of the caller's own
    assert len(op.outputs) == 1

"""What traces show of themselves, against what TensorFlow 2.15 prints for the same functions."""

import json
import pathlib

import numpy as np
import pytest
from unit.core import function_graph_cases

import shardtape as tf

_FILE = pathlib.Path(__file__).with_name("function_graphs_2_15.json")
RECORDED = json.loads(_FILE.read_text())


@pytest.fixture(scope="module")
def found():
    return {
        name: function_graph_cases.described(tf, function, args, kwargs)
        for name, function, args, kwargs in function_graph_cases.cases(tf)
    }


# AutoGraph there leaves constants in the branch, which nothing reads
_LEAVES_MORE = {"simple_relu"}


@pytest.mark.parametrize("name", RECORDED)
def test_a_trace_is_described_as_in_tensorflow(found, name):
    for what, text in RECORDED[name].items():
        if what == "functions" and name in _LEAVES_MORE:
            assert len(found[name][what]) == len(text)
            continue
        assert found[name][what] == text, what


def test_what_is_only_shown_is_in_no_plan():
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    @tf.function
    def f(x):
        y = tf.cond(tf.reduce_sum(x) > 0.0, lambda: x @ w, lambda: x)
        return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * 2.0), (0, y))[1], y

    x = tf.ones((2, 2))
    first, second = f(x)
    np.testing.assert_array_equal(first, [[16.0, 24.0], [16.0, 24.0]])
    np.testing.assert_array_equal(second, [[4.0, 6.0], [4.0, 6.0]])
    concrete = f.get_concrete_function(x)
    types = [o.type for o in concrete.graph.get_operations()]
    assert types.count("Identity") == 3 and "NoOp" in types
    run = [n.type for n in concrete._segment._plan.nodes]
    assert not {"Identity", "NoOp"} & set(run) and {"If", "StatelessWhile"} <= set(run)
    assert [t.name for t in concrete.outputs] == ["Identity:0", "Identity_1:0"]


def test_shapes_are_in_a_graph_def_that_asks_for_them():
    concrete = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec([None, 3]))
    plain, full = concrete.graph.as_graph_def(), concrete.graph.as_graph_def(add_shapes=True)
    assert all("_output_shapes" not in n.attr for n in plain.node)
    [shape] = next(n for n in full.node if n.name == "add").attr["_output_shapes"].list.shape
    assert [d.size for d in shape.dim] == [-1, 3]


def test_functions_of_graphs_of_every_kind():
    """A graph without functions of its own, a branch that reads a Variable, a loop in a branch."""
    w = tf.Variable(2.0)

    def turns(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * w), (0, x))[1]

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [])
        tf.cond(x > 0.0, lambda: turns(x), lambda: x)
    traced = tf.function(lambda x: tf.cond(x > 0.0, lambda: turns(x), lambda: x))
    for each in (graph, traced.get_concrete_function(tf.TensorSpec([])).graph):
        library = each.as_graph_def().library
        functions = {f.signature.name.rsplit("_", 1)[0]: f for f in library.function}
        assert set(functions) == {"cond_true", "cond_false", "while_cond", "while_body"}
        body = functions["while_body"]
        assert body.signature.is_stateful
        named = {n.name for n in body.node_def} | {a.name for a in body.signature.input_arg}
        for node in body.node_def:
            assert all(i.lstrip("^").split(":")[0] in named for i in node.input), node
        assert {v.split(":")[0] for v in body.ret.values()} <= named
        [call] = [n for n in functions["cond_true"].node_def if n.op == "While"]
        assert call.attr["body"].func.name == body.signature.name


def test_parts_of_a_function_type():
    concrete = tf.function(lambda a, *, b=2: a).get_concrete_function(tf.ones(2))
    parameters = concrete.function_type.parameters
    kinds = {n: (p.kind.name, p.type_constraint) for n, p in parameters.items()}
    assert kinds == {
        "a": ("POSITIONAL_OR_KEYWORD", tf.TensorSpec([2])), "b": ("KEYWORD_ONLY", 2),
    }  # fmt: skip
    assert concrete.function_type.output is concrete.structured_outputs


def test_there_is_no_compiler_ir():
    with pytest.raises(ValueError, match="marked with 'jit_compile=True'"):
        tf.function(lambda x: x).experimental_get_compiler_ir(tf.ones(2))
    compiled = tf.function(lambda x: x, jit_compile=True)
    assert float(compiled(2.0)) == 2.0
    with pytest.raises(tf.errors.UnimplementedError, match="no XLA compiler"):
        compiled.experimental_get_compiler_ir(tf.ones(2))


def relu(x):
    if tf.greater(x, 0):
        return x
    else:
        return 0


def test_the_code_that_autograph_makes():
    lines = tf.autograph.to_code(relu).splitlines()
    assert lines[0] == "def tf__relu(x):"
    assert lines[-2].strip() == (
        "ag__.if_stmt(ag__.converted_call(ag__.ld(tf).greater, (ag__.ld(x), 0), None, fscope), "
        "if_body, else_body, get_state, set_state, ('do_return', 'retval_'), 2)"
    )
    assert lines[-1].strip() == "return fscope.ret(retval_, do_return)"


def test_members_of_a_graph():
    v = tf.Variable(2.0)
    concrete = tf.function(lambda x: x * v).get_concrete_function(tf.TensorSpec([]))
    graph = concrete.graph
    assert [t.name for t in graph.inputs] == ["x:0", "mul/ReadVariableOp/resource:0"]
    assert [t.name for t in graph.outputs] == ["Identity:0"] and graph.version == 6
    assert graph.structured_outputs is concrete.structured_outputs
    assert list(graph.variables) == [v] and graph.building_function
    assert not tf.Graph().building_function
    assert graph.as_graph_element("x").type == "Placeholder"
    assert (
        graph.as_graph_element("x:0") is graph.inputs[0] is graph.as_graph_element("x").outputs[0]
    )
    assert graph.as_graph_element(graph.inputs[0]) is graph.inputs[0]
    with pytest.raises(KeyError, match="nothing"):
        graph.as_graph_element("nothing")
    with pytest.raises(ValueError, match="looks like that of a tensor"):
        graph.as_graph_element("x:0", allow_tensor=False)
    with pytest.raises(TypeError, match="int"):
        graph.as_graph_element(3)
    with pytest.raises(ValueError, match="not an element of this graph"):
        tf.Graph().as_graph_element(graph.inputs[0])


def test_what_a_trace_refuses_is_said_in_tensorflows_words():
    @tf.function
    def double(a):
        return a + a

    texts = double.get_concrete_function(tf.TensorSpec([], tf.string))
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"cannot compute __inference_double_\d+ as input #0\(zero-based\) was expected to be "
        "a string tensor but is a int32 tensor",
    ):
        texts(tf.constant(1))
    declared = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None], tf.int32)])
    with pytest.raises(TypeError, match=r"Can not cast TensorSpec\(shape=\(2, 2\), dtype=tf.int32, "
                       r"name=None\) to TensorSpec\(shape=\(None,\), dtype=tf.int32"):  # fmt: skip
        declared(tf.ones([2, 2], tf.int32))

"""Names and types of the nodes that small functions make: TensorFlow 2.15's lists."""

import pytest

import shardtape as tf

SPEC = tf.TensorSpec([2, 3], tf.float32)


def scopes(x, y):
    with tf.name_scope("a"):
        z = x + y
        with tf.name_scope("b"):
            z = z * 2.0
    with tf.name_scope("a"):
        return z - 1.0


CASES = [
    (lambda x, y: x + y, "add:AddV2"),
    (lambda x, y: 1.0 + x, "add/x:Const add:AddV2"),
    (lambda x, y: (x + y) + (x + 1.0) + 1.0,
     "add:AddV2 add_1/y:Const add_1:AddV2 add_2:AddV2 add_3/y:Const add_3:AddV2"),
    (lambda x, y: x - y * 2.0, "mul/y:Const mul:Mul sub:Sub"),
    (lambda x, y: 2.0 / x, "truediv/x:Const truediv:RealDiv"),
    (lambda x, y: x // 2.0 % y, "floordiv/y:Const floordiv:FloorDiv mod:FloorMod"),
    (lambda x, y: x**2.0, "pow/y:Const pow:Pow"),
    (lambda x, y: -x, "Neg:Neg"),
    (lambda x, y: x @ tf.transpose(y), "transpose/perm:Const transpose:Transpose matmul:MatMul"),
    (lambda x, y: (x > 0.0) & (y > 0.0),
     "Greater/y:Const Greater:Greater Greater_1/y:Const Greater_1:Greater and:LogicalAnd"),
    (lambda x, y: x != 1.0, "NotEqual/y:Const NotEqual:NotEqual"),
    (lambda x, y: x[:, 1:],
     "strided_slice/stack:Const strided_slice/stack_1:Const strided_slice/stack_2:Const "
     "strided_slice:StridedSlice"),
    (tf.add, "Add:AddV2"),
    (tf.multiply, "Mul:Mul"),
    (tf.divide, "truediv:RealDiv"),
    (lambda x, y: tf.matmul(x, y, transpose_b=True), "MatMul:MatMul"),
    (lambda x, y: tf.reduce_mean(tf.square(x - y)),
     "sub:Sub Square:Square Const:Const Mean:Mean"),
    (lambda x, y: tf.reduce_sum(x, axis=1), "Sum/reduction_indices:Const Sum:Sum"),
    (lambda x, y: tf.reshape(x, [-1]), "Reshape/shape:Const Reshape:Reshape"),
    (lambda x, y: tf.concat([x, y], 0), "concat/axis:Const concat:ConcatV2"),
    (lambda x, y: tf.where(x > 0.0, x, 0.0),
     "Greater/y:Const Greater:Greater SelectV2/e:Const SelectV2:SelectV2"),
    (lambda x, y: tf.clip_by_value(x, 0.0, 1.0),
     "clip_by_value/Minimum/y:Const clip_by_value/Minimum:Minimum clip_by_value/y:Const "
     "clip_by_value:Maximum"),
    (lambda x, y: tf.range(3), "range/start:Const range/limit:Const range/delta:Const range:Range"),
    (lambda x, y: tf.zeros([2, 2]), "zeros:Const"),
    (lambda x, y: tf.shape(x), "Shape:Const"),
    (lambda x, y: tf.math.reduce_variance(x, 1),
     "reduce_variance/Mean/reduction_indices:Const reduce_variance/Mean:Mean "
     "reduce_variance/sub:Sub reduce_variance/Square:Square "
     "reduce_variance/Mean_1/reduction_indices:Const reduce_variance/Mean_1:Mean"),
    (scopes, "a/add:AddV2 a/b/mul/y:Const a/b/mul:Mul a_1/sub/y:Const a_1/sub:Sub"),
    (lambda x, y: tf.add(x, y, name="foo") + tf.multiply(x, 2.0, name="foo"),
     "foo:AddV2 foo_1/y:Const foo_1:Mul add:AddV2"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "names"), CASES, ids=[names for _, names in CASES])
def test_names_of(function, names):
    traced = tf.function(lambda x, y: function(x, y), autograph=False)
    nodes = traced.get_concrete_function(SPEC, SPEC).graph.get_operations()
    found = " ".join(f"{n.name}:{n.type}" for n in nodes if n.type != "Placeholder")
    assert found == f"{names} Identity:Identity"


def test_variables_are_read_in_the_scope_of_their_node():
    layer = tf.keras.layers.Dense(4, activation="relu", name="dense")
    layer.build([None, 3])
    graph = tf.function(lambda x: layer(x)).get_concrete_function(SPEC).graph
    assert [n.name for n in graph.get_operations()] == [
        "x", "dense/MatMul/ReadVariableOp/resource", "dense/MatMul/ReadVariableOp", "dense/MatMul",
        "dense/BiasAdd/ReadVariableOp/resource", "dense/BiasAdd/ReadVariableOp", "dense/BiasAdd",
        "dense/Relu", "Identity", "NoOp",
    ]  # fmt: skip


def test_a_symbolic_tensor_prints_its_name(capsys):
    @tf.function
    def f(x, y):
        print(x + y)
        print(tf.reduce_mean(x * 2.0))
        return x

    f(tf.constant([1.0, 2.0]), tf.constant([1.0, 2.0]))
    assert capsys.readouterr().out == (
        'Tensor("add:0", shape=(2,), dtype=float32)\nTensor("Mean:0", shape=(), dtype=float32)\n'
    )

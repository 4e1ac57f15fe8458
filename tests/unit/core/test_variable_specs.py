"""Concrete functions of Variables, and VariableSpec.

Numbers, counts of traces and classes of errors are those of TensorFlow 2.15 for these programs.
"""

import pytest
from unit.core.counted_functions import Counted

import shardtape as tf
from shardtape.variable_spec import VariableSpec

V = tf.Variable


def test_concrete_functions():
    captured = V(2.0, name="cap")
    f = tf.function(lambda v, x: v * x * captured)
    concrete = f.get_concrete_function(V(3.0), tf.TensorSpec([], tf.float32))
    spec = VariableSpec([], tf.float32, True, 0)
    tensor = tf.TensorSpec([], tf.float32, "x")
    assert concrete.structured_input_signature == ((spec, tensor), {})
    assert [t.dtype for t in concrete.inputs[:2]] == [tf.resource, tf.float32]
    assert concrete.variables == concrete.trainable_variables == (captured,)
    assert concrete.pretty_printed_signature(verbose=False) == (
        "(v: VariableSpec(shape=(), dtype=tf.float32, trainable=True, alias_id=0), x: TensorSpec("
        "shape=(), dtype=tf.float32, name=None)) -> "
        "TensorSpec(shape=(), dtype=tf.float32, name=None)"
    )
    assert float(concrete(V(5.0), tf.constant(2.0))) == 20.0
    assert float(concrete(v=V(6.0), x=tf.constant(2.0))) == 24.0
    assert f.get_concrete_function(V(1.0), tf.TensorSpec([], tf.float32)) is concrete


def test_concrete_functions_check_dtypes_and_kinds_but_no_shapes():
    concrete = tf.function(lambda v: v * 2.0).get_concrete_function(V(1.0))
    assert concrete(V([3.0, 4.0])).numpy().tolist() == [6.0, 8.0]
    assert float(concrete(V(3.0, trainable=False))) == 6.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be a resource tensor"):
        concrete(tf.constant(3.0))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected float32 got int32"):
        concrete(V(3))
    with pytest.raises(TypeError, match="missing a required argument: 'v'"):
        concrete()


def test_concrete_functions_of_aliases():
    f = tf.function(lambda a, b: a * b)
    v, w = V(3.0), V(4.0)
    same, different = f.get_concrete_function(v, v), f.get_concrete_function(v, w)
    assert (len(same.inputs), len(different.inputs)) == (1, 2)
    assert [s.alias_id for s in same.structured_input_signature[0]] == [0, 0]
    assert [s.alias_id for s in different.structured_input_signature[0]] == [0, 1]
    assert [float(same(w, w)), float(same(v, w)), float(different(v, v))] == [16.0, 9.0, 9.0]


def test_specs_in_place_of_variables():
    f = Counted(lambda v: v * 2.0)
    concrete = f.traced.get_concrete_function(VariableSpec([2], tf.float32))
    assert concrete(V([1.0, 2.0])).numpy().tolist() == [2.0, 4.0]
    assert f(V([1.0, 3.0])).numpy().tolist() == [2.0, 6.0]
    assert f.count == 1
    wide = Counted(lambda v: v * 2.0)
    wide.traced.get_concrete_function(VariableSpec([None]))
    assert wide(V([1.0, 2.0, 3.0])).numpy().tolist() == [2.0, 4.0, 6.0]
    assert wide.count == 1
    product = tf.function(lambda v, w: v * w)
    one = product.get_concrete_function(*[VariableSpec([2], tf.float32, True, 0)] * 2)
    two = product.get_concrete_function(VariableSpec([2]), VariableSpec([2]))
    assert one(V([1.0, 2.0]), V([1.0, 3.0])).numpy().tolist() == [1.0, 4.0]
    assert two(V([1.0, 2.0]), V([1.0, 3.0])).numpy().tolist() == [1.0, 6.0]


def test_what_stands_for_a_variable_has_no_value_outside():
    kept = []
    tf.function(lambda v: kept.append(v)).get_concrete_function(VariableSpec([]))
    assert repr(kept[0]) == "<tf.Variable 'v:0' shape=() dtype=float32>"
    for use in (
        lambda: kept[0] + 1.0,
        lambda: kept[0].numpy(),
        lambda: kept[0].assign(1.0),
        lambda: tf.function(lambda: kept[0] * 1.0)(),
    ):
        with pytest.raises(tf.errors.InaccessibleTensorError, match="argument of a traced"):
            use()


def test_variable_spec():
    spec = VariableSpec([2], tf.float32)
    assert repr(spec) == (
        "VariableSpec(shape=(2,), dtype=tf.float32, trainable=True, alias_id=None)"
    )
    assert spec == VariableSpec([2])
    assert spec != VariableSpec([2], trainable=False)
    assert spec.is_compatible_with(V([1.0, 2.0]))
    assert not spec.is_compatible_with(V([1.0, 2.0, 3.0]))
    assert not spec.is_compatible_with(tf.constant([1.0, 2.0]))
    assert VariableSpec([None]).is_compatible_with(V([1.0, 2.0, 3.0]))
    assert spec.most_specific_compatible_type(VariableSpec([3])) == VariableSpec([None])
    with pytest.raises(ValueError, match="No TypeSpec is compatible"):
        spec.most_specific_compatible_type(VariableSpec([2], tf.int32))
    assert tf.type_spec_from_value(V([1.0, 2.0])) == spec


def test_input_signatures():
    for wrong in (VariableSpec([2]), VariableSpec([2], tf.float32, True, 0)):
        with pytest.raises(TypeError, match="input_signature doesn't support VariableSpec"):
            tf.function(lambda v: v, input_signature=[wrong])
    with pytest.raises(TypeError, match="TensorSpec objects"):
        tf.function(lambda v: v, input_signature=[V(1.0)])
    f = Counted(lambda v: v * 2.0, input_signature=[tf.TensorSpec([None], tf.float32)])
    v = V([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = f(v)
    assert y.numpy().tolist() == [2.0, 4.0]
    assert tape.gradient(y, v).numpy().tolist() == [2.0, 2.0]
    for wrong in (V([1, 2]), V([[1.0, 2.0]])):
        with pytest.raises(TypeError):
            f(wrong)


def test_a_trace_of_tensors_reads_a_variable():
    f = Counted(lambda v: v * 2.0)
    concrete = f.traced.get_concrete_function(tf.TensorSpec([2], tf.float32))
    v = V([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = concrete(v)
    assert tape.gradient(y, v).numpy().tolist() == [2.0, 2.0]
    f(v)
    assert f.count == 2


def test_graph_defs_show_a_placeholder():
    concrete = tf.function(lambda v: v * 2.0).get_concrete_function(V(1.0))
    nodes = [(n.name, n.op) for n in concrete.graph.as_graph_def().node]
    assert nodes[:2] == [("v", "Placeholder"), ("ReadVariableOp", "ReadVariableOp")]


def test_weights_that_are_read_in_another_type():
    policy = tf.keras.mixed_precision.Policy("mixed_float16")
    layers = [
        tf.keras.layers.Dense(2, use_bias=False, kernel_initializer=k, dtype=policy)
        for k in ("ones", "zeros")
    ]
    f = tf.function(lambda v, x: x @ v)
    for layer, want in zip(layers, (3.0, 0.0)):
        layer.build([None, 3])
        assert f(layer.kernel, tf.ones([1, 3])).numpy().tolist() == [[want, want]]

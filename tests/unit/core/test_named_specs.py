"""Which trace `get_concrete_function` gives for named TensorSpecs; as in TensorFlow 2.15."""

import pytest

import shardtape as tf

S = tf.TensorSpec


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ([S([2], name="foo"), S([2], name="bar")], [0, 1]),
        ([S([2], name="foo"), S([2])], [0, 0]),
        ([S([2]), S([2], name="bar")], [0, 1]),
        ([S([None], name="foo"), S([2], name="foo")], [0, 0]),
        ([S([None], name="foo"), S([2], name="bar")], [0, 1]),
        ([S([None]), S([2], name="bar")], [0, 1]),
        ([S([None], name="foo"), S([2])], [0, 0]),
        ([S([None]), S([2])], [0, 0]),
        ([S([2]), S([None]), S([2])], [0, 1, 0]),
    ],
)
def test_a_named_spec_takes_a_trace_of_its_name(asked, numbers):
    @tf.function
    def k(x):
        return x * 2

    made = [k.get_concrete_function(spec) for spec in asked]
    first: dict[int, int] = {}
    assert [first.setdefault(id(c), len(first)) for c in made] == numbers
    count = k.experimental_get_tracing_count()
    assert count == len(first)
    k(tf.ones([2]))  # values have no names: any trace serves
    assert k.experimental_get_tracing_count() == count
    names = [c.structured_input_signature[0][0].name for c in made]
    for spec, name in zip(asked, names, strict=True):
        assert spec.name is None or spec.name == name

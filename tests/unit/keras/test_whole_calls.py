"""Functions of several operations between layers: one row each, as Keras 2.15 writes them."""

import json

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


def built(function, inputs=1):
    keras.backend.clear_session()
    x = [keras.Input((4,), name=f"i{i}") for i in range(inputs)]
    return keras.Model(x if inputs > 1 else x[0], function(*x))


def rows(model):
    """[name, function, calls] of the functions of a model."""
    config = json.loads(json.dumps(model.get_config()))
    return [
        [e["name"], e["config"]["function"], e["inbound_nodes"]]
        for e in config["layers"]
        if e["class_name"] in ("TFOpLambda", "SlicingOpLambda")
    ]


I0 = ["i0", 0, 0]
# function, number of inputs, rows of Keras without arguments that are as by default
CASES = [
    (
        lambda x: tf.clip_by_value(x, -1.0, 1.0), 1,
        [["tf.clip_by_value", "clip_by_value",
          [[*I0, {"clip_value_min": -1.0, "clip_value_max": 1.0}]]]],
    ),
    (tf.nn.gelu, 1, [["tf.nn.gelu", "nn.gelu", [[*I0, {}]]]]),
    (
        lambda x: tf.nn.gelu(x, approximate=True), 1,
        [["tf.nn.gelu", "nn.gelu", [[*I0, {"approximate": True}]]]],
    ),
    (tf.nn.silu, 1, [["tf.nn.silu", "nn.silu", [[*I0, {}]]]]),
    (
        lambda x: tf.math.reduce_std(x, axis=1), 1,
        [["tf.math.reduce_std", "math.reduce_std", [[*I0, {"axis": 1}]]]],
    ),
    (
        lambda x: tf.reduce_logsumexp(x, axis=1), 1,
        [["tf.math.reduce_logsumexp", "math.reduce_logsumexp", [[*I0, {"axis": 1}]]]],
    ),
    (
        lambda x: tf.norm(x, ord=1, axis=-1, keepdims=True), 1,
        [["tf.compat.v1.norm", "compat.v1.norm",
          [[*I0, {"ord": 1, "axis": -1, "keepdims": True}]]]],
    ),
    (
        lambda x, y: tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=y), 2,
        [["tf.compat.v1.nn.softmax_cross_entropy_with_logits_v2",
          "compat.v1.nn.softmax_cross_entropy_with_logits_v2",
          [[*I0, {"logits": ["i1", 0, 0]}]]]],
    ),
    (
        lambda x: tf.tensordot(x, np.ones((4, 1), "float32"), axes=1), 1,
        [["tf.tensordot", "tensordot", [[*I0, {"b": [[1.0]] * 4, "axes": 1}]]]],
    ),
    (
        lambda x: tf.repeat(x, 2, axis=1), 1,
        [["tf.repeat", "repeat", [[*I0, {"repeats": 2, "axis": 1}]]]],
    ),
    (
        lambda x: tf.boolean_mask(x, [True, False, True, True], axis=1), 1,
        [["tf.compat.v1.boolean_mask", "compat.v1.boolean_mask",
          [[*I0, {"mask": [True, False, True, True], "axis": 1}]]]],
    ),
    (
        lambda x: tf.argsort(x, axis=1), 1,
        [["tf.argsort", "argsort", [[*I0, {"axis": 1}]]]],
    ),
    (
        lambda x: tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]), 1,
        [["tf.nn.bias_add", "nn.bias_add", [[*I0, {"bias": [1.0, 2.0, 3.0, 4.0]}]]]],
    ),
    (
        lambda x: tf.math.polyval([1.0, x, 2.0], x), 1,
        [["tf.math.polyval", "math.polyval",
          [[["_CONSTANT_VALUE", -1, 1.0, {"x": I0}], [*I0, {"x": I0}],
            ["_CONSTANT_VALUE", -1, 2.0, {"x": I0}]]]]],
    ),
    (
        lambda x: tf.roll(x, 1, axis=1), 1,
        [["tf.roll", "roll", [[*I0, {"shift": 1, "axis": 1}]]]],
    ),
    (
        lambda x: tf.scalar_mul(2.0, x), 1,
        [["tf.compat.v1.math.scalar_mul", "compat.v1.math.scalar_mul",
          [["_CONSTANT_VALUE", -1, 2.0, {"x": I0}]]]],
    ),
    (
        lambda x: x // 2.0, 1,
        [["tf.compat.v1.floor_div", "compat.v1.floor_div", [[*I0, {"y": 2.0}]]]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("function", "inputs", "wanted"), CASES)
def test_rows_and_the_model_that_is_made_of_them(function, inputs, wanted):
    model = built(function, inputs)
    assert rows(model) == wanted
    again = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    assert rows(again) == wanted
    data = [np.random.RandomState(i).rand(3, 4).astype("float32") for i in range(inputs)]
    data = data if inputs > 1 else data[0]
    np.testing.assert_array_equal(again(data), model(data))
    assert [x.name for x in again.layers] == [x.name for x in model.layers]


def test_several_results_and_functions_one_after_the_other():
    def function(x):
        x = tf.clip_by_value(x, 0.2, 0.8)
        values, places = tf.math.top_k(tf.nn.l2_normalize(x, axis=-1), 2)
        return [values, tf.nn.moments(x, [1])[1], places]

    model = built(function)
    functions = [function for _, function, _ in rows(model)]
    assert {"clip_by_value", "math.l2_normalize", "math.top_k", "squeeze"} <= {
        f.removeprefix("compat.v1.") for f in functions
    }
    again = keras.Model.from_config(model.get_config())
    x = np.random.RandomState(0).rand(3, 4).astype("float32")
    for a, b in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_functions_are_written_and_draw_no_number_for_it():
    model = built(lambda x: tf.nn.dropout(x, 0.5))
    tf.random.set_seed(3)
    wanted = float(tf.random.uniform([]))
    tf.random.set_seed(3)
    assert rows(model) == [["tf.nn.dropout", "nn.dropout", [[*I0, {"rate": 0.5}]]]]
    assert float(tf.random.uniform([])) == wanted


def test_constants_of_tensors_are_written_as_numbers():
    model = built(lambda x: tf.clip_by_value(x, tf.constant(1.0), 2.0))
    x = np.array([[0.0, 1.5, 3.0, 1.0]], "float32")
    again = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    assert again(x).numpy().tolist() == [[1.0, 1.5, 2.0, 1.0]]


def test_constants_of_another_type_stay_what_they_are():
    model = built(lambda x: tf.tensordot(tf.cast(x, tf.float64), np.ones((4, 1)), axes=1))
    again = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    x = np.random.RandomState(0).rand(3, 4).astype("float32")
    assert again(x).dtype == tf.float64
    np.testing.assert_array_equal(again(x), model(x))

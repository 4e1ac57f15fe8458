"""The compiled step: placeholders or an eager function, the same loss and gradients."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ps.client import Rows
from shardtape.workers.step import CompiledStep

KEY = (7, 0, 0, 0)


def placeholders():
    x = tf.placeholder(tf.float32, (None, 4), name="x")
    y = tf.placeholder(tf.int32, (None,), name="y")
    w = tf.Variable(tf.random.normal((4, 3), seed=1), name="w")
    b = tf.Variable(tf.zeros((3,)), name="b")
    logits = tf.matmul(x, w) + b
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    return tf.Step(loss, metrics={"mean_logit": tf.reduce_mean(logits)})


def eager():
    w = tf.Variable(tf.random.normal((4, 3), seed=1), name="w")
    b = tf.Variable(tf.zeros((3,)), name="b")

    def step(x, y):
        logits = tf.matmul(x, w) + b
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )
        return tf.Step(loss, metrics={"mean_logit": tf.reduce_mean(logits)})

    return step


FEEDS = {"x": ("float32", (None, 4)), "y": ("int32", (None,))}


def batch(rows=6, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(rows, 4)).astype(np.float32),
        "y": rng.integers(0, 3, rows).astype(np.int32),
    }


def by_hand(x, y, w, b):
    z = x @ w + b
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    n = len(y)
    loss = -np.log(p[np.arange(n), y]).mean()
    p[np.arange(n), y] -= 1
    return loss, x.T @ p / n, p.sum(0) / n


@pytest.mark.parametrize("model, feeds", [(placeholders, None), (eager, FEEDS)])
def test_loss_and_gradients_are_those_worked_out_by_hand(model, feeds):
    step = CompiledStep(model, seed=3, feeds=feeds)
    assert [s.key for s in step.specs] == ["w", "b"]
    values = step.initial_values()
    step.bind(values)
    out = {k: np.empty_like(v) for k, v in values.items()}
    for i in range(6):
        feed = batch(rows=5 if i == 4 else 6, seed=i)
        got = step.run(feed, KEY, out)
        loss, dw, db = by_hand(feed["x"], feed["y"], values["w"], values["b"])
        assert got.loss == pytest.approx(loss, rel=1e-5)
        assert got.gradients["w"] is out["w"]
        np.testing.assert_allclose(out["w"], dw, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(out["b"], db, rtol=1e-4, atol=1e-6)
        values["w"] -= 0.1 * dw  # whoever fills the arrays decides what the step sees


def test_two_builds_with_one_seed_start_equal():
    a, b = CompiledStep(placeholders, seed=3), CompiledStep(placeholders, seed=3)
    for key, value in a.initial_values().items():
        np.testing.assert_array_equal(value, b.initial_values()[key])


def test_evaluation_reads_the_same_parameters_without_dropout():
    def model():
        x = tf.placeholder(tf.float32, (None, 4), name="x")
        hidden = tf.keras.layers.Dense(64, activation="relu", name="hidden")(x)
        hidden = tf.keras.layers.Dropout(0.5)(hidden)
        return tf.Step(tf.reduce_mean(tf.square(hidden)))

    step = CompiledStep(model, seed=1)
    values = step.initial_values()
    step.bind(values)
    feed = {"x": batch()["x"]}
    h = np.maximum(feed["x"] @ values["hidden/kernel"] + values["hidden/bias"], 0)
    loss, _ = step.evaluate(feed)
    assert loss == pytest.approx(float((h * h).mean()), rel=1e-5)
    train = [step.run(feed, (1, 0, 0, i)).loss for i in range(3)]
    assert len(set(train)) == 3
    assert step.run(feed, (1, 0, 0, 1)).loss == train[1]  # a second attempt computes the same


def test_a_table_that_is_looked_up_has_a_gradient_of_unique_rows():
    def model():
        ids = tf.placeholder(tf.int64, (None,), name="ids")
        table = tf.Variable(tf.ones((10, 2)), name="table")
        return tf.Step(tf.reduce_sum(tf.nn.embedding_lookup(table, ids)))

    step = CompiledStep(model)
    step.bind(step.initial_values())
    g = step.run({"ids": np.array([7, 2, 7, 7])}, KEY).gradients["table"]
    assert isinstance(g, Rows)
    assert g.rows.tolist() == [2, 7]
    assert g.values.tolist() == [[1, 1], [3, 3]]


def test_variables_that_the_model_writes_come_back_as_updates():
    def model():
        x = tf.placeholder(tf.float32, (None,), name="x")
        w = tf.Variable(2.0, name="w")
        seen = tf.Variable(0.0, trainable=False, name="seen")
        seen.assign_add(tf.reduce_sum(x))
        return tf.Step(tf.reduce_mean(w * x))

    step = CompiledStep(model)
    step.bind(step.initial_values())
    got = step.run({"x": np.array([1.0, 2.0], np.float32)}, KEY)
    assert [(k, kind, float(v)) for k, kind, v in got.updates] == [("seen", "add", 3.0)]
    assert [s.role for s in step.specs] == ["trained", "aggregated"]


@pytest.mark.parametrize(
    "change, culprit",
    [
        ({"x": None}, "placeholder 'x'"),
        ({"z": np.zeros(3)}, "'z'"),
        ({"x": np.zeros((6, 5), np.float32)}, r"shape \(6, 5\) for placeholder 'x'"),
        ({"y": np.zeros(6, np.float32)}, "float32 for placeholder 'y'"),
    ],
)
def test_a_wrong_feed_names_the_placeholder(change, culprit):
    step = CompiledStep(placeholders)
    step.bind(step.initial_values())
    feed = {k: v for k, v in {**batch(), **change}.items() if v is not None}
    with pytest.raises(tf.errors.InvalidArgumentError, match=culprit):
        step.run(feed, KEY)


def test_what_a_model_must_not_return():
    def vector():
        return tf.Variable([1.0, 2.0]) * 2.0

    def nothing_to_train():
        x = tf.placeholder(tf.float32, (), name="x")
        return x * 2.0

    with pytest.raises(ValueError, match="must be a scalar"):
        CompiledStep(vector)
    with pytest.raises(ValueError, match="No gradients"):
        CompiledStep(nothing_to_train)
    with pytest.raises(TypeError, match=r"tf\.Step"):
        CompiledStep(lambda: 5)


def test_the_graph_has_name_scopes():
    names = [n.name for n in CompiledStep(placeholders).graph_def().node]
    assert {"x", "y", "w"} <= set(names)
    assert any(n.startswith("gradients/") for n in names)


def test_a_keras_model_is_no_step():
    def model():
        return tf.keras.Sequential([tf.keras.layers.Dense(1)], name="mine")

    with pytest.raises(TypeError, match=r"Keras object 'mine': call it on the placeholders"):
        CompiledStep(model, 1, {"x": (tf.float32, (None, 3))})

"""LSTM and GRU as one op against the loop over their cells, which `unroll` keeps."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras import layers

KINDS = ["LSTM", "GRU"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 4)).astype(np.float32)
# nothing counts for the second sample, the first step does not for the third
MASK = np.array([[1, 1, 0, 1, 0, 0], [0] * 6, [0, 1, 1, 0, 1, 1]], bool)


def types_in(layer, *inputs, **options) -> set[str]:
    graph = tf.function(lambda *x: layer(*x, **options)).get_concrete_function(*inputs).graph
    return {node.type for node in graph.get_operations()}


def pair(kind: str, **options):
    """A layer that runs as one op, and one with the same weights that runs step by step."""
    one, steps = (
        getattr(layers, kind)(5, unroll=unroll, bias_initializer="uniform", **options)
        for unroll in (False, True)
    )
    shape = (6, 3, 4) if options.get("time_major") else (3, 6, 4)
    one.build(tf.TensorShape(shape))
    steps.build(tf.TensorShape(shape))
    steps.set_weights(one.get_weights())
    return one, steps


def run(layer, x, **options) -> list:
    x = tf.constant(x)
    given = [tf.constant(s) for s in options.pop("start", [])]
    if given:
        options["initial_state"] = given
    with tf.GradientTape() as tape:
        for t in (x, *given):
            tape.watch(t)
        y = tf.nest.flatten(layer(x, **options))
        total = tf.add_n([tf.reduce_sum(tf.sin(t)) for t in y])
    return [*y, *tape.gradient(total, [x, *given, *layer.trainable_variables])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "masked", "started"),
    [
        ({}, False, False),
        ({"return_sequences": True, "return_state": True}, False, True),
        ({"go_backwards": True, "return_sequences": True}, True, False),
        ({"return_sequences": True, "return_state": True}, True, True),
        ({"return_state": True}, True, True),
        ({"return_sequences": True, "zero_output_for_mask": True}, True, True),
        ({"zero_output_for_mask": True, "return_state": True}, True, False),
        ({"use_bias": False, "return_sequences": True}, False, False),
        ({"time_major": True, "return_sequences": True}, True, False),
        ({"dtype": "float64", "return_state": True}, True, True),
    ],
)
def test_one_op_is_the_loop(kind, options, masked, started):
    one, steps = pair(kind, **options)
    dtype = options.get("dtype", "float32")
    x, mask = X.astype(dtype), MASK
    if options.get("time_major"):
        x, mask = x.transpose(1, 0, 2), mask.T
    call = {"mask": tf.constant(mask)} if masked else {}
    if started:
        count = 2 if kind == "LSTM" else 1
        call["start"] = [RNG.normal(size=(3, 5)).astype(dtype) for _ in range(count)]
    for a, b in zip(run(one, x, **call), run(steps, x, **call)):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stateful_layer_goes_on(kind):
    one, steps = pair(kind, stateful=True, return_sequences=True)
    for _ in range(2):
        for a, b in zip(run(one, X), run(steps, X)):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_which_layers_run_as_one_op(kind):
    make = getattr(layers, kind)
    x = tf.constant(X)
    assert f"{kind}Sequence" in types_in(make(5), x)
    assert f"{kind}Sequence" in types_in(make(5, dropout=0.5), x, training=True)
    assert f"{kind}Sequence" in types_in(make(5, recurrent_dropout=0.5), x, training=False)
    assert f"{kind}Sequence" in types_in(layers.RNN(getattr(layers, f"{kind}Cell")(5)), x)
    for options in ({"recurrent_dropout": 0.5}, {"activation": "relu"}, {"unroll": True},
                    {"recurrent_activation": "hard_sigmoid"}):  # fmt: skip
        assert f"{kind}Sequence" not in types_in(make(5, **options), x, training=True)

    class Own(getattr(layers, f"{kind}Cell")):
        def advance(self, projected, states):
            output, states = super().advance(projected, states)
            return output + 1.0, states

    assert f"{kind}Sequence" not in types_in(layers.RNN(Own(5)), x)
    own = layers.RNN(Own(5))(x)
    assert float(tf.reduce_min(own)) > 0.0  # outputs of -1 to 1, and one


def test_a_gru_that_resets_before_runs_step_by_step():
    assert "GRUSequence" not in types_in(layers.GRU(5, reset_after=False), tf.constant(X))


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_of_layers(kind):
    """A penalty on the gradient, as generative networks have it: eager, traced, step by step."""
    one, steps = pair(kind)

    def penalty(layer):
        def run(x):
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = tf.reduce_sum(layer(x))
                total = tf.reduce_sum(inner.gradient(y, x) ** 2)
            return outer.gradient(total, layer.trainable_variables)

        return run

    x = tf.constant(X)
    want = penalty(steps)(x)
    traced = tf.function(penalty(one), input_signature=[tf.TensorSpec((None, None, 4))])
    for got in (penalty(one)(x), traced(x)):
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_unknown_length_share_a_trace(kind):
    layer = getattr(layers, kind)(3, return_sequences=True)
    run = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, 4))])
    for steps in (1, 4):
        x = tf.constant(X[:2, :steps])
        np.testing.assert_allclose(run(x), layer(x), rtol=1e-6, atol=1e-6)

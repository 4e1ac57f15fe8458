"""The step of a worker with a GPU, on the strict stand-in: its parameters and results are on the
host, where they are pulled to and pushed from."""

import numpy as np
from unit.backend import strict_device

import shardtape as tf
from shardtape import backend
from shardtape.workers.step import CompiledStep

RNG = np.random.default_rng(0)
FEED = {
    "x": RNG.normal(size=(6, 8)).astype(np.float32),
    "w": RNG.integers(0, 10, (6, 3)),
    "y": RNG.integers(0, 3, 6),
}


def model():
    dense, words = tf.keras.layers.Dense(4, "relu"), tf.keras.layers.Embedding(10, 4)
    normal, last = tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(3)

    def step(x, w, y):
        logits = last(normal(dense(x)) + tf.reduce_sum(words(w), 1))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )
        return tf.Step(loss, metrics={"twice": 2 * loss})

    return step


def run():
    step = CompiledStep(model, 1, {k: (v.dtype, (None, *v.shape[1:])) for k, v in FEED.items()})
    parameters = {k: np.array(v) for k, v in step.initial_values().items()}
    step.bind(parameters)
    out = {k: np.zeros_like(v) for k, v in parameters.items()}
    results = []
    for i in range(6):  # the plan is specialised by then
        result = step.run(FEED, (1, 0, 0, i), out)
        values = [result.loss, result.metrics["twice"]]
        for gradient in result.gradients.values():
            is_dense = isinstance(gradient, np.ndarray)
            arrays = [gradient] if is_dense else [gradient.rows, gradient.values]
            assert all(type(a) is np.ndarray for a in arrays)
            values += [np.array(a) for a in arrays]
        values += [array for _, _, array in result.updates]
        results.append(values)
        for name, gradient in out.items():  # what a pull would bring
            parameters[name] -= 0.1 * gradient
    assert any(gradient.any() for gradient in out.values())
    loss, metrics = step.evaluate(FEED)
    return [*results, [loss, metrics["twice"]]]


def test_a_device_gives_the_losses_and_gradients_of_the_host():
    expected = run()
    with backend.using_accelerator(strict_device.accelerator()), tf.device("/GPU:0"):
        got = run()
    for mine, theirs in zip(got, expected, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

"""Peers of small operations: microseconds for one call, one thread.

    python overhead.py tf|tf1|torch|numpy

A scalar add and a 2x2 matrix product; the gradient of a scalar function of ten ops, forward and
backward; TF1's Session.run of a graph of five ops with a feed; an empty compiled function.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from measure import emit, microseconds, pin, tensorflow, torch, versions


def put(peer: str, what: str, step: Callable[[], object]) -> None:
    found = versions("tensorflow-cpu", "torch", "numpy")
    emit("overhead", peer, "us per call", microseconds(step), what=what, versions=found)


def ten(x: Any, sin: Any, tanh: Any, exp: Any) -> Any:
    """Ten ops: mul add sin mul tanh add mul exp sub mul."""
    a = x * 2.0
    b = a + 1.0
    d = sin(b) * x
    f = tanh(d) + a
    i = exp(f * 0.5) - b
    return i * i


def run_tf(np: Any) -> None:
    tf = tensorflow(1)
    a, b, v = tf.constant(1.5), tf.constant(2.5), tf.Variable(0.3)
    m = tf.constant(np.eye(2, dtype=np.float32))
    four = np.ones(4, np.float32)

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            y = ten(v, tf.sin, tf.tanh, tf.exp)
        return tape.gradient(y, v)

    nothing, same = tf.function(lambda: None), tf.function(lambda x: x)
    compiled = tf.function(gradient)
    put("tf", "scalar a + b", lambda: a + b)
    put("tf", "2x2 matmul", lambda: tf.matmul(m, m))
    put("tf", "ten ops", lambda: ten(a, tf.sin, tf.tanh, tf.exp))
    put("tf", "ten ops, gradient", gradient)
    put("tf", "ten ops, gradient in tf.function", compiled)
    put("tf", "empty tf.function", nothing)
    put("tf", "tf.function(x) -> x", lambda: same(a))
    put("tf", "variable.assign_add(scalar)", lambda: v.assign_add(1e-9))
    put("tf", "tensor to numpy", lambda: a.numpy())
    put("tf", "four floats to tensor", lambda: tf.convert_to_tensor(four))


def run_tf1(np: Any) -> None:
    tf = tensorflow(1)
    v1 = tf.compat.v1
    four = np.ones(4, np.float32)
    with tf.Graph().as_default() as graph:
        p = v1.placeholder(tf.float32, [4])
        y = tf.reduce_sum(tf.nn.relu(p * 2.0 + 1.0)) - 3.0
        nothing = tf.no_op()
        config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        session = v1.Session(graph=graph, config=config)
        call = session.make_callable(y, feed_list=[p])
    put("tf1", "Session.run, five ops, one feed", lambda: session.run(y, {p: four}))
    put("tf1", "Session.run, no_op", lambda: session.run(nothing))
    put("tf1", "make_callable, five ops", lambda: call(four))


def run_torch(np: Any) -> None:
    t = torch(1)
    a, b, m = t.tensor(1.5), t.tensor(2.5), t.eye(2)
    v, w = t.tensor(0.3, requires_grad=True), t.tensor(0.3)
    four = np.ones(4, np.float32)

    def gradient() -> Any:
        return t.autograd.grad(ten(v, t.sin, t.tanh, t.exp), v)

    put("torch", "scalar a + b", lambda: a + b)
    put("torch", "2x2 matmul", lambda: t.matmul(m, m))
    put("torch", "ten ops", lambda: ten(a, t.sin, t.tanh, t.exp))
    put("torch", "ten ops, gradient", gradient)
    put("torch", "variable.assign_add(scalar)", lambda: w.add_(1e-9))
    put("torch", "tensor to numpy", lambda: a.numpy())
    put("torch", "four floats to tensor", lambda: t.from_numpy(four))


def run_numpy(np: Any) -> None:
    a, b = np.array(1.5, np.float32), np.array(2.5, np.float32)
    m = np.eye(2, dtype=np.float32)
    put("numpy", "scalar a + b", lambda: a + b)
    put("numpy", "2x2 matmul", lambda: np.matmul(m, m))
    put("numpy", "ten ops", lambda: ten(a, np.sin, np.tanh, np.exp))


def main() -> None:
    peers = {"tf": run_tf, "tf1": run_tf1, "torch": run_torch, "numpy": run_numpy}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=peers)
    chosen = parser.parse_args().peer
    pin(1)
    import numpy as np

    peers[chosen](np)


if __name__ == "__main__":
    main()

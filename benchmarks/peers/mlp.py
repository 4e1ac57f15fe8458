"""Peers of dense compute in one process: MLP 784-512-512-10, relu, softmax cross-entropy.

    python mlp.py tf-eager|tf-function|tf1|torch|numpy [--threads 1] [--batches 32,256,1024]

Each step takes the next of eight numpy batches, so the way from numpy is part of it. SGD with
rate 0.01 and Adam with 0.001 and epsilon 1e-8. `check` is the loss after twenty steps from the
same weights on the same batches: it has to agree between peers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from measure import emit, pin, rate, tensorflow, torch, versions

CHECK_STEPS = 20
# A step returns the loss of its batch before its update, as a number or what converts to one.
Step = Callable[[Any, Any], Any]


def forward(tf: Any, v: Any, x: Any, y: Any) -> Any:
    hidden = tf.nn.relu(tf.matmul(x, v[0]) + v[1])
    hidden = tf.nn.relu(tf.matmul(hidden, v[2]) + v[3])
    logits = tf.matmul(hidden, v[4]) + v[5]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    return tf.reduce_mean(losses)


def tf2_step(threads: int, weights: list[Any], adam: bool, compiled: bool) -> Step:
    """GradientTape and TensorFlow's fused update ops, without the optimizer class around them."""
    tf = tensorflow(threads)
    v = [tf.Variable(weight) for weight in weights]
    slots = [(tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in v]
    powers = tf.Variable(0.9), tf.Variable(0.999)

    def update(gradients: Any) -> None:
        if not adam:
            for variable, g in zip(v, gradients):
                tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=0.01, delta=g)
            return
        first, second = (power.read_value() for power in powers)
        for variable, g, (m, s) in zip(v, gradients, slots):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=s.handle,
                beta1_power=first,
                beta2_power=second,
                lr=0.001,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-8,
                grad=g,
            )
        powers[0].assign(first * 0.9)
        powers[1].assign(second * 0.999)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = forward(tf, v, x, y)
        update(tape.gradient(loss, v))
        return loss

    if compiled:
        return tf.function(step)
    return lambda x, y: step(tf.convert_to_tensor(x), tf.convert_to_tensor(y))


def tf1_step(threads: int, weights: list[Any], adam: bool) -> Step:
    """Session.run of the training op, fed through placeholders."""
    tf = tensorflow(threads)
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, weights[0].shape[0]])
        y = v1.placeholder(tf.int32, [None])
        loss = forward(tf, [v1.Variable(w, use_resource=True) for w in weights], x, y)
        if adam:
            optimizer = v1.train.AdamOptimizer(0.001, epsilon=1e-8)
        else:
            optimizer = v1.train.GradientDescentOptimizer(0.01)
        train = optimizer.minimize(loss)
        initialize = v1.global_variables_initializer()
    session = v1.Session(
        graph=graph,
        config=v1.ConfigProto(
            intra_op_parallelism_threads=threads,
            inter_op_parallelism_threads=1 if threads == 1 else 2,
        ),
    )
    session.run(initialize)
    return lambda images, labels: session.run([loss, train], {x: images, y: labels})[0]


def torch_step(threads: int, weights: list[Any], adam: bool) -> Step:
    """Autograd and torch.optim."""
    t = torch(threads)
    layers: list[Any] = []
    for kernel, bias in zip(weights[::2], weights[1::2]):
        layer = t.nn.Linear(*kernel.shape)
        with t.no_grad():
            layer.weight.copy_(t.from_numpy(kernel.T.copy()))
            layer.bias.copy_(t.from_numpy(bias))
        layers += [layer, t.nn.ReLU()]
    net = t.nn.Sequential(*layers[:-1])
    if adam:
        optimizer = t.optim.Adam(net.parameters(), lr=0.001, eps=1e-8)
    else:
        optimizer = t.optim.SGD(net.parameters(), lr=0.01)
    loss_of = t.nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(net(t.from_numpy(x)), t.from_numpy(y).long())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def numpy_step(weights: list[Any], adam: bool) -> Step:
    """Forward and backward written out, updates in place: what bare numpy can give."""
    import numpy as np

    w = [weight.copy() for weight in weights]
    m, s, a, c = ([np.zeros_like(weight) for weight in w] for _ in range(4))
    done = [0]

    def update(gradients: list[Any]) -> None:
        if not adam:
            for weight, g in zip(w, gradients):
                weight -= np.multiply(g, np.float32(0.01), out=g)
            return
        done[0] += 1
        t = done[0]
        learning_rate = np.float32(0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
        for weight, g, first, second, one, two in zip(w, gradients, m, s, a, c):
            first *= np.float32(0.9)
            first += np.multiply(g, np.float32(0.1), out=one)
            second *= np.float32(0.999)
            second += np.multiply(np.multiply(g, g, out=one), np.float32(0.001), out=one)
            np.sqrt(second, out=one)
            one += np.float32(1e-8)
            weight -= np.multiply(np.divide(first, one, out=two), learning_rate, out=two)

    def step(x: Any, y: Any) -> float:
        rows = np.arange(len(y))
        h1 = x @ w[0]
        h1 += w[1]
        np.maximum(h1, 0, out=h1)
        h2 = h1 @ w[2]
        h2 += w[3]
        np.maximum(h2, 0, out=h2)
        logits = h2 @ w[4]
        logits += w[5]
        logits -= logits.max(1, keepdims=True)
        exponents = np.exp(logits)
        total = exponents.sum(1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - logits[rows, y]))
        d = exponents / total
        d[rows, y] -= 1
        d *= np.float32(1.0 / len(y))
        last = [h2.T @ d, d.sum(0)]
        d = d @ w[4].T
        d *= h2 > 0
        middle = [h1.T @ d, d.sum(0)]
        d = d @ w[2].T
        d *= h1 > 0
        update([x.T @ d, d.sum(0), *middle, *last])
        return loss

    return step


def build(peer: str, threads: int, weights: list[Any], adam: bool) -> Step:
    if peer.startswith("tf-"):
        return tf2_step(threads, weights, adam, compiled=peer == "tf-function")
    if peer == "tf1":
        return tf1_step(threads, weights, adam)
    return torch_step(threads, weights, adam) if peer == "torch" else numpy_step(weights, adam)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=["tf-eager", "tf-function", "tf1", "torch", "numpy"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", default="32,256,1024")
    parser.add_argument("--optimizers", default="sgd,adam")
    parser.add_argument("--window", type=float, default=0.5, help="seconds of one measurement")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pin(options.threads)
    import work

    found = versions("tensorflow-cpu", "torch", "numpy")
    for optimizer in options.optimizers.split(","):
        for batch in map(int, options.batches.split(",")):
            batches = work.class_batches(batch)
            weights = work.mlp_weights(work.SMALL_MLP)
            step = build(options.peer, options.threads, weights, optimizer == "adam")
            losses = [float(step(*batches[i % 8])) for i in range(CHECK_STEPS + 1)]
            done = [0]

            def one(step: Step = step, batches: Any = batches, done: list[int] = done) -> Any:
                done[0] += 1
                return step(*batches[done[0] % 8])

            emit(
                "mlp",
                options.peer,
                "steps/s",
                rate(one, window_s=options.window, repeats=options.repeats),
                threads=options.threads,
                batch=batch,
                optimizer=optimizer,
                check=round(losses[-1], 5),
                versions=found,
            )


if __name__ == "__main__":
    main()

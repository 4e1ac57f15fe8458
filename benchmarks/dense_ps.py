"""Dense parameter server: MLP 784-1024-1024-10, batch 128, SGD, asynchronous, 2 shards, 2 workers.

One step is: pull the weights, forward, backward, push the gradients, apply them. Everything is the
product as a user starts it: `tf.Trainer` on a local Ray, batches fed by name, one math thread in
each process, loss reported, no TensorBoard directory. The figure is steps per second of all
workers, read from the job's own count of batches in the shards' ledgers over the time of training.
Peers (benchmarks/peers/dense_ps.py) run in turn with it, so that both meet the same machine.

    python benchmarks/dense_ps.py [--rounds 3] [--steps 1600] [--json FILE]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import rows

BATCH = 128
SIZES = (784, 1024, 1024, 10)
PEERS = (("tf2-ps", "TF2 ParameterServerStrategy"), ("ddp-gloo", "PyTorch DDP gloo"))
LIMIT_S = 240.0


def model():
    """Hidden layers of 1,024 with relu, softmax cross-entropy; as the peers have it."""
    import shardtape as tf

    x = tf.placeholder(tf.float32, (None, SIZES[0]), name="x")
    y = tf.placeholder(tf.int32, (None,), name="y")
    h = x
    for i, (fan_in, width) in enumerate(zip(SIZES, SIZES[1:])):
        limit = (6.0 / fan_in) ** 0.5
        w = tf.Variable(
            tf.random.uniform((fan_in, width), -limit, limit, seed=i), name=f"layer{i}/kernel"
        )
        b = tf.Variable(tf.zeros((width,)), name=f"layer{i}/bias")
        h = tf.matmul(h, w) + b
        if i < len(SIZES) - 2:
            h = tf.nn.relu(h)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h)
    return tf.Step(tf.reduce_mean(losses))


def train(steps: int) -> float:
    """Trains for so many steps; steps per second of all workers."""
    import numpy as np

    import shardtape as tf

    rng = np.random.default_rng(2)
    means = rng.normal(0, 1, (10, SIZES[0])).astype(np.float32)
    count = BATCH * 200
    y = rng.integers(0, 10, count).astype(np.int32)
    x = means[y] * 0.1 + rng.normal(0, 1, (count, SIZES[0])).astype(np.float32)
    epochs = max(1, round(steps * BATCH / count))
    result = tf.Trainer(
        model,
        train={"x": x, "y": y},
        optimizer=tf.optimizers.SGD(0.01),
        batch_size=BATCH,
        epochs=epochs,
        ps=2,
        workers=2,
        mode="async",
        shuffle=False,
        threads=1,
        progress="none",
    ).fit()
    return result.summary["examples_per_s"] / BATCH


def ours(steps: int) -> float:
    """One run in a fresh process, as a user would start it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rate.json"
        command = [sys.executable, __file__, "--child", str(file), "--steps", str(steps)]
        environment = {
            k: v
            for k, v in os.environ.items()
            if k not in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        }
        done = subprocess.run(command, env=environment, timeout=LIMIT_S, check=False)
        if done.returncode:
            raise RuntimeError(f"the training run failed with exit status {done.returncode}")
        return float(json.loads(file.read_text()))


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--steps", type=int, default=1600, help="steps of all workers in a run")
    parser.add_argument("--child", type=Path, help="internal: measure once, write the rate there")
    options = parser.parse_args()
    if options.child is not None:
        options.child.write_text(json.dumps(train(options.steps)))
        return
    rows.note_environment()
    mine: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name, _ in PEERS}
    for _ in range(options.rounds):
        mine.append(ours(options.steps))
        for name, _text in PEERS:
            emitted = rows.run_peer("dense_ps.py", name, "--windows", 3, "--seconds", 2)
            theirs[name] += [each["median"] for each in emitted or ()]
    made = [
        rows.row(
            "dense_async" if i == 0 else f"dense_async_vs_{name.replace('-', '_')}",
            "steps/s all workers",
            mine,
            text,
            theirs[name] or None,
        )
        for i, (name, text) in enumerate(PEERS)
    ]
    rows.report(made, options.json)


if __name__ == "__main__":
    main()

"""The language in one process, one thread: small eager ops, the tape, a multilayer perceptron.

Rows `eager_add` (a scalar a + b), `tape_ten_ops` (the gradient of a scalar function of ten ops,
forward and backward under a GradientTape), `eager_mlp` and `function_mlp` (784-512-512-10, relu,
softmax cross-entropy, batch 256, SGD; each step takes the next of eight numpy batches). Each row
stands against TensorFlow, `*_vs_torch` against PyTorch, run in turn with ours in other processes
(benchmarks/peers/overhead.py and mlp.py, which do the same work).

    python benchmarks/language.py [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

import rows  # noqa: E402 - the path of the peers' modules comes first

BATCH = 256
LIMIT_S = 120.0


def measure_ours() -> None:
    """Measures all rows in this process and emits them as the peers do."""
    from measure import emit, microseconds, pin, rate

    pin(1)
    import work
    from mlp import forward
    from overhead import ten

    import shardtape as tf

    a, b, v = tf.constant(1.5), tf.constant(2.5), tf.Variable(0.3)

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            y = ten(v, tf.sin, tf.tanh, tf.exp)
        return tape.gradient(y, v)

    emit("overhead", "ours", "us per call", microseconds(lambda: a + b), what="scalar a + b")
    emit("overhead", "ours", "us per call", microseconds(gradient), what="ten ops, gradient")
    batches = work.class_batches(BATCH)
    for peer in ("eager", "function"):
        variables = [tf.Variable(w) for w in work.mlp_weights(work.SMALL_MLP)]

        def step(x: Any, y: Any, variables: Any = variables) -> Any:
            with tf.GradientTape() as tape:
                loss = forward(tf, variables, x, y)
            for variable, g in zip(variables, tape.gradient(loss, variables)):
                tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=0.01, delta=g)
            return loss

        run = tf.function(step) if peer == "function" else step
        losses = [float(run(*batches[i % 8])) for i in range(21)]
        done = [0]

        def one(run: Any = run, done: list[int] = done) -> Any:
            done[0] += 1
            return run(*batches[done[0] % 8])

        found = rate(one, window_s=0.5)
        emit("mlp", f"ours-{peer}", "steps/s", found, check=round(losses[-1], 5))


def ours() -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--child"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def peers(kind: str) -> list[dict[str, Any]]:
    """What TensorFlow ("tf") or PyTorch ("torch") makes of the same; nothing if it is missing."""
    found = list(rows.run_peer("overhead.py", kind) or ())
    small = ("--batches", BATCH, "--optimizers", "sgd")
    for name in ("tf-eager", "tf-function") if kind == "tf" else ("torch",):
        found += rows.run_peer("mlp.py", name, *small) or ()
    return found


def pick(lines: list[dict[str, Any]], what: str) -> list[float]:
    """Medians of what was measured under this name: an operation, or a peer of the perceptron."""
    return [line["median"] for line in lines if line.get("what", line["peer"]) == what]


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--child", action="store_true", help="internal: measure ours once")
    options = parser.parse_args()
    if options.child:
        measure_ours()
        return
    rows.note_environment()
    mine: list[dict[str, Any]] = []
    theirs: dict[str, list[dict[str, Any]]] = {"tf": [], "torch": []}
    for _ in range(options.rounds):
        mine += ours()
        for kind, lines in theirs.items():
            lines += peers(kind)
    wanted = (
        ("eager_add", "us per call", *["scalar a + b"] * 3),
        ("tape_ten_ops", "us per call", *["ten ops, gradient"] * 3),
        ("eager_mlp", "steps/s", "ours-eager", "tf-eager", "torch"),
        ("function_mlp", "steps/s", "ours-function", "tf-function", "torch"),
    )
    made = []
    for name, unit, own, tensorflow, torch in wanted:
        figures = pick(mine, own)
        made.append(
            rows.row(name, unit, figures, "TensorFlow", pick(theirs["tf"], tensorflow) or None)
        )
        against = pick(theirs["torch"], torch)
        made.append(rows.row(f"{name}_vs_torch", unit, figures, "PyTorch", against or None))
    rows.report(made, options.json)


if __name__ == "__main__":
    main()

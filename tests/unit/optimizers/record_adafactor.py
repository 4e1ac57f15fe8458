"""Records what Keras 2.15's Adafactor computes, for `test_adafactor.py`.

Not a test: run it by hand in an environment that has TensorFlow 2.15.

    python record_adafactor.py adafactor_2_15.json
"""

import json
import sys

import numpy as np

SHAPES = {"m": (4, 3), "v": (3,), "t": (2, 3, 4), "s": ()}
SCHEDULE = {"initial_learning_rate": 3.0, "decay_steps": 2, "decay_rate": 0.5}
CASES = {
    "plain": {},
    "large_rate": {"learning_rate": 2.0},
    "no_relative_step": {"learning_rate": 2.0, "relative_step": False},
    "clip_threshold": {"learning_rate": 0.1, "clip_threshold": 0.3},
    "weight_decay": {"learning_rate": 0.05, "weight_decay": 0.1},
    "clipnorm": {"learning_rate": 0.1, "clipnorm": 0.5},
    "clipvalue": {"learning_rate": 0.1, "clipvalue": 0.2},
    "global_clipnorm": {"learning_rate": 0.1, "global_clipnorm": 0.7},
    "decay_and_epsilon": {"learning_rate": 0.1, "beta_2_decay": -0.5, "epsilon_2": 0.7,
                          "epsilon_1": 0.01},
    "ema": {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8,
            "ema_overwrite_frequency": 2},
    "schedule": {"learning_rate": SCHEDULE},
}  # fmt: skip


def pattern(shape, seed, divisor):
    """Plain numbers that need no random generator."""
    flat = [((i * 7 + seed * 5) % 13 - 6) / divisor for i in range(int(np.prod(shape)))]
    return np.array(flat, np.float32).reshape(shape)


def short(array):
    """Nested lists of the shortest decimals that give the array's numbers back."""
    return [short(part) for part in array] if array.ndim else float(str(array[()]))


def gradients(step):
    return {name: pattern(shape, 3 * step + 1, 8.0) for name, shape in SHAPES.items()}


def run(tf, arguments, steps=5):
    """The variables after each step, and the slots after the last."""
    arguments = dict(arguments)
    if isinstance(arguments.get("learning_rate"), dict):
        decay = tf.keras.optimizers.schedules.ExponentialDecay
        arguments["learning_rate"] = decay(**arguments["learning_rate"])
    optimizer = tf.keras.optimizers.Adafactor(**arguments)
    variables = {n: tf.Variable(pattern(s, 4, 10.0), name=n) for n, s in SHAPES.items()}
    values = []
    for step in range(steps):
        given = gradients(step)
        optimizer.apply_gradients([(tf.constant(given[n]), v) for n, v in variables.items()])
        values.append({n: short(v.numpy()) for n, v in variables.items()})
    slots = {v.name: short(v.numpy()) for v in optimizer.variables[1:]}
    return {"values": values, "slots": slots}


def main(path):
    import tensorflow as tf

    with open(path, "w") as file:
        made = {name: run(tf, arguments) for name, arguments in CASES.items()}
        table = tf.Variable(pattern((4, 3), 4, 10.0))
        optimizer = tf.keras.optimizers.Adafactor(0.1)
        rows = tf.IndexedSlices(pattern((4, 3), 2, 8.0), tf.constant([2, 0, 2, 1]), [4, 3])
        for _ in range(2):
            optimizer.apply_gradients([(rows, table)])
        made["sparse"] = short(table.numpy())
        made["config"] = tf.keras.optimizers.Adafactor(clipvalue=2.0).get_config()
        json.dump(made, file, separators=(",", ":"), default=float)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])

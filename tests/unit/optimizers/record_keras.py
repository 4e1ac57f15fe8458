"""Records what Keras's optimizers and schedules compute, for the tests beside this file.

Not a test: run it by hand in an environment that has TensorFlow, once per version.

    python record_keras.py keras_2_15.json      # TensorFlow 2.15, whose Keras is 2.15
    python record_keras.py keras_3.json         # TensorFlow 2.21 and Keras 3
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

STEPS = 5
SHAPES = {"a": (4, 3), "b": (3,)}
# Keras 2.15 sums the rows of repeated ids first. Keras 3 does not (it adds the squares of the rows
# one by one), so nothing repeats there.
SPARSE_ROWS = (
    [[0, 2], [3, 0], [1], [2], [0, 1, 3]]
    if keras.__version__.startswith("3")
    else [[0, 2], [3, 0, 3], [1], [2, 2], [0, 1, 3]]
)


def pattern(shape, seed, divisor):
    """Plain numbers that need no random generator."""
    flat = [((i * 7 + seed * 5) % 13 - 6) / divisor for i in range(int(np.prod(shape)))]
    return np.array(flat).reshape(shape)


def short(array):
    """Nested lists of the shortest decimals that give the array's numbers back."""
    if array.ndim:
        return [short(part) for part in array]
    return float(str(array[()]))


def cases():
    schedules = tf.keras.optimizers.schedules
    optimizers = tf.keras.optimizers
    plain = {
        "sgd": (optimizers.SGD, {}),
        "sgd_momentum": (optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9}),
        "sgd_nesterov": (
            optimizers.SGD,
            {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        ),
        "sgd_weight_decay": (optimizers.SGD, {"learning_rate": 0.1, "weight_decay": 0.05}),
        "sgd_clipnorm": (optimizers.SGD, {"learning_rate": 0.1, "clipnorm": 0.5}),
        "sgd_clipvalue": (optimizers.SGD, {"learning_rate": 0.1, "clipvalue": 0.2}),
        "sgd_global_clipnorm": (optimizers.SGD, {"learning_rate": 0.1, "global_clipnorm": 0.7}),
        "adam": (optimizers.Adam, {}),
        "adam_fast": (
            optimizers.Adam,
            {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
        ),
        "adam_amsgrad": (optimizers.Adam, {"learning_rate": 0.05, "amsgrad": True}),
        "adam_weight_decay": (optimizers.Adam, {"learning_rate": 0.05, "weight_decay": 0.1}),
        "adam_clipnorm": (optimizers.Adam, {"learning_rate": 0.05, "clipnorm": 0.3}),
        "adagrad": (optimizers.Adagrad, {}),
        "adagrad_fast": (
            optimizers.Adagrad,
            {"learning_rate": 0.1, "initial_accumulator_value": 0.3, "epsilon": 1e-2},
        ),
        "rmsprop": (optimizers.RMSprop, {}),
        "rmsprop_momentum": (optimizers.RMSprop, {"learning_rate": 0.02, "momentum": 0.9}),
        "rmsprop_centered": (optimizers.RMSprop, {"learning_rate": 0.02, "centered": True}),
        "rmsprop_all": (
            optimizers.RMSprop,
            {"learning_rate": 0.02, "rho": 0.8, "momentum": 0.5, "centered": True, "epsilon": 1e-3},
        ),
        "adadelta": (optimizers.Adadelta, {}),
        "adadelta_fast": (
            optimizers.Adadelta, {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-4},
        ),
        "adamax": (optimizers.Adamax, {}),
        "adamax_fast": (
            optimizers.Adamax,
            {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
        ),
        "nadam": (optimizers.Nadam, {}),
        "nadam_fast": (
            optimizers.Nadam,
            {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
        ),
        "ftrl": (optimizers.Ftrl, {}),
        "ftrl_all": (
            optimizers.Ftrl,
            {
                "learning_rate": 0.1, "learning_rate_power": -0.4,
                "initial_accumulator_value": 0.2, "l1_regularization_strength": 0.01,
                "l2_regularization_strength": 0.02,
                "l2_shrinkage_regularization_strength": 0.03, "beta": 0.04,
            },
        ),
        "adamw": (optimizers.AdamW, {}),
        "adamw_fast": (
            optimizers.AdamW, {"learning_rate": 0.05, "weight_decay": 0.1, "amsgrad": True},
        ),
        "lion": (optimizers.Lion, {}),
        "lion_fast": (optimizers.Lion, {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9}),
    }  # fmt: skip
    for name, (cls, arguments) in plain.items():
        yield name, cls, arguments, arguments
    given = {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}
    yield (
        "sgd_schedule",
        optimizers.SGD,
        {"learning_rate": schedules.ExponentialDecay(**given)},
        {"learning_rate": {"class_name": "ExponentialDecay", "config": given}},
    )
    if not keras.__version__.startswith("3"):  # Keras 3 starts the average differently
        for frequency in (None, 2):
            arguments = {
                "learning_rate": 0.1,
                "use_ema": True,
                "ema_momentum": 0.8,
                "ema_overwrite_frequency": frequency,
            }
            yield f"sgd_ema_{frequency}", optimizers.SGD, arguments, arguments


def run(cls, arguments, dtype, sparse):
    optimizer = cls(**arguments)
    variables = {
        name: tf.Variable(pattern(shape, i, 10.0).astype(dtype), name=name)
        for i, (name, shape) in enumerate(SHAPES.items())
    }
    gradients, values = [], []
    for step in range(STEPS):
        pairs, given = [], {}
        for i, (name, variable) in enumerate(variables.items()):
            if sparse and name == "a":
                rows = SPARSE_ROWS[step]
                part = pattern((len(rows), 3), step * 3 + 1, 8.0).astype(dtype)
                gradient = tf.IndexedSlices(
                    tf.constant(part), tf.constant(rows, tf.int64), tf.constant(SHAPES["a"])
                )
                given[name] = {"rows": rows, "values": short(part)}
            else:
                gradient = pattern(SHAPES[name], step * 3 + i + 1, 8.0).astype(dtype)
                given[name] = short(gradient)
                gradient = tf.constant(gradient)
            pairs.append((gradient, variable))
        optimizer.apply_gradients(pairs)
        gradients.append(given)
        values.append({name: short(variable.numpy()) for name, variable in variables.items()})
    return {"gradients": gradients, "values": values}


SCHEDULES = {
    "exponential": ("ExponentialDecay", (0.1, 10, 0.9), {}),
    "exponential_staircase": ("ExponentialDecay", (0.1, 10, 0.9), {"staircase": True}),
    "piecewise": ("PiecewiseConstantDecay", ([5, 20], [0.3, 0.2, 0.1]), {}),
    "polynomial": ("PolynomialDecay", (0.1, 20), {}),
    "polynomial_square": (
        "PolynomialDecay",
        (0.1, 20),
        {"end_learning_rate": 0.01, "power": 2.0},
    ),
    "polynomial_cycle": ("PolynomialDecay", (0.1, 7), {"power": 0.5, "cycle": True}),
    "inverse_time": ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    "inverse_time_staircase": ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    "cosine": ("CosineDecay", (0.1, 20), {}),
    "cosine_alpha": ("CosineDecay", (0.1, 20), {"alpha": 0.1}),
    "cosine_warmup": (
        "CosineDecay",
        (0.01, 20),
        {"warmup_target": 0.1, "warmup_steps": 5},
    ),
    "restarts": ("CosineDecayRestarts", (0.1, 5), {}),
    "restarts_equal": ("CosineDecayRestarts", (0.1, 7), {"t_mul": 1.0, "alpha": 0.1}),
    "restarts_falling": ("CosineDecayRestarts", (0.1, 4), {"t_mul": 1.5, "m_mul": 0.8}),
}
AT = [0, 1, 3, 5, 6, 7, 9, 10, 14, 15, 20, 21, 25, 40]


def main(path):
    initial = {n: pattern(s, i, 10.0).tolist() for i, (n, s) in enumerate(SHAPES.items())}
    recorded = {
        "source": f"TensorFlow {tf.__version__}, Keras {keras.__version__}",
        "initial": initial,
        "optimizers": {},
        "schedules": {},
    }
    for name, cls, arguments, written in cases():
        case = {"class": cls.__name__, "arguments": written}
        for dtype in ("float32", "float64"):
            if dtype == "float64" and name not in ("adam", "sgd_momentum"):
                continue
            case[f"dense_{dtype}"] = run(cls, arguments, dtype, False)
        case["sparse_float32"] = run(cls, arguments, "float32", True)
        recorded["optimizers"][name] = case
    for name, (cls, positional, named) in SCHEDULES.items():
        schedule = getattr(tf.keras.optimizers.schedules, cls)(*positional, **named)
        recorded["schedules"][name] = {
            "class": cls,
            "positional": list(positional),
            "named": named,
            "at": AT,
            "values": [float(str(schedule(tf.constant(step, tf.int64)).numpy())) for step in AT],
        }
    with open(path, "w") as file:
        json.dump(recorded, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])

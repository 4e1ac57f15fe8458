"""Programs of the promotion modes "all" and "safe" of `tf.experimental.numpy`, and what they print.

Run it in `tests` to record them with TensorFlow:

    python -m parity.promotion_cases tensorflow > parity/data/promotion_tf215.json

Each mode runs in a process of its own, since modes change the public functions.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import numpy as np
from parity.promotion_expressions import EXPRESSIONS

STRONG = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("bfloat16", "float16", "float32", "float64", "complex64", "complex128"),
)
WEAK = ("int32", "int64", "float32", "float64", "complex128")
_LIMIT_S = 600  # for one mode
_LONGEST_ERROR = 240  # characters, which the types that "safe" refuses are within
PYTHON = {"python bool": True, "python int": 1, "python float": 1.0, "python complex": 1j}

# below each name a program of several lines; the value of `out` is printed
_PROGRAMS = """
== assign
v = tf.Variable(1)
v.assign(5)
v.assign_add(tf.constant(2))
v.assign_sub(1)
out = v
== assign float to int
v = tf.Variable(1)
v.assign(5.5)
== assign wide
v = tf.Variable(1.0)
v.assign(tf.constant(5.5, tf.float64))
== assign narrow
v = tf.Variable(1.0)
v.assign(tf.constant(5.5, tf.float16))
out = v
== assign int to float
v = tf.Variable(1.0)
v.assign_add(tf.constant(3))
out = v
== assign strong int to float
v = tf.Variable(1.0)
v.assign_add(tf.constant(3, tf.int32))
out = v
== assign strong int8 to int
v = tf.Variable(1)
v.assign_add(tf.constant(3, tf.int8))
out = v
== assign_sub wide
v = tf.Variable(1)
v.assign_sub(tf.constant(3, tf.int64))
out = v
== gradient
x = tf.constant(2.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * x * 3
out = (y, tape.gradient(y, x))
== gradient of a Variable
x = tf.Variable(2.0)
with tf.GradientTape() as tape:
    y = x * x * 3
out = (y, tape.gradient(y, x))
== gradient beside a weak tensor
x = tf.Variable(2.0, dtype=tf.float16)
w = tf.constant(3)
with tf.GradientTape() as tape:
    y = x * w
out = (y, tape.gradient(y, x))
== gradient through promotion
x = tf.Variable(2.0, dtype=tf.float32)
with tf.GradientTape() as tape:
    y = x * tf.constant(3.0, tf.float64)
out = (y, tape.gradient(y, x))
== function
@tf.function
def f(a, b):
    return a + b
x = tf.constant(1)
out = (f(x, 2), f(x, tf.constant(2.5)), f(x, tf.constant(2, tf.int16)))
== function of constants
@tf.function
def f():
    return tf.constant(1) + tf.constant(1.5)
out = f()
== function that captures
c = tf.constant(2)
@tf.function
def f(x):
    return x * c
out = f(tf.constant([1.5], tf.float16))
== function that prints
seen = []
@tf.function
def f(x):
    seen.append(str(x + 1))
    return x
f(tf.constant(1))
out = seen
== while_loop
out = tf.while_loop(lambda i: i < 3, lambda i: (i + 1,), (tf.constant(0),))
== map_fn
out = tf.map_fn(lambda v: v + 1, tf.constant([1, 2]))
== dataset
out = list(tf.data.Dataset.from_tensor_slices(tf.constant([1, 2])))
== dataset of python
out = list(tf.data.Dataset.from_tensor_slices([1, 2]).map(lambda v: v + 1))
== augmented
x = tf.constant(1)
x += 1.5
out = x
== tensor_scatter
out = tf.tensor_scatter_nd_add(tf.constant([1, 2]), [[0]], tf.constant([5]))
== jacobian
x = tf.constant([1.0, 2.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * x
out = tape.jacobian(y, [x])
== jacobian of a Variable
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    y = x * x * tf.constant(2)
out = tape.jacobian(y, x)
== forward
x = tf.constant(2.0)
with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
    y = x * x
out = accumulator.jvp(y)
== gradient of the output
x = tf.constant(2.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * x
out = tape.gradient(y, x, output_gradients=tf.constant(2.0))
== gradient in a function
x = tf.Variable([1.0, 2.0])
@tf.function(autograph=False)
def f(s):
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(x * s * tf.constant(2))
    return tape.gradient(y, x)
out = f(tf.constant(3.0)), f(2.0), f(tf.constant(3))
== print
import pathlib, tempfile
folder = tempfile.TemporaryDirectory()
path = pathlib.Path(folder.name) / "printed"
tf.print(tf.constant(1), [tf.constant([1.5])], output_stream=f"file://{path}")
@tf.function
def f(x):
    tf.print(x, {"a": x}, output_stream=f"file://{path}")
f(tf.constant(2))
out = path.read_text()
== TensorArray
a = tf.TensorArray(tf.int32, 2)
a = a.write(0, tf.constant(3)).write(1, 4)
out = a.stack()
== pickle
import pickle
out = pickle.loads(pickle.dumps(np.asarray(tf.constant([1]))))
== second gradient
x = tf.constant(2.0)
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x ** 3
    g = tape.gradient(y, x)
out = (g, outer.gradient(g, x))
== gradient of no source
x = tf.constant(2.0)
with tf.GradientTape() as tape:
    y = x * 2
out = tape.gradient(y, x)
== minimize
v = tf.Variable(2.0)
o = tf.keras.optimizers.SGD(0.5)
o.minimize(lambda: v * v * 2, [v])
out = v
== model
m = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer='ones')])
m.compile('sgd', 'mse')
h = m.fit(np.ones([4, 2], 'float32'), np.ones([4, 1], 'float32'), verbose=0)
out = (h.history['loss'], m.predict(np.ones([1, 2], 'float32'), verbose=0).dtype)
== function with a signature
@tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
def f(x):
    return x * 2
out = f(tf.constant(1.5))
== layer
out = tf.keras.layers.Dense(1, kernel_initializer='ones')(tf.constant([[1.0, 2.0]]))
== back to legacy
tnp.experimental_enable_numpy_behavior()
out = (tf.constant(1), tf.constant(1) + 1.5)
== off
tnp.experimental_enable_numpy_behavior(dtype_conversion_mode='off')
out = (tf.constant(1), tf.constant(1) + tf.constant(1))
== off mixed
tnp.experimental_enable_numpy_behavior(dtype_conversion_mode='off')
out = tf.constant(1) + tf.constant(1.5)
== prefer_float32 in all
tnp.experimental_enable_numpy_behavior(prefer_float32=True, dtype_conversion_mode='all')
out = (tnp.asarray(1.5), tnp.ones([1]), tf.constant(1) + 1.5)
"""
PROGRAMS = dict(part.split("\n", 1) for part in _PROGRAMS.strip()[3:].split("\n== "))


def _condition(tf: Any) -> Any:
    @tf.function
    def chosen(x: Any) -> Any:
        if x > 1:
            y = x * 2
        else:
            y = x * 3
        return y

    return chosen(tf.constant(2)), chosen(tf.constant(1, tf.int16))


def _strong_loop(tf: Any) -> Any:
    @tf.function
    def total(n: Any) -> Any:
        s = tf.constant(0, tf.int32)
        for i in tf.range(n):
            s += i
        return s

    return total(tf.constant(4))


def _weak_loop(tf: Any) -> Any:
    @tf.function
    def counted() -> Any:
        s = tf.constant(0)
        for _ in tf.range(3):
            s = s + 1
        return s

    return counted()


FUNCTIONS = {"condition": _condition, "strong loop": _strong_loop, "weak loop": _weak_loop}


def _attempt(function: Any) -> str:
    try:
        value = function()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
    return value if isinstance(value, str) else repr(value)


def _weak(tf: Any, kind: str) -> Any:
    """A weak tensor of a type; no public function makes one of int64."""
    path = "shardtape.experimental.numpy.weak"
    if tf.__name__ == "tensorflow":
        path = "tensorflow.python.framework.weak_tensor"
    tensor = tf.cast([1], getattr(tf, kind))
    return importlib.import_module(path).WeakTensor.from_tensor(tensor)


def _sum(tf: Any, x: Any, y: Any) -> str:
    """The type of a sum, with a star where it is weak."""
    try:
        got = tf.add(x, y)
    except Exception as error:  # noqa: BLE001 - as above
        return type(error).__name__
    return got.dtype.name + ("*" if "weak=True" in repr(got) else "")


def run(module: str, mode: str) -> dict[str, Any]:
    """All results in one mode.

    Args:
      module: "tensorflow" or "shardtape".
      mode: "all" or "safe".
    """
    tf: Any = importlib.import_module(module)
    tnp = tf.experimental.numpy
    tnp.experimental_enable_numpy_behavior(dtype_conversion_mode=mode)
    names: dict[str, Any] = {"tf": tf, "np": np, "tnp": tnp}
    values: dict[str, Any] = {n: tf.cast([1], getattr(tf, n)) for n in STRONG}
    values.update({f"{n}*": _weak(tf, n) for n in WEAK})
    values.update(PYTHON)
    sums = {a: {b: _sum(tf, x, y) for b, y in values.items()} for a, x in values.items()}
    types = {
        a: {b: _attempt(lambda: tnp.result_type(x, y)) for b, y in values.items()}  # noqa: B023
        for a, x in values.items()
    }
    results = {text: _attempt(lambda: eval(text, dict(names))) for text in EXPRESSIONS}  # noqa: B023

    def program(text: str) -> Any:
        scope = dict(names)
        exec(text, scope)
        return scope.get("out")

    for name, function in FUNCTIONS.items():
        results[name] = _attempt(lambda: function(tf))  # noqa: B023
    for name, text in PROGRAMS.items():
        results[name] = _attempt(lambda: program(text))  # noqa: B023
    return {"sums": sums, "types": types, "results": results}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        found = run(*sys.argv[1:])
    else:
        command = [sys.executable, "-m", "parity.promotion_cases", sys.argv[1]]
        found = {}
        for mode in ("all", "safe"):
            done = subprocess.run(
                [*command, mode], capture_output=True, timeout=_LIMIT_S, check=True
            )
            found[mode] = json.loads(done.stdout)
    json.dump(found, sys.stdout, indent=0, sort_keys=True)

"""Runs the cases of `record_ops.py` in TensorFlow 2.15 and keeps values and gradients.

Needs an environment with TensorFlow 2.15; imports nothing of this project but its own directory.
"""

from __future__ import annotations

import inspect
import os
import pickle
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import tensorflow as tf
from recorded import pack
from tensorflow.python.framework import op_def_registry


def weights(shape: Any, dtype: np.dtype) -> np.ndarray:
    """The gradient of an output; `op_cases.weights` is the same."""
    count = int(np.prod(shape, dtype=np.int64))
    w = np.cos(np.arange(count) + 1.0)
    if dtype.kind == "c":
        w = w + 1j * np.sin(np.arange(count) * 2.0)
    return w.reshape(shape).astype(dtype)


def _arguments(definition: Any, tensors: list[Any], attrs: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    # TensorFlow's Python names of some inputs differ from those of the definition
    known = list(inspect.signature(getattr(tf.raw_ops, definition.name)).parameters)
    defined = [a.name for a in definition.input_arg] + [a.name for a in definition.attr]
    others = iter([n for n in known if n not in defined and n != "name"])
    called = {a.name: a.name if a.name in known else next(others) for a in definition.input_arg}
    lists = [a for a in definition.input_arg if a.number_attr or a.type_list_attr]
    members = (len(tensors) - len(definition.input_arg) + len(lists)) // max(len(lists), 1)
    counts = {a.number_attr for a in lists}
    rest = iter(tensors)
    for arg in definition.input_arg:
        if arg.number_attr or arg.type_list_attr:
            arguments[called[arg.name]] = [next(rest) for _ in range(members)]
        else:
            arguments[called[arg.name]] = next(rest)
    kinds = {a.name: a.type for a in definition.attr}
    for name, value in attrs.items():
        if name in counts and name not in known:
            continue
        if name not in kinds:
            raise KeyError(f"{definition.name} has no attribute {name}")
        if isinstance(value, dict):
            value = tf.as_dtype(value["dtype"])
        arguments[name if name in known else next(others)] = value
    if "Tout" in kinds and "Tout" not in arguments:
        wide = tensors[0].dtype in (tf.float64, tf.complex128)
        part = tf.float64 if wide else tf.float32
        whole = tf.complex128 if wide else tf.complex64
        arguments["Tout"] = part if tensors[0].dtype.is_complex else whole
    return arguments


def run(record: dict[str, Any]) -> tuple[list[np.ndarray], list[Any] | None]:
    """Values of all outputs, and gradients with respect to the inputs that are no host inputs."""
    definition = op_def_registry.get(record["type"])
    tensors = [tf.constant(value, tf.as_dtype(kind)) for kind, value in record["inputs"]]
    function = getattr(tf.raw_ops, record["type"])
    differentiable = [t.dtype.is_floating or t.dtype.is_complex for t in tensors]
    watched = [t for t, d, h in zip(tensors, differentiable, record["host"]) if d and not h]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        got = function(**_arguments(definition, tensors, record["attrs"]))
    outs = list(got) if isinstance(got, (list, tuple)) else [got]
    outs = [o for part in outs for o in (part if isinstance(part, list) else [part])]
    grads: list[Any] | None = None
    if record["gradient"] and watched:
        smooth = [o for o in outs if o.dtype.is_floating or o.dtype.is_complex]
        seeds = [tf.constant(weights(o.shape, np.dtype(o.dtype.as_numpy_dtype))) for o in smooth]
        try:
            found = tape.gradient(smooth, watched, output_gradients=seeds) if smooth else None
        except (LookupError, tf.errors.OpError, ValueError, TypeError, NotImplementedError):
            found = None
        if found is not None:
            grads = [None if g is None else tf.convert_to_tensor(g).numpy() for g in found]
    return [o.numpy() for o in outs], grads


def main(source: str, target: str) -> None:
    records = pickle.loads(Path(source).read_bytes())
    arrays: dict[str, np.ndarray] = {}
    notes: dict[str, Any] = {}
    unknown, failed = set(), {}
    for record in records:
        key = record["key"]
        if op_def_registry.get(record["type"]) is None or not hasattr(tf.raw_ops, record["type"]):
            unknown.add(record["type"])
            continue
        try:
            outs, grads = run(record)
        except (tf.errors.OpError, TypeError, ValueError, KeyError, NotImplementedError) as error:
            failed[key] = str(error).split("\n")[0][:160]
            notes[key] = {"digest": record["digest"], "refused": True}
            continue
        note: dict[str, Any] = {"digest": record["digest"], "outputs": len(outs)}
        for i, out in enumerate(outs):
            # numpy's own string type drops zero bytes at the end
            arrays[f"{key}:{i}"] = (
                np.array(out, object) if isinstance(out, bytes) else np.asarray(out)
            )
        if grads is not None:
            note["gradients"] = [g is not None for g in grads]
            for i, g in enumerate(grads):
                if g is not None:
                    arrays[f"{key}:g{i}"] = np.asarray(g)
        notes[key] = note
    pack(Path(target), arrays, notes)
    print(f"{len(notes) - len(failed)} results of TensorFlow {tf.__version__}")
    print("not TensorFlow's:", ", ".join(sorted(unknown)))
    by_op: dict[str, list[str]] = {}
    for key, text in failed.items():
        name, _, rest = key.partition("/")
        by_op.setdefault(f"{name}: {text}", []).append(rest)
    for text, keys in by_op.items():
        print("refused", text, "|", " ".join(keys))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

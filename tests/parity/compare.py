"""Runs the recorded cases in an installed TensorFlow now and reports where Shardtape differs.

    make parity                                      # or: .venv/bin/python tests/parity/compare.py

SHARDTAPE_PARITY_PYTHON names the interpreter that has TensorFlow; without it the environment of
`make bench-peers` is tried. Without either nothing is compared. The recorded results in `data/`
are those of TensorFlow 2.15; another version may differ from them, too.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from parity import (
    composite_cases,
    function_cases,
    image_cases,
    keras_file_models,
    numpy_cases,
    record_ops,
    sampling_cases,
    signal_cases,
)
from parity.op_cases import cases
from parity.recorded import unpack
from unit.ops import op_checks, test_registry

import shardtape as tf
from shardtape.ops.registry import PURE, REGISTRY

HERE = Path(__file__).parent
_PEERS = HERE.parents[1] / ".venv-peers" / "bin" / "python"
_LIMIT_S = 1800
_FUNCTIONS = {
    "function_cases": function_cases.CASES,
    "composite_cases": composite_cases.CASES,
    "image_cases": image_cases.CASES,
    "numpy_cases": numpy_cases.CASES,
    "sampling_cases": sampling_cases.CASES,
    "signal_cases": signal_cases.CASES,
}
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}


def interpreter() -> tuple[str, str] | None:
    """A Python that has TensorFlow, and TensorFlow's version."""
    named = os.environ.get("SHARDTAPE_PARITY_PYTHON")
    for python in [named] if named else [str(_PEERS)]:
        if not Path(python).exists():
            continue
        found = subprocess.run(
            [python, "-c", "import tensorflow; print(tensorflow.__version__)"],
            capture_output=True, text=True, timeout=_LIMIT_S, env={**os.environ, **_QUIET},
            check=False,
        )  # fmt: skip
        if found.returncode == 0:
            return python, found.stdout.strip().splitlines()[-1]
        if named:
            print(found.stderr.strip()[-500:], file=sys.stderr)
    return None


def _run(python: str, script: str, *arguments: str) -> None:
    done = subprocess.run(
        [python, str(HERE / script), *arguments], capture_output=True, text=True,
        timeout=_LIMIT_S, env={**os.environ, **_QUIET}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{script} failed in {python}:\n{done.stderr.strip()[-2000:]}")


def _differs(check: Callable[..., Any], *arguments: Any) -> str | None:
    try:
        check(*arguments)
    except AssertionError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        largest = [line for line in lines if line.startswith("Max absolute")]
        return " ".join([*lines[:2], *largest])[:200]
    return None


def op_differences(arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> Iterator[str]:
    """One line for each case of an op whose value or gradient differs."""
    for type_name, op in sorted(REGISTRY.items()):
        if op.effects != PURE or type_name in test_registry._FILES:
            continue
        ours = test_registry._WRONG_THERE.get(type_name, ())
        for case in cases(op):
            if case.key not in notes or notes[case.key].get("refused"):
                continue
            for what, check, rest in (
                ("value", op_checks.check_value, ()),
                ("gradient", op_checks.check_recorded_gradient, (ours,)),
            ):
                if what == "gradient" and (
                    not op.has_gradient or type_name in op_checks.UP_TO_SIGN
                ):
                    continue
                text = _differs(check, op, case, arrays, notes, *rest)
                if text is not None:
                    yield f"{case.key} ({what}): {text}"


def _same(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    assert len(got) == len(want), f"{len(got)} results, TensorFlow has {len(want)}"
    for a, b in zip(got, want):
        name = a.dtype.name
        assert name == b.dtype.name or name == "float16", f"{name}, TensorFlow has {b.dtype}"
        op_checks.close(a, b, name, "value", slack=10)


def function_differences(module: str, recorded: dict[str, np.ndarray]) -> Iterator[str]:
    """One line for each call of a public function whose results differ."""
    for name, got in function_cases.results(tf, _FUNCTIONS[module]).items():
        want = [recorded[key] for key in recorded if key.rsplit(":", 1)[0] == name]
        text = _differs(_same, got, want)
        if text is not None:
            yield f"{module}/{name}: {text}"


def file_differences(python: str, folder: str) -> Iterator[str]:
    """One line for each file of a Keras model that TensorFlow reads otherwise than we do."""
    target = f"{folder}/keras_files.npz"
    wanted: dict[str, np.ndarray] = {}
    for name, make in keras_file_models.MODELS.items():
        tf.keras.backend.clear_session()
        model, x, y = make(tf)
        for ending in ("keras", "h5"):
            model.save(f"{folder}/{name}.{ending}")
        for ending in ("weights.h5", "older.h5"):
            model.save_weights(f"{folder}/{name}.{ending}")
        for i, value in enumerate(keras_file_models.predictions(model, x)):
            wanted[f"{name}/predicted/{i}"] = value
        for i, value in enumerate(keras_file_models.trained_on(model, x, y)):
            wanted[f"{name}/trained/{i}"] = value
    _run(python, "record_keras_files_tf.py", folder, target)
    arrays = dict(np.load(target))
    failed = json.loads(arrays.pop("failed").tobytes())
    yield from (f"{name}: {text}"[:200] for name, text in failed.items())
    for key, got in arrays.items():
        name, what, place = key.split("/")
        want = wanted[f"{name.split('.')[0]}/{what}/{place}"]
        if not np.allclose(got, want, rtol=1e-5, atol=1e-5):
            yield f"{key}: {np.abs(got - want).max()} apart"


def main() -> int:
    """Prints the report; 1 where there are differences."""
    found = interpreter()
    if found is None:
        print(
            "No TensorFlow to compare with: name an interpreter that has it by "
            "SHARDTAPE_PARITY_PYTHON, or run `make bench-peers`."
        )
        return 0
    python, version = found
    differences: list[str] = []
    count = 0
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        source, target = f"{folder}/cases.pickle", f"{folder}/ops.npz"
        records = record_ops.dump([])
        Path(source).write_bytes(pickle.dumps(records, protocol=4))
        _run(python, "record_ops_tf.py", source, target)
        arrays, notes = unpack(Path(target))
        count += len(notes)
        differences += op_differences(arrays, notes)
        for module in _FUNCTIONS:
            _run(python, "function_cases.py", target, module)
            differences += function_differences(module, unpack(Path(target))[0])
            count += len(_FUNCTIONS[module])
        differences += file_differences(python, folder)
        count += 4 * len(keras_file_models.MODELS)
    for line in differences:
        print(line)
    print(f"{count} cases against TensorFlow {version}: {len(differences)} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())

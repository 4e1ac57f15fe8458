"""Records what an installed TensorFlow makes of the `keras*_cases.py` beside this file.

    PYTHON_OF_TENSORFLOW_2.15 tests/parity/record_keras_tf.py [keras] [keras_layers] [...]

It must run where TensorFlow 2.15 is installed (for `keras_data` also scipy and Pillow); Shardtape
is not needed.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import tensorflow as tf
from parity import (
    keras_autograph_cases,
    keras_cases,
    keras_data_cases,
    keras_layer_cases,
    keras_metrics_cases,
    keras_operation_cases,
    keras_precision_cases,
    keras_preprocessing_cases,
    keras_training_cases,
    keras_tutorial_cases,
    recorded,
)

MODULES = {
    "keras": keras_cases,
    "keras_autograph": keras_autograph_cases,
    "keras_data": keras_data_cases,
    "keras_layers": keras_layer_cases,
    "keras_metrics": keras_metrics_cases,
    "keras_operations": keras_operation_cases,
    "keras_precision": keras_precision_cases,
    "keras_preprocessing": keras_preprocessing_cases,
    "keras_training": keras_training_cases,
    "keras_tutorial": keras_tutorial_cases,
}


def record(kind: str) -> None:
    arrays, texts = {}, {}
    cases = MODULES[kind].CASES
    for name, run in cases.items():
        for i, value in enumerate(run(tf)):
            if isinstance(value, str):
                texts[f"{name}/{i}"] = value
            else:
                arrays[f"{name}/{i}"] = np.asarray(value)
    path = Path(__file__).parent / "data" / f"{kind}_tf215.npz"
    recorded.pack(path, arrays, {"tensorflow": tf.__version__, "texts": texts})
    print(f"{len(cases)} cases, {len(arrays) + len(texts)} results in {path}")


if __name__ == "__main__":
    for kind in sys.argv[1:] or MODULES:
        record(kind)

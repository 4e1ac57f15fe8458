"""Records what an installed TensorFlow makes of `keras_cases.py`.

    PYTHON_OF_TENSORFLOW_2.15 tests/parity/record_keras_tf.py

It must run where TensorFlow 2.15 is installed; Shardtape is not needed.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parent))

import keras_cases
import numpy as np
import recorded
import tensorflow as tf


def main() -> None:
    arrays, texts = {}, {}
    for name, run in keras_cases.CASES.items():
        for i, value in enumerate(run(tf)):
            if isinstance(value, str):
                texts[f"{name}/{i}"] = value
            else:
                arrays[f"{name}/{i}"] = np.asarray(value)
    path = Path(__file__).parent / "data" / "keras_tf215.npz"
    recorded.pack(path, arrays, {"tensorflow": tf.__version__, "texts": texts})
    print(f"{len(keras_cases.CASES)} cases, {len(arrays) + len(texts)} results in {path}")


if __name__ == "__main__":
    main()

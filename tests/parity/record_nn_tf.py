"""Records what an installed TensorFlow makes of `nn_cases.py`.

    PYTHON_OF_TENSORFLOW_2.15 tests/parity/record_nn_tf.py

It must run where TensorFlow 2.15 is installed; Shardtape is not needed.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # plain kernels: the definition, not a blend
sys.path.insert(0, str(Path(__file__).parent))

import nn_cases
import numpy as np
import recorded
import tensorflow as tf


def main() -> None:
    arrays, failed = {}, []
    for name, run in nn_cases.CASES.items():
        try:
            results = run(tf)
        except tf.errors.OpError as error:
            failed.append(f"{name}: {error}")
            continue
        for i, value in enumerate(results):
            arrays[f"{name}/{i}"] = np.asarray(value)
    path = Path(__file__).parent / "data" / "nn_tf215.npz"
    recorded.pack(path, arrays, {"tensorflow": tf.__version__})
    print(f"{len(nn_cases.CASES)} cases, {len(arrays)} arrays in {path}")
    print("\n".join(failed))


if __name__ == "__main__":
    main()

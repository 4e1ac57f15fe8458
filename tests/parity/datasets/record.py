"""Records what TensorFlow 2.15 gives for cases.txt. Run by an interpreter that has it:

python tests/parity/datasets/record.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parent))

import evaluate
import tensorflow as tf


def main() -> None:
    tf.autograph.set_verbosity(0)
    with tempfile.TemporaryDirectory() as folder:
        known = evaluate.names(tf, folder)
        found = {e: evaluate.evaluate(e, known) for e in evaluate.expressions()}
    evaluate.RECORDED.write_text(json.dumps(found, indent=0, ensure_ascii=True) + "\n")
    print(f"{len(found)} results of TensorFlow {tf.__version__}")


if __name__ == "__main__":
    main()

"""Records what TensorFlow 2.15 prints for the cells. Run by an interpreter that has it:

python tests/parity/guides/record.py
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
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        found = {n: list(evaluate.run(n, cells, tf)) for n, cells in evaluate.programs().items()}
    evaluate.RECORDED.write_text(json.dumps(found, indent=0, ensure_ascii=True) + "\n")
    print(f"{sum(map(len, found.values()))} cells of TensorFlow {tf.__version__}")


if __name__ == "__main__":
    main()

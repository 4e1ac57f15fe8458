"""Writes the inputs of all op cases for `record_ops_tf.py`, which runs them in TensorFlow 2.15.

python tests/parity/record_ops.py /tmp/cases.pickle          # in the project's environment
PYTHON_OF_TF215 tests/parity/record_ops_tf.py /tmp/cases.pickle tests/parity/data/ops_tf215.npz

Names of modules after the path restrict it to the ops that they define; the results then go to
another file of that folder (`ops_*.npz`: the registry test reads all of them).
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from parity.op_cases import cases

import shardtape  # noqa: F401 - registers every op
from shardtape import dtypes as dt
from shardtape.ops.registry import PURE, REGISTRY
from shardtape.shapes import TensorShape


def _plain(x: np.ndarray) -> Any:
    """An array without types that another numpy does not know: (dtype name, array)."""
    name = dt.from_numpy(x.dtype).name
    return name, x.astype(np.float32) if name == "bfloat16" else x


def _attr(value: Any) -> Any:
    if isinstance(value, dt.DType):
        return {"dtype": value.name}
    if isinstance(value, TensorShape):
        return None if value.rank is None else value.as_list()
    return list(value) if isinstance(value, tuple) else value


def dump(modules: list[str]) -> list[dict[str, Any]]:
    """One record per case: type, inputs, attributes, digest, whether to differentiate.

    Args:
      modules: names of the modules whose ops are wanted; empty for all.
    """
    out = []
    for op in REGISTRY.values():
        if op.effects != PURE or (modules and op.__module__ not in modules):
            continue
        for case in cases(op):
            out.append(
                {
                    "key": case.key,
                    "type": op.type,
                    "inputs": [_plain(x) for x in case.inputs],
                    "attrs": {k: _attr(v) for k, v in case.attrs.items() if k != "SrcT"},
                    "digest": case.digest(),
                    "gradient": case.dtype in (dt.float64, dt.complex128) or not case.smooth,
                    "host": [op.is_host(i, len(case.inputs)) for i in range(len(case.inputs))],
                }
            )
    return out


if __name__ == "__main__":
    records = dump(sys.argv[2:])
    Path(sys.argv[1]).write_bytes(pickle.dumps(records, protocol=4))
    print(f"{len(records)} cases of {len({r['type'] for r in records})} ops")

"""The cases in which every op of the registry is tried: its samples in each of its dtypes.

Used by the registry test and by the recording of TensorFlow's results, which both need the very
same inputs; a digest tells whether they are.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, NamedTuple

import numpy as np
from parity.edge_cases import EDGE_CASES

from shardtape import dtypes as dt
from shardtape.ops.registry import Op


class Case(NamedTuple):
    """One call of an op.

    Attributes:
      key: "Type/sample/dtype", or "Type/edge/number".
      dtype: the type that the floating inputs were cast to; None where the case has none.
      smooth: whether derivatives may be taken numerically.
    """

    key: str
    inputs: tuple[np.ndarray, ...]
    attrs: dict[str, Any]
    dtype: dt.DType | None
    smooth: bool

    def digest(self) -> str:
        """Changes with the inputs (to six digits) and attributes."""
        text = repr(sorted((k, str(v)) for k, v in self.attrs.items()))
        for x in self.inputs:
            text += f"{x.dtype}{x.shape}"
            if x.dtype.kind in "fcV":
                x = x.astype(np.complex128)
                text += " ".join(f"{v:.5g}" for v in x.ravel())
            else:
                text += repr(x.ravel().tolist())
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def as_type(x: np.ndarray, dtype: dt.DType) -> np.ndarray:
    """A float64 array as another type: integers away from zero, positive where unsigned."""
    kind = dtype.numpy_dtype
    if dtype.kind in "iu":
        x = np.copysign(np.ceil(np.abs(x)), x)
        return (np.abs(x) if dtype.kind == "u" else x).astype(kind)
    if dtype.kind == "b":
        return x > 0
    if dtype.kind == "c":
        return (x + 0.5j * np.roll(x, 1)).astype(kind)
    if dtype.kind == "s":
        out = np.empty(x.shape, object)
        out.ravel()[:] = [b"%d" % round(v * 3) for v in x.ravel()]
        return out
    return x.astype(kind)


def cases(op: Op) -> list[Case]:
    """All cases of an op; empty where it has no samples."""
    if op.samples is None:
        return []
    rng = np.random.default_rng(zlib.crc32(op.type.encode()))
    made = []
    types = sorted((t for t in op.dtypes if t.kind != "r"), key=lambda t: t.as_datatype_enum)
    for number, (inputs, attrs) in enumerate(op.samples(rng)):
        inputs = tuple(np.asarray(x) for x in inputs)
        count = len(inputs)
        free = [x.dtype == np.float64 and not op.is_host(i, count) for i, x in enumerate(inputs)]
        for dtype in types if any(free) else [None]:
            cast = tuple(
                as_type(x, dtype) if is_free and dtype is not None else x
                for x, is_free in zip(inputs, free)
            )
            own = {**attrs, "SrcT": dtype} if "SrcT" in attrs else attrs
            name = "given" if dtype is None else dtype.name
            made.append(Case(f"{op.type}/{number}/{name}", cast, own, dtype, True))
    for number, (inputs, attrs) in enumerate(EDGE_CASES.get(op.type, ())):
        arrays = tuple(np.asarray(x) for x in inputs)
        first = next((x for i, x in enumerate(arrays) if not op.is_host(i, len(arrays))), None)
        dtype = None if first is None else dt.from_numpy(first.dtype)
        made.append(Case(f"{op.type}/edge/{number}", arrays, attrs, dtype, False))
    return made


def weights(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A fixed gradient of an output."""
    count = int(np.prod(shape, dtype=np.int64))
    w = np.cos(np.arange(count) + 1.0)
    if dtype.kind == "c":
        w = w + 1j * np.sin(np.arange(count) * 2.0)
    return w.reshape(shape).astype(dtype)

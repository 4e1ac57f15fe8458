"""`tf.experimental.dlpack`: tensors to and from other frameworks without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor


def to_dlpack(tf_tensor: Any) -> Any:
    """A DLPack capsule of an eager tensor; it can be taken once.

    Raises TypeError for a symbolic tensor, BufferError for a type that DLPack has not.
    """
    tensor = convert_to_tensor(tf_tensor)
    if not isinstance(tensor, EagerTensor):
        raise TypeError(f"to_dlpack takes eager tensors, got {tensor!r}")
    return tensor.__dlpack__()


class _Capsule:
    """numpy takes objects that give capsules, not capsules themselves."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def from_dlpack(dlcapsule: Any) -> EagerTensor:
    """A tensor of a DLPack capsule, or of an object that gives one.

    What is on a GPU stays there; on the host the values are shared with their owner.
    """
    if hasattr(dlcapsule, "__dlpack__"):
        kind = dlcapsule.__dlpack_device__()[0]
        if kind == 2:  # CUDA
            import cupy

            return EagerTensor(cupy.from_dlpack(dlcapsule))
        return EagerTensor(np.from_dlpack(dlcapsule)[()])
    return EagerTensor(np.from_dlpack(_Capsule(dlcapsule))[()])

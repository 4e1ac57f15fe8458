"""`tf.test.experimental`."""

from __future__ import annotations

from shardtape import backend


def sync_devices() -> None:
    """Waits until a GPU has done what it was told."""
    if backend.accelerated:
        import cupy

        cupy.cuda.runtime.deviceSynchronize()


__all__ = ["sync_devices"]

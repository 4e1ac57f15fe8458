"""The pool of payload buffers: used again as soon as nobody looks at them, never before."""

import gc

import numpy as np
import pytest

from shardtape.errors import ResourceExhaustedError
from shardtape.ps.wire import buffers
from shardtape.ps.wire.buffers import BufferPool


def test_a_buffer_comes_back_when_its_last_view_goes():
    pool = BufferPool()
    whole = pool.take(3_000_000)
    address = whole.ctypes.data
    part = whole[4096:8192].view(np.float32).reshape(32, 32)
    del whole
    assert pool.used_bytes > 0
    other = pool.take(3_000_000)
    assert other.ctypes.data != address
    del part
    assert pool.take(2_900_000).ctypes.data == address  # of the same rounded size


def test_what_is_kept_is_bounded():
    pool = BufferPool(keep_bytes=2 << 20)
    taken = [pool.take(1 << 20) for _ in range(4)]
    taken.clear()
    gc.collect()
    assert pool.used_bytes == 0
    assert pool._free_bytes == 2 << 20


def test_too_little_memory_is_an_error_and_not_a_crash(monkeypatch):
    monkeypatch.setattr(buffers, "available_bytes", lambda: 1 << 20)
    with pytest.raises(ResourceExhaustedError, match="5,000,000 bytes does not fit"):
        BufferPool().take(5_000_000)

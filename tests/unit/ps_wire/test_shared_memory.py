"""Shared memory: opened by number and proven by nonce, sealed, and read under a sequence number."""

import dataclasses
import gc
import mmap
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from shardtape.errors import FailedPreconditionError, ResourceExhaustedError
from shardtape.ps.wire import shared_memory
from shardtape.ps.wire.shared_memory import OwnMemory, PeerMemory, host_identity

pytestmark = pytest.mark.skipif(not host_identity(), reason="this system has no memfd")


def test_the_peer_sees_what_the_owner_writes_and_cannot_write():
    own = OwnMemory(10_000)
    own.data[:3] = (1, 2, 3)
    peer = PeerMemory(own.offer())
    assert peer.data[:4].tolist() == [1, 2, 3, 0] and len(peer.data) == 10_000
    own.data[3] = 9
    assert peer.data[3] == 9
    with pytest.raises(ValueError, match="read-only"):
        peer.data[0] = 5
    # not even by opening it anew
    fd = os.open(f"/proc/{os.getpid()}/fd/{own.offer().fd}", os.O_RDWR)
    with pytest.raises(PermissionError):
        mmap.mmap(fd, 4096)
    os.close(fd)


def test_it_outlives_its_owner_and_leaves_nothing():
    code = (
        "import sys\n"
        "from shardtape.ps.wire.shared_memory import OwnMemory\n"
        "m = OwnMemory(5000); m.data[:] = 7; o = m.offer()\n"
        "print(o.id, o.pid, o.fd, o.size_bytes, o.nonce.hex(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    before = set(os.listdir("/dev/shm"))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        *numbers, nonce = owner.stdout.readline().split()
        offer = shared_memory.Offer(*map(int, numbers), bytes.fromhex(nonce))
        peer = PeerMemory(offer)
        owner.kill()
        owner.wait(10)
    assert peer.data.min() == 7
    with pytest.raises(FailedPreconditionError, match="cannot open"):
        PeerMemory(offer)
    assert set(os.listdir("/dev/shm")) <= before


def test_only_the_memory_meant_is_opened(tmp_path):
    own, other = OwnMemory(100), OwnMemory(100)
    offer = own.offer()
    wrong = dataclasses.replace(offer, fd=other.offer().fd)
    with pytest.raises(FailedPreconditionError, match="another process's memory"):
        PeerMemory(wrong)
    with pytest.raises(FailedPreconditionError, match="4,196 bytes|were announced"):
        PeerMemory(dataclasses.replace(offer, size_bytes=1 << 20))
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(FailedPreconditionError, match="not the peer's memory"):
        PeerMemory(dataclasses.replace(offer, fd=file))
    os.close(file)
    read, write = os.pipe()  # opening a pipe would wait for its other end
    with pytest.raises(FailedPreconditionError, match="not the peer's memory"):
        PeerMemory(dataclasses.replace(offer, fd=read))
    os.close(read)
    os.close(write)


def test_memory_that_could_shrink_is_refused():
    """Reading past the end of a file that was cut would be SIGBUS."""
    fd = os.memfd_create("shardtape", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 8192)
    offer = shared_memory.Offer(1, os.getpid(), fd, 4096, bytes(32))
    with pytest.raises(FailedPreconditionError, match="may be shrunk"):
        PeerMemory(offer)
    os.close(fd)


def test_too_little_memory_is_found_at_once(monkeypatch):
    monkeypatch.setattr(shared_memory, "available_bytes", lambda: 100 << 20)
    with pytest.raises(ResourceExhaustedError, match="are needed, 104,857,600 are available"):
        OwnMemory(90 << 20)


def test_a_closed_memory_is_not_offered():
    own = OwnMemory(10)
    fd = own.offer().fd
    own.close()
    with pytest.raises(FailedPreconditionError, match="closed"):
        own.offer()
    with pytest.raises(OSError):
        os.fstat(fd)
    own.data[:] = 1  # who still has arrays keeps the pages


def test_the_descriptor_is_closed_when_the_owner_forgets_it():
    own = OwnMemory(10)
    fd = own.offer().fd
    del own
    gc.collect()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_sequence_numbers():
    own = OwnMemory(10)
    peer = PeerMemory(own.offer())
    begin = peer.sequence.before_reading()
    assert begin == 0 and peer.sequence.unchanged(begin)
    own.sequence.begin()
    own.sequence.begin()  # a second begin changes nothing
    assert peer.sequence.writing and peer.sequence.before_reading() == 1
    own.sequence.label(3, 4, 5)
    own.sequence.end(7, 8)
    assert not peer.sequence.unchanged(begin)
    assert peer.sequence.number == 2
    assert peer.sequence.state() == (7, 8) and peer.sequence.labels() == (3, 4, 5)


def test_a_reader_never_takes_a_torn_value_for_whole():
    own = OwnMemory(1 << 20)
    peer = PeerMemory(own.offer())
    stop = threading.Event()

    def write():
        value = 0
        while not stop.is_set():
            value = (value + 1) % 251
            own.sequence.begin()
            own.data[:] = value
            own.sequence.end(value, 0)
            time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    copy = np.empty_like(own.data)
    whole = torn = 0
    try:
        while whole < 50 and torn < 20_000:
            number = peer.sequence.before_reading()
            version, _ = peer.sequence.state()
            np.copyto(copy, peer.data)
            if number % 2 == 0 and peer.sequence.unchanged(number):
                whole += 1
                assert copy.min() == copy.max() == version
            else:
                torn += 1
    finally:
        stop.set()
        writer.join()
    assert whole >= 50

"""Memory that two processes of one host share, without names and without leftovers.

The owner makes an anonymous file (memfd), and the peer opens it through `/proc/PID/fd/FD`. Such
memory vanishes with the last process that maps it, however that process dies. A random nonce in
its first page proves that the descriptor is the one meant (other containers count processes
differently); seals forbid shrinking it, so that reading never raises SIGBUS, and forbid anybody
but the owner to write it.

A first page holds the nonce and, for parameters, a sequence number: odd while the owner writes.
Readers copy and compare (`Sequence`).
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import secrets
import stat
import sys
import threading
from dataclasses import dataclass

import numpy as np

from shardtape.errors import FailedPreconditionError, ResourceExhaustedError
from shardtape.ps.wire.memory_limits import available_bytes

_NAME = "shardtape"
_HEADER_BYTES = 4096
_NONCE_BYTES = 32
_NONCE_AT = 0
_WORDS_AT = 64  # uint64 words: sequence, version, lsn, generation, term, number, ready
_WORDS = 7
_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23  # Linux 5.14; not in Python's mmap module
_F_SEAL_FUTURE_WRITE = 0x0010  # Linux 5.1; not in Python's fcntl module
# Left free for everything else when memory is taken.
_SPARE_BYTES = 64 << 20

_ids = itertools.count(1)


def host_identity() -> str:
    """Equal for two processes that can name each other's descriptors; "" where that is unknown.

    It is the running kernel's id and the namespace of process ids.
    """
    if not sys.platform.startswith("linux") or not hasattr(os, "memfd_create"):
        return ""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


_fence_lock = threading.Lock()


def fence() -> None:
    """Orders all memory accesses before it against all after it, also on aarch64.

    Python has no barrier of its own. Releasing a lock keeps earlier accesses before it, acquiring
    one keeps later accesses after it, and an acquire never passes an earlier release; so two
    rounds are a full barrier (one alone lets both sides move into the empty critical section).
    """
    with _fence_lock:
        pass
    with _fence_lock:
        pass


@dataclass(frozen=True, slots=True)
class Offer:
    """What a peer needs to open a memory."""

    id: int
    pid: int
    fd: int
    size_bytes: int
    nonce: bytes


class OwnMemory:
    """Memory that this process owns and writes.

    Args:
      size_bytes: of the data; a header page comes on top.

    Attributes:
      data: uint8 array of the size, page-aligned, zero; it keeps the mapping alive.
      sequence: of the header.

    Raises ResourceExhaustedError if there is not enough memory, FailedPreconditionError if the
    system has no such memory. All pages are taken at once: later writes cannot fail.
    """

    def __init__(self, size_bytes: int) -> None:
        self._fd = -1
        if not host_identity():
            raise FailedPreconditionError("this system has no anonymous shared files (memfd)")
        total = _HEADER_BYTES + size_bytes
        left = available_bytes()
        if left is not None and total + _SPARE_BYTES > left:
            raise ResourceExhaustedError(
                f"{total:,} bytes of shared memory are needed, {left:,} are available"
            )
        self.id = next(_ids)
        self.bytes = size_bytes
        try:
            self._fd = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self._fd, total)
            memory = mmap.mmap(self._fd, total)
            _take_pages(memory, self._fd, total)
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            try:
                fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE)
            except OSError:
                pass  # before Linux 5.1: peers of the same user could write, ours do not
        except OSError as error:
            self.close()
            raise ResourceExhaustedError(
                f"{total:,} bytes of shared memory cannot be had: {error.strerror}"
            ) from error
        self._nonce = secrets.token_bytes(_NONCE_BYTES)
        memory[_NONCE_AT : _NONCE_AT + _NONCE_BYTES] = self._nonce
        self.data = np.frombuffer(memory, np.uint8, size_bytes, _HEADER_BYTES)
        self.sequence = Sequence(memory)

    def offer(self) -> Offer:
        """For peers; good until `close`."""
        if self._fd < 0:
            raise FailedPreconditionError("this shared memory is closed")
        return Offer(self.id, os.getpid(), self._fd, self.bytes, self._nonce)

    def close(self) -> None:
        """No peer can open it any more. Pages go when the last array and the last peer do."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


def _take_pages(memory: mmap.mmap, fd: int, total: int) -> None:
    """Raises OSError where touching the pages one by one would raise SIGBUS."""
    try:
        memory.madvise(_MADV_POPULATE_WRITE)
    except OSError:
        os.posix_fallocate(fd, 0, total)


class PeerMemory:
    """A peer's memory, mapped read-only.

    Attributes:
      data: read-only uint8 array.
      sequence: of the header.

    Raises FailedPreconditionError, saying why, if it cannot be opened or is not the one meant.
    """

    def __init__(self, offer: Offer) -> None:
        path = f"/proc/{offer.pid}/fd/{offer.fd}"
        total = _HEADER_BYTES + offer.size_bytes
        try:
            # asked first, because opening whatever else is there (a pipe, a device) may block
            target = os.readlink(path)
            if not target.startswith(f"/memfd:{_NAME}"):
                raise FailedPreconditionError(f"{path} is {target}, not the peer's memory")
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FailedPreconditionError(f"cannot open {path}: {error.strerror}") from error
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode) or about.st_size < total:
                raise FailedPreconditionError(
                    f"{path} holds {about.st_size:,} bytes, {total:,} were announced"
                )
            if not fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                raise FailedPreconditionError(f"{path} may be shrunk by its owner")
            if os.pread(fd, _NONCE_BYTES, _NONCE_AT) != offer.nonce:
                raise FailedPreconditionError(f"{path} is another process's memory")
            memory = mmap.mmap(fd, total, prot=mmap.PROT_READ)
        except OSError as error:
            raise FailedPreconditionError(f"cannot map {path}: {error.strerror}") from error
        finally:
            os.close(fd)
        try:
            memory.madvise(_MADV_POPULATE_READ)
        except OSError:
            pass  # only saves the page faults of the first reading
        self.id = offer.id
        self.bytes = offer.size_bytes
        self.data = np.frombuffer(memory, np.uint8, offer.size_bytes, _HEADER_BYTES)
        self.sequence = Sequence(memory)


class Sequence:
    """The header's numbers: who writes makes `sequence` odd, and even again when done.

    A reader takes the number, copies, and takes it again: if it was even and is the same, nobody
    wrote meanwhile. Each number is an aligned word of 8 bytes, which is read and written whole.
    """

    __slots__ = ("_words",)

    def __init__(self, memory: mmap.mmap) -> None:
        whole = memoryview(memory)[_WORDS_AT : _WORDS_AT + 8 * _WORDS]
        self._words = whole.cast("Q")

    @property
    def number(self) -> int:
        return self._words[0]

    @property
    def writing(self) -> bool:
        return self._words[0] % 2 == 1

    def begin(self) -> None:
        """The owner is about to write data or labels."""
        self._words[0] |= 1
        fence()

    def end(self, version: int, lsn: int, ready: bool = True) -> None:
        """The owner has written; `ready`: the data have values at all."""
        words = self._words
        words[1], words[2], words[6] = version, lsn, ready
        fence()
        words[0] += 1

    def label(self, generation: int, term: int, number: int) -> None:
        """Who writes this memory from now on; between `begin` and `end`."""
        words = self._words
        words[3], words[4], words[5] = generation, term, number

    def labels(self) -> tuple[int, int, int]:
        """Generation, term and number of the writer."""
        words = self._words
        return words[3], words[4], words[5]

    def state(self) -> tuple[int, int]:
        """Version and lsn of the data; to be read between two equal even numbers."""
        words = self._words
        return words[1], words[2]

    @property
    def ready(self) -> bool:
        return self._words[6] == 1

    def before_reading(self) -> int:
        """The number, odd if somebody is writing."""
        number = self._words[0]
        fence()
        return number

    def unchanged(self, number: int) -> bool:
        """Whether nobody has written since `before_reading` gave `number` (which was even)."""
        fence()
        return self._words[0] == number

"""Checks of one machine: what Shardtape needs, what was found, how to mend what fails.

Every check is a function that returns findings and has a deadline of its own; `examine` runs
them. Nothing is changed on the machine.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import mmap
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

RAY_LIMIT_S = 120.0
GPU_LIMIT_S = 60.0
GRPC_LIMIT_S = 10.0
_GRPC_CALLS = 200
_MEBIBYTE = 1 << 20
_GIBIBYTE = 1 << 30
# Ray's object store takes up to 30 % of memory and falls back to files below this.
_SHARED_MEMORY_LEAST_BYTES = 512 * _MEBIBYTE
_MEMORY_LEAST_BYTES = 2 * _GIBIBYTE
_OPEN_FILES_LEAST = 1024
_NEWEST_PYTHON = (3, 13)
_KNOWN_PORTS = {6006: "TensorBoard", 6379: "Ray", 8265: "Ray's dashboard"}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `mend` says what to do where status is not "ok"."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    mend: str = ""


def python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    found = f"{version} at {sys.executable}"
    if sys.version_info[:2] > _NEWEST_PYTHON:
        newest = ".".join(map(str, _NEWEST_PYTHON))
        yield Finding("python", "warn", found, f"not tested; if it fails use Python {newest}")
    else:
        yield Finding("python", "ok", found)
    if sys.platform != "linux":
        mend = "only Linux is tested: use it, or a container"
        yield Finding("system", "warn", sys.platform, mend)


def packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    bad, good = [], []
    for line in importlib.metadata.requires("shardtape") or ():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            bad.append(f"{wanted.name} is missing")
            continue
        if wanted.specifier.contains(installed, prereleases=True):
            good.append(f"{wanted.name} {installed}")
        else:
            bad.append(f"{wanted.name} {installed} is not {wanted.specifier}")
    if bad:
        mend = "run 'make setup', or pip install --upgrade shardtape in this environment"
        yield Finding("packages", "fail", "; ".join(bad), mend)
    else:
        yield Finding("packages", "ok", ", ".join(good))


def machine() -> Iterator[Finding]:
    from shardtape.backend import environment

    facts = environment.describe()
    advice = facts["advice"]
    found = f"{facts['cores']} cores, {facts['cpu'] or 'unknown CPU'}"
    yield Finding("cpu", "ok", found)
    kernel = f"OpenBLAS kernel: {facts['blas_kernel']}"
    if advice:
        assert isinstance(advice, list)
        yield Finding("blas", "warn", kernel, " ".join(advice))
    else:
        yield Finding("blas", "ok", kernel)
    memory = psutil.virtual_memory()
    found = f"{memory.available / _GIBIBYTE:.1f} of {memory.total / _GIBIBYTE:.1f} GiB free"
    if memory.available < _MEMORY_LEAST_BYTES:
        yield Finding("memory", "warn", found, "free memory: Ray and each process need some 200 MB")
    else:
        yield Finding("memory", "ok", found)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES_LEAST:
        mend = f"raise the limit in this shell: ulimit -n {min(hard, 65536)}"
        yield Finding("open files", "warn", f"limit {soft}", mend)
    else:
        yield Finding("open files", "ok", f"limit {soft}")


def shared_memory() -> Iterator[Finding]:
    """Descriptors made, mapped twice and handed over a socket, and the room in /dev/shm."""
    name = "shared memory"
    try:
        with contextlib.ExitStack() as stack:
            descriptor = os.memfd_create("shardtape-doctor", os.MFD_CLOEXEC)
            stack.callback(os.close, descriptor)
            os.ftruncate(descriptor, _MEBIBYTE)
            here = stack.enter_context(mmap.mmap(descriptor, _MEBIBYTE))
            left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            stack.enter_context(left)
            stack.enter_context(right)
            right.settimeout(5.0)
            socket.send_fds(left, [b"x"], [descriptor])
            _, received, _, _ = socket.recv_fds(right, 1, 1)
            stack.callback(os.close, received[0])
            there = stack.enter_context(mmap.mmap(received[0], _MEBIBYTE))
            here[:5] = b"probe"
            works = there[:5] == b"probe"
    except (OSError, AttributeError) as error:
        mend = "training still works, over gRPC alone and slower; use Linux 3.17 or newer"
        yield Finding(name, "warn", f"memory files do not work: {error}", mend)
    else:
        if works:
            yield Finding(name, "ok", "memory files can be made and handed to another process")
        else:
            mend = "use another kernel or container runtime; training still works over gRPC"
            yield Finding(name, "warn", "two mappings of one memory file differ", mend)
    if not os.path.isdir("/dev/shm"):
        mend = "mount a tmpfs there: Ray keeps its objects in it"
        yield Finding("/dev/shm", "warn", "does not exist", mend)
        return
    usage = shutil.disk_usage("/dev/shm")
    found = f"{usage.free / _GIBIBYTE:.1f} of {usage.total / _GIBIBYTE:.1f} GiB free"
    if usage.free < _SHARED_MEMORY_LEAST_BYTES:
        mend = (
            "Docker: --shm-size=2g; Kubernetes: an emptyDir with medium Memory at /dev/shm; "
            "else remove what other programs left there"
        )
        yield Finding("/dev/shm", "warn", found, mend)
    else:
        yield Finding("/dev/shm", "ok", found)


def grpc_loopback() -> Iterator[Finding]:
    """Round trips of a small message through a server and a client in this process."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    handler = grpc.method_handlers_generic_handler(
        "shardtape.Doctor",
        {"Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request)},
    )
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handler,))
    try:
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo = channel.unary_unary("/shardtape.Doctor/Echo")
            echo(b"x" * 64, timeout=GRPC_LIMIT_S, wait_for_ready=True)
            taken = []
            for _ in range(_GRPC_CALLS):
                begin = time.perf_counter()
                echo(b"x" * 64, timeout=GRPC_LIMIT_S)
                taken.append(time.perf_counter() - begin)
    except (grpc.RpcError, RuntimeError, OSError) as error:
        proxies = [n for n in ("grpc_proxy", "http_proxy", "https_proxy") if os.environ.get(n)]
        mend = "allow connections to 127.0.0.1 (firewall, sandbox)"
        if proxies:
            mend = f"{', '.join(proxies)} is set: add 127.0.0.1,localhost to no_proxy"
        text = error.details() if isinstance(error, grpc.Call) else str(error)
        yield Finding("grpc", "fail", f"loopback does not answer: {text}", mend)
    else:
        found = f"grpcio {grpc.__version__}, round trip {statistics.median(taken) * 1e6:.0f} us"
        yield Finding("grpc", "ok", found)
    finally:
        server.stop(None)


def ports() -> Iterator[Finding]:
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            free.listen(1)
            number = free.getsockname()[1]
            with socket.create_connection(("127.0.0.1", number), timeout=5.0):
                pass
    except OSError as error:
        mend = "servers cannot listen on loopback: allow it (sandbox, seccomp, firewall)"
        yield Finding("ports", "fail", f"no free port could be used: {error}", mend)
        return
    taken = {}
    for number, owner in _KNOWN_PORTS.items():
        with socket.socket() as other:
            other.settimeout(1.0)
            if other.connect_ex(("127.0.0.1", number)) == 0:
                taken[number] = owner
    if 6006 in taken:
        mend = "give TensorBoard another one: make tensorboard ARGS='--port 6007'"
        yield Finding("ports", "warn", "6006 (TensorBoard) is in use", mend)
    elif taken:
        names = ", ".join(f"{number} ({owner})" for number, owner in taken.items())
        yield Finding("ports", "ok", f"free ports work; in use: {names}; --address auto joins it")
    else:
        yield Finding("ports", "ok", "free ports work; 6006, 6379 and 8265 are free")


def gpu() -> Iterator[Finding]:
    devices = _run_probe(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], GPU_LIMIT_S)
    try:
        cupy = next(
            f"{d.metadata['Name']} {d.version}"
            for d in importlib.metadata.distributions()
            if (d.metadata["Name"] or "").lower().startswith("cupy")
        )
    except StopIteration:
        cupy = ""
    names = ", ".join(devices.output.split("\n")) if devices.code == 0 else ""
    if not names:
        found = "none found; training uses the CPU" + (f" ({cupy} is installed)" if cupy else "")
        yield Finding("gpu", "ok", found)
        return
    if not cupy:
        mend = "pip install 'shardtape[gpu]'"
        yield Finding("gpu", "warn", f"{names}, but cupy is not installed", mend)
        return
    code = "import cupy; cupy.arange(8).sum(); print(cupy.cuda.runtime.getDeviceCount())"
    probe = _run_probe([sys.executable, "-c", code], GPU_LIMIT_S)
    if probe.code == 0:
        yield Finding("gpu", "ok", f"{names}; {cupy} uses {probe.output} of them")
    else:
        mend = "install a cupy that fits the driver: pip install 'cupy-cuda12x[ctk]'"
        yield Finding("gpu", "fail", f"{names}; {cupy} does not work: {probe.last_line}", mend)


def ray() -> Iterator[Finding]:
    probe = _run_probe([sys.executable, "-m", "shardtape.deploy.probe_ray"], RAY_LIMIT_S)
    if probe.code != 0:
        mend = (
            "look into the newest /tmp/ray/session_*/logs (raylet.out, gcs_server.out); often it "
            "is too little memory, a full disk or a full /dev/shm"
        )
        yield Finding("ray", "fail", f"a local Ray does not start: {probe.last_line}", mend)
        return
    seen = json.loads(probe.output.split("\n")[-1])
    found = f"{seen['version']}: started in {seen['start_s']} s, first task {seen['task_s']} s"
    if seen["here"] != seen["there"]:
        mend = "install Shardtape into one environment only and start from there"
        found = f"driver loads {seen['here']}, Ray's workers load {seen['there']}"
        yield Finding("ray", "fail", found, mend)
    else:
        yield Finding("ray", "ok", found)


CHECKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "python": python,
    "packages": packages,
    "machine": machine,
    "shared-memory": shared_memory,
    "grpc": grpc_loopback,
    "ports": ports,
    "gpu": gpu,
    "ray": ray,
}


def examine(skip: Iterable[str] = ()) -> Iterator[Finding]:
    """Findings of all checks, in order, as they come; `skip` names checks to leave out."""
    left_out = set(skip)
    for name, check in CHECKS.items():
        if name not in left_out:
            yield from check()


def to_json(findings: list[Finding]) -> str:
    """The whole report: {"ok": bool, "findings": [{name, status, found, mend}]}."""
    healthy = all(f.status != "fail" for f in findings)
    return json.dumps({"ok": healthy, "findings": [asdict(f) for f in findings]}, indent=2)


@dataclass(frozen=True)
class _Probe:
    """What a command said: `code` is None when it was not there or took too long."""

    code: int | None
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        lines = [line for line in self.errors.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.code}"


def _run_probe(command: list[str], limit_s: float) -> _Probe:
    """Runs a command with a deadline; past it, ends it with everything that it started."""
    # Files, not pipes: a process that outlives the command would hold a pipe open.
    with tempfile.TemporaryDirectory(prefix="shardtape-doctor-") as directory:
        output, errors = Path(directory, "output"), Path(directory, "errors")
        try:
            with output.open("wb") as out, errors.open("wb") as err:
                child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory
                )
        except OSError as error:
            return _Probe(None, "", str(error))
        code: int | None
        try:
            code = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            family = psutil.Process(child.pid).children(recursive=True)
            child.kill()
            child.wait()
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            return _Probe(None, "", f"no answer within {limit_s:g} s")
        read = [path.read_text(errors="replace").strip() for path in (output, errors)]
        return _Probe(code, *read)

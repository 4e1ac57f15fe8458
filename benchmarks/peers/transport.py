"""Peers of transport: bytes and small messages between two processes of one machine.

    python transport.py memcpy|tcp|grpc|shm|ray [--sizes 4,32] [--window 0.5]

GB/s are 1e9 payload bytes per second; sizes are in MiB. Small messages are round trips of 64
bytes. Both processes may use all cores (gRPC has threads of its own).
"""

from __future__ import annotations

import argparse
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe, Process, shared_memory
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from children import Child, say
from measure import emit, summary, versions

MIB = 1 << 20
# A stream's total; its chunks are what is varied.
STREAM_BYTES = 64 * MIB
CHUNKS_KIB = (64, 256, 1024, 4096)
UPLOAD, DOWNLOAD, ECHO = range(3)
HEAD = struct.Struct("<BQ")
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True)
class Options:
    what: str
    role: str
    sizes: tuple[int, ...]
    window: float
    repeats: int

    def bandwidth(self, peer: str, once: Callable[[], object], size: int, **more: Any) -> None:
        """Emits GB/s of a call that moves `size` bytes."""
        for _ in range(3):
            once()
        begin = time.perf_counter()
        once()
        once()
        count = max(2, int(self.window * 2 / (time.perf_counter() - begin)))
        rates = []
        for _ in range(self.repeats):
            begin = time.perf_counter()
            for _ in range(count):
                once()
            rates.append(count * size / (time.perf_counter() - begin) / 1e9)
        emit("transport", peer, "GB/s", summary(rates), MiB=size // MIB, **more)

    def round_trip(self, peer: str, once: Callable[[], object], calls: int = 1500) -> None:
        """Emits the median of single calls, and their 99th percentile."""
        for _ in range(150):
            once()
        taken = []
        for _ in range(calls):
            begin = time.perf_counter_ns()
            once()
            taken.append((time.perf_counter_ns() - begin) / 1e3)
        taken.sort()
        got = {**summary(taken), "p99": taken[int(calls * 0.99)]}
        emit("transport", peer, "us round trip", got)


def memcpy(options: Options) -> None:
    for size in options.sizes:
        source = np.ones(size * MIB, np.uint8)
        target = np.zeros_like(source)
        copy = lambda target=target, source=source: np.copyto(target, source)
        options.bandwidth("memcpy", copy, source.nbytes)


def receive(connection: socket.socket, view: memoryview) -> None:
    """Fills the view or raises EOFError."""
    got = 0
    while got < len(view):
        count = connection.recv_into(view[got:])
        if not count:
            raise EOFError
        got += count


def tcp_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say({"port": listener.getsockname()[1]})
        connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer, head = memoryview(bytearray(STREAM_BYTES)), memoryview(bytearray(HEAD.size))
    while True:
        try:
            receive(connection, head)
        except EOFError:
            return
        kind, count = HEAD.unpack(head)
        if kind != DOWNLOAD:
            receive(connection, buffer[:count])
        connection.sendall(b"k" if kind == UPLOAD else buffer[:count])


def tcp(options: Options) -> None:
    child = Child(__file__, ["tcp", "--role", "server"])
    try:
        with socket.create_connection(("127.0.0.1", child.hear()["port"])) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def call(kind: int, data: memoryview, answer: memoryview) -> None:
                size = len(data) if kind != DOWNLOAD else len(answer)
                connection.sendall(HEAD.pack(kind, size))
                connection.sendall(data)
                receive(connection, answer)

            one, none = memoryview(bytearray(1)), memoryview(b"")
            for size in options.sizes:
                data = memoryview(bytearray(size * MIB))
                up = lambda data=data: call(UPLOAD, data, one)
                down = lambda data=data: call(DOWNLOAD, none, data)
                options.bandwidth("tcp upload", up, len(data))
                options.bandwidth("tcp download", down, len(data))
            small = memoryview(bytearray(64))
            options.round_trip("tcp echo", lambda: call(ECHO, small, small))
    finally:
        child.stop()


def grpc_server() -> None:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    big = bytes(STREAM_BYTES)

    def stream(request: bytes, context: Any) -> Any:
        piece = big[: struct.unpack("<Q", request)[0]]
        for _ in range(STREAM_BYTES // len(piece)):
            yield piece

    def take(pieces: Any, context: Any) -> bytes:
        return struct.pack("<Q", sum(map(len, pieces)))

    methods = {
        "Upload": grpc.unary_unary_rpc_method_handler(lambda request, context: b"k"),
        "Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
        "StreamUp": grpc.stream_unary_rpc_method_handler(take),
        "StreamDown": grpc.unary_stream_rpc_method_handler(stream),
        "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
    }
    server = grpc.server(ThreadPoolExecutor(4), options=[*UNLIMITED, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("raw", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say({"port": port})
    server.wait_for_termination()


def grpc_bench(options: Options) -> None:
    import queue

    import grpc

    found = versions("grpcio")
    child = Child(__file__, ["grpc", "--role", "server"])
    try:
        address = f"127.0.0.1:{child.hear()['port']}"
        with grpc.insecure_channel(address, options=UNLIMITED) as channel:
            upload, echo = channel.unary_unary("/raw/Upload"), channel.unary_unary("/raw/Echo")
            up, down = (
                channel.stream_unary("/raw/StreamUp"),
                channel.unary_stream("/raw/StreamDown"),
            )
            for size in options.sizes:
                data = bytes(size * MIB)
                call = lambda data=data: upload(data)
                options.bandwidth("gRPC unary upload", call, len(data), versions=found)
            for kib in CHUNKS_KIB:
                piece = bytes(kib * 1024)
                pieces, asked = (
                    [piece] * (STREAM_BYTES // len(piece)),
                    struct.pack("<Q", kib * 1024),
                )
                send = lambda pieces=pieces: up(iter(pieces))
                fetch = lambda asked=asked: sum(map(len, down(asked)))
                more = {"chunk_KiB": kib, "versions": found}
                options.bandwidth("gRPC client stream", send, STREAM_BYTES, **more)
                options.bandwidth("gRPC server stream", fetch, STREAM_BYTES, **more)
            options.round_trip("gRPC unary echo", lambda: echo(b"x" * 64))
            requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            answers = channel.stream_stream("/raw/Chat")(iter(requests.get, None))

            def ping() -> None:
                requests.put(b"x" * 64)
                next(answers)

            options.round_trip("gRPC stream ping", ping)
            requests.put(None)
    finally:
        child.stop()


def shm_reader(name: str, size: int, pipe: Connection) -> None:
    """Answers each message; for b"copy" after it copied that many bytes out."""
    segment = shared_memory.SharedMemory(name)
    source = np.frombuffer(segment.buf, np.uint8, size)
    target = np.zeros_like(source)
    try:
        while True:
            order, count = pipe.recv()
            if order == "copy":
                np.copyto(target[:count], source[:count])
            pipe.send_bytes(b"k")
    except EOFError:
        return


def shm(options: Options) -> None:
    largest = max(options.sizes) * MIB
    segment = shared_memory.SharedMemory(create=True, size=largest)
    pipe, theirs = Pipe()
    reader = Process(target=shm_reader, args=(segment.name, largest, theirs), daemon=True)
    reader.start()
    try:
        hand_over_all(options, np.frombuffer(segment.buf, np.uint8), pipe)
    finally:
        reader.terminate()
        reader.join(5)
        segment.close()
        segment.unlink()


def hand_over_all(options: Options, shared: np.ndarray, pipe: Connection) -> None:
    for size in options.sizes:
        source = np.ones(size * MIB, np.uint8)

        def hand_over(order: str, source: np.ndarray = source) -> None:
            np.copyto(shared[: source.nbytes], source)
            pipe.send((order, source.nbytes))
            pipe.recv_bytes()

        mapped, copied = "shared memory, reader maps", "shared memory, reader copies out"
        options.bandwidth(mapped, lambda: hand_over("map"), source.nbytes)
        options.bandwidth(copied, lambda: hand_over("copy"), source.nbytes)


def ray_bench(options: Options) -> None:
    import ray

    found = versions("ray")
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as directory:
        ray.init(
            address="local",
            _temp_dir=directory,
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=2_000_000_000,
            configure_logging=False,
            logging_level="ERROR",
        )

        @ray.remote(num_cpus=1)
        class Actor:
            def size(self, array: np.ndarray) -> int:
                return array.nbytes

            def echo(self, what: Any = None) -> Any:
                return what

        try:
            actor = Actor.remote()
            ray.get(actor.echo.remote())
            for size in options.sizes:
                array = np.ones(size * MIB, np.uint8)
                send = lambda array=array: ray.get(actor.size.remote(array))
                options.bandwidth(
                    "Ray actor call with an array", send, array.nbytes, versions=found
                )
            options.round_trip("Ray actor call", lambda: ray.get(actor.echo.remote(b"x" * 64)))
        finally:
            ray.shutdown()


def main() -> None:
    ways = {"memcpy": memcpy, "tcp": tcp, "grpc": grpc_bench, "shm": shm, "ray": ray_bench}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=ways)
    parser.add_argument("--role", default="main", help=argparse.SUPPRESS)
    parser.add_argument("--sizes", default="4,32", help="MiB, at most 64, with commas")
    parser.add_argument("--window", type=float, default=0.5, help="seconds of one measurement")
    parser.add_argument("--repeats", type=int, default=5)
    given = vars(parser.parse_args())
    given["sizes"] = tuple(int(size) for size in given["sizes"].split(","))
    options = Options(**given)
    if options.role == "server":
        {"tcp": tcp_server, "grpc": grpc_server}[options.what]()
    else:
        ways[options.what](options)


if __name__ == "__main__":
    main()

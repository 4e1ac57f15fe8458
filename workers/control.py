"""The control stream over gRPC: the coordinator's service, and the worker's end of it.

A connection of its own, which no payload delays. Each worker's stream holds one thread of the
server, so there are as many as workers may be there at once, and some more for the health check
and for workers that come back while their old stream is still being torn down.
"""

from __future__ import annotations

import hmac
import logging
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shardtape import errors
from shardtape.errors import UnavailableError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.protos import coordinator_pb2_grpc as services
from shardtape.ps.wire import channel as wire
from shardtape.workers.sessions import Gone, Post, Received

_log = logging.getLogger("shardtape.workers")

# Threads that no worker's stream may take.
_RESERVED_THREADS = 8
# How often a worker says that it lives; a tenth of the shortest sensible heartbeat_timeout_s.
HEARTBEAT_EVERY_S = 1.0
# How long a worker tries to reach the coordinator at its start.
_CONNECT_DEADLINE_S = 20.0
SERVICE_NAME = "shardtape.control.v1.Coordinator"


class ControlServer:
    """Serves the workers' streams; what arrives becomes events.

    Args:
      post: takes the events.
      token: that every call must carry.
      workers: streams that are expected at once.
      host, port: where to listen; port 0 takes a free one.

    Raises:
      FailedPreconditionError: the port is in use.
    """

    def __init__(
        self,
        post: Post,
        token: str,
        job: str,
        workers: int,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: wire.Tls | None = None,
    ) -> None:
        limits = wire.Limits()
        self._server = grpc.server(
            ThreadPoolExecutor(2 * workers + _RESERVED_THREADS, thread_name_prefix="control"),
            options=wire.server_options(limits),
        )
        services.add_CoordinatorServicer_to_server(_Servicer(post, token, job), self._server)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._health.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
        self.port = wire.bind(self._server, host, port, tls)
        self.address = f"{host}:{self.port}"
        self._server.start()

    def close(self, grace_s: float = 1.0) -> None:
        """Ends all streams and waits for them a little."""
        self._health.set(SERVICE_NAME, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server.stop(grace_s).wait(grace_s + 1.0)


class _GrpcPeer:
    """The coordinator's end of a worker's stream."""

    def __init__(self) -> None:
        self.heard_s = time.monotonic()
        self.outbox: queue.SimpleQueue[pb.ToWorker | None] = queue.SimpleQueue()

    def send(self, message: pb.ToWorker) -> None:
        self.outbox.put(message)

    def close(self) -> None:
        self.outbox.put(None)


class _Servicer(services.CoordinatorServicer):
    def __init__(self, post: Post, token: str, job: str) -> None:
        self._post = post
        self._token = token
        self._job = job

    def Session(self, requests: Iterator[pb.FromWorker], context: Any) -> Iterator[pb.ToWorker]:
        self._authorize(context)
        peer = _GrpcPeer()
        # ends the generator below also when the worker is gone without a word
        context.add_callback(peer.close)
        reader = threading.Thread(
            target=self._read, args=(peer, requests), name="control-reader", daemon=True
        )
        reader.start()
        while True:
            message = peer.outbox.get()
            if message is None:
                return
            yield message

    def _authorize(self, context: Any) -> None:
        given = dict(context.invocation_metadata())
        if not hmac.compare_digest(str(given.get(wire.TOKEN_KEY, "")), self._token):
            _log.warning("a stream from %s without the job's token was refused", context.peer())
            context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "the call does not carry this job's token: it belongs to another job, or the "
                "worker was started by hand",
            )
        if given.get(wire.JOB_KEY) != self._job:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"this is job {self._job!r}")

    def _read(self, peer: _GrpcPeer, requests: Iterator[pb.FromWorker]) -> None:
        reason = "its stream ended"
        try:
            for message in requests:
                peer.heard_s = time.monotonic()
                if message.WhichOneof("body") != "heartbeat":
                    self._post(Received(peer, message))
        except Exception as error:  # noqa: BLE001 - grpc raises a bare Exception here
            reason = f"its connection broke{': ' + str(error) if str(error) else ''}"
        self._post(Gone(peer, reason))
        peer.close()


class GrpcSession:
    """The worker's end of the stream.

    Args:
      address: of the coordinator.

    Raises:
      UnavailableError: the coordinator cannot be reached. What it refuses (UnauthenticatedError,
        FailedPreconditionError) is raised by the first `send` or `receive` after its answer.
    """

    def __init__(self, address: str, token: str, job: str, tls: wire.Tls | None = None) -> None:
        self._address = address
        self._channel = wire.open_channel(address, wire.Limits(), tls)
        self._inbox: queue.SimpleQueue[pb.ToWorker | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[pb.FromWorker | None] = queue.SimpleQueue()
        self._broken: Exception | None = None
        self._closed = threading.Event()
        try:
            grpc.channel_ready_future(self._channel).result(_CONNECT_DEADLINE_S)
        except grpc.FutureTimeoutError:
            self._channel.close()
            raise UnavailableError(
                f"no coordinator at {address} within {_CONNECT_DEADLINE_S:.0f} s"
            ) from None
        stub = services.CoordinatorStub(self._channel)
        self._call = stub.Session(
            iter(self._outbox.get, None), metadata=wire.call_metadata(token, job)
        )
        for name, target in (("control-reader", self._read), ("heartbeat", self._beat)):
            threading.Thread(target=target, name=name, daemon=True).start()

    def send(self, message: pb.FromWorker) -> None:
        if self._broken is not None:
            raise self._broken
        self._outbox.put(message)

    def receive(self, timeout_s: float) -> pb.ToWorker | None:
        try:
            message = self._inbox.get(timeout=timeout_s) if timeout_s else self._inbox.get_nowait()
        except queue.Empty:
            return None
        if message is None:
            raise self._broken or UnavailableError("the session was closed")
        return message

    def close(self) -> None:
        self._closed.set()
        self._outbox.put(None)
        self._call.cancel()
        self._channel.close()

    def _read(self) -> None:
        error: Exception = UnavailableError(f"the coordinator at {self._address} ended the session")
        try:
            for message in self._call:
                self._inbox.put(message)
        except grpc.RpcError as broken:
            text = f"coordinator at {self._address}: {self._call.details() or broken}"
            code = self._call.code().value[0]
            # a stream that was cancelled is as good as broken
            error = errors.from_code(errors.UNAVAILABLE if code == errors.CANCELLED else code, text)
        self._broken = error
        self._inbox.put(None)
        self._outbox.put(None)

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_EVERY_S) and self._broken is None:
            self._outbox.put(pb.FromWorker(heartbeat=pb.Heartbeat()))

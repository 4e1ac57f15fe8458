"""A shard's gRPC server: who may call, which thread answers, what role the process has.

The data stream is `ps.session`, the control calls are `ps.control`; both end in `ps.host`.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shardtape.errors import (
    FailedPreconditionError,
    InternalError,
    OpError,
    ResourceExhaustedError,
    UnavailableError,
)
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.consistency import Consistency
from shardtape.ps.control import Control
from shardtape.ps.host import FIRST, ParameterMemory, ShardHost, specs_digest
from shardtape.ps.ids import Incarnation, VariableSpec
from shardtape.ps.line_server import LineServer
from shardtape.ps.partition import Placement
from shardtape.ps.session import Session
from shardtape.ps.wire.buffers import BufferPool
from shardtape.ps.wire.channel import (
    JOB_KEY,
    PROTOCOL,
    PROTOCOL_KEY,
    PUBLIC_PREFIX,
    TOKEN_KEY,
    Limits,
    Tls,
    bind,
    server_options,
)
from shardtape.ps.wire.status import grpc_status

_LOG = logging.getLogger(__name__)

SERVICE = "shardtape.ps.v1.Shard"
# How long calls under way may take when the server stops.
_GRACE_S = 1.0


class ShardServer:
    """Serves one shard, once it has been given one.

    Args:
      host: address to listen on; only this machine by default.
      port: 0: the system chooses one.
      token: what callers must show; with an empty token everybody may call.
      job: the job's name; callers of another job are refused.
      share: False: no shared memory (as if every worker were on another host).
      on_failure: called once when the shard breaks and must be replaced; it must return at once.
      on_shutdown: called when somebody asks the process to end; it must return at once.

    Attributes:
      address: "host:port" once started.

    Raises FailedPreconditionError that names the address if it cannot be listened on.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        job: str = "",
        tls: Tls | None = None,
        limits: Limits | None = None,
        share: bool = True,
        on_failure: Callable[[InternalError], None] | None = None,
        on_shutdown: Callable[[], None] | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.job = job
        self._share = share
        self._on_failure = on_failure
        self._on_shutdown = on_shutdown
        self._host: ShardHost | None = None
        self._role: tuple[Any, ...] = ()
        self._lock = threading.Lock()
        self._pool = BufferPool()
        self._sessions: set[Session] = set()
        self._pulls: set[Session] = set()
        self._stopped = threading.Event()
        self._lines: LineServer | None = None
        # Streams and pulls hold a thread each; `control_threads` more are for everything else,
        # because no more than the limits are let in (`_admitted`).
        limits = self.limits
        threads = ThreadPoolExecutor(
            limits.streams + limits.value_calls + limits.control_threads,
            thread_name_prefix="shard-grpc",
        )
        self._threads = threads
        self._server = grpc.server(
            threads,
            options=server_options(self.limits),
            interceptors=[_Gate(token, job)],
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.port = bind(self._server, host, port, tls)
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        if share:
            self._lines = LineServer(self._line_session, self.limits)
        self._server.start()

    # ---- role -------------------------------------------------------------------------------

    def host(self) -> ShardHost:
        """The shard's host. Raises FailedPreconditionError while the process has no role."""
        host = self._host
        if host is None:
            raise FailedPreconditionError(
                f"the process at {self.address} has no role yet: the coordinator must give it one"
            )
        return host

    def assume(
        self,
        index: int,
        placement: Placement,
        specs: Iterable[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int = 0,
        incarnation: Incarnation = FIRST,
    ) -> None:
        """Becomes a shard without values, whatever the process was before.

        The same role a second time changes nothing, so that the call can be repeated.

        Raises FailedPreconditionError for a role older than the present one.
        """
        specs = tuple(specs)
        incarnation = Incarnation(*incarnation)
        role = (
            index,
            placement.digest(),
            specs_digest(specs),
            repr(sorted(optimizer.items())),
            consistency,
            generation,
            incarnation,
        )
        with self._lock:
            if role == self._role:
                return
            before = self._host
            memory = None
            if before is not None:
                before.retire(generation, incarnation)
                if self._role[:3] == role[:3]:
                    memory = before.memory  # the same ranges: readers see the new label
                elif before.memory is not None:
                    before.memory.give_up(generation, incarnation)
            if memory is None:
                memory = ParameterMemory(index, placement, specs, shared=self._share)
            memory.begin()  # until it has its label
            memory.data[:] = 0
            self._host = ShardHost.create(
                index,
                placement,
                specs,
                optimizer,
                consistency,
                generation=generation,
                incarnation=incarnation,
                memory=memory,
                on_failure=self._failed,
            )
            self._role = role
        self._set_health(health_pb2.HealthCheckResponse.SERVING)

    def heartbeat(self) -> pb.HeartbeatAnswer:
        """State and numbers; takes no lock, so that it is answered while the shard is busy."""
        host = self._host
        if host is None:
            return pb.HeartbeatAnswer(state="unassigned", shard=-1)
        shard = host.shard
        state = "failed" if host.failure else "ready" if shard.ready else "empty"
        return pb.HeartbeatAnswer(
            state=state,
            shard=shard.index,
            generation=shard.generation,
            term=shard.incarnation[0],
            number=shard.incarnation[1],
            version=shard.version,
            lsn=shard.lsn,
            streams=len(self._sessions),
        )

    # ---- life -------------------------------------------------------------------------------

    def request_shutdown(self) -> None:
        """Somebody wants the process to end; the answer to him is still sent."""
        if self._on_shutdown is not None:
            self._on_shutdown()
        else:
            threading.Thread(target=self.stop, name="shard-stop", daemon=True).start()

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """Ends all calls and closes the port. A second call does nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        with self._lock:
            sessions = [*self._sessions, *self._pulls]
        if self._lines is not None:
            self._lines.close()
        for session in sessions:
            session.close()  # a stream has no end of its own, and would use up the grace
        self._server.stop(grace_s).wait(grace_s + 5.0)
        self._threads.shutdown(wait=False)
        if self._host is not None and self._host.memory is not None:
            self._host.memory.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until the server is stopped; whether it is."""
        return self._stopped.wait(timeout_s)

    def _failed(self, error: InternalError) -> None:
        _LOG.error("%s", error.message)
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        if self._on_failure is not None:
            self._on_failure(error)

    def _set_health(self, status: Any) -> None:
        for service in ("", SERVICE):
            self._health.set(service, status)

    # ---- calls ------------------------------------------------------------------------------

    def _handlers(self) -> grpc.GenericRpcHandler:
        control = Control(self)
        methods: dict[str, Callable[[], grpc.RpcMethodHandler]] = {"Data": self._data_handler}
        methods["Values"] = partial(_same, grpc.unary_stream_rpc_method_handler(self._values))
        initial = grpc.stream_unary_rpc_method_handler(
            control.SetInitialValues, response_serializer=pb.Digest.SerializeToString
        )
        methods["SetInitialValues"] = partial(_same, initial)
        for method in pb.DESCRIPTOR.services_by_name["Shard"].methods:
            if method.name not in methods:
                handler = grpc.unary_unary_rpc_method_handler(
                    getattr(control, method.name),
                    getattr(pb, method.input_type.name).FromString,
                    getattr(pb, method.output_type.name).SerializeToString,
                )
                methods[method.name] = partial(_same, handler)
        return _Methods({f"/{SERVICE}/{name}": make for name, make in methods.items()})

    def _data_handler(self) -> grpc.RpcMethodHandler:
        """Of one stream: its session sees messages on the thread that receives them."""
        line = None if self._lines is None else self._lines.offer()
        session = Session(
            self.host, self.job, self.limits, self._pool, share=self._share, line=line
        )

        def data(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                with self._admitted(session):
                    reader = threading.Thread(
                        target=session.read, args=(messages,), name="shard-stream", daemon=True
                    )
                    reader.start()
                    yield from session.answers()
            except OpError as error:
                context.abort(*grpc_status(error, "the data stream"))

        return grpc.stream_stream_rpc_method_handler(data, request_deserializer=session.sink.take)

    def _values(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """The answer to one pull, on a call of its own."""
        session = Session(self.host, self.job, self.limits, self._pool, share=self._share)
        try:
            with self._admitted(session, pull=True):
                # a pull may wait for its clock; no callback comes where the call is over already
                if not context.add_callback(session.close):
                    session.close()
                yield from session.answer_alone(request)
        except OpError as error:
            context.abort(*grpc_status(error, "a call for values"))

    def _line_session(
        self, secret: bytes, send_now: Callable[[Iterable[bytes]], None]
    ) -> AbstractContextManager[Session]:
        session = Session(
            self.host,
            self.job,
            self.limits,
            self._pool,
            share=self._share,
            secret=secret,
            send_now=send_now,
        )
        return self._admitted(session)

    @contextmanager
    def _admitted(self, session: Session, *, pull: bool = False) -> Iterator[Session]:
        """Counts a session. Raises OpError if there may be no more."""
        if pull:
            admitted, limit, what = self._pulls, self.limits.value_calls, "pulls of many bytes"
        else:
            admitted, limit, what = self._sessions, self.limits.streams, "streams"
        with self._lock:
            if self._stopped.is_set():
                raise UnavailableError(f"the shard at {self.address} is stopping")
            if len(admitted) >= limit:
                raise ResourceExhaustedError(
                    f"the shard at {self.address} serves {limit} {what} already"
                )
            admitted.add(session)
        try:
            yield session
        finally:
            session.close()
            with self._lock:
                admitted.discard(session)


def _same(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    return handler


class _Methods(grpc.GenericRpcHandler):
    """Makes the handler of each call."""

    def __init__(self, methods: dict[str, Callable[[], grpc.RpcMethodHandler]]) -> None:
        self._methods = methods

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        make = self._methods.get(details.method)
        return None if make is None else make()


class _Gate(grpc.ServerInterceptor):
    """Refuses calls without the token, of another job or of another protocol."""

    def __init__(self, token: str, job: str) -> None:
        self._token = token.encode()
        self._job = job

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        handler = continuation(details)
        if handler is None or details.method.startswith(PUBLIC_PREFIX):
            return handler
        sent = dict(details.invocation_metadata)
        if self._token and not hmac.compare_digest(
            str(sent.get(TOKEN_KEY, "")).encode(), self._token
        ):
            # never says what was wrong with it
            return _refusal(
                handler, grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong"
            )
        protocol = sent.get(PROTOCOL_KEY, "none")
        if protocol != str(PROTOCOL):
            return _refusal(
                handler,
                grpc.StatusCode.FAILED_PRECONDITION,
                f"the caller speaks protocol {protocol}, this shard {PROTOCOL}: run one version "
                "of shardtape everywhere",
            )
        job = sent.get(JOB_KEY, "")
        if job != self._job:
            return _refusal(
                handler,
                grpc.StatusCode.FAILED_PRECONDITION,
                f"this shard belongs to job {self._job!r}, the caller to {job!r}",
            )
        return handler


def _refusal(
    handler: grpc.RpcMethodHandler, code: grpc.StatusCode, text: str
) -> grpc.RpcMethodHandler:
    def refuse(_: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, text)

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(refuse)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)

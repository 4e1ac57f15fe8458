"""Every gRPC setting of the parameter server: options, limits, deadlines, retries, TLS, token.

One file, so that client and server cannot disagree. Each number says why it is what it is.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc.experimental import ChannelOptions

from shardtape.errors import FailedPreconditionError, NotFoundError

# Raised when frames, headers or rules change so that old and new would misunderstand each other.
PROTOCOL = 2

TOKEN_KEY = "shardtape-token"
JOB_KEY = "shardtape-job"
PROTOCOL_KEY = "shardtape-protocol"
# The health check is for load balancers and probes, which have no token.
PUBLIC_PREFIX = "/grpc.health.v1.Health/"

Options = list[tuple[str, int | str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what a peer may make this process hold.

    Fields:
      chunk_bytes: size of raw messages. Streams of 1 to 2 MiB are gRPC's best; below 256 KiB the
        cost per message shows, above 4 MiB fresh buffers cost page faults.
      message_bytes: largest message accepted either way.
      header_bytes: largest header of a frame; 1 MiB is some 20,000 parts.
      payload_bytes: largest payload of a frame: a push or pull of one shard.
      streams: data streams of one server; each holds two threads.
      value_calls: pulls of many bytes at the same time; each holds a thread, a client has one.
      control_threads: threads that nothing of these may take, so that heartbeats and control calls
        are answered whatever the workers do.
      waiting_pulls: pulls of one stream that wait for their clock.
    """

    chunk_bytes: int = 2 << 20
    message_bytes: int = 8 << 20
    header_bytes: int = 1 << 20
    payload_bytes: int = 16 << 30
    streams: int = 256
    value_calls: int = 256
    control_threads: int = 8
    waiting_pulls: int = 16


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a client waits, in seconds, before it raises DeadlineExceededError.

    Fields:
      connect_s: first frame of a stream answered; a frozen shard is noticed by it.
      push_s, pull_s: an acknowledgement, values; both count retries. A pull in ssp or sync waits
        for other workers, so it is the longest time that a healthy job may stand.
      control_s: calls that answer at once.
      transfer_s: first values, digest, snapshot, restore: as long as moving all bytes may take.
    """

    connect_s: float = 10.0
    push_s: float = 60.0
    pull_s: float = 300.0
    control_s: float = 30.0
    transfer_s: float = 600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits between tries of a message whose stream broke.

    Fields:
      first_s: short, because a cut connection is noticed within milliseconds and usually is there
        again at once.
      factor, longest_s: keep a hundred workers from hammering one shard.
      total_s: then the shard counts as dead, and who looks after it must be told: a process that
        takes its place has another address.
    """

    first_s: float = 0.02
    factor: float = 2.0
    longest_s: float = 0.25
    total_s: float = 1.0

    def waits_s(self) -> Iterator[float]:
        """Seconds before the second try, the third, ...; without end."""
        wait = self.first_s
        while True:
            yield wait
            wait = min(wait * self.factor, self.longest_s)


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of mutual TLS: every peer shows a certificate that the job's CA has signed.

    Fields:
      authority: the CA's certificate, PEM.
      certificate, key: of this process, PEM.
      server_name: name in the servers' certificates, where it is not their address.
    """

    authority: str | Path
    certificate: str | Path
    key: str | Path
    server_name: str = ""

    def _read(self) -> tuple[bytes, bytes, bytes]:
        contents = []
        for path in (self.authority, self.certificate, self.key):
            try:
                contents.append(Path(path).read_bytes())
            except OSError as error:
                raise NotFoundError(f"TLS: cannot read {path}: {error.strerror}") from error
        return contents[0], contents[1], contents[2]

    def server_credentials(self) -> grpc.ServerCredentials:
        authority, certificate, key = self._read()
        return grpc.ssl_server_credentials(
            [(key, certificate)], authority, require_client_auth=True
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        authority, certificate, key = self._read()
        return grpc.ssl_channel_credentials(authority, key, certificate)


def _common_options(limits: Limits) -> Options:
    return [
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_receive_message_length", limits.message_bytes),
        # A host that vanished without a word (no FIN, no RST) is noticed by these. Frozen processes
        # are not: their kernel answers. Heartbeats and deadlines are for those.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def server_options(limits: Limits) -> Options:
    return [
        *_common_options(limits),
        # Without it a second server on the same port starts in silence and takes half the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
    ]


def channel_options(limits: Limits, tls: Tls | None = None) -> Options:
    options = [
        *_common_options(limits),
        # A data and a control channel to one address would share a connection, and heartbeats
        # would queue behind payload.
        ("grpc.use_local_subchannel_pool", 1),
        # Peers are named by the coordinator; a proxy of the environment is not between them.
        ("grpc.enable_http_proxy", 0),
        # Retries are ours, under the same ids; the library's would not know about them.
        ("grpc.enable_retries", 0),
        # The library's first wait is one second, which is a whole failover.
        ("grpc.initial_reconnect_backoff_ms", 50),
        # despite its name, how long an attempt to connect may take
        ("grpc.min_reconnect_backoff_ms", 10_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    if tls is not None and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def open_channel(
    address: str, limits: Limits, tls: Tls | None = None, *, read_by_caller: bool = False
) -> grpc.Channel:
    """A channel with a connection of its own; it connects at the first call.

    Args:
      read_by_caller: answers of unary-stream calls are read on the thread that asks for them, not
        handed over to it by a thread of gRPC.
    """
    options = channel_options(limits, tls)
    if read_by_caller:
        options.append((ChannelOptions.SingleThreadedUnaryStream, 1))
    if tls is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, tls.channel_credentials(), options=options)


def call_metadata(token: str, job: str) -> tuple[tuple[str, str], ...]:
    """What every call carries."""
    return ((TOKEN_KEY, token), (JOB_KEY, job), (PROTOCOL_KEY, str(PROTOCOL)))


def bind(server: grpc.Server, host: str, port: int, tls: Tls | None = None) -> int:
    """Adds a port to a server; the port's number, which the system chooses if `port` is 0.

    Raises FailedPreconditionError that names the address, if it is taken or not of this machine.
    """
    check_free(host, port)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, tls.server_credentials())
    except RuntimeError as error:
        raise FailedPreconditionError(f"cannot listen on {address}: {error}") from error


def check_free(host: str, port: int) -> None:
    """Raises FailedPreconditionError if a server could not listen there, as `bind` does.

    gRPC says only that binding failed, and prints the reason where nobody looks.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise FailedPreconditionError(
                f"cannot listen on {host}:{port}: {host!r} is not an address of this machine"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = "the port is in use by another process: choose another one, or 0"
            elif error.errno == errno.EADDRNOTAVAIL:
                reason = f"{host} is not an address of this machine"
            elif error.errno in (errno.EACCES, errno.EPERM):
                reason = "ports below 1024 need privileges: choose a higher one, or 0"
            else:
                reason = str(error.strerror)
            raise FailedPreconditionError(f"cannot listen on {host}:{port}: {reason}") from error

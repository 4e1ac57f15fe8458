"""Shards for tests: in this process behind each kind of channel, or in processes of their own."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from shardtape.optimizers import SGD
from shardtape.ps.client import Client, GrpcChannel, LocalChannel
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec
from shardtape.ps.messages import RoundDecision
from shardtape.ps.partition import place
from shardtape.ps.service import ShardServer

JOB, TOKEN = "testjob", "secret"
# "shared": memory and a Unix socket; "shared, no line": memory, and frames over gRPC.
WAYS = ("local", "grpc", "shared", "shared, no line")
SPECS = (
    VariableSpec("kernel", (13, 3), "float32"),
    VariableSpec("bias", (6,), "float32"),
    VariableSpec("scale", (), "float32"),
    VariableSpec("mean", (4,), "float64", "aggregated"),
)
FIRST = Incarnation(0, 0)


def first_values(specs=SPECS):
    rng = np.random.default_rng(1)
    return {s.key: rng.normal(size=s.shape).astype(s.dtype) for s in specs}


def ones(client, keys=None, slot=0, value=1.0):
    """Gradients in a slot, all of one value."""
    gradients = client.gradients(slot)
    keys = gradients if keys is None else keys
    for key in keys:
        gradients[key][...] = value
    return {key: gradients[key] for key in keys}


class Served(contextlib.AbstractContextManager):
    """The shards of a job in this process, with learning rate 1: values minus gradients."""

    def __init__(self, way="shared", mode="async", shards=2, specs=SPECS, limits=None, **options):
        self.way, self.specs, self.limits = way, specs, limits
        self.placement = place(specs, shards)
        self.role = (specs, SGD(1.0).rule_config(), Consistency(mode, **options))
        self.servers, self.hosts, self.opened = [], [], []
        for index in range(shards):
            if way == "local":
                channel = LocalChannel()
                channel.assume(index, self.placement, *self.role)
                self.hosts.append(channel.host)
            else:
                server = ShardServer(token=TOKEN, job=JOB, limits=limits)
                if way == "shared, no line":
                    server._lines.close()
                    server._lines = None
                server.assume(index, self.placement, *self.role)
                self.servers.append(server)

    def channel(self, index, **options):
        if self.way == "local":
            channel = LocalChannel(self.hosts[index])
        else:
            transport = "grpc" if self.way == "grpc" else "shared"
            options = {"transport": transport, "limits": self.limits, **options}
            channel = GrpcChannel(
                self.servers[index].address, TOKEN, job=JOB, shard=index, **options
            )
        self.opened.append(channel)
        return channel

    def channels(self, **options):
        return [self.channel(index, **options) for index in range(self.placement.shards)]

    def client(self, worker=0, **options):
        client = Client(self.channels(), self.placement, self.specs, worker, job=JOB, **options)
        self.opened.append(client)
        return client

    def ready(self, worker=0, **options):
        """A client of shards that have their first values."""
        client = self.client(worker, **options)
        client.initialize(first_values(self.specs))
        return client

    def decide(self, number, *batches):
        decision = RoundDecision(number, tuple((BatchId(*b), 0) for b in batches), 0, FIRST)
        return [channel.decide(decision).status for channel in self.control()]

    def control(self):
        """Channels that said no hello, as a coordinator's."""
        if not hasattr(self, "_control"):
            self._control = self.channels()
        return self._control

    def counters(self):
        return [channel.counters() for channel in self.control()]

    def __exit__(self, *_):
        for each in self.opened:
            each.close()
        for server in self.servers:
            server.stop(0.1)


class ShardProcess(contextlib.AbstractContextManager):
    """A shard's server in a process of its own, which can be killed and frozen."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("shard_process.py")), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = self.process.pid
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the shard's process ended at once"

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


def eventually(condition, timeout_s=10.0):
    """Whether a condition comes true in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True

"""Small jobs on Ray, and hands that kill their processes by title."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time

import psutil
from unit.workers.local_jobs import EXAMPLES, TRAIN, linear

from shardtape import optimizers
from shardtape.workers.trainer import Trainer

BATCHES = EXAMPLES // 8
_numbers = itertools.count()


def slowed(seconds, duplicate=False):
    """A builder of steps that take at least `seconds`; with `duplicate` every push is sent
    twice."""

    def build(model, seed, feeds):
        import time

        from shardtape.ps.grpc_channel import GrpcChannel
        from shardtape.workers.step import CompiledStep

        if duplicate and not hasattr(GrpcChannel, "pushed_once"):
            GrpcChannel.pushed_once = GrpcChannel.push

            def push_twice(self, push):
                answer = self.pushed_once(push)
                self.pushed_once(push)
                return answer

            GrpcChannel.push = push_twice

        class Slow(CompiledStep):
            def run(self, *arguments, **named):
                time.sleep(seconds)
                return super().run(*arguments, **named)

        return Slow(model, seed, feeds)

    return build


def trainer(model=linear, train=TRAIN, build=None, **options):
    """A Trainer with small defaults and a job name of its own."""
    options = {
        "job": f"test-{os.getpid()}-{next(_numbers)}",
        "ps": 2,
        "workers": 2,
        "epochs": 2,
        "batch_size": 8,
        "seed": 3,
        "progress": "none",
        "optimizer": optimizers.Adam(0.01),
        **options,
    }
    made = Trainer(model, train, **options)
    made._build = build
    return made


def processes(job, who=""):
    """Processes of a job whose title begins with `shardtape:JOB:who`."""
    found = []
    for process in psutil.process_iter():
        try:
            title = process.cmdline()
            if title and title[0].startswith(f"shardtape:{job}:{who}"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_gone(job, deadline_s=10.0):
    """Waits until no process of the job is left."""
    end = time.monotonic() + deadline_s
    while processes(job):
        assert time.monotonic() < end, processes(job)
        time.sleep(0.05)


class Killer:
    """A thread that signals processes of a job, by title, after the given pauses.

    Args:
      pauses_s: seconds before each blow; the first counts from when the process is there.
    """

    def __init__(self, job, who, pauses_s, number=signal.SIGKILL):
        self.job, self.who, self.pauses_s, self.number = job, who, list(pauses_s), number
        self.hits = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        for pause_s in self.pauses_s:
            target = self._next_target()
            if target is None or self._stop.wait(pause_s):
                return
            try:
                os.kill(target, self.number)
            except ProcessLookupError:
                continue
            self.hits.append(target)

    def _next_target(self):
        while not self._stop.wait(0.02):
            for process in processes(self.job, self.who):
                if process.pid not in self.hits:
                    return process.pid
        return None

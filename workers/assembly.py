"""Puts the parts of a job together, the same for processes on Ray and for one process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shardtape.workers.coordinator import Coordinator
from shardtape.workers.curves import Curves
from shardtape.workers.fleet import Fleet
from shardtape.workers.job import Functions, Job, unpack
from shardtape.workers.reporting import Reporter
from shardtape.workers.saving import Saver
from shardtape.workers.shard_group import ShardGroup
from shardtape.workers.worker import WorkerJob


def assemble(job: Job, shards: ShardGroup, fleet: Fleet) -> Coordinator:
    """The coordinator of a job with everything that it uses."""
    config = job.config
    saver = Saver(
        config.checkpoint_dir,
        config.checkpoint_every,
        config.keep_checkpoints,
        {
            "job": config.job,
            "mode": config.mode,
            "options": config.to_dict(),
            "optimizer": job.optimizer,
        },
    )
    reporter = Reporter(config, Curves(config.logdir))
    return Coordinator(
        config,
        job.train,
        job.test,
        job.optimizer,
        shards,
        fleet,
        saver,
        reporter,
        job.partitioner,
    )


def worker_job(job: Job, functions: Functions | None = None) -> WorkerJob:
    """What a worker loop gets of a job; `functions` where they need no unpickling."""
    config = job.config
    functions = unpack(job.functions) if functions is None else functions
    return WorkerJob(
        job=config.job,
        seed=config.seed,
        model=functions.model,
        train=replace(job.train, function=functions.train),
        test=None if job.test is None else replace(job.test, function=functions.test),
        build=functions.build or _compiled_step,
        clipping=job.clipping,
        push_timeout_s=config.push_timeout_s,
        device="GPU" if config.gpus_per_worker else "CPU",
    )


def _compiled_step(model: Any, seed: int, feeds: Any) -> Any:
    from shardtape.workers.step import CompiledStep

    return CompiledStep(model, seed, feeds)

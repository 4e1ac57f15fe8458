"""A Ray that a driver starts: what its processes inherit, and what is left to give them."""

import os
from types import SimpleNamespace

import pytest

from shardtape.workers import local_ray
from shardtape.workers.config import JobConfig


@pytest.fixture
def cluster(monkeypatch):
    """The environment that `ray.init` saw, and the context of the Ray in use."""
    seen = SimpleNamespace(environment={}, context=None)

    def init(**options):
        assert options["address"] == "local" and options["num_cpus"] == 4
        seen.environment = dict(os.environ)
        seen.context = SimpleNamespace(gcs_address="10.0.0.1:1")

    monkeypatch.setattr(local_ray.ray, "init", init)
    monkeypatch.setattr(local_ray.ray, "is_initialized", lambda: seen.context is not None)
    monkeypatch.setattr(local_ray.ray, "get_runtime_context", lambda: seen.context)
    monkeypatch.setattr(local_ray, "_given", {})
    monkeypatch.setattr(local_ray, "_address", "")
    return seen


def test_only_what_is_started_gets_the_variables(cluster, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert local_ray.inherited() == {}
    given = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    local_ray.start(4, given)
    assert given.items() <= cluster.environment.items()
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ
    assert local_ray.inherited() == given


@pytest.mark.parametrize(
    "other", [None, SimpleNamespace(gcs_address="10.0.0.2:1"), SimpleNamespace()]
)
def test_of_another_ray_nothing_is_known(cluster, other):
    local_ray.start(4, {"OMP_NUM_THREADS": "2"})
    cluster.context = other  # none, one that was started elsewhere, one behind `ray://`
    assert local_ray.inherited() == {}


def test_processes_that_inherit_all_need_no_environment_of_their_own():
    wanted = {"OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"}
    assert local_ray.environment_option(wanted, {**wanted, "MORE": "1"}) == {}
    option = local_ray.environment_option(wanted, {**wanted, "OMP_NUM_THREADS": "4"})
    assert option == {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "2"}}}


def test_cores_are_shared_among_the_processes_of_a_job(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert local_ray.share_of_cores(JobConfig(ps=2, workers=3)) == 3
    assert local_ray.share_of_cores(JobConfig(ps=20, workers=20)) == 1
    assert local_ray.share_of_cores(JobConfig(ps=2, workers=3, threads=5)) == 5

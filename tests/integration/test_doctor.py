"""The doctor on this machine: what works is found working, what is broken is named."""

import json
import socket
import subprocess
import sys
import time

import psutil
import pytest
from typer.testing import CliRunner

from shardtape.deploy import command, doctor


def statuses(name: str) -> dict[str, str]:
    return {finding.name: finding.status for finding in doctor.CHECKS[name]()}


def test_the_environment_of_the_tests_is_whole() -> None:
    assert statuses("python")["python"] in ("ok", "warn")
    assert statuses("packages") == {"packages": "ok"}
    assert statuses("machine").keys() == {"cpu", "blas", "memory", "open files"}


def test_shared_memory_and_loopback_work() -> None:
    assert statuses("shared-memory")["shared memory"] == "ok"
    assert statuses("grpc") == {"grpc": "ok"}


def test_a_local_ray_starts_and_loads_the_same_code() -> None:
    (finding,) = doctor.ray()
    assert finding.status == "ok", finding
    assert "first task" in finding.found


def test_a_proxy_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(doctor, "GRPC_LIMIT_S", 1.0)
    (finding,) = doctor.grpc_loopback()
    assert finding.status == "fail"
    assert "http_proxy is set" in finding.mend and "no_proxy" in finding.mend


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "_KNOWN_PORTS", {port: "Ray"})
        (finding,) = doctor.ports()
    assert finding.status == "ok" and f"{port} (Ray)" in finding.found


def test_a_wrong_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=99", "no-such-package-here>=1", "typer>=0.1", "never; extra == 'dev'"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    (finding,) = doctor.packages()
    assert finding.status == "fail"
    assert "numpy" in finding.found and "no-such-package-here is missing" in finding.found
    assert "never" not in finding.found and "typer" not in finding.found


def test_a_probe_that_hangs_is_ended_with_its_children() -> None:
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(77.125)']); "
        "time.sleep(77.125)"
    )
    begin = time.monotonic()
    probe = doctor._run_probe([sys.executable, "-c", code], limit_s=2.0)
    assert time.monotonic() - begin < 20
    assert probe.code is None and "within 2 s" in probe.last_line
    time.sleep(0.2)
    left = [p for p in psutil.process_iter(["cmdline"]) if "77.125" in str(p.info["cmdline"])]
    assert not left


def test_exit_status_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    skip = [word for name in ("ray", "gpu", "machine") for word in ("--skip", name)]
    got = subprocess.run(
        [sys.executable, "-m", "shardtape.deploy.command", "doctor", "--json", *skip],
        capture_output=True,
        text=True,
        timeout=60,
    )
    report = json.loads(got.stdout)
    assert (got.returncode, report["ok"]) == (0, True)
    assert {"name", "status", "found", "mend"} == set(report["findings"][0])
    broken = [doctor.Finding("grpc", "fail", "is dead", "revive it")]
    monkeypatch.setattr(doctor, "examine", lambda skip: iter(broken))
    failed = CliRunner().invoke(command.app, ["doctor"])
    assert failed.exit_code == 1
    assert "is dead" in failed.output and "-> revive it" in failed.output

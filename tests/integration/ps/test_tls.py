"""Mutual TLS on all connections, with a CA made by the openssl command."""

import shutil
import subprocess

import pytest
from integration.ps.served import JOB, SPECS, TOKEN, first_values, ones

from shardtape.errors import NotFoundError, UnavailableError
from shardtape.optimizers import SGD
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId
from shardtape.ps.partition import place
from shardtape.ps.service import ShardServer
from shardtape.ps.wire.channel import Tls

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True, timeout=60)


def authority(folder):
    folder.mkdir()
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=job ca", cwd=folder,
    )  # fmt: skip
    (folder / "extensions").write_text("subjectAltName=DNS:shard.testjob\n")
    for name in ("shard", "worker"):
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=folder,
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "extensions",
            cwd=folder,
        )  # fmt: skip
    return {
        name: Tls(
            folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key", "shard.testjob"
        )
        for name in ("shard", "worker")
    }


def test_only_who_shows_the_jobs_certificate_comes_in(tmp_path):
    ours, others = authority(tmp_path / "ours"), authority(tmp_path / "others")
    server = ShardServer(token=TOKEN, job=JOB, tls=ours["shard"])
    placement = place(SPECS, 1)
    server.assume(0, placement, SPECS, SGD(1.0).rule_config(), Consistency("async"))
    try:
        for transport in ("grpc", "auto"):
            channel = GrpcChannel(
                server.address, TOKEN, job=JOB, tls=ours["worker"], transport=transport
            )
            with Client([channel], placement, SPECS, 0, job=JOB) as client:
                client.initialize(first_values())
                batch = BatchId(0, 0, len(transport))
                client.push(batch, 0, ones(client), slot=0).wait()
                client.pull(1)
                assert channel.heartbeat(5.0)["state"] == "ready"
        for tls in (None, others["worker"]):
            channel = GrpcChannel(server.address, TOKEN, job=JOB, tls=tls)
            with pytest.raises(UnavailableError):
                channel.hello(0)
            channel.close()
    finally:
        server.stop()


def test_a_file_that_is_missing_is_named(tmp_path):
    missing = Tls(tmp_path / "ca.pem", tmp_path / "a.pem", tmp_path / "a.key")
    with pytest.raises(NotFoundError, match=r"cannot read .*ca\.pem"):
        ShardServer(tls=missing)

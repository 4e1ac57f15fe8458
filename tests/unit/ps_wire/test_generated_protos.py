"""The generated code in protos/ is what the pinned compiler makes of the .proto files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _compiler() -> str | None:
    """An interpreter that has grpcio-tools: named by SHARDTAPE_PROTOC, `make protos`'s, or ours."""
    for python in (
        os.environ.get("SHARDTAPE_PROTOC", ""),
        str(ROOT / ".venv-protos/bin/python"),
        sys.executable,
    ):
        if python and Path(python).exists():
            found = subprocess.run(
                [python, "-c", "import grpc_tools"], capture_output=True, timeout=60, check=False
            )
            if found.returncode == 0:
                return python
    return None


def test_generated_code_is_up_to_date():
    python = _compiler()
    if python is None:
        pytest.skip("grpcio-tools is not installed: `make protos` makes an environment with it")
    done = subprocess.run(
        [python, "protos/generate.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_proto_has_its_code_and_stubs():
    for proto in (ROOT / "protos").glob("*.proto"):
        for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi"):
            assert proto.with_name(proto.stem + suffix).exists(), f"run `make protos`: {proto.name}"


def test_messages_are_in_our_own_package():
    """A message named like one of tensorboard's would be a duplicate symbol in one process."""
    for proto in (ROOT / "protos").glob("*.proto"):
        assert "\npackage shardtape." in proto.read_text(), proto.name

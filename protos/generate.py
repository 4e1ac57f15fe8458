"""Makes `*_pb2.py`, `*_pb2_grpc.py` and their `.pyi` stubs from every `.proto` in this folder.

Run by an interpreter that has grpcio-tools and mypy-protobuf in the pinned versions (extra
`protos`; `make protos` makes an environment for it). The compiler is old on purpose: generated
code runs on the protobuf version that made it and on newer ones.

    python protos/generate.py           # write
    python protos/generate.py --check   # exit status 1 and a list, if anything would change
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Mapped to this folder by protoc, so that generated code imports `shardtape.protos.x_pb2`.
VIRTUAL_PATH = "shardtape/protos"
GENERATED = ("*_pb2.py", "*_pb2_grpc.py", "*_pb2.pyi", "*_pb2_grpc.pyi")


def generate(target: Path) -> dict[str, bytes]:
    """Runs the compiler into `target`; contents by file name. Raises CalledProcessError."""
    names = sorted(path.name for path in FOLDER.glob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{VIRTUAL_PATH}={FOLDER}", *outputs]
    # protoc finds its plugins on PATH: mypy-protobuf's lie beside the interpreter
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(
        [*command, *(f"{VIRTUAL_PATH}/{name}" for name in names)],
        check=True,
        env={**os.environ, "PATH": path},
    )
    return {file.name: file.read_bytes() for file in (target / VIRTUAL_PATH).iterdir()}


def differences(made: dict[str, bytes]) -> list[str]:
    """Names of generated files that are missing, stale or left over in this folder."""
    there = {path.name for pattern in GENERATED for path in FOLDER.glob(pattern)}
    stale = {name for name in made.keys() & there if (FOLDER / name).read_bytes() != made[name]}
    return sorted(stale | (made.keys() ^ there))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = generate(Path(folder))
    changed = differences(made)
    if arguments.check:
        for name in changed:
            sys.stderr.write(f"protos/{name} is not what its .proto gives: run `make protos`\n")
        return 1 if changed else 0
    for name in changed:
        if name in made:
            (FOLDER / name).write_bytes(made[name])
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

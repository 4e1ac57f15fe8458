"""`shardtape inspect` on checkpoints written here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shardtape import checkpoint
from shardtape.checkpoint import Piece
from shardtape.deploy import command
from shardtape.errors import DataLossError

WIDE = {"TERMINAL_WIDTH": "200", "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Two shards that hold halves of a kernel, its momentum, and a step counter."""
    directory = checkpoint.new_directory(tmp_path / "checkpoints", step=12)
    fragments = []
    for shard in range(2):
        rows = slice(2 * shard, 2 * shard + 2)
        half = np.arange(12, dtype=np.float32).reshape(4, 3)[rows]
        pieces = [
            Piece(half, "dense/kernel", start=rows.start, shape=(4, 3)),
            Piece(half * 0, "dense/kernel", "momentum", rows.start, (4, 3)),
        ]
        if shard == 0:
            pieces.append(Piece(np.array(12, np.int64), "step"))
        fragments.append(checkpoint.write_part(directory, f"shard-{shard}", pieces))
    checkpoint.write_manifest(directory, fragments)
    return Path(directory)


def save_next(saved: Path) -> Path:
    """Another checkpoint beside it."""
    directory = checkpoint.new_directory(saved.parent, step=24)
    pieces = [Piece(np.ones((4, 3), np.float32), "dense/kernel")]
    checkpoint.write_manifest(directory, [checkpoint.write_part(directory, "shard-0", pieces)])
    return Path(directory)


def cut_manifest(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])


def inspect(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command with pipes for its output, as wide as pipes are: 80 columns for some."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "TERMINAL_WIDTH")}
    return subprocess.run(
        [sys.executable, "-c", "from shardtape.deploy.command import main; main()", "inspect"]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


def test_a_broken_newest_one_is_told_and_an_older_one_shown(saved: Path) -> None:
    broken = save_next(saved)
    cut_manifest(broken)
    got = inspect(saved.parent)
    assert got.returncode == 0, got.stderr
    warning, whole = got.stderr.splitlines()
    assert warning.startswith(f"warning: broken: {broken}/manifest.json is corrupt"), warning
    assert whole == f"{saved.name} is whole; the newest of them is shown"
    assert got.stdout.splitlines()[-1].endswith(f"104 bytes in {saved}")


def test_a_broken_one_that_is_named_fails_and_tells_its_whole_neighbours(saved: Path) -> None:
    broken = save_next(saved)
    cut_manifest(broken)
    got = inspect(broken)
    assert got.returncode == 1 and got.stdout == ""
    assert "manifest.json is corrupt" in got.stderr
    assert f"{saved.name} is whole in {saved.parent}" in got.stderr


def test_where_none_is_whole_every_fault_is_told(saved: Path) -> None:
    other = save_next(saved)
    cut_manifest(other)
    part = next(saved.glob("shard-0*"))
    part.write_bytes(part.read_bytes()[:-1])
    got = inspect(saved.parent)
    assert got.returncode == 1 and "is whole:" in got.stderr
    assert f"{other}/manifest.json is corrupt" in got.stderr
    assert f"{part} has " in got.stderr and "torn" in got.stderr


def test_a_folder_with_unfinished_ones_only(tmp_path: Path) -> None:
    checkpoint.new_directory(tmp_path, step=1)
    got = CliRunner().invoke(command.app, ["inspect", str(tmp_path)])
    assert got.exit_code == command.MISUSED and "no finished checkpoint" in got.output


def test_columns_are_never_cut_in_a_pipe(saved: Path) -> None:
    key = "a/very/long/name/of/a/layer/" * 6 + "kernel"
    directory = checkpoint.new_directory(saved.parent, step=99)
    pieces = [Piece(np.ones((2, 2), np.float32), key, "momentum")]
    pieces.append(Piece(np.ones((2, 2), np.float32), key))
    fragment = checkpoint.write_part(directory, "shard-0", pieces)
    checkpoint.write_manifest(directory, [fragment])
    got = inspect(directory)
    head, *rows, sums = got.stdout.splitlines()
    assert [row.split() for row in rows] == [
        [key, "float32", "2x2", "0:2", "16", fragment["file"]],
        [key, "momentum", "float32", "2x2", "0:2", "16", fragment["file"]],
    ]
    assert head.split() == ["tensor", "slot", "dtype", "shape", "rows", "bytes", "file"]
    assert head.index("dtype") == rows[0].index("float32") and "1 variables" in sums


def test_parts_and_sums_are_listed(saved: Path) -> None:
    got = CliRunner().invoke(command.app, ["inspect", str(saved)], env=WIDE)
    assert got.exit_code == 0, got.output
    lines = [line.split() for line in got.output.splitlines()]
    assert lines[1][:5] == ["dense/kernel", "float32", "4x3", "0:2", "24"]
    assert lines[2][:5] == ["dense/kernel", "float32", "4x3", "2:4", "24"]
    assert lines[3][:3] == ["dense/kernel", "momentum", "float32"]
    assert any(line[:3] == ["step", "int64", "scalar"] for line in lines)
    assert "2 variables, 1 optimizer slots, 104 bytes" in got.output


def test_the_newest_of_a_directory_and_the_digests(saved: Path) -> None:
    got = CliRunner().invoke(command.app, ["inspect", str(saved.parent), "--verify"], env=WIDE)
    assert got.exit_code == 0 and "all digests agree" in got.output
    assert str(saved) in got.output.replace("\n", "")


def test_rows_as_json(saved: Path) -> None:
    got = CliRunner().invoke(command.app, ["inspect", str(saved), "--json"], env=WIDE)
    rows = json.loads(got.output)
    assert len(rows) == 5 and rows[0]["key"] == "dense/kernel" and rows[0]["shape"] == [4, 3]


def test_what_is_missing_or_corrupt_is_named(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    for name in ("nowhere", "empty", "gs+nobody://knows"):
        given = name if "://" in name else str(tmp_path / name)
        got = CliRunner().invoke(command.app, ["inspect", given])
        assert got.exit_code == command.MISUSED and name in got.output, got.output
    part = next(saved.glob("shard-1*"))
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    got = CliRunner().invoke(command.app, ["inspect", str(saved), "--verify"])
    assert isinstance(got.exception, DataLossError) and part.name in str(got.exception)

"""`shardtape inspect` on checkpoints written here."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shardtape import checkpoint
from shardtape.checkpoint import Piece
from shardtape.deploy import command
from shardtape.errors import DataLossError, NotFoundError

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
    got = CliRunner().invoke(command.app, ["inspect", str(tmp_path / "nowhere")])
    assert isinstance(got.exception, NotFoundError) and "nowhere" in str(got.exception)
    part = next(saved.glob("shard-1*"))
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    got = CliRunner().invoke(command.app, ["inspect", str(saved), "--verify"])
    assert isinstance(got.exception, DataLossError) and part.name in str(got.exception)

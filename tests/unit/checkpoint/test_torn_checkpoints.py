"""Cut off, flipped, missing, never finished, and a full disk: refused by name, old ones intact."""

import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from shardtape import checkpoint, errors
from shardtape.checkpoint.part import MANIFEST


def save(parent, value, step=0):
    directory = checkpoint.new_directory(parent, step)
    arrays = {
        "kernel": np.full((100, 50), value, np.float32),
        "bias": np.full(50, value),
        "names": np.array(["a", "bc"]),
    }
    fragment = checkpoint.write_part(directory, "shard-0", arrays)
    return pathlib.Path(checkpoint.write_manifest(directory, [fragment], {"step": step}))


def part_of(path):
    (part,) = path.glob("*.safetensors")
    return part


def read_all(path):
    """Every way to look at a checkpoint."""
    with checkpoint.read(path) as found:
        arrays = found.tensors()
        for key, info in found.variables.items():
            if info.dtype != "string":
                found.tensor(key, out=np.empty(info.shape, arrays[key].dtype))
    return arrays


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "job", 1.5)


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 0.3, 0.9, -1])
def test_a_part_that_is_cut_off(path, kept):
    part = part_of(path)
    data = part.read_bytes()
    size = int(len(data) * kept) if isinstance(kept, float) else kept % len(data)
    part.write_bytes(data[:size])
    with pytest.raises(errors.DataLossError, match=part.name):
        read_all(path)
    assert checkpoint.latest_checkpoint(path.parent) is None


def test_a_part_with_more_bytes(path):
    with open(part_of(path), "ab") as file:
        file.write(b"x")
    with pytest.raises(errors.DataLossError, match=part_of(path).name):
        read_all(path)


def test_a_flipped_bit_anywhere_in_a_part(path):
    part = part_of(path)
    data = bytearray(part.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    assert len(data) == header + 100 * 50 * 4 + 50 * 8 + 3 + 3 * 8
    positions = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(data) - 1}
    positions |= set(range(0, len(data), 97))  # all regions: length, JSON, padding, each tensor
    for position in sorted(positions):
        data[position] ^= 1 << position % 8
        part.write_bytes(data)
        with pytest.raises(errors.DataLossError, match=part.name):
            read_all(path)
        with pytest.raises(errors.DataLossError, match=part.name):
            checkpoint.inspect(path, verify=True)
        data[position] ^= 1 << position % 8
    part.write_bytes(data)
    read_all(path)


def test_only_what_is_asked_for_is_checked(path):
    part = part_of(path)
    data = bytearray(part.read_bytes())
    data[-30] ^= 1
    part.write_bytes(data)
    with checkpoint.read(path) as found, pytest.raises(errors.DataLossError, match=part.name):
        found.tensors()
    with checkpoint.read(path, verify=False) as found:
        found.tensors()


def test_a_missing_part(path):
    part = part_of(path)
    part.unlink()
    with pytest.raises(errors.DataLossError, match=f"{part.name} is missing"):
        read_all(path)
    assert checkpoint.latest_checkpoint(path.parent) is None


def test_a_flipped_bit_anywhere_in_the_manifest(path):
    manifest = path / MANIFEST
    data = bytearray(manifest.read_bytes())
    for position in range(len(data)):
        data[position] ^= 1 << position % 7
        manifest.write_bytes(data)
        with pytest.raises(errors.DataLossError, match=MANIFEST):
            checkpoint.read(path)
        data[position] ^= 1 << position % 7


def test_a_manifest_that_is_cut_off(path):
    manifest = path / MANIFEST
    data = manifest.read_bytes()
    for size in (0, 1, 10, 100, len(data) // 2, len(data) - 1):
        manifest.write_bytes(data[:size])
        with pytest.raises(errors.DataLossError, match=MANIFEST):
            checkpoint.read(path)
        assert checkpoint.latest_checkpoint(path.parent) is None


def test_another_format(path):
    manifest = path / MANIFEST
    for text in (b"[]", b"{}", b'{"sha256": 3, "format": "x", "version": 1}'):
        manifest.write_bytes(text)
        with pytest.raises(errors.DataLossError, match=MANIFEST):
            checkpoint.read(path)


def test_a_newer_version_says_so(path, monkeypatch):
    monkeypatch.setattr(checkpoint.manifest, "VERSION", 2)
    newer = save(path.parent, 2.0)
    monkeypatch.undo()
    with pytest.raises(errors.DataLossError, match="version 2; this version .* reads .* 1"):
        checkpoint.read(newer)


def test_never_finished(tmp_path):
    directory = checkpoint.new_directory(tmp_path)
    checkpoint.write_part(directory, "shard-0", {"a": np.zeros(3)})
    with pytest.raises(errors.DataLossError, match=r"no whole checkpoint.* never finished"):
        checkpoint.read(directory)
    with pytest.raises(errors.NotFoundError, match="there is no checkpoint"):
        checkpoint.read(tmp_path / "nothing")


def test_a_part_that_is_gone_before_the_manifest(tmp_path):
    fragment = checkpoint.write_part(tmp_path, "shard-0", {"a": np.zeros(3)})
    (tmp_path / fragment["file"]).unlink()
    with pytest.raises(errors.DataLossError, match="is missing"):
        checkpoint.write_manifest(tmp_path, [fragment])
    assert list(tmp_path.iterdir()) == []


def test_the_state_is_plain_json(tmp_path):
    with pytest.raises(errors.InvalidArgumentError, match="plain JSON"):
        checkpoint.write_manifest(tmp_path, [], {"a": object()})
    assert list(tmp_path.iterdir()) == []
    checkpoint.write_manifest(tmp_path, [], {"loss": float("nan"), "ä": "\u2603"})
    state = checkpoint.read(tmp_path).state
    assert np.isnan(state["loss"])
    assert state["ä"] == "\u2603"


def test_the_newest_whole_one_is_found(tmp_path):
    assert checkpoint.latest_checkpoint(tmp_path / "nothing") is None
    first, second, third = (save(tmp_path, i, step=i) for i in range(3))
    unfinished = checkpoint.new_directory(tmp_path, step=9)
    (tmp_path / "notes.txt").write_text("x")
    assert checkpoint.whole_checkpoints(tmp_path) == [str(third), str(second), str(first)]
    (third / MANIFEST).write_bytes((third / MANIFEST).read_bytes()[:50])
    assert checkpoint.latest_checkpoint(tmp_path) == str(second)
    part_of(second).unlink()
    assert checkpoint.latest_checkpoint(tmp_path) == str(first)
    assert os.path.isdir(unfinished)


def test_a_later_checkpoint_with_a_smaller_step_is_newer(tmp_path):
    save(tmp_path, 1, step=500)
    rolled_back = save(tmp_path, 2, step=20)
    assert checkpoint.latest_checkpoint(tmp_path) == str(rolled_back)


def test_pruning(tmp_path):
    paths = [save(tmp_path, i) for i in range(4)]
    stale = checkpoint.new_directory(tmp_path)
    checkpoint.write_part(stale, "shard-0", {"a": np.zeros(3)})
    newest = save(tmp_path, 9)
    under_way = checkpoint.new_directory(tmp_path)
    (tmp_path / "mine").mkdir()
    (paths[0] / "mine.txt").write_text("x")
    removed = checkpoint.prune(tmp_path, 2, keep=[str(paths[1])])
    assert sorted(removed) == sorted([str(paths[0]), str(paths[2]), stale])
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {
        paths[0].name, paths[1].name, paths[3].name, newest.name, "mine",
        os.path.basename(under_way),
    }  # fmt: skip
    assert [p.name for p in paths[0].iterdir()] == ["mine.txt"]  # not ours, so not removed
    assert checkpoint.prune(tmp_path, 0) == [str(paths[3]), str(paths[1])]
    assert checkpoint.latest_checkpoint(tmp_path) == str(newest)
    assert checkpoint.prune(tmp_path, None) == []


def test_abandon(tmp_path):
    directory = checkpoint.new_directory(tmp_path)
    checkpoint.write_part(directory, "shard-0", {"a": np.zeros(3)})
    checkpoint.abandon(directory)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(errors.FailedPreconditionError, match="is finished"):
        checkpoint.abandon(save(tmp_path, 1))


SCRIPT = """
import json, sys
import numpy as np
from shardtape import checkpoint, errors
{before}
directory = checkpoint.new_directory({parent!r})
try:
    checkpoint.write_part(directory, "shard-0", {{"a": np.ones({count})}})
except errors.ResourceExhaustedError as error:
    print(json.dumps({{"error": str(error), "directory": directory}}))
"""


def run_until_full(parent, before="", count=1_000_000, prefix=()):
    script = SCRIPT.format(parent=str(parent), before=textwrap.dedent(before), count=count)
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_limit_on_file_sizes_leaves_the_old_checkpoint(tmp_path):
    old = save(tmp_path, 3.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    said = run_until_full(
        tmp_path,
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {hard}))",
    )
    assert "cannot write" in said["error"]
    assert ".safetensors" in said["error"]
    assert os.listdir(said["directory"]) == []
    assert checkpoint.latest_checkpoint(tmp_path) == str(old)
    assert read_all(old)["kernel"][0, 0] == 3.0


def test_a_full_disk_is_told(tmp_path):
    unshare = shutil.which("unshare")
    prefix = [unshare or "", "--user", "--map-root-user", "--mount"]
    probe = ["sh", "-c", f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"]
    if not unshare or subprocess.run([*prefix, *probe], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (no user namespaces)")
    mount = f"""
        import subprocess
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", {str(tmp_path)!r}])
    """
    said = run_until_full(tmp_path, mount, prefix=prefix)
    assert "No space left on device" in said["error"]
    assert "bytes are free" in said["error"]


def test_an_interrupted_write_leaves_no_file(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.layout.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_part(tmp_path, "shard-0", {"a": np.ones(10)})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_manifest_cannot_be_renamed(tmp_path, monkeypatch):
    fragment = checkpoint.write_part(tmp_path, "shard-0", {"a": np.ones(10)})

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoint.manifest.storage.os, "replace", refuse)
    with pytest.raises(errors.PermissionDeniedError, match=MANIFEST):
        checkpoint.write_manifest(tmp_path, [fragment])
    assert [p.name for p in tmp_path.iterdir()] == [fragment["file"]]


SAVING = """
import sys
import numpy as np
from shardtape import checkpoint
print("ready", flush=True)
for value in range(10**9):
    directory = checkpoint.new_directory(sys.argv[1], value)
    arrays = {"a": np.full(300_000, value), "b": np.full((1000, 7), value, np.float32)}
    parts = [checkpoint.write_part(directory, f"shard-{i}", {k: v})
             for i, (k, v) in enumerate(arrays.items())]
    checkpoint.write_manifest(directory, parts, {"value": value})
    checkpoint.prune(sys.argv[1], 2)
"""


def test_a_process_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    save(tmp_path, 0.0)
    rng = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVING, str(tmp_path)], stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.02 + rng.random() * 0.2)
            process.kill()
        newest = checkpoint.latest_checkpoint(tmp_path)
        with checkpoint.read(newest) as found:
            found.verify()
            if "value" in found.state:
                assert all((a == found.state["value"]).all() for a in found.tensors().values())
    checkpoint.write_manifest(checkpoint.new_directory(tmp_path), [])
    checkpoint.prune(tmp_path, 1)
    assert len(list(tmp_path.iterdir())) == 1  # what the killed ones left is gone too

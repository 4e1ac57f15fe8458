"""Checkpoints: 1 GB of float32 in 50 tensors, saved and restored, GB/s.

Against a raw file and against the safetensors library, in turn in the same process. `save` ends
when the bytes are on the disk (fsync). `restore` ends with the values in arrays that exist
already, warm from the page cache, or cold after the files' pages were dropped. Ours takes and
compares digests; the others do not. The raw file is written in the same blocks and with the same
reservation of space as ours (`raw`), and with one call per tensor, as one would at first (`naive`).
Where `make bench-peers` was run, also against TensorFlow and PyTorch.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import rows
from safetensors.numpy import load_file, save_file

from shardtape import checkpoint

Arrays = dict[str, np.ndarray]
BLOCK_BYTES = checkpoint.layout.BLOCK_BYTES


class Raw:
    """All elements in one file, nothing else."""

    def __init__(self, root: str, block_bytes: int | None) -> None:
        self.path = os.path.join(root, f"raw-{block_bytes}")
        self.block_bytes = block_bytes

    def save(self, arrays: Arrays) -> None:
        with open(self.path, "wb", buffering=0) as file:
            if self.block_bytes:
                os.posix_fallocate(file.fileno(), 0, sum(a.nbytes for a in arrays.values()))
            for array in arrays.values():
                view = memoryview(array).cast("B")
                step = self.block_bytes or len(view)
                for start in range(0, len(view), step):
                    block = view[start : start + step]
                    while len(block):
                        block = block[file.write(block) :]
            os.fsync(file.fileno())

    def restore(self, into: Arrays) -> None:
        with open(self.path, "rb", buffering=0) as file:
            for array in into.values():
                view = memoryview(array).cast("B")
                while len(view):
                    view = view[file.readinto(view) :]

    def files(self) -> list[str]:
        return [self.path]

    def remove(self) -> None:
        os.unlink(self.path)


class Library:
    """safetensors.numpy, and a copy into the arrays."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, "library.safetensors")

    def save(self, arrays: Arrays) -> None:
        save_file(arrays, self.path)
        descriptor = os.open(self.path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def restore(self, into: Arrays) -> None:
        found = load_file(self.path)
        for name, array in into.items():
            array[...] = found[name]

    def files(self) -> list[str]:
        return [self.path]

    def remove(self) -> None:
        os.unlink(self.path)


class Ours:
    """One part and a manifest."""

    def __init__(self, root: str) -> None:
        self.root = os.path.join(root, "ours")
        self.path = ""

    def save(self, arrays: Arrays) -> None:
        self.path = checkpoint.new_directory(self.root)
        fragment = checkpoint.write_part(self.path, "shard-0", arrays)
        checkpoint.write_manifest(self.path, [fragment])

    def restore(self, into: Arrays) -> None:
        with checkpoint.read(self.path) as found:
            for name, array in into.items():
                found.tensor(name, out=array)

    def files(self) -> list[str]:
        return [str(path) for path in Path(self.path).iterdir()]

    def remove(self) -> None:
        shutil.rmtree(self.path)


def drop_pages(files: list[str]) -> None:
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("--dir", help="folder on the disk to measure; a temporary one if not given")
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--tensors", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    count = int(options.gb * 1e9 / 4 / options.tensors / 1000)
    arrays = {
        f"layer-{i}/kernel": rng.standard_normal((count, 1000), dtype=np.float32)
        for i in range(options.tensors)
    }
    into = {name: np.zeros_like(array) for name, array in arrays.items()}
    size = sum(array.nbytes for array in arrays.values()) / 1e9
    root = tempfile.mkdtemp(prefix="shardtape-checkpoint-", dir=options.dir)
    ways = {
        "ours": Ours(root), "raw": Raw(root, BLOCK_BYTES), "naive": Raw(root, None),
        "library": Library(root),
    }  # fmt: skip
    found: dict[tuple[str, str], list[float]] = {}
    try:
        for turn in range(options.repeats + 1):
            for name, way in ways.items():
                taken = {"save": seconds(lambda way=way: way.save(arrays))}
                taken["restore_warm"] = seconds(lambda way=way: way.restore(into))
                drop_pages(way.files())
                way.restore(into)  # the disk may still be busy with what was written
                drop_pages(way.files())
                taken["restore_cold"] = seconds(lambda way=way: way.restore(into))
                last = f"layer-{options.tensors - 1}/kernel"
                assert np.array_equal(into[last], arrays[last])
                into[last][...] = 0
                way.remove()
                if turn:  # the first round warms up
                    for what, value in taken.items():
                        found.setdefault((what, name), []).append(size / value)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    said = {
        "raw": "raw file, same blocks, no digests",
        "naive": "raw file, one write per tensor",
        "library": "safetensors.numpy",
    }
    made = [
        rows.row(
            f"checkpoint_{what}_{name}", "GB/s", found[what, "ours"], against, found[what, name]
        )
        for what in ("save", "restore_warm", "restore_cold")
        for name, against in said.items()
    ]
    for peer, against in (
        ("tf", "tf.train.Checkpoint"),
        ("torch-safetensors", "torch and safetensors"),
    ):
        lines = rows.run_peer("checkpoint.py", peer, "--gb", options.gb, *_dir(options.dir))
        for line in lines or []:
            name = f"checkpoint_{line['what']}_{peer.split('-')[0]}"
            ours = found[line["what"], "ours"]
            made.append(rows.row(name, "GB/s", ours, against, line["median"]))
    rows.report(made, options.json)


def _dir(folder: str | None) -> list[str]:
    return ["--dir", folder] if folder else []


if __name__ == "__main__":
    main()

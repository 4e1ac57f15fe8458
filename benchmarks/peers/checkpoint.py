"""Peers of checkpoints: 1 GB of float32 in 50 tensors, saved and restored, GB/s.

    python checkpoint.py tf|tf1|torch|torch-safetensors|savez [--dir DIR]

`save` ends when the bytes are on the disk (fsync); `restore` with the values in variables that
exist already, warm from the page cache, or cold after the files' pages were dropped.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from measure import emit, pin, summary, tensorflow, torch, versions

Way = tuple[Callable[[], object], Callable[[], object]]


def way_savez(arrays: dict[str, Any], root: str, np: Any) -> Way:
    path = os.path.join(root, "c.npz")
    into = {name: np.zeros_like(array) for name, array in arrays.items()}

    def restore() -> None:
        with np.load(path) as found:
            for name, array in into.items():
                array[...] = found[name]

    return lambda: np.savez(path, **arrays), restore


def way_tf(arrays: dict[str, Any], root: str, np: Any) -> Way:
    tf = tensorflow(2)
    made = {name: tf.Variable(array) for name, array in arrays.items()}
    checkpoint = tf.train.Checkpoint(**made)
    path = os.path.join(root, "c")
    return lambda: checkpoint.write(path), lambda: checkpoint.read(path).assert_consumed()


def way_tf1(arrays: dict[str, Any], root: str, np: Any) -> Way:
    v1 = tensorflow(2).compat.v1
    graph = v1.Graph()
    with graph.as_default():
        feeds = []
        for name, array in arrays.items():
            value = v1.placeholder("float32", array.shape)
            variable = v1.Variable(value, name=name, use_resource=True)
            feeds.append((variable.initializer, value, array))
        saver = v1.train.Saver()
    session = v1.Session(graph=graph)
    for initializer, value, array in feeds:
        session.run(initializer, {value: array})
    path = os.path.join(root, "c")

    def save() -> None:
        with graph.as_default():
            saver.save(session, path, write_meta_graph=False)

    def restore() -> None:
        with graph.as_default():
            saver.restore(session, path)

    return save, restore


def way_torch(arrays: dict[str, Any], root: str, np: Any, library: bool = False) -> Way:
    th = torch(2)
    state = {name: th.from_numpy(array) for name, array in arrays.items()}
    into = {name: th.empty_like(value) for name, value in state.items()}
    path = os.path.join(root, "c.pt")
    if library:
        from safetensors.torch import load_file, save_file

        write, load = (lambda: save_file(state, path)), (lambda: load_file(path))
    else:
        write = lambda: th.save(state, path)
        load = lambda: th.load(path, weights_only=True)

    def restore() -> None:  # as load_state_dict does
        for name, value in load().items():
            into[name].copy_(value)

    return write, restore


def way_torch_safetensors(arrays: dict[str, Any], root: str, np: Any) -> Way:
    return way_torch(arrays, root, np, library=True)


def files(root: str) -> list[str]:
    return [path for path in glob.glob(root + "/**", recursive=True) if os.path.isfile(path)]


def sync(root: str) -> None:
    for path in files(root):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def drop_pages(root: str) -> None:
    for path in files(root):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def main() -> None:
    ways = {
        "tf": way_tf, "tf1": way_tf1, "torch": way_torch,
        "torch-safetensors": way_torch_safetensors, "savez": way_savez,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("peer", choices=sorted(ways))
    parser.add_argument("--dir")
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--tensors", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    pin(2)
    import numpy as np

    rng = np.random.default_rng(0)
    count = int(options.gb * 1e9 / 4 / options.tensors / 1000)
    arrays = {
        f"kernel_{i}": rng.standard_normal((count, 1000), dtype=np.float32)
        for i in range(options.tensors)
    }
    size = sum(array.nbytes for array in arrays.values()) / 1e9
    root = tempfile.mkdtemp(prefix="shardtape-checkpoint-", dir=options.dir)
    found: dict[str, list[float]] = {}
    try:
        save, restore = ways[options.peer](arrays, root, np)
        for turn in range(options.repeats + 1):
            for path in files(root):
                os.unlink(path)
            begin = time.perf_counter()
            save()
            sync(root)
            saved = time.perf_counter()
            restore()
            warm = time.perf_counter()
            drop_pages(root)
            dropped = time.perf_counter()
            restore()
            cold = time.perf_counter()
            if turn:  # the first round warms up
                for what, taken in (
                    ("save", saved - begin),
                    ("restore_warm", warm - saved),
                    ("restore_cold", cold - dropped),
                ):
                    found.setdefault(what, []).append(size / taken)
        known = versions("tensorflow-cpu", "torch", "safetensors", "numpy")
        for what, rates in found.items():
            emit("checkpoint", options.peer, "GB/s", summary(rates), what=what, versions=known)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

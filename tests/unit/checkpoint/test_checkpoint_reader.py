"""Checkpoints written by several shards, read back whole, by rows, and into other shards."""

import numpy as np
import pytest

from shardtape import checkpoint, errors
from shardtape.checkpoint import Piece


def cut(values, key, slot, bounds):
    """Pieces of an array, cut at the rows in `bounds`."""
    return [
        Piece(values[a:b], key, slot, a, values.shape)
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    return {
        ("kernel", None): rng.normal(size=(1000, 333)).astype(np.float32),
        ("kernel", "m"): rng.normal(size=(1000, 333)).astype(np.float32),
        ("bias", None): rng.normal(size=17),
        ("bias", "m"): rng.normal(size=17),
        ("flags", None): rng.integers(0, 2, 9).astype(bool),
        ("count", None): np.int64(41),
    }


def save(directory, model, bounds, state=None):
    shards = [[] for _ in range(len(bounds) - 1)]
    for (key, slot), values in model.items():
        if key == "kernel":
            for shard, piece in zip(shards, cut(values, key, slot, bounds), strict=True):
                shard.append(piece)
        else:
            shards[len(key) % len(shards)].append(Piece(np.asarray(values), key, slot))
    fragments = [
        checkpoint.write_part(directory, f"shard-{i}", pieces, {"shard": i})
        for i, pieces in enumerate(shards)
    ]
    return checkpoint.write_manifest(directory, fragments, state)


@pytest.mark.parametrize("bounds", [(0, 1000), (0, 500, 1000), (0, 1, 333, 999, 1000)])
def test_one_process_gets_equal_arrays(tmp_path, model, bounds):
    path = save(tmp_path / "c", model, bounds, {"step": 7})
    with checkpoint.read(path) as found:
        assert found.path == str(tmp_path / "c")
        assert found.state == {"step": 7}
        assert set(found.variables) == {"kernel", "bias", "flags", "count"}
        assert found.variables["kernel"] == ((1000, 333), "float32")
        assert {slot: set(keys) for slot, keys in found.slots.items()} == {"m": {"kernel", "bias"}}
        arrays = {(key, None): values for key, values in found.tensors().items()}
        arrays |= {(key, "m"): values for key, values in found.tensors("m").items()}
    assert arrays.keys() == model.keys()
    for what, values in model.items():
        assert arrays[what].dtype == np.asarray(values).dtype
        np.testing.assert_array_equal(arrays[what], values)


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_any_number_of_shards_gets_its_rows(tmp_path, model, shards):
    path = save(tmp_path / "c", model, (0, 400, 777, 1000))
    kernel = model["kernel", None]
    bounds = np.linspace(0, 1000, shards + 1).astype(int).tolist()
    with checkpoint.read(path) as found:
        for start, stop in zip(bounds, bounds[1:], strict=False):
            rows = found.tensor("kernel", rows=(start, stop))
            np.testing.assert_array_equal(rows, kernel[start:stop])
            into = np.full((stop - start, 333), np.nan, np.float32)
            assert found.tensor("kernel", "m", (start, stop), into) is into
            np.testing.assert_array_equal(into, model["kernel", "m"][start:stop])


def test_rows_of_an_array_larger_than_a_block(tmp_path):
    values = np.arange(200_000, dtype=np.float64).reshape(100_000, 2)
    path = save(tmp_path / "c", {("kernel", None): values}, (0, 60_001, 100_000))
    for rows in ((0, 1), (60_000, 60_002), (59_999, 60_001), (12_345, 98_765), (5, 5)):
        with checkpoint.read(path) as found:  # anew: nothing is known to be good yet
            np.testing.assert_array_equal(found.tensor("kernel", rows=rows), values[slice(*rows)])
            into = np.empty((rows[1] - rows[0], 2))
            found.tensor("kernel", rows=rows, out=into)
            found.tensor("kernel", rows=rows, out=into)
            np.testing.assert_array_equal(into, values[slice(*rows)])


def test_whole_local_arrays_are_mapped_and_stay_good(tmp_path, model):
    path = save(tmp_path / "c", model, (0, 1000))
    found = checkpoint.read(path)
    kernel = found.tensor("kernel")
    assert not kernel.flags.writeable
    assert not kernel.flags.owndata
    found.close()
    checkpoint.directory.remove_checkpoint(path)
    np.testing.assert_array_equal(kernel, model["kernel", None])


def test_what_does_not_fit(tmp_path, model):
    with checkpoint.read(save(tmp_path / "c", model, (0, 1000))) as found:
        with pytest.raises(errors.NotFoundError, match="has no 'nothing'; it has bias, count"):
            found.tensor("nothing")
        with pytest.raises(errors.NotFoundError, match="no slot 'v' of 'kernel'"):
            found.tensor("kernel", "v")
        with pytest.raises(errors.InvalidArgumentError, match="rows 5:1001"):
            found.tensor("kernel", rows=(5, 1001))
        for out in (np.empty((1000, 333)), np.empty((333, 1000), np.float32).T):
            with pytest.raises(errors.InvalidArgumentError, match="to read into"):
                found.tensor("kernel", out=out)


def test_parts_tell_who_wrote_which_rows(tmp_path, model):
    with checkpoint.read(save(tmp_path / "c", model, (0, 400, 1000))) as found:
        assert found.parts("kernel") == [(0, 400, {"shard": 0}), (400, 1000, {"shard": 1})]


def test_strings(tmp_path):
    strings = np.array([b"", b"abc", "ä", b"\x00\xff", "x" * 1000, b"z"], object)
    tensors = [
        Piece(strings[:2].reshape(1, 2), "table", None, 0, (3, 2)),
        Piece(strings[2:].reshape(2, 2), "table", None, 1, (3, 2)),
        Piece(np.array("one"), "scalar"),
        Piece(np.array([b"fixed", b"width"]), "bytes"),
        Piece(np.zeros((0,), object), "none"),
    ]
    path = checkpoint.write_manifest(
        tmp_path, [checkpoint.write_part(tmp_path, "p", [piece]) for piece in tensors]
    )
    expected = np.array([s.encode() if isinstance(s, str) else s for s in strings], object)
    with checkpoint.read(path) as found:
        assert found.variables["table"] == ((3, 2), "string")
        np.testing.assert_array_equal(found.tensor("table"), expected.reshape(3, 2))
        np.testing.assert_array_equal(
            found.tensor("table", rows=(1, 2)), expected.reshape(3, 2)[1:2]
        )
        assert found.tensor("scalar")[()] == b"one"
        assert found.tensor("bytes").tolist() == [b"fixed", b"width"]
        assert found.tensor("none").shape == (0,)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers(tmp_path, dtype):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(6, 5)) + 1j * rng.normal(size=(6, 5))).astype(dtype)
    fragments = [
        checkpoint.write_part(tmp_path, "p", cut(values.T.copy().T, "z", None, (0, 2, 6))),
        checkpoint.write_part(tmp_path, "q", {"scalar": np.array(1 + 2j, dtype)}),
    ]
    assert fragments[1]["stored"][0]["shape"] == [2]
    with checkpoint.read(checkpoint.write_manifest(tmp_path, fragments)) as found:
        np.testing.assert_array_equal(found.tensor("z"), values)
        np.testing.assert_array_equal(found.tensor("z", rows=(1, 3)), values[1:3])
        assert found.tensor("scalar") == 1 + 2j


def test_rows_must_be_there_once(tmp_path):
    values = np.zeros((10, 2))

    def manifest(*runs):
        pieces = [cut(values, "w", None, run)[0] for run in runs]
        fragments = [checkpoint.write_part(tmp_path, "p", [piece]) for piece in pieces]
        return checkpoint.write_manifest(tmp_path, fragments)

    with pytest.raises(errors.InvalidArgumentError, match="rows 4:6 of 'w' are missing"):
        manifest((0, 4), (6, 10))
    with pytest.raises(errors.InvalidArgumentError, match="rows 3:4 of 'w' are there twice"):
        manifest((0, 4), (3, 10))
    with pytest.raises(errors.InvalidArgumentError, match="rows 4:10 of 'w' are missing"):
        manifest((0, 4))
    with pytest.raises(errors.InvalidArgumentError, match="disagree on 'w'"):
        checkpoint.write_manifest(
            tmp_path,
            [
                checkpoint.write_part(tmp_path, "p", cut(values, "w", None, (0, 4))),
                checkpoint.write_part(tmp_path, "p", cut(values[:, :1], "w", None, (4, 10))),
            ],
        )


def test_inspect(tmp_path, model):
    path = save(tmp_path / "c", model, (0, 400, 1000))
    rows = checkpoint.inspect(path, verify=True)
    assert [(r["key"], r["slot"], r["start"], r["stop"]) for r in rows] == [
        ("bias", None, 0, 17), ("bias", "m", 0, 17), ("count", None, 0, 1), ("flags", None, 0, 9),
        ("kernel", None, 0, 400), ("kernel", None, 400, 1000),
        ("kernel", "m", 0, 400), ("kernel", "m", 400, 1000),
    ]  # fmt: skip
    assert rows[4]["bytes"] == 400 * 333 * 4
    assert rows[4]["shape"] == (1000, 333)
    assert checkpoint.inspect(tmp_path) == rows  # the newest in a folder of checkpoints
    with pytest.raises(errors.NotFoundError, match="no checkpoint"):
        checkpoint.inspect(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.DataLossError, match="never finished"):
        checkpoint.inspect(tmp_path / "empty")


def test_a_remote_store(model):
    import fsspec

    parent = "memory://checkpoints/job"
    directory = checkpoint.new_directory(parent, step=3)
    save(directory, model, (0, 400, 1000), {"step": 3})
    assert checkpoint.latest_checkpoint(parent) == directory
    with checkpoint.read(directory) as found:
        for (key, slot), values in model.items():
            np.testing.assert_array_equal(found.tensor(key, slot), values)
        rows = found.tensor("kernel", rows=(399, 402))
        np.testing.assert_array_equal(rows, model["kernel", None][399:402])
    newer = checkpoint.new_directory(parent)
    assert newer != directory
    save(newer, model, (0, 1000))
    assert checkpoint.prune(parent, 1) == [directory]
    assert checkpoint.latest_checkpoint(parent) == newer
    fs = fsspec.filesystem("memory")
    (path,) = [p for p in fs.ls("/checkpoints/job/" + newer.rsplit("/", 1)[1], detail=False)
               if p.endswith(".safetensors")]  # fmt: skip
    data = bytearray(fs.cat(path))
    data[-1] ^= 1
    fs.pipe(path, bytes(data))
    with pytest.raises(errors.DataLossError, match="is corrupt"):
        checkpoint.inspect(newer, verify=True)
    fs.rm("/checkpoints", recursive=True)

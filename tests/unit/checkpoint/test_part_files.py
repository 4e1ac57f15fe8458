"""Files of tensors, read back by the safetensors library."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from shardtape import checkpoint, errors
from shardtape.checkpoint.part import Piece

NUMPY_TYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8"] + [
    "uint64", "uint32", "uint16", "uint8", "bool",
]  # fmt: skip
EXTRA_TYPES = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


def written(directory, tensors, metadata=None):
    fragment = checkpoint.write_part(directory, "part", tensors, metadata)
    return directory / fragment["file"], fragment


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 2, (3, 5)).astype(name) for name in NUMPY_TYPES}
    arrays["dense/kernel"] = rng.normal(size=(300, 257)).astype(np.float32)
    arrays["scalar"] = np.float64(2.5)
    arrays["empty"] = np.zeros((0, 4), np.float32)
    arrays["ärger \u2603"] = np.arange(7, dtype=np.uint8)
    return arrays


def test_the_library_reads_every_type(tmp_path, arrays):
    path, _ = written(tmp_path, arrays)
    found = load_file(path)
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("dtype", EXTRA_TYPES)
def test_short_floats_have_the_librarys_names(tmp_path, dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    path, fragment = written(tmp_path, {"a": values})
    with safe_open(path, "numpy") as file:
        assert file.get_slice("a").get_dtype() == fragment["stored"][0]["dtype"]
        assert file.get_slice("a").get_shape() == [2, 3]
    checkpoint.write_manifest(tmp_path, [fragment])
    found = checkpoint.read(tmp_path).tensor("a")
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


def test_the_layout_has_no_gaps_and_is_aligned(tmp_path, arrays):
    path, fragment = written(tmp_path, arrays)
    data = path.read_bytes()
    assert len(data) == fragment["bytes"]
    (length,) = struct.unpack("<Q", data[:8])
    assert (8 + length) % 64 == 0
    entries = json.loads(data[8 : 8 + length])
    at = 0
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        assert begin == at
        assert not begin % arrays[name].dtype.itemsize
        at = end
    assert 8 + length + at == len(data)


def test_arrays_that_are_not_contiguous(tmp_path):
    whole = np.arange(600 * 700, dtype=np.float32).reshape(600, 700)
    given = {
        "transposed": whole.T,
        "strided": whole[::3, 1::2],
        "fortran": np.asfortranarray(whole),
    }
    given["big-endian"] = np.arange(5, dtype=">i4")
    path, _ = written(tmp_path, given)
    found = load_file(path)
    for name, values in given.items():
        np.testing.assert_array_equal(found[name], values)


def test_the_header_describes_the_part(tmp_path):
    piece = Piece(np.ones((2, 3), np.float32), "w", "m", 4, (8, 3))
    path, fragment = written(tmp_path, [piece], {"shard": 1, "ledger": {"0": [1, 2]}})
    with safe_open(path, "numpy") as file:
        assert list(file.keys()) == ["w/.slot/m[4:6]"]
        described = json.loads(file.metadata()["shardtape"])
    assert described["metadata"] == {"shard": 1, "ledger": {"0": [1, 2]}} == fragment["metadata"]
    (entry,) = described["tensors"]
    assert entry == {
        "key": "w", "slot": "m", "start": 4, "stop": 6, "shape": [8, 3], "dtype": "float32",
        "name": "w/.slot/m[4:6]",
    }  # fmt: skip


def test_a_fragment_is_plain_json(tmp_path, arrays):
    _, fragment = written(tmp_path, arrays)
    assert json.loads(json.dumps(fragment)) == fragment


def test_a_second_writer_of_the_same_name_overwrites_nothing(tmp_path):
    first, _ = written(tmp_path, {"a": np.zeros(3)})
    second, _ = written(tmp_path, {"a": np.ones(3)})
    assert first != second
    assert load_file(first)["a"].sum() == 0


def test_a_finished_checkpoint_takes_no_more_parts(tmp_path):
    _, fragment = written(tmp_path, {"a": np.zeros(3)})
    checkpoint.write_manifest(tmp_path, [fragment])
    with pytest.raises(errors.FailedPreconditionError, match="is finished"):
        written(tmp_path, {"a": np.ones(3)})
    with pytest.raises(errors.AlreadyExistsError, match="finished already"):
        checkpoint.write_manifest(tmp_path, [fragment])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["2020"], "datetime64[Y]"), "'a': a checkpoint file cannot hold .* datetime64"),
        (np.array([{}], object), "'a' is an array of Python objects"),
        (np.zeros(2, [("x", "f4")]), "cannot hold"),
    ],
)
def test_types_that_cannot_be_stored_name_the_tensor(tmp_path, values, message):
    with pytest.raises(errors.InvalidArgumentError, match=message):
        written(tmp_path, {"a": values})
    assert list(tmp_path.iterdir()) == []


def test_pieces_that_do_not_fit(tmp_path):
    for piece in (
        Piece(np.zeros((2, 3)), "w", None, 7, (8, 3)),
        Piece(np.zeros((2, 4)), "w", None, 0, (8, 3)),
        Piece(np.zeros((2, 3)), "w", None, -1, (8, 3)),
        Piece(np.zeros((3,)), "w", None, 0, (8, 3)),
    ):
        with pytest.raises(errors.InvalidArgumentError, match="'w': values of shape"):
            checkpoint.write_part(tmp_path, "part", [piece])
    with pytest.raises(errors.InvalidArgumentError, match="twice"):
        checkpoint.write_part(tmp_path, "part", [Piece(np.zeros(1), "w"), Piece(np.zeros(1), "w")])
    with pytest.raises(errors.InvalidArgumentError, match="plain JSON"):
        checkpoint.write_part(tmp_path, "part", {}, {"a": object()})
    with pytest.raises(errors.InvalidArgumentError, match="a part's name"):
        checkpoint.write_part(tmp_path, "../part", {})

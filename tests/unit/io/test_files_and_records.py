"""tf.io.gfile, whole files, TFRecord writers, and arrays as TensorProtos."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import dtypes as dt
from shardtape.io import tensor_proto
from shardtape.records.record_reader import read_records

gfile = tf.io.gfile


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    if request.param == "local":
        return str(tmp_path)
    path = f"memory://gfile-{tmp_path.name}"
    gfile.makedirs(path)
    return path


def test_files_and_folders(root):
    gfile.makedirs(gfile.join(root, "a/b"))
    assert gfile.exists(gfile.join(root, "a")) and gfile.isdir(gfile.join(root, "a/b"))
    name = gfile.join(root, "a", "x.txt")
    with gfile.GFile(name, "w") as file:
        file.write("one\n")
        file.write("two\n")
    with gfile.GFile(name, "a") as file:
        file.write("three")
    with gfile.GFile(name) as file:
        assert file.readline() == "one\n" and file.read() == "two\nthree"
    assert list(gfile.GFile(name)) == ["one\n", "two\n", "three"]
    assert gfile.GFile(name, "rb").read(3) == b"one"
    assert gfile.stat(name).length == gfile.GFile(name).size() == 13
    gfile.copy(name, gfile.join(root, "a/y.txt"))
    with pytest.raises(tf.errors.AlreadyExistsError):
        gfile.copy(name, gfile.join(root, "a/y.txt"))
    gfile.copy(name, gfile.join(root, "a/y.txt"), overwrite=True)
    assert sorted(gfile.listdir(gfile.join(root, "a"))) == ["b", "x.txt", "y.txt"]
    found = gfile.glob(gfile.join(root, "a/*.txt"))
    assert [f[-5:] for f in found] == ["x.txt", "y.txt"]
    gfile.rename(gfile.join(root, "a/y.txt"), gfile.join(root, "a/z.txt"))
    assert not gfile.exists(gfile.join(root, "a/y.txt"))
    walked = {folder[-1]: (sorted(d), sorted(f)) for folder, d, f in gfile.walk(root)}
    assert walked["a"] == (["b"], ["x.txt", "z.txt"])
    gfile.remove(name)
    with pytest.raises(tf.errors.NotFoundError):
        gfile.remove(name)
    gfile.rmtree(gfile.join(root, "a"))
    assert not gfile.exists(gfile.join(root, "a"))
    for missing in (gfile.rmtree, gfile.listdir, lambda p: gfile.GFile(p).read()):
        with pytest.raises(tf.errors.NotFoundError):
            missing(gfile.join(root, "none"))


def test_wrong_uses_of_files(tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(ValueError, match="mode"):
        gfile.GFile(str(tmp_path / "x"), "q")
    with pytest.raises(tf.errors.PermissionDeniedError, match="writing"):
        gfile.GFile(str(tmp_path / "x")).write("y")
    with pytest.raises(tf.errors.PermissionDeniedError, match="reading"):
        gfile.GFile(str(tmp_path / "x"), "w").read()
    assert "" in gfile.get_registered_schemes() and "memory" in gfile.get_registered_schemes()


def test_whole_files(tmp_path):
    path = str(tmp_path / "deep" / "er" / "file")
    tf.io.write_file(path, b"\0binary\0")
    assert tf.io.read_file(path).numpy() == b"\0binary\0"
    tf.io.write_file(path, "text")

    @tf.function
    def copy(source, target):
        content = tf.io.read_file(source)
        tf.io.write_file(target, tf.strings.join([content, "!"]))
        return tf.io.matching_files(tf.strings.join([source, "*"]))

    assert copy(path, path + "2").numpy().tolist() in ([path.encode()], [path.encode(), (path + "2").encode()])  # fmt: skip  # noqa: E501
    assert tf.io.read_file(path + "2").numpy() == b"text!"


def test_stars_do_not_match_slashes(tmp_path):
    for name in ("a/x.txt", "b/x.txt", "b/.hidden.txt", "x.txt", "[x].txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    root = str(tmp_path)

    def match(pattern):
        return [f[len(root) + 1 :] for f in gfile.glob(f"{root}/{pattern}")]

    assert match("*.txt") == ["[x].txt", "x.txt"]
    assert match("*/x.txt") == ["a/x.txt", "b/x.txt"]
    assert match("[ab]/?.txt") == ["a/x.txt", "b/x.txt"]
    assert match("none/*") == [] and match("x.txt") == ["x.txt"]


def test_record_writers(tmp_path):
    path = tmp_path / "records"
    options = tf.io.TFRecordOptions("GZIP", compression_level=9)
    assert tf.io.TFRecordOptions.get_compression_type_string(options) == "GZIP"
    with pytest.raises(ValueError, match="compression_type"):
        tf.io.TFRecordOptions("BZ2")
    writer = tf.io.TFRecordWriter(str(path))
    writer.write(b"first")
    writer.flush()
    with open(path, "rb") as file:
        assert list(read_records(file, "records")) == [b"first"]
    writer.close()
    writer.close()
    with pytest.raises(tf.errors.FailedPreconditionError, match="closed"):
        writer.write(b"late")


@pytest.mark.parametrize("dtype", [t for t in dt.ALL_TYPES if t.kind != "r"], ids=lambda t: t.name)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensor_protos_come_back(dtype, shape):
    rng = np.random.default_rng(0)
    if dtype is tf.string:
        array = np.empty(shape, object)
        array[...] = b"a\0"
    else:
        array = (rng.normal(size=shape) * 3).astype(dtype.numpy_dtype)
    back = tensor_proto.decode(tensor_proto.encode(array), dtype)
    assert back.dtype == array.dtype and back.shape == shape
    np.testing.assert_array_equal(back, array)


def test_protos_with_values_one_by_one():
    from tensorboard.compat.proto import tensor_pb2, tensor_shape_pb2

    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=n) for n in (2, 2)]
    )
    made = tensor_pb2.TensorProto(dtype=1, tensor_shape=shape, float_val=[1, 2])
    values = tensor_proto.decode(made.SerializeToString(), tf.float32)
    np.testing.assert_array_equal(values, [[1, 2], [2, 2]])  # the last stands for the rest
    with pytest.raises(tf.errors.InvalidArgumentError, match="Type mismatch"):
        tensor_proto.decode(made.SerializeToString(), tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse"):
        tensor_proto.decode(b"\xff\xff", tf.int32)

"""`tf.train.Checkpoint` and its manager on Variables, containers and optimizers."""

import logging
import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file

import shardtape as tf
from shardtape import checkpoint, errors, train
from shardtape.checkpoint import Piece, pending, restoration
from shardtape.optimizers import SGD, Adam


@pytest.fixture(autouse=True)
def nothing_waits():
    yield
    pending._waiting.clear()


class Layer:
    """What a layer looks like to a checkpoint."""

    def __init__(self, rows, columns, seed):
        rng = np.random.default_rng(seed)
        self.kernel = tf.Variable(rng.normal(size=(rows, columns)).astype(np.float32), name="k")
        self.bias = tf.Variable(np.zeros(columns, np.float32), name="b")
        self.units = columns
        self._cache = [self.kernel]

    @property
    def trainable_variables(self):
        return [self.kernel, self.bias]


class Net:
    def __init__(self, seed=0):
        self.layers = [Layer(4, 3, seed), Layer(3, 2, seed + 1)]
        self.scale = tf.Variable(2.0 + seed)
        self.first = self.layers[0]

    @property
    def trainable_variables(self):
        return [v for layer in self.layers for v in layer.trainable_variables] + [self.scale]


def make(seed=0, optimizer=Adam):
    net = Net(seed)
    step = tf.Variable(np.int64(seed))
    return train.Checkpoint(net=net, optimizer=optimizer(0.1 + seed), step=step)


def update(objects):
    variables = objects.net.trainable_variables
    gradients = [np.full(tuple(v.shape), 0.5, np.float32) for v in variables]
    objects.optimizer.apply_gradients(zip(gradients, variables))
    objects.step.assign_add(1)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def values(objects):
    found = [v.numpy() for v in objects.net.trainable_variables] + [objects.step.numpy()]
    for variable in objects.net.trainable_variables:
        found += list(objects.optimizer._slots_of(variable).values())
    return [np.array(value) for value in found]


def assert_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_save_and_restore_go_on_alike(tmp_path):
    first, second = make(0), make(5)
    update(first)
    path = first.save(tmp_path / "ckpt")
    assert path == f"{tmp_path}/ckpt-1"
    status = second.restore(path)
    second.optimizer.build(second.net.trainable_variables)
    status.assert_consumed()
    assert float(second.optimizer.learning_rate) == np.float32(0.1)
    assert int(second.optimizer.iterations) == 1
    assert int(second.save_counter) == 1
    assert_equal(values(first), values(second))
    for objects in (first, second):
        update(objects)
    assert_equal(values(first), values(second))
    assert second.save(tmp_path / "ckpt") == f"{tmp_path}/ckpt-2"
    assert train.latest_checkpoint(tmp_path) == f"{tmp_path}/ckpt-2"


def test_names_are_tensorflows(tmp_path):
    objects = make(optimizer=lambda rate: SGD(rate, momentum=0.9))
    update(objects)
    path = objects.save(tmp_path / "ckpt")
    names = dict(train.list_variables(tmp_path))
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert names == {
        "_CHECKPOINTABLE_OBJECT_GRAPH": [],
        f"net/first/kernel{suffix}": [4, 3],
        f"net/first/bias{suffix}": [3],
        f"net/layers/1/kernel{suffix}": [3, 2],
        f"net/layers/1/bias{suffix}": [2],
        f"net/scale{suffix}": [],
        f"optimizer/_iterations{suffix}": [],
        f"optimizer/_learning_rate{suffix}": [],
        f"save_counter{suffix}": [],
        f"step{suffix}": [],
    } | {
        f"optimizer/_variables/{i}{suffix}": shape
        for i, shape in enumerate([[4, 3], [3], [3, 2], [2], []], 1)
    }
    reader = train.load_checkpoint(path)
    np.testing.assert_array_equal(
        reader.get_tensor(f"net/first/kernel{suffix}"), objects.net.first.kernel.numpy()
    )
    assert train.load_variable(path, f"step{suffix}") == 1
    assert reader.get_variable_to_dtype_map()[f"step{suffix}"] is tf.int64
    assert reader.has_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert b'"net/first/kernel"' in reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert b"net/scale" in reader.debug_string()
    with pytest.raises(errors.NotFoundError, match="Key nothing not found"):
        reader.get_tensor("nothing")


def test_the_file_is_readable_by_the_library(tmp_path):
    objects = make()
    path = pathlib.Path(objects.save(tmp_path / "ckpt"))
    found = load_file(path.with_name("ckpt-1.data-00000-of-00001"))
    np.testing.assert_array_equal(found["net/first/kernel"], objects.net.first.kernel.numpy())


def test_write_replaces_in_one_step(tmp_path):
    objects = make()
    path = objects.write(tmp_path / "best")
    objects.step.assign(77)
    assert objects.write(tmp_path / "best") == path
    assert names(tmp_path) == ["best.data-00000-of-00001", "best.index"]
    objects.step.assign(0)
    objects.read(path).expect_partial()
    assert int(objects.step) == 77


def test_a_failed_write_leaves_the_old_one(tmp_path, monkeypatch):
    objects = make()
    path = objects.save(tmp_path / "best")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.layout.os, "fsync", full)
    with pytest.raises(errors.ResourceExhaustedError):
        objects.save(tmp_path / "best")
    with pytest.raises(errors.ResourceExhaustedError):
        objects.write(path)
    monkeypatch.undo()
    assert int(objects.save_counter) == 1
    objects.restore(path).assert_consumed()


def test_wrong_shapes_and_types_name_the_variable_and_change_nothing(tmp_path):
    path = make().save(tmp_path / "ckpt")
    other = make(3)
    other.net.layers[1].bias = tf.Variable(np.zeros(7, np.float32), name="other")
    before = values(other)
    with pytest.raises(ValueError, match=r"shape \(2,\) .* with shape \(7,\) and name other:0"):
        other.restore(path)
    assert_equal(values(other), before)
    other = make(3)
    other.step = tf.Variable(np.float32(1))
    with pytest.raises(ValueError, match="of type int64 .* of type float32"):
        other.restore(path)


def test_a_corrupt_file_changes_nothing(tmp_path):
    path = make().save(tmp_path / "ckpt")
    part = pathlib.Path(f"{path}.data-00000-of-00001")
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    other = make(3)
    before = values(other)
    with pytest.raises(errors.DataLossError, match=part.name):
        other.restore(path)
    assert_equal(values(other), before)


def test_what_the_status_says(tmp_path, caplog):
    path = make().save(tmp_path / "ckpt")
    step = tf.Variable(np.int64(9))
    partly = train.Checkpoint(step=step)
    with pytest.raises(
        AssertionError,
        match=r"Unresolved object in checkpoint \(root\)\.net\.",
    ):
        partly.restore(path).assert_consumed()
    partly.restore(path).assert_existing_objects_matched().assert_nontrivial_match()
    assert int(step) == 0
    with caplog.at_level(logging.WARNING, "shardtape"):
        partly.restore(path).expect_partial()
        pending._tell_all()
        assert not caplog.records
        partly.restore(path)
        pending._tell_all()  # as at the end of the process
    assert "7 values of the checkpoint" in caplog.text
    assert "found no object: net/first/bias" in caplog.text
    other = train.Checkpoint(unknown=tf.Variable(1.0))
    status = other.restore(path)
    with pytest.raises(
        AssertionError,
        match=r"Found 1 Python objects that were not bound .*Showing 1 of 1 unmatched "
        r"objects: \[<tf.Variable .*>\]\. .* has no value for unknown",
    ):
        status.assert_existing_objects_matched()
    with pytest.raises(AssertionError, match="Nothing except the root object matched"):
        status.assert_nontrivial_match()
    with pytest.raises(AssertionError, match="No checkpoint specified"):
        other.restore(None).assert_existing_objects_matched()
    with pytest.raises(errors.NotFoundError, match="there is no checkpoint"):
        other.restore(tmp_path / "nothing")


def test_roots_containers_and_shared_objects(tmp_path):
    shared = tf.Variable([1.0, 2.0])
    objects = train.Checkpoint(
        a=[shared, {"x/y.z": tf.Variable(3)}], b=(shared, tf.Variable(["s", "t"])), empty=[]
    )
    path = objects.save(tmp_path / "ckpt")
    names = {name for name, _ in train.list_variables(path)}
    assert "a/1/x.Sy..z/.ATTRIBUTES/VARIABLE_VALUE" in names
    shared.assign([0.0, 0.0])
    objects.b[1].assign(["u", "v"])
    objects.restore(path).assert_consumed()
    assert shared.numpy().tolist() == [1.0, 2.0]
    assert objects.b[1].numpy().tolist() == [b"s", b"t"]
    net = Net()
    root_path = train.Checkpoint(net).save(tmp_path / "root")
    assert "scale/.ATTRIBUTES/VARIABLE_VALUE" in dict(train.list_variables(root_path))
    other = Net(4)
    train.Checkpoint(other).restore(root_path).assert_consumed()
    assert float(other.scale) == 2.0


def test_objects_with_values_of_their_own(tmp_path):
    class Counter:
        def __init__(self, n):
            self.n = n

        def _serialize_to_tensors(self):
            return {"STATE": np.array([self.n])}

        def _restore_from_tensors(self, tensors):
            self.n = int(tensors["STATE"][0])

    path = train.Checkpoint(counter=Counter(5)).save(tmp_path / "ckpt")
    assert "counter/.ATTRIBUTES/STATE" in dict(train.list_variables(path))
    other = Counter(0)
    train.Checkpoint(counter=other).restore(path).assert_consumed()
    assert other.n == 5


def test_what_cannot_be_saved():
    with pytest.raises(ValueError, match="trackable object"):
        train.Checkpoint(x=3)
    with pytest.raises(ValueError, match="`root`"):
        train.Checkpoint("text")


def test_a_checkpoint_of_a_job_is_found_by_names(tmp_path):
    kernel = np.arange(12, dtype=np.float32).reshape(4, 3)
    moment = kernel * 2
    parts = [
        [Piece(kernel[:3], "k", None, 0, (4, 3)), Piece(moment[:3], "k", "momentum", 0, (4, 3))],
        [Piece(kernel[3:], "k", None, 3, (4, 3)), Piece(moment[3:], "k", "momentum", 3, (4, 3))],
        [Piece(np.ones(3, np.float32), "b")],
    ]
    fragments = [
        checkpoint.write_part(tmp_path / "c", f"shard-{i}", p) for i, p in enumerate(parts)
    ]
    path = checkpoint.write_manifest(tmp_path / "c", fragments, {"step": 4})
    layer, optimizer = Layer(4, 3, 1), Adam(0.5)
    status = train.Checkpoint(layer=layer).restore(path).expect_partial()
    status.assert_existing_objects_matched()
    train.Checkpoint(layer=layer, optimizer=optimizer).restore(path).expect_partial()
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    np.testing.assert_array_equal(layer.bias.numpy(), np.ones(3))
    np.testing.assert_array_equal(optimizer._slots_of(layer.kernel)["momentum"], moment)
    assert dict(train.list_variables(path)) == {"k": [4, 3], "k/momentum": [4, 3], "b": [3]}


def test_readers_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="Couldn't find"):
        train.load_checkpoint(tmp_path)
    checkpoint.write_part(tmp_path / "c", "p", {})
    with pytest.raises(errors.DataLossError, match="never finished"):
        train.load_checkpoint(tmp_path / "c")
    assert train.get_checkpoint_state(tmp_path) is None


def test_manager_keeps_the_newest(tmp_path):
    objects = make()
    manager = train.CheckpointManager(objects, tmp_path, max_to_keep=2)
    assert manager.latest_checkpoint is None
    assert manager.restore_or_initialize() is None
    paths = [manager.save() for _ in range(4)]
    assert paths == [f"{tmp_path}/ckpt-{i}" for i in (1, 2, 3, 4)]
    assert manager.checkpoints == paths[2:]
    data = ".data-00000-of-00001"
    assert names(tmp_path) == [
        "checkpoint", f"ckpt-3{data}", "ckpt-3.index", f"ckpt-4{data}", "ckpt-4.index",
    ]  # fmt: skip
    lines = (tmp_path / "checkpoint").read_text().splitlines()
    assert lines[:3] == [
        'model_checkpoint_path: "ckpt-4"', 'all_model_checkpoint_paths: "ckpt-3"',
        'all_model_checkpoint_paths: "ckpt-4"',
    ]  # fmt: skip
    assert [line.partition(":")[0] for line in lines[3:]] == [
        "all_model_checkpoint_timestamps", "all_model_checkpoint_timestamps",
        "last_preserved_timestamp",
    ]  # fmt: skip
    again = train.CheckpointManager(make(5), tmp_path, max_to_keep=2)
    assert again.checkpoints == paths[2:]
    assert again.restore_or_initialize() == paths[3]
    assert again.save() == f"{tmp_path}/ckpt-5"
    assert again.save(checkpoint_number=77) == f"{tmp_path}/ckpt-77"
    assert again.latest_checkpoint == train.latest_checkpoint(tmp_path) == f"{tmp_path}/ckpt-77"
    state = train.get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == f"{tmp_path}/ckpt-77"
    assert state.all_model_checkpoint_paths == again.checkpoints


def test_manager_with_intervals(tmp_path, monkeypatch):
    step = tf.Variable(np.int64(0))
    manager = train.CheckpointManager(
        train.Checkpoint(step=step), tmp_path, max_to_keep=1, keep_checkpoint_every_n_hours=1,
        step_counter=step, checkpoint_interval=10,
    )  # fmt: skip
    now = checkpoint.manifest.time.time()
    saved = []
    for half_hours in range(4):
        at_s = now + 1800.0 * half_hours + 1
        monkeypatch.setattr(checkpoint.manifest.time, "time", lambda at_s=at_s: at_s)
        step.assign(half_hours * 10)
        saved.append(manager.save())
        assert saved[-1] is not None
        step.assign_add(5)
        assert manager.save() is None
        step.assign_sub(5)
        assert manager.save(check_interval=False, checkpoint_number=1000 + half_hours)
    monkeypatch.undo()
    kept = [name.removesuffix(".index") for name in names(tmp_path) if name.endswith(".index")]
    assert "ckpt-1003" in kept  # the newest
    assert len(kept) == 2  # and one that was an hour old
    assert manager.checkpoint_interval == 10


def test_manager_arguments(tmp_path):
    objects = make()
    with pytest.raises(ValueError, match="positive integer"):
        train.CheckpointManager(objects, tmp_path, max_to_keep=0)
    with pytest.raises(ValueError, match="step_counter"):
        train.CheckpointManager(objects, tmp_path, 1, checkpoint_interval=3)
    called = []
    manager = train.CheckpointManager(objects, tmp_path, None, init_fn=lambda: called.append(1))
    assert manager.restore_or_initialize() is None
    assert called == [1]
    assert manager.directory == str(tmp_path)
    assert manager.checkpoint is objects


def test_plain_attributes_do_not_look_for_what_a_restore_waits_for(tmp_path, monkeypatch):
    whole, part = tf.Module(), tf.Module()
    whole.a, whole.b = tf.Variable(1.0), tf.Variable(2.0)
    path = tf.train.Checkpoint(m=whole).save(tmp_path / "c")
    tf.train.Checkpoint(m=part).restore(path)
    walks = []
    looked = restoration.children_of
    monkeypatch.setattr(restoration, "children_of", lambda x: walks.append(x) or looked(x))
    part.count, part.text, part.mean = 3, "x", tf.constant(1.0)
    assert not walks
    part.a = tf.Variable(0.0)
    assert walks and part.a.numpy() == 1.0
    part.inner = [tf.Variable(0.0)]
    part.b = tf.Variable(0.0)
    assert part.b.numpy() == 2.0

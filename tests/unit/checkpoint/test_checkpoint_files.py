"""The files of checkpoints of objects: their names, the moments of a kill, the older form."""

import json
import os

import numpy as np
import pytest

import shardtape as tf
from shardtape import checkpoint, errors, keras, storage, train
from shardtape.checkpoint import object_graph, pending, prefix
from shardtape.checkpoint.object_checkpoint import collected
from shardtape.checkpoint.state_file import update_checkpoint_state


@pytest.fixture(autouse=True)
def nothing_waits():
    yield
    pending._waiting.clear()


DATA = ".data-00000-of-00001"


def names(folder):
    return sorted(os.listdir(folder))


def holding(value):
    return train.Checkpoint(v=tf.Variable(value))


def restored(path):
    objects = holding(0.0)
    objects.read(path).assert_existing_objects_matched()
    return float(objects.v)


def test_files_have_tensorflows_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = holding(1.0)
    assert objects.save("./tf_ckpts/ckpt") == "./tf_ckpts/ckpt-1"
    assert names("tf_ckpts") == ["checkpoint", f"ckpt-1{DATA}", "ckpt-1.index"]
    assert (tmp_path / "tf_ckpts/checkpoint").read_text() == (
        'model_checkpoint_path: "ckpt-1"\nall_model_checkpoint_paths: "ckpt-1"\n'
    )
    assert objects.write("./w/one") == "./w/one"
    assert names("w") == [f"one{DATA}", "one.index"]
    assert train.latest_checkpoint("tf_ckpts/") == "tf_ckpts/ckpt-1"
    assert train.latest_checkpoint("tf_ckpts", "other") is None
    assert objects.save("bare") == "bare-2" and restored("bare-2") == 1.0
    assert train.latest_checkpoint(".") == "./bare-2"


def test_the_state_file_says_which_is_the_newest(tmp_path):
    objects = holding(1.0)
    paths = [objects.save(tmp_path / "ckpt") for _ in range(3)]
    assert train.latest_checkpoint(tmp_path) == paths[2]
    update_checkpoint_state(tmp_path, paths[1], paths[:2])
    assert train.latest_checkpoint(tmp_path) == paths[1]
    state = train.get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == paths[1]
    assert state.all_model_checkpoint_paths == paths[:2]
    os.remove(f"{paths[1]}{DATA}")  # it points at something that is not whole any more
    assert train.latest_checkpoint(tmp_path) == paths[2]
    odd = tmp_path / 'a "b'
    path = holding(2.0).save(odd / 'x\\"y')
    assert train.latest_checkpoint(odd) == path and restored(path) == 2.0


def test_a_damaged_state_file_counts_as_none(tmp_path):
    first, newest = (
        holding(value).save(tmp_path / name) for value, name in ((1.0, "a"), (2.0, "b"))
    )
    update_checkpoint_state(tmp_path, first)
    with open(tmp_path / "checkpoint", "a") as file:
        file.write("all_model_checkpoint_timestamps: 17x\n")
    assert train.latest_checkpoint(tmp_path) == newest


def test_a_kill_before_the_index_leaves_the_old_one(tmp_path, monkeypatch):
    path = holding(1.0).write(tmp_path / "best")

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(prefix, "publish", killed)
    monkeypatch.setattr(prefix.storage, "remove", lambda path: None)  # nobody is left to tidy up
    with pytest.raises(KeyboardInterrupt):
        holding(2.0).write(path)
    monkeypatch.undo()
    assert len(names(tmp_path)) == 3
    assert restored(path) == 1.0
    holding(3.0).write(path)
    assert restored(path) == 3.0
    assert names(tmp_path) == [f"best{DATA}", "best.index"]


def test_a_kill_after_the_index_leaves_the_new_one(tmp_path, monkeypatch):
    path = holding(1.0).write(tmp_path / "best")
    replace = storage.replace

    def killed(source, target):
        if target.endswith(DATA):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(storage, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        holding(2.0).write(path)
    monkeypatch.undo()
    assert len(names(tmp_path)) == 3
    assert restored(path) == 2.0
    assert checkpoint.whole_checkpoints(tmp_path) == [path]
    holding(3.0).write(path)
    assert restored(path) == 3.0
    assert names(tmp_path) == [f"best{DATA}", "best.index"]


def test_an_interrupt_after_the_index_keeps_its_tensors(tmp_path, monkeypatch):
    path = holding(1.0).write(tmp_path / "best")

    def interrupted(*args):
        if restored(path) == 2.0:  # what a reader finds while the writer is at work
            raise KeyboardInterrupt

    monkeypatch.setattr(storage, "sync_directory", interrupted)
    with pytest.raises(KeyboardInterrupt):
        holding(2.0).write(path)
    monkeypatch.undo()
    assert restored(path) == 2.0


@pytest.mark.parametrize("ending", [DATA, ".index"])
def test_damage_is_told_with_the_files_name(tmp_path, ending):
    path = holding([1.0] * 100).write(tmp_path / "c")
    with open(f"{path}{ending}", "r+b") as file:
        file.seek(-3, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(errors.DataLossError, match=f"c{ending}"):
        holding([0.0] * 100).read(path)
    os.truncate(f"{path}{ending}", 30)
    assert checkpoint.whole_checkpoints(tmp_path) == []
    [(broken, fault)] = checkpoint.broken_checkpoints(tmp_path)
    assert broken == path and f"c{ending}" in fault


def test_folders_of_the_older_form_are_read_and_replaced(tmp_path):
    objects = holding(7.0)
    path = str(tmp_path / "ckpt-1")
    pieces, graph = collected(object_graph.nodes_of(objects))
    part = checkpoint.write_part(path, "objects", pieces)
    checkpoint.write_manifest(path, [part], {"object_graph": graph})
    assert train.latest_checkpoint(tmp_path) == path
    assert restored(path) == 7.0
    assert train.list_variables(path)[-1] == ("v/.ATTRIBUTES/VARIABLE_VALUE", [])
    manager = train.CheckpointManager(holding(8.0), tmp_path, max_to_keep=1)
    assert manager.checkpoints == [path]
    assert manager.save() == path and restored(path) == 8.0
    assert names(tmp_path) == ["checkpoint", f"ckpt-1{DATA}", "ckpt-1.index"]
    assert checkpoint.directory.remove_checkpoint(path)
    assert names(tmp_path) == ["checkpoint"]


def test_checkpoints_of_tensorflow_beside_ours_are_passed_over(tmp_path):
    (tmp_path / "theirs.index").write_bytes(bytes(40) + bytes.fromhex("57fb808b247547db"))
    path = holding(1.0).write(tmp_path / "ours")
    assert checkpoint.whole_checkpoints(tmp_path) == [path]
    assert checkpoint.broken_checkpoints(tmp_path) == []
    with pytest.raises(errors.InvalidArgumentError, match="TensorFlow wrote"):
        holding(0.0).read(tmp_path / "theirs")


def test_what_is_not_there(tmp_path):
    for read in (holding(0.0).restore, train.load_checkpoint):
        with pytest.raises(errors.NotFoundError, match="as in 'folder/ckpt-1'"):
            read(tmp_path / "ckpt")
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file"):
        train.load_checkpoint(tmp_path)


def test_weights_of_a_model(tmp_path):
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    model.save_weights(tmp_path / "checkpoints/my_checkpoint")
    assert names(tmp_path / "checkpoints") == [
        "checkpoint", f"my_checkpoint{DATA}", "my_checkpoint.index",
    ]  # fmt: skip
    path = train.latest_checkpoint(tmp_path / "checkpoints")
    assert path == f"{tmp_path}/checkpoints/my_checkpoint"
    other = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    other.load_weights(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    with pytest.raises(errors.AlreadyExistsError, match="overwrite=True"):
        model.save_weights(path, overwrite=False)


def test_names_of_an_adam(tmp_path):
    """Names and shapes are TensorFlow 2.15's for the same objects."""
    layer = keras.layers.Dense(5)
    layer.build([None, 1])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(layer.trainable_variables)
    path = train.Checkpoint(step=tf.Variable(1), optimizer=optimizer, net=layer).save(
        tmp_path / "ckpt"
    )
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert train.list_variables(path) == [
        ("_CHECKPOINTABLE_OBJECT_GRAPH", []), (f"net/bias{suffix}", [5]),
        (f"net/kernel{suffix}", [1, 5]), (f"optimizer/_iterations{suffix}", []),
        (f"optimizer/_learning_rate{suffix}", []), (f"optimizer/_variables/1{suffix}", [1, 5]),
        (f"optimizer/_variables/2{suffix}", [1, 5]), (f"optimizer/_variables/3{suffix}", [5]),
        (f"optimizer/_variables/4{suffix}", [5]), (f"save_counter{suffix}", []),
        (f"step{suffix}", []),
    ]  # fmt: skip
    index = json.loads((tmp_path / "ckpt-1.index").read_text())
    assert index["files"][0]["file"] == f"ckpt-1{DATA}"


def test_saved_models_of_the_older_form_are_read(tmp_path):
    module = tf.Module()
    module.v = tf.Variable([1.0, 2.0])
    tf.saved_model.save(module, tmp_path)
    folder = tmp_path / "variables"
    assert names(folder) == [f"variables{DATA}", "variables.index"]
    with checkpoint.read(folder / "variables") as stored:
        tensors, state = {k: stored.tensor(k) + 1 for k in stored.variables}, stored.state
    checkpoint.directory.remove_checkpoint(folder / "variables")
    part = checkpoint.write_part(folder, "objects", tensors)
    checkpoint.write_manifest(folder, [part], state)
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path).v, [2.0, 3.0])


def test_older_names_of_the_functions(tmp_path, monkeypatch):
    """What is there, and the paths that the file names, are as in TensorFlow 2.15."""
    monkeypatch.chdir(tmp_path)
    v1 = tf.compat.v1.train
    paths = [holding(1.0).save("d/ckpt"), holding(2.0).write("d/ckpt-2")]
    for there in (*paths, "d", "d/", "d/ckpt-1.index", "d/ckpt-*"):
        assert v1.checkpoint_exists(there), there
    for missing in ("d/ckpt-3", "d/ckpt", "nope", "d/x*"):
        assert not v1.checkpoint_exists(missing), missing
    v1.update_checkpoint_state("d", paths[1])
    assert v1.latest_checkpoint("d") == paths[1] == train.latest_checkpoint("d")
    v1.update_checkpoint_state("d", paths[1], [paths[0]])
    assert (tmp_path / "d/checkpoint").read_text() == str(v1.get_checkpoint_state("d")).replace(
        "d/", ""
    )
    assert v1.get_checkpoint_state("d").all_model_checkpoint_paths == paths
    os.mkdir("other")
    update_checkpoint_state("other", paths[0])
    assert (
        (tmp_path / "other/checkpoint")
        .read_text()
        .startswith('model_checkpoint_path: "../d/ckpt-1"')
    )
    assert restored(train.latest_checkpoint("other")) == 1.0
    assert len(v1.get_checkpoint_mtimes([paths[0], "nope"])) == 1
    v1.remove_checkpoint(paths[1])
    assert names("d") == ["checkpoint", f"ckpt-1{DATA}", "ckpt-1.index"]
    with pytest.raises(AttributeError, match="tf.train.Checkpoint saves"):
        v1.Saver  # noqa: B018

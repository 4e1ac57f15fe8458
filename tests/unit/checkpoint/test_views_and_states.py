"""`CheckpointView` and `PythonState`; names and counts recorded from TensorFlow 2.15."""

import io

import numpy as np
import pytest

import shardtape as tf


def saved(tmp_path):
    root = tf.Module()
    root.a, root.b, root.l = tf.Variable(1.0), tf.Module(), [tf.Variable(1.0)]
    root.b.c = tf.Variable(2.0)
    return root, tf.train.Checkpoint(root=root, x=tf.Variable(3)).save(tmp_path / "ck")


def test_children_and_descendants_of_a_checkpoint(tmp_path):
    _, path = saved(tmp_path)
    view = tf.train.CheckpointView(path)
    children = view.children(0)
    assert {"a", "b", "l", "x", "save_counter"} <= set(children)
    assert list(view.children(children["b"])) == ["c"] and list(view.children(children["l"])) == [
        "0"
    ]
    assert sorted(view.descendants()) == list(range(len(view.descendants())))
    with pytest.raises(IndexError):
        view.children(99)
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.CheckpointView(tmp_path / "none")


def test_what_matches_live_objects(tmp_path):
    root, path = saved(tmp_path)
    view = tf.train.CheckpointView(path)
    names = {number: name for name, number in view.children(0).items()}
    matched, left, missing = view.diff(root)
    assert {names[n] for n in matched if n in names} == {"a", "b", "l"}
    assert {names[n] for n in left} == {"x", "save_counter"} and missing == []
    assert matched[view.children(0)["a"]] is root.a
    other = tf.Module()
    other.b, other.z = tf.Module(), tf.Variable(1.0)
    other.b.c = tf.Variable(1.0)
    matched, left, missing = view.diff(other)
    assert [type(v).__name__ for v in matched.values()][:2] == ["Module", "Module"]
    assert len(matched) == 3 and any(v is other.b.c for v in matched.values())
    assert len(missing) == 1 and missing[0] is other.z
    assert view.match(other).keys() == matched.keys()


class Array(tf.train.experimental.PythonState):
    def __init__(self, array):
        self.array = array

    def serialize(self):
        file = io.BytesIO()
        np.save(file, self.array, allow_pickle=False)
        return file.getvalue()

    def deserialize(self, string_value):
        self.array = np.load(io.BytesIO(string_value), allow_pickle=False)


def test_objects_of_ones_own_are_saved_and_restored(tmp_path):
    root = tf.train.Checkpoint(numpy=Array(np.array([1.0])), step=tf.Variable(3))
    path = root.save(tmp_path / "ck")
    root.numpy.array = root.numpy.array * 2.0
    root.step.assign(7)
    root.restore(path).assert_consumed()
    assert root.numpy.array.tolist() == [1.0] and root.step.numpy() == 3
    later = tf.train.Checkpoint()
    status = later.restore(path)
    later.numpy = Array(None)
    status.assert_existing_objects_matched()
    later.step = tf.Variable(0)
    status.assert_consumed()
    assert later.numpy.array.tolist() == [1.0] and later.step.numpy() == 3


def test_texts_are_given_back_as_bytes(tmp_path):
    class Text(tf.train.experimental.PythonState):
        value = "abc\0ü"

        def serialize(self):
            return self.value

        def deserialize(self, string_value):
            self.value = string_value

    text = Text()
    tf.train.Checkpoint(s=text).write(tmp_path / "ck")
    tf.train.Checkpoint(s=text).read(tmp_path / "ck").assert_consumed()
    assert text.value == "abc\0ü".encode()
    text.serialize = lambda: 5
    with pytest.raises(TypeError, match="must return a string"):
        tf.train.Checkpoint(s=text).write(tmp_path / "other")
    with pytest.raises(TypeError, match="abstract"):
        tf.train.experimental.PythonState()

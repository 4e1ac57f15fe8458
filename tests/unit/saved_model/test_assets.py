"""Files that go along with a saved model, as TensorFlow 2.15 keeps them."""

import shutil

import pytest

import shardtape as tf


class Reads(tf.Module):
    def __init__(self, path):
        super().__init__()
        self.file = tf.saved_model.Asset(str(path))
        self.more = {"again": tf.saved_model.Asset(str(path))}

    @tf.function(input_signature=[])
    def path(self):
        return self.file.asset_path

    @tf.function(input_signature=[tf.TensorSpec([], tf.bool)])
    def text(self, whole):
        if whole:
            return tf.io.read_file(self.file.asset_path)
        return tf.io.read_file(self.more["again"])


def test_files_are_copied_and_found_again(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("hello")
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    tf.saved_model.save(Reads(words), first)
    words.unlink()
    loaded = tf.saved_model.load(first)
    assert [p.name for p in (tmp_path / "first" / "assets").iterdir()] == ["words.txt"]
    assert loaded.path().numpy().decode() == f"{first}/assets/words.txt"
    assert loaded.file.asset_path.numpy() == loaded.path().numpy()
    assert loaded.text(True).numpy() == loaded.text(False).numpy() == b"hello"

    tf.saved_model.save(loaded, second)
    shutil.rmtree(first)
    again = tf.saved_model.load(second)
    assert again.path().numpy().decode() == f"{second}/assets/words.txt"
    assert again.text(True).numpy() == b"hello"


def test_files_of_one_name(tmp_path):
    module = tf.Module()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
        setattr(module, name, tf.saved_model.Asset(str(tmp_path / name / "f")))
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    texts = [tf.io.read_file(asset.asset_path).numpy() for asset in (loaded.a, loaded.b)]
    assert texts == [b"a", b"b"]


def test_a_missing_file_and_a_signature_without_a_trace(tmp_path):
    module = tf.Module()
    module.file = tf.saved_model.Asset(str(tmp_path / "none"))
    with pytest.raises(tf.errors.NotFoundError):
        tf.saved_model.save(module, str(tmp_path / "model"))
    with pytest.raises(ValueError, match="input_signature"):
        tf.saved_model.save(tf.Module(), str(tmp_path / "m"), signatures=tf.function(lambda x: x))

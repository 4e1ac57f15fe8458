"""`get_file` and the data sets, on files that a local URL gives."""

import gzip
import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras import datasets, downloads
from shardtape.keras.datasets import archives


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the network; the cache is beside it."""
    folder = tmp_path / "source"
    folder.mkdir()
    monkeypatch.setattr(archives, "KERAS", f"file://{folder}/")
    monkeypatch.setattr(archives, "TORONTO", f"file://{folder}/")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    for module in vars(datasets).values():
        for name in ("_SHA256", "_MD5"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, None)
    return folder


def test_a_file_is_downloaded_once(source: Path, tmp_path: Path, capsys: Any) -> None:
    (source / "a.txt").write_text("first")
    url = f"file://{source}/a.txt"
    path = tf.keras.utils.get_file(origin=url)
    assert path == str(tmp_path / "cache/datasets/a.txt")
    assert capsys.readouterr().out.startswith(f"Downloading data from {url}\n")
    (source / "a.txt").write_text("second")
    assert Path(tf.keras.utils.get_file("a.txt", url)).read_text() == "first"
    assert capsys.readouterr().out == ""
    digest = hashlib.sha256(b"second").hexdigest()
    again = tf.keras.utils.get_file("a.txt", url, file_hash=digest)
    assert Path(again).read_text() == "second"
    assert "re-download" in capsys.readouterr().out


def test_archives_are_unpacked(source: Path, tmp_path: Path) -> None:
    with tarfile.open(source / "pack.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("pack/inner.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    url = f"file://{source}/pack.tar.gz"
    folder = tf.keras.utils.get_file("pack", url, untar=True, cache_dir=tmp_path / "a")
    assert (Path(folder) / "inner.txt").read_text() == "hello"
    file = tf.keras.utils.get_file(origin=url, extract=True, cache_dir=tmp_path / "b")
    assert (Path(file).parent / "pack/inner.txt").read_text() == "hello"


def test_what_cannot_be_had_is_said(source: Path) -> None:
    url = f"file://{source}/none.npz"
    with pytest.raises(tf.errors.UnavailableError, match="URL fetch failure on .*none.npz.* lay"):
        tf.keras.utils.get_file(origin=url)
    (source / "b.txt").write_text("x")
    with pytest.raises(tf.errors.InvalidArgumentError, match="hash does not match"):
        tf.keras.utils.get_file(origin=f"file://{source}/b.txt", file_hash="0" * 64)
    assert not list(Path(downloads.os.environ["KERAS_HOME"]).rglob("*.part*"))


def test_an_answer_that_ends_too_soon_is_no_file(source: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"half")

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        with pytest.raises(tf.errors.UnavailableError, match="got only 4 out of 9 bytes"):
            tf.keras.utils.get_file("c.txt", f"http://127.0.0.1:{server.server_port}/c.txt")
        thread.join(5)
    assert not list(Path(downloads.os.environ["KERAS_HOME"]).rglob("c.txt*"))


def test_mnist_and_fashion_mnist(source: Path) -> None:
    x = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    y = np.uint8([3, 7])
    np.savez(source / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    (a, b), (c, d) = tf.keras.datasets.mnist.load_data()
    np.testing.assert_array_equal(a, x)
    assert (b.tolist(), c.shape, d.tolist()) == ([3, 7], (1, 28, 28), [3])
    for part in ("train", "t10k"):
        labels, images = bytes(8) + y.tobytes(), bytes(16) + x.tobytes()
        (source / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        (source / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (a, b), (c, d) = tf.keras.datasets.fashion_mnist.load_data()
    np.testing.assert_array_equal(a, x)
    np.testing.assert_array_equal(d, y)


def _cifar(path: Path, folder: str, batches: dict[str, dict[bytes, Any]]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, batch in batches.items():
            data = pickle.dumps(batch)
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def test_cifar(source: Path) -> None:
    pixels = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    batch = {b"data": pixels, b"labels": [1, 9]}
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    _cifar(source / "cifar-10-python.tar.gz", "cifar-10-batches-py", dict.fromkeys(names, batch))
    (x, y), (x_test, _) = tf.keras.datasets.cifar10.load_data()
    assert (x.shape, y.shape, x_test.shape) == ((10, 32, 32, 3), (10, 1), (2, 32, 32, 3))
    assert y[:2, 0].tolist() == [1, 9]
    np.testing.assert_array_equal(x[0, 0, :3, 1], pixels[0, 1024:1027])  # green of the first row
    hundred = {b"data": pixels, b"fine_labels": [50, 60], b"coarse_labels": [5, 6]}
    _cifar(source / "cifar-100-python.tar.gz", "cifar-100-python",
           {"train": hundred, "test": hundred})  # fmt: skip
    (_, y), _ = tf.keras.datasets.cifar100.load_data("coarse")
    assert y.tolist() == [[5], [6]]
    with pytest.raises(ValueError, match="label_mode"):
        tf.keras.datasets.cifar100.load_data("other")


class _Wrong:
    def __reduce__(self) -> Any:
        return print, ("run",)


def test_a_file_with_code_is_refused(source: Path) -> None:
    _cifar(source / "cifar-100-python.tar.gz", "cifar-100-python",
           {"train": {b"data": _Wrong()}, "test": {}})  # fmt: skip
    with pytest.raises(tf.errors.DataLossError, match="print"):
        tf.keras.datasets.cifar100.load_data()


def test_texts(source: Path) -> None:
    texts = np.empty(4, object)
    texts[:] = [[1, 2, 30], [4, 5], [6], [1, 50]]
    y = np.array([0, 1, 0, 1])
    np.savez(source / "imdb.npz", x_train=texts, y_train=y, x_test=texts[:2], y_test=y[:2])
    np.savez(source / "reuters.npz", x=texts, y=y)
    (x, labels), (x_test, _) = tf.keras.datasets.imdb.load_data(num_words=10)
    wanted = {(1, 4, 5, 2): 0, (1, 7, 8): 1, (1, 9): 0, (1, 4, 2): 1}
    assert {tuple(t): label for t, label in zip(x, labels)} == wanted
    assert sorted(map(len, x_test)) == [3, 4]
    (x, labels), (x_test, _) = tf.keras.datasets.reuters.load_data(
        start_char=None, index_from=0, oov_char=None, skip_top=2, test_split=0.25
    )
    assert (len(x), len(x_test)) == (3, 1)
    assert all(w >= 2 for text in x for w in text)
    with pytest.raises(ValueError, match="maxlen=1"):
        tf.keras.datasets.reuters.load_data(maxlen=1)
    (source / "imdb_word_index.json").write_text(json.dumps({"the": 1}))
    assert tf.keras.datasets.imdb.get_word_index() == {"the": 1}


def test_boston_housing(source: Path) -> None:
    np.savez(source / "boston_housing.npz", x=np.arange(20.0).reshape(10, 2), y=np.arange(10.0))
    (x, y), (x_test, y_test) = tf.keras.datasets.boston_housing.load_data()
    order = np.arange(10)
    np.random.RandomState(113).shuffle(order)
    np.testing.assert_array_equal(np.concatenate([y, y_test]), order)
    np.testing.assert_array_equal(x[:, 0], 2 * y)
    assert len(x_test) == 2

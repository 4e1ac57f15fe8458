"""Files of models that TensorFlow 2.15 wrote, read here; and ours, read here again."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from parity import keras_file_errors, keras_file_models, recorded

import shardtape as tf

pytest.importorskip("h5py")
keras = tf.keras
ARCHIVE = recorded.DATA / "keras_files_tf215.zip"
MODELS = keras_file_models.MODELS
with zipfile.ZipFile(ARCHIVE) as _archive:
    FILES = {name: _archive.read(name) for name in _archive.namelist()}
ARRAYS = dict(np.load(io.BytesIO(FILES["arrays.npz"])))
NOTES = json.loads(FILES["notes.json"])


@pytest.fixture(autouse=True)
def fresh() -> None:
    keras.backend.clear_session()


def recorded_file(folder: Path, name: str) -> str:
    path = folder / name
    path.write_bytes(FILES[name])
    return str(path)


def check(name: str, what: str, got: list[np.ndarray], atol: float = 1e-5) -> None:
    wanted = [ARRAYS[k] for k in ARRAYS if k.rsplit("/", 1)[0] == f"{name}/{what}"]
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol, err_msg=f"{name} {what}")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_models_of_tensorflow(tmp_path: Path, name: str, ending: str) -> None:
    _, x, y = MODELS[name](tf)
    keras.backend.clear_session()
    model = keras.models.load_model(recorded_file(tmp_path, f"{name}.{ending}"))
    check(name, "predicted", keras_file_models.predictions(model, x))
    # the optimizer goes on with its moments, which shows after further steps
    check(name, "trained", keras_file_models.trained_on(model, x, y), atol=3e-5)


def test_words_that_a_model_of_tensorflow_has_learned(tmp_path: Path) -> None:
    model = keras.models.load_model(recorded_file(tmp_path, "vocabulary.keras"))
    got = model(tf.constant(keras_file_models.TEXTS)).numpy()
    check("vocabulary", "called", [got])


def test_a_class_of_the_users_own_from_tensorflow(tmp_path: Path) -> None:
    path = recorded_file(tmp_path, "subclass.keras")
    with pytest.raises(ValueError, match="'Own'"):
        keras.models.load_model(path)
    own = {"Own": keras_file_models.own_class(tf)}
    model = keras.models.load_model(path, custom_objects=own)
    _, x, y = keras_file_models.subclass(tf)
    check("subclass", "predicted", keras_file_models.predictions(model, x))
    check("subclass", "trained", keras_file_models.trained_on(model, x, y), atol=3e-5)


@pytest.mark.parametrize("ending", ["weights.h5", "older.h5", "keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_weights_of_tensorflow(tmp_path: Path, name: str, ending: str) -> None:
    model, x, _ = MODELS[name](tf)
    model.load_weights(recorded_file(tmp_path, f"{name}.{ending}"))
    check(name, "predicted", keras_file_models.predictions(model, x))


@pytest.mark.parametrize("name", MODELS)
def test_configurations_of_tensorflow(name: str, tmp_path: Path) -> None:
    model = keras.models.model_from_json(FILES[f"{name}.json"].decode())
    model.load_weights(recorded_file(tmp_path, f"{name}.older.h5"))
    _, x, _ = MODELS[name](tf)
    check(name, "predicted", keras_file_models.predictions(model, x))
    again = keras.models.model_from_json(model.to_json())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_our_files_are_of_the_same_form(tmp_path: Path, name: str, ending: str) -> None:
    import h5py

    model, x, y = MODELS[name](tf)
    path = str(tmp_path / f"m.{ending}")
    model.save(path)
    if ending == "keras":
        with (
            zipfile.ZipFile(path) as ours,
            zipfile.ZipFile(io.BytesIO(FILES[f"{name}.keras"])) as it,
        ):
            assert set(ours.namelist()) == set(it.namelist())
            streams = [io.BytesIO(z.read("model.weights.h5")) for z in (ours, it)]
            configs = [json.loads(z.read("config.json")) for z in (ours, it)]
        assert _shape_of(configs[0]) == _shape_of(configs[1])
    else:
        streams = [path, io.BytesIO(FILES[f"{name}.h5"])]
    mine, theirs = (_datasets(h5py, s) for s in streams)
    left = {k for k in theirs if "metrics" in k}  # of models that were compiled in other ways
    assert {k: v for k, v in mine.items() if "metrics" not in k} == {
        k: v for k, v in theirs.items() if k not in left
    }
    again = keras.models.load_model(path)
    for a, b in zip(keras_file_models.trained_on(again, x, y),
                    keras_file_models.trained_on(model, x, y)):  # fmt: skip
        np.testing.assert_allclose(a, b, atol=1e-6)


def _datasets(h5py, source) -> dict[str, tuple[int, ...]]:
    found = {}

    def visit(name, item):
        if hasattr(item, "shape"):
            found[name] = item.shape

    with h5py.File(source, "r") as file:
        file.visititems(visit)
    return found


def _shape_of(config: dict) -> list:
    """Classes and names of the layers, whatever their order and the operations between them."""
    entries = [e for e in config["config"]["layers"] if "OpLambda" not in e["class_name"]]
    return sorted((e["class_name"], e["config"]["name"]) for e in entries)


@pytest.mark.parametrize("name", keras_file_errors.CASES)
def test_errors_are_those_of_keras(tmp_path: Path, name: str) -> None:
    classes, text = keras_file_errors.classes_and_text(tf, name, os.fspath(tmp_path))
    wanted_kind, wanted_text = NOTES["errors"][name]
    assert wanted_kind in set(classes) - {"Exception"}, (text, wanted_text)
    for word in ("expected", "found", "named", "shape", "weight"):
        assert (word in text) or (word not in wanted_text), (text, wanted_text)


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")

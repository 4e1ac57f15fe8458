"""Writes the models of `keras_file_models.py` with an installed TensorFlow, or reads ours there.

    PYTHON_OF_TENSORFLOW_2.15 tests/parity/record_keras_files_tf.py            # records
    PYTHON_OF_TENSORFLOW_2.15 tests/parity/record_keras_files_tf.py FOLDER OUT # reads FOLDER

The first form makes `data/keras_files_tf215.zip`: each model's files, what it predicts and what it
predicts after two more steps of training. The second loads files that Shardtape wrote, and writes
the same numbers to OUT.
"""

import json
import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import tensorflow as tf
from parity import keras_file_errors, keras_file_models

warnings.filterwarnings("ignore")
TARGET = Path(__file__).parent / "data" / "keras_files_tf215.zip"


def record() -> None:
    arrays, errors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in keras_file_models.MODELS.items():
            tf.keras.backend.clear_session()
            tf.keras.utils.set_random_seed(7)
            model, x, y = make(tf)
            for ending in ("keras", "h5"):
                model.save(f"{folder}/{name}.{ending}")
            for ending in ("weights.h5", "older.h5"):
                model.save_weights(f"{folder}/{name}.{ending}")
            for i, value in enumerate(keras_file_models.predictions(model, x)):
                arrays[f"{name}/predicted/{i}"] = value
            for i, value in enumerate(keras_file_models.trained_on(model, x, y)):
                arrays[f"{name}/trained/{i}"] = value
            Path(f"{folder}/{name}.json").write_text(model.to_json())
        model = keras_file_models.vocabulary(tf)
        model.save(f"{folder}/vocabulary.keras")
        arrays["vocabulary/called/0"] = model(tf.constant(keras_file_models.TEXTS)).numpy()
        model, x, y = keras_file_models.subclass(tf)
        model.save(f"{folder}/subclass.keras")
        arrays["subclass/predicted/0"] = keras_file_models.predictions(model, x)[0]
        arrays["subclass/trained/0"] = keras_file_models.trained_on(model, x, y)[0]
        for name in keras_file_errors.CASES:
            with tempfile.TemporaryDirectory() as inner:
                tf.keras.backend.clear_session()
                errors[name] = keras_file_errors.outcome(tf, name, inner)
        np.savez(f"{folder}/arrays.npz", **arrays)
        notes = {"tensorflow": tf.__version__, "errors": errors}
        Path(f"{folder}/notes.json").write_text(json.dumps(notes))
        with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_LZMA) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)
    print(f"{len(keras_file_models.MODELS)} models, {TARGET.stat().st_size} bytes in {TARGET}")


def read(folder: str, out: str) -> None:
    arrays, failed = {}, {}
    for name, make in keras_file_models.MODELS.items():
        for ending in ("keras", "h5", "weights.h5", "older.h5"):
            tf.keras.backend.clear_session()
            tf.keras.utils.set_random_seed(11)
            key, path = f"{name}.{ending}", f"{folder}/{name}.{ending}"
            try:
                model, x, y = make(tf)
                if ending in ("keras", "h5"):
                    model = tf.keras.models.load_model(path)
                else:
                    model.load_weights(path)
                for i, value in enumerate(keras_file_models.predictions(model, x)):
                    arrays[f"{key}/predicted/{i}"] = value
                if ending in ("keras", "h5"):
                    for i, value in enumerate(keras_file_models.trained_on(model, x, y)):
                        arrays[f"{key}/trained/{i}"] = value
            except Exception as error:  # noqa: BLE001 - each failure is reported
                failed[key] = f"{type(error).__name__}: {error}"
    arrays["failed"] = np.frombuffer(json.dumps(failed).encode(), np.uint8)
    np.savez(out, **arrays)


if __name__ == "__main__":
    read(*sys.argv[1:]) if sys.argv[1:] else record()

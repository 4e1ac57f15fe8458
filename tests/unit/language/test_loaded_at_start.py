"""What `import shardtape` leaves for later: what few programs need and what is slow to load."""

import subprocess
import sys

import pytest

import shardtape as tf

LATER = [
    "concurrent.futures", "http.client", "ray", "grpc", "sqlite3", "tensorboard", "urllib.request",
    "shardtape.distribute.mirrored", "shardtape.keras.applications.resnet",
    "shardtape.raw_functions",
]  # fmt: skip


def test_what_is_loaded_later():
    code = f"import sys, shardtape; print(*[m for m in {LATER} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.split() == []


def test_names_that_are_loaded_later_are_found():
    assert tf.keras.applications.ResNet50 is tf.keras.applications.resnet50.ResNet50
    assert {"NASNetMobile", "vgg16"} <= set(dir(tf.keras.applications))
    assert issubclass(tf.distribute.MirroredStrategy, tf.distribute.Strategy)
    with pytest.raises(AttributeError, match="the nearest name is 'EfficientNetB3'"):
        _ = tf.keras.applications.EficientNetB3
    with pytest.raises(AttributeError, match="there is 'tf.keras.applications.NASNetLarge'"):
        _ = tf.keras.NASNetLarge

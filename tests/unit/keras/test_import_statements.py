"""Import statements of programs, with only the package's name changed."""

import importlib
import subprocess
import sys

import pytest

# those of TensorFlow 2.15's public packages below tf.keras that books and courses import from
PACKAGES = [
    "keras", "keras.activations", "keras.applications.vgg16", "keras.applications.resnet50",
    "keras.backend", "keras.callbacks", "keras.constraints", "keras.datasets.mnist",
    "keras.initializers", "keras.layers", "keras.layers.experimental.preprocessing",
    "keras.losses", "keras.metrics", "keras.mixed_precision", "keras.models", "keras.optimizers",
    "keras.optimizers.experimental", "keras.optimizers.legacy", "keras.optimizers.schedules",
    "keras.preprocessing.image", "keras.preprocessing.sequence", "keras.preprocessing.text",
    "keras.regularizers", "keras.saving", "keras.utils", "keras.utils.legacy", "compat.v1",
    "compat.v2", "data", "data.experimental", "train", "io", "io.gfile", "lookup", "nn", "math",
    "linalg", "random", "image", "signal", "strings", "summary", "saved_model", "distribute",
]  # fmt: skip


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_can_be_imported_by_its_name(name):
    module = importlib.import_module(f"shardtape.{name}")
    found = importlib.import_module("shardtape")
    for part in name.split("."):
        found = getattr(found, part)
    assert module is found or vars(module) is vars(found)


def test_names_of_modules_that_live_elsewhere_can_be_imported_first():
    program = (
        "from shardtape.keras.optimizers.schedules import ExponentialDecay\n"
        "from shardtape.keras.optimizers import Adam\n"
        "from shardtape.keras.optimizers.legacy import SGD\n"
        "import shardtape.keras.optimizers as o, shardtape as tf\n"
        "assert o.Adam is Adam is tf.keras.optimizers.Adam and o.legacy.SGD is SGD\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

"""A name that is missing is told, with the nearest that is there, in every namespace."""

import importlib

import pytest

import shardtape as tf
from shardtape import absent

_THERE = [p for p in absent.NAMESPACES if absent.namespace(tf, p) is not None]


@pytest.mark.parametrize("path", _THERE)
def test_every_namespace_says_the_nearest(path):
    module = absent.namespace(tf, path)
    known = sorted((n for n in dir(module) if not n.startswith("_")), key=len)[-1]
    wrong = f"{known}_x"
    with pytest.raises(AttributeError, match=f"'{wrong}'.*(nearest name is|there is) '.*{known}'"):
        getattr(module, wrong)
    assert not hasattr(module, wrong)
    with pytest.raises(ImportError, match=wrong):
        exec(f"from {module.__name__} import {wrong}")


def test_namespaces_are_those_that_users_see():
    assert len(_THERE) > 40
    for path in ("keras.layers", "linalg", "nn", "strings", "errors", "nest", "config", "random"):
        assert path in _THERE


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tf.reduce_summ", "module 'tf' .*nearest name is 'reduce_sum'"),
        ("tf.log", "there is 'tf.math.log'"),
        ("tf.keras.layers.dense", "nearest name is 'Dense'"),
        ("tf.lite", "tf.lite is not part of this framework"),
        ("tf.distribute.TPUStrategy", "not part of this framework; use tf.Trainer"),
        ("tf.keras.layers.DenseFeatures", "not part of this framework"),
        ("tf.estimator.Estimator", "tf.estimator is not part of this framework"),
        ("tf.experimental.dtensor.Mesh", "not part of this framework"),
        ("tf.data.Dataset.from_tensor_slice", "nearest name is 'from_tensor_slices'"),
        ("tf.data.Dataset.range(3).shufle", "'RangeDataset' object .*nearest name is 'shuffle'"),
        ("tf.compat.v1.Session", "v1.Session is not part of this framework yet; call a tf.func"),
        ("tf.compat.v1.placeholder", "not part of this framework yet; there is tf.placeholder"),
        ("tf.compat.v1.disable_v2_behavior", "not part of this framework yet; write the TF2 form"),
        ("tf.compat.v1.estimator", "use tf.keras or tf.Trainer"),
        ("tf.compat.as_byte", "nearest name is 'as_bytes'"),
        ("tf.keras.losses.Huberr", "nearest name is 'Huber'"),
        ("tf.keras.losses.huberr", "nearest name is 'huber'"),
        ("tf.train.AdamOptimizer", "place is taken by 'tf.keras.optimizers.Adam'"),
        ("tf.train.Chekpoint", "nearest name is 'Checkpoint'"),
        ("tf.Sessionn", "the nearest, tf.Session, is not part of this framework yet; call"),
        ("tf.Session", "tf.Session is not part of this framework yet; call a tf.function"),
    ],
)
def test_what_is_said(path, said):
    with pytest.raises(AttributeError, match=said):
        eval(path)


def test_a_missing_module_is_no_module():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shardtape.lite")

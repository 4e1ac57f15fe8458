"""Adafactor against the numbers of Keras 2.15 that `record_adafactor.py` recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from unit.optimizers.record_adafactor import CASES, SHAPES, gradients, pattern, run

import shardtape as tf
from shardtape.optimizers import rule_from_config

RECORDED = json.loads((Path(__file__).parent / "adafactor_2_15.json").read_text())
CLOSE = {"rtol": 3e-6, "atol": 2e-7}


@pytest.mark.parametrize("case", CASES)
def test_values_and_slots_equal_keras(case):
    made, wanted = run(tf, CASES[case]), RECORDED[case]
    for step, (found, expected) in enumerate(zip(made["values"], wanted["values"], strict=True)):
        for name in SHAPES:
            np.testing.assert_allclose(
                found[name], expected[name], **CLOSE, err_msg=f"{name} after step {step + 1}"
            )
    if case != "ema":  # Keras lists the averages after all slots, and has others at this point
        assert list(made["slots"]) == list(wanted["slots"])
        for name, values in wanted["slots"].items():
            np.testing.assert_allclose(made["slots"][name], values, **CLOSE, err_msg=name)


def test_rows_that_repeat_are_summed():
    table = tf.Variable(pattern((4, 3), 4, 10.0))
    optimizer = tf.keras.optimizers.Adafactor(0.1)
    rows = tf.IndexedSlices(pattern((4, 3), 2, 8.0), tf.constant([2, 0, 2, 1]), [4, 3])
    for _ in range(2):
        optimizer.apply_gradients([(rows, table)])
    np.testing.assert_allclose(table, RECORDED["sparse"], **CLOSE)


def test_configuration():
    optimizer = tf.keras.optimizers.Adafactor(clipvalue=2.0)
    config = optimizer.get_config()
    for name, value in RECORDED["config"].items():
        if name not in ("jit_compile", "is_legacy_optimizer"):
            assert config[name] == pytest.approx(value), name
    again = tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(optimizer))
    assert type(again) is tf.keras.optimizers.Adafactor and again.get_config() == config
    assert type(tf.keras.optimizers.get("adafactor")) is tf.keras.optimizers.Adafactor


def test_state_is_taken_over():
    def variables():
        return {n: tf.Variable(pattern(s, 4, 10.0), name=n) for n, s in SHAPES.items()}

    def update(optimizer, them, step):
        optimizer.apply_gradients([(gradients(step)[n], v) for n, v in them.items()])

    first, them = tf.keras.optimizers.Adafactor(0.1), variables()
    update(first, them, 0)
    other, copies = tf.keras.optimizers.Adafactor(0.1), variables()
    for name, v in copies.items():
        v.assign(them[name])
    other.set_state(first.state(), copies.values())
    update(first, them, 1)
    update(other, copies, 1)
    for name, v in them.items():
        np.testing.assert_array_equal(v, copies[name])


def test_it_trains_a_model():
    tf.keras.utils.set_random_seed(1)  # first weights near the best ones leave little to gain
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(32, 2)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(tf.keras.optimizers.Adafactor(0.05, relative_step=False), "mse")
    before = model.evaluate(x, x[:, :1] * 2, verbose=0)
    model.fit(x, x[:, :1] * 2, epochs=10, batch_size=8, verbose=0)
    assert model.evaluate(x, x[:, :1] * 2, verbose=0) < before / 2


def test_state_is_saved_and_read(tmp_path):
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))])
    model.compile(tf.keras.optimizers.Adafactor(0.05), "mse")
    model.fit(x, x @ np.ones((2, 3), np.float32), verbose=0)
    for file in ("m.keras", "m.h5"):
        model.save(tmp_path / file)
        again = tf.keras.models.load_model(tmp_path / file)
        for before, after in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
            np.testing.assert_array_equal(before, after)


def test_shards_refuse_it_and_say_what_to_do():
    optimizer = tf.keras.optimizers.Adafactor()
    with pytest.raises(tf.errors.UnimplementedError, match="Adafactor cannot run on shards.*Adam"):
        optimizer.rule_config()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Adafactor cannot run on shards"):
        rule_from_config({"class_name": "Adafactor", "config": {}})

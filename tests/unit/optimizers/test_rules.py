"""Update rules on plain arrays: what holds for all of them, whatever the formula."""

import json
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.backend import strict_device as device

from shardtape.errors import InvalidArgumentError
from shardtape.optimizers import rule as rules
from shardtape.optimizers import rule_from_config
from shardtape.optimizers.adadelta import AdadeltaRule
from shardtape.optimizers.adagrad import AdagradRule
from shardtape.optimizers.adam import AdamRule
from shardtape.optimizers.adamax import AdamaxRule
from shardtape.optimizers.adamw import AdamWRule
from shardtape.optimizers.ftrl import FtrlRule
from shardtape.optimizers.lion import LionRule
from shardtape.optimizers.nadam import NadamRule
from shardtape.optimizers.rmsprop import RMSpropRule
from shardtape.optimizers.schedules import ExponentialDecay
from shardtape.optimizers.sgd import SGDRule

RULES = {
    "sgd": SGDRule(0.1),
    "momentum": SGDRule(0.1, momentum=0.9),
    "nesterov": SGDRule(0.1, momentum=0.9, nesterov=True),
    "decay": SGDRule(0.1, weight_decay=0.01),
    "clip": SGDRule(0.1, clipvalue=0.4),
    "average": SGDRule(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
    "adam": AdamRule(0.1),
    "amsgrad": AdamRule(0.1, amsgrad=True, clipvalue=0.4, weight_decay=0.1),
    "adagrad": AdagradRule(0.1),
    "rmsprop": RMSpropRule(0.1),
    "rmsprop_all": RMSpropRule(0.1, momentum=0.9, centered=True),
    "adadelta": AdadeltaRule(0.5),
    "adamax": AdamaxRule(0.1),
    "adamw": AdamWRule(0.1),
    "nadam": NadamRule(0.1),
    "ftrl": FtrlRule(0.1, l1_regularization_strength=0.01, beta=0.1),
    "lion": LionRule(0.1),
}
LAZY = {
    "momentum": SGDRule(0.1, momentum=0.9, lazy=True),
    "adam": AdamRule(0.1, lazy=True),
    "rmsprop": RMSpropRule(0.1, momentum=0.5, lazy=True),
}


def start(rule, shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    param = rng.standard_normal(shape).astype(dtype)
    return param, {name: rule.initial(name, param) for name in rule.slots}


def gradient(shape, seed, dtype="float32"):
    return np.random.default_rng(100 + seed).standard_normal(shape).astype(dtype)


def run_dense(rule, param, slots, grads, scale=1.0):
    for step, grad in enumerate(grads):
        rule.dense(np, param, grad, slots, step, rule.learning_rate_at(step), scale)


def assert_same(a, b, slots_a, slots_b):
    np.testing.assert_array_equal(a, b)
    for name in slots_a:
        np.testing.assert_array_equal(slots_a[name], slots_b[name], err_msg=name)


@pytest.mark.parametrize("name", RULES)
def test_blocks_give_the_same_bits_as_one_pass(name, monkeypatch):
    rule, grads = RULES[name], [gradient((37, 11), i) for i in range(3)]
    whole, whole_slots = start(rule, (37, 11))
    run_dense(rule, whole, whole_slots, grads)
    monkeypatch.setattr(rules, "BLOCK_ELEMENTS", 16)
    cut, cut_slots = start(rule, (37, 11))
    run_dense(rule, cut, cut_slots, grads)
    assert_same(whole, cut, whole_slots, cut_slots)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cut", [1, 8, 29])
def test_row_ranges_give_the_same_bits_as_the_whole(name, cut):
    rule, grads = RULES[name], [gradient((30, 7), i) for i in range(3)]
    whole, whole_slots = start(rule, (30, 7))
    parts = [whole[:cut].copy(), whole[cut:].copy()]
    slots = [{n: a[:cut].copy() for n, a in whole_slots.items()},
             {n: a[cut:].copy() for n, a in whole_slots.items()}]  # fmt: skip
    run_dense(rule, whole, whole_slots, grads)
    run_dense(rule, parts[0], slots[0], [g[:cut] for g in grads])
    run_dense(rule, parts[1], slots[1], [g[cut:] for g in grads])
    joined = {n: np.concatenate([slots[0][n], slots[1][n]]) for n in whole_slots}
    assert_same(whole, np.concatenate(parts), whole_slots, joined)


@pytest.mark.parametrize("block", [4, 64, 1 << 16])
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_rows_equal_dense_with_zeros(name, block, data):
    rule, shape = RULES[name], (17, 5)
    dense, dense_slots = start(rule, shape)
    sparse, sparse_slots = start(rule, shape)
    before, rules.BLOCK_ELEMENTS = rules.BLOCK_ELEMENTS, block
    try:
        for step in range(3):
            rows = np.array(
                data.draw(st.lists(st.integers(0, 16), unique=True, max_size=17)), np.int64
            )
            values = gradient((len(rows), 5), step)
            full = np.zeros(shape, np.float32)
            full[rows] = values
            rule.dense(np, dense, full, dense_slots, step, 0.1, 0.5)
            rule.rows(np, sparse, rows, values, sparse_slots, step, 0.1, 0.5)
    finally:
        rules.BLOCK_ELEMENTS = before
    assert_same(dense, sparse, dense_slots, sparse_slots)


@pytest.mark.parametrize("name", LAZY)
def test_lazy_rules_leave_other_rows_alone(name):
    rule = LAZY[name]
    param, slots = start(rule, (9, 4))
    before = param.copy()
    rows = np.array([7, 2], np.int64)
    for step in range(2):
        rule.rows(np, param, rows, gradient((2, 4), step), slots, step, 0.1)
    untouched = [i for i in range(9) if i not in (2, 7)]
    np.testing.assert_array_equal(param[untouched], before[untouched])
    assert all((slots[n][untouched] == 0).all() for n in slots)
    # on their own rows they do what the rule does
    alone, alone_slots = before[rows].copy(), {n: np.zeros((2, 4), np.float32) for n in slots}
    run_dense(rule, alone, alone_slots, [gradient((2, 4), step) for step in range(2)])
    np.testing.assert_array_equal(param[rows], alone)


@pytest.mark.parametrize("name", [*RULES, *(f"lazy {name}" for name in LAZY)])
def test_a_device_computes_the_same(name):
    """On arrays that refuse numpy's functions and copies to the host, as cupy's do."""
    rule = LAZY[name[5:]] if name.startswith("lazy") else RULES[name]
    param, slots = start(rule, (9, 4))
    rows = np.array([7, 2, 3], np.int64)
    with device.whole_program():
        there = device.put(param)
        there_slots = {n: rule.initial(n, there) for n in rule.slots}
        for step in range(3):
            grad = gradient((9, 4), step)
            rule.dense(device.XP, there, device.put(grad), there_slots, 2 * step, 0.1, 0.5)
            rule.dense(np, param, grad, slots, 2 * step, 0.1, 0.5)
            part = device.put(grad[:3])
            rule.rows(device.XP, there, device.put(rows), part, there_slots, 2 * step + 1, 0.1)
            rule.rows(np, param, rows, grad[:3], slots, 2 * step + 1, 0.1)
    assert_same(param, there.get(), slots, {n: a.get() for n, a in there_slots.items()})


def test_adam_is_the_papers_formula_in_float64():
    rule = AdamRule(0.25, beta_1=0.75, beta_2=0.875, epsilon=1e-4)
    param, slots = start(rule, (6,), "float64")
    expected, m, v = param.copy(), np.zeros(6), np.zeros(6)
    for step in range(6):
        g = gradient((6,), step, "float64")
        rule.dense(np, param, g, slots, step, 0.25)
        m, v, t = 0.75 * m + 0.25 * g, 0.875 * v + 0.125 * g * g, step + 1
        alpha = 0.25 * np.sqrt(1 - 0.875**t) / (1 - 0.75**t)
        expected -= alpha * m / (np.sqrt(v) + 1e-4)
    np.testing.assert_allclose(param, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", RULES)
def test_half_types_compute_in_float32(name, dtype):
    rule = RULES[name]
    param, slots = start(rule, (50,), dtype)
    wide = param.astype(np.float32)
    wide_slots = {n: rule.initial(n, wide) for n in rule.slots}
    grad = gradient((50,), 0, dtype)
    rule.dense(np, param, grad, slots, 0, 0.1, 0.5)
    rule.dense(np, wide, grad.astype(np.float32), wide_slots, 0, 0.1, 0.5)
    assert all(a.dtype == np.float32 for a in slots.values())
    np.testing.assert_array_equal(param, wide.astype(dtype))


def test_a_small_step_is_not_lost_in_half_precision_slots():
    rule = AdamRule(0.001)
    param = np.ones(4, np.float16)
    slots = {n: rule.initial(n, param) for n in rule.slots}
    rule.dense(np, param, np.full(4, 1e-4, np.float16), slots, 0, 0.001)
    assert (slots["velocity"] > 0).all()  # 1e-11 is 0 in float16


def test_no_temporary_of_the_arrays_size():
    rule = AdamRule(0.1)
    param = np.zeros(4 << 20, np.float32)
    slots = {n: rule.initial(n, param) for n in rule.slots}
    grad = np.ones_like(param)
    rule.dense(np, param, grad, slots, 0, 0.1)
    tracemalloc.start()
    rule.dense(np, param, grad, slots, 1, 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < param.nbytes // 16


def test_gradient_is_not_written():
    for rule in RULES.values():
        param, slots = start(rule, (20,))
        grad = gradient((20,), 1)
        grad.flags.writeable = False
        rule.dense(np, param, grad, slots, 0, 0.1, 0.25)
        rule.rows(np, param, np.arange(20), grad, slots, 1, 0.1, 0.25)


def test_scalars_and_empty_arrays():
    for rule in RULES.values():
        param, slots = start(rule, ())
        before = param.copy()
        rule.dense(np, param, np.float32(1), slots, 0, 0.1)
        assert param.shape == () and param != before
        empty, empty_slots = start(rule, (0, 3))
        rule.dense(np, empty, np.zeros((0, 3), np.float32), empty_slots, 0, 0.1)
        rule.rows(np, empty, np.zeros(0, np.int64), np.zeros((0, 3), np.float32), empty_slots, 0, 1)


def test_refuses_what_it_cannot_write():
    rule = SGDRule(0.1)
    with pytest.raises(InvalidArgumentError, match="C-contiguous"):
        rule.dense(np, np.zeros((4, 4), np.float32).T, np.zeros((4, 4), np.float32), {}, 0, 0.1)
    with pytest.raises(InvalidArgumentError, match="int32"):
        rule.dense(np, np.zeros(4, np.int32), np.zeros(4, np.int32), {}, 0, 0.1)


@pytest.mark.parametrize("name", [*RULES, "scheduled"])
def test_config_round_trip(name):
    rule = SGDRule(ExponentialDecay(0.1, 10, 0.5)) if name == "scheduled" else RULES[name]
    config = json.loads(json.dumps(rule.config()))
    again = rule_from_config(config)
    assert type(again) is type(rule) and again.config() == rule.config()
    assert again.learning_rate_at(7) == rule.learning_rate_at(7)


def test_unknown_configurations_are_named():
    with pytest.raises(InvalidArgumentError, match="'Adamx'"):
        rule_from_config({"class_name": "Adamx", "config": {}})
    with pytest.raises(InvalidArgumentError, match="momentun"):
        rule_from_config({"class_name": "SGD", "config": {"momentun": 0.9}})
    with pytest.raises(ValueError, match="NoDecay"):
        rule_from_config(
            {
                "class_name": "SGD",
                "config": {"learning_rate": {"class_name": "NoDecay", "config": {}}},
            }
        )


def test_excluded_variables_are_not_decayed():
    rule = SGDRule(0.1, weight_decay=0.5, exclude_from_weight_decay=("bias", "^gamma$"))
    assert rule.for_variable("dense/bias").weight_decay is None
    assert rule.for_variable("gamma").weight_decay is None
    assert rule.for_variable("my_gamma").weight_decay == 0.5

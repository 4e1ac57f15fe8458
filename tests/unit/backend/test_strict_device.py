"""The strict device refuses what cupy refuses, and computes what numpy computes."""

import numpy as np
import pytest
from unit.backend import strict_device as device
from unit.backend.strict_device import XP as xp

from shardtape import backend


@pytest.fixture
def x():
    return device.put(np.arange(6.0).reshape(2, 3))


def test_it_computes_what_numpy_computes(x):
    got = xp.sum(xp.exp(x) * 2 - x, axis=0, keepdims=True)
    v = x.get()
    np.testing.assert_array_equal(got.get(), np.sum(np.exp(v) * 2 - v, axis=0, keepdims=True))
    np.testing.assert_array_equal((x @ x.T).get(), v @ v.T)
    np.testing.assert_array_equal((1 - x[:, 1:]).get(), 1 - v[:, 1:])
    np.testing.assert_array_equal(xp.where(x > 2, x, 0.0).get(), np.where(v > 2, v, 0))


@pytest.mark.parametrize(
    "use",
    [
        lambda x: np.exp(x),
        lambda x: np.sum(x),
        lambda x: np.asarray(x),
        lambda x: np.ones(3) * x,
        lambda x: x + np.ones(3),
        lambda x: xp.add(x, np.ones(3)),
        lambda x: xp.concatenate([x, np.ones((2, 3))]),
        lambda x: x[np.array([0, 1])],
        lambda x: x.__setitem__(0, np.ones(3)),
        lambda x: float(x[0, 0]),
        lambda x: bool(xp.all(x > 0)),
        lambda x: range(x[0, 0].astype(int)),
        lambda x: x.__iadd__(np.ones(3)),
    ],
)
def test_host_copies_and_mixing_are_refused(x, use):
    with pytest.raises(TypeError):
        use(x)


def test_results_stay_on_the_device(x):
    for got in (
        xp.sum(x),
        x.max(),
        x[0, 0],
        xp.zeros(3),
        xp.asarray(np.ones(2)),
        xp.split(x, 2)[0],
    ):
        assert isinstance(got, device.StrictArray)


def test_functions_that_cupy_lacks_are_absent():
    for name in ("block", "vecdot", "errstate", "insert"):
        with pytest.raises(AttributeError, match=f"cupy has no xp.{name}"):
            getattr(xp, name)
    with pytest.raises(AttributeError, match="cupy has no maximum.reduce"):
        xp.maximum.reduce  # noqa: B018
    with pytest.raises(AttributeError, match=r"cupy has no xp\.linalg\.multi_dot"):
        xp.linalg.multi_dot  # noqa: B018


def test_in_place_and_out_write_into_the_array(x):
    y = x
    y += 1
    assert y is x
    out = xp.empty_like(x)
    assert xp.multiply(x, 2, out=out).get().sum() == out.get().sum() == 42
    x[0] = 0.0
    assert x.get()[0].sum() == 0


def test_it_stands_in_for_the_gpu(x):
    assert not backend.accelerated
    with device.whole_program():
        assert backend.accelerated
        assert backend.array_module(np.ones(2)) is np
        assert backend.array_module(np.ones(2), x) is xp
        moved = backend.to_device(np.ones(2))
        assert isinstance(moved, device.StrictArray) and backend.to_device(moved) is moved
        assert isinstance(backend.to_host(moved), np.ndarray)
        assert backend.to_device(np.array([b"a"], object)).dtype == object
    assert not backend.accelerated and backend.array_module(x) is np

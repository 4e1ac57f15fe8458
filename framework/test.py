"""`tf.test`: a test case that compares tensors, and what there is to run on."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import errors, nest
from shardtape.devices import list_physical_devices
from shardtape.ops.convert import convert_to_tensor
from shardtape.tape import GradientTape

__all__ = [
    "TestCase",
    "compute_gradient",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_built_with_gpu_support",
    "is_built_with_rocm",
    "is_built_with_xla",
    "is_gpu_available",
    "main",
]


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


class TestCase(unittest.TestCase):
    """unittest's, with comparisons of tensors, arrays and structures of them."""

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors, in their structure."""
        return nest.map_structure(lambda t: t.numpy() if hasattr(t, "numpy") else t, tensors)

    def get_temp_dir(self) -> str:
        """A folder of this test's own, which is removed after it."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def _each(self, a: Any, b: Any, compare: Callable[[Any, Any], None]) -> None:
        if isinstance(a, dict) and isinstance(b, dict):
            self.assertEqual(sorted(a), sorted(b))
            for key in a:
                self._each(a[key], b[key], compare)
        elif (
            isinstance(a, (list, tuple))
            and isinstance(b, (list, tuple))
            and any(hasattr(x, "shape") for x in [*a, *b])
        ):
            self.assertEqual(len(a), len(b))
            for x, y in zip(a, b):
                self._each(x, y, compare)
        else:
            compare(_array(a), _array(b))

    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Equal structures, shapes, and values within the tolerances."""

        def close(x: np.ndarray, y: np.ndarray) -> None:
            self.assertEqual(x.shape, y.shape, msg)
            np.testing.assert_allclose(x, y, rtol, atol, err_msg=msg or "")

        self._each(a, b, close)

    def assertAllCloseAccordingToType(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, half_rtol: float = 1e-3,
        half_atol: float = 1e-3, msg: str | None = None, **others: Any,
    ) -> None:  # fmt: skip
        """As `assertAllClose`, with wider tolerances for float16."""
        half = any(_array(x).dtype == np.float16 for x in nest.flatten([a, b]))
        self.assertAllClose(a, b, half_rtol if half else rtol, half_atol if half else atol, msg)

    def assertNotAllClose(self, a: Any, b: Any, **options: Any) -> None:
        """Not within the tolerances."""
        try:
            self.assertAllClose(a, b, **options)
        except AssertionError:
            return
        self.fail("The two values are close at all elements")

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Equal shapes and values."""

        def equal(x: np.ndarray, y: np.ndarray) -> None:
            self.assertEqual(x.shape, y.shape, msg)
            np.testing.assert_array_equal(x, y, err_msg=msg or "")

        self._each(a, b, equal)

    def assertNotAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Another value somewhere."""
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        self.fail(msg or "The two values are equal at all elements")

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: str | None = None) -> None:
        """Equal shapes."""
        self.assertEqual(tuple(input_a.shape), tuple(input_b.shape), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:
        """The element type."""
        self.assertEqual(_array(target).dtype, np.dtype(expected_dtype))

    def assertAllInRange(self, target: Any, lower_bound: Any, upper_bound: Any) -> None:
        """All values within the bounds, which are in it."""
        x = _array(target)
        self.assertTrue(((x >= lower_bound) & (x <= upper_bound)).all(), x)

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:
        """All values above a bound."""
        self.assertTrue((_array(a) > comparison_target).all(), a)

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:
        """All values below a bound."""
        self.assertTrue((_array(a) < comparison_target).all(), a)

    def assertNear(self, f1: Any, f2: Any, err: float, msg: str | None = None) -> None:
        """Two numbers at most `err` apart."""
        self.assertTrue(abs(f1 - f2) <= err, msg or f"{f1!r} and {f2!r} differ by over {err}")

    def assertRaisesOpError(self, expected_err_re_or_predicate: str) -> Any:
        """A block that raises one of `tf.errors` whose text matches."""
        return self.assertRaisesRegex(errors.OpError, expected_err_re_or_predicate)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the tests of the script."""
    unittest.main(argv=list(argv) if argv is not None else None)


def compute_gradient(
    f: Callable[..., Any], x: Sequence[Any], delta: float | None = None
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Jacobians of f(*x), by its derivative and by differences, as matrices.

    Args:
      delta: half the distance of the two points of a difference; default 1/1024.

    Returns:
      For each argument a matrix (size of the result, size of the argument), twice.
    """
    step = 1.0 / 1024 if delta is None else delta
    given = [convert_to_tensor(v) for v in x]
    with GradientTape(persistent=True) as tape:
        tape.watch(given)
        y = convert_to_tensor(f(*given))
    rows = int(np.prod(y.shape.as_list()))
    theoretical, numeric = [], []
    for i, at in enumerate(given):
        base = at.numpy()
        size = base.size
        slope = tape.jacobian(y, at)
        exact = np.zeros((rows, size), base.dtype) if slope is None else slope.numpy()
        theoretical.append(exact.reshape(rows, size))
        made = np.zeros((rows, size), base.dtype)
        for k in range(size):
            values = []
            for sign in (1, -1):
                moved = np.array(base).reshape(-1)
                moved[k] += sign * step
                args = list(given)
                args[i] = convert_to_tensor(moved.reshape(base.shape))
                values.append(_array(f(*args)).reshape(-1))
            made[:, k] = (values[0] - values[1]) / (2 * step)
        numeric.append(made)
    return tuple(theoretical), tuple(numeric)


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU; `tf.config.list_physical_devices("GPU")` lists them."""
    return bool(list_physical_devices("GPU"))


def gpu_device_name() -> str:
    """ "/device:GPU:0", or "" without a GPU."""
    return "/device:GPU:0" if is_gpu_available() else ""


def is_built_with_cuda() -> bool:
    """Whether cupy and a GPU are there."""
    return is_gpu_available()


def is_built_with_gpu_support() -> bool:
    """Whether cupy and a GPU are there."""
    return is_gpu_available()


def is_built_with_rocm() -> bool:
    return False


def is_built_with_xla() -> bool:
    return False

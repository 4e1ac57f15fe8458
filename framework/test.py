"""`tf.test`: a test case that compares tensors, and what there is to run on."""

from __future__ import annotations

import contextlib
import functools
import math
import tempfile
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import errors, nest
from shardtape import testing_experimental as experimental
from shardtape.case_assertions import Assertions
from shardtape.devices import DeviceSpec, list_physical_devices
from shardtape.ops.convert import convert_to_tensor
from shardtape.tape import GradientTape

__all__ = [
    "TestCase",
    "assert_equal_graph_def",
    "compute_gradient",
    "disable_with_predicate",
    "experimental",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_built_with_gpu_support",
    "is_built_with_rocm",
    "is_built_with_xla",
    "is_gpu_available",
    "main",
    "with_eager_op_as_function",
]


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _alike(a: Any, b: Any, tolerance: float) -> bool:
    """Whether messages, or values of their fields, are equal but for the ends of floats."""
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=tolerance)
    if hasattr(a, "ListFields"):
        a, b = ({field.name: value for field, value in m.ListFields()} for m in (a, b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_alike(a[k], b[k], tolerance) for k in a)
    if isinstance(a, Sequence) and not isinstance(a, (str, bytes)):
        return len(a) == len(b) and all(_alike(x, y, tolerance) for x, y in zip(a, b))
    return a == b


class EagerSession:
    """What a test's session is where operations run at once: `run` gives values."""

    def __init__(self, case: TestCase) -> None:
        self._case = case

    def run(self, fetches: Any, *args: Any, **kwargs: Any) -> Any:
        """The values of tensors. Raises RuntimeError if values are fed."""
        if args or kwargs.get("feed_dict"):
            raise RuntimeError("there is no feed_dict where operations run at once: call a "
                               "function with the values")  # fmt: skip
        return self._case.evaluate(fetches)


class TestCase(Assertions):
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
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, float_rtol: float = 1e-6,
        float_atol: float = 1e-6, half_rtol: float = 1e-3, half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2, bfloat16_atol: float = 1e-2, msg: str | None = None,
    ) -> None:  # fmt: skip
        """As `assertAllClose`, with the widest tolerances of the types that there are."""
        found = {_array(x).dtype.name for x in nest.flatten([a, b])}
        for name, far, apart in (("float32", float_rtol, float_atol),
                                 ("float16", half_rtol, half_atol),
                                 ("bfloat16", bfloat16_rtol, bfloat16_atol)):  # fmt: skip
            if name in found:
                rtol, atol = max(rtol, far), max(atol, apart)
        self.assertAllClose(a, b, rtol, atol, msg)

    def assertNotAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Not within the tolerances."""
        try:
            self.assertAllClose(a, b, rtol, atol, msg)
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

    def assertAllInRange(
        self, target: Any, lower_bound: Any, upper_bound: Any, open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:  # fmt: skip
        """All values within the bounds, which are in it unless they are open."""
        x = _array(target)
        above = x > lower_bound if open_lower_bound else x >= lower_bound
        below = x < upper_bound if open_upper_bound else x <= upper_bound
        self.assertTrue((above & below).all(), x)

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:
        """All values are of the set."""
        surplus = sorted(set(_array(target).ravel().tolist()) - set(expected_set))
        self.assertFalse(surplus, f"{surplus} are not in {expected_set}")

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:
        """All values above a bound."""
        self.assertTrue((_array(a) > comparison_target).all(), a)

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:
        """All values below a bound."""
        self.assertTrue((_array(a) < comparison_target).all(), a)

    def assertAllGreaterEqual(self, a: Any, comparison_target: Any) -> None:
        """No value below a bound."""
        self.assertTrue((_array(a) >= comparison_target).all(), a)

    def assertAllLessEqual(self, a: Any, comparison_target: Any) -> None:
        """No value above a bound."""
        self.assertTrue((_array(a) <= comparison_target).all(), a)

    def assertArrayNear(
        self, farray1: Any, farray2: Any, err: float, msg: str | None = None
    ) -> None:
        """Vectors whose numbers are at most `err` apart."""
        self.assertEqual(len(farray1), len(farray2), msg)
        for one, other in zip(farray1, farray2):
            self.assertNear(float(one), float(other), err, msg)

    def assertNDArrayNear(
        self, ndarray1: Any, ndarray2: Any, err: float, msg: str | None = None
    ) -> None:
        """Arrays whose difference has at most the norm `err`."""
        distance = np.linalg.norm(_array(ndarray1) - _array(ndarray2))
        self.assertTrue(distance <= err, msg or f"the norm of the difference is {distance}")

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: str | None = None) -> None:
        """Names of one device, however they are written."""
        one, other = (DeviceSpec.from_string(d or "").to_string() for d in (device1, device2))
        self.assertEqual(one, other, msg)

    def assertProtoEquals(
        self, expected_message_maybe_ascii: Any, message: Any, msg: str | None = None,
        relative_tolerance: float | None = None,
    ) -> None:  # fmt: skip
        """A message that equals another, or what its text form says.

        Args:
          relative_tolerance: how far floating-point fields may be apart, as a part of the larger.
        """
        expected = expected_message_maybe_ascii
        if isinstance(expected, (str, bytes)):
            from google.protobuf import text_format

            expected = text_format.Parse(expected, type(message)())
        self.assertIs(type(expected), type(message), msg)
        if relative_tolerance is None or not _alike(expected, message, relative_tolerance):
            self.assertEqual(str(expected), str(message), msg)

    def assertRaisesIncompatibleShapesError(
        self, exception_type: Any = errors.InvalidArgumentError
    ) -> Any:
        """A block that raises for shapes which do not fit each other."""
        return self.assertRaisesRegex(
            exception_type,
            "Incompatible shapes|Dimensions must be equal|required broadcastable shapes",
        )

    @contextlib.contextmanager
    def session(self, *args: Any, **kwargs: Any) -> Iterator[EagerSession]:
        """A block whose session gives the values of tensors."""
        yield EagerSession(self)

    cached_session = session

    def test_session(self, *args: Any, **kwargs: Any) -> Any:
        """TF1's name of `session`; loaders of tests take it for a test, which is skipped."""
        if self.id().endswith(".test_session"):
            self.skipTest("Not a test.")
        return self.session(*args, **kwargs)

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


def disable_with_predicate(pred: Callable[[], bool], skip_message: str) -> Callable[..., Any]:
    """Decorator: a test that is skipped where `pred()` is true when it runs."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            if pred():
                self.skipTest(skip_message)
            return function(self, *args, **kwargs)

        return wrapped

    return decorated


def with_eager_op_as_function(cls: Any = None, only_as_function: bool = False) -> Any:
    """Decorator of a class of tests: the class itself, as there is one way of running ops."""
    return (lambda decorated: decorated) if cls is None else cls


def assert_equal_graph_def(expected: Any, actual: Any) -> None:
    """Raises AssertionError for graphs (GraphDef messages) with other nodes, TypeError for else."""
    for called, made in (("expected", expected), ("actual", actual)):
        if not hasattr(made, "node"):
            raise TypeError(f"Expected GraphDef for {called}, got {type(made).__name__}")
    first, second = ({n.name: n for n in made.node} for made in (expected, actual))
    lacking, surplus = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
    if lacking or surplus:
        raise AssertionError(f"Not found in actual graph: {lacking}, unexpected: {surplus}")
    for name, node in first.items():
        if node != second[name]:
            raise AssertionError(f"Found difference in node {name!r}:\n{node}\n{second[name]}")


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

"""Every registered op: values, dtypes, shapes, derivatives, plans, devices.

What is TensorFlow's is compared with results recorded from TensorFlow 2.15
(`tests/parity/record_ops.py` says how to record them again).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from parity.op_cases import Case, cases
from parity.recorded import DATA, unpack
from unit.backend import strict_device
from unit.ops import op_checks as checks

import shardtape as tf
from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops import registry
from shardtape.ops.registry import PURE, RANDOM, REGISTRY, op, same_as

# No input and no value of their own, or the state of a Variable: they have tests of their own.
_OWN_TESTS = {"Const", "Placeholder", "PlaceholderWithDefault", "NoOp", "ParseExamples",
              "ParseSequenceExamples",
              # quantized types have tests in test_quantization.py
              "QuantizeV2", "Dequantize", "QuantizedCast",
              # inputs that hold results of others cannot be moved on their own
              "LSTMSequenceGrad", "GRUSequenceGrad"}  # fmt: skip
TRIED = sorted(
    t for t, o in REGISTRY.items() if o.effects in (PURE, RANDOM) and t not in _OWN_TESTS
)
# outputs that lie on the host by design: shapes, sizes, ranges, permutations and strings
_ON_HOST = {"Shape", "ShapeN", "Size", "Rank", "Range", "InvertPermutation", "BroadcastArgs",
            "AxesFirst", "StatelessRandomGetKeyCounter", "RowIdsOfSplits", "PlacesOfRows",
            "RaggedRange", "AsString", "StringFormat", "UnicodeEncode", "EncodePng", "EncodeJpeg",
            "EncodeJpegVariableQuality",
            "NonMaxSuppressionV3", "RaggedText", "SerializeTensor", "UniformCandidateSampler",
            "LogUniformCandidateSampler", "FixedUnigramCandidateSampler", "NonMaxSuppressionV5",
            "NonMaxSuppressionWithOverlaps", "CTCGreedyDecoder", "CTCBeamSearchDecoder",
            "CombinedNonMaxSuppression",
            "EditDistance", "EncodeWav", "Fingerprint"}  # fmt: skip
# files whose bytes depend on the encoder: what they hold is compared by tests of their own
_FILES = {"EncodePng", "EncodeJpeg", "EncodeJpegVariableQuality"}
# inputs whose gradient TensorFlow leaves out although the result depends on them, and masks
_LEFT_OUT = {"PadV2": (2,), "OneHot": (2, 3), "Polygamma": (0,), "Zeta": (0,), "Betainc": (0, 1),
             "LSTMSequence": (4,), "GRUSequence": (4,),
             # a number keeps its place in the distribution, not the draws that made it
             "StatelessRandomGammaV2": (2,),
             # their gradients are those of the identity, by their definition
             "QuantizeAndDequantizeV2": (0, 1, 2),
             "QuantizeAndDequantizeV4": (0, 1, 2)}  # fmt: skip
# inputs whose second derivative is refused (LookupError), as in TensorFlow
_ONCE = {"Igamma": (0,), "Igammac": (0,), "CTCLossDense": (0,)}
# inputs for which TensorFlow's own gradient forgets a part
# (or, of complex roots, to conjugate)
_WRONG_THERE = {"SoftmaxCrossEntropyWithLogits": (1,), "MatrixSquareRoot": (0,),
                "TridiagonalSolve": (0, 1)}  # fmt: skip


@functools.cache
def _recorded() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays: dict[str, np.ndarray] = {}
    notes: dict[str, Any] = {}
    for path in sorted(DATA.glob("ops_*.npz")):
        more, about = unpack(path)
        arrays.update(more)
        notes.update(about)
    return arrays, notes


@functools.cache
def _cases(type_name: str) -> list[Case]:
    """All cases, but those of mixed ops that only combine types which TensorFlow refuses."""
    tried, (_, notes) = REGISTRY[type_name], _recorded()
    return [c for c in cases(tried) if not (tried.mixed and notes.get(c.key, {}).get("refused"))]


def _smooth(type_name: str) -> list[Case]:
    return [c for c in _cases(type_name) if c.smooth and c.dtype is dt.float64]


@pytest.mark.parametrize("type_name", TRIED)
def test_has_samples(type_name):
    assert REGISTRY[type_name].samples is not None, f"op {type_name} has no samples"
    assert _cases(type_name)


@pytest.mark.parametrize("type_name", TRIED)
def test_value(type_name):
    tried = REGISTRY[type_name]
    if tried.effects == RANDOM or type_name in _FILES:
        return  # a stream of numbers: compared by the tests of random numbers
    arrays, notes = _recorded()
    by_sample: dict[str, bool] = {}
    for case in _cases(type_name):
        sample = case.key.rsplit("/", 1)[0]
        checked = checks.check_value(tried, case, arrays, notes)
        by_sample[sample] = by_sample.get(sample, False) or checked
    missing = [s for s, found in by_sample.items() if not found and "/edge" not in s]
    assert not missing, (
        f"{missing} have neither a recorded result for these inputs nor a reference: record them "
        "with tests/parity/record_ops.py"
    )


@pytest.mark.parametrize("type_name", TRIED)
def test_dtypes(type_name):
    for case in _cases(type_name):
        checks.check_dtypes(REGISTRY[type_name], case)


@pytest.mark.parametrize("type_name", TRIED)
def test_graph_and_plan(type_name):
    tried = REGISTRY[type_name]
    if tried.effects == RANDOM:
        return
    seen = set()
    for case in _cases(type_name):
        # one case of every sample in a plan is enough: the kernels are the same
        sample = case.key.rsplit("/", 1)[0]
        kind = None if case.dtype is None else case.dtype.kind
        if (sample, kind) not in seen or "/edge/" in case.key:
            seen.add((sample, kind))
            checks.check_graph(tried, case)


@pytest.mark.parametrize("type_name", [t for t in TRIED if REGISTRY[t].into is not None])
def test_writes_into(type_name):
    for case in _cases(type_name):
        checks.check_writes_into(REGISTRY[type_name], case)


@pytest.mark.parametrize("type_name", TRIED)
def test_strict_device(type_name):
    """Kernels use nothing that a GPU's array module lacks, and never leave the device."""
    tried = REGISTRY[type_name]
    for case in _cases(type_name):
        strings = any(x.dtype == object for x in case.inputs)
        half = case.dtype in dt.HALVES
        if strings or half or "/edge/" in case.key:
            continue
        on_host = range(10) if type_name in _ON_HOST else ()
        with checks.quiet():
            got = strict_device.run(tried, case.inputs, case.attrs, host_outputs=on_host)
        if tried.effects == RANDOM:
            continue
        for i, (a, b) in enumerate(zip(checks.outputs(got), checks.eager(tried, case))):
            checks.close(a, b, b.dtype.name, f"{case.key} output {i} on a device", slack=10)


@pytest.mark.gpu
def test_gpu():
    """Kernels give on a GPU what they give on the host."""
    pytest.importorskip("cupy", reason="needs cupy and a CUDA device")
    device = backend.require_accelerator()
    for type_name in TRIED:
        if REGISTRY[type_name].effects == RANDOM:
            continue
        for case in _cases(type_name):
            strings = any(x.dtype == object for x in case.inputs)
            if not strings and case.dtype not in dt.HALVES:
                _check_on(device, REGISTRY[type_name], case)


def _check_on(device: backend.Accelerator, tried: Any, case: Case) -> None:
    count = len(case.inputs)
    placed = [x if tried.is_host(i, count) else device.put(x) for i, x in enumerate(case.inputs)]
    got = tried.kernel(device.xp, *placed, **tried.bind_attrs(case.attrs))
    for i, (a, b) in enumerate(zip(checks.outputs(got), checks.eager(tried, case))):
        a = device.get(a) if isinstance(a, device.array_type) else a
        checks.close(a, b, b.dtype.name, f"{case.key} output {i} on a GPU", slack=10)


# RandomGamma draws others each time: test_random_ops.py compares its gradient
_DIFFERENTIABLE = [
    t for t in TRIED if REGISTRY[t].has_gradient and t not in ("PreventGradient", "RandomGamma")
]


@pytest.mark.parametrize("type_name", _DIFFERENTIABLE)
def test_first_derivative(type_name):
    for case in _smooth(type_name):
        checks.check_first_derivative(REGISTRY[type_name], case, _LEFT_OUT.get(type_name, ()))


@pytest.mark.parametrize("type_name", _DIFFERENTIABLE)
def test_second_derivative(type_name):
    for case in _smooth(type_name):
        without = (*_LEFT_OUT.get(type_name, ()), *_ONCE.get(type_name, ()))
        checks.check_second_derivative(REGISTRY[type_name], case, without)


@pytest.mark.parametrize("type_name", _DIFFERENTIABLE)
def test_gradient_is_that_of_tensorflow(type_name):
    arrays, notes = _recorded()
    for case in _cases(type_name):
        if type_name in checks.UP_TO_SIGN:
            continue  # the weights of the outputs would need their signs
        ours = _WRONG_THERE.get(type_name, ())
        checks.check_recorded_gradient(REGISTRY[type_name], case, arrays, notes, ours)


@pytest.mark.parametrize("type_name", _DIFFERENTIABLE)
def test_gradient_in_a_graph(type_name):
    for case in _smooth(type_name):
        checks.check_graph_gradient(REGISTRY[type_name], case)


# ---- the checks themselves --------------------------------------------------------------------
@pytest.fixture
def wrong():
    """Registers ops for one test."""
    before = dict(REGISTRY)
    yield op
    for name in set(REGISTRY) - set(before):
        del REGISTRY[name]


def _samples(rng):
    return [((rng.normal(size=(2, 3)),), {})]


def test_a_wrong_gradient_is_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, shape=same_as(0), samples=_samples)
    def kernel(xp, x):
        return x * x * x

    @kernel.gradient
    def _(g, _y, x):
        return g * x * x * 2.99

    with pytest.raises(AssertionError, match="derivative with respect to input 0"):
        checks.check_first_derivative(kernel, cases(kernel)[1])


def test_a_wrong_second_derivative_is_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, shape=same_as(0), samples=_samples)
    def kernel(xp, x):
        return x * x * x

    @kernel.gradient
    def _(g, _y, x):
        return g * 3.0 * x * tf.stop_gradient(x)

    case = next(c for c in cases(kernel) if c.dtype is dt.float64)
    checks.check_first_derivative(kernel, case)
    with pytest.raises(AssertionError, match="second derivative"):
        checks.check_second_derivative(kernel, case)


def test_a_wrong_shape_rule_is_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, shape=same_as(0), samples=_samples)
    def kernel(xp, x):
        return x[:1]

    with pytest.raises(AssertionError, match="shape rule says"):
        checks.check_graph(kernel, cases(kernel)[0])


def test_a_wrong_dtype_is_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, dtype=dt.int32, shape=same_as(0), samples=_samples)
    def kernel(xp, x):
        return x * 1.5

    with pytest.raises(AssertionError, match="kernel gives"):
        checks.check_dtypes(kernel, next(c for c in cases(kernel) if c.dtype is dt.float32))


def test_a_wrong_value_and_a_wrong_buffer_are_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, shape=same_as(0), samples=_samples,
           reference=lambda x: np.sin(x))  # fmt: skip
    def kernel(xp, x):
        return x - x**3 / 6

    @kernel.writes_into(0)
    def _(xp, out, x):
        xp.multiply(x, x, out=out)
        xp.subtract(x, out, out=out)

    with pytest.raises(AssertionError, match="against its reference"):
        checks.check_value(kernel, cases(kernel)[0], {}, {})
    with pytest.raises(AssertionError, match="written into a buffer"):
        checks.check_writes_into(kernel, cases(kernel)[0])


def test_a_kernel_that_leaves_the_device_is_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, shape=same_as(0), samples=_samples)
    def kernel(xp, x):
        return np.tanh(x)

    with pytest.raises(TypeError):
        strict_device.run(kernel, cases(kernel)[0].inputs)


def test_an_op_without_samples_is_caught(wrong):
    @wrong("Wrong", dtypes=dt.FLOATING, shape=same_as(0))
    def kernel(xp, x):
        return x

    with pytest.raises(AssertionError, match="no samples"):
        test_has_samples("Wrong")


def test_the_registry_refuses_a_type_twice():
    with pytest.raises(ValueError, match="registered twice"):
        registry.op("AddV2", shape=same_as(0))(lambda xp, x: x)

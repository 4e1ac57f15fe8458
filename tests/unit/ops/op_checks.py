"""What must hold for every op of the registry; each check raises AssertionError naming the case.

`test_registry.py` runs them over all ops, and over wrong ops, which they have to catch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from parity.op_cases import Case, weights

import shardtape as tf
from shardtape import dtypes as dt
from shardtape.context import building
from shardtape.graph.ir import Graph
from shardtape.graph.placeholders import placeholder
from shardtape.graph.plan import Plan
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops.dispatch import compute
from shardtape.ops.registry import Op
from shardtape.tensor import EagerTensor

# relative and absolute tolerance of one rounding or a few
TOLERANCE = {
    "float64": (1e-9, 1e-11),
    "complex128": (1e-9, 1e-11),
    "float32": (2e-5, 2e-6),
    "complex64": (5e-5, 5e-6),
    "float16": (6e-3, 2e-3),
    "bfloat16": (4e-2, 2e-2),
}
_HALF = {t.numpy_dtype for t in dt.HALVES}
_STEP = 1e-5


def outputs(got: Any) -> list[Any]:
    return list(got) if isinstance(got, (tuple, list)) else [got]


def close(got: Any, want: Any, dtype: str, what: str, slack: float = 1.0) -> None:
    """Equal within the tolerance of `dtype`; shapes, infinities and NaNs included."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if dtype not in TOLERANCE:
        assert np.array_equal(got, want), f"{what}: {got.tolist()}, expected {want.tolist()}"
        return
    relative, absolute = (t * slack for t in TOLERANCE[dtype])
    if dtype in ("float16", "bfloat16") and want.size:  # sums of large and small numbers
        absolute *= max(1.0, float(np.nanmax(np.abs(np.nan_to_num(want, posinf=0, neginf=0)))))
    wide = np.complex128 if dtype.startswith("complex") else np.float64
    np.testing.assert_allclose(
        got.astype(wide), want.astype(wide), rtol=relative, atol=absolute, err_msg=what
    )


def eager_tensor(x: np.ndarray) -> EagerTensor:
    """A tensor of an array; scalars are numpy scalars, as they come in programs."""
    return EagerTensor(x if x.dtype == object else x[()])


def eager(op: Op, case: Case) -> list[np.ndarray]:
    """The values of an op's outputs in eager mode."""
    with quiet():
        got = op(*[eager_tensor(x) for x in case.inputs], **case.attrs)
    return [o._array for o in outputs(got)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


# ---- values -----------------------------------------------------------------------------------
def check_dtypes(op: Op, case: Case) -> None:
    """The result has the dtype that the rule declares, and so has what the kernel gives."""
    got = eager(op, case)
    declared = op.output_dtypes(
        [dt.from_numpy(x.dtype) for x in case.inputs], op.bind_attrs(case.attrs)
    )
    declared = (declared,) * len(got) if isinstance(declared, dt.DType) else declared
    for a, d in zip(got, declared):
        assert dt.from_numpy(a.dtype) is d, f"{case.key}: result is {a.dtype}, declared {d.name}"
    if op.outputs != 1 or any(x.dtype in _HALF for x in case.inputs):
        return
    with quiet():
        raw = op.kernel(np, *case.inputs, **op.bind_attrs(case.attrs))
    wanted = declared[0].numpy_dtype
    if getattr(raw, "dtype", np.dtype(object)).kind in "fc":
        exact = raw.dtype.kind == wanted.kind and raw.dtype.itemsize <= wanted.itemsize
        assert exact, f"{case.key}: kernel gives {raw.dtype}, declared {declared[0].name}"


# decompositions whose vectors have a sign (a phase) that implementations choose
UP_TO_SIGN = frozenset({"Qr", "Svd", "SelfAdjointEigV2", "Eig"})


def check_value(op: Op, case: Case, recorded: dict[str, np.ndarray], notes: dict) -> bool:
    """Compares with TensorFlow's result or the op's own reference; False where there is none."""
    got = eager(op, case)
    note = notes.get(case.key)
    checked = False
    if note is not None and note["digest"] == case.digest() and "outputs" in note:
        assert note["outputs"] == len(got), f"{case.key}: {len(got)} outputs"
        for i, a in enumerate(got):
            # attributes are float32 in TensorFlow
            slack = 1e3 if any(type(v) is float for v in op.bind_attrs(case.attrs).values()) else 1
            want = recorded[f"{case.key}:{i}"]
            if op.type in UP_TO_SIGN:
                if not a.size:
                    continue  # not asked for: TensorFlow leaves it undefined
                a, want = np.abs(a), np.abs(want)
            if op.type == "Eig":
                a, want = np.sort(a.ravel()), np.sort(want.ravel())
            close(a, want, a.dtype.name, f"{case.key} output {i}", slack)
        checked = True
    if op.reference is not None and case.smooth:
        inputs = [x.astype(np.float64) if x.dtype in _HALF else x for x in case.inputs]
        with quiet():
            want = outputs(op.reference(*inputs, **case.attrs))
        for i, (a, b) in enumerate(zip(got, want)):
            close(a, b, a.dtype.name, f"{case.key} output {i} against its reference")
        checked = True
    return checked


def check_writes_into(op: Op, case: Case) -> None:
    """The kernel that computes into a buffer gives the kernel's values, also in place."""
    if op.into is None:
        return
    attrs = op.bind_attrs(case.attrs)
    with quiet():
        want = compute(op, np, list(case.inputs), attrs)
        if any(x.dtype in _HALF for x in case.inputs) and op.widen:
            return
        out = np.full(want.shape, 1, want.dtype)
        op.into(np, out, *case.inputs, **attrs)
        close(out, want, out.dtype.name, f"{case.key} written into a buffer")
        for i in op.inplace:
            if case.inputs[i].shape == want.shape and case.inputs[i].dtype == want.dtype:
                inputs = [np.array(x) for x in case.inputs]
                op.into(np, inputs[i], *inputs, **attrs)
                close(inputs[i], want, out.dtype.name, f"{case.key} in place of input {i}")


# ---- graphs -----------------------------------------------------------------------------------
def _build(op: Op, case: Case, known: str) -> tuple[Any, list[Any], list[Any]]:
    """A graph with one op; `known` is "shapes", "ranks" or "nothing"."""
    graph = Graph()
    feeds = []
    count = len(case.inputs)
    with building(graph):
        for i, x in enumerate(case.inputs):
            if op.is_host(i, count) and known != "nothing":
                feeds.append(tf.constant(x))
                continue
            shape = {"shapes": x.shape, "ranks": (None,) * x.ndim, "nothing": None}[known]
            feeds.append(placeholder(dt.from_numpy(x.dtype), shape))
        got = outputs(op(*feeds, **case.attrs))
    return graph, feeds, got


def check_graph(op: Op, case: Case) -> None:
    """Shape rules are right at every degree of knowledge; a plan gives the eager values."""
    want = eager(op, case)
    for known in ("nothing", "ranks", "shapes"):
        graph, feeds, got = _build(op, case, known)
        assert len(got) == len(want), f"{case.key}: {len(got)} outputs in a graph, {len(want)} run"
        for i, (t, a) in enumerate(zip(got, want)):
            assert t.dtype is dt.from_numpy(a.dtype), f"{case.key}: {t.dtype} in a graph"
            assert t.shape.is_compatible_with(a.shape), (
                f"{case.key}: shape rule says {t.shape} for output {i} with {known} known, "
                f"the kernel gives {a.shape}"
            )
            if known == "shapes" and not op.dynamic:
                assert t.shape.rank is not None, f"{case.key}: rank unknown although all is known"
    fed = [f for f in feeds if f.op.type == "Placeholder"]
    values = [x for f, x in zip(feeds, case.inputs) if f.op.type == "Placeholder"]
    plan = Plan(graph, fed, got)
    for _ in range(3):  # the third run is generated code
        with quiet():
            ran = plan.run(values)
        for i, (a, b) in enumerate(zip(ran, want)):
            close(a, b, b.dtype.name, f"{case.key} output {i} in a plan")


# ---- derivatives ------------------------------------------------------------------------------
def _smooth_inputs(op: Op, case: Case) -> list[int]:
    count = len(case.inputs)
    return [
        i for i, x in enumerate(case.inputs)
        if x.dtype == np.float64 and not op.is_host(i, count)
    ]  # fmt: skip


def _loss(op: Op, case: Case, tensors: list[Any]) -> Any:
    """A weighted sum of the floating outputs."""
    total = None
    for o in outputs(op(*tensors, **case.attrs)):
        if o.dtype is dt.float64:
            part = tf.reduce_sum(o * tf.constant(weights(tuple(o.shape), np.dtype(np.float64))))
        elif o.dtype is dt.complex128:
            w = tf.constant(weights(tuple(o.shape), np.dtype(np.complex128)))
            part = tf.reduce_sum(tf.math.real(tf.math.conj(w) * o))
        else:
            continue
        total = part if total is None else total + part
    return total


def _dense(g: Any, like: Any) -> Any:
    if g is None:
        return tf.zeros_like(like)
    return tf.convert_to_tensor(g) if isinstance(g, IndexedSlices) else g


def _gradients(op: Op, case: Case, tensors: list[Any], at: list[int]) -> tuple[Any, list[Any]]:
    with quiet(), tf.GradientTape() as tape:
        for i in at:
            tape.watch(tensors[i])
        loss = _loss(op, case, tensors)
    if loss is None:
        return None, []
    return loss, [
        _dense(g, tensors[i]) for i, g in zip(at, tape.gradient(loss, [tensors[i] for i in at]))
    ]


# ops of symmetric matrices, whose gradient is that of symmetric changes
_SYMMETRIC = frozenset({"Cholesky"})


def _direction(op: Op, rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    d = rng.normal(size=x.shape)
    return (d + d.swapaxes(-1, -2)) / 2 if op.type in _SYMMETRIC else d


def check_first_derivative(op: Op, case: Case, ignored: tuple[int, ...] = ()) -> None:
    """The gradient against differences, along a direction of every input on its own."""
    at = [i for i in _smooth_inputs(op, case) if i not in ignored]
    tensors = [eager_tensor(x) for x in case.inputs]
    loss, grads = _gradients(op, case, tensors, at)
    if loss is None:
        return
    rng = np.random.default_rng(0)
    for i, g in zip(at, grads):
        direction = _direction(op, rng, case.inputs[i])
        there = _moved(op, case, i, direction * _STEP)
        back = _moved(op, case, i, -direction * _STEP)
        numeric = (there - back) / (2 * _STEP)
        analytic = float(np.sum(np.asarray(g) * direction))
        assert g.shape.as_list() == list(case.inputs[i].shape), (
            f"{case.key}: gradient of input {i} has shape {g.shape}"
        )
        assert np.isclose(numeric, analytic, rtol=1e-5, atol=1e-6), (
            f"{case.key}: derivative with respect to input {i} is {analytic}, by differences "
            f"{numeric}"
        )


def _moved(op: Op, case: Case, index: int, step: np.ndarray) -> float:
    tensors = [eager_tensor(x + step if i == index else x) for i, x in enumerate(case.inputs)]
    return float(_loss(op, case, tensors))


def check_second_derivative(op: Op, case: Case, ignored: tuple[int, ...] = ()) -> None:
    """The gradient of a weighted sum of the gradient against its differences."""
    at = [i for i in _smooth_inputs(op, case) if i not in ignored]
    if not at:
        return
    rng = np.random.default_rng(1)
    directions = {i: _direction(op, rng, case.inputs[i]) for i in at}

    def slope(arrays: list[Any], want_gradient: bool) -> Any:
        tensors = [eager_tensor(x) for x in arrays]
        with tf.GradientTape() as outer:
            for i in at:
                outer.watch(tensors[i])
            loss, grads = _gradients(op, case, tensors, at)
            if loss is None:
                return None, []
            total = None
            for i, g in zip(at, grads):
                part = tf.reduce_sum(g * tf.constant(directions[i]))
                total = part if total is None else total + part
        if not want_gradient:
            return float(total), []
        found = outer.gradient(total, [tensors[i] for i in at])
        return float(total), [_dense(g, tensors[i]) for i, g in zip(at, found)]

    value, grads = slope(list(case.inputs), True)
    if value is None:
        return
    for i, g in zip(at, grads):
        step = _direction(op, rng, case.inputs[i])
        there = [x + step * _STEP if j == i else x for j, x in enumerate(case.inputs)]
        back = [x - step * _STEP if j == i else x for j, x in enumerate(case.inputs)]
        numeric = (slope(there, False)[0] - slope(back, False)[0]) / (2 * _STEP)
        analytic = float(np.sum(np.asarray(g) * step))
        assert np.isclose(numeric, analytic, rtol=1e-4, atol=1e-5), (
            f"{case.key}: second derivative with respect to input {i} is {analytic}, by "
            f"differences {numeric}"
        )


def check_recorded_gradient(
    op: Op, case: Case, recorded: dict[str, np.ndarray], notes: dict, ours: tuple[int, ...] = ()
) -> None:
    """The gradient against TensorFlow's own, also at ties and zeros, and of complex numbers."""
    note = notes.get(case.key)
    if note is None or note["digest"] != case.digest() or "gradients" not in note:
        return
    count = len(case.inputs)
    at = [
        i for i, x in enumerate(case.inputs)
        if x.dtype.kind in "fcV" and not op.is_host(i, count)
    ]  # fmt: skip
    tensors = [eager_tensor(x) for x in case.inputs]
    with quiet(), tf.GradientTape() as tape:
        for i in at:
            tape.watch(tensors[i])
        got = [o for o in outputs(op(*tensors, **case.attrs))
               if o.dtype.is_floating or o.dtype.is_complex]  # fmt: skip
    seeds = [tf.constant(weights(tuple(o.shape), o.dtype.numpy_dtype)) for o in got]
    with quiet():
        grads = tape.gradient(got, [tensors[i] for i in at], output_gradients=seeds)
    slack = 1e3 if any(type(v) is float for v in op.bind_attrs(case.attrs).values()) else 10
    for n, (i, g, there) in enumerate(zip(at, grads, note["gradients"])):
        if not there or i in ours:
            continue
        want = recorded[f"{case.key}:g{n}"]
        what = f"{case.key}: gradient of input {i} against TensorFlow's"
        if g is None and not np.any(want):
            continue
        assert g is not None, f"{what}: None, expected {want.tolist()}"
        # what came through a coarser result is no finer than that
        coarse = tensors[i].dtype.is_floating and all(
            o.dtype.is_floating and o.dtype.size < tensors[i].dtype.size for o in got
        )
        kind = got[0].dtype if coarse else tensors[i].dtype
        close(np.asarray(_dense(g, tensors[i])), want, kind.name, what, slack)


def check_graph_gradient(op: Op, case: Case) -> None:
    """The gradient built on unknown sizes and run as a plan equals the eager one."""
    at = _smooth_inputs(op, case)
    tensors = [eager_tensor(x) for x in case.inputs]

    def seeded(tape: Any, ts: list[Any]) -> list[Any]:
        got = [o for o in outputs(op(*ts, **case.attrs)) if o.dtype.is_floating]
        return tape.gradient(got, [ts[i] for i in at])

    with tf.GradientTape() as tape:
        for i in at:
            tape.watch(tensors[i])
        want = seeded(tape, tensors)
    graph = Graph()
    feeds = []
    count = len(case.inputs)
    with building(graph), tf.GradientTape() as tape:
        for i, x in enumerate(case.inputs):
            if op.is_host(i, count):
                feeds.append(tf.constant(x))
            else:
                # gradients of decompositions need the sizes of the matrices
                known = x.shape if op.type in UP_TO_SIGN else (None,) * x.ndim
                feeds.append(placeholder(dt.from_numpy(x.dtype), known))
        for i in at:
            tape.watch(feeds[i])
        got = [None if g is None else tf.convert_to_tensor(g) for g in seeded(tape, feeds)]
    pairs = [(g, w) for g, w in zip(got, want) if w is not None or g is not None]
    if not pairs:
        return
    fed = [f for f in feeds if f.op.type == "Placeholder"]
    values = [x for f, x in zip(feeds, case.inputs) if f.op.type == "Placeholder"]
    with quiet():
        ran = Plan(graph, fed, [g for g, _ in pairs]).run(values)
    for a, (_, w) in zip(ran, pairs):
        close(a, np.asarray(tf.convert_to_tensor(w)), "float64", f"{case.key}: gradient in a graph")

"""Calls of public functions that are made of several ops, or choose dtypes, or check arguments.

`CASES` maps a name to a function of the module `tf`; TensorFlow's results are recorded by

    PYTHON_OF_TF215 tests/parity/function_cases.py tests/parity/data/functions_tf215.npz

and those of another module by its name after the path (`..._composite_tf215.npz composite_cases`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

X = np.arange(12.0).reshape(3, 4)
F = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]], np.float32)
INTS = np.array([[3, -1, 2], [0, 5, -4]], np.int32)
S = X[:3, :3] + np.eye(3)
TRI_WHOLE = np.array([[3.0, 0.5, 0.0], [1.5, 0.1, -1.0], [0.0, 0.7, 2.0]])
TRI = np.array([[0.5, -1.0, 0.0], [3.0, 0.1, 2.0], [0.0, 1.5, 0.7]])

LOGITS = np.random.RandomState(2).normal(size=(7, 3, 5)).astype(np.float32) * 2


def _ctc(tf: Any, labels: Any, lengths: Any, **options: Any) -> Any:
    """The loss and its slope."""
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.nn.ctc_loss(labels, logits, lengths, [7, 5, 6], **options)
        total = tf.reduce_sum(loss * [1.0, 2.0, 3.0])
    return [loss, tape.gradient(total, logits)]


def _normalized(tf: Any) -> Any:
    """Local response normalisation and its slope."""
    x = tf.constant(LOGITS.reshape(1, 7, 3, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.local_response_normalization(x, 2, 1.2, 0.3, 0.6)
        total = tf.reduce_sum(tf.sin(y))
    return [y, tape.gradient(total, x)]


CASES: dict[str, Callable[[Any], Any]] = {
    # sequences and their labels
    "ctc_loss": lambda tf: _ctc(tf, [[1, 2, 2, 0], [3, 0, 0, 0], [0, 0, 0, 0]], [3, 1, 0]),
    "ctc_loss_blank": lambda tf: _ctc(tf, [[0, 2, 2, 0], [3, 0, 0, 0], [1, 2, 1, 0]], [3, 1, 4],
                                      blank_index=-1),  # fmt: skip
    "ctc_loss_sparse": lambda tf: _ctc(
        tf, tf.sparse.from_dense([[1, 2, 2], [3, 0, 0], [1, 2, 0]]), None, blank_index=4
    ),
    "ctc_greedy_decoder": lambda tf: [
        tf.sparse.to_dense(part, -1) if hasattr(part, "indices") else part
        for merge in (True, False)
        for part in (lambda got: [*got[0], got[1]])(
            tf.nn.ctc_greedy_decoder(np.round(LOGITS), [7, 5, 2], merge)
        )
    ],
    "local_response_normalization": lambda tf: _normalized(tf),
    # tridiagonal matrices, logarithms, scripts
    "tridiagonal_solve": lambda tf: tf.linalg.tridiagonal_solve(
        tf.constant(TRI), tf.constant(X[:3, :2])
    ),
    "tridiagonal_solve_vector": lambda tf: tf.linalg.tridiagonal_solve(
        tf.constant(TRI), tf.constant(X[:3, 0])
    ),
    "tridiagonal_solve_sequence": lambda tf: tf.linalg.tridiagonal_solve(
        [tf.constant(d) for d in (TRI[0, :2], TRI[1], TRI[2, 1:])], tf.constant(X[:2, :3]),
        "sequence", transpose_rhs=True,
    ),
    "tridiagonal_solve_matrix": lambda tf: tf.linalg.tridiagonal_solve(
        tf.constant(TRI_WHOLE),
        tf.constant(X[:3, :2]), "matrix",
    ),
    "tridiagonal_solve_plain": lambda tf: tf.linalg.tridiagonal_solve(
        tf.constant(TRI), tf.constant(X[:3, :2]), partial_pivoting=False
    ),
    "eigh_tridiagonal": lambda tf: tf.linalg.eigh_tridiagonal(
        tf.constant(TRI[1]), tf.constant(TRI[0, :2])
    ),
    "eigh_tridiagonal_range": lambda tf: tf.linalg.eigh_tridiagonal(
        tf.constant(TRI[1]), tf.constant(TRI[0, :2]), select="i", select_range=(1, 2)
    ),
    "logm": lambda tf: tf.linalg.logm(tf.constant(S @ S.T + np.eye(3), tf.complex128)),
    "unicode_script": lambda tf: tf.strings.unicode_script(tf.range(0, 0x30000, 37)),
    "unicode_script_ragged": lambda tf: tf.strings.unicode_script([[65, 1071], [12354, -5]]),
    # spaced numbers, grids
    "linspace": lambda tf: tf.linspace(0.0, 1.0, 5),
    "linspace_int": lambda tf: tf.linspace(2, 10, 3),
    "linspace_axis": lambda tf: tf.linspace([0.0, 1.0], [1.0, 3.0], 4, axis=1),
    "linspace_one": lambda tf: tf.linspace(1.0, 2.0, 1),
    "meshgrid_xy": lambda tf: tf.meshgrid([1, 2, 3], [4, 5]),
    "meshgrid_ij": lambda tf: tf.meshgrid([1, 2, 3], [4, 5], indexing="ij"),
    "repeat": lambda tf: tf.repeat([1, 2, 3], 2),
    "repeat_each": lambda tf: tf.repeat(X, [1, 0, 2], axis=0),
    "repeat_axis": lambda tf: tf.repeat(X, 3, axis=1),
    "repeat_flat": lambda tf: tf.repeat(X, 2),
    "sequence_mask": lambda tf: tf.sequence_mask([1, 3, 2], 5),
    "sequence_mask_float": lambda tf: tf.sequence_mask([[1, 3], [2, 0]], dtype=tf.float32),
    "one_hot": lambda tf: tf.one_hot([0, 2], 3),
    "one_hot_values": lambda tf: tf.one_hot([0, 2], 3, on_value=5.0, off_value=-1.0, axis=0),
    "one_hot_int": lambda tf: tf.one_hot([0, 1], 2, dtype=tf.int32),
    "eye": lambda tf: tf.eye(3),
    "eye_batch": lambda tf: tf.eye(2, 3, batch_shape=[2]),
    "range": lambda tf: tf.range(5),
    "range_float": lambda tf: tf.range(1.0, 3.0, 0.5),
    "range_down": lambda tf: tf.range(10, 0, -3),
    "range_dtype": lambda tf: tf.range(3, dtype=tf.float32),
    "range_int64": lambda tf: tf.range(np.int64(3)),
    # order
    "sort": lambda tf: tf.sort(X[::-1], axis=0),
    "sort_down": lambda tf: tf.sort(np.array([3, 1, 2], np.int32), direction="DESCENDING"),
    "sort_uint8": lambda tf: tf.sort(np.array([3, 1, 200], np.uint8)),
    "sort_ints": lambda tf: tf.sort(np.array([3, -(2**31), 5], np.int32)),
    "argsort": lambda tf: tf.argsort([3.0, 1.0, 2.0, 1.0]),
    "argsort_down": lambda tf: tf.argsort(X, axis=0, direction="DESCENDING"),
    "unique": lambda tf: tf.unique([1, 1, 2, 4, 4, 7]),
    "unique_with_counts": lambda tf: tf.unique_with_counts([1, 1, 2, 4, 4, 7]),
    "searchsorted": lambda tf: tf.searchsorted([1.0, 3.0, 5.0], [0.0, 3.0, 9.0]),
    "searchsorted_right": lambda tf: tf.searchsorted(
        [[1.0, 3.0], [2.0, 9.0]], [[3.0], [2.0]], side="right"
    ),
    "reverse": lambda tf: tf.reverse(X, [0]),
    "roll": lambda tf: tf.roll(X, 1, 1),
    "reverse_sequence": lambda tf: tf.reverse_sequence(X, [2, 3, 1], seq_axis=1, batch_axis=0),
    "top_k": lambda tf: tf.math.top_k(X, 2),
    # counts
    "bincount": lambda tf: tf.math.bincount([1, 1, 2, 5]),
    "bincount_min": lambda tf: tf.math.bincount([1, 1, 2, 5], minlength=8),
    "bincount_max": lambda tf: tf.math.bincount([1, 1, 2, 5], maxlength=3),
    "bincount_weights": lambda tf: tf.math.bincount([1, 1, 2], weights=[0.5, 1.0, 2.0]),
    "bincount_rows": lambda tf: tf.math.bincount([[1, 1], [0, 3]], axis=-1),
    "bincount_binary": lambda tf: tf.math.bincount([[1, 1], [0, 3]], axis=-1, binary_output=True),
    "confusion_matrix": lambda tf: tf.math.confusion_matrix([1, 2, 4], [2, 2, 4]),
    "confusion_weights": lambda tf: tf.math.confusion_matrix(
        [0, 1], [1, 1], num_classes=3, weights=[2.0, 3.0], dtype=tf.float32
    ),
    "histogram": lambda tf: tf.histogram_fixed_width(
        [-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], [0.0, 5.0], nbins=5
    ),
    "polyval": lambda tf: tf.math.polyval([1.0, 2.0, 3.0], 2.0),
    "count_nonzero": lambda tf: tf.math.count_nonzero(X, axis=0),
    "zero_fraction": lambda tf: tf.nn.zero_fraction(X),
    # reading and writing by index
    "gather": lambda tf: tf.gather(X, [1, 0], axis=1),
    "gather_batch": lambda tf: tf.gather(X, [[0, 1], [1, 2], [0, 3]], batch_dims=1),
    "gather_nd": lambda tf: tf.gather_nd(X, [[0, 1], [2, 3]]),
    "gather_nd_batch": lambda tf: tf.gather_nd(X, [[1], [2], [0]], batch_dims=1),
    "boolean_mask": lambda tf: tf.boolean_mask(X, [True, False, True]),
    "boolean_mask_all": lambda tf: tf.boolean_mask(X, X > 4),
    "boolean_mask_axis": lambda tf: tf.boolean_mask(X, [True, False, True, True], axis=1),
    "scatter_update": lambda tf: tf.tensor_scatter_nd_update(X, [[0, 0], [2, 1]], [9.0, 8.0]),
    "scatter_add": lambda tf: tf.tensor_scatter_nd_add(X, [[0], [0]], [X[0], X[1]]),
    "scatter_sub": lambda tf: tf.tensor_scatter_nd_sub(X, [[0, 0], [0, 0]], [9.0, 8.0]),
    "scatter_max": lambda tf: tf.tensor_scatter_nd_max(X, [[0, 0], [2, 1]], [9.0, 8.0]),
    "scatter_nd": lambda tf: tf.scatter_nd([[0], [2]], [5, 6], [4]),
    "where": lambda tf: tf.where([True, False], [1.0, 2.0], [3.0, 4.0]),
    "where_places": lambda tf: tf.where(X > 5),
    "where_scalar": lambda tf: tf.where(X > 5, X, 0.0),
    "dynamic_partition": lambda tf: tf.dynamic_partition(X, [0, 1, 0], 2),
    "dynamic_stitch": lambda tf: tf.dynamic_stitch([[0, 2], [1]], [X[:2], X[:1]]),
    "embedding_tables": lambda tf: tf.nn.embedding_lookup([X[:2], X[2:]], [2, 0, 1]),
    "embedding_norm": lambda tf: tf.nn.embedding_lookup(X, [[1, 2]], max_norm=3.0),
    # shapes
    "pad": lambda tf: tf.pad(X, [[1, 1], [0, 2]], constant_values=7.0),
    "pad_reflect": lambda tf: tf.pad(X, [[1, 1], [0, 2]], mode="REFLECT"),
    "pad_symmetric": lambda tf: tf.pad(X, [[1, 2], [0, 2]], mode="SYMMETRIC"),
    "split": lambda tf: tf.split(X, 2, axis=1),
    "split_sizes": lambda tf: tf.split(X, [1, -1, 1], axis=1),
    "stack": lambda tf: tf.stack([X, X], axis=-1),
    "unstack": lambda tf: tf.unstack(X, axis=1),
    "concat": lambda tf: tf.concat([X, X], -1),
    "tile": lambda tf: tf.tile(X, [2, 1]),
    "slice": lambda tf: tf.slice(X, [1, 0], [-1, 2]),
    "strided_slice": lambda tf: tf.strided_slice(X, [0, 1], [3, 4], [2, 1]),
    "squeeze": lambda tf: tf.squeeze(X[None, :, :, None]),
    "transpose": lambda tf: tf.transpose(X),
    "transpose_conjugate": lambda tf: tf.transpose([[1 + 1j, 2.0], [3.0, 4j]], conjugate=True),
    "expand_dims": lambda tf: tf.expand_dims(X, -2),
    "shape": lambda tf: [tf.shape(X), tf.size(X), tf.rank(X), tf.shape(X, tf.int64)],
    "filled": lambda tf: [
        tf.zeros([2, 3], tf.int32), tf.ones([2]), tf.fill([2], 3.5), tf.zeros([1], tf.string),
        tf.zeros_like(X, dtype=tf.int32), tf.ones_like(INTS), tf.zeros([2], tf.bool),
    ],
    "space_to_batch": lambda tf: tf.space_to_batch(X[None, :, :, None], [1, 2], [[0, 0], [0, 0]]),
    "broadcast_shape": lambda tf: tf.broadcast_dynamic_shape([2, 1, 3], [4, 1]),
    # reductions
    "reduce_mean_int": lambda tf: tf.reduce_mean(np.array([1, 2, 4])),
    "reduce_sum": lambda tf: tf.reduce_sum(X, [0, 1], keepdims=True),
    "reduce_std": lambda tf: tf.math.reduce_std(X),
    "reduce_variance": lambda tf: tf.math.reduce_variance(X, 0),
    "reduce_variance_complex": lambda tf: tf.math.reduce_variance(X + 1j * X.T[:1, :1]),
    "reduce_logsumexp": lambda tf: tf.reduce_logsumexp(X, 1),
    "reduce_logsumexp_inf": lambda tf: tf.reduce_logsumexp([[-np.inf, -np.inf], [1.0, np.inf]], 1),
    "reduce_euclidean_norm": lambda tf: tf.math.reduce_euclidean_norm(X),
    "argmax": lambda tf: [tf.argmax(X, 1), tf.argmin(X), tf.argmax(X, output_type=tf.int32)],
    "cumsum": lambda tf: tf.cumsum(X, axis=1, exclusive=True),
    "cumprod": lambda tf: tf.math.cumprod(X, reverse=True),
    "segment_sum": lambda tf: tf.math.segment_sum(X, [0, 0, 1]),
    "segment_mean": lambda tf: tf.math.segment_mean(X, [0, 0, 1]),
    "unsorted_segment_mean": lambda tf: tf.math.unsorted_segment_mean(X, [0, 0, 2], 4),
    "unsorted_segment_sqrt_n": lambda tf: tf.math.unsorted_segment_sqrt_n(X, [0, 0, 2], 4),
    # arithmetic and its dtypes
    "divide_ints": lambda tf: tf.divide(7, 2),
    "divide_int8": lambda tf: tf.divide(np.int8(7), np.int8(2)),
    "truediv": lambda tf: tf.truediv(INTS, np.int32(2)),
    "floordiv": lambda tf: [tf.math.floordiv(-7, 2), tf.math.floordiv(-7.5, 2.0)],
    "floormod": lambda tf: [tf.math.floormod(-7, 3), tf.math.mod(7.5, -2.0)],
    "truncate": lambda tf: [tf.truncatediv(-7, 2), tf.truncatemod(-7, 3)],
    "pow": lambda tf: [tf.pow(2, 3), tf.pow(F * F, 0.5)],
    "round": lambda tf: [tf.round([0.5, 1.5, -2.5]), tf.round(INTS), tf.math.rint([2.5])],
    "cast": lambda tf: [tf.cast([1.9, -1.9], tf.int32), tf.cast(INTS, tf.bool), tf.cast(F, "half")],
    "saturate_cast": lambda tf: tf.saturate_cast([300.0, -5.0], tf.uint8),
    "abs": lambda tf: [tf.abs([-1, 2]), tf.abs([3 + 4j]), tf.abs(F)],
    "complex": lambda tf: [tf.complex([1.0, 2.0], [3.0, 4.0]), tf.math.angle([1 + 1j, -2.0])],
    "parts": lambda tf: [tf.math.real([1 + 2j]), tf.math.imag([1 + 2j]), tf.math.conj([1 + 2j])],
    "angle_real": lambda tf: tf.math.angle(F),
    "reciprocal_no_nan": lambda tf: tf.math.reciprocal_no_nan([0.0, 2.0]),
    "add_n": lambda tf: tf.add_n([F, F, F]),
    "logical_xor": lambda tf: tf.math.logical_xor([True, True], [True, False]),
    "scalar_mul": lambda tf: tf.scalar_mul(2.0, F),
    "special": lambda tf: [
        tf.math.erf(F), tf.math.erfc(F), tf.math.erfinv(F / 4), tf.math.lgamma(F * F + 0.1),
        tf.math.digamma(F * F + 0.1), tf.math.polygamma(1.0, F * F + 0.1),
        tf.math.zeta(2.0, F * F + 1),
        tf.math.ndtri(np.float32([0.1, 0.5, 0.9])),
    ],
    "bitwise": lambda tf: [tf.bitwise.bitwise_xor(INTS, 5), tf.bitwise.left_shift(INTS, 2)],
    "more_special": lambda tf: [
        tf.math.erfcinv(np.float32([0.2, 1.0, 1.7])), tf.math.lbeta(F * F + 0.1),
        tf.math.log_sigmoid(np.float32([-100.0, -1.0, 0.0, 50.0])),
        tf.math.cumulative_logsumexp(X, axis=1), tf.math.cumulative_logsumexp(F, reverse=True),
    ],
    "monotone": lambda tf: [
        tf.math.is_non_decreasing([1, 1, 2]), tf.math.is_strictly_increasing([1, 1, 2]),
        tf.math.is_non_decreasing(F),
    ],
    "unravel_index": lambda tf: tf.unravel_index([2, 5, 7], [3, 3]),
    # clipping
    "clip_by_value": lambda tf: tf.clip_by_value([1.0, 5.0, 9.0], 2.0, 8.0),
    "clip_by_norm": lambda tf: [tf.clip_by_norm(X, 2.0), tf.clip_by_norm(X, 2.0, axes=[1])],
    "clip_by_global_norm": lambda tf: tf.clip_by_global_norm([X, X * 2], 1.5)[0],
    "global_norm": lambda tf: tf.linalg.global_norm([X, X]),
    # matrices
    "norms": lambda tf: [
        tf.norm(X), tf.norm(X, ord=1), tf.norm(X, ord=np.inf, axis=1), tf.norm(X, ord=3, axis=0),
        tf.norm(X, axis=[0, 1]), tf.norm(X, ord=1, axis=[0, 1]), tf.norm(F, keepdims=True),
    ],
    "normalize": lambda tf: [*tf.linalg.normalize(X + 1), *tf.linalg.normalize(X + 1, axis=1)],
    "trace": lambda tf: tf.linalg.trace(X),
    "diag": lambda tf: [tf.linalg.diag([1.0, 2.0]), tf.linalg.diag([1.0, 2.0], k=1)],
    "diag_part": lambda tf: [tf.linalg.diag_part(X), tf.linalg.diag_part(X, k=1)],
    "set_diag": lambda tf: tf.linalg.set_diag(X, [7.0, 8.0, 9.0]),
    "band_part": lambda tf: tf.linalg.band_part(X, 0, 1),
    "cross": lambda tf: tf.linalg.cross([1.0, 0.0, 2.0], [0.0, 1.0, 3.0]),
    "matrix_transpose": lambda tf: tf.linalg.matrix_transpose(X),
    "tensor_diag": lambda tf: [tf.linalg.tensor_diag([1.0, 2.0]), tf.linalg.tensor_diag_part(S)],
    "det": lambda tf: [tf.linalg.det(S), tf.linalg.inv(S), *tf.linalg.slogdet(S)],
    "logdet": lambda tf: tf.linalg.logdet(np.eye(2) * 3.0),
    "solve": lambda tf: [tf.linalg.solve(S, X), tf.linalg.triangular_solve(S, X, lower=True)],
    "cholesky": lambda tf: tf.linalg.cholesky(S @ S.T),
    "cholesky_solve": lambda tf: tf.linalg.cholesky_solve(np.linalg.cholesky(S @ S.T), X),
    "eigvalsh": lambda tf: tf.linalg.eigvalsh(S @ S.T),
    "singular_values": lambda tf: tf.linalg.svd(X, compute_uv=False),
    "pinv": lambda tf: [tf.linalg.pinv(X), tf.linalg.matrix_rank(X)],
    "lstsq": lambda tf: tf.linalg.lstsq(X[:, :2], X[:, 2:]),
    "matvec": lambda tf: tf.linalg.matvec(X, X[0]),
    "matmul": lambda tf: [
        tf.matmul(X, X, transpose_b=True), tf.matmul(X[None], X[:, :, None][..., 0].T),
        tf.matmul(INTS, INTS, transpose_a=True), tf.linalg.matmul(X, X, adjoint_a=True),
    ],
    "einsum": lambda tf: [
        tf.einsum("ij,kj->ik", X, X), tf.einsum("...ij,jk", X[None], X.T), tf.einsum("ii", S),
        tf.einsum("ij->ji", X), tf.einsum("ab,bc,cd->ad", X, X.T, X),
        tf.einsum("...ij,...jk->...ik", X[None], np.stack([X.T, X.T * 2])),
        tf.einsum("i,i->", X[0], X[1]),
        tf.einsum("aecd,abcd->acbe", np.stack([F[None]] * 2), np.stack([F[None]] * 2)),
    ],
    "tensordot": lambda tf: [
        tf.tensordot(X, X, [[1], [1]]), tf.tensordot(X, X.T, 1), tf.tensordot(X, X, 2),
        tf.tensordot(X, X, 0),
    ],
    # slices of tensors
    "getitem": lambda tf: [
        tf.constant(X)[0], tf.constant(X)[-1, 1:], tf.constant(X)[..., 2],
        tf.constant(X)[:, None, ::2], tf.constant(X)[::-1, ::-2], tf.constant(X)[tf.constant(1)],
        tf.constant(X)[tf.constant(X) > 4],
        tf.constant(X)[tf.constant(0) : tf.constant(2), 3],
    ],
}  # fmt: skip


def parts_of(value: Any) -> list[Any]:
    """The tensors of a result: of lists, ragged and sparse tensors."""
    if hasattr(value, "nested_row_splits"):
        return [value.flat_values, *value.nested_row_splits]
    if hasattr(value, "dense_shape") and value.dense_shape is not None:
        return [value.indices, value.values, value.dense_shape]
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in parts_of(item)]
    return [value]


def results(tf: Any, cases: Any = None) -> dict[str, list[np.ndarray]]:
    """The values of all cases as arrays."""
    made = {}
    for name, case in (CASES if cases is None else cases).items():
        parts = parts_of(case(tf))
        arrays = [np.asarray(p.numpy() if hasattr(p, "numpy") else p) for p in parts]
        made[name] = [a.astype(object) if a.dtype.kind in "SU" else a for a in arrays]
    return made


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import importlib

    import tensorflow
    from parity.recorded import pack

    chosen = CASES
    if len(sys.argv) > 2:  # the cases of another module
        module = importlib.import_module(f"parity.{sys.argv[2]}")
        chosen = module.CASES
        getattr(module, "prepare", lambda tf: None)(tensorflow)
    arrays = {
        f"{name}:{i}": a
        for name, some in results(tensorflow, chosen).items()
        for i, a in enumerate(some)
    }
    pack(Path(sys.argv[1]), arrays, {"tensorflow": tensorflow.__version__})
    print(f"{len(chosen)} cases of TensorFlow {tensorflow.__version__}")

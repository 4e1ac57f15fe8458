"""Calls of `tf.experimental.numpy`; see `function_cases.py` for how they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
Y = np.abs(X) + 0.1
N = np.array([[3, 1, 2], [0, 5, 4]])
S = np.array([1, 4, 2, 8], np.int32)


def _each(names: str, *arguments: Any) -> Callable[[Any], list[Any]]:
    def run(tf: Any) -> list[Any]:
        tnp = tf.experimental.numpy
        return [getattr(tnp, name)(*arguments) for name in names.split()]

    return run


def _on(function: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    return lambda tf: function(tf.experimental.numpy)


def prepare(tf: Any) -> None:
    """TensorFlow's own functions need it."""
    tf.experimental.numpy.experimental_enable_numpy_behavior()


CASES: dict[str, Callable[[Any], Any]] = {
    # choosing, whole numbers
    "compress": lambda tf: tf.experimental.numpy.compress(
        [True, False, True], np.arange(12).reshape(3, 4), 0
    ),
    "compress_flat": lambda tf: tf.experimental.numpy.compress([False, True, True], np.arange(3.0)),
    "diag_indices": lambda tf: list(tf.experimental.numpy.diag_indices(3, 3)),
    "divmod": lambda tf: list(
        tf.experimental.numpy.divmod(np.array([7, -7, 9]), np.array([3, 3, -4]))
    ),
    "flatten_rows": lambda tf: tf.experimental.numpy.flatten(np.arange(6).reshape(2, 3)),
    "flatten_columns": lambda tf: tf.experimental.numpy.flatten(np.arange(6).reshape(2, 3), "F"),
    "gcd": lambda tf: tf.experimental.numpy.gcd(np.array([12, -8, 0, 7]), np.array([[18], [0]])),
    "lcm": lambda tf: tf.experimental.numpy.lcm(np.array([4, 6, 0]), 10),
    "ix": lambda tf: list(tf.experimental.numpy.ix_([0, 2], [True, False, True], [1])),
    "issubdtype": lambda tf: np.array(tf.experimental.numpy.issubdtype(np.int32, np.integer)),
    "gcd_in_a_function": lambda tf: tf.function(tf.experimental.numpy.gcd)(
        tf.constant([270, 35]), tf.constant([192, 49])
    ),
    "float_unary": _each("exp expm1 sin cos tan sinh cosh tanh arctan arcsinh cbrt exp2 deg2rad "
                         "rad2deg sinc floor ceil fix isnan fabs", X),
    "positive_unary": _each("log log1p log2 log10 sqrt reciprocal", Y),
    "int_unary": _each("sqrt exp sin absolute negative square sign positive", S),
    "binary": _each("add subtract multiply true_divide floor_divide remainder maximum minimum "
                    "arctan2 hypot equal less greater_equal logaddexp heaviside", X, Y),
    "mixed_types": _each("add multiply true_divide maximum power", S, 2.5),
    "int_binary": _each("add true_divide floor_divide remainder bitwise_and bitwise_or bitwise_xor",
                     S, np.array([2, 3, 5, 1], np.int32)),
    "logic": _each("logical_and logical_or logical_xor", [True, False, True], [1, 1, 0]),
    "reductions": _each("sum prod mean std var max min all any argmax argmin count_nonzero cumsum "
                        "cumprod average", X),
    "reductions_axis": _each("sum prod mean std var max min all any argmax argmin cumsum cumprod "
                             "sort argsort average", X, 1),
    "int_reductions": _each("sum prod mean max cumsum std", S),
    "nan": _on(lambda tnp: [
        tnp.nanmean([1.0, np.nan, 3.0]),
        tnp.nansum([1.0, np.nan, 3.0]),
        tnp.nanprod([2.0, np.nan, 3.0]),
    ]),
    "made": _on(lambda tnp: [
        tnp.zeros((2, 3)), tnp.ones(2),
        tnp.full((2, 2), 7), tnp.eye(2, 3, 1),
        tnp.arange(5), tnp.arange(1.0, 3.0, 0.5),
        tnp.linspace(0, 1, 5),
        tnp.linspace(0, 1, 4, endpoint=False),
        tnp.logspace(0, 2, 3), tnp.geomspace(1, 8, 4),
        tnp.tri(3), tnp.tril(N), tnp.triu(N),
        tnp.diag([1, 2]), tnp.diag(N),
        tnp.vander([1.0, 2.0, 3.0]), tnp.array([1, 2.5]),
        tnp.array([1, 2]), tnp.full_like(X, 2),
        tnp.diagonal(N, 1), *tnp.meshgrid([1, 2], [3, 4, 5]),
    ]),
    "forms": _on(lambda tnp: [
        tnp.reshape(N, (3, 2)), tnp.reshape(N, -1),
        tnp.reshape(N, (3, 2), order="F"), tnp.ravel(N),
        tnp.transpose(N), tnp.swapaxes(N, 0, 1),
        tnp.moveaxis(N[None], 0, -1), tnp.squeeze(N[None]),
        tnp.expand_dims(N, 1), tnp.atleast_2d([1, 2]),
        tnp.atleast_3d([1, 2]), tnp.broadcast_to([1, 2], (2, 2)),
        tnp.flip(N), tnp.fliplr(N),
        tnp.flipud(N), tnp.rot90(N),
        tnp.roll(N, 1), tnp.roll(N, 1, 0),
        tnp.pad(N, ((1, 0), (0, 2)), "constant"),
        tnp.tile(N, 2), tnp.tile([1, 2], (2, 1)),
        tnp.repeat(N, 2), tnp.repeat(N, 2, axis=1),
    ]),
    "joined": _on(lambda tnp: [
        tnp.concatenate([N, X]), tnp.stack([N, X]),
        tnp.vstack([[1, 2], [3.0, 4.0]]), tnp.hstack([[1], [2]]),
        tnp.dstack([[1], [2]]),
        tnp.append([1], [2, 3]), *tnp.split(S, 2),
        *tnp.hsplit(N, 3),
    ]),
    "picked": _on(lambda tnp: [
        tnp.take(S, [0, 2]), tnp.take(N, [2, 0], axis=1),
        tnp.take_along_axis(N, np.array([[2], [0]]), 1),
        tnp.where(N > 2, N, 0.5), *tnp.nonzero(N),
        tnp.select([N > 3, N > 1], [N, -N], 9),
        tnp.clip(X, 0, 1), tnp.clip(S, 2, 4),
    ]),
    "products": _on(lambda tnp: [
        tnp.dot(X, X.T), tnp.dot([1, 2], [3.0, 4.0]),
        tnp.matmul(X, X.T), tnp.inner(X, Y),
        tnp.outer([1, 2], [3, 4]), tnp.vdot([1, 2], [3, 4]),
        tnp.tensordot(X, Y), tnp.einsum("ij,kj->ik", X, Y),
        tnp.kron([[1, 2]], [[1], [3]]), tnp.trace(N),
        tnp.cross([1, 0, 2], [0, 1, 3]),
    ]),
    "compared": _on(lambda tnp: [
        tnp.isclose([1.0, 2.0], [1.0, 2.1]),
        tnp.allclose([1.0], [1.0 + 1e-9]),
        tnp.array_equal([1, 2], [1, 2]), tnp.diff(S),
        tnp.around(X, 1), tnp.polyval([1, 2, 3], 2),
    ]),
}  # fmt: skip

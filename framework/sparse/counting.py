"""`tf.sparse.bincount`: how often each number occurs, as a SparseTensor."""

from __future__ import annotations

from typing import Any

from shardtape import errors
from shardtape.graph.static import constant_value
from shardtape.ops.array import reshape, zeros
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.sparse_counts import dense_count, ragged_count, sparse_count
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import EagerTensor


def bincount(
    values: Any,
    weights: Any = None,
    axis: int | None = 0,
    minlength: Any = None,
    maxlength: Any = None,
    binary_output: bool = False,
    name: str | None = None,
) -> SparseTensor:
    """How often (or with which sum of `weights`) each number occurs, as a SparseTensor.

    Args:
      values: integers that are not negative: a tensor, RaggedTensor or SparseTensor of rank 1
        or 2.
      weights: of the same kind and form as `values`; the result has their dtype.
      axis: 0 or None counts all together: (numbers,); -1 each row: (rows, numbers).
      minlength: the least number of columns.
      maxlength: the number of columns; larger numbers are not counted.
      binary_output: whether a number occurs, as 1.

    Raises:
      ValueError: another axis, weights of another kind, or weights with `binary_output`.
      InvalidArgumentError: a negative number.
    """
    if axis not in (0, -1, None):
        raise ValueError(
            f"Unsupported value for argument axis={axis}. Only 0 and -1 are currently supported."
        )
    if weights is not None and binary_output:
        raise ValueError(
            "Arguments `binary_output` and `weights` are mutually exclusive. Please specify only "
            "one."
        )
    attrs = {
        "minlength": _length(minlength, "minlength"),
        "maxlength": _length(maxlength, "maxlength"),
        "binary_output": bool(binary_output),
    }
    kind = next((k for k in (SparseTensor, RaggedTensor) if isinstance(values, k)), None)
    if kind is None:
        values = convert_to_tensor(values)
        weights = None if weights is None else convert_to_tensor(weights)
    elif weights is not None and not isinstance(weights, kind):
        raise ValueError(
            f"Argument `weights` must be a {kind.__name__} if `values` is a {kind.__name__}. "
            f"Received weights={weights} of type: {type(weights).__name__}"
        )
    elif weights is not None:
        _check_places(values, weights)
    if axis != -1:
        values, weights = _flat(values), None if weights is None else _flat(weights)
    if isinstance(values, SparseTensor):
        got = sparse_count(
            values.indices, values.values, values.dense_shape,
            zeros([0], values.dtype) if weights is None else weights.values, name=name, **attrs,
        )  # fmt: skip
    elif isinstance(values, RaggedTensor):
        got = ragged_count(
            values.row_splits, values.values,
            zeros([0], values.dtype) if weights is None else weights.values, name=name, **attrs,
        )  # fmt: skip
    else:
        weights = zeros([0], values.dtype) if weights is None else weights
        got = dense_count(values, weights, name=name, **attrs)
    return SparseTensor(*got)


def _flat(x: Any) -> Any:
    if isinstance(x, SparseTensor):
        return x.values
    return reshape(x.flat_values if isinstance(x, RaggedTensor) else x, [-1])


def _length(value: Any, what: str) -> int:
    if value is None:
        return -1
    known = constant_value(convert_to_tensor(value))
    if known is None:
        raise TypeError(f"`{what}` of tf.sparse.bincount must be known: it is a {value!r}")
    return int(known)


def _check_places(values: Any, weights: Any) -> None:
    """Raises InvalidArgumentError where the weights are at other places than values (eagerly)."""
    sparse = isinstance(values, SparseTensor)
    mine = values.indices if sparse else values.row_splits
    theirs = weights.indices if sparse else weights.row_splits
    if isinstance(mine, EagerTensor) and isinstance(theirs, EagerTensor):
        a, b = mine.numpy().tolist(), theirs.numpy().tolist()
        if a != b:
            raise errors.InvalidArgumentError(
                f"weights and values must have the same {'indices' if sparse else 'row_splits'}, "
                f"got {b} and {a}"
            )

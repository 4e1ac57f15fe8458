"""`tf.io.parse_example` and its kin: serialised Examples to tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.io import example_parser as parser
from shardtape.io.ragged_feature import RaggedFeature, ragged_of, static_shapes, wanted_ragged
from shardtape.ops.convert import convert_to_tensor, to_array
from shardtape.ops.registry import op
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import Tensor

_STRING = frozenset((dt.string,))
_TYPES = (dt.float32, dt.int64, dt.string)


class FixedLenFeature(NamedTuple):
    """A feature of a fixed shape.

    Fields:
      shape: of one example.
      dtype: float32, int64 or string.
      default_value: used where the feature is missing; None: it is required.
    """

    shape: Any
    dtype: Any
    default_value: Any = None


class FixedLenSequenceFeature(NamedTuple):
    """A feature of any number of rows of a fixed shape.

    Fields:
      shape: of a row.
      allow_missing: True for `parse_example`; in feature lists: whether it may be missing.
      default_value: what batches are padded with.
    """

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature of any number of values, parsed to a SparseTensor."""

    dtype: Any


class SparseFeature(NamedTuple):
    """Values at places that other features give, parsed to a SparseTensor.

    Fields:
      index_key: the feature (or several, one per axis) that holds the places.
      value_key: the feature that holds the values.
      size: of the axis (or axes).
      already_sorted: the places are in order.
    """

    index_key: Any
    value_key: str
    dtype: Any
    size: Any
    already_sorted: bool = False


# ---- what is asked for --------------------------------------------------------------------------
def _wanted(features: Mapping[str, Any], in_list: bool = False) -> list[Any]:
    """What the parser is asked for, by sorted name. Raises ValueError naming the feature."""
    if not isinstance(features, Mapping):
        raise ValueError(f"features must be a dict of names to features, got {features!r}")
    return [_one(key, features[key], in_list) for key in sorted(features)]


def _one(key: str, feature: Any, in_list: bool) -> Any:
    dtype = dt.as_dtype(feature.dtype) if hasattr(feature, "dtype") else None
    if dtype not in _TYPES:
        if dtype is None:
            raise ValueError(f"Invalid feature {key}:{feature}.")
        raise ValueError(f"Unsupported dtype {dtype.name} for feature {key!r}: "
                         "float32, int64 or string")  # fmt: skip
    if isinstance(feature, VarLenFeature):
        return parser.Sparse(key, dtype)
    if isinstance(feature, FixedLenFeature):
        if in_list:
            raise ValueError(f"Unsupported: feature list {key!r} cannot be a FixedLenFeature")
        return parser.Dense(key, _known(feature.shape, key), dtype, _default(feature, dtype, key))
    if isinstance(feature, FixedLenSequenceFeature):
        return _sequence(key, feature, dtype, in_list)
    if isinstance(feature, SparseFeature) and not in_list:
        several = isinstance(feature.index_key, (list, tuple))
        keys = tuple(feature.index_key) if several else (feature.index_key,)
        sizes = tuple(feature.size) if isinstance(feature.size, (list, tuple)) else (feature.size,)
        if len(keys) != len(sizes):
            raise ValueError(f"SparseFeature {key!r} needs one size per index key")
        return parser.SparseIndexed(
            keys, feature.value_key, dtype, tuple(map(int, sizes)), feature.already_sorted
        )
    if isinstance(feature, RaggedFeature):
        return wanted_ragged(key, feature, dtype)
    raise ValueError(f"Invalid feature {key}:{feature}.")


def _known(shape: Any, key: str) -> tuple[int, ...]:
    dims = shapes.as_shape(shape)
    if not dims.is_fully_defined():
        raise ValueError(
            f"First dimension of shape for feature {key} unknown. Consider using "
            "FixedLenSequenceFeature."
        )
    return tuple(dims.as_list())  # type: ignore[arg-type]


def _default(feature: FixedLenFeature, dtype: dt.DType, key: str) -> Any:
    if feature.default_value is None:
        return None
    shape = _known(feature.shape, key)
    value = feature.default_value
    array = np.asarray(value._host() if hasattr(value, "_host") else to_array(value, dtype))
    if array.size != int(np.prod(shape, dtype=np.int64)):
        raise errors.InvalidArgumentError(
            f"feature {key}: the default has {array.size} values, the shape {list(shape)} "
            f"{int(np.prod(shape, dtype=np.int64))}"
        )
    return array.reshape(shape)


def _sequence(key: str, feature: FixedLenSequenceFeature, dtype: dt.DType, in_list: bool) -> Any:
    if not in_list and not feature.allow_missing:
        raise ValueError("Unsupported: FixedLenSequenceFeature requires allow_missing to be True.")
    padding = feature.default_value
    if padding is None:
        padding = b"" if dtype is dt.string else dtype.numpy_dtype.type(0)
    else:
        padding = np.asarray(to_array(padding, dtype)).reshape(-1)[0]
    required = in_list and not feature.allow_missing
    return parser.DenseSequence(key, _known(feature.shape, key), dtype, padding, required)


class _Plan:
    """What an operation parses, as an attribute; equal plans are one object."""

    def __init__(self, wanted: Sequence[Any]) -> None:
        self.wanted = tuple(wanted)

    def shapes(self, batch: Any, single: bool, steps: bool = False) -> list[Any]:
        """Static shapes of the outputs. `batch`: sizes before those of one example."""
        out: list[Any] = []
        for w in self.wanted:
            if isinstance(w, parser.Dense):
                out.append([*batch, *w.shape])
            elif isinstance(w, parser.DenseSequence):
                out.append([*batch, None, *w.shape])
            elif isinstance(w, parser.Ragged):
                out.extend(static_shapes(w, batch, steps))
            else:
                own = len(w.size) if isinstance(w, parser.SparseIndexed) else 1 + steps
                rank = len(batch) + own
                out.extend([[None, rank], [None], [rank]])
        return out

    def dtypes(self, single: bool, steps: bool = False) -> list[dt.DType]:
        out: list[dt.DType] = []
        for w in self.wanted:
            if isinstance(w, (parser.Dense, parser.DenseSequence)):
                out.append(w.dtype)
            elif isinstance(w, parser.Ragged):
                around = (not single) + steps
                out.extend([w.dtype, *[w.splits] * (around + len(w.levels))])
            else:
                out.extend([dt.int64, w.dtype, dt.int64])
        return out


def _batch_of(serialized: Any, single: bool) -> list[Any]:
    return [] if single else [serialized.shape[0] if serialized.shape.rank else None]


# ---- operations ---------------------------------------------------------------------------------
@op("ParseExamples", shape=lambda serialized, names, plan, single:
    plan.shapes(_batch_of(serialized, single), single),
    dtype=lambda dtypes, attrs: tuple(attrs["plan"].dtypes(attrs["single"])), dtypes=_STRING,
    outputs=-1, dynamic=True, widen=False, differentiable=False)  # fmt: skip
def parse_examples_op(xp, serialized, names, *, plan, single):
    """Serialised Examples (batch,), or one, to the tensors of the plan's features."""
    records = np.asarray(serialized, object).reshape(-1).tolist()
    given = np.asarray(names, object).reshape(-1).tolist()
    return tuple(parser.parse(records, plan.wanted, given, single))


def _sequence_shapes(
    serialized: Any, names: Any, context: _Plan, lists: _Plan, single: bool
) -> Any:
    batch = _batch_of(serialized, single)
    dense = sum(isinstance(w, parser.DenseSequence) for w in lists.wanted)
    return [
        *context.shapes(batch, single),
        *lists.shapes(batch, single, steps=True),
        *[[None]] * dense,
    ]


def _sequence_dtypes(dtypes: Any, attrs: Any) -> Any:
    single, lists = attrs["single"], attrs["lists"]
    dense = sum(isinstance(w, parser.DenseSequence) for w in lists.wanted)
    of_lists = lists.dtypes(single, steps=True)
    return (*attrs["context"].dtypes(single), *of_lists, *[dt.int64] * dense)


@op("ParseSequenceExamples", shape=_sequence_shapes, dtype=_sequence_dtypes, dtypes=_STRING,
    outputs=-1, dynamic=True, widen=False, differentiable=False)  # fmt: skip
def parse_sequence_examples_op(xp, serialized, names, *, context, lists, single):
    """Serialised SequenceExamples to tensors of the context, of the lists, and lengths."""
    records = np.asarray(serialized, object).reshape(-1).tolist()
    given = np.asarray(names, object).reshape(-1).tolist()
    found = parser.parse_sequences(records, context.wanted, lists.wanted, given, single)
    return tuple([array for part in found for array in part])


def _structured(
    outputs: Any, features: Mapping[str, Any], wanted: Sequence[Any], around: int
) -> dict[str, Any]:
    """Args: around: levels around the values of one feature (batch, steps)."""
    out: dict[str, Any] = {}
    for key, want in zip(sorted(features), wanted):
        if isinstance(want, (parser.Dense, parser.DenseSequence)):
            out[key] = next(outputs)
        elif isinstance(want, parser.Ragged):
            out[key] = ragged_of(want, outputs, around)
        else:
            out[key] = SparseTensor(next(outputs), next(outputs), next(outputs))
    # TensorFlow's order
    kinds = {key: _ORDER[type(want)] for key, want in zip(sorted(features), wanted)}
    return {key: out[key] for key in sorted(out, key=lambda key: kinds[key])}


_ORDER = {
    parser.Sparse: 0, parser.Dense: 1, parser.DenseSequence: 1, parser.Ragged: 2,
    parser.SparseIndexed: 3,
}  # fmt: skip


def _names(example_names: Any) -> Tensor:
    if example_names is None:
        return convert_to_tensor(np.empty(0, object), dt.string)
    return convert_to_tensor(example_names, dt.string)


# ---- public functions ---------------------------------------------------------------------------
def parse_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    """Serialised Examples as a batch of tensors.

    Args:
      serialized: strings (batch,), or one.
      features: names to FixedLenFeature, VarLenFeature and the like.
      example_names: names of the examples, for error texts.

    Returns:
      Names to Tensors, SparseTensors for VarLenFeature and SparseFeature, and RaggedTensors for
      RaggedFeature.

    Raises:
      InvalidArgumentError: what is no Example, or a feature that is missing or does not fit.
      ValueError: features that cannot be.
    """
    if not features:
        raise ValueError("Argument `features` cannot be None.")
    serialized = convert_to_tensor(serialized, dt.string)
    if serialized.shape.rank == 0:
        return parse_single_example(serialized, features, example_names, name)
    if serialized.shape.rank not in (1, None):
        raise ValueError(f"Shape {serialized.shape} must have rank at most 1")
    return _parse(serialized, features, example_names, False, name)


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    """One serialised Example as tensors without a batch axis; else as `parse_example`."""
    if not features:
        raise ValueError("Invalid argument: features cannot be None.")
    serialized = convert_to_tensor(serialized, dt.string)
    serialized.shape.with_rank(0)
    return _parse(serialized, features, example_names, True, name)


def _parse(
    serialized: Tensor, features: Mapping[str, Any], example_names: Any, single: bool, name: Any
) -> dict[str, Any]:
    plan = _Plan(_wanted(features))
    got = parse_examples_op(serialized, _names(example_names), plan=plan, single=single, name=name)
    return _structured(iter(got), features, plan.wanted, not single)


def parse_single_sequence_example(
    serialized: Any,
    context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None,
    example_name: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """One serialised SequenceExample: (context, feature lists), each names to tensors.

    Feature lists are FixedLenSequenceFeatures (steps, ...), VarLenFeatures (steps, widest) or
    RaggedFeatures (steps, None).
    """
    serialized = convert_to_tensor(serialized, dt.string)
    serialized.shape.with_rank(0)
    context, lists, _ = _parse_sequences(
        serialized, context_features, sequence_features, example_name, True, name
    )
    return context, lists


def parse_sequence_example(
    serialized: Any,
    context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None,
    example_names: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Serialised SequenceExamples (batch,): (context, feature lists, lengths of dense lists)."""
    serialized = convert_to_tensor(serialized, dt.string)
    return _parse_sequences(
        serialized, context_features, sequence_features, example_names, False, name
    )


def _parse_sequences(
    serialized: Tensor, context_features: Any, sequence_features: Any, names: Any, single: bool,
    name: Any,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:  # fmt: skip
    if not (context_features or sequence_features):
        raise ValueError(
            "Both `context_features` and `sequence_features` argument are None, but at least one "
            "should have values."
        )
    of_context, of_lists = context_features or {}, sequence_features or {}
    context, lists = _Plan(_wanted(of_context)), _Plan(_wanted(of_lists, in_list=True))
    got = iter(
        parse_sequence_examples_op(
            serialized, _names(names), context=context, lists=lists, single=single, name=name
        )
    )
    first = _structured(got, of_context, context.wanted, not single)
    second = _structured(got, of_lists, lists.wanted, 2 - single)
    dense = [w.key for w in lists.wanted if isinstance(w, parser.DenseSequence)]
    return first, second, dict(zip(dense, got))

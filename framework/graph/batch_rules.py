"""How ops run on many examples at once: one rule for each op type that has a good one.

A rule is `f(op, inputs, attrs, batch)`. `inputs` are `Lane`s: tensors that are the same for all
examples, or that hold the examples' values along a new first axis. It returns the output (a list
of several) with the examples along the first axis, or None where it cannot tell how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.graph.static import constant_value
from shardtape.ops import array, reduce
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.registry import Op

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}


class Lane(NamedTuple):
    """A value of a vectorised run; `batched`: its first axis runs over the examples."""

    tensor: Any
    batched: bool

    @property
    def rank(self) -> int | None:
        """The rank of one example's value."""
        rank = self.tensor.shape.rank
        return rank if rank is None or not self.batched else rank - 1

    def dims(self) -> list[int | None]:
        """The static shape of one example's value, whose rank is known."""
        return self.tensor.shape.as_list()[1 if self.batched else 0 :]


class Batch:
    """The number of examples, and what is done with it.

    Args:
      count: an int, or an int32 scalar Tensor.
    """

    def __init__(self, count: Any) -> None:
        known = count if isinstance(count, int) else constant_value(count)
        self.known = None if known is None else int(known)
        self.count = count if known is None else self.known

    def lifted(self, lane: Lane) -> Any:
        """The tensor with the examples along its first axis, repeated where they are equal."""
        if lane.batched:
            return lane.tensor
        t = lane.tensor
        return array.broadcast_to(array.expand_dims(t, 0), self.before(array.shape(t)))

    def before(self, vector: Any) -> Any:
        """A shape with the number of examples before it."""
        known = constant_value(vector) if not isinstance(vector, list) else np.array(vector)
        if known is not None and self.known is not None:
            return convert_to_tensor(np.array([self.known, *known.tolist()], np.int32))
        first = array.reshape(convert_to_tensor(self.count, dt.int32), [1])
        rest = convert_to_tensor(vector)
        return array.concat([first, _int32(rest)], 0)

    def reshaped(self, lane: Lane, dims: Any) -> Any:
        """A batched lane whose examples get another shape."""
        return array.reshape(lane.tensor, self.before(dims))

    def of_rank(self, lane: Lane, rank: int) -> Any:
        """The tensor with ones before each example's dimensions, as broadcasting puts them."""
        if not lane.batched or lane.rank == rank:
            return lane.tensor
        ones = [1] * (rank - (lane.rank or 0))
        shape = array.shape(lane.tensor)
        return array.reshape(lane.tensor, array.concat([shape[:1], ones, shape[1:]], 0))


def _int32(t: Any) -> Any:
    from shardtape.ops.cast import cast

    return cast(t, dt.int32)


def rule(*types: str) -> Callable[[Rule], Rule]:
    """Registers a rule for op types."""

    def register(function: Rule) -> Rule:
        for t in types:
            RULES[t] = function
        return function

    return register


def find(op: Op) -> Rule | None:
    """The rule of an op; None where it has to run example by example."""
    found = RULES.get(op.type)
    if found is None and (op.broadcasts or op.is_ufunc):
        return _broadcasting
    return found


# ---- elementwise ------------------------------------------------------------------------------
def _broadcasting(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    ranks = [lane.rank for lane in inputs]
    if len(inputs) > 1 and None in ranks:
        return None
    highest = max([r or 0 for r in ranks])
    return op(*[batch.of_rank(lane, highest) for lane in inputs], **attrs)


@rule("Angle", "Cast", "ComplexAbs", "Conj", "Digamma", "Elu", "Erf", "Erfc", "Erfinv", "Identity",
      "Imag", "LeakyRelu", "Lgamma", "Ndtri", "OnesLike", "PreventGradient", "Real", "Reciprocal",
      "Relu", "Relu6", "Round", "Rsqrt", "Selu", "Sigmoid", "Softplus", "Softsign", "StopGradient",
      "ZerosLike", "EluGrad", "LeakyReluGrad", "Relu6Grad", "ReluGrad", "RsqrtGrad", "SqrtGrad",
      "ReciprocalGrad", "SeluGrad", "SigmoidGrad", "SoftplusGrad", "SoftsignGrad", "TanhGrad",
      "AddN")  # fmt: skip
def _each_element(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    return op(*[batch.lifted(lane) for lane in inputs], **attrs)


@rule("Softmax", "LogSoftmax", "Cholesky", "MatrixInverse", "MatrixDeterminant", "MatrixSolve",
      "LogMatrixDeterminant", "SelfAdjointEigV2", "Svd", "Qr")  # fmt: skip
def _last_axes(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    return op(*[batch.lifted(lane) for lane in inputs], **attrs)


@rule("TopKV2", "MatrixBandPart")
def _last_axes_of_the_first(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    if any(lane.batched for lane in inputs[1:]):
        return None
    return op(inputs[0].tensor, *[lane.tensor for lane in inputs[1:]], **attrs)


# ---- products ---------------------------------------------------------------------------------
@rule("MatMul")
def _mat_mul(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    a, b = inputs
    flags = {"transpose_a": attrs["transpose_a"], "transpose_b": attrs["transpose_b"]}
    if a.batched and not b.batched and not flags["transpose_a"]:
        shape = array.shape(a.tensor)  # all rows in one product
        rows = array.reshape(a.tensor, array.stack([-1, shape[2]]))
        got = matmul(rows, b.tensor, transpose_b=flags["transpose_b"])
        return array.reshape(got, array.stack([shape[0], shape[1], array.shape(got)[1]]))
    return matmul(a.tensor, b.tensor, **flags)


@rule("BatchMatMulV2", "MatrixTriangularSolve")
def _batch_mat_mul(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    return _broadcasting(op, inputs, attrs, batch)


@rule("Einsum")
def _einsum(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    terms, arrow, result = attrs["equation"].replace(" ", "").partition("->")
    free = next((c for c in "zyxwvutsrqponm" if c not in attrs["equation"]), None)
    if not arrow or free is None:
        return None
    parts = [free + t if lane.batched else t for t, lane in zip(terms.split(","), inputs)]
    equation = f"{','.join(parts)}->{free}{result}"
    return op(*[lane.tensor for lane in inputs], **{**attrs, "equation": equation})


# ---- reductions and axes ----------------------------------------------------------------------
def _moved_axes(lane: Lane) -> Any:
    """Axes with those that count from the front moved by one; None where they are unknown."""
    known = None if lane.batched else constant_value(lane.tensor)
    if known is None:
        return None
    moved = np.where(known < 0, known, known + 1).astype(known.dtype)
    return convert_to_tensor(moved[()])


@rule("Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "ArgMax", "ArgMin", "Cumsum", "Cumprod",
      "CumulativeLogsumexp", "ReverseV2")  # fmt: skip
def _along(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = _moved_axes(inputs[1])
    return None if axis is None else op(inputs[0].tensor, axis, **attrs)


@rule("SpreadLike")
def _spread(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = _moved_axes(inputs[2])
    if axis is None:
        return None
    return op(batch.lifted(inputs[0]), batch.lifted(inputs[1]), axis, **attrs)


@rule("SumToShapeOf")
def _sum_to_shape(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    g, x = inputs
    if g.rank is None or x.rank is None:
        return None
    like = Lane(batch.lifted(x), True)
    got = op(batch.lifted(g), batch.of_rank(like, g.rank))
    return got if g.rank == x.rank else array.reshape(got, array.shape(like.tensor))


@rule("L2Loss")
def _l2_loss(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    x = inputs[0]
    if x.rank is None:
        return None
    return reduce.reduce_sum(x.tensor * x.tensor, list(range(1, x.rank + 1))) / 2


@rule("BiasAdd")
def _bias_add(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    value, bias = inputs
    if str(attrs["data_format"]).startswith("NC") or value.rank is None:
        return None
    return batch.of_rank(value, value.rank) + batch.of_rank(bias, value.rank)


@rule("BiasAddGrad")
def _bias_add_grad(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    g = inputs[0]
    if str(attrs["data_format"]).startswith("NC") or g.rank is None:
        return None
    return reduce.reduce_sum(g.tensor, list(range(1, g.rank)))


# ---- shapes -----------------------------------------------------------------------------------
@rule("Reshape", "EnsureShape")
def _reshape(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    if op.type == "EnsureShape":
        return inputs[0].tensor
    return None if inputs[1].batched else batch.reshaped(inputs[0], inputs[1].tensor)


@rule("ExpandDims")
def _expand_dims(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = _moved_axes(inputs[1])
    return None if axis is None else op(inputs[0].tensor, axis)


@rule("Squeeze")
def _squeeze(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    given, rank = attrs["squeeze_dims"], inputs[0].rank
    if rank is None:
        return None
    dims = inputs[0].dims()
    if not given and None in dims:
        return None
    axes = [a % rank for a in given] if given else [i for i, d in enumerate(dims) if d == 1]
    return array.squeeze(inputs[0].tensor, [a + 1 for a in axes]) if axes else inputs[0].tensor


@rule("Transpose")
def _transpose(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    perm = None if inputs[1].batched else constant_value(inputs[1].tensor)
    if perm is None:
        return None
    return array.transpose(inputs[0].tensor, [0, *[int(p) % len(perm) + 1 for p in perm]])


@rule("BroadcastTo")
def _broadcast_to(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    x, shape = inputs
    rank = shape.tensor.shape[0] if shape.tensor.shape.rank == 1 else None
    if shape.batched or rank is None or x.rank is None:
        return None
    return array.broadcast_to(batch.of_rank(x, rank), batch.before(shape.tensor))


def _before(first: int, vector: Any) -> Any:
    """A vector of a host input with one more number before it."""
    return array.concat([array.fill([1], convert_to_tensor(first, vector.dtype)), vector], 0)


@rule("Tile")
def _tile(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    return None if inputs[1].batched else op(inputs[0].tensor, _before(1, inputs[1].tensor))


@rule("SumTiles")
def _sum_tiles(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    if inputs[2].batched:
        return None
    lifted = [batch.lifted(lane) for lane in inputs[:2]]
    return op(*lifted, _before(1, inputs[2].tensor))


def _no_padding(paddings: Any) -> Any:
    none = array.zeros([1, 2], paddings.dtype)
    return array.concat([none, array.reshape(paddings, [-1, 2])], 0)


@rule("Pad", "PadV2", "MirrorPad", "MirrorPadGrad")
def _pad(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    x, paddings, *rest = inputs
    if paddings.batched or any(lane.batched for lane in rest):
        return None
    return op(x.tensor, _no_padding(paddings.tensor), *[lane.tensor for lane in rest], **attrs)


@rule("Unpad")
def _unpad(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    if inputs[2].batched:
        return None
    lifted = [batch.lifted(lane) for lane in inputs[:2]]
    return op(*lifted, _no_padding(inputs[2].tensor))


@rule("Slice")
def _slice(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    x, begin, size = inputs
    if begin.batched or size.batched:
        return None
    return op(x.tensor, _before(0, begin.tensor), _before(-1, size.tensor))


@rule("SliceGrad")
def _slice_grad(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    if inputs[2].batched:
        return None
    lifted = [batch.lifted(lane) for lane in inputs[:2]]
    return op(*lifted, _before(0, inputs[2].tensor))


def _moved_masks(attrs: Any) -> dict[str, Any]:
    """Masks of strided slices with the examples' axis taken whole before the others."""
    moved = {name: bits << 1 for name, bits in attrs.items()}
    moved["begin_mask"] |= 1
    moved["end_mask"] |= 1
    return moved


@rule("StridedSlice")
def _strided_slice(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    x, *vectors = inputs
    if any(lane.batched for lane in vectors):
        return None
    moved = [_before(first, lane.tensor) for first, lane in zip((0, 0, 1), vectors)]
    return op(x.tensor, *moved, **_moved_masks(attrs))


@rule("StridedSliceGrad")
def _strided_slice_grad(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    shape, *vectors, g = inputs
    if shape.batched or any(lane.batched for lane in vectors):
        return None
    moved = [_before(first, lane.tensor) for first, lane in zip((0, 0, 1), vectors)]
    return op(batch.before(shape.tensor), *moved, g.tensor, **_moved_masks(attrs))


@rule("Shape", "Size", "Rank")
def _shape_of(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    """What all examples have in common: not batched."""
    example = array.gather(inputs[0].tensor, 0)
    return Lane(op(example, **attrs), False)


# ---- joining and taking apart -----------------------------------------------------------------
@rule("ConcatV2", "SplitLike")
def _concat(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = _moved_axes(inputs[-1])
    if axis is None:
        return None
    return op(*[batch.lifted(lane) for lane in inputs[:-1]], axis, **attrs)


@rule("Pack", "Unpack")
def _pack(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = attrs["axis"]
    moved = {**attrs, "axis": axis + 1 if axis >= 0 else axis}
    return op(*[batch.lifted(lane) for lane in inputs], **moved)


@rule("Split")
def _split(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = _moved_axes(inputs[0])
    return None if axis is None else op(axis, inputs[1].tensor, **attrs)


@rule("SplitV")
def _split_v(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    axis = _moved_axes(inputs[2])
    if axis is None or inputs[1].batched:
        return None
    return op(inputs[0].tensor, inputs[1].tensor, axis, **attrs)


@rule("GatherV2", "ScatterLike")
def _gather(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    *values, indices, axis = inputs
    moved = _moved_axes(axis)
    if moved is None:
        return None
    lifted = [batch.lifted(lane) for lane in values]
    if not indices.batched and not attrs["batch_dims"]:
        return op(*lifted, indices.tensor, moved, batch_dims=0)
    dims = attrs["batch_dims"] + (1 if attrs["batch_dims"] >= 0 else 0)
    return op(*lifted, batch.lifted(indices), moved, batch_dims=dims)


@rule("UnsortedSegmentSum")
def _segment_sum(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    data, ids, count = inputs
    if ids.batched or count.batched or ids.rank != 1 or data.rank is None:
        return None
    rest = list(range(2, data.rank + 1))
    got = op(array.transpose(data.tensor, [1, 0, *rest]), ids.tensor, count.tensor)
    return array.transpose(got, [1, 0, *rest])


# ---- ops whose first axis is one of examples already ------------------------------------------
def _merged(tensor: Any) -> Any:
    """The two first axes as one."""
    shape = array.shape(tensor)
    return array.reshape(tensor, array.concat([[-1], shape[2:]], 0))


def _split_again(got: Any, batch: Batch) -> Any:
    """The first axis as two, the first of which runs over the examples."""
    return batch.reshaped(Lane(got, True), array.concat([[-1], array.shape(got)[1:]], 0))


@rule("Conv2D", "DepthwiseConv2dNative")
def _convolution(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    x, kernel = inputs
    if kernel.batched:
        return None
    return _split_again(op(_merged(x.tensor), kernel.tensor, **attrs), batch)


@rule("Conv2DBackpropInput", "DepthwiseConv2dNativeBackpropInput")
def _convolution_back(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    sizes, kernel, g = inputs
    if kernel.batched or sizes.batched:
        return None
    whole = array.concat([array.shape(_merged(g.tensor))[:1], _int32(sizes.tensor)[1:]], 0)
    return _split_again(op(whole, kernel.tensor, _merged(g.tensor), **attrs), batch)


@rule("AvgPool", "MaxPool", "MaxPoolGrad", "MaxPoolGradGrad", "SoftmaxCrossEntropyWithLogits",
      "SparseSoftmaxCrossEntropyWithLogits")  # fmt: skip
def _merged_examples(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    got = op(*[_merged(batch.lifted(lane)) for lane in inputs], **attrs)
    if isinstance(got, (tuple, list)):
        return [_split_again(t, batch) for t in got]
    return _split_again(got, batch)


@rule("AvgPoolGrad")
def _avg_pool_grad(op: Op, inputs: Sequence[Lane], attrs: Any, batch: Batch) -> Any:
    sizes, g = inputs
    if sizes.batched:
        return None
    whole = array.concat([array.shape(_merged(g.tensor))[:1], _int32(sizes.tensor)[1:]], 0)
    return _split_again(op(whole, _merged(g.tensor), **attrs), batch)

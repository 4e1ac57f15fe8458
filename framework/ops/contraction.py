"""Sums of products over named or numbered axes: einsum and tensordot."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.broadcasting import sum_to_shape_of
from shardtape.ops.complex_numbers import conj
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.joining import concat
from shardtape.ops.kernel_errors import shown
from shardtape.ops.linalg import matmul
from shardtape.ops.node_names import scoped
from shardtape.ops.reduce import reduce_prod
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shaping import reshape, shape, transpose
from shardtape.shapes import TensorShape
from shardtape.tensor import SymbolicTensor, Tensor

_TYPES = dt.FLOATING | dt.COMPLEX | {dt.int32, dt.int64}


def _parts(equation: str) -> tuple[list[str], str]:
    left, _, right = equation.partition("->")
    return left.split(","), right


def _einsum_shape(*inputs: Arg, equation: str, _broadcast: str = "") -> TensorShape:
    subscripts, out = _parts(equation)
    sizes: dict[str, int | None] = {}
    for x, labels in zip(inputs, subscripts):
        if x.shape.rank is None:
            continue
        if x.shape.rank != len(labels):
            raise ValueError(f"{labels!r} of {equation!r} does not fit shape {x.shape}")
        for label, n in zip(labels, x.shape):
            known = sizes.get(label)
            if label in _broadcast:  # an unknown size may be the larger one, or 1
                if known == 1:
                    sizes[label] = n
                    continue
                if n == 1 and label in sizes:
                    continue
            if known is not None and n is not None and known != n:
                raise ValueError(f"axis {label!r} of {equation!r} has sizes {known} and {n}")
            sizes[label] = n if known is None else known
    return TensorShape([sizes.get(label) for label in out])


def _einsum_samples(rng: np.random.Generator) -> Any:
    n = rng.normal
    return [
        ((n(size=(2, 3)), n(size=(3, 4))), {"equation": "ij,jk->ik"}),
        ((n(size=(2, 3, 2)), n(size=(2, 2, 3))), {"equation": "bij,bki->bkj"}),
        ((n(size=(2, 3)),), {"equation": "ij->j"}),
        ((n(size=(3, 3)), n(size=(3,))), {"equation": "ii,j->ij"}),
        ((n(size=(2, 3)), n(size=(4,))), {"equation": "ij,k->k"}),
        ((n(size=(2, 3, 2)), n(size=(2, 3, 2))), {"equation": "bij,bkj->ikb"}),
    ]


@op("Einsum", dtypes=_TYPES, shape=_einsum_shape, samples=_einsum_samples)
def einsum_op(xp, *inputs, equation, _broadcast=""):
    """Einstein's sum of one or two tensors; the equation names every axis and the result's.

    Sizes of 1 broadcast only along the labels `_broadcast`, which stand for an ellipsis.
    """
    if len(inputs) == 1:
        labels = equation.partition("->")[0]
        if len(labels) != inputs[0].ndim or len(set(labels)) != len(labels):
            _check_sizes([labels], inputs, "")
        return xp.einsum(equation, inputs[0], dtype=inputs[0].dtype)
    if len(inputs) > 2:
        raise ValueError(f"more than two operands: {equation!r}")
    return _contract(xp, equation, _broadcast, *inputs)


def _check_sizes(subscripts: list[str], inputs: Any, broadcast: str) -> None:
    """Raises ValueError for a rank or a size that does not fit, as TensorFlow words it."""
    sizes: dict[str, int] = {}
    for i, (labels, x) in enumerate(zip(subscripts, inputs)):
        if len(labels) != x.ndim:
            raise ValueError(f"Expected input {i} to have rank {len(labels)} but got: {x.ndim}")
        for axis, (label, n) in enumerate(zip(labels, x.shape)):
            known = sizes.setdefault(label, n)
            if known == n:
                continue
            if label not in broadcast:
                raise ValueError(
                    f"Expected dimension {known} at axis {axis} of the input shaped "
                    f"{shown(x.shape)} but got dimension {n}"
                )
            if 1 not in (known, n):
                both = " vs. ".join(shown(x.shape) for x in inputs)
                raise ValueError(f"In[0] and In[1] must have compatible batch dimensions: {both}")
            sizes[label] = n if known == 1 else known


class _Roles(NamedTuple):
    """What the labels of two operands do."""

    left: str
    right: str
    out: str
    batch: list[str]  # in both and in the result
    free_left: list[str]
    free_right: list[str]
    summed: list[str]  # in both, not in the result
    repeats: bool  # whether one operand names a label twice


@functools.lru_cache(maxsize=1024)
def _roles(equation: str) -> _Roles:
    (left, right), out = _parts(equation)
    both = [c for c in dict.fromkeys(left) if c in right]
    return _Roles(
        left,
        right,
        out,
        [c for c in both if c in out],
        [c for c in dict.fromkeys(left) if c not in right and c in out],
        [c for c in dict.fromkeys(right) if c not in left and c in out],
        [c for c in both if c not in out],
        len(set(left)) < len(left) or len(set(right)) < len(right),
    )


def _contract(xp: Any, equation: str, broadcast: str, a: Any, b: Any) -> Any:
    """Two operands as one product of batches of matrices, which BLAS computes."""
    r = _roles(equation)
    if len(r.left) != a.ndim or len(r.right) != b.ndim or r.repeats:
        _check_sizes([r.left, r.right], (a, b), broadcast)
    given = a, b
    a = _arranged(xp, a, r.left, r.batch + r.free_left + r.summed)
    b = _arranged(xp, b, r.right, r.batch + r.summed + r.free_right)
    count, inner = len(r.batch), len(r.summed)
    split = a.ndim - inner
    rows, columns = a.shape[count:split], b.shape[count + inner :]
    lead_a, lead_b = a.shape[:count], b.shape[:count]
    if lead_a != lead_b:
        _check_sizes([r.left, r.right], given, broadcast)
    if a.shape[split:] != b.shape[count : count + inner]:
        _check_sizes([r.left, r.right], given, broadcast)
        wide = np.broadcast_shapes(a.shape[split:], b.shape[count : count + inner])
        a = xp.broadcast_to(a, (*lead_a, *rows, *wide))
        b = xp.broadcast_to(b, (*lead_b, *wide, *columns))
    k = _count(a.shape[split:])
    product = xp.matmul(
        a.reshape((*lead_a, _count(rows), k)), b.reshape((*lead_b, k, _count(columns)))
    )
    product = product.reshape((*product.shape[:count], *rows, *columns))
    labels = r.batch + r.free_left + r.free_right
    order = [labels.index(c) for c in r.out]
    return product if order == list(range(len(order))) else product.transpose(order)


def _count(sizes: Any) -> int:
    total = 1
    for n in sizes:
        total *= n
    return total


def _arranged(xp: Any, x: Any, labels: str, order: list[str]) -> Any:
    """The axes of `x` in the given order; others are summed, of repeated ones the diagonal."""
    unique = "".join(dict.fromkeys(labels))
    if unique != labels:
        x = xp.einsum(f"{labels}->{unique}", x)
    gone = tuple([i for i, c in enumerate(unique) if c not in order])
    if gone:
        x = x.sum(axis=gone, dtype=x.dtype)
        unique = "".join(c for c in unique if c in order)
    places = [unique.index(c) for c in order]
    return x if places == list(range(len(places))) else x.transpose(places)


@einsum_op.gradient
def _(g, _y, *inputs, equation, _broadcast=""):
    subscripts, out = _parts(equation)

    def gradient_of(k: int) -> Any:
        labels = subscripts[k]
        others = [x for i, x in enumerate(inputs) if i != k]
        named = [s for i, s in enumerate(subscripts) if i != k]
        there = set(out).union(*named) if named else set(out)
        unique = "".join(dict.fromkeys(labels))
        kept = "".join(label for label in unique if label in there)
        left = ",".join([out, *named])
        part = einsum_op(
            g, *[conj(x) for x in others], equation=f"{left}->{kept}", _broadcast=_broadcast
        )
        if kept == labels:
            return sum_to_shape_of(part, inputs[k])
        return einsum_spread(part, inputs[k], labels=labels, kept=kept)

    return [lambda k=k: gradient_of(k) for k in range(len(inputs))]


def _spread_reference(g: Any, x: Any, labels: str, kept: str) -> Any:
    out = np.zeros(x.shape, g.dtype)
    for at in np.ndindex(*x.shape):
        where: dict[str, int] = {}
        if all(where.setdefault(label, i) == i for label, i in zip(labels, at)):
            out[at] = g[tuple(where[label] for label in kept)]
    return out


@op(
    "EinsumSpread",
    dtypes=_TYPES,
    mixed=True,
    shape=same_as(1),
    shape_only=("x",),
    samples=lambda rng: [
        ((rng.normal(size=(3,)), np.zeros((3, 3))), {"labels": "ii", "kept": "i"}),
        ((rng.normal(size=(3,)), np.zeros((2, 3))), {"labels": "ij", "kept": "j"}),
        ((rng.normal(size=(3,)), np.zeros((3, 2, 3))), {"labels": "iji", "kept": "i"}),
    ],
    reference=_spread_reference,
)
def einsum_spread(xp, g, x, *, labels, kept):
    """The transpose of `x[labels] -> [kept]`: repeated over summed axes, on diagonals, else 0."""
    out = xp.zeros(x.shape, g.dtype)
    unique = "".join(dict.fromkeys(labels))
    view = xp.einsum(f"{labels}->{unique}", out)  # shares memory with `out`
    sizes = dict(zip(labels, x.shape))
    view[...] = g.reshape([sizes[label] if label in kept else 1 for label in unique])
    return out


@einsum_spread.gradient
def _(gg, _y, _g, _x, *, labels, kept):
    return einsum_op(gg, equation=f"{labels}->{kept}"), None


# ---- public functions -------------------------------------------------------------------------
@scoped("einsum")
def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Einstein's sum, as in `einsum("ij,jk->ik", a, b)`; `...` stands for further axes.

    Without "->" the labels that occur once make the result, in alphabetical order.

    Raises:
      ValueError: an equation that does not fit the tensors.
    """
    name = kwargs.pop("name", None)
    kwargs.pop("optimize", None)
    if kwargs:
        raise TypeError(f"Invalid keyword arguments for `einsum`: {sorted(kwargs)}")
    given = [d for d in (getattr(x, "dtype", None) for x in inputs) if isinstance(d, dt.DType)]
    tensors = [  # arrays and Python values take the type of a tensor beside them
        convert_to_tensor(x)
        if not given or isinstance(getattr(x, "dtype", None), dt.DType)
        else convert_to_tensor(x, given[0])
        for x in inputs
    ]
    equation, dots = _explicit(equation.replace(" ", ""), tensors)
    if len(tensors) <= 2:
        return einsum_op(*tensors, equation=equation, _broadcast=dots, name=name)
    return _pairwise(equation, dots, tensors, name)


def _pairwise(equation: str, dots: str, tensors: list[Any], name: Any) -> Tensor:
    """More than two operands, two at a time, from the left."""
    subscripts, out = _parts(equation)
    while len(tensors) > 2:
        needed = set(out).union(*subscripts[2:])
        first, second = subscripts[:2]
        labels = "".join(c for c in dict.fromkeys(first + second) if c in needed)
        made = einsum_op(*tensors[:2], equation=f"{first},{second}->{labels}", _broadcast=dots)
        tensors, subscripts = [made, *tensors[2:]], [labels, *subscripts[2:]]
    equation = f"{','.join(subscripts)}->{out}"
    return einsum_op(*tensors, equation=equation, _broadcast=dots, name=name)


def _explicit(equation: str, tensors: list[Any]) -> tuple[str, str]:
    """The equation with its result written out and `...` replaced by labels, and these labels."""
    subscripts, out = _parts(equation)
    if len(subscripts) != len(tensors):
        raise ValueError(
            f"Got {len(tensors)} arguments for equation {equation!r}, expecting {len(subscripts)}"
        )
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    further = 0
    for s, x in zip(subscripts, tensors):
        if "..." in s:
            if x.shape.rank is None:
                raise ValueError(f"einsum with `...` needs known ranks, got {x!r}")
            further = max(further, x.shape.rank - len(s.replace("...", "")))
    dots = "".join(spare[:further])
    full = []
    for s, x in zip(subscripts, tensors):
        if "..." in s:
            count = x.shape.rank - len(s.replace("...", ""))
            if count < 0:
                raise ValueError(f"{s!r} of {equation!r} does not fit shape {x.shape}")
            s = s.replace("...", dots[len(dots) - count :])
        full.append(s)
    if "->" in equation:
        out = out.replace("...", dots)
    else:
        joined = "".join(full)
        single = sorted(c for c in set(joined) if joined.count(c) == 1 and c not in dots)
        out = dots + "".join(single)
    unknown = [c for c in out if not any(c in s for s in full)]
    if unknown:
        raise ValueError(f"label {unknown[0]!r} of the result of {equation!r} is in no operand")
    return f"{','.join(full)}->{out}", dots


@scoped("Tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The sum of products over `axes`: a number n (the last n of `a`, the first n of `b`), or a
    pair of axes or lists of axes.

    Raises:
      ValueError: lists of different lengths.
    """
    a, b = convert_to_tensor(a), convert_to_tensor(b)
    rank_a, rank_b = len(a.shape), len(b.shape)
    if isinstance(axes, Tensor):
        axes = axes.numpy().tolist()
    if isinstance(axes, (int, np.integer)):
        count = int(axes)
        if count > min(rank_a, rank_b):
            raise ValueError(
                f"`axes` must not be larger than the number of dimensions of tensor {a}. "
                f"Received {count}, vs tensor dimensions {rank_a}."
            )
        over_a, over_b = list(range(rank_a - count, rank_a)), list(range(count))
    else:
        pair = [[x] if isinstance(x, (int, np.integer)) else list(x) for x in axes]
        over_a, over_b = [[int(i) for i in some] for some in pair]
        if len(over_a) != len(over_b):
            raise ValueError(
                f"Different number of contraction axes `a` and `b`, {len(over_a)} != {len(over_b)}."
            )
        over_a = [i % rank_a for i in over_a]
        over_b = [i % rank_b for i in over_b]
    free_a = [i for i in range(rank_a) if i not in over_a]
    free_b = [i for i in range(rank_b) if i not in over_b]
    left = _matrix(a, free_a, over_a, last=True)
    right = _matrix(b, free_b, over_b, last=False)
    product = matmul(left, right)
    known = [*[a.shape[i] for i in free_a], *[b.shape[i] for i in free_b]]
    if _follows(known):
        return reshape(product, [-1 if n is None else n for n in known], name=name)
    made = reshape(product, concat([_sizes(a, free_a), _sizes(b, free_b)], 0), name=name)
    if isinstance(made, SymbolicTensor):
        made.set_shape(known)
    return made


def _follows(sizes: list[int | None]) -> bool:
    """Whether at most one size is unknown and follows from the others."""
    return sizes.count(None) == 0 or (sizes.count(None) == 1 and 0 not in sizes)


def _sizes(x: Any, axes: list[int]) -> Any:
    known = [x.shape[i] for i in axes]
    if None not in known:
        return convert_to_tensor(np.array(known, np.int32))
    from shardtape.ops.gather import gather

    return gather(shape(x), np.array(axes, np.int32))


def _matrix(x: Any, free: list[int], over: list[int], last: bool) -> Any:
    """`x` as a matrix, the axes that are summed over last or first."""
    order = free + over if last else over + free
    if order != list(range(len(order))):
        x_moved = transpose(x, order)
    else:
        x_moved = x
    first, second = (free, over) if last else (over, free)
    sizes = [_product(x, first), _product(x, second)]
    if _follows(sizes):
        return reshape(x_moved, [-1 if n is None else n for n in sizes])
    dynamic = [reshape(reduce_prod(_sizes(x, axes)), [1]) for axes in (first, second)]
    return reshape(x_moved, concat(dynamic, 0))


def _product(x: Any, axes: list[int]) -> int | None:
    total = 1
    for i in axes:
        if x.shape[i] is None:
            return None
        total *= x.shape[i]
    return total

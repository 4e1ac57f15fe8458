"""Elementwise ops on RaggedTensors: on the flat values, broadcast where partitions differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import errors
from shardtape.debugging.assertions import Assert
from shardtape.graph.scopes import control_dependencies
from shardtape.ops import array, operators, registry
from shardtape.ops.cast import cast
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.dispatch import add_dispatcher
from shardtape.ops.math import abs, round
from shardtape.ops.reduce import reduce_all
from shardtape.ops.registry import Op
from shardtape.ragged import partitions
from shardtape.ragged.conversion import coordinates
from shardtape.ragged.tensor import RaggedTensor, convert, matching
from shardtape.tensor import EagerTensor

# ops that are elementwise but whose shape rule is not `same_as` or `broadcast`
_ALSO = frozenset({"StringJoin", "Substr", "OnesLike", "ZerosLike", "SelectV2", "AddN"})
_SAME = registry.same_as(0).__code__


def is_elementwise(op: Op) -> bool:
    """Whether the op works on corresponding elements of its inputs."""
    if op.type in _ALSO or op.is_ufunc or op.shape_rule is registry.broadcast:
        return True
    one = len(op.input_names) - len(op.host) == 1 and not op.variadic
    return one and getattr(op.shape_rule, "__code__", None) is _SAME and op.type not in _BY_ROW


# the result has the input's shape, but the elements of a row depend on each other
_BY_ROW = frozenset({"Softmax", "LogSoftmax", "Cumsum", "Cumprod", "CumulativeLogsumexp",
                     "ReverseV2", "Roll", "Cholesky", "MatrixInverse", "InvertPermutation",
                     "MatrixBandPart", "LRN"})  # fmt: skip


def map_flat_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`op` on the flat values of the RaggedTensors among the arguments, which are nested alike.

    Raises InvalidArgumentError where they are not, ValueError where `op` changes their number.
    """
    nested: list[RaggedTensor] = []

    def flat(value: Any) -> Any:
        if isinstance(value, RaggedTensor):
            nested.append(value)
            return value.flat_values
        if isinstance(value, (list, tuple)):
            return type(value)(flat(v) for v in value)
        return value

    new_args = [flat(a) for a in args]
    new_kwargs = {k: flat(v) for k, v in kwargs.items()}
    if not nested:
        return op(*args, **kwargs)
    for other in nested[1:]:
        _check_alike(nested[0], other)
    result = op(*new_args, **new_kwargs)
    made = convert_to_tensor(result)
    before = nested[0].flat_values.shape
    if made.shape.rank == 0 or not made.shape[:1].is_compatible_with(before[:1]):
        raise ValueError(
            "tf.ragged.map_flat_values requires that the output of `op` have the same outer-"
            f"dimension size as flat_values of any ragged inputs: got {made.shape}"
        )
    return nested[0].with_flat_values(made)


def _check_alike(a: RaggedTensor, b: RaggedTensor) -> None:
    for x, y in zip(a.nested_row_splits, b.nested_row_splits):
        if partitions.same(x, y) is False:
            _refuse(x, y)
    if a.ragged_rank != b.ragged_rank:
        raise errors.InvalidArgumentError(
            f"RaggedTensors of ragged ranks {a.ragged_rank} and {b.ragged_rank} do not fit"
        )


def _refuse(x: Any, y: Any) -> None:
    """Raises for splits of rows that differ, in the words of `assert_equal`, as TensorFlow does."""
    from shardtape.debugging import assert_equal

    if x.shape != y.shape:
        assert_equal(False, True)
    assert_equal(x, y)


def broadcast_flat(values: Sequence[Any]) -> tuple[list[Any], Callable[[Any], Any]]:
    """Flat values of all, which an elementwise op can take, and what nests its result again.

    A dense value may have size 1 where the ragged ones have rows; ragged ones are nested alike
    or have rows of length 1.

    Raises InvalidArgumentError for shapes that do not fit.
    """
    values = matching(*values)
    ragged = [v for v in values if isinstance(v, RaggedTensor)]
    like = max(ragged, key=lambda v: (v.ragged_rank, _size(v)))
    places = None
    out = []
    for v in values:
        if isinstance(v, RaggedTensor):
            if v is like or _alike(v, like):
                out.append(v.flat_values if v is like else _nested_alike(v, like))
                continue
            v = _uniform(v, like, *((v, like) if _before(values, v, like) else (like, v)))
        rank = v.shape.rank
        if rank == 0:
            out.append(v)
            continue
        if places is None:
            places = coordinates(like)
        out.append(_spread(v, like, places))
    return out, like.with_flat_values


def _size(rt: RaggedTensor) -> int:
    known = rt.flat_values.shape.num_elements()
    return 0 if known is None else known


def _alike(a: RaggedTensor, b: RaggedTensor) -> bool:
    if a.ragged_rank != b.ragged_rank:
        return False
    return all(
        partitions.same(x, y) is not False for x, y in zip(a.nested_row_splits, b.nested_row_splits)
    )


def _nested_alike(rt: RaggedTensor, like: RaggedTensor) -> Any:
    """The flat values, once the rows are known to have the same lengths."""
    pairs = list(zip(rt.nested_row_splits, like.nested_row_splits))
    checks = []
    for mine, theirs in pairs:
        if partitions.same(mine, theirs) is None:
            fits = reduce_all(mine == cast(theirs, mine.dtype))
            checks.append(Assert(fits, ["Unable to broadcast: row lengths differ", mine, theirs]))
    if not checks:
        return rt.flat_values
    with control_dependencies(checks):
        return array.identity(rt.flat_values)


def _before(values: Sequence[Any], a: Any, b: Any) -> bool:
    return next(v is a for v in values if v is a or v is b)


def _uniform(rt: RaggedTensor, like: RaggedTensor, x: RaggedTensor, y: RaggedTensor) -> Any:
    """A ragged value as a dense one; its rows have to be known to have one length.

    Args:
      x, y: both, in the order in which they were given.
    """
    inner: Any = rt
    while isinstance(inner, RaggedTensor):
        if inner._uniform is None:
            _check_alike(x, y)
            raise errors.InvalidArgumentError(f"{rt!r} and {like!r} cannot be broadcast")
        inner = inner.values
    return rt.to_tensor()


def _spread(dense: Any, like: RaggedTensor, places: Sequence[Any]) -> Any:
    """The element of a dense value for each flat value of `like`."""
    rank = like.shape.rank
    missing = rank - dense.shape.rank
    if missing < 0:
        raise errors.InvalidArgumentError(
            f"a tensor of shape {dense.shape} cannot be broadcast to the ragged {like.shape}"
        )
    outer = len(places)
    own = max(0, outer - missing)  # axes of `dense` that are ragged or outer ones of `like`
    if own == 0:
        return dense
    sizes = array.shape(dense, out_type=places[0].dtype)
    index = []
    for i in range(own):
        known = dense.shape[i]
        place = places[outer - own + i]
        axis = outer - own + i
        if known == 1:
            place = array.zeros_like(place)
        elif known is None:
            place = place * cast(sizes[i] > 1, place.dtype)
            place = _checked(place, like, axis, sizes[i])
        elif i > 0 or own < outer or missing:
            place = _checked(place, like, axis, known)
        index.append(place)
    return array.gather_nd(dense, array.stack(index, 1))


def _checked(place: Any, like: RaggedTensor, axis: int, size: Any) -> Any:
    """`place`, once all rows of `axis` are known to have this length (or `size` is 1)."""
    if axis == 0:
        return place
    splits = like.nested_row_splits[axis - 1]
    lengths = splits[1:] - splits[:-1]
    if type(splits) is EagerTensor and type(size) is int:
        if (lengths._host() != size).any():
            count = lengths.shape[0]
            _refuse(convert_to_tensor([i * size for i in range(count + 1)], splits.dtype), splits)
        return place
    size = cast(convert_to_tensor(size), lengths.dtype)
    fits = reduce_all((lengths == size) | (size == 1))
    text = f"Unable to broadcast: dimension size mismatch in dimension {axis}"
    with control_dependencies([Assert(fits, [text, lengths, size])]):
        return array.identity(place)


def _dispatch(op: Op, inputs: tuple[Any, ...]) -> Any:
    if not any(isinstance(x, RaggedTensor) for x in inputs):
        return NotImplemented
    if not is_elementwise(op):
        return NotImplemented

    def run(op: Op, attrs: dict[str, Any], name: str | None) -> Any:
        count = len(inputs)
        host = [op.is_host(i, count) for i in range(count)]
        first = next(x for x in inputs if isinstance(x, RaggedTensor))
        given = []
        for i, x in enumerate(inputs):
            if host[i]:
                continue
            typed = isinstance(x, RaggedTensor) or hasattr(x, "dtype") or op.mixed
            given.append(convert(x) if typed else convert(x, first.dtype))
        flat, rebuild = broadcast_flat(given)
        rest = iter(flat)
        full = [x if host[i] else next(rest) for i, x in enumerate(inputs)]
        return rebuild(op(*full, name=name, **attrs))

    return run


def _attach_operators() -> None:
    """All operators but `[]`, which is the RaggedTensor's own."""
    own = RaggedTensor.__getitem__
    operators.attach(RaggedTensor)
    RaggedTensor.__getitem__ = own  # type: ignore[method-assign]
    # NumPy's functions take it as an object, whose operators they call
    del RaggedTensor.__array_ufunc__  # type: ignore[attr-defined]
    RaggedTensor.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]


add_dispatcher(_dispatch)
_attach_operators()


@overrides("cast", RaggedTensor)
def _cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    return x.with_flat_values(cast(x.flat_values, dtype))


def _flat(name: str, function: Callable[..., Any]) -> None:
    @overrides(name, RaggedTensor)
    def on_flat_values(x: Any, *args: Any, **kwargs: Any) -> Any:
        return x.with_flat_values(function(x.flat_values, *args, **kwargs))


_flat("abs", abs)
_flat("round", round)
_flat("zeros_like", array.zeros_like)
_flat("ones_like", array.ones_like)
_flat("one_hot", array.one_hot)

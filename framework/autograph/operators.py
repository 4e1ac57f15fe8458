"""What `if`, `while`, `for`, `and`, `or`, `not` mean in converted code.

On Python values they are Python's. On symbolic tensors they become `tf.cond` and
`tf.while_loop`; the names that a block assigns are passed in and out through the state functions
that converted code hands over.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.autograph.consistency import (
    check_branches,
    check_shape,
    check_turn,
    equal,
    is_undefined,
)
from shardtape.context import building, recording, state
from shardtape.graph.control_flow import cond as cond_op
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.loops import while_loop
from shardtape.ops import array, compare
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged.tensor import RaggedTensor
from shardtape.shapes import as_shape
from shardtape.tensor import SymbolicTensor, Tensor
from shardtape.type_spec import composite_spec

_PYTHON_VALUES = (bool, int, float, complex, str, bytes)


def is_symbolic(value: Any) -> bool:
    """Whether `value` is a tensor of the graph, or becomes one: what has a value outside too."""
    if isinstance(value, SymbolicTensor):
        return True
    if state.graph is None:
        return False
    return isinstance(value, Tensor) or (hasattr(value, "_as_tensor") and hasattr(value, "_id"))


def _becomes_tensor(value: Any) -> bool:
    leaves = nest.flatten(value)
    return bool(leaves) and all(
        isinstance(x, (Tensor, *_PYTHON_VALUES))
        or hasattr(x, "_as_tensor")
        or composite_spec(x) is not None
        or type(x).__module__ == "numpy"
        for x in leaves
    )


# ---- if -----------------------------------------------------------------------------------------
def if_stmt(
    cond: Any,
    body: Callable[[], None],
    orelse: Callable[[], None],
    get_state: Callable[[], tuple[Any, ...]],
    set_state: Callable[[tuple[Any, ...]], None],
    symbol_names: tuple[str, ...],
    nouts: int,
) -> None:
    """An `if` statement; see malt's documentation of the operator for the arguments."""
    if not is_symbolic(cond):
        if cond:
            body()
        else:
            orelse()
        return
    before = get_state()
    statics: list[dict[int, Any]] = []
    ends: list[tuple[Any, ...]] = []

    def branch(block: Callable[[], None], label: str) -> Callable[[], Any]:
        def run() -> Any:
            set_state(before)
            block()
            after = get_state()[:nouts]
            kept: dict[int, Any] = {}
            tensors = []
            for i, value in enumerate(after):
                if is_undefined(value) or not _becomes_tensor(value):
                    kept[i] = value
                else:
                    tensors.append(value)
            statics.append(kept)
            ends.append(after)
            return tensors

        return run

    try:
        results = cond_op(convert_to_tensor(cond), branch(body, "main"), branch(orelse, "else"))
    except (TypeError, ValueError):
        if len(ends) == 2:
            _explain_branches(symbol_names, statics, ends)
            check_branches(symbol_names, *ends)
        raise
    _explain_branches(symbol_names, statics, ends)
    rest = iter(results)
    kept = statics[0]
    after = [kept[i] if i in kept else next(rest) for i in range(nouts)]
    set_state((*after, *before[nouts:]))


def _explain_branches(
    symbol_names: tuple[str, ...], statics: list[dict[int, Any]], ends: list[tuple[Any, ...]]
) -> None:
    """Raises ValueError for a name that has a value in one branch only."""
    main, other = statics
    for i in {*main, *other}:
        a, b = main.get(i), other.get(i)
        if (i in main) == (i in other):
            if is_undefined(a) and is_undefined(b):
                continue
            if a is b or (is_undefined(a) == is_undefined(b) and equal(a, b)):
                continue
        name = symbol_names[i]
        if is_undefined(a) or is_undefined(b):
            where = "main" if is_undefined(a) else "else"
            if name == "do_return" or name.startswith("retval_"):
                raise ValueError(f"the {where} branch must also have a return statement.")
            raise ValueError(f"'{name}' must also be initialized in the {where} branch.")
        a, b = ends[0][i], ends[1][i]
        check_branches([name], [a], [b])
        raise TypeError(
            f"'{name}' is {type(a).__name__} in one branch of `if` and {type(b).__name__} in "
            "the other: only tensors can differ between branches"
        )


def if_exp(cond: Any, if_true: Any, if_false: Any, expr_repr: str) -> Any:
    """`if_true() if cond else if_false()`."""
    if not is_symbolic(cond):
        return if_true() if cond else if_false()
    ends: list[Any] = []

    def branch(value: Any) -> Any:
        def run() -> Any:
            ends.append(value())
            return ends[-1]

        return run

    try:
        return cond_op(convert_to_tensor(cond), branch(if_true), branch(if_false))
    except (TypeError, ValueError):
        if len(ends) == 2:
            check_branches([expr_repr], ends[:1], ends[1:])
        raise


# ---- loops --------------------------------------------------------------------------------------
def while_stmt(
    test: Callable[[], Any],
    body: Callable[[], None],
    get_state: Callable[[], tuple[Any, ...]],
    set_state: Callable[[tuple[Any, ...]], None],
    symbol_names: tuple[str, ...],
    opts: dict[str, Any],
) -> None:
    """A `while` statement; it is a loop of the graph once its test gives a symbolic tensor."""
    aside = None if state.graph is None else FuncGraph("tmp", state.graph)
    result = _peek(test, aside)
    if aside is not None and aside.get_operations() and not is_symbolic(result):
        result = test()  # once more, where the nodes that it makes are kept
    while not is_symbolic(result):
        if not result:
            return
        body()
        result = test()
    _graph_loop(test, body, get_state, set_state, symbol_names, opts)


def _peek(test: Callable[[], Any], aside: FuncGraph | None) -> Any:
    """What the test gives; its nodes are made in a graph that nobody keeps."""
    if aside is None:
        return test()
    with building(aside), recording(()):
        return test()


def _graph_loop(
    test: Any, body: Any, get_state: Any, set_state: Any, symbol_names: Any, opts: Any,
    strict: bool = True,
) -> None:  # fmt: skip
    before = get_state()
    places = [i for i, v in enumerate(before) if not is_undefined(v) and _becomes_tensor(v)]
    known = set(places) if strict else set()  # others take their shapes from the body
    places, before = _loop_variables(body, before, places, set_state, get_state, symbol_names)
    opts = opts or {}
    invariants = opts.get("shape_invariants")
    if invariants is not None:
        invariants = _invariants_by_place(invariants, before, places, symbol_names)

    def install(values: Any) -> None:
        full = list(before)
        for i, value in zip(places, values):
            full[i] = value
        set_state(tuple(full))

    def run_test(*values: Any) -> Any:
        install(values)
        return convert_to_tensor(test())

    def run_body(*values: Any) -> Any:
        install(values)
        body()
        after = get_state()
        for i, (old, new) in enumerate(zip(before, after)):
            if i not in places and not is_undefined(old) and not _unchanged(old, new):
                raise TypeError(
                    f"'{symbol_names[i]}' is {type(old).__name__} before the loop and "
                    f"{type(new).__name__} in it: a loop of the graph can only change tensors"
                )
        for i, value in zip(places, values):
            check_turn(symbol_names[i], value, after[i])
            if i in known:
                check_shape(symbol_names[i], before[i], value, after[i])
        return [after[i] for i in places]

    result = while_loop(
        run_test,
        run_body,
        [before[i] for i in places],
        shape_invariants=invariants,
        maximum_iterations=opts.get("maximum_iterations"),
    )
    install(result)


def _unchanged(old: Any, new: Any) -> bool:
    """Whether a value that is no tensor stays what it is; empty containers may be new ones."""
    if new is old or equal(old, new):
        return True
    empty = nest.is_nested(old) and not nest.flatten(old) and not nest.flatten(new)
    return empty and type(new) is type(old)


def _loop_variables(
    body: Any, before: Any, places: list[int], set_state: Any, get_state: Any, names: Any
) -> tuple[list[int], Any]:
    """Names that only the body defines get zeros of the type that the body gives them.

    Python never shows the zeros: where the loop does not run, reading such a name is an error in
    Python; in a graph it is zero, as in TensorFlow. So it is with names that are None before.
    """
    undefined = [i for i, v in enumerate(before) if is_undefined(v) or v is None]
    if not undefined:
        return places, before
    from shardtape.graph.branches import Branch

    found: dict[int, Any] = {}

    def probe() -> Any:
        set_state(before)
        body()
        for i in undefined:
            value = get_state()[i]
            if not is_undefined(value) and value is not None and _becomes_tensor(value):
                found[i] = nest.map_structure(_type_of, value)
        return []

    returns = any(names[i].startswith("retval_") for i in undefined)
    try:
        Branch(probe, (), "probe")
    except (TypeError, ValueError, KeyError, UnboundLocalError):
        if not returns:
            raise
        raise NotImplementedError(
            "a return statement cannot be placed inside this TensorFlow loop; this may happen if "
            "a return statement depends on a static Python condition such as a hyperparameter. "
            "Assign the result to a variable that has a value before the loop, leave the loop "
            "with `break`, and return after it."
        ) from None
    for i in undefined if returns else ():
        if i not in found and names[i].startswith("retval_"):
            raise ValueError(
                "the return value from a TensorFlow loop may only be a Tensor, int, float, bool "
                "or a list, tuple or dict thereof; the loop's body never comes to its `return`. "
                "Move the `return` behind the loop."
            )
    set_state(before)
    full = list(before)
    for i, types in found.items():
        full[i] = nest.map_structure(_zeros, types)
        places.append(i)
    return sorted(places), tuple(full)


class _TypeOf:
    __slots__ = ("dtype", "shape")

    def __init__(self, dtype: Any, shape: Any) -> None:
        self.dtype, self.shape = dtype, shape


def _type_of(value: Any) -> _TypeOf:
    t = convert_to_tensor(value)
    return _TypeOf(t.dtype, t.shape)


def _zeros(t: _TypeOf) -> Any:
    return array.zeros([d or 0 for d in (t.shape if t.shape.rank is not None else ())], t.dtype)


def _invariants_by_place(invariants: Any, before: Any, places: list[int], names: Any) -> list[Any]:
    out: list[Any] = []
    for i in places:
        value = before[i]
        shape = next((s for t, s in invariants if t is value), None)
        if shape is None:
            out.append(nest.map_structure(_own_shape, value))
            continue
        given = getattr(value, "shape", None)
        wanted = getattr(shape, "shape", shape)
        if given is not None and not as_shape(wanted).is_compatible_with(given):
            raise ValueError(
                f"'{names[i]}' has shape {given} before the loop, which does not conform with the "
                f"shape invariant {as_shape(wanted)}."
            )
        out.append(shape)
    return out


def _own_shape(leaf: Any) -> Any:
    # what is made of several tensors keeps its own, whatever stands here
    return convert_to_tensor(leaf).shape if composite_spec(leaf) is None else as_shape(None)


def for_stmt(
    iter_: Any,
    extra_test: Callable[[], Any] | None,
    body: Callable[[Any], None],
    get_state: Callable[[], tuple[Any, ...]],
    set_state: Callable[[tuple[Any, ...]], None],
    symbol_names: tuple[str, ...],
    opts: dict[str, Any],
) -> None:
    """A `for` statement over Python iterables, symbolic tensors, or what knows how to loop."""
    own = getattr(iter_, "_autograph_for", None)
    if own is not None and state.graph is not None:
        own(extra_test, body, get_state, set_state, symbol_names, opts)
        return
    ragged = isinstance(iter_, RaggedTensor) and is_symbolic(iter_.flat_values)
    if not ragged and not is_symbolic(iter_):
        for target in iter_:
            if extra_test is not None:
                more = extra_test()
                if is_symbolic(more):
                    raise NotImplementedError(
                        "break and return statements which depend on a TF condition are not "
                        "supported in Python for loops. Loop over a tensor instead, as that of "
                        "tf.range."
                    )
                if not more:
                    break
            body(target)
        return
    sequence = iter_ if ragged else convert_to_tensor(iter_)
    count = iter_.nrows(out_type=dt.int32) if ragged else array.shape(sequence)[0]
    index = [convert_to_tensor(0)]

    def test() -> Any:
        more = compare.less(index[0], count)
        if extra_test is None:
            return more
        return cond_op(
            more, lambda: convert_to_tensor(extra_test()), lambda: convert_to_tensor(False)
        )

    def loop_body() -> None:
        target = sequence[index[0]]
        index[0] = index[0] + 1
        body(target)

    def get() -> tuple[Any, ...]:
        return (*get_state(), index[0])

    def put(values: tuple[Any, ...]) -> None:
        index[0] = values[-1]
        set_state(values[:-1])

    _graph_loop(test, loop_body, get, put, (*symbol_names, "the loop's index"), opts)


# ---- logic --------------------------------------------------------------------------------------
def and_(a: Callable[[], Any], b: Callable[[], Any]) -> Any:
    left = a()
    if is_symbolic(left):
        return cond_op(left, lambda: convert_to_tensor(b(), dt.bool), lambda: left)
    return left and b()


def or_(a: Callable[[], Any], b: Callable[[], Any]) -> Any:
    left = a()
    if is_symbolic(left):
        return cond_op(left, lambda: left, lambda: convert_to_tensor(b(), dt.bool))
    return left or b()


def not_(a: Any) -> Any:
    return compare.logical_not(convert_to_tensor(a)) if is_symbolic(a) else not a


def eq(a: Any, b: Any) -> Any:
    return a == b


def not_eq(a: Any, b: Any) -> Any:
    return a != b


# ---- builtins -----------------------------------------------------------------------------------
def _range(*args: Any) -> Any:
    if any(is_symbolic(a) for a in args):
        return array.range(*args)
    return range(*args)


def _len(value: Any) -> Any:
    if isinstance(value, SymbolicTensor):
        size = value.shape[0] if value.shape.rank else None
        return size if size is not None else array.shape(value)[0]
    return len(value)


def _int(*args: Any) -> Any:
    if args and is_symbolic(args[0]):
        from shardtape.ops.cast import cast

        return cast(args[0], dt.int32)
    return int(*args)


def _float(*args: Any) -> Any:
    if args and is_symbolic(args[0]):
        from shardtape.ops.cast import cast

        return cast(args[0], dt.float32)
    return float(*args)


def _enumerate(iterable: Any, start: Any = 0) -> Any:
    own = getattr(iterable, "_autograph_enumerate", None)
    if own is not None and state.graph is not None:
        return own(start)
    return enumerate(iterable, start)


def _zip(*iterables: Any, **options: Any) -> Any:
    own: list[Any] = [getattr(x, "_autograph_zip", None) for x in iterables]
    if own and state.graph is not None and all(x is not None for x in own):
        return own[0](*iterables[1:])
    return zip(*iterables, **options)


def _folded(python: Any, op: Any) -> Any:
    def function(*args: Any, **options: Any) -> Any:
        if not options and len(args) > 1 and any(is_symbolic(a) for a in args):
            result = args[0]
            for a in args[1:]:
                result = op(result, a)
            return result
        return python(*args, **options)

    return function


def overloads() -> dict[Any, Any]:
    """Builtin functions that do something else on symbolic tensors."""
    from shardtape.ops.math import maximum, minimum

    return {
        builtins.range: _range,
        builtins.len: _len,
        builtins.int: _int,
        builtins.float: _float,
        builtins.max: _folded(max, maximum),
        builtins.min: _folded(min, minimum),
        builtins.enumerate: _enumerate,
        builtins.zip: _zip,
    }

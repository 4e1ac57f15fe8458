"""Lists, dicts and tuples that are attributes of modules: what is put into them is noticed.

A wrapper shares its elements with the container that it was made of: what is put into that one
under its own name is there too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from shardtape.checkpoint import pending

_LIST_CHANGES = (
    "__delitem__", "__iadd__", "__imul__", "__setitem__", "append", "clear", "extend", "insert",
    "pop", "remove", "reverse", "sort",
)  # fmt: skip
_DICT_CHANGES = (
    "__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update",
)  # fmt: skip
_LIST_READS = (
    "__add__", "__contains__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iter__", "__le__",
    "__len__", "__lt__", "__mul__", "__ne__", "__reversed__", "__rmul__", "count", "index",
)  # fmt: skip
_DICT_READS = (
    "__contains__", "__eq__", "__getitem__", "__iter__", "__len__", "__ne__", "__or__",
    "__reversed__", "get", "items", "keys", "values",
)  # fmt: skip


class ListWrapper(list):
    """A list whose new items get the values that wait for them."""

    _plain: type = list  # what structures count it as
    _source: list[Any]

    def __init__(self, source: Any = ()) -> None:
        self._source = source if type(source) is list else list(source)
        self._take()

    def _take(self) -> None:
        """Makes the elements of the source its own, as C code sees them too."""
        source = self._source
        for i, value in enumerate(source):
            if type(value) in _KINDS:
                source[i] = wrapped(value)
        list.__init__(self, source)

    def _is_behind(self) -> bool:
        return list.__len__(self) != len(self._source)

    def _rebuilt(self, children: list[Any]) -> ListWrapper:
        return ListWrapper(children)

    def copy(self) -> ListWrapper:
        return ListWrapper(self._source.copy())

    def __radd__(self, other: Any) -> list[Any]:
        return other + self._source

    def __repr__(self) -> str:
        return f"ListWrapper({self._source!r})"

    def __copy__(self) -> ListWrapper:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return ListWrapper, (self._source,)


class _DictWrapper(dict):
    """A dict whose new values get the values that wait for them."""

    _plain: type = dict
    _source: dict[Any, Any]

    def __init__(self, source: Any = (), **kwargs: Any) -> None:
        given = type(source) is dict and not kwargs
        self._source = source if given else dict(source, **kwargs)
        self._take()

    def _take(self) -> None:
        source = self._source
        for key, value in source.items():
            if type(value) in _KINDS:
                source[key] = wrapped(value)
        dict.clear(self)
        dict.update(self, source)

    def _is_behind(self) -> bool:
        return dict.__len__(self) != len(self._source)

    def copy(self) -> _DictWrapper:
        return _DictWrapper(self._source.copy())

    def __ror__(self, other: Any) -> Any:
        return other | self._source

    def __repr__(self) -> str:
        return f"DictWrapper({self._source!r})"

    def __str__(self) -> str:
        return repr(self._source)

    def __copy__(self) -> _DictWrapper:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _DictWrapper, (self._source,)


class _TupleWrapper(tuple):
    """A tuple that holds objects with Variables, or containers of them."""

    _plain: type = tuple

    def _rebuilt(self, children: list[Any]) -> Any:
        return _tuple_of(type(self), children)

    def __repr__(self) -> str:
        return f"_TupleWrapper({super().__repr__()})"

    def __str__(self) -> str:
        return super().__repr__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _tuple_wrapper, (self._plain, list(self))


_KINDS = frozenset((list, tuple, dict))
_named_kinds: dict[type, type] = {}


def _tuple_of(kind: Any, items: list[Any]) -> Any:
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def _tuple_wrapper(kind: type, items: list[Any]) -> Any:
    if kind is tuple:
        return _TupleWrapper(items)
    made: Any = _named_kinds.get(kind)
    if made is None:
        # a named tuple writes its own class's name into its text
        space = {
            "__repr__": lambda self: f"_TupleWrapper({_text(self)})",
            "__str__": _text,
            "_plain": kind,
        }
        made = _named_kinds[kind] = type("_TupleWrapper", (_TupleWrapper, kind), space)
    return _tuple_of(made, items)


def _text(value: Any) -> str:
    return repr(_tuple_of(value._plain, list(value)))


def wrapped(value: Any) -> Any:
    """Plain lists and dicts, with those inside, as containers of this file; other things as is.

    Tuples become such if they hold one, or an object with Variables.
    """
    kind = type(value)
    if kind is list:
        return ListWrapper(value)
    if kind is dict:
        return _DictWrapper(value)
    if issubclass(kind, tuple) and not issubclass(kind, _TupleWrapper):
        if kind is not tuple and not hasattr(kind, "_fields"):
            return value  # a class of one's own, which may be made in another way
        items = [wrapped(v) for v in value]
        if any(map(_is_held, items)):
            return _tuple_wrapper(kind, items)
    return value


def unwrapped(value: Any) -> Any:
    """Plain lists, dicts and tuples for those of this file, with those inside; others as is."""
    if isinstance(value, _DictWrapper):
        return {k: unwrapped(v) for k, v in value.items()}
    if isinstance(value, ListWrapper):
        return [unwrapped(v) for v in value]
    if isinstance(value, _TupleWrapper):
        return _tuple_of(value._plain, [unwrapped(v) for v in value])
    return value


def _is_held(item: Any) -> bool:
    from shardtape.checkpoint.object_graph import is_trackable  # it knows optimizers

    return isinstance(item, (ListWrapper, _DictWrapper, _TupleWrapper)) or is_trackable(item)


def _may_hold(item: Any) -> bool:
    from shardtape.checkpoint.object_graph import may_hold  # it knows optimizers

    return may_hold(item)


def _reading(base: Any, name: str) -> Callable[..., Any]:
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple([getattr(a, "_source", a) if type(a) in _OWN else a for a in args])
        return getattr(self._source, name)(*args, **kwargs)

    return _named(read, base, name)


def _changing(base: Any, name: str) -> Callable[..., Any]:
    def change(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = _wrapped_arguments(name, args)
        kwargs = {k: v if name == "sort" else wrapped(v) for k, v in kwargs.items()}
        behind = self._is_behind()
        result = getattr(self._source, name)(*args, **kwargs)
        if behind or name in ("sort", "popitem"):  # a key with a memory would be asked twice
            self._take()
        else:
            try:
                getattr(base, name)(self, *args, **kwargs)
            except (KeyError, ValueError):  # the source has other elements, as many
                self._take()
        # a plain number leaves nothing to restore, and long lists get many
        if pending.waits() and (name != "append" or _may_hold(args[0])):
            pending.proceed(self)
        return self if result is self._source else result

    return _named(change, base, name)


def _named(method: Any, base: Any, name: str) -> Callable[..., Any]:
    method.__name__, method.__doc__ = name, getattr(base, name).__doc__
    return method


def _wrapped_arguments(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a change with the elements among them wrapped."""
    if name in ("append", "remove"):
        return tuple([wrapped(a) for a in args]) if name == "append" else args
    if name in ("insert", "setdefault") or (name == "__setitem__" and type(args[0]) is not slice):
        return (args[0], *[wrapped(a) for a in args[1:]])
    if name in ("extend", "__iadd__"):
        return tuple([[wrapped(v) for v in a] for a in args])
    if name == "__setitem__":
        return args[0], [wrapped(v) for v in args[1]]
    if name in ("update", "__ior__"):
        return tuple([{k: wrapped(v) for k, v in dict(a).items()} for a in args])
    return args


_OWN = (ListWrapper, _DictWrapper)
for _class, _base, _reads, _changes in (
    (ListWrapper, list, _LIST_READS, _LIST_CHANGES),
    (_DictWrapper, dict, _DICT_READS, _DICT_CHANGES),
):
    for _name in _reads:
        setattr(_class, _name, _reading(_base, _name))
    for _name in _changes:
        setattr(_class, _name, _changing(_base, _name))
    _class.__hash__ = None  # type: ignore[assignment, method-assign]


def _copied(self: Any, memo: dict[int, Any]) -> Any:
    made = type(self)()
    memo[id(self)] = made  # it may be met again inside
    made._source = copy.deepcopy(self._source, memo)
    made._take()
    return made


ListWrapper.__deepcopy__ = _DictWrapper.__deepcopy__ = _copied  # type: ignore[attr-defined]

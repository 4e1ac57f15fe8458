"""A plan specialised for given feed shapes: one generated Python function over owned buffers.

Made from one recorded run. Three kinds of tensors are told apart:
  known    depends only on constants and shapes: its recorded value is used.
  static   its shape follows from the feeds' shapes: it may live in an owned buffer.
  other    computed by the plain kernel every time.
Owned buffers are shared by tensors whose lives do not overlap (a linear scan over the nodes), and
an op that allows it writes over an input that dies there. One set of buffers serves one run at a
time; runs in other threads get sets of their own.
"""

from __future__ import annotations

import itertools
import traceback
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import backend, errors, shapes
from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.dispatch import compute
from shardtape.ops.kernel_errors import kernel_error
from shardtape.ops.registry import PURE, WRITES

_MIN_OWNED_ELEMENTS = 256  # below, malloc's free lists are as good
_MAX_KNOWN_ELEMENTS = 1 << 20
_ALIGNMENT_BYTES = 64
# their values depend on their input's shape only
_OF_SHAPE = frozenset(("Shape", "Size", "Rank", "ZerosLike", "OnesLike", "ShapeN"))
_HALVES = frozenset(t.numpy_dtype for t in dt.HALVES)
_OUTSIDE = -1  # base of what belongs to the caller: feeds and the values of Variables
_serial = itertools.count()


class Generated:
    """See the module's text. `run(feeds, out)` as `Plan.run`."""

    def __init__(self, plan: Any, feeds: Sequence[Any], values: dict[int, Any], trace: Any) -> None:
        self._plan = plan
        self._values = values
        host = not backend.accelerated or state.on_host
        self._xp = np if host else backend.array_module(*values.values())
        self._alias = {
            mine._id: theirs._id
            for node in plan.nodes
            if node.index in plan.same
            for mine, theirs in zip(node.outputs, plan.same[node.index].outputs)
        }
        self._classify()
        # by the tensor that holds the value: a fetch may be another name of it
        self._fetched = {
            self._canonical(f._id): i
            for i, f in reversed(list(enumerate(plan.fetches)))
            if hasattr(f, "_id")
        }
        self._find_retained()
        self._lives()
        self._namespace: dict[str, Any] = {"xp": self._xp, "np": np, "compute": compute}
        self._slots: list[int] = []  # bytes of each buffer
        self._views: list[tuple[int, tuple[int, ...], Any]] = []  # (slot, shape, dtype)
        self._line_nodes: dict[int, Any] = {}
        self._code = self._generate()
        self._values = {}
        self._sets: deque[list[Any]] = deque()

    # ---- running --------------------------------------------------------------------------
    def run(self, feeds: Sequence[Any], out: Sequence[Any] | None) -> list[Any]:
        try:
            views = self._sets.pop()
        except IndexError:
            views = self._buffers()
        try:
            with np.errstate(all="ignore"):
                return self._code(feeds, views, out or self._no_out)
        except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:
            raise self._located(error) from error
        except errors.OpError as error:
            raise self._located(error) from error.__cause__
        finally:
            self._sets.append(views)

    def _buffers(self) -> list[Any]:
        raw = [self._xp.empty(n + _ALIGNMENT_BYTES, np.uint8) for n in self._slots]
        if self._xp is np:
            starts = [-a.ctypes.data % _ALIGNMENT_BYTES for a in raw]
        else:
            starts = [0] * len(raw)
        views = []
        for slot, shape, dtype in self._views:
            count = int(np.prod(shape)) * dtype.itemsize
            start = starts[slot]
            views.append(raw[slot][start : start + count].view(dtype).reshape(shape))
        return views

    def _located(self, error: BaseException) -> errors.OpError:
        from shardtape.graph.plan import at_node

        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename == self._file and frame.lineno in self._line_nodes:
                node = self._line_nodes[frame.lineno]
                if not isinstance(error, errors.OpError):
                    error = kernel_error(node.op_def, (), error)
                return at_node(error, node)
        if isinstance(error, errors.OpError):
            return error
        raise error

    # ---- what is known --------------------------------------------------------------------
    def _canonical(self, key: int) -> int:
        while key in self._alias:
            key = self._alias[key]
        return key

    def _classify(self) -> None:
        plan = self._plan
        self._known: set[int] = set()
        self._static: set[int] = {
            t._id
            for t in plan.feeds
            if t.dtype is not dt.resource or _keeps_shape(self._values[t._id])
        }
        self._live = [n for n in plan.nodes if n.index not in plan.same]
        skipped: set[int] = set()  # sums over no axes: the same tensor under another key
        for node in self._live:
            op = node.op_def
            keys = [self._canonical(t._id) for t in node.inputs]
            if node.type == "Const":
                known = True
            elif node.control_inputs or op.effects != PURE:
                known = False
            elif node.type in _OF_SHAPE:
                known = all(k in self._static or k in self._known for k in keys)
            else:
                known = all(
                    k in self._known or (i in op.shape_only and k in self._static)
                    for i, k in enumerate(keys)
                )
            if node.type == "SumToShapeOf" and all(k in self._static for k in keys):
                shapes = [self._values[k].shape for k in keys]
                if shapes[0] == shapes[1]:
                    self._alias[node.outputs[0]._id] = keys[0]
                    self._static.add(node.outputs[0]._id)
                    skipped.add(node.index)
                    continue
            if known and all(self._values[t._id].size <= _MAX_KNOWN_ELEMENTS for t in node.outputs):
                self._known.update(t._id for t in node.outputs)
                self._static.update(t._id for t in node.outputs)
            elif node.is_handle:
                if _keeps_shape(node.attrs["variable"]):
                    self._static.update(t._id for t in node.outputs)
            elif not op.dynamic and all(
                (k in self._known) if op.is_host(i, len(keys)) else (k in self._static)
                for i, k in enumerate(keys)
            ):
                if op.effects != WRITES:
                    self._static.update(t._id for t in node.outputs)
        self._work = [
            n
            for n in self._live
            if not (n.outputs and all(t._id in self._known for t in n.outputs))
            and not n.is_handle
            and n.index not in skipped
        ]

    def _find_retained(self) -> None:
        """Tensors whose arrays may be somewhere after the run: in a Variable, a list, or with a
        Python function. They get arrays of their own, as do those that they are views of."""
        self._retained: set[int] = set()
        for node in reversed(self._work):
            op = node.op_def
            shared = op.may_view and any(t._id in self._retained for t in node.outputs)
            if op.retains or shared:
                self._retained.update(self._canonical(t._id) for t in node.inputs)

    def _lives(self) -> None:
        """Which memory a tensor may share (`bases`), and when each base is last read."""
        outside = frozenset((_OUTSIDE,))
        self._bases: dict[int, frozenset[int]] = {t._id: outside for t in self._plan.feeds}
        self._last: dict[int, int] = {}
        for i, node in enumerate(self._work):
            op = node.op_def
            union: frozenset[int] = frozenset()
            for position, t in enumerate(node.inputs):
                if position in op.shape_only and self._has_shape(t):
                    continue
                bases = self._bases.get(self._canonical(t._id), frozenset())
                union |= bases
                for b in bases:
                    self._last[b] = i
            for t in node._outputs:
                own = frozenset((t._id,))
                views = op.may_view and not self._can_write(node)
                self._bases[t._id] = (union or outside) if views else own
                for b in self._bases[t._id]:
                    self._last[b] = max(i, self._last.get(b, i))
        for fetch in self._plan.fetches:
            if hasattr(fetch, "_id"):
                for b in self._bases.get(self._canonical(fetch._id), ()):
                    self._last[b] = len(self._work) + 1

    def _ends(self) -> dict[int, list[int]]:
        """Keys of the tensors that no line needs after each node's."""
        last: dict[int, int] = {}
        for i, node in enumerate(self._work):
            for t in (*node.outputs, *node.inputs):
                last[self._canonical(t._id)] = i
        kept = {self._canonical(f._id) for f in self._plan.fetches if hasattr(f, "_id")}
        ends: dict[int, list[int]] = {}
        for key, i in last.items():
            if key not in kept and key not in self._known:
                ends.setdefault(i, []).append(key)
        return ends

    # ---- the function ---------------------------------------------------------------------
    def _generate(self) -> Any:
        plan = self._plan
        lines = ["def run(F, V, O):"]
        self._names: dict[int, str] = {}
        for i, t in enumerate(plan.feeds):
            self._names[t._id] = f"f{i}"
        if plan.feeds:
            lines.append(f"    {', '.join(f'f{i}' for i in range(len(plan.feeds)))}, = F")
        self._owner: dict[int, int] = {}  # base key -> slot of the buffer it lives in
        self._free: list[int] = []
        self._direct: set[int] = set()
        ends = self._ends()
        views_line = len(lines)
        lines.append("")
        for i, node in enumerate(self._work):
            for text in self._node_lines(i, node):
                lines.append("    " + text)
                self._line_nodes[len(lines)] = node
            dead = [self._names[k] for k in ends.get(i, ()) if self._names.get(k, "f")[0] == "v"]
            if dead:
                # a Variable's value that nobody holds any more can be updated in place
                lines.append("    " + " = ".join(dead) + " = None")
            for base in [b for b in self._owner if self._last[b] == i]:
                self._free.append(self._owner.pop(base))
        if self._views:
            names = ", ".join(f"b{i}" for i in range(len(self._views)))
            lines[views_line] = f"    {names}, = V"
        lines.append(f"    return [{', '.join(self._results(lines))}]")
        self._no_out = [None] * len(plan.fetches)
        self._file = f"<plan {next(_serial)}>"
        self.source = "\n".join(lines)
        exec(compile(self.source, self._file, "exec"), self._namespace)
        return self._namespace["run"]

    def _expression(self, tensor: Any, host: bool) -> str:
        key = self._canonical(tensor._id)
        if key in self._known:
            return self._constant(self._values[key], host)
        if tensor.op.is_handle:
            return self._constant(tensor.op.attrs["variable"], True)
        name = self._names[key]
        if host and self._xp is not np:
            self._namespace["to_host"] = backend.to_host
            return f"to_host({name})"
        return name

    def _has_shape(self, tensor: Any) -> bool:
        """Whether a tensor's shape is known and says all of its form; a list's does not."""
        return tensor.dtype is not dt.variant and self._canonical(tensor._id) in self._static

    def _shape_of(self, tensor: Any) -> str:
        """A view of one zero: shape and dtype of a tensor without its memory."""
        value = self._values[self._canonical(tensor._id)]
        zero = self._xp.zeros((), value.dtype)
        return self._bind("s", self._xp.broadcast_to(zero, value.shape))

    def _constant(self, value: Any, host: bool) -> str:
        if self._xp is not np and not host:
            value = backend.to_device(value)
        return self._bind("c", value)

    def _bind(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self._namespace)}"
        self._namespace[name] = value
        return name

    def _node_lines(self, index: int, node: Any) -> list[str]:
        op = node.op_def
        count = len(node.inputs)
        args = [
            self._shape_of(t)
            if i in op.shape_only and self._has_shape(t)
            else self._expression(t, op.is_host(i, count))
            for i, t in enumerate(node.inputs)
        ]
        keywords = [f"{k}={self._bind('a', v)}" for k, v in node.attrs.items()]
        targets = []
        for t in node._outputs:
            self._names[t._id] = f"v{len(self._names)}"
            targets.append(self._names[t._id])
        if op.direct:
            kernel = self._bind("k", op.kernel)
            call = f"{kernel}({', '.join(['xp', *args, *keywords])})"
            return [f"{', '.join(targets)} = {call}" if targets else call]
        inputs = [self._values.get(self._canonical(t._id)) for t in node.inputs]
        # an op with a number of outputs that attrs decide returns a tuple, even of one
        several = len(targets) > 1 or op.outputs != 1
        left = ", ".join(targets) + ("," if several and len(targets) == 1 else "")
        halves = any(getattr(a, "dtype", None) in _HALVES for a in inputs)
        if halves:
            name = self._bind("o", op)
            attrs = self._bind("a", node.attrs)
            call = f"compute({name}, xp, [{', '.join(args)}], {attrs})"
            return [f"{left} = {call}"] if targets else [call]
        kernel = self._bind("k", op.kernel)
        plain = f"{kernel}({', '.join(['xp', *args, *keywords])})"
        if not targets:
            return [plain]
        if several:
            return [f"{left} = {plain}", *self._casts(node, targets)]
        written = self._written(index, node, args, keywords)
        if written is not None:
            name, into = written
            if name.startswith("O[") and op.may_view:  # the plain kernel could give an input's view
                value = self._values[node.outputs[0]._id]
                shape, dtype = self._bind("e", value.shape), self._bind("e", value.dtype)
                return [
                    f"o = {name}",
                    f"if o is None: o = xp.empty({shape}, {dtype})",
                    f"{into.format(out='o')}; {targets[0]} = o",
                    *self._casts(node, targets),
                ]
            if name.startswith("O["):
                return [
                    f"o = {name}",
                    f"if o is None: {targets[0]} = {plain}",
                    f"else: {into.format(out='o')}; {targets[0]} = o",
                    *self._casts(node, targets),
                ]
            self._names[node.outputs[0]._id] = name
            return [into.format(out=name)]
        return [f"{targets[0]} = {plain}", *self._casts(node, targets)]

    def _casts(self, node: Any, targets: list[str]) -> list[str]:
        """Numpy's result types differ from TensorFlow's in places; the check costs 0.05 us."""
        out = []
        for t, name in zip(node.outputs, targets):
            if t.dtype is dt.string:
                array = self._bind("w", _string_array)
                out.append(f"if not hasattr({name}, 'dtype'): {name} = {array}({name})")
                continue
            wanted = self._bind("t", t.dtype._numpy)
            out.append(
                f"if {name}.dtype is not {wanted} and {name}.dtype != {wanted}: "
                f"{name} = {name}.astype({wanted})"
            )
        return out

    def _written(self, index: int, node: Any, args: list[str], keywords: list[str]) -> Any:
        """(destination, call with {out}) where the op computes into a given buffer."""
        op, t = node.op_def, node.outputs[0]
        value = self._values[t._id]
        if not self._can_write(node):
            return None
        into = self._bind("k", op.into)
        call = f"{into}({', '.join(['xp', '{out}', *args, *keywords])})"
        fetch = self._fetched.get(t._id)
        if fetch is not None:
            self._direct.add(t._id)
            return f"O[{fetch}]", call
        slot = self._inplace_slot(index, node, value)
        if slot is None:
            slot = self._free_slot(value.nbytes)
        self._owner[t._id] = slot
        self._views.append((slot, value.shape, value.dtype))
        return f"b{len(self._views) - 1}", call

    def _can_write(self, node: Any) -> bool:
        """Whether the node computes into an array that it is given."""
        if node.op_def.into is None or len(node.outputs) != 1:
            return False
        key = node.outputs[0]._id
        value = self._values[key]
        if key not in self._static or not isinstance(value, self._xp.ndarray):
            return False
        if key in self._retained and key not in self._fetched:
            return False
        return key in self._fetched or (
            value.size >= _MIN_OWNED_ELEMENTS and not value.dtype.hasobject
        )

    def _inplace_slot(self, index: int, node: Any, value: Any) -> int | None:
        for i in node.op_def.inplace:
            key = self._canonical(node.inputs[i]._id)
            if key not in self._owner or self._last[key] != index:
                continue
            held = self._values[key]
            if held.shape != value.shape or held.dtype != value.dtype:
                continue
            others = [
                self._bases.get(self._canonical(t._id), frozenset())
                for t in node.inputs
                if self._canonical(t._id) != key
            ]
            if any(key in bases for bases in others):
                continue
            return self._owner.pop(key)
        return None

    def _free_slot(self, nbytes: int) -> int:
        fitting = [s for s in self._free if nbytes <= self._slots[s] <= 4 * nbytes]
        if fitting:
            slot = min(fitting, key=self._slots.__getitem__)
            self._free.remove(slot)
            return slot
        self._slots.append(nbytes)
        return len(self._slots) - 1

    def _results(self, lines: list[str]) -> list[str]:
        out = []
        for i, fetch in enumerate(self._plan.fetches):
            if not hasattr(fetch, "_id"):
                out.append("None")
                continue
            key = self._canonical(fetch._id)
            expression = self._expression(fetch, False)
            name = f"r{i}"
            lines.append(f"    {name} = {expression}")
            if fetch.dtype is dt.resource:  # the Variable itself
                out.append(name)
                continue
            if key in self._direct and self._fetched.get(key) == i:
                out.append(name)
                continue
            bases = self._bases.get(key, frozenset())
            private = bases == frozenset((key,)) and self._fetched.get(key) == i
            lines.append(f"    if O[{i}] is not None: O[{i}][...] = {name}; {name} = O[{i}]")
            if not private:
                lines.append(f"    else: {name} = {name}.copy()")
            out.append(name)
        return out


def _keeps_shape(variable: Any) -> bool:
    """Whether a Variable (or another resource) has the shape of this run in all runs."""
    shape = getattr(variable, "shape", None)
    return shape is not None and shapes.as_shape(shape).is_fully_defined()


def _string_array(value: Any) -> np.ndarray:
    """A scalar string as an array: numpy's indexing and reductions give the string itself."""
    return np.array(value, object)

"""GradientTape: records ops on watched tensors and runs them backwards."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from shardtape import backend, nest
from shardtape.context import recording, refresh, state
from shardtape.gradients import Record, backpropagate
from shardtape.logger import warn_first
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.tensor_list import is_list
from shardtape.tensor import EagerTensor, Tensor


class UnconnectedGradients(enum.Enum):
    """What the gradient is where the target does not depend on the source."""

    NONE = "none"
    ZERO = "zero"


def _unconnected(value: Any) -> UnconnectedGradients:
    try:
        return UnconnectedGradients(value)
    except ValueError:
        raise ValueError(f"Unknown value for unconnected_gradients: {value!r}") from None


class GradientTape:
    """Records operations for automatic differentiation.

    Args:
      persistent: allow more than one call of `gradient` (the records stay in memory).
      watch_accessed_variables: watch every trainable Variable that is read.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_variables = watch_accessed_variables
        self._records: list[Record] | None = []
        self._watched: set[int] = set()
        self._variables: dict[int, Any] = {}
        self._used = False
        self._depth = 0

    # ---- recording ------------------------------------------------------------------------
    def __enter__(self) -> GradientTape:
        self._push()
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._is_recording():
            self._pop()

    def _is_recording(self) -> bool:
        return any(r is self for r in state.recorders)

    def _push(self) -> None:
        if self._is_recording():
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an "
                             "already-active tape.")  # fmt: skip
        state.recorders = (*state.recorders, self)
        refresh()

    def _pop(self) -> None:
        state.recorders = tuple(r for r in state.recorders if r is not self)
        refresh()

    def record(self, op: Any, inputs: Any, attrs: Any, outputs: Any) -> None:
        """Called by the engine for every op that is applied while the tape is active."""
        watched = self._watched
        for x in inputs:
            if x._id in watched:
                break
        else:
            return
        if len(outputs) == 1:  # without a comprehension, which costs a frame
            key = outputs[0]._id or outputs[0]._key()
            keys: Any = (key,)
            watched.add(key)
        else:
            keys = [o._id or o._key() for o in outputs]
            watched.update(keys)
        self._records.append(Record(op, inputs, attrs, outputs, keys))  # type: ignore[union-attr]

    def read(self, variable: Any) -> None:
        """Called by the engine when a Variable is read."""
        if self._watch_variables and variable.trainable:
            self._watch_variable(variable)

    def _watch_variable(self, variable: Any) -> None:
        if variable._id not in self._watched:
            self._watched.add(variable._id)
            self._variables[variable._id] = variable

    def watch(self, tensor: Any) -> None:
        """Traces operations on `tensor` (or a nested structure of tensors and Variables).

        Raises:
          ValueError: something that is no tensor and no Variable.
        """
        for t in nest.flatten(tensor):
            if not _is_source(t) and _values_of(t) is t and not hasattr(t, "_as_tensor"):
                parts = nest.flatten(t, expand_composites=True)
                if hasattr(t, "_type_spec") and not any(part is t for part in parts):
                    self.watch(parts)  # an extension type
                    continue
                raise ValueError(
                    f"Passed in object {t} of type {type(t).__name__!r}, not tf.Tensor or "
                    "tf.Variable or ExtensionType."
                )
            if not (t.dtype.is_floating or t.dtype.is_complex or is_list(t)):
                warn_first(
                    5,
                    "The dtype of the watched tensor must be floating (e.g. tf.float32), got %r",
                    t.dtype,
                )
            if isinstance(t, Tensor):
                self._watched.add(t._key())  # type: ignore[attr-defined]
            elif hasattr(t, "_id"):
                self._watch_variable(t)
            else:
                self.watch(_values_of(t))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Nothing inside the block is recorded."""
        if not self._is_recording():
            if not self._records and not self._used:  # it never began
                raise RuntimeError(
                    "Trying to stop recording a tape which is not recording: use it as a context "
                    "manager first."
                )
            raise ValueError("Tape is not recording.")
        self._pop()
        try:
            yield
        finally:
            self._push()

    def reset(self) -> None:
        """Forgets everything that was recorded."""
        self._records, self._watched, self._variables = [], set(), {}

    def watched_variables(self) -> tuple[Any, ...]:
        """Variables watched by this tape, in the order of their construction."""
        watched = [v for _, v in sorted(self._variables.items())]
        # of a Variable of several replicas the tape has seen a component
        holders = [getattr(v, "_holder", None) for v in watched]
        return tuple(v if h is None else h() or v for v, h in zip(watched, holders))

    # ---- differentiation ------------------------------------------------------------------
    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
    ) -> Any:
        """Derivative of the sum of `target` with respect to each of `sources`.

        Args:
          target: Tensor(s), Variable(s), ragged or sparse values, nested.
          sources: of the same kinds, nested; the result has the same form.
          output_gradients: gradient of each target, of the target's shape (default ones).
          unconnected_gradients: None or zeros where the target does not depend on a source.

        Raises:
          RuntimeError: a second call on a tape that is not persistent.
          LookupError: an op without a gradient lies between.
        """
        unconnected = _unconnected(unconnected_gradients)
        self._start()
        if target is None:
            raise TypeError(
                "Argument `target` should be a list or nested structure of Tensors, Variables "
                "or CompositeTensors to be differentiated, but received None."
            )
        if type(target) is EagerTensor and target.dtype.is_floating and output_gradients is None:
            xp = backend.array_module(target._array)
            seeds: dict[int, Any] = {target._key(): EagerTensor(xp.ones_like(target._array))}
        else:
            seeds = self._seeds(target, output_gradients)
        composites = nest.flatten(sources)
        flat = [s if _is_source(s) else _values_of(s) for s in composites]
        grads = self._finish(self._backward(seeds, flat))
        if unconnected is UnconnectedGradients.ZERO:
            from shardtape.ops.array import zeros_like

            grads = [
                zeros_like(convert_to_tensor(s)) if g is None else g for g, s in zip(grads, flat)
            ]
        grads = [
            g if s is v or g is None else _with_values(s, convert_to_tensor(g))
            for g, s, v in zip(grads, composites, flat)
        ]
        return nest.pack_sequence_as(sources, grads)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Derivative of every element of `target` with respect to each of `sources`.

        Args:
          target: a Tensor.
          sources: Tensors or Variables, nested; the result has the same form.
          unconnected_gradients: None or zeros where the target does not depend on a source.
          parallel_iterations: accepted for TensorFlow's sake.
          experimental_use_pfor: all elements at once; False: one after the other.

        Returns:
          Tensors of the target's shape followed by the source's.

        Raises:
          RuntimeError: a second call on a tape that is not persistent, or such a tape and
            `experimental_use_pfor=False`.
        """
        from shardtape.jacobian import jacobian

        return jacobian(self, target, sources, unconnected_gradients, experimental_use_pfor)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The Jacobian of each example, where `target[i]` depends on `source[i]` alone.

        Args:
          target: Tensor of shape (batch, ...), of rank 2 or more.
          source: Tensor of shape (batch, ...), of rank 2 or more.
          Others as in `jacobian`; without a connection the result is zeros either way.

        Returns:
          A Tensor of shape (batch, the rest of the target's shape, the rest of the source's).

        Raises:
          RuntimeError: as in `jacobian`.
          ValueError: the first dimensions differ.
        """
        from shardtape.jacobian import batch_jacobian

        return batch_jacobian(self, target, source, experimental_use_pfor)

    def _start(self) -> None:
        """Checks that the tape may be used; a tape that is not persistent stops recording."""
        if self._used and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients "
                "(or jacobians)"
            )
        if not self._is_recording():
            return
        if self._persistent:
            warn_first(
                1,
                "Calling GradientTape.gradient on a persistent tape inside its context is "
                "significantly less efficient than calling it outside the context (it causes "
                "the gradient ops to be recorded on the tape, leading to increased CPU and "
                "memory usage). Only call GradientTape.gradient inside the context if you "
                "actually want to trace the gradient in order to compute higher order "
                "derivatives.",
            )
        else:
            self._pop()

    def _backward(self, seeds: dict[int, Any], flat_sources: list[Any]) -> list[Any]:
        """Gradients of the sources (or None), given those of the targets by their keys."""
        keys = [_source_key(s) for s in flat_sources]
        for s in flat_sources:
            if not (s.dtype.is_floating or s.dtype.is_complex or is_list(s)):
                warn_first(
                    5,
                    "The dtype of the source tensor must be floating (e.g. tf.float32) when "
                    "calling GradientTape.gradient, got %r",
                    s.dtype,
                )
        records = reversed(self._records or ())
        grads = backpropagate(records, seeds, set(keys), self._watched.__contains__)
        return [grads.get(key) for key in keys]

    def _finish(self, result: Any) -> Any:
        """Lets the records go, unless the tape is persistent. Returns `result`."""
        self._used = True
        if not self._persistent:
            self._records, self._watched = None, set()
        return result

    def _seeds(self, target: Any, output_gradients: Any) -> dict[int, Any]:
        from shardtape.ops.array import ones_like
        from shardtape.ops.math import add

        targets = nest.flatten(target)
        given = [None] * len(targets)
        if output_gradients is not None:
            given = nest.flatten(output_gradients)
        seeds: dict[int, Any] = {}
        for t, g in zip(targets, given):
            if not isinstance(t, Tensor):
                if not (hasattr(t, "_id") or hasattr(t, "_as_tensor") or _values_of(t) is not t):
                    raise _no_tensor("target", t)
                t = t if hasattr(t, "_id") else convert_to_tensor(_values_of(t))
                g = None if g is None else _values_of(g)
            of_list = g is not None and is_list(t)  # what a TensorArray holds
            if not (t.dtype.is_floating or t.dtype.is_complex or of_list):
                warn_first(
                    5,
                    "The dtype of the target tensor must be floating (e.g. tf.float32) when "
                    "calling GradientTape.gradient, got %r",
                    t.dtype,
                )
                continue
            key = t._key() if isinstance(t, Tensor) else t._id  # type: ignore[attr-defined]
            with recording(tuple(r for r in state.recorders if r is not self)):
                g = ones_like(t) if g is None else convert_to_tensor(g, t.dtype)
                seeds[key] = g if key not in seeds else add(seeds[key], g)
        return seeds


def _is_source(source: Any) -> bool:
    return isinstance(source, Tensor) or hasattr(source, "_id")


def differentiated(value: Any) -> Any:
    """The tensor of an extension type that says which of its own has a gradient (by TensorFlow's
    `__composite_gradient__`); other values as they are."""
    gradient = getattr(type(value), "__composite_gradient__", None)
    return value if gradient is None else gradient.get_gradient_components(value)


def with_gradient(like: Any, gradient: Any) -> Any:
    """A gradient of `differentiated(like)` in the form of `like`."""
    form = getattr(type(like), "__composite_gradient__", None)
    return gradient if form is None else form.replace_gradient_components(like, gradient)


def _values_of(value: Any) -> Any:
    """The numbers of a value that is made of several tensors; other values as they are."""
    if hasattr(value, "flat_values"):
        return value.flat_values
    if hasattr(type(value), "__composite_gradient__"):
        return differentiated(value)
    is_sparse = hasattr(value, "dense_shape") and hasattr(value, "indices")
    return value.values if is_sparse else value


def _with_values(like: Any, values: Any) -> Any:
    if hasattr(type(like), "__composite_gradient__"):
        return with_gradient(like, values)
    with_flat = getattr(like, "with_flat_values", None)
    return like.with_values(values) if with_flat is None else with_flat(values)


def _source_key(source: Any) -> int:
    if isinstance(source, Tensor):
        return source._key()  # type: ignore[attr-defined]
    if hasattr(source, "_id"):
        return source._id
    raise _no_tensor("source", source)


def _no_tensor(what: str, value: Any) -> Exception:
    """The error of a target or source that is no tensor, of the class that TensorFlow's has."""
    plain = isinstance(value, (int, float, complex, np.ndarray, np.generic))
    return (AttributeError if plain else TypeError)(
        f"Cannot differentiate with the {what} {value!r} of type {type(value).__name__!r}: "
        "targets and sources are Tensors and Variables"
    )

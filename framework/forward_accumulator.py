"""Forward-mode differentiation: `tf.autodiff.ForwardAccumulator`.

The tangent of an op's outputs comes from the op's gradient function, which is linear in the
gradients that flow in: its own transpose, taken by a tape, is the forward derivative. So every op
that has a gradient which can itself be differentiated has a forward derivative, to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import nest
from shardtape.context import recording, refresh, state
from shardtape.logger import warn_first
from shardtape.ops import tensor_list
from shardtape.ops.array import broadcast_to, ones_like, shape, zeros_like
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.tape import GradientTape, UnconnectedGradients, differentiated

_HANDED_ON = frozenset(("Identity", "ReadVariableOp"))


class ForwardAccumulator:
    """Computes Jacobian-vector products of what is calculated in its context.

    Args:
      primals: Tensors or Variables, nested.
      tangents: the vector, in the structure and shapes of `primals`.

    Raises:
      ValueError: a primal that is given twice, or a tangent of another shape.
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        # by the keys of tensors and Variables
        self._tangents: dict[int, Any] = {}
        nest.map_structure(self._watch, primals, tangents)

    def _watch(self, primal: Any, tangent: Any) -> None:
        if not primal.dtype.is_floating:
            warn_first(
                5,
                "The dtype of the watched primal must be floating (e.g. tf.float32), got %r",
                primal.dtype,
            )
        tangent = convert_to_tensor(tangent, dtype=primal.dtype)
        if not primal.shape.is_compatible_with(tangent.shape):
            raise ValueError(
                f"the tangent has shape {tangent.shape}, its primal has {primal.shape}"
            )
        key = _key(primal)
        if key in self._tangents:
            raise ValueError(
                f"Tensor {primal!r} was specified as a primal multiple times. This may indicate "
                "an error. If it was intended, please sum the corresponding tangents."
            )
        self._tangents[key] = tangent

    def __enter__(self) -> ForwardAccumulator:
        if any(r is self for r in state.recorders):
            raise ValueError("Accumulator is already recording.")
        state.recorders = (*state.recorders, self)
        refresh()
        return self

    def __exit__(self, *exc: Any) -> None:
        state.recorders = tuple(r for r in state.recorders if r is not self)
        refresh()

    def jvp(self, primals: Any, unconnected_gradients: Any = UnconnectedGradients.NONE) -> Any:
        """Tangents of results.

        Args:
          primals: Tensors or Variables, nested.
          unconnected_gradients: None or zeros for what does not depend on the primals.

        Returns:
          Tensors of the shapes of `primals`, in the same structure.
        """
        zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO

        def find(result: Any) -> Any:
            found = self._tangents.get(_key(result))
            return zeros_like(convert_to_tensor(result)) if found is None and zero else found

        return nest.map_structure(find, primals)

    # ---- called by the engine -----------------------------------------------------------------
    def read(self, variable: Any) -> None:
        """Variables have a tangent only if they are primals."""

    def record(self, op: Op, inputs: Any, attrs: Any, outputs: Any) -> None:
        """Computes the tangents of an op's outputs."""
        known = self._tangents
        tangents = [known.get(x._id) for x in inputs]
        if all(t is None for t in tangents):
            return
        with recording(self._others()):
            if op.type in _HANDED_ON:
                found: Sequence[Any] = tangents[:1]
            else:
                found = _tangents_of(op, inputs, attrs, outputs, tangents)
        for output, tangent in zip(outputs, found):
            if tangent is not None:
                known[output._key()] = tangent

    def _others(self) -> tuple[Any, ...]:
        """Who sees the calculation of tangents: tapes, and accumulators around this one."""
        out: list[Any] = []
        outer = True
        for r in state.recorders:
            if r is self:
                outer = False
            elif outer or not isinstance(r, ForwardAccumulator):
                out.append(r)
        return tuple(out)


def _key(x: Any) -> int:
    seen: Any = differentiated(x)
    key = getattr(seen, "_key", None)  # what is no tensor, a Variable, has a number alone
    return seen._id if key is None else key()


def _has_tangent(y: Any) -> bool:
    return y.dtype.is_floating or y.dtype.is_complex or tensor_list.is_list(y)


def _aid(y: Any) -> Any:
    """Something in the form of `y`; its values do not matter."""
    return tensor_list.zeros(y) if tensor_list.is_list(y) else ones_like(y)


def _tangents_of(
    op: Op, inputs: Any, attrs: Any, outputs: Any, tangents: Sequence[Any]
) -> list[Any]:
    """One tangent (or None) per output."""
    # the last output of control flow is its frame, which has no tangent
    values = outputs[:-1] if hasattr(op, "control") else outputs
    live = [i for i, y in enumerate(values) if _has_tangent(y)]
    aids = [_aid(outputs[i]) for i in live]
    with GradientTape(watch_accessed_variables=False) as transposing:
        transposing.watch(aids)
        seeds: list[Any] = [None] * len(outputs)
        for i, aid in zip(live, aids):
            seeds[i] = aid
        targets, weights = [], []
        if live:
            for g, tangent in zip(op.run_gradient(seeds, outputs, inputs, attrs), tangents):
                g = g() if callable(g) and tangent is not None else g
                if g is None or tangent is None:
                    continue
                g = convert_to_tensor(g)
                targets.append(g)
                # the gradient of an input that was broadcast has the shape of the output
                weights.append(broadcast_to(tangent, shape(g)) if op.broadcasts else tangent)
    found: list[Any] = [None] * len(outputs)
    if targets:
        for i, t in zip(live, transposing.gradient(targets, aids, output_gradients=weights)):
            found[i] = None if t is None else convert_to_tensor(t)
    return found

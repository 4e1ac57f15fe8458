"""Weights of layers whose policy computes in another dtype than it keeps weights in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.cast import cast
from shardtape.tensor import EagerTensor, Tensor, value_text
from shardtape.variable import Variable


class AutoCastVariable(Variable):
    """A Variable that reads in the compute dtype of the layer that is being called.

    Outside of `Layer.call` it reads in its own dtype, which `dtype` and `numpy` always tell.
    Gradients arrive in its own dtype, too, since the cast is seen by tapes.
    """

    _asks_creators = True

    @property
    def read_dtype(self) -> dt.DType:
        """The dtype that a read gives here."""
        return state.autocast or self._dtype

    def _cast(self, value: Tensor) -> Tensor:
        wanted = state.autocast
        return value if wanted is None or wanted is self._dtype else cast(value, wanted)

    def value(self) -> Tensor:
        """The current value, in `read_dtype`."""
        return self._cast(super().value())

    read_value = value

    def _as_operand(self) -> Tensor:
        return self._cast(super()._as_operand())

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """Rows at `indices`, in `read_dtype`; the gradient is IndexedSlices."""
        return self._cast(super().sparse_read(indices, name))

    def __repr__(self) -> str:
        text = (
            f"<AutoCastVariable '{self.name}' shape={self._shape} dtype={self._dtype.name} "
            f"dtype_to_cast_to={self.read_dtype.name}"
        )
        if state.graph is not None:
            return text + ">"
        shown = EagerTensor(self._array)
        if self.read_dtype is not self._dtype:
            shown = cast(shown, self.read_dtype)
        return f"{text}, numpy={value_text(shown, True)}>"


@contextmanager
def read_as_kept() -> Iterator[None]:
    """Context in which weights read in the dtype that they are kept in, also within a call."""
    outer, state.autocast = state.autocast, None
    try:
        yield
    finally:
        state.autocast = outer


def _on_value(name: str) -> Any:
    """An operator on what is read, so that plain numbers beside it take the read's dtype."""

    def operator(self: AutoCastVariable, *others: Any) -> Any:
        return getattr(self.value(), name)(*others)

    operator.__name__ = name
    return operator


for _name in (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul",
):  # fmt: skip
    for _side in ("", "r"):
        setattr(AutoCastVariable, f"__{_side}{_name}__", _on_value(f"__{_side}{_name}__"))
for _name in ("lt", "le", "gt", "ge", "neg", "abs", "getitem"):
    setattr(AutoCastVariable, f"__{_name}__", _on_value(f"__{_name}__"))

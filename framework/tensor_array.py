"""`tf.TensorArray`: a list of tensors that loops write and read.

Eagerly it is a Python list of tensors. In a graph every write gives another TensorArray, whose
value travels through loops as one tensor of type variant (`framework/ops/tensor_list.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.context import state
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops import array, tensor_list
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor, SymbolicTensor
from shardtape.type_spec import TypeSpec


class TensorArray:
    """A list of tensors of one dtype.

    Use what `write`, `unstack`, `split` and `scatter` return, as in a graph they change nothing.

    Args:
      dtype: of the members.
      size: number of members (0 by default with `dynamic_size`).
      dynamic_size: it grows where something is written beyond its end.
      clear_after_read: eagerly a member can be read once (the default), as in TensorFlow.
      infer_shape: all members have one shape, that of the first.
      element_shape: static shape of a member, where it is known before.
    """

    def __init__(
        self, dtype: Any, size: Any = None, dynamic_size: bool | None = None,
        clear_after_read: bool | None = None, tensor_array_name: str | None = None,
        handle: Any = None, flow: Any = None, infer_shape: bool = True, element_shape: Any = None,
        colocate_with_first_write_call: bool = True, name: str | None = None,
    ) -> None:  # fmt: skip
        self._dtype = dt.as_dtype(dtype)
        self._dynamic = bool(dynamic_size)
        self._infer = bool(infer_shape)
        self._clear = True if clear_after_read is None else bool(clear_after_read)
        self._element = shapes.as_shape(element_shape)
        self._items: list[Any] | None = None
        self._read: set[int] = set()
        self._flow = flow
        if flow is None:
            if size is None:
                raise ValueError("a TensorArray needs its size: 0 for one that grows")
            if state.graph is None and not isinstance(size, SymbolicTensor):
                self._items = [None] * int(size)
            else:
                self._flow = tensor_list.reserve(cast(convert_to_tensor(size), dt.int32))

    def _with(self, flow: Any, element: shapes.TensorShape | None = None) -> TensorArray:
        shape = self._element if element is None else element
        return TensorArray(
            self._dtype, flow=flow, dynamic_size=self._dynamic, infer_shape=self._infer,
            element_shape=shape, clear_after_read=self._clear,
        )  # fmt: skip

    # ---- what it is -----------------------------------------------------------------------
    @property
    def dtype(self) -> dt.DType:
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        return self._dynamic

    @property
    def element_shape(self) -> shapes.TensorShape:
        return self._element

    @property
    def flow(self) -> Any:
        """The tensor of type variant that stands for it in a graph."""
        return self._value()

    handle = None

    @property
    def _type_spec(self) -> TensorArraySpec:
        return TensorArraySpec(self._element, self._dtype, self._dynamic, self._infer)

    def _is_eager(self) -> bool:
        return self._items is not None and state.graph is None

    def _value(self) -> Any:
        """The list as one tensor; in a graph, what was written eagerly is captured."""
        if self._items is None:
            return self._flow
        made = tensor_list.reserve(len(self._items))
        for i, item in enumerate(self._items):
            if item is not None:
                made = tensor_list.set_item(made, i, item)
        return made

    def _attrs(self) -> dict[str, Any]:
        known = self._element.rank is not None
        return {
            "element_dtype": self._dtype,
            "element_shape": tuple(self._element.as_list()) if known else None,
        }

    def size(self, name: str | None = None) -> Any:
        """The number of members, an int32 scalar."""
        if self._is_eager():
            return convert_to_tensor(len(self._items), dt.int32)  # type: ignore[arg-type]
        return tensor_list.length(self._value())

    def _checked(self, value: Any) -> Any:
        """The value as a tensor. Raises ValueError for another dtype or shape."""
        tensor = convert_to_tensor(value, None if hasattr(value, "dtype") else self._dtype)
        if tensor.dtype is not self._dtype:
            raise ValueError(
                f"TensorArray dtype is {self._dtype.name} but Op is trying to write dtype "
                f"{tensor.dtype.name}"
            )
        return tensor

    def _merged(self, shape: shapes.TensorShape) -> shapes.TensorShape:
        if not self._infer:
            return self._element
        if not self._element.is_compatible_with(shape):
            raise ValueError(
                f"Inconsistent shapes: saw {shape} but expected {self._element} (and infer_shape="
                "True)"
            )
        return self._element.merge_with(shape)

    # ---- writing --------------------------------------------------------------------------
    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The TensorArray with `value` as member `index`.

        Raises:
          OutOfRangeError: an index beyond the end without `dynamic_size`.
          ValueError: another dtype or shape.
        """
        tensor = self._checked(value)
        if self._is_eager():
            self._element = self._merged(tensor.shape)
            items: list[Any] = self._items  # type: ignore[assignment]
            at = int(index)
            if at < 0:
                raise errors.OutOfRangeError(f"Writing to negative indices ({at}) is not allowed.")
            if at >= len(items):
                if not self._dynamic:
                    raise errors.OutOfRangeError(
                        f"Tried to write to index {at} but array is not resizeable and size is: "
                        f"{len(items)}"
                    )
                items.extend([None] * (at + 1 - len(items)))
            items[at] = tensor
            self._read.discard(at)
            return self
        return self._with(
            tensor_list.set_item(self._value(), index, tensor, resize=self._dynamic),
            self._merged(tensor.shape),
        )

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The rows of `value` as members."""
        tensor = self._checked(value)
        element = self._merged(tensor.shape[1:])
        if self._is_eager():
            rows = array.unstack(tensor)
            if len(rows) > len(self._items) and not self._dynamic:  # type: ignore[arg-type]
                raise ValueError(
                    f"Cannot unstack {len(rows)} tensors into a TensorArray of static size "
                    f"{len(self._items)}"  # type: ignore[arg-type]
                )
            self._items, self._element = rows, element
            self._read.clear()
            return self
        return self._with(tensor_list.from_tensor(tensor), element)

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The next `lengths[i]` rows of `value` as member i."""
        tensor = self._checked(value)
        sizes = cast(convert_to_tensor(lengths), dt.int64)
        if self._is_eager():
            if int(array.shape(tensor)[0]) != int(sizes.numpy().sum()):
                raise errors.InvalidArgumentError(
                    "Expected sum of lengths to be equal to values.shape[0], but sum of lengths "
                    f"is {int(sizes.numpy().sum())} and value's shape is: {tensor.shape}"
                )
            self._items = array.split(tensor, sizes)
            self._read.clear()
            return self
        return self._with(tensor_list.split(tensor, sizes))

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The TensorArray with the rows of `value` as members `indices`."""
        tensor = self._checked(value)
        if self._is_eager():
            for i, row in zip(convert_to_tensor(indices).numpy().tolist(), array.unstack(tensor)):
                self.write(i, row)
            return self
        element = self._merged(tensor.shape[1:])
        return self._with(tensor_list.scatter(self._value(), indices, tensor), element)

    # ---- reading --------------------------------------------------------------------------
    def read(self, index: Any, name: str | None = None) -> Any:
        """Member `index`; zeros where it was never written and its shape is known.

        Raises OutOfRangeError or InvalidArgumentError for an index beyond the end, or for a
        second reading of a member that was cleared.
        """
        if not self._is_eager():
            return self._shaped(tensor_list.get_item(self._value(), index, **self._attrs()))
        items: list[Any] = self._items  # type: ignore[assignment]
        at = int(index)
        if at < 0 or at >= len(items):
            raise errors.OutOfRangeError(
                f"Tried to read from index {at} but array size is: {len(items)}"
            )
        if items[at] is None:
            if at in self._read:
                raise errors.InvalidArgumentError(
                    f"Could not read index {at} twice because it was cleared after a previous "
                    "read (perhaps try setting clear_after_read = false?)"
                )
            return self._hole(at)
        found = items[at]
        if self._clear:
            items[at] = None
            self._read.add(at)
        return found

    def _hole(self, at: int) -> Any:
        if not self._element.is_fully_defined():
            raise errors.InvalidArgumentError(
                f"Could not read index {at}: it was never written, and the shape of the members "
                "is not known"
            )
        return array.zeros(self._element.as_list(), self._dtype)

    def _shaped(self, tensor: Any) -> Any:
        if type(tensor) is SymbolicTensor and self._infer:
            tensor.set_shape(self._element)
        return tensor

    def _members(self, places: Iterable[int]) -> list[Any]:
        """Members that stay where they are; zeros for what was read away or never written."""
        items: list[Any] = self._items  # type: ignore[assignment]
        for i in places:
            if items[i] is None:
                items[i] = self._hole(i)
        return [items[i] for i in places]

    def stack(self, name: str | None = None) -> Any:
        """All members as rows of one tensor."""
        if self._is_eager():
            rows = self._members(range(len(self._items)))  # type: ignore[arg-type]
            if not rows:
                dims = [0 if d is None else d for d in self._element.as_list()] if (
                    self._element.rank is not None) else []  # fmt: skip
                return array.zeros([0, *dims], self._dtype)
            return array.stack(rows)
        made = tensor_list.stack(self._value(), **self._attrs())
        if type(made) is SymbolicTensor and self._infer:
            made.set_shape(shapes.TensorShape([None]).concatenate(self._element))
        return made

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """The members at a vector of indices as rows of one tensor."""
        if self._is_eager():
            found = convert_to_tensor(indices).numpy().tolist()
            return array.stack(self._members(found))
        return tensor_list.gather(self._value(), indices, **self._attrs())

    def concat(self, name: str | None = None) -> Any:
        """All members one behind the other along their first axis."""
        if self._is_eager():
            return array.concat(self._members(range(len(self._items))), 0)  # type: ignore[arg-type]
        return tensor_list.concat(self._value(), **self._attrs())

    # ---- the rest of TensorFlow's interface -----------------------------------------------
    def identity(self) -> TensorArray:
        """A TensorArray with the same members."""
        if self._is_eager():
            made = self._with(None)
            made._items, made._read = list(self._items), set(self._read)  # type: ignore[arg-type]
            return made
        return self._with(self._value())

    def grad(self, source: Any, flow: Any = None, name: str | None = None) -> Any:
        raise NotImplementedError("TensorArray.grad is not supported: use a tf.GradientTape")

    def close(self, name: str | None = None) -> None:
        """Forgets the members (eagerly)."""
        if self._items is not None:
            self._items = []

    def mark_used(self) -> None:
        """Nothing: results that are not used raise no warnings here."""


class TensorArraySpec(TypeSpec):
    """The spec of a TensorArray.

    Args:
      element_shape: of its members.
      dtype: of its members.
    """

    __slots__ = ("_element_shape", "_dtype", "_dynamic_size", "_infer_shape")

    def __init__(
        self, element_shape: Any = None, dtype: Any = dt.float32, dynamic_size: bool = False,
        infer_shape: bool = True,
    ) -> None:  # fmt: skip
        self._element_shape = shapes.as_shape(element_shape)
        self._dtype = dt.as_dtype(dtype)
        self._dynamic_size, self._infer_shape = dynamic_size, infer_shape

    @classmethod
    def from_value(cls, value: Any) -> TensorArraySpec:
        """The spec of a TensorArray."""
        return value._type_spec

    @property
    def value_type(self) -> type:
        return TensorArray

    @property
    def dtype(self) -> dt.DType:
        return self._dtype

    @property
    def element_shape(self) -> shapes.TensorShape:
        return self._element_shape

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        return (TensorSpec([], dt.variant),)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return (value._value(),)

    def _from_components(self, components: Sequence[Any]) -> TensorArray:
        made = TensorArray(
            self._dtype, flow=components[0], dynamic_size=self._dynamic_size,
            infer_shape=self._infer_shape, element_shape=self._element_shape,
        )  # fmt: skip
        flow = components[0]
        if type(flow) is EagerTensor:
            made._items = [
                None if x is None else EagerTensor(x) for x in tensor_list.members(flow._array)
            ]
        return made

    def _serialize(self) -> tuple[Any, ...]:
        return self._element_shape, self._dtype, self._dynamic_size, self._infer_shape

    def most_specific_compatible_type(self, other: TypeSpec) -> TensorArraySpec:
        if not isinstance(other, TensorArraySpec) or other._dtype is not self._dtype:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        a, b = self._element_shape, other._element_shape
        # nothing was written yet where nothing is known
        shape = b if a.rank is None else a if b.rank is None else (
            a.most_specific_compatible_shape(b))  # fmt: skip
        return TensorArraySpec(shape, self._dtype, self._dynamic_size, self._infer_shape)

    def __repr__(self) -> str:
        return (
            f"TensorArraySpec({self._element_shape!r}, {self._dtype!r}, {self._dynamic_size!r}, "
            f"{self._infer_shape!r})"
        )

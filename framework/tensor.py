"""Tensors: values in eager mode (`EagerTensor`), places in a graph (`SymbolicTensor`).

The operators (`+`, `[]`, `@`, ...) are attached by `shardtape.ops.operators`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.context import next_id
from shardtape.operator_types import Operators

_from_numpy = dt._BY_NUMPY


class Tensor(Operators):
    """Base of all tensors; immutable."""

    # see keras/logits.py, keras/masks.py and ops/variable_slices.py
    __slots__ = ("__weakref__", "_keras_logits", "_keras_mask", "_part_of")
    __array_priority__ = 100  # numpy on the left hands over: `ndarray * tensor` is a tensor

    dtype: dt.DType
    shape: shapes.TensorShape

    _equals_by_value = True

    def get_shape(self) -> shapes.TensorShape:
        """The static shape."""
        return self.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def is_tensor_like(self) -> bool:
        return True

    @property
    def assign(self) -> Any:
        """`variable[1:3].assign(value)`: writes the part of a Variable that this tensor is.

        Raises AttributeError for any other tensor.
        """
        part = getattr(self, "_part_of", None)
        if part is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'assign'")
        return part.assign

    if TYPE_CHECKING:
        # Eager and symbolic tensors have these; the operators come from ops/operators.py.
        op: Any
        graph: Any

        def numpy(self) -> Any: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __neg__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...
        def __int__(self) -> int: ...
        def __float__(self) -> float: ...
        def __index__(self) -> int: ...
        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __rtruediv__(self, other: Any) -> Any: ...
        def __floordiv__(self, other: Any) -> Any: ...
        def __rfloordiv__(self, other: Any) -> Any: ...
        def __mod__(self, other: Any) -> Any: ...
        def __rmod__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __rpow__(self, other: Any) -> Any: ...
        def __matmul__(self, other: Any) -> Any: ...
        def __rmatmul__(self, other: Any) -> Any: ...
        def __and__(self, other: Any) -> Any: ...
        def __rand__(self, other: Any) -> Any: ...
        def __or__(self, other: Any) -> Any: ...
        def __ror__(self, other: Any) -> Any: ...
        def __xor__(self, other: Any) -> Any: ...
        def __rxor__(self, other: Any) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...

    def __len__(self) -> int:
        self._refuse_values()
        if self.shape.rank == 0:
            raise TypeError("Scalar tensor has no `len()`")
        size = self.shape[0]
        if size is None:
            raise TypeError(f"the first dimension of {self!r} is unknown: use tf.shape(x)[0]")
        return size

    def _refuse_values(self) -> None:
        """Raises where a tensor of a kind that has no values is used as one."""

    def __hash__(self) -> int:
        if Tensor._equals_by_value:
            raise TypeError("Tensor is unhashable. Instead, use tensor.ref() as the key.")
        return id(self)

    def ref(self) -> Reference:
        """A hashable reference, equal for the same Tensor only."""
        return Reference(self)

    def experimental_ref(self) -> Reference:
        """The older name of `ref`."""
        return Reference(self)


class Reference:
    """Hashable handle of a Tensor or Variable; `deref()` gives it back."""

    __slots__ = ("_referent",)

    def __init__(self, referent: Any) -> None:
        self._referent = referent

    def deref(self) -> Any:
        return self._referent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other._referent is self._referent

    def __hash__(self) -> int:
        return id(self._referent)

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._referent!r}>"


class EagerTensor(Tensor):
    """A tensor with a value: a numpy or cupy array, or a numpy scalar."""

    __slots__ = ("_array", "_id")

    def __init__(self, array: Any) -> None:
        self._array = array
        self._id = 0  # given on first use by a tape

    def _key(self) -> int:
        if not self._id:
            self._id = next_id()
        return self._id

    @property
    def dtype(self) -> dt.DType:  # type: ignore[override]
        return _from_numpy[self._array.dtype]

    @property
    def shape(self) -> shapes.TensorShape:  # type: ignore[override]
        return shapes.TensorShape._of(self._array.shape)

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def device(self) -> str:
        """Canonical name of the device that holds the value."""
        kind = "CPU:0" if isinstance(self._array, (np.ndarray, np.generic)) else "GPU:0"
        return f"/job:localhost/replica:0/task:0/device:{kind}"

    @property
    def backing_device(self) -> str:
        return self.device

    @property
    def name(self) -> str:
        raise AttributeError("Tensor.name is undefined when eager execution is enabled.")

    @property
    def op(self) -> Any:
        raise AttributeError("Tensor.op is undefined when eager execution is enabled.")

    @property
    def graph(self) -> Any:
        raise AttributeError("Tensor.graph is undefined when eager execution is enabled.")

    @property
    def is_packed(self) -> bool:
        return False

    @property
    def value_index(self) -> int:
        raise AttributeError("Tensor.value_index is undefined when eager execution is enabled.")

    def consumers(self) -> list[Any]:
        raise NotImplementedError("Tensor.consumers is undefined when eager execution is enabled.")

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        raise NotImplementedError(
            "eval is not supported when eager execution is enabled, is .numpy() what you're "
            "looking for?"
        )

    def cpu(self) -> EagerTensor:
        """The tensor in the memory of the host."""
        return self if _on_host(self) else EagerTensor(self._host())

    def gpu(self, gpu_index: int = 0) -> Any:
        """The tensor in the memory of a GPU. Raises where there is none."""
        from shardtape.devices import device
        from shardtape.ops.array import identity

        with device(f"GPU:{gpu_index}"):
            return identity(self)

    def numpy(self) -> Any:
        """The value: a numpy array of its own, or a numpy scalar (bytes for a string)."""
        a = self._host()
        if a.dtype.names is not None:  # quantized: the integers themselves
            a = np.asarray(a).view(a.dtype[0])
        if a.ndim == 0:
            return a[()]
        return a.copy()

    def _host(self) -> Any:
        a = self._array
        if isinstance(a, (np.ndarray, np.generic)):
            return a
        return a.get()

    def _datatype_enum(self) -> int:
        return self.dtype.as_datatype_enum

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        a = np.asarray(self._host())
        if a.dtype.names is not None:
            a = a.view(a.dtype[0])
        if dtype is not None:
            return a.astype(dtype)
        return a.copy()

    def __dlpack__(self, **options: Any) -> Any:
        return np.asarray(self._array).__dlpack__(**options) if _on_host(self) else (
            self._array.__dlpack__(**options)
        )  # fmt: skip

    def __dlpack_device__(self) -> Any:
        return np.asarray(self._array).__dlpack_device__() if _on_host(self) else (
            self._array.__dlpack_device__()
        )  # fmt: skip

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("Scalar tensor has no `len()`")
        return self._array.shape[0]

    def set_shape(self, shape: Any) -> None:
        """Does nothing. Raises ValueError for a shape that the tensor does not have."""
        if not self.shape.is_compatible_with(shape):
            raise ValueError(
                f"Tensor's shape {self.shape} is not compatible with supplied shape {shape}."
            )

    def __iter__(self) -> Iterator[Any]:
        if not self._array.ndim:
            raise TypeError("Cannot iterate over a scalar tensor.")
        return (self[i] for i in range(self._array.shape[0]))

    def __bool__(self) -> bool:
        return bool(self._array)

    def _only_element(self) -> Any:
        a = self._host()
        if a.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        return a.item()

    def __int__(self) -> int:
        return int(self._only_element())

    def __float__(self) -> float:
        return float(self._only_element())

    def __complex__(self) -> complex:
        return complex(self._only_element())

    def __index__(self) -> int:
        value = self._host()
        if value.dtype == bool and not value.ndim:  # which numpy lets be no index any more
            return int(value)
        return operator.index(value)

    def __round__(self, digits: int | None = None) -> Any:
        return self.numpy().__round__(digits) if digits is not None else round(self.numpy())

    def __format__(self, spec: str) -> str:
        return self.numpy().__format__(spec)

    def __copy__(self) -> EagerTensor:
        return self

    def __deepcopy__(self, memo: Any) -> EagerTensor:
        return EagerTensor(np.array(self._array)[()] if _on_host(self) else self._array.copy())

    def __reduce__(self) -> tuple[Any, ...]:
        return EagerTensor, (self._host(),)

    def __str__(self) -> str:
        return f"tf.Tensor({value_text(self, False)}, shape={self.shape}, dtype={self.dtype.name})"

    def __repr__(self) -> str:
        return (
            f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, "
            f"numpy={value_text(self, True)}>"
        )


def _on_host(t: EagerTensor) -> bool:
    return isinstance(t._array, (np.ndarray, np.generic))


def value_text(value: Any, as_repr: bool) -> str:
    """The value as TensorFlow prints it; a text of several lines starts on a line of its own."""
    a = value.numpy() if not isinstance(value, (np.ndarray, np.generic, bytes)) else value
    if isinstance(a, bytes):
        text = repr(a)
    elif isinstance(a, np.ndarray):
        text = _array_text(a) if as_repr else str(a)
    else:
        text = str(a)
    return "\n" + text if "\n" in text else text


def _array_text(a: np.ndarray) -> str:
    if a.size <= np.get_printoptions()["threshold"]:
        return repr(a)
    with np.printoptions(legacy="1.25"):  # numpy 2 adds the shape where it leaves values out
        return repr(a)


class SymbolicTensor(Tensor):
    """One output of an operation of a graph."""

    __slots__ = ("op", "value_index", "dtype", "_shape", "_id")

    def __init__(self, op: Any, value_index: int, dtype: dt.DType, shape: shapes.TensorShape):
        self.op = op
        self.value_index = value_index
        self.dtype = dtype
        self._shape = shape
        self._id = next_id()

    def _key(self) -> int:
        return self._id

    @property
    def shape(self) -> shapes.TensorShape:  # type: ignore[override]
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Adds what is known of the shape. Raises ValueError where it contradicts."""
        self._shape = self._shape.merge_with(shape)

    @property
    def graph(self) -> Any:
        return self.op.graph

    def open_graph(self) -> Any:
        """The graph, which gets what is done to the tensor where none is being built.

        Raises TypeError where it is that of a function whose trace is done.
        """
        if self.op.graph.finished:
            raise self.out_of_scope()
        return self.op.graph

    def out_of_scope(self, kind: type[Exception] = TypeError) -> Exception:
        """The error of a use where the tensor has no value."""
        graph = getattr(self.op.graph, "name", "another graph")
        return kind(
            f"{self!r} is out of scope and cannot be used here: it was made in the graph of "
            f"'{graph}'. Return it from that function, or keep it in a tf.Variable or a "
            "tf.TensorArray."
        )

    @property
    def name(self) -> str:
        name_of = getattr(self.op.graph, "name_of", None)  # of a graph of Keras's symbolic calls
        return f"{self.op.name}:{self.value_index}" if name_of is None else name_of(self)

    @property
    def device(self) -> str:
        return self.op.device or ""

    def __getattr__(self, name: str) -> Any:
        graph = self.op.graph if name[:1] != "_" and name != "op" else None
        member = getattr(graph, "member", None)  # of a graph of Keras's symbolic calls
        if member is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return member(self, name)

    def consumers(self) -> list[Any]:
        """The operations that read this tensor."""
        return [o for o in self.graph.get_operations() if any(t is self for t in o.inputs)]

    def __iter__(self) -> Iterator[Any]:
        from_function = not getattr(self.op.graph, "claims_ops", False) and hasattr(
            self.op.graph, "outer_graph"
        )
        if from_function:
            raise errors.OperatorNotAllowedInGraphError(
                "Iterating over a symbolic `tf.Tensor` is not allowed. Use `tf.unstack`, or a "
                f"`for` loop that AutoGraph converts. ({self.name})"
            )
        unknown = self._shape.rank is None or not len(self._shape) or self._shape[0] is None
        if unknown and getattr(self.op.graph, "shows_calls", False):
            raise TypeError(f"Cannot iterate over {self!r}: its first dimension is not known")
        if unknown:
            raise errors.OperatorNotAllowedInGraphError(
                f"Cannot iterate over {self!r}: its first dimension is not known in the graph"
            )
        return (self[i] for i in range(self._shape[0]))

    def _refuse_values(self) -> None:
        if getattr(self.op.graph, "shows_calls", False):
            raise TypeError(
                f"{self!r} is symbolic and has no values: `if`, `len`, `assert` and numpy cannot "
                "take it. Use functions of `tf`, or do it in the `call` of a layer of your own."
            )

    def __bool__(self) -> bool:
        self._refuse_values()
        raise errors.OperatorNotAllowedInGraphError(
            "Using a symbolic `tf.Tensor` as a Python `bool` is not allowed. Use `tf.cond`, or "
            f"compute the value first. ({self.name})"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._refuse_values()
        raise NotImplementedError(
            f"Cannot convert a symbolic tf.Tensor ({self.name}) to a numpy array."
        )

    def numpy(self) -> Any:
        raise AttributeError(
            f"'SymbolicTensor' object has no attribute 'numpy': {self.name} has no value yet"
        )

    def __str__(self) -> str:
        describe = getattr(self.op.graph, "describe", None)
        if describe is not None:
            return str(describe(self, False))
        shape = "" if self._shape.rank is None else f", shape={self._shape}"
        return f'Tensor("{self.name}"{shape}, dtype={self.dtype.name})'

    def __repr__(self) -> str:
        describe = getattr(self.op.graph, "describe", None)
        if describe is not None:
            return str(describe(self, True))
        return f"<tf.Tensor '{self.name}' shape={self._shape} dtype={self.dtype.name}>"


def is_tensor(x: Any) -> bool:
    """True for tensors, variables and composite tensors."""
    if isinstance(x, Tensor) or hasattr(x, "_as_tensor"):
        return True
    return hasattr(x, "dense_shape") and hasattr(x, "indices")  # a SparseTensor


def enable_tensor_equality() -> None:
    """`==` compares values (the default)."""
    Tensor._equals_by_value = True


def disable_tensor_equality() -> None:
    """`==` compares identity, and tensors hash, as in TF1."""
    Tensor._equals_by_value = False

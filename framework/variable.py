"""Variables: state that tapes watch, graphs refer to and parameter servers shard."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import backend, errors, shapes
from shardtape import dtypes as dt
from shardtape.context import next_id, state
from shardtape.initial_values import initial_array, scoped_name
from shardtape.operator_types import Operators
from shardtape.ops import state as ops
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import shown
from shardtape.ops.refusals import refusal
from shardtape.ops.state import apply_resource
from shardtape.tensor import EagerTensor, Reference, Tensor, value_text
from shardtape.variable_creation import creation_listeners, listeners
from shardtape.variable_rows import ScatteredParts
from shardtape.variable_synchronization import VariableAggregation, VariableSynchronization


class _Probe:
    __slots__ = ("held",)
    held: Any


def _references_when_alone() -> int:
    """What sys.getrefcount says of an object that one attribute holds; it differs by version."""
    probe = _Probe()
    probe.held = np.zeros(1)
    return sys.getrefcount(probe.held)


_NO_ATTRS: dict[str, Any] = {}
_ALONE = _references_when_alone()


class _Creating(type):
    """Calls the creators of the blocks that are open before a Variable is made."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not listeners.creators or "_asks_creators" not in cls.__dict__:
            return super().__call__(*args, **kwargs)
        given = {**dict(zip(_PARAMETERS, args)), **kwargs}
        make = super().__call__
        for creator in listeners.creators:
            make = functools.partial(creator, make)
        return make(**given)


class Variable(Operators, ScatteredParts, metaclass=_Creating):
    """A tensor whose value can change.

    Args:
      initial_value: Tensor, array, Python value, or a callable without arguments.
      trainable: whether tapes and optimizers see it (default True for floating types).
      name: its name; in a graph made unique.
      dtype: converts the initial value.
      shape: static shape, where it may be less known than that of the initial value.
      constraint: function from the updated value to the value to keep; optimizers apply it.

    Raises:
      ValueError: no initial value, or a shape that contradicts it.
    """

    _takes_operators = False
    _asks_creators = True  # in its own dictionary: subclasses are made as they are
    _holder: Any = None  # weak reference to the Variable of several replicas that it is part of
    __array_priority__ = 101
    _was_declared = False  # made with an optimizer, not in the function that was being traced
    # `tf.function` takes it as an input of the trace; else the trace belongs to this Variable
    _is_input = True

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return object.__new__(ResourceVariable if cls is Variable else cls)

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: str | None = None,
        constraint: Callable[..., Any] | None = None,
        synchronization: VariableSynchronization = VariableSynchronization.AUTO,
        aggregation: VariableAggregation = VariableAggregation.NONE,
        shape: Any = None,
        experimental_enable_variable_lifting: bool = True,
    ) -> None:
        if initial_value is None:
            raise ValueError(
                "The `initial_value` arg to `tf.Variable` must be specified except when you are "
                "not providing a `variable_def`. You provided neither."
            )
        array = initial_array(initial_value, dtype)
        self._array = array
        self._dtype = dt.from_numpy(array.dtype)
        actual = shapes.TensorShape._of(array.shape)
        self._shape = actual if shape is None else shapes.as_shape(shape)
        if not self._shape.is_compatible_with(actual):
            raise ValueError(
                f"The initial value's shape ({actual}) is not compatible with the explicitly "
                f"supplied `shape` argument ({self._shape})."
            )
        differentiable = self._dtype.is_floating or self._dtype.is_complex
        self._trainable = trainable if trainable is not None else True
        self._differentiable = differentiable
        self._name = scoped_name(name or "Variable")
        self._id = next_id()
        self._bound = False
        self.constraint = constraint
        self.synchronization = synchronization
        self.aggregation = aggregation
        for listener in creation_listeners():
            listener(self)

    # ---- what it is -----------------------------------------------------------------------
    @property
    def name(self) -> str:
        return f"{self._name}:0"

    @property
    def dtype(self) -> dt.DType:
        return self._dtype

    @property
    def shape(self) -> shapes.TensorShape:
        return self._shape

    def get_shape(self) -> shapes.TensorShape:
        return self._shape

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @property
    def device(self) -> str:
        return EagerTensor(self._array).device

    @property
    def op(self) -> Any:
        """The operation that stands for the variable in the current graph."""
        if state.graph is None:
            raise AttributeError("Variable.op is undefined when eager execution is enabled.")
        return state.graph.variable_handle(self).op

    @property
    def handle(self) -> Any:
        return self if state.graph is None else state.graph.variable_handle(self)

    @property
    def _shared_name(self) -> str:
        return self._name

    # ---- reading --------------------------------------------------------------------------
    def value(self) -> Tensor:
        """The current value; later assignments do not change it."""
        recorders = state.eager
        if recorders is not None:
            read = EagerTensor(self._array)
            for recorder in recorders:
                recorder.read(self)
                recorder.record(ops.read_variable, (self,), _NO_ATTRS, (read,))
            return read
        return apply_resource(ops.read_variable, self, (), {"dtype": self._dtype})

    read_value = value

    def _as_operand(self) -> Tensor:
        """The current value for an op that is applied to it at once, and for nobody else.

        To tapes it is the Variable itself, so that its gradient takes no step more.
        """
        recorders = state.eager
        if recorders is None:
            return self.value()
        read = EagerTensor(self._array)
        if recorders:
            read._id = self._id
            for recorder in recorders:
                recorder.read(self)
        return read

    def read_value_no_copy(self) -> Tensor:
        """The current value; here no read copies."""
        return self.value()

    @property
    def initial_value(self) -> None:
        """None inside a function, as of TensorFlow's Variables that are made eagerly.

        Raises RuntimeError in eager mode.
        """
        if state.graph is None:
            raise RuntimeError(
                "Variable.initial_value is not supported when eager execution is enabled: keep the "
                "value that the Variable is made with"
            )

    def is_initialized(self, name: str | None = None) -> Tensor:
        """bool scalar, True: a Variable has its first value when it is made."""
        return convert_to_tensor(True, name=name)

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """Rows at `indices`; the gradient is IndexedSlices."""
        indices = convert_to_tensor(indices)
        return apply_resource(ops.resource_gather, self, (indices,), {"dtype": self._dtype}, name)

    def numpy(self) -> Any:
        """The value as an array of its own."""
        if state.graph is not None:
            raise NotImplementedError("numpy() is only available when eager execution is enabled.")
        return EagerTensor(self._array).numpy()

    def initialized_value(self) -> Tensor:
        return self.value()

    def _as_tensor(self, dtype: Any = None) -> Tensor:
        value = self.value()
        if dtype is not None and value.dtype is not dt.as_dtype(dtype):
            raise ValueError(
                f"Tensor conversion requested dtype {dt.as_dtype(dtype).name} for Variable with "
                f"dtype {value.dtype.name}: {self!r}"
            )
        return value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.numpy(), dtype)

    # ---- writing --------------------------------------------------------------------------
    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Any:  # fmt: skip
        """Sets the value. Raises ValueError where shape or dtype do not fit."""
        value = self._operand(value)
        if not self._shape.is_compatible_with(value.shape):
            raise ValueError(
                f"Cannot assign value to variable ' {self.name}': Shape mismatch.The variable "
                f"shape {self._shape}, and the assigned value shape {value.shape} are "
                "incompatible."
            )
        return self._written(ops.assign_variable, (value,), name, read_value)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Any:  # fmt: skip
        """Adds `delta`."""
        given = (self._delta(delta, "Add"),)
        return self._written(ops.assign_add_variable, given, name, read_value)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Any:  # fmt: skip
        """Subtracts `delta`."""
        given = (self._delta(delta, "Sub"),)
        return self._written(ops.assign_sub_variable, given, name, read_value)

    def _operand(self, value: Any) -> Tensor:
        try:
            return convert_to_tensor(value, self._dtype)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Cannot assign to variable '{self.name}': {error}") from None

    def _delta(self, delta: Any, what: str) -> Tensor:
        delta = self._operand(delta)
        if not self._shape.is_compatible_with(delta.shape):
            raise refusal(
                f"Cannot update variable with shape {shown(self._shape)} using a Tensor with shape "
                f"{shown(delta.shape)}, shapes must be equal. [Op:Assign{what}VariableOp] name: "
            )
        return delta

    def _written(self, op: Any, inputs: tuple[Any, ...], name: Any, read_value: bool) -> Any:
        made = apply_resource(op, self, inputs, None, name)
        if not read_value:
            return made
        if made is None or made.graph.takes_resources:  # read where it is used
            return _unread(self, made) if type(self) is ResourceVariable else self
        with made.graph.control_dependencies([made]):
            return self.value()

    # ---- storage (kernels of ops/state.py, optimizers and workers use it) -----------------
    def _storage(self) -> np.ndarray:
        """The live array, which an update may change in place; private to the variable.

        A value that somebody has read is never changed: the array is copied first if anything
        else still holds it (copy on write, decided by the reference count).
        """
        if not self._changeable():
            held = self._array
            self._array = np.array(held) if isinstance(held, np.generic) else held.copy()
        return self._array

    def bind(self, array: np.ndarray) -> None:
        """From now on the value lives in `array`, which its owner may change."""
        if array.shape != self._array.shape or array.dtype != self._array.dtype:
            raise ValueError(
                f"variable '{self.name}' of {self._array.shape} {self._array.dtype} cannot live "
                f"in an array of {array.shape} {array.dtype}"
            )
        self._array, self._bound = array, True

    def _changeable(self) -> bool:
        if self._bound:
            return True
        # a view's base, or a second holder, could be a tensor that was read from this variable
        return (
            sys.getrefcount(self._array) <= _ALONE
            and isinstance(self._array, np.ndarray)
            and self._array.base is None
            and self._array.flags.writeable
        )

    def _read_array(self) -> Any:
        return self._array

    def _write_array(self, value: Any) -> None:
        if not (backend.accelerated or self._bound):
            # a view would keep all of its base alive, and could not be updated in place
            self._array = value if value.base is None else value.copy()
            return
        if backend.accelerated and backend.is_device(self._array):
            value = backend.to_device(value)
        elif self._bound:
            value = backend.to_host(value)
        if self._bound:
            self._array[...] = value
            return
        self._array = value if value.base is None else value.copy()

    def _update_array(self, function: str, value: Any) -> None:
        xp = np
        if backend.accelerated:
            xp, (value,) = self._beside(value)
        # no other name for the array here: it would count as a second holder
        if self._array.ndim and self._changeable():
            getattr(xp, function)(self._array, value, out=self._array)
        else:
            self._write_array(getattr(xp, function)(self._array, value))

    # ---- Python ---------------------------------------------------------------------------
    def ref(self) -> Reference:
        return Reference(self)

    experimental_ref = ref

    def set_shape(self, shape: Any) -> None:
        """Adds what is known of the shape. Raises ValueError where it contradicts."""
        self._shape = self._shape.merge_with(shape)

    def count_up_to(self, limit: int) -> Tensor:
        """Adds one to an integer scalar; returns the value before.

        Raises OutOfRangeError where it has reached `limit`, TypeError for another dtype.
        """
        if self._dtype not in (dt.int32, dt.int64):
            raise TypeError(f"count_up_to() counts int32 and int64, not {self._dtype.name}")
        if state.graph is not None:
            raise errors.UnimplementedError(
                "Variable.count_up_to() counts in eager mode; in a graph use assign_add"
            )
        before = self.value()
        if int(before) >= limit:  # type: ignore[call-overload]
            raise errors.OutOfRangeError(f"Reached limit of {limit}")
        self.assign_add(1)
        return before

    def __complex__(self) -> complex:
        return complex(self.value())  # type: ignore[call-overload]

    def __hash__(self) -> int:
        if Tensor._equals_by_value:
            raise TypeError("Variable is unhashable. Instead, use variable.ref() as the key.")
        return id(self)

    def __iter__(self) -> Any:
        return iter(self.value())  # type: ignore[call-overload]

    def __bool__(self) -> bool:
        return bool(self.value())

    def __int__(self) -> int:
        return int(self.value())  # type: ignore[call-overload]

    def __float__(self) -> float:
        return float(self.value())  # type: ignore[arg-type]

    def __index__(self) -> int:
        return self.value().__index__()  # type: ignore[attr-defined]

    def __format__(self, spec: str) -> str:
        return str(self) if not spec else self.numpy().__format__(spec)

    def __deepcopy__(self, memo: Any) -> Any:
        make, arguments = self.__reduce__()
        memo[id(self)] = made = make(*arguments)
        return made

    def __reduce__(self) -> Any:
        rest = self._trainable, self._name, self._shape, self.constraint
        return _unpickled, (type(self), np.array(backend.to_host(self._array)), *rest)

    _shown_as: str | None = None  # of strategies that mirror: how it is shown with its replica

    def __repr__(self) -> str:
        text = self._own_text()
        return text if self._shown_as is None else f"{self._shown_as}:{{\n  0: {text}\n}}"

    def _own_text(self) -> str:
        text = f"<tf.Variable '{self.name}' shape={self._shape} dtype={self._dtype.name}"
        if state.graph is not None:
            return text + ">"
        return f"{text}, numpy={value_text(EagerTensor(self._array), True)}>"


class ResourceVariable(Variable):
    """What `Variable(...)` makes; TensorFlow shows this name."""


class _UnreadVariable(ResourceVariable):
    """What an assignment gives: the Variable under TensorFlow's name for this.

    It shares everything with the Variable, also what is assigned later. In a graph its `op` is the
    assignment, which others may wait for.
    """

    __slots__ = ("_origin", "_assignment")
    _origin: ResourceVariable
    _assignment: Any

    @property
    def op(self) -> Any:
        made = getattr(self, "_assignment", None)
        if made is not None and made.graph is state.graph:
            return made
        return self._origin.op  # type: ignore[attr-defined]

    @property
    def name(self) -> str:
        return "UnreadVariable"

    __repr__ = Variable._own_text

    def __deepcopy__(self, memo: Any) -> Any:
        return self._origin.__deepcopy__(memo)  # type: ignore[attr-defined]

    def __reduce__(self) -> Any:
        return self._origin.__reduce__()  # type: ignore[attr-defined]

    def _written(self, op: Any, inputs: tuple[Any, ...], name: Any, read_value: bool) -> Any:
        return self._origin._written(op, inputs, name, read_value)  # type: ignore[attr-defined]


def _unread(variable: ResourceVariable, assignment: Any = None) -> _UnreadVariable:
    made = object.__new__(_UnreadVariable)
    made.__dict__ = variable.__dict__
    made._origin = variable  # type: ignore[misc]
    if assignment is not None:
        made._assignment = assignment
    return made


def assigned(variable: Any, assignment: Any = None) -> Any:
    """What an assignment to a Variable gives, here after one that was made in another way.

    Args:
      assignment: the operation of a graph that makes it.

    One of several replicas is given as it is.
    """
    return _unread(variable, assignment) if type(variable) is ResourceVariable else variable


def _unpickled(
    kind: type[Variable], array: Any, trainable: bool, name: str, shape: Any, constraint: Any
) -> Variable:
    return kind(
        EagerTensor(array), trainable=trainable, name=name, shape=shape, constraint=constraint
    )


_PARAMETERS = tuple(inspect.signature(Variable.__init__).parameters)[1:]

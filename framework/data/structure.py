"""The structure of dataset elements: tuples, named tuples, dicts and attrs classes of leaves.

Lists are leaves: a list of numbers is a tensor. While a dataset is iterated an element is a flat
tuple of leaves in numpy arrays; `ElementType` takes user values apart and puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest, shapes
from shardtape.context import building, state
from shardtape.data.specs import NoneTensorSpec
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.sparse_tensor import SparseTensor, to_dense
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec, type_spec_from_value


def is_nested(value: Any) -> bool:
    """True for what elements are nested in: not for lists, tensors and specs."""
    return not isinstance(value, (list, Tensor, np.ndarray, str, bytes)) and nest.is_nested(value)


def flatten(structure: Any) -> list[Any]:
    """The leaves in order; dicts by sorted key."""
    if not is_nested(structure):
        return [structure]
    out: list[Any] = []
    for child in nest._children(structure):
        out.extend(flatten(child))
    return out


def pack(structure: Any, leaves: Sequence[Any]) -> Any:
    """The structure again with these leaves."""
    rest = iter(leaves)

    def build(node: Any) -> Any:
        if not is_nested(node):
            return next(rest)
        return nest._rebuild(node, [build(child) for child in nest._children(node)])

    return build(structure)


def flatten_up_to(like: Any, value: Any, what: str) -> list[Any]:
    """The parts of `value` that stand where `like` has leaves; a part may be nested itself.

    Raises TypeError or ValueError where `value` has not the form of `like`.
    """
    if not is_nested(like):
        return [value]
    if isinstance(like, Mapping):
        if not isinstance(value, Mapping) or set(value) != set(like):
            raise ValueError(f"`{what}` needs the keys {sorted(like)}, got {value!r}")
        parts = [value[k] for k in nest._keys(like)]
    else:
        if not isinstance(value, (tuple, list)) or len(value) != len(nest._children(like)):
            raise ValueError(
                f"`{what}` needs {len(nest._children(like))} components, got {value!r}"
            )
        parts = list(value)
    out = []
    for child, part in zip(nest._children(like), parts):
        out.extend(flatten_up_to(child, part, what))
    return out


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Applies a function to corresponding leaves."""
    return pack(structures[0], [function(*x) for x in zip(*[flatten(s) for s in structures])])


def assert_same(a: Any, b: Any, what: str) -> None:
    """Raises TypeError or ValueError where two structures differ in form."""
    if is_nested(a) != is_nested(b):
        raise TypeError(f"{what}: the structures {a!r} and {b!r} differ")
    if not is_nested(a):
        return
    if isinstance(a, Mapping) != isinstance(b, Mapping):
        raise TypeError(f"{what}: {type(a).__name__} is not {type(b).__name__}")
    if isinstance(a, Mapping) and set(a) != set(b):
        raise ValueError(f"{what}: the keys {sorted(a)} and {sorted(b)} differ")
    left, right = nest._children(a), nest._children(b)
    if len(left) != len(right):
        raise ValueError(f"{what}: {len(left)} components are not {len(right)}")
    for x, y in zip(left, right):
        assert_same(x, y, what)


def spec_of(value: Any) -> Any:
    """The structure of TypeSpecs of a structure of values."""
    return map_structure(_leaf_spec, value)


def _leaf_spec(value: Any) -> TypeSpec:
    if value is None:
        return NoneTensorSpec()
    if isinstance(value, TypeSpec):
        return value
    return type_spec_from_value(value)


def normalize(value: Any, dtypes: Any = None) -> Any:
    """The structure with every leaf a tensor, a composite or None; Python values become eager.

    Args:
      dtypes: structure of wanted dtypes, for leaves that leave the choice.

    Raises:
      TypeError, ValueError: a leaf that no tensor can be made of.
    """
    leaves = flatten(value)
    wanted = flatten(dtypes) if dtypes is not None else [None] * len(leaves)
    return pack(value, [_normalized(x, d) for x, d in zip(leaves, wanted)])


def _normalized(value: Any, dtype: Any = None) -> Any:
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(getattr(value, "_type_spec", None), TypeSpec):
        return value
    if state.graph is not None and (_is_variable(value) or _holds_symbols(value)):
        return convert_to_tensor(value, dtype)
    if dtype is None and isinstance(value, list):
        dtype = _dtype_of_arrays(value)
    with building(None):
        return convert_to_tensor(value, dtype)


def _dtype_of_arrays(value: Any) -> Any:
    """The dtype that nothing but numpy arrays in a list share, which a dataset keeps; or None."""
    if isinstance(value, np.ndarray):
        return value.dtype if value.dtype.kind in "biufc" else None
    if not isinstance(value, list) or not value:
        return None
    first = _dtype_of_arrays(value[0])
    return first if all(_dtype_of_arrays(item) == first for item in value[1:]) else None


def _is_variable(value: Any) -> bool:
    return hasattr(value, "_as_tensor") and hasattr(value, "_id")


def _holds_symbols(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_symbols(item) for item in value)
    return isinstance(value, SymbolicTensor) or _is_variable(value)


def host_array(tensor: EagerTensor) -> Any:
    """An eager tensor's array, on the host; strings always as arrays."""
    return tensor._host()


def string_scalar(value: bytes) -> np.ndarray:
    """A scalar string as the 0-d object array that tensors hold."""
    made = np.empty((), object)
    made[()] = value
    return made


class ElementType:
    """A structure of TypeSpecs, and the two ways between user values and flat leaves.

    A leaf is a numpy array or scalar for a tensor; a composite value of eager tensors (sparse,
    ragged), None, or what a dataset in a dataset is, for the others.
    """

    __slots__ = ("spec", "specs", "plain", "_form")

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        self.specs: list[TypeSpec] = flatten(spec)
        self.plain = all(isinstance(s, TensorSpec) for s in self.specs)
        if not is_nested(spec):
            self._form = "leaf"
        elif type(spec) is tuple and not any(is_nested(s) for s in spec):
            self._form = "tuple"
        else:
            self._form = "nested"

    def wrap(self, leaves: Sequence[Any]) -> Any:
        """The element that the user gets: eager tensors in their structure."""
        if not self.plain:
            return pack(self.spec, [wrap_leaf(s, x) for s, x in zip(self.specs, leaves)])
        if self._form == "leaf":
            return EagerTensor(leaves[0])
        made = [EagerTensor(x) for x in leaves]
        return tuple(made) if self._form == "tuple" else pack(self.spec, made)

    def unwrap(self, value: Any) -> tuple[Any, ...]:
        """The leaves of an eager value. Raises TypeError where it does not fit."""
        assert_same(self.spec, value, "element")
        return tuple([unwrap_leaf(s, x) for s, x in zip(self.specs, flatten(value))])

    def numpy(self, leaves: Sequence[Any]) -> Any:
        """The element in numpy arrays, which are read-only."""
        return pack(self.spec, [numpy_leaf(s, x) for s, x in zip(self.specs, leaves)])


def wrap_leaf(spec: TypeSpec, leaf: Any) -> Any:
    """The eager value of a leaf."""
    if isinstance(spec, TensorSpec):
        return EagerTensor(leaf)
    return spec._wrap(leaf) if hasattr(spec, "_wrap") else leaf  # type: ignore[attr-defined]


def unwrap_leaf(spec: TypeSpec, value: Any) -> Any:
    """The leaf of an eager value."""
    if isinstance(spec, TensorSpec):
        with building(None):
            return host_array(convert_to_tensor(value, spec.dtype))  # type: ignore[arg-type]
    return spec._unwrap(value) if hasattr(spec, "_unwrap") else value  # type: ignore[attr-defined]


def numpy_leaf(spec: TypeSpec, leaf: Any) -> Any:
    """The leaf for users of `as_numpy_iterator`."""
    if isinstance(spec, TensorSpec):
        if leaf.ndim == 0:
            return leaf[()]
        view = leaf.view()
        view.flags.writeable = False
        return view
    if isinstance(leaf, SparseTensor):
        with building(None):
            return to_dense(leaf).numpy()
    to_numpy = getattr(leaf, "_to_numpy", None) or getattr(leaf, "numpy", None)
    return leaf if to_numpy is None else to_numpy()


# ---- specs of whole batches ---------------------------------------------------------------------
def batched_spec(spec: TypeSpec, size: int | None) -> TypeSpec:
    """The spec of `size` values in one. Raises TypeError for a spec that has none."""
    if isinstance(spec, TensorSpec):
        return TensorSpec(shapes.TensorShape([size]).concatenate(spec.shape), spec.dtype)
    made = getattr(spec, "_batch", None)
    if made is None:
        raise TypeError(f"values of {spec!r} cannot be put into batches")
    return made(size)


def unbatched_spec(spec: TypeSpec) -> TypeSpec:
    """The spec of one value of a batch. Raises ValueError for scalars, TypeError for others."""
    if isinstance(spec, TensorSpec):
        if spec.shape.rank == 0:
            raise ValueError("Unbatching a tensor is only supported for rank >= 1")
        return TensorSpec(spec.shape[1:], spec.dtype)
    made = getattr(spec, "_unbatch", None)
    if made is None:
        raise TypeError(f"values of {spec!r} cannot be taken apart")
    return made()


def legacy(spec: Any, what: str) -> Any:
    """TF1's views of a spec: `what` is "dtype", "shape" or "value_type"."""

    def one(leaf: TypeSpec) -> Any:
        if what == "dtype":
            return getattr(leaf, "dtype", dt.variant)
        if what == "shape":
            return getattr(leaf, "shape", shapes.TensorShape([]))
        return leaf.value_type

    return map_structure(one, spec)

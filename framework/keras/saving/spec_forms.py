"""Type specs in configurations, in Keras's form: `{"class_name": "__typespec__", ...}`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from shardtape import dtypes as dt
from shardtape.experimental.extension_type import ExtensionTypeSpec
from shardtape.graph.func_graph import TensorSpec
from shardtape.keras.saving.registry import known
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.shapes import TensorShape
from shardtape.sparse_tensor import SparseTensorSpec
from shardtape.type_spec import TypeSpec

KIND = "__typespec__"
# with the modules that Keras names
_OWN: dict[str, tuple[Any, str]] = {
    "TensorSpec": (TensorSpec, "tensorflow.python.framework.tensor"),
    "RaggedTensorSpec": (RaggedTensorSpec, "tensorflow.python.ops.ragged.ragged_tensor"),
    "SparseTensorSpec": (SparseTensorSpec, "tensorflow.python.framework.sparse_tensor"),
}


def spec_form(spec: TypeSpec) -> dict[str, Any]:
    """A spec as JSON. Raises TypeError for one that has no form there."""
    name = type(spec).__qualname__
    if isinstance(spec, ExtensionTypeSpec):
        config: Any = {field: _form(value) for field, value in spec._fields.items()}
        return {"class_name": KIND, "spec_name": name, "module": type(spec).__module__,
                "config": config, "registered_name": name}  # fmt: skip
    if isinstance(spec, TensorSpec):
        config = [_form(spec.shape), spec.dtype.name, spec.name]
    elif isinstance(spec, RaggedTensorSpec):
        config = [_form(spec.shape), spec.dtype.name, spec._ragged_rank,
                  spec._row_splits_dtype.name]  # fmt: skip
    elif isinstance(spec, SparseTensorSpec):
        config = [_form(spec.shape), spec.dtype.name]
    else:
        raise TypeError(f"{spec!r} cannot be written into a configuration")
    return {"class_name": KIND, "spec_name": name, "module": _OWN[name][1], "config": config,
            "registered_name": None}  # fmt: skip


def _form(value: Any) -> Any:
    if isinstance(value, TypeSpec):
        return spec_form(value)
    if isinstance(value, TensorShape):
        return None if value.rank is None else list(value)
    if isinstance(value, dt.DType):
        return value.name
    if isinstance(value, tuple):
        return [_form(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _form(part) for key, part in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} in a type spec cannot be written into a configuration")


def spec_of(form: dict[str, Any]) -> TypeSpec:
    """The spec of `spec_form`'s JSON. Raises ValueError for a type that nobody knows (named)."""
    name, config = form["spec_name"], form["config"]
    if name in _OWN:
        made: TypeSpec = _OWN[name][0](*config)
        return made
    cls = _class(form["module"], name)
    spec = object.__new__(cls)
    spec._fill({field.name: _field(field, config[field.name]) for field in cls._type._declared})
    return spec  # type: ignore[no-any-return]


def _field(field: Any, value: Any) -> Any:
    if field.kind is TensorShape:
        return TensorShape(value)
    if field.kind is dt.DType:
        return dt.as_dtype(value)
    return _read(value)


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("class_name") == KIND:
            return spec_of(value)
        return {key: _read(part) for key, part in value.items()}
    return tuple(_read(part) for part in value) if isinstance(value, list) else value


def _class(module: str, name: str) -> Any:
    found: Any = known(name.partition(".")[0])
    parts = name.split(".")[1:]
    if found is None:
        found, parts = sys.modules.get(module), name.split(".")
    for part in parts:
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, ExtensionTypeSpec)):
        raise ValueError(
            f"Unknown type spec {name!r} of the module {module!r}: import the module that defines "
            "the extension type, or pass its class in `custom_objects`"
        )
    return found

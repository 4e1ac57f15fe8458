"""`from_generator`: elements that Python yields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset
from shardtape.data.run import Run
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.py_function import error_of
from shardtape.ops.convert import convert_to_tensor, to_array
from shardtape.tensor import EagerTensor, Tensor
from shardtape.type_spec import TypeSpec


def from_generator(
    generator: Callable[..., Any], types: Any, result_shapes: Any, args: Any, signature: Any
) -> Dataset:
    """See `Dataset.from_generator`."""
    if not callable(generator):
        raise TypeError("`generator` must be a Python callable.")
    for name, given in (("output_types", types), ("output_shapes", result_shapes)):
        if signature is not None and given is not None:
            raise TypeError(
                f"The `{name}` argument can not be used together with the `output_signature` "
                "argument."
            )
    if signature is None:
        if types is None:
            raise TypeError(
                "To specify the output signature you need to provide either the "
                "`output_signature` argument or the `output_types` argument."
            )
        signature = _signature(types, result_shapes)
    strict = types is not None and result_shapes is None
    for spec in structure.flatten(signature):
        if not isinstance(spec, TypeSpec):
            raise TypeError(
                "`output_signature` must contain objects that are subclass of `tf.TypeSpec` but "
                f"found {type(spec)} which is not."
            )
    return GeneratorDataset(generator, args, signature, strict)


def _signature(types: Any, result_shapes: Any) -> Any:
    if result_shapes is None:
        return structure.map_structure(lambda t: TensorSpec(shapes.UNKNOWN, dt.as_dtype(t)), types)
    found = structure.flatten_up_to(types, result_shapes, "output_shapes")
    return structure.pack(
        types,
        [
            TensorSpec(shapes.as_shape(s), dt.as_dtype(t))
            for t, s in zip(structure.flatten(types), found)
        ],
    )


class GeneratorDataset(Dataset):
    """Elements that a Python generator yields.

    Args:
      strict: values are converted as by `tf.convert_to_tensor`; else numpy casts them.
    """

    _shown = "_FlatMapDataset"

    def __init__(
        self, generator: Callable[..., Any], args: Any, signature: Any, strict: bool
    ) -> None:
        super().__init__(signature)
        self._generator, self._strict = generator, strict
        self._args = [structure.normalize(a) for a in (args or ())]

    def _parameters(self) -> Sequence[Any]:
        return [a for a in self._args if isinstance(a, Tensor)]

    def _make_cursor(self, run: Run) -> Cursor:
        args = [run.value(a) for a in self._args]
        return GeneratorCursor(self._generator, args, self._type, self._strict)


class GeneratorCursor(Cursor):
    """Calls the generator when the first element is asked for."""

    def __init__(
        self,
        generator: Callable[..., Any],
        args: Sequence[Any],
        element: structure.ElementType,
        strict: bool,
    ) -> None:
        super().__init__()
        self._generator, self._args, self._element = generator, args, element
        self._elements: Any = None
        self._nested = structure.is_nested(element.spec)
        self._strict = strict

    def _next(self) -> Any:
        try:
            if self._elements is None:
                self._elements = iter(self._generator(*[np.array(a)[()] for a in self._args]))
            return next(self._elements)
        except StopIteration:
            self._elements = iter(())
            raise
        except Exception as raised:  # whatever user code raises becomes the iterator's error
            self._elements = iter(())
            raise error_of(raised) from raised

    def __next__(self) -> Leaves:
        value = self._next()
        found = [value]
        if self._nested:  # what stands where a leaf is expected is a value, a tuple too
            try:
                _check_form(self._element.spec, value)
                found = structure.flatten_up_to(self._element.spec, value, "generator")
            except (TypeError, ValueError) as error:
                raise self._other_form(value) from error
        if self._strict:
            try:
                return tuple([_converted(s, x)._host() for s, x in zip(self._element.specs, found)])
            except (TypeError, ValueError) as error:
                raise self._other_form(value) from error
        return tuple([_leaf(s, x) for s, x in zip(self._element.specs, found)])

    def _other_form(self, value: Any) -> errors.InvalidArgumentError:
        spec = self._element.spec
        expected = spec if self._strict else structure.legacy(spec, "dtype")
        return errors.InvalidArgumentError(
            "TypeError: `generator` yielded an element that did not match the expected structure. "
            f"The expected structure was {expected}, but the yielded element was {value}."
        )

    def skip(self, count: int) -> int:
        for done in range(count):
            try:
                self._next()
            except StopIteration:
                return done
        return count

    def close(self) -> None:
        end = getattr(self._elements, "close", None)
        self._elements = iter(())
        if end is not None:
            end()


def _check_form(spec: Any, value: Any) -> None:
    """Raises TypeError for a list, or a plain tuple where a named one is expected."""
    if not structure.is_nested(spec):
        return
    if isinstance(value, list) or (hasattr(spec, "_fields") and not hasattr(value, "_fields")):
        raise TypeError(f"{type(value).__name__} where {type(spec).__name__} is expected")
    if isinstance(spec, Mapping) and isinstance(value, Mapping):
        for key in spec.keys() & value.keys():
            _check_form(spec[key], value[key])
    elif isinstance(spec, tuple) and isinstance(value, tuple):
        for a, b in zip(spec, value):
            _check_form(a, b)


def _converted(spec: Any, value: Any) -> Any:
    return convert_to_tensor(value, spec.dtype)


def _leaf(spec: TypeSpec, value: Any) -> Any:
    if not isinstance(spec, TensorSpec):
        return structure.unwrap_leaf(spec, value)
    try:
        if type(value) is EagerTensor:
            value = value._host()
        made = _array(value, spec.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.InvalidArgumentError(
            "TypeError: `generator` yielded an element that could not be converted to the expected "
            f"type. The expected type was {spec.dtype.name}, but the yielded element was {value}."
        ) from error
    if not spec.shape.is_compatible_with(shapes.TensorShape._of(made.shape)):
        raise errors.InvalidArgumentError(
            f"TypeError: `generator` yielded an element of shape {made.shape} where an element of "
            f"shape {spec.shape} was expected."
        )
    return made


def _array(value: Any, dtype: dt.DType) -> Any:
    """As numpy casts, which is what TensorFlow asks of it here; strings and bytes alike."""
    if dtype.kind == "s":
        return np.asarray(to_array(value, dtype))
    if hasattr(value, "_as_tensor"):
        value = value._as_tensor()._host()
    return np.asarray(value).astype(dtype.numpy_dtype)

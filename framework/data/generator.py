"""`from_generator`: elements that Python yields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from shardtape.ops.convert import to_array
from shardtape.tensor import EagerTensor, Tensor
from shardtape.type_spec import TypeSpec


def from_generator(
    generator: Callable[..., Any], types: Any, result_shapes: Any, args: Any, signature: Any
) -> Dataset:
    """See `Dataset.from_generator`."""
    if not callable(generator):
        raise TypeError("`generator` must be a Python callable.")
    if signature is not None and (types is not None or result_shapes is not None):
        raise TypeError(
            "The `output_types` and `output_shapes` arguments can not be used together with the "
            "`output_signature` argument."
        )
    if signature is None:
        if types is None:
            raise TypeError(
                "To specify the output signature you need to provide either the "
                "`output_signature` argument or the `output_types` argument."
            )
        signature = _signature(types, result_shapes)
    for spec in structure.flatten(signature):
        if not isinstance(spec, TypeSpec):
            raise TypeError(
                "`output_signature` must contain objects that are subclass of `tf.TypeSpec` but "
                f"found {type(spec)} which is not."
            )
    return GeneratorDataset(generator, args, signature)


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
    """Elements that a Python generator yields."""

    _shown = "_FlatMapDataset"

    def __init__(self, generator: Callable[..., Any], args: Any, signature: Any) -> None:
        super().__init__(signature)
        self._generator = generator
        self._args = [structure.normalize(a) for a in (args or ())]

    def _parameters(self) -> Sequence[Any]:
        return [a for a in self._args if isinstance(a, Tensor)]

    def _make_cursor(self, run: Run) -> Cursor:
        return GeneratorCursor(self._generator, [run.value(a) for a in self._args], self._type)


class GeneratorCursor(Cursor):
    """Calls the generator when the first element is asked for."""

    def __init__(
        self, generator: Callable[..., Any], args: Sequence[Any], element: structure.ElementType
    ) -> None:
        super().__init__()
        self._generator, self._args, self._element = generator, args, element
        self._elements: Any = None
        self._expected = structure.legacy(element.spec, "dtype")

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
        if not self._element.plain or structure.is_nested(self._element.spec):
            try:
                structure.assert_same(self._element.spec, value, "generator")
            except (TypeError, ValueError) as error:
                raise errors.InvalidArgumentError(
                    "TypeError: `generator` yielded an element that did not match the expected "
                    f"structure. The expected structure was {self._expected}, but the yielded "
                    f"element was {value}."
                ) from error
        found = structure.flatten(value)
        return tuple([_leaf(s, x) for s, x in zip(self._element.specs, found)])

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

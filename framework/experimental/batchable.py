"""`tf.experimental.BatchableExtensionType`: extension types in batches of datasets and `map_fn`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shardtape import nest, shapes
from shardtape.context import building
from shardtape.data import leaves as rows
from shardtape.data.structure import batched_spec, unbatched_spec, unwrap_leaf, wrap_leaf
from shardtape.experimental.extension_fields import ImmutableDict
from shardtape.experimental.extension_type import ExtensionType, ExtensionTypeSpec
from shardtape.type_spec import TypeSpec


def _changed(function: Any, value: Any) -> Any:
    """A field of a spec with `function` of the specs and shapes in it."""
    if isinstance(value, (TypeSpec, shapes.TensorShape)):
        return function(value)
    if type(value) is tuple:
        return tuple(_changed(function, part) for part in value)
    if isinstance(value, Mapping):
        return ImmutableDict((k, _changed(function, v)) for k, v in value.items())
    return value


def _specs_in(spec: Any) -> list[TypeSpec]:
    """The specs of the tensors and composites in a field, in order."""
    found: list[TypeSpec] = []

    def note(part: Any) -> Any:
        if isinstance(part, TypeSpec):
            found.append(part)
        return part

    _changed(note, spec)
    return found


def _values_in(spec: Any, value: Any, out: list[Any]) -> None:
    """The tensors and composites in a field's value, in the order of `_specs_in`."""
    if isinstance(spec, TypeSpec):
        out.append(value)
    elif type(spec) is tuple:
        for part, inner in zip(spec, value):
            _values_in(part, inner, out)
    elif isinstance(spec, Mapping):
        for key in spec:
            _values_in(spec[key], value[key], out)


def _refilled(spec: Any, rest: Iterator[Any]) -> Any:
    """A field's value: its spec with the next tensors in the places of specs."""
    return _changed(lambda part: next(rest) if isinstance(part, TypeSpec) else part, spec)


def _with_fields(spec: Any, fields: Mapping[str, Any]) -> Any:
    made = object.__new__(type(spec))
    made._fields = dict(fields)
    return made


class ExtensionTypeBatchEncoder:
    """How values of an extension type go into a batch and come out of it.

    A value is encoded as a nest of tensors and composites, these are stacked, and the batch is
    decoded from the results. By default the nest has what the fields are made of, and the sizes
    in TensorShape fields begin with that of the batch; a subclass changes what has to differ.
    """

    def batch(self, spec: Any, batch_size: int | None) -> Any:
        """The spec of a batch of values of `spec`."""

        def grown(part: Any) -> Any:
            if isinstance(part, TypeSpec):
                return batched_spec(part, batch_size)
            return shapes.TensorShape([batch_size]).concatenate(part)

        return _with_fields(spec, {n: _changed(grown, f) for n, f in spec._fields.items()})

    def unbatch(self, spec: Any) -> Any:
        """The spec of one value of a batch."""

        def shrunk(part: Any) -> Any:
            return unbatched_spec(part) if isinstance(part, TypeSpec) else part[1:]

        return _with_fields(spec, {n: _changed(shrunk, f) for n, f in spec._fields.items()})

    def encode(self, spec: Any, value: Any, minimum_rank: int = 0) -> Any:
        """A nest of tensors and composites whose rank is `minimum_rank` or more.

        Args:
          minimum_rank: 1 for a batch of values, whose rows then are those of single values.
        """
        out: list[Any] = []
        for name, field in spec._fields.items():
            _values_in(field, getattr(value, name), out)
        return out

    def decode(self, spec: Any, encoded_value: Any) -> Any:
        """The value of `spec` that was encoded so."""
        rest = iter(nest.flatten(encoded_value))
        made = object.__new__(spec.value_type)
        made.__dict__.update((n, _refilled(f, rest)) for n, f in spec._fields.items())
        return made

    def encoding_specs(self, spec: Any) -> Any:
        """The nest of specs of what `encode` gives."""
        return [part for field in spec._fields.values() for part in _specs_in(field)]


class BatchableExtensionTypeSpec(ExtensionTypeSpec):
    """The spec of a type that has a batch encoder; datasets and `map_fn` use it."""

    __slots__ = ()

    @property
    def _encoder(self) -> Any:
        return self._type.__batch_encoder__

    def _batch(self, size: int | None) -> Any:
        return self._encoder.batch(self, size)

    def _unbatch(self) -> Any:
        return self._encoder.unbatch(self)

    def _encoded_specs(self) -> Any:
        return self._encoder.encoding_specs(self)

    def _encoded(self, value: Any, minimum_rank: int) -> Any:
        return self._encoder.encode(self, value, minimum_rank=minimum_rank)

    def _decoded(self, encoded: Any) -> Any:
        return self._encoder.decode(self, encoded)

    # ---- leaves of datasets: eager values of the type -------------------------------------
    def _columns(self, value: Any, minimum_rank: int) -> list[tuple[TypeSpec, Any]]:
        """(spec, leaf) of each part that a value is encoded as."""
        with building(None):
            parts = nest.flatten(self._encoded(value, minimum_rank))
        specs = nest.flatten(self._encoded_specs())
        return [(spec, unwrap_leaf(spec, part)) for spec, part in zip(specs, parts)]

    def _of(self, columns: Sequence[Any]) -> Any:
        """The value of this spec of the leaves of its parts."""
        structure = self._encoded_specs()
        specs = nest.flatten(structure)
        with building(None):
            parts = [wrap_leaf(spec, leaf) for spec, leaf in zip(specs, columns)]
            return self._decoded(nest.pack_sequence_as(structure, parts))

    def _stack(self, values: Sequence[Any]) -> Any:
        columns = zip(*[self._columns(v, 0) for v in values])
        whole = [
            rows.stack(parts[0][0], [leaf for _, leaf in parts], i)
            for i, parts in enumerate(columns)
        ]
        return self._batch(len(values))._of(whole)

    def _slices(self, value: Any) -> Iterator[Any]:
        one = self._unbatch()
        parts = [rows.unstack(spec, leaf) for spec, leaf in self._columns(value, 1)]
        for row in zip(*parts):
            yield one._of(row)

    def _row_count(self, value: Any) -> int:
        spec, leaf = self._columns(value, 1)[0]
        return rows.rows_of(spec, leaf)

    def _cut(self, value: Any, start: int, stop: int) -> Any:
        parts = [rows.cut(spec, leaf, start, stop) for spec, leaf in self._columns(value, 1)]
        return self._unbatch()._batch(None)._of(parts)

    def _join(self, values: Sequence[Any]) -> Any:
        columns = zip(*[self._columns(v, 1) for v in values])
        whole = [rows.join(parts[0][0], [leaf for _, leaf in parts]) for parts in columns]
        return self._unbatch()._batch(None)._of(whole)


class BatchableExtensionType(ExtensionType):
    """An extension type whose values can be put into batches, row by row.

    Datasets batch, slice and unbatch them, and `tf.map_fn` goes over their rows. A class may set
    `__batch_encoder__` to an `ExtensionTypeBatchEncoder` of its own.

    Example:
      >>> class Vertex(tf.experimental.BatchableExtensionType):
      ...     x: tf.Tensor
      >>> batch = tf.data.Dataset.from_tensor_slices(Vertex([1, 2, 3])).batch(2)
    """

    __batch_encoder__ = ExtensionTypeBatchEncoder()
    _spec_base = BatchableExtensionTypeSpec

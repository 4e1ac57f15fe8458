"""Tables from keys to values: immutable ones of files and tensors, and mutable ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.lookup.initializers import (
    KeyValueTensorInitializer,
    TableInitializer,
    TextFileInitializer,
)
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.farmhash import fingerprint64
from shardtape.ops.registry import READS, WRITES, op
from shardtape.ops.text import objects
from shardtape.ragged.tensor import RaggedTensor
from shardtape.shapes import UNKNOWN, TensorShape, as_shape
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import EagerTensor

_numbers = itertools.count(1)


def _found_shape(keys: Any, *args: Any, table: Any, **attrs: Any) -> Any:
    return table._result_shape(keys.shape)


@op("LookupTableFindV2", dtypes=dt.ANY, dtype=lambda dtypes, attrs: attrs["table"].value_dtype,
    mixed=True, effects=READS, direct=True, dynamic=True, widen=False, differentiable=False,
    shape=_found_shape)  # fmt: skip
def find(xp, keys, default, *, table):
    """The values of `keys` in a table, `default` for those that it has not."""
    return table._find(np.asarray(keys), np.asarray(default))


@op("LookupTableInsertV2", dtypes=dt.ANY, mixed=True, outputs=0, effects=WRITES, direct=True,
    widen=False, differentiable=False, dtype=lambda dtypes, attrs: (),
    shape=lambda *args, **attrs: [])  # fmt: skip
def insert_op(xp, keys, values, *, table):
    """Puts keys and values into a table."""
    table._insert(np.asarray(keys), np.asarray(values))
    return ()


@op("LookupTableRemoveV2", dtypes=dt.ANY, mixed=True, outputs=0, effects=WRITES, direct=True,
    widen=False, differentiable=False, dtype=lambda dtypes, attrs: (),
    shape=lambda *args, **attrs: [])  # fmt: skip
def remove_op(xp, keys, *, table):
    """Takes keys out of a table."""
    table._remove(np.asarray(keys))
    return ()


@op("LookupTableSizeV2", dtype=dt.int64, effects=READS, direct=True, dynamic=True,
    differentiable=False, shape=lambda *, table: TensorShape([]))  # fmt: skip
def size_op(xp, *, table):
    """The number of keys."""
    return np.int64(table._count())


def _export_shapes(*, table: Any) -> list[TensorShape]:
    return [TensorShape([None]), TensorShape([None]).concatenate(table._value_shape)]


@op("LookupTableExportV2", dtype=lambda dtypes, attrs: (attrs["table"].key_dtype,
    attrs["table"].value_dtype), outputs=2, effects=READS, direct=True, dynamic=True,
    differentiable=False, shape=_export_shapes)  # fmt: skip
def export_op(xp, *, table):
    """All keys and values."""
    return table._export()


class LookupInterface:
    """Base of tables: keys and values of one dtype each.

    Keys may be tensors, ragged or sparse tensors.
    """

    def __init__(self, key_dtype: Any, value_dtype: Any, name: str | None) -> None:
        self._key_dtype, self._value_dtype = dt.as_dtype(key_dtype), dt.as_dtype(value_dtype)
        self._name = name or f"table_{next(_numbers)}"
        self._value_shape = TensorShape([])
        self._found: dict[Any, Any] = {}

    @property
    def key_dtype(self) -> dt.DType:
        return self._key_dtype

    @property
    def value_dtype(self) -> dt.DType:
        return self._value_dtype

    @property
    def name(self) -> str:
        return self._name

    @property
    def resource_handle(self) -> LookupInterface:
        return self

    def size(self, name: str | None = None) -> Any:
        """The number of keys, an int64 scalar."""
        return size_op(table=self, name=name)

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of keys, in the form of the keys.

        Raises TypeError for keys of another dtype.
        """
        if isinstance(keys, RaggedTensor):
            return keys.with_flat_values(self.lookup(keys.flat_values))
        if isinstance(keys, SparseTensor):
            return keys.with_values(self.lookup(keys.values))
        return self._looked_up(self._keys(keys), name)

    def __getitem__(self, keys: Any) -> Any:
        return self.lookup(keys)

    def _keys(self, keys: Any) -> Any:
        typed = hasattr(keys, "dtype")
        tensor = convert_to_tensor(keys, None if typed else self._key_dtype)
        if tensor.dtype is not self._key_dtype:
            raise TypeError(
                f"Dtype of argument `keys` must be {self._key_dtype.name}, received: "
                f"{tensor.dtype.name}"
            )
        return tensor

    def _looked_up(self, keys: Any, name: str | None) -> Any:
        return find(keys, self._default_tensor(), table=self, name=name)

    def _default_tensor(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no default value")

    # ---- in saved models -------------------------------------------------------------------
    def _saved(self) -> dict[str, Any]:
        """What `_from_saved` needs besides keys and values, as configurations can hold it."""
        raise errors.UnimplementedError(
            f"{type(self).__name__} {self._name!r} is a table of a class of its own, which a saved "
            "model cannot hold: use one of tf.lookup's"
        )

    def _contents(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys and values as vectors; those of a table of vectors as rows."""
        return self._export()

    # ---- what the ops call ----------------------------------------------------------------
    def _result_shape(self, keys: TensorShape) -> TensorShape:
        return UNKNOWN if keys.rank is None else keys.concatenate(self._value_shape)

    def _find(self, keys: np.ndarray, default: np.ndarray) -> Any:
        missing = default if default.ndim else default[()]
        flat = [self._found.get(k, missing) for k in keys.reshape(-1).tolist()]
        return self._array(flat, keys.shape)

    def _array(self, flat: list[Any], shape: tuple[int, ...]) -> np.ndarray:
        inner = tuple(self._value_shape.as_list())
        if self._value_dtype is dt.string:
            return objects(flat, shape)
        made = np.array(flat, self._value_dtype.numpy_dtype)
        return made.reshape((*shape, *inner))

    def _count(self) -> int:
        return len(self._found)

    def _export(self) -> tuple[np.ndarray, np.ndarray]:
        keys = list(self._found)
        count = (len(keys),)
        made = objects(keys, count) if self._key_dtype is dt.string else (
            np.array(keys, self._key_dtype.numpy_dtype))  # fmt: skip
        return made, self._array(list(self._found.values()), count)


class StaticHashTable(LookupInterface):
    """A table that does not change after it was made.

    Args:
      initializer: gives keys and values.
      default_value: of keys that are not there.

    Raises:
      InvalidArgumentError: one key with two values.
    """

    def __init__(
        self, initializer: TableInitializer, default_value: Any, name: str | None = None,
        experimental_is_anonymous: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(initializer.key_dtype, initializer.value_dtype, name)
        self._initializer = initializer
        self.default_value = default_value
        self._default = convert_to_tensor(default_value, self._value_dtype)
        if self._default.shape.rank != 0:
            raise ValueError(f"default_value is a scalar, got shape {self._default.shape}")
        self._found = initializer.pairs()

    def _default_tensor(self) -> Any:
        return self._default

    def export(self, name: str | None = None) -> tuple[Any, Any]:
        """All keys and values."""
        return export_op(table=self, name=name)

    def _saved(self) -> dict[str, Any]:
        return {"default": self._default}

    @classmethod
    def _from_saved(
        cls, settings: dict[str, Any], keys: np.ndarray, values: np.ndarray
    ) -> StaticHashTable:
        return cls(KeyValueTensorInitializer(keys, values), settings["default"])


class StaticVocabularyTable(LookupInterface):
    """Strings or integers to ids: those of the vocabulary, then buckets of all others.

    Args:
      initializer: gives keys with the ids 0, 1, ...; None for buckets only.
      num_oov_buckets: other keys get the number of keys + hash % `num_oov_buckets`.
      lookup_key_dtype: of the keys where there is no initializer.

    Raises:
      TypeError, ValueError: values that are no int64, no buckets.
    """

    def __init__(
        self, initializer: TableInitializer | None, num_oov_buckets: int,
        lookup_key_dtype: Any = None, name: str | None = None,
        experimental_is_anonymous: bool = False,
    ) -> None:  # fmt: skip
        if num_oov_buckets <= 0:
            raise ValueError("`num_oov_buckets` must be > 0; use StaticHashTable.")
        if initializer is None:
            kind = dt.string if lookup_key_dtype is None else dt.as_dtype(lookup_key_dtype)
        else:
            kind = initializer.key_dtype
            if initializer.value_dtype is not dt.int64:
                raise TypeError(
                    f"Invalid `value_dtype`, expected {dt.int64} but got {initializer.value_dtype}."
                )
        super().__init__(kind, dt.int64, name)
        if kind not in (dt.string, dt.int64, dt.int32):
            raise TypeError(f"the keys are strings or integers, got {kind.name}")
        self._buckets = num_oov_buckets
        self._found = {} if initializer is None else initializer.pairs()

    def _default_tensor(self) -> Any:
        return convert_to_tensor(0, dt.int64)

    def size(self, name: str | None = None) -> Any:
        """The number of keys and buckets, an int64 scalar."""
        return convert_to_tensor(len(self._found) + self._buckets, dt.int64)

    def _find(self, keys: np.ndarray, default: np.ndarray) -> Any:
        count = len(self._found)
        flat = []
        for key in keys.reshape(-1).tolist():
            found = self._found.get(key)
            if found is None:
                text = key if isinstance(key, bytes) else str(key).encode()
                found = count + fingerprint64(text) % self._buckets
            flat.append(found)
        return self._array(flat, keys.shape)

    def _saved(self) -> dict[str, Any]:
        return {"buckets": self._buckets, "key_dtype": self._key_dtype}

    @classmethod
    def _from_saved(
        cls, settings: dict[str, Any], keys: np.ndarray, values: np.ndarray
    ) -> StaticVocabularyTable:
        given = KeyValueTensorInitializer(keys, values) if len(keys) else None
        return cls(given, settings["buckets"], settings["key_dtype"])


class MutableHashTable(LookupInterface):
    """A table that programs fill.

    Args:
      default_value: of keys that are not there; its shape is that of all values.
    """

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any, name: str = "MutableHashTable",
        checkpoint: bool = True, experimental_is_anonymous: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(key_dtype, value_dtype, name)
        self._default = convert_to_tensor(default_value, self._value_dtype)
        self._value_shape = as_shape(self._default.shape)

    def _default_tensor(self) -> Any:
        return self._default

    def lookup(  # type: ignore[override]
        self, keys: Any, dynamic_default_values: Any = None, name: str | None = None
    ) -> Any:
        """The values of keys; `dynamic_default_values` has one default per key."""
        if dynamic_default_values is None:
            return super().lookup(keys, name)
        default = convert_to_tensor(dynamic_default_values, self._value_dtype)
        return find(self._keys(keys), default, table=self, name=name)

    def _find(self, keys: np.ndarray, default: np.ndarray) -> Any:
        inner = tuple(self._value_shape.as_list())
        if default.ndim > len(inner):
            rows = default.reshape(-1, *inner)
            flat = [self._found.get(k, rows[i]) for i, k in enumerate(keys.reshape(-1).tolist())]
            return self._array(flat, keys.shape)
        return super()._find(keys, default)

    def insert(self, keys: Any, values: Any, name: str | None = None) -> Any:
        """Puts keys and values in; keys that are there get the new values."""
        typed = hasattr(values, "dtype")
        values = convert_to_tensor(values, None if typed else self._value_dtype)
        if values.dtype is not self._value_dtype:
            raise TypeError(f"values are {self._value_dtype.name}, got {values.dtype.name}")
        return insert_op(self._keys(keys), values, table=self, name=name) or None

    def remove(self, keys: Any, name: str | None = None) -> Any:
        """Takes keys out; those that are not there change nothing."""
        return remove_op(self._keys(keys), table=self, name=name) or None

    erase = remove

    def export(self, name: str | None = None) -> tuple[Any, Any]:
        """All keys and values."""
        return export_op(table=self, name=name)

    def _insert(self, keys: np.ndarray, values: np.ndarray) -> None:
        inner = tuple(self._value_shape.as_list())
        flat = keys.reshape(-1).tolist()
        if values.size != len(flat) * int(np.prod(inner, dtype=int)):
            raise errors.InvalidArgumentError(
                f"{len(flat)} keys and values of shape {values.shape} do not fit"
            )
        rows = values.reshape(len(flat), *inner)
        for key, value in zip(flat, rows):
            self._found[key] = value if inner or self._value_dtype is dt.string else value[()]

    def _remove(self, keys: np.ndarray) -> None:
        for key in keys.reshape(-1).tolist():
            self._found.pop(key, None)

    def _saved(self) -> dict[str, Any]:
        return {"key_dtype": self._key_dtype, "value_dtype": self._value_dtype,
                "default_value": self._default}  # fmt: skip

    @classmethod
    def _from_saved(
        cls, settings: dict[str, Any], keys: np.ndarray, values: np.ndarray
    ) -> MutableHashTable:
        made = cls(**settings)
        made._insert(keys, values)
        return made

    # ---- in checkpoints ---------------------------------------------------------------------
    def _serialize_to_tensors(self) -> dict[str, np.ndarray]:
        keys, values = self._contents()
        return {"table-keys": keys, "table-values": values}

    def _restore_from_tensors(self, arrays: dict[str, np.ndarray]) -> None:
        self._found.clear()
        self._insert(arrays["table-keys"], arrays["table-values"])


class DenseHashTable(MutableHashTable):
    """As MutableHashTable, with keys that may not be used.

    Args:
      empty_key, deleted_key: keys that are never put in.
    """

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any, empty_key: Any,
        deleted_key: Any, initial_num_buckets: int | None = None, name: str = "DenseHashTable",
        checkpoint: bool = True, experimental_is_anonymous: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(key_dtype, value_dtype, default_value, name)
        reserved = [convert_to_tensor(k, self._key_dtype) for k in (empty_key, deleted_key)]
        self._empty_key, self._deleted_key = reserved
        self._reserved = {
            np.asarray(k._host()).item() for k in reserved if isinstance(k, EagerTensor)
        }

    def insert_or_assign(self, keys: Any, values: Any, name: str | None = None) -> Any:
        """`insert`: values of keys that are there are replaced."""
        return self.insert(keys, values, name)

    def _insert(self, keys: np.ndarray, values: np.ndarray) -> None:
        for key in keys.reshape(-1).tolist():
            if key in self._reserved:
                raise errors.InvalidArgumentError(
                    f"Using the empty_key or deleted_key {key!r} as a table key is not allowed"
                )
        super()._insert(keys, values)

    def _saved(self) -> dict[str, Any]:
        return {**super()._saved(), "empty_key": self._empty_key, "deleted_key": self._deleted_key}


def index_table_from_tensor(
    vocabulary_list: Any, num_oov_buckets: int = 0, default_value: int = -1,
    hasher_spec: Any = None, dtype: Any = dt.string, name: str | None = None,
) -> LookupInterface:  # fmt: skip
    """TF1's table from strings to their places in a list."""
    keys = convert_to_tensor(vocabulary_list, dtype)
    count = np.arange(int(np.size(keys._host())), dtype=np.int64)  # type: ignore[attr-defined]
    made = KeyValueTensorInitializer(keys, count)
    if num_oov_buckets:
        return StaticVocabularyTable(made, num_oov_buckets)
    return StaticHashTable(made, default_value)


def index_table_from_file(
    vocabulary_file: str, num_oov_buckets: int = 0, vocab_size: int | None = None,
    default_value: int = -1, hasher_spec: Any = None, key_dtype: Any = dt.string,
    name: str | None = None,
) -> LookupInterface:  # fmt: skip
    """TF1's table from the lines of a file to their numbers."""
    from shardtape.lookup.initializers import TextFileIndex

    made = TextFileInitializer(
        vocabulary_file, key_dtype, TextFileIndex.WHOLE_LINE, dt.int64, TextFileIndex.LINE_NUMBER,
        vocab_size,
    )  # fmt: skip
    if num_oov_buckets:
        return StaticVocabularyTable(made, num_oov_buckets)
    return StaticHashTable(made, default_value)

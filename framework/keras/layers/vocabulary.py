"""The table behind `StringLookup` and `IntegerLookup`: members of a vocabulary and their places."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.lookup.tables import LookupInterface
from shardtape.ops.convert import convert_to_tensor


class VocabularyTable(LookupInterface):
    """Places of keys, or keys of places; it follows the vocabulary when that changes.

    Args:
      dtype: of the members, strings or integers.
      first_oov: place of the first unknown key; those of the members come after the unknown ones.
      num_oov: places for unknown keys: 0 makes them an error, 1 is `first_oov`, with more a hash
        decides, and the table gives -2.
      mask_token: key of padding or None; it gets `mask_place` (-1 is no category).
      oov_token: what unknown places become with `invert`.
      invert: from places to members.
    """

    def __init__(
        self, dtype: Any, first_oov: int, num_oov: int, mask_token: Any, mask_place: int,
        oov_token: Any, invert: bool, name: str | None = None,
    ) -> None:  # fmt: skip
        dtype = dt.as_dtype(dtype)
        keys, values = (dt.int64, dtype) if invert else (dtype, dt.int64)
        super().__init__(keys, values, name)
        self._member_dtype, self._invert = dtype, invert
        self._first_oov, self._num_oov = first_oov, num_oov
        self._mask_token, self._mask_place, self._oov_token = mask_token, mask_place, oov_token
        self.members: list[Any] = []

    @property
    def first_member(self) -> int:
        """The place of the first member."""
        return self._first_oov + self._num_oov

    def use(self, members: list[Any]) -> None:
        """Takes another vocabulary, as `key` gives its members.

        Raises InvalidArgumentError for none: a table without members cannot be read.
        """
        if not members:
            raise errors.InvalidArgumentError(
                "keys and values cannot be empty tensors: the vocabulary has no members besides "
                "the special ones"
            )
        self.members = members
        self._found = {m: self.first_member + i for i, m in enumerate(members)}

    def key(self, value: Any) -> Any:
        """A member as it is compared: bytes, or an int."""
        if self._member_dtype is not dt.string:
            return int(value)
        return value if isinstance(value, bytes) else str(value).encode()

    def _default_tensor(self) -> Any:
        # the places of unknown keys are the table's own matter
        return convert_to_tensor(b"" if self._value_dtype is dt.string else 0, self._value_dtype)

    def _find(self, keys: np.ndarray, default: np.ndarray) -> np.ndarray:
        if not self.members:
            raise errors.FailedPreconditionError(
                "Table not initialized: the layer has no vocabulary yet. Call `adapt` with data, "
                "or pass a `vocabulary`"
            )
        flat = keys.reshape(-1).tolist()
        found = self._members_at(flat) if self._invert else self._places_of(flat)
        return self._array(found, keys.shape)

    def _members_at(self, places: list[int]) -> list[Any]:
        unknown, first = self.key(self._oov_token), self.first_member
        count = len(self.members)
        found = [self.members[p - first] if 0 <= p - first < count else unknown for p in places]
        if self._mask_token is not None:
            mask = self.key(self._mask_token)
            found = [mask if p == 0 else v for p, v in zip(places, found)]
        return found

    def _places_of(self, keys: list[Any]) -> list[int]:
        default = self._first_oov if self._num_oov == 1 else -2
        places = [self._found.get(k, default) for k in keys]
        if self._mask_token is not None:
            mask = self.key(self._mask_token)
            places = [self._mask_place if k == mask else p for k, p in zip(keys, places)]
        if self._num_oov == 0 and -2 in places:
            unknown = [k for k, p in zip(keys, places) if p == -2]
            raise errors.InvalidArgumentError(
                "When `num_oov_indices=0` all inputs should be in vocabulary, found OOV values "
                f"{unknown[:5]}, consider setting `num_oov_indices=1`."
            )
        return places

    # ---- in saved models --------------------------------------------------------------------
    def _saved(self) -> dict[str, Any]:
        return {
            "dtype": self._member_dtype, "first_oov": self._first_oov, "num_oov": self._num_oov,
            "mask_token": self._mask_token, "mask_place": self._mask_place,
            "oov_token": self._oov_token, "invert": self._invert,
        }  # fmt: skip

    def _contents(self) -> tuple[np.ndarray, np.ndarray]:
        members = np.empty(len(self.members), object)
        members[:] = self.members
        if self._member_dtype is not dt.string:
            members = members.astype(self._member_dtype.numpy_dtype)
        return members, np.arange(len(members), dtype=np.int64) + self.first_member

    @classmethod
    def _from_saved(
        cls, settings: dict[str, Any], keys: np.ndarray, values: np.ndarray
    ) -> VocabularyTable:
        made = cls(**settings)
        if len(keys):  # else it was saved before it had any
            made.use(keys.tolist())
        return made

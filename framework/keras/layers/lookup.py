"""Layers that number the members of a vocabulary: StringLookup, IntegerLookup."""

from __future__ import annotations

import collections
import math
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras.floatx import floatx
from shardtape.keras.layers.categories import (
    MODES,
    check_sparse,
    encoded,
    encoded_shape,
    output_mode_of,
)
from shardtape.keras.layers.preprocessing import PreprocessingLayer
from shardtape.keras.layers.vocabulary import VocabularyTable
from shardtape.ops.array import expand_dims, identity, squeeze
from shardtape.ops.cast import cast
from shardtape.ops.compare import equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.selecting import where
from shardtape.shapes import TensorShape
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import Tensor


class IndexLookup(PreprocessingLayer):
    """Base: the place of each input in a vocabulary that was given or learned by `adapt`.

    Places are: 0 for the mask token (with output mode "int", if there is one), then those of
    unknown inputs, then those of the vocabulary.

    Args:
      max_tokens: greatest size of the vocabulary, special places included.
      num_oov_indices: places of unknown inputs: 0 makes them an error, with several a hash picks.
      mask_token: input that is padding.
      oov_token: what unknown places become with `invert`.
      vocabulary: its members, or the path of a file that has one a line.
      invert: from places to members.
      output_mode: "int"; or vectors: "one_hot", "multi_hot", "count", "tf_idf".
      sparse: vectors are SparseTensors.
      idf_weights: of the members, for "tf_idf" with a given vocabulary.
      pad_to_max_tokens: vectors have the size `max_tokens`.
    """

    def __init__(
        self, max_tokens: int | None, num_oov_indices: int, mask_token: Any, oov_token: Any,
        vocabulary_dtype: Any, vocabulary: Any = None, idf_weights: Any = None,
        invert: bool = False, output_mode: str = "int", sparse: bool = False,
        pad_to_max_tokens: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        mode = output_mode_of(output_mode, MODES, name)
        check_sparse(sparse, mode)
        self.sparse = sparse
        for wrong, text in (
            (max_tokens is not None and max_tokens <= 1,
             f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}"),
            (pad_to_max_tokens and max_tokens is None,
             "If pad_to_max_tokens is True, must set `max_tokens`."),
            (num_oov_indices < 0, "`num_oov_indices` must be greater than or equal to 0. "
             f"Received: num_oov_indices={num_oov_indices}"),
            (invert and mode != "int", "`output_mode` must be `'int'` when `invert` is true. "
             f"Received: output_mode={mode}"),
            (idf_weights is not None and mode != "tf_idf", "`idf_weights` should only be set if "
             f"`output_mode` is `'tf_idf'`. Received: output_mode={mode}"),
        ):  # fmt: skip
            if wrong:
                raise ValueError(text)
        # of a layer whose vocabulary is in a file that is read after the configuration
        self._awaited_size: int | None = kwargs.pop("vocabulary_size", None)
        for gone in ("has_static_table", "encoding"):
            kwargs.pop(gone, None)
        given = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        kwargs.setdefault("dtype", dt.int64 if mode == "int" else floatx())
        super().__init__(autocast=False, **kwargs)
        self.invert, self.max_tokens, self.num_oov_indices = invert, max_tokens, num_oov_indices
        self.mask_token, self.oov_token, self.output_mode = mask_token, oov_token, mode
        self.pad_to_max_tokens = pad_to_max_tokens
        self.vocabulary_dtype = dt.as_dtype(vocabulary_dtype).name
        self._has_input_vocabulary = given
        self._idf: np.ndarray | None = None
        self._counts: collections.Counter[Any] = collections.Counter()
        self._document_counts: collections.Counter[Any] = collections.Counter()
        self._documents = 0
        self._table = VocabularyTable(
            self.vocabulary_dtype, self._first_oov(), num_oov_indices, mask_token,
            0 if mode == "int" else -1, oov_token, invert,
        )  # fmt: skip
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # ---- the vocabulary ---------------------------------------------------------------------
    @property
    def _is_text(self) -> bool:
        return self.vocabulary_dtype == "string"

    @property
    def _tokens(self) -> list[Any]:
        return self._table.members

    def _key(self, value: Any) -> Any:
        """A member as it is compared: bytes, or an int."""
        return self._table.key(value)

    def _first_oov(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _first_token(self) -> int:
        return self._first_oov() + self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The members in the order of their places, those of special places first."""
        shown = _shown(self._tokens)
        if not include_special_tokens:
            return shown
        return [*[self.mask_token] * self._first_oov(), *[self.oov_token] * self.num_oov_indices,
                *shown]  # fmt: skip

    def vocabulary_size(self) -> int:
        """The number of places."""
        return self._first_token() + len(self._tokens)

    def vocab_size(self) -> int:
        """The older name of `vocabulary_size`."""
        return self.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the members, with or without the special ones at their start.

        Raises ValueError for repeated, misplaced or too many members, or weights that do not fit.
        """
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(
                "`idf_weights` must be set if output_mode is 'tf_idf', and only then. Received: "
                f"output_mode={self.output_mode} and idf_weights={idf_weights}"
            )
        if isinstance(vocabulary, str):
            vocabulary = _lines(vocabulary)
        members = [self._key(v) for v in np.asarray(vocabulary, object).reshape(-1).tolist()]
        if not members:
            raise ValueError(f"Cannot set an empty vocabulary, you passed {vocabulary}.")
        special = [*[self.mask_token] * self._first_oov(),
                   *[self.oov_token] * self.num_oov_indices]  # fmt: skip
        lead = [None if s is None else self._key(s) for s in special]
        has_special = bool(special) and members[: len(lead)] == lead
        tokens = members[len(lead) :] if has_special else members
        self._check_members(tokens)
        if self.max_tokens is not None and self._first_token() + len(tokens) > self.max_tokens:
            raise ValueError(
                "Attempted to set a vocabulary larger than the maximum vocab size. Passed vocab "
                f"size is {self._first_token() + len(tokens)}, max vocab size is "
                f"{self.max_tokens}."
            )
        self._table.use(tokens)
        if idf_weights is not None:
            weights = np.asarray(idf_weights, np.float64)
            if weights.shape != (len(members),):
                raise ValueError(
                    "`idf_weights` must be the same length as vocabulary. len(idf_weights) is "
                    f"{weights.size}, len(vocabulary) is {len(members)}"
                )
            front = 0 if has_special else self._first_token()
            self._idf = self._padded(np.concatenate([np.full(front, weights.mean()), weights]))

    def _check_members(self, tokens: list[Any]) -> None:
        repeated = [t for t, n in collections.Counter(tokens).items() if n > 1]
        if repeated:
            raise ValueError(
                "The passed vocabulary has at least one repeated term. Please uniquify your "
                f"dataset. The repeated terms are {_shown(repeated)}"
            )
        for kind, token in (("mask", self.mask_token), ("OOV", self.oov_token)):
            if token is None or (kind == "OOV" and not self.invert):
                continue
            if self._key(token) in tokens:
                raise ValueError(
                    f"Found reserved {kind} token {token!r} at unexpected location in "
                    "`vocabulary`. Either remove all mask and OOV tokens, or include them only at "
                    "the start of the vocabulary."
                )

    def _padded(self, weights: np.ndarray) -> np.ndarray:
        if self.pad_to_max_tokens and self.max_tokens is not None:
            weights = np.pad(weights, (0, self.max_tokens - weights.size))
        return weights.astype(self._dtype.numpy_dtype)

    # ---- adapt ------------------------------------------------------------------------------
    def _check_adaptable(self) -> None:
        if self._has_input_vocabulary:
            raise ValueError(
                f"Cannot adapt {type(self).__name__} layer after setting a static vocabulary via "
                "init argument or `set_vocabulary`."
            )

    def update_state(self, data: Any) -> None:
        self._check_adaptable()
        array = np.asarray(convert_to_tensor(data))
        self._count(array.reshape(1, -1) if array.ndim < 2 else array)

    def _count(self, examples: Any) -> None:
        for example in examples:
            keys = [self._key(v) for v in np.asarray(example).reshape(-1).tolist()]
            self._counts.update(keys)
            self._document_counts.update(set(keys))
            self._documents += 1

    def finalize_state(self) -> None:
        if self._has_input_vocabulary or not self._counts:
            return
        for token in (self.mask_token, self.oov_token):
            if token is not None:
                self._counts.pop(self._key(token), None)
        ranked = sorted(self._counts, key=lambda t: (self._counts[t], t), reverse=True)
        if self.max_tokens:
            ranked = ranked[: self.max_tokens - self._first_token()]
        self._table.use(ranked)
        if self.output_mode == "tf_idf":
            found = np.array([
                math.log(1 + self._documents / (1 + self._document_counts[t])) for t in ranked
            ])  # fmt: skip
            self._idf = self._padded(
                np.concatenate([np.full(self._first_token(), found.mean()), found])
            )
        self.reset_state()

    def reset_state(self) -> None:
        if not self._has_input_vocabulary:
            self._counts.clear()
            self._document_counts.clear()
            self._documents = 0

    # ---- calls ------------------------------------------------------------------------------
    def call(self, inputs: Any) -> Any:
        if self.output_mode == "int":
            return self._places(inputs)
        depth = self._depth()
        if depth is None:
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, you "
                "must set the layer's vocabulary before calling it. Either pass a `vocabulary` "
                "argument to the layer, or call `adapt` with some sample data."
            )
        places, weights = self._places(inputs), None
        if self.output_mode == "tf_idf":  # before `adapt` the table refuses the values themselves
            known = np.zeros(depth, self._dtype.numpy_dtype) if self._idf is None else self._idf
            weights = convert_to_tensor(known)
        return encoded(places, self.output_mode, depth, self._dtype, weights, sparse=self.sparse)

    def _depth(self) -> int | None:
        """The size of the vectors; None as long as the vocabulary is not known."""
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self._known_size()

    def _places(self, inputs: Any) -> Any:
        if hasattr(inputs, "flat_values"):  # ragged: each value on its own
            return inputs.with_flat_values(self._places(inputs.flat_values))
        if isinstance(inputs, SparseTensor):
            return SparseTensor(inputs.indices, self._places(inputs.values), inputs.dense_shape)
        key_dtype = dt.as_dtype(self.vocabulary_dtype)
        if self.invert:
            key_dtype = dt.int64
        inputs = convert_to_tensor(inputs)
        if inputs.dtype is not key_dtype:
            inputs = cast(inputs, key_dtype)
        scalar = inputs.shape.rank == 0
        places = self._looked_up(expand_dims(inputs, -1) if scalar else inputs)
        if self.invert or self.output_mode == "int":
            places = places if self.invert else cast(places, self._dtype)
            return squeeze(places, [-1]) if scalar else identity(places)
        return places

    def _looked_up(self, inputs: Tensor) -> Tensor:
        places = self._table.lookup(inputs)
        if self.invert or self.num_oov_indices < 2:
            return places
        if self._is_text:
            from shardtape import strings

            hashed = strings.to_hash_bucket_fast(inputs, self.num_oov_indices)
        else:
            hashed = inputs % self.num_oov_indices
        unknown = equal(places, convert_to_tensor(-2, dt.int64))
        return where(unknown, cast(hashed, dt.int64) + self._first_oov(), places)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return encoded_shape(input_shape, self.output_mode, self._depth())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "vocabulary_dtype": self.vocabulary_dtype,
            "idf_weights": self._saved_weights(),
            # a learned vocabulary, too, so that a saved model knows it
            "vocabulary": self.get_vocabulary(False) or None,
            "vocabulary_size": self._known_size(),
            **({"has_input_vocabulary": False} if self._has_learned() else {}),
        }

    def _has_learned(self) -> bool:
        return bool(self._tokens) and not self._has_input_vocabulary

    def _known_size(self) -> int | None:
        return self.vocabulary_size() if self._tokens else self._awaited_size

    def _saved_weights(self) -> Any:
        if self._idf is None:
            return None
        first = self._first_token()
        return self._idf[first : first + len(self._tokens)].tolist()


def _shown(members: list[Any]) -> list[Any]:
    """Members as users know them: text in place of bytes."""
    return [m.decode() if isinstance(m, bytes) else m for m in members]


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        raise ValueError(f"Vocabulary file {path} does not exist.") from None


class StringLookup(IndexLookup):
    """Places of strings in a vocabulary; see `IndexLookup`."""

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: Any = None,
        oov_token: Any = "[UNK]", vocabulary: Any = None, idf_weights: Any = None,
        encoding: str = "utf-8", invert: bool = False, output_mode: str = "int",
        sparse: bool = False, pad_to_max_tokens: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        kwargs.pop("vocabulary_dtype", None)
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, dt.string, vocabulary,
                         idf_weights, invert, output_mode, sparse, pad_to_max_tokens,
                         **kwargs)  # fmt: skip
        self.encoding = encoding

    def _note_shape(self, batch: Any) -> None:
        """None: the entrance of a model would have the type of the results, not of strings."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["vocabulary_dtype"]
        learned = {k: config.pop(k) for k in ("has_input_vocabulary",) if k in config}
        return {**config, "encoding": self.encoding, **learned}


class IntegerLookup(IndexLookup):
    """Places of integers in a vocabulary; see `IndexLookup`."""

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: Any = None,
        oov_token: Any = -1, vocabulary: Any = None, vocabulary_dtype: Any = "int64",
        idf_weights: Any = None, invert: bool = False, output_mode: str = "int",
        sparse: bool = False, pad_to_max_tokens: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        max_tokens = kwargs.pop("max_values", max_tokens)
        num_oov_indices = kwargs.pop("num_oov_values", num_oov_indices)
        mask_token = kwargs.pop("mask_value", mask_token)
        oov_token = kwargs.pop("oov_value", oov_token)
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, vocabulary_dtype,
                         vocabulary, idf_weights, invert, output_mode, sparse, pad_to_max_tokens,
                         **kwargs)  # fmt: skip

"""TextVectorization: texts as numbers of their words."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.keras.layers.categories import output_mode_of
from shardtape.keras.layers.lookup import StringLookup
from shardtape.keras.layers.preprocessing import PreprocessingLayer
from shardtape.keras.layers.words import text_standardize, text_words
from shardtape.keras.symbolic import KerasGraph
from shardtape.ops.array import expand_dims, pad, shape, squeeze
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged.tensor import RaggedTensor
from shardtape.shapes import TensorShape


class TextVectorization(PreprocessingLayer):
    """Texts (batch,) or (batch, 1) as the places of their words in a vocabulary (batch, words).

    Args:
      max_tokens: greatest size of the vocabulary.
      standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a
        function on tensors of strings.
      split: "whitespace", "character", None, or a function on tensors of strings.
      ngrams: n for all sequences of 1 to n words, or a tuple of lengths.
      output_mode: "int"; or vectors: "multi_hot", "count", "tf_idf".
      ragged: rows of the words alone, as a RaggedTensor, without padding.
      sparse: vectors are SparseTensors.
      output_sequence_length: number of words that each text gets, by cutting and padding with 0.
      vocabulary: given instead of learned; see `StringLookup`.
    """

    def __init__(
        self, max_tokens: int | None = None, standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace", ngrams: Any = None, output_mode: str | None = "int",
        output_sequence_length: int | None = None, pad_to_max_tokens: bool = False,
        vocabulary: Any = None, idf_weights: Any = None, sparse: bool = False,
        ragged: bool = False, encoding: str = "utf-8", **kwargs: Any,
    ) -> None:  # fmt: skip
        for name, value, allowed in (
            ("standardize", standardize,
             ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)),
            ("split", split, ("whitespace", "character", None)),
        ):  # fmt: skip
            if value not in allowed and not callable(value):
                raise ValueError(
                    f"Unknown value for `{name}` argument of layer TextVectorization. Allowed "
                    f"values are: {allowed} and functions. Received: {value}"
                )
        mode = output_mode_of(output_mode or "int", ("int", "count", "multi_hot", "tf_idf"),
                              "TextVectorization")  # fmt: skip
        if mode != "int" and output_sequence_length is not None:
            raise ValueError(
                "`output_sequence_length` must not be set if `output_mode` is not 'int'. Received "
                f"output_sequence_length={output_sequence_length}."
            )
        if ragged and (mode != "int" or output_sequence_length is not None):
            raise ValueError(
                "`ragged` may only be true if `output_mode` is `'int'` and without "
                f"`output_sequence_length`. Received: ragged={ragged}, output_mode={mode} and "
                f"output_sequence_length={output_sequence_length}"
            )
        given = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        size = kwargs.pop("vocabulary_size", None)
        kwargs["dtype"] = dt.string
        super().__init__(autocast=False, **kwargs)
        self._standardize, self._split, self._ngrams = standardize, split, ngrams
        self._output_mode, self._length, self._encoding = mode, output_sequence_length, encoding
        self._ragged = ragged
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens, vocabulary=vocabulary, idf_weights=idf_weights, mask_token="",
            pad_to_max_tokens=pad_to_max_tokens, output_mode=mode, sparse=sparse,
            has_input_vocabulary=given, vocabulary_size=size,
        )  # fmt: skip

    # ---- the vocabulary ---------------------------------------------------------------------
    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words in the order of their places, "" and "[UNK]" first."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """The number of places."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the words; see `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def update_state(self, data: Any) -> None:
        self._lookup_layer._check_adaptable()
        words = np.asarray(self._preprocessed(convert_to_tensor(data)))
        rows = words if words.ndim > 1 else words[:, None]
        self._lookup_layer._count([[w for w in row if w != b""] for row in rows])

    def finalize_state(self) -> None:
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        self._lookup_layer.reset_state()

    # ---- calls ------------------------------------------------------------------------------
    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, RaggedTensor) and self._split is None and not self._ngrams:
            words = inputs.with_flat_values(self._preprocessed(inputs.flat_values))
        else:
            words = self._preprocessed(convert_to_tensor(inputs))
        rows = self._ragged and self._split is not None and words.shape.rank == 2
        if rows and not isinstance(state.graph, KerasGraph):  # symbolic calls see a dense tensor
            words = RaggedTensor.from_tensor(words, padding="")
        places = self._lookup_layer(words)
        if self._output_mode != "int" or self._length is None:
            return places
        places = places[..., : self._length]
        missing = self._length - shape(places)[-1]
        places = pad(places, [[0, 0]] * (places.shape.rank - 1) + [[0, missing]])
        if hasattr(places, "set_shape"):
            places.set_shape([*places.shape.as_list()[:-1], self._length])
        return places

    def _preprocessed(self, texts: Any) -> Any:
        """Words (batch, longest), padded with empty strings."""
        if callable(self._standardize):
            texts = self._standardize(texts)
        if self._split is not None and texts.shape.rank is not None and texts.shape.rank > 1:
            if texts.shape[-1] != 1:
                raise ValueError(
                    "When using `TextVectorization` to tokenize strings, the input rank must be 1 "
                    f"or the last shape dimension must be 1. Received: inputs.shape={texts.shape} "
                    f"with rank={texts.shape.rank}"
                )
            texts = squeeze(texts, [-1])
        if callable(self._split):
            texts = self._split(self._words_as_they_are(texts))
            return texts.to_tensor(default_value="") if hasattr(texts, "to_tensor") else texts
        if self._split is None and not self._ngrams:
            return self._words_as_they_are(texts)
        lengths = self._ngrams or ()
        if isinstance(lengths, int):
            lengths = range(1, lengths + 1)
        scalar = texts.shape.rank == 0
        words = text_words(
            cast(expand_dims(texts, 0) if scalar else texts, dt.string),
            standardize=self._standard, split=self._split, ngrams=tuple(lengths),
        )  # fmt: skip
        return words[0] if scalar else words

    @property
    def _standard(self) -> str | None:
        """What the op does to texts; a function of the user's own was called before it."""
        return None if callable(self._standardize) else self._standardize

    def _words_as_they_are(self, texts: Any) -> Any:
        """Standardised texts of the same shape."""
        return text_standardize(cast(texts, dt.string), standardize=self._standard)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        batch = TensorShape(input_shape)[0]
        if self._output_mode == "int":
            return TensorShape([batch, self._length])
        return self._lookup_layer.compute_output_shape(TensorShape([batch, None]))

    def get_config(self) -> dict[str, Any]:
        inner = self._lookup_layer.get_config()
        return {
            **super().get_config(),
            "max_tokens": inner["max_tokens"],
            "standardize": self._standardize,
            "split": self._split,
            "ngrams": self._ngrams,
            "output_mode": self._output_mode,
            "output_sequence_length": self._length,
            **{name: inner[name] for name in ("pad_to_max_tokens", "sparse")},
            "ragged": self._ragged,
            **{name: inner[name] for name in ("vocabulary", "idf_weights")},
            "encoding": self._encoding,
            "vocabulary_size": inner["vocabulary_size"] or self._lookup_layer.vocabulary_size(),
            **{k: inner[k] for k in ("has_input_vocabulary",) if k in inner},
        }

"""MultiHeadAttention."""

from __future__ import annotations

import math as python_math
import string
from typing import Any

from shardtape import dtypes as dt
from shardtape.keras import constraints, initializers, regularizers
from shardtape.keras.layers.activation import Softmax
from shardtape.keras.layers.attention import causal_mask
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.einsum_dense import EinsumDense
from shardtape.keras.layers.regularization import Dropout
from shardtape.keras.masks import combined, mask_of
from shardtape.ops.array import expand_dims, shape
from shardtape.ops.cast import cast
from shardtape.ops.contraction import einsum
from shardtape.shapes import TensorShape

_PARTS = ("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
          "activity_regularizer", "kernel_constraint", "bias_constraint")  # fmt: skip


class MultiHeadAttention(Layer):
    """Attention of several heads, each on projections of its own, and a projection of all.

    Called on query (batch, q, features), value (batch, v, features), and a key if it is not the
    value; gives (batch, q, features of the query).

    Args:
      num_heads: number of heads.
      key_dim: size of queries and keys of a head.
      value_dim: size of its values; default key_dim.
      dropout: share of the weights that is dropped in training.
      output_shape: size of the outputs, if it is not that of the query.
      attention_axes: axes of the query over which it attends; default all between the batch and
        the features.
    """

    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _value_dense: EinsumDense

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0,
        use_bias: bool = True, output_shape: Any = None, attention_axes: Any = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.supports_masking = True
        self._num_heads, self._key_dim = num_heads, key_dim
        self._value_dim = value_dim or key_dim
        self._dropout, self._use_bias, self._output_shape = dropout, use_bias, output_shape
        self._kernel_initializer = initializers.get(kernel_initializer)
        self._bias_initializer = initializers.get(bias_initializer)
        self._kernel_regularizer = regularizers.get(kernel_regularizer)
        self._bias_regularizer = regularizers.get(bias_regularizer)
        self._kernel_constraint = constraints.get(kernel_constraint)
        self._bias_constraint = constraints.get(bias_constraint)
        self._attention_axes = (
            (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        )
        self._built_from_signature = False
        self._query_shape: Any = None
        self._key_shape: Any = None
        self._value_shape: Any = None

    # ---- building ---------------------------------------------------------------------------
    def _build_from_signature(self, query: Any, value: Any, key: Any = None) -> None:
        """Makes the layers inside for tensors, or their shapes."""
        self._built_from_signature = True
        self._query_shape, self._value_shape = _shape_of(query), _shape_of(value)
        self._key_shape = self._value_shape if key is None else _shape_of(key)
        for name, full, size in (
            ("query", self._query_shape, self._key_dim),
            ("key", self._key_shape, self._key_dim),
            ("value", self._value_shape, self._value_dim),
        ):
            made = self._projection(full.rank - 1, 1, [self._num_heads, size], name)
            setattr(self, f"_{name}_dense", made)
        rank = self._value_shape.rank + 1
        axes = self._attention_axes
        self._attention_axes = tuple(range(1, rank - 2) if axes is None else axes)
        self._equations = _attention_equations(rank, self._attention_axes)
        count = len(self._attention_axes)
        scores = self._equations[2]
        self._softmax = Softmax(axis=tuple(range(scores - count, scores)), dtype=self._policy)
        self._dropout_layer = Dropout(self._dropout, dtype=self._policy)
        given = self._output_shape
        outputs = (
            [self._query_shape[-1]] if not given else [given] if isinstance(given, int) else given
        )
        self._output_dense = self._projection(
            self._query_shape.rank - 1, 2, list(outputs), "attention_output"
        )

    def _projection(self, free: int, bound: int, sizes: list[Any], name: str) -> EinsumDense:
        letters = iter(string.ascii_lowercase)
        outer = [next(letters) for _ in range(free)]
        inner = [next(letters) for _ in range(bound)]
        new = [next(letters) for _ in sizes]
        text = "".join
        return EinsumDense(
            f"{text(outer + inner)},{text(inner + new)}->{text(outer + new)}",
            [*[None] * (free - 1), *sizes],
            bias_axes=text(new) if self._use_bias else None,
            name=name,
            dtype=self._policy,
            kernel_initializer=_fresh(self._kernel_initializer),
            bias_initializer=_fresh(self._bias_initializer),
            kernel_regularizer=self._kernel_regularizer,
            bias_regularizer=self._bias_regularizer,
            activity_regularizer=self._activity_regularizer,
            kernel_constraint=self._kernel_constraint,
            bias_constraint=self._bias_constraint,
        )

    # ---- calls ------------------------------------------------------------------------------
    def call(
        self, query: Any, value: Any, key: Any = None, attention_mask: Any = None,
        return_attention_scores: bool = False, training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        if not self._built_from_signature:
            self._build_from_signature(query, value, key)
        key = value if key is None else key
        mask = self._mask(query, value, key, attention_mask, use_causal_mask)
        query, key, value = (
            self._query_dense(query), self._key_dense(key), self._value_dense(value)
        )  # fmt: skip
        query = query * (1.0 / python_math.sqrt(float(self._key_dim)))
        scores = einsum(self._equations[0], key, query)
        if mask is not None:
            axis = -len(self._attention_axes) * 2 - 1
            while mask.shape.rank < scores.shape.rank:
                mask = expand_dims(mask, axis)
        scores = self._softmax(scores, mask=mask)
        dropped = self._dropout_layer(scores, training=training)
        outputs = self._output_dense(einsum(self._equations[1], dropped, value))
        return (outputs, scores) if return_attention_scores else outputs

    def _mask(self, query: Any, value: Any, key: Any, given: Any, causal: bool) -> Any:
        """What may be seen: [batch, q, v], from the masks of all three and what was given."""
        mask = None
        if mask_of(query) is not None:
            mask = cast(mask_of(query), dt.bool)[:, :, None]
        for t in (value, key):
            if mask_of(t) is not None:
                mask = combined(mask, cast(mask_of(t), dt.bool)[:, None, :])
        if causal:
            mask = combined(mask, causal_mask(shape(query)[1], shape(value)[1]))
        return combined(None if given is None else cast(given, dt.bool), mask)

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any = None, key_shape: Any = None
    ) -> TensorShape:
        full = TensorShape(query_shape)
        if not self._output_shape:
            return full
        sizes = self._output_shape
        return full[:-1].concatenate([sizes] if isinstance(sizes, int) else sizes)

    def get_config(self) -> dict[str, Any]:
        shapes = {
            f"{name}_shape": None if full is None else TensorShape(full)
            for name, full in (
                ("query", self._query_shape), ("key", self._key_shape),
                ("value", self._value_shape),
            )
        }  # fmt: skip
        kinds = {"initializer": initializers, "regularizer": regularizers,
                 "constraint": constraints}  # fmt: skip
        parts = {
            name: kinds[name.rsplit("_", 1)[1]].serialize(getattr(self, f"_{name}"))
            for name in _PARTS
        }
        return {
            **super().get_config(),
            "num_heads": self._num_heads,
            "key_dim": self._key_dim,
            "value_dim": self._value_dim,
            "dropout": self._dropout,
            "use_bias": self._use_bias,
            "output_shape": self._output_shape,
            "attention_axes": self._attention_axes,
            **parts,
            **shapes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        shapes = [config.pop(f"{name}_shape", None) for name in ("query", "value", "key")]
        layer = cls(**config)
        if None not in shapes:
            layer._build_from_signature(*shapes)
        return layer


def _shape_of(x: Any) -> TensorShape:
    return TensorShape(x.shape if hasattr(x, "shape") else x)


def _fresh(initializer: Any) -> Any:
    """A copy, so that two weights do not share an initializer's numbers."""
    if not hasattr(initializer, "get_config"):
        return initializer
    return type(initializer).from_config(initializer.get_config())


def _attention_equations(rank: int, axes: tuple[int, ...]) -> tuple[str, str, int]:
    """Einsum of key and query to scores, of scores and value to outputs, the rank of scores."""
    letters = string.ascii_lowercase
    target = letters[:rank]
    batch = tuple(i for i in range(rank) if i not in (*axes, rank - 1))
    fresh = iter(letters[rank:])
    source = [target[i] if i in batch or i == rank - 1 else next(fresh) for i in range(rank)]
    scores = "".join(
        [target[i] for i in batch] + [target[i] for i in axes] + [source[i] for i in axes]
    )
    return (
        f"{''.join(source)},{target}->{scores}",
        f"{scores},{''.join(source)}->{target}",
        len(scores),
    )

"""Attention: means of values, weighted by how well their keys fit a query."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras.layers.base import Layer
from shardtape.keras.masks import combined
from shardtape.keras.random_seed import RandomGenerator
from shardtape.ops.array import expand_dims, ones, shape
from shardtape.ops.cast import cast
from shardtape.ops.compare import logical_not
from shardtape.ops.linalg import matmul
from shardtape.ops.math import tanh
from shardtape.ops.matrix_parts import band_part
from shardtape.ops.reduce import reduce_sum
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _Attention(Layer):
    """Base: called on [query (batch, q, d), value (batch, v, d)], or [query, value, key].

    Args:
      dropout: share of the weights that is dropped in training.

    Masks of the values hide positions; those of the query zero outputs.
    """

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        self.causal = kwargs.pop("causal", False)
        super().__init__(**kwargs)
        self.dropout = dropout
        self._random_generator = RandomGenerator(seed)
        self.supports_masking = True

    def _scores(self, query: Any, key: Any) -> Tensor:
        """(batch, q, v)."""
        raise NotImplementedError

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None,
        return_attention_scores: bool = False, use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        self._check(inputs, mask)
        query, value = inputs[0], inputs[1]
        scores = self._scores(query, inputs[2] if len(inputs) > 2 else value)
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        visible = None if value_mask is None else expand_dims(cast(value_mask, dt.bool), -2)
        if self.causal or use_causal_mask:
            visible = combined(visible, causal_mask(shape(scores)[-2], shape(scores)[-1]))
        if visible is not None:
            far = 65504.0 if scores.dtype is dt.float16 else 1.0e9
            scores = scores - far * cast(logical_not(visible), scores.dtype)
        weights = nn.softmax(scores)
        if training and self.dropout > 0:
            weights = nn.dropout(
                weights, self.dropout, seed=self._random_generator.make_legacy_seed()
            )
        result = matmul(weights, value)
        if query_mask is not None:
            result = result * cast(expand_dims(query_mask, -1), result.dtype)
        return (result, weights) if return_attention_scores else result

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        query, value = TensorShape(input_shape[0]), TensorShape(input_shape[1])
        return query[:-1].concatenate([value[-1]])

    def _check(self, inputs: Any, mask: Any) -> None:
        name = type(self).__name__
        if not isinstance(inputs, list) or not 2 <= len(inputs) <= 3:
            raise ValueError(
                f"{name} layer must be called on a list of inputs, namely [query, value] or "
                f"[query, value, key]. Received: {inputs}."
            )
        if mask and (not isinstance(mask, list) or not 2 <= len(mask) <= len(inputs)):
            raise ValueError(
                f"{name} layer mask must be a list, namely [query_mask, value_mask]. Received: "
                f"{mask}."
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout}


def causal_mask(queries: Any, values: Any) -> Tensor:
    """[1, queries, values], True where a value is not later than the query."""
    return band_part(ones([1, queries, values], dt.bool), -1, 0)


class Attention(_Attention):
    """Dot products of query and key, through a softmax.

    Args:
      use_scale: whether a trained factor scales the scores.
      score_mode: "dot", or "concat": the sum of tanh(query + key).
    """

    def __init__(self, use_scale: bool = False, score_mode: str = "dot", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                f'Received: score_mode={score_mode}. Acceptable values are: ["dot", "concat"]'
            )
        self.use_scale, self.score_mode = use_scale, score_mode

    def build(self, input_shape: Any) -> None:
        self.scale = self.concat_score_weight = None
        if self.use_scale:
            self.scale = self.add_weight("scale", (), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                "concat_score_weight", (), initializer="ones"
            )
        self.built = True

    def _scores(self, query: Any, key: Any) -> Tensor:
        if self.score_mode == "dot":
            scores = matmul(query, key, transpose_b=True)
            return scores if self.scale is None else scores * self.scale
        joined = expand_dims(query, -2) + expand_dims(key, -3)
        if self.scale is not None:
            joined = self.scale * joined
        return self.concat_score_weight * reduce_sum(tanh(joined), -1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
        }


class AdditiveAttention(_Attention):
    """The sum of scale * tanh(query + key), through a softmax; `scale` is trained."""

    def __init__(self, use_scale: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_scale = use_scale

    def build(self, input_shape: Any) -> None:
        self.scale = None
        if self.use_scale:
            size = TensorShape(input_shape[1])[-1]
            self.scale = self.add_weight("scale", [size], initializer="glorot_uniform")
        self.built = True

    def _scores(self, query: Any, key: Any) -> Tensor:
        joined = tanh(expand_dims(query, -2) + expand_dims(key, -3))
        return reduce_sum(joined if self.scale is None else self.scale * joined, -1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale}

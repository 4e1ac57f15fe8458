"""Embedding: rows of a table by number."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras import constraints, initializers, regularizers
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.core import weight_config
from shardtape.ops.array import expand_dims, reshape, shape, tile
from shardtape.ops.cast import cast
from shardtape.ops.compare import not_equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import range as count_to
from shardtape.ops.grids import repeat
from shardtape.ops.joining import concat
from shardtape.shapes import TensorShape
from shardtape.sparse_tensor import SparseTensor, from_dense, to_dense
from shardtape.tensor import Tensor


class Embedding(Layer):
    """Row `i` of a trained table for each integer `i`: shape to shape + (output_dim,).

    The table's gradient is IndexedSlices: only rows that a batch uses travel and change.

    Args:
      input_dim: number of rows.
      output_dim: their size.
      mask_zero: whether 0 is padding, which layers that follow skip.
      input_length: number of integers per example, where it is fixed.
      sparse: whether the rows come as a SparseTensor. A SparseTensor of integers gives such a one
        with rows for its entries alone; else integers that it lacks are 0.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: Any = None,
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        if input_dim <= 0 or output_dim <= 0:
            raise ValueError(
                "Both `input_dim` and `output_dim` should be positive, Received input_dim = "
                f"{input_dim} and output_dim = {output_dim}"
            )
        # the one layer that knows the shape of its inputs by itself
        if "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            kwargs["input_shape"] = (input_length,) if isinstance(input_length, int) else (None,)
        super().__init__(activity_regularizer=activity_regularizer, autocast=False, **kwargs)
        self.input_dim, self.output_dim = input_dim, output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = mask_zero
        self.input_length = input_length
        self.sparse = sparse

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            "embeddings", (self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer, regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint, experimental_autocast=False,
        )  # fmt: skip
        self.built = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self.mask_zero:
            return None
        if isinstance(inputs, SparseTensor):
            raise ValueError(
                "`mask_zero` cannot be enabled when `tf.keras.layers.Embedding` is used with "
                "`tf.SparseTensor` input."
            )
        return not_equal(inputs, convert_to_tensor(0, inputs.dtype))

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in (dt.int32, dt.int64):
            inputs = cast(inputs, dt.int32)
        if isinstance(inputs, SparseTensor):
            if not self.sparse:
                return self._rows(to_dense(inputs))
            return self._spread(inputs, self._rows(inputs.values))
        rows = self._rows(inputs)
        return from_dense(rows) if self.sparse else rows

    def _rows(self, numbers: Any) -> Tensor:
        return cast(nn.embedding_lookup(self.embeddings, numbers), self._dtype)

    def _spread(self, inputs: SparseTensor, rows: Tensor) -> SparseTensor:
        """Each entry of `inputs` as the row (of the same place in `rows`) that it stands for."""
        width = self.output_dim
        count = shape(inputs.values)[0]
        places = repeat(inputs.indices, width, axis=0)
        within = cast(tile(count_to(width), [count]), dt.int64)
        sizes = concat([inputs.dense_shape, convert_to_tensor([width], dt.int64)], 0)
        indices = concat([places, expand_dims(within, 1)], 1)
        return SparseTensor(indices, reshape(rows, [-1]), sizes)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        if self.input_length is not None:
            given = self.input_length
            lengths = list(given) if isinstance(given, (list, tuple)) else [given]
            if len(lengths) != len(dims) - 1:
                raise ValueError(
                    f'"input_length" is {given}, but received input has shape {input_shape}'
                )
            dims = [dims[0], *[n if n is not None else d for n, d in zip(lengths, dims[1:])]]
        return TensorShape([*dims, self.output_dim])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "batch_input_shape": self._batch_input_shape,
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            **weight_config(self, "embeddings", activity=True),
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
        }

"""Layers that make categories of values: CategoryEncoding, Discretization, Hashing."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.keras.floatx import floatx
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.preprocessing import PreprocessingLayer
from shardtape.keras.layers.sparse_encoding import (
    dense_numbers,
    encoded_sparsely,
    gives_sparse,
    plain_numbers,
)
from shardtape.ops.array import expand_dims, identity, one_hot, reshape, searchsorted, shape
from shardtape.ops.cast import cast
from shardtape.ops.compare import equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_max, reduce_sum
from shardtape.ops.selecting import where
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, Tensor

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


def output_mode_of(given: str, allowed: tuple[str, ...], layer: str) -> str:
    """The mode by its present name. Raises ValueError for one that the layer does not have."""
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(given, given)
    if mode not in allowed:
        raise ValueError(
            f"Unknown value for `output_mode` argument of layer {layer}. Allowed values are: "
            f"{allowed}. Received: {given}"
        )
    return mode


def check_sparse(sparse: bool, mode: str) -> None:
    """Raises ValueError for sparse outputs of plain numbers."""
    if sparse and mode == "int":
        raise ValueError(
            "`sparse` may only be true if `output_mode` is `'one_hot'`, `'multi_hot'`, `'count'` "
            f"or `'tf_idf'`. Received: sparse={sparse} and output_mode={mode}"
        )


def encoded(
    numbers: Any, mode: str, depth: int, dtype: Any, weights: Any = None, counts: Any = None,
    sparse: bool = False,
) -> Any:  # fmt: skip
    """Category numbers as they are ("int"), or as vectors of `depth`; -1 is no category.

    Args:
      weights: of the categories, for "tf_idf".
      counts: of each number, for "count".
      sparse: as a SparseTensor, outside symbolic calls.

    Raises ValueError for a rank above 2.
    """
    if mode == "int":
        return identity(cast(numbers, dtype))
    numbers = dense_numbers(numbers)
    given = numbers.shape
    if given.rank == 0 or (mode == "one_hot" and given[-1] != 1):
        numbers = expand_dims(numbers, -1)
    if numbers.shape.rank is not None and numbers.shape.rank > 2:
        raise ValueError(
            "When output_mode is not `'int'`, maximum supported output rank is 2. Received "
            f"output_mode {mode} and input shape {given}, which would result in output rank "
            f"{numbers.shape.rank}."
        )
    if gives_sparse(sparse):
        return encoded_sparsely(numbers, mode, depth, dtype, weights, counts)
    ones = one_hot(numbers, depth, dtype=dtype)
    if mode in ("one_hot", "multi_hot"):
        return reduce_max(ones, -2)
    if counts is not None:
        ones = ones * expand_dims(cast(counts, dtype), -1)
    total = reduce_sum(ones, -2)
    return total if mode == "count" else total * weights


def encoded_shape(shape: Any, mode: str, depth: int | None) -> TensorShape:
    """The shape that `encoded` gives."""
    dims = TensorShape(shape).as_list()
    if mode == "int":
        return TensorShape(dims)
    if not dims or (mode == "one_hot" and dims[-1] != 1):
        return TensorShape([*dims, depth])
    return TensorShape([*dims[:-1], depth])


class CategoryEncoding(Layer):
    """Integers below `num_tokens` as vectors: "one_hot", "multi_hot" or "count" of each example."""

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        num_tokens = kwargs.pop("max_tokens", num_tokens)
        super().__init__(**kwargs)
        self.sparse = sparse
        self.output_mode = output_mode_of(output_mode, MODES[1:4], "CategoryEncoding")
        if num_tokens is None or num_tokens < 1:
            raise ValueError(
                f"`num_tokens` must be set, and >= 1. Received: num_tokens={num_tokens}."
            )
        self.num_tokens = num_tokens

    def call(self, inputs: Any, count_weights: Any = None) -> Tensor:
        numbers = convert_to_tensor(plain_numbers(inputs))
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. Received "
                f"`count_weights={count_weights}`."
            )
        if isinstance(numbers, EagerTensor):
            values = np.asarray(numbers)
            if values.size and not 0 <= values.min() <= values.max() < self.num_tokens:
                raise errors.InvalidArgumentError(
                    "Input values must be in the range 0 <= values < num_tokens with "
                    f"num_tokens={self.num_tokens}"
                )
        inputs = dense_numbers(inputs)
        if not inputs.dtype.is_integer:
            inputs = cast(inputs, dt.int64)
        return encoded(
            inputs, self.output_mode, self.num_tokens, self._dtype, None, count_weights, self.sparse
        )

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }


class Discretization(PreprocessingLayer):
    """The number of the range that each value lies in.

    Args:
      bin_boundaries: where ranges end; the value itself lies in the next one.
      num_bins: number of ranges, for `adapt`, which makes them equally full.
      epsilon: how exactly `adapt` works: less is better and slower.
    """

    def __init__(
        self, bin_boundaries: Any = None, num_bins: int | None = None, epsilon: float = 0.01,
        output_mode: str = "int", sparse: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        mode = output_mode_of(output_mode, MODES[:4], "Discretization")
        kwargs["dtype"] = _dtype_of(kwargs.get("dtype"), mode)
        super().__init__(autocast=False, **kwargs)
        check_sparse(sparse, mode)
        self.sparse = sparse
        if num_bins is not None and (num_bins < 0 or bin_boundaries is not None):
            raise ValueError(
                "Give `bin_boundaries`, or `num_bins` >= 0, and not both. Received: "
                f"num_bins={num_bins}, bin_boundaries={bin_boundaries}"
            )
        given = None if bin_boundaries is None else np.asarray(bin_boundaries).tolist()
        self.input_bin_boundaries, self.bin_boundaries = given, given or []
        self.num_bins, self.epsilon, self.output_mode = num_bins, epsilon, mode
        self._summary = np.zeros((2, 0), np.float32)

    def update_state(self, data: Any) -> None:
        if self.input_bin_boundaries is not None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with "
                f"`bin_boundaries`, use `num_bins` instead. You passed `bin_boundaries="
                f"{self.input_bin_boundaries}`."
            )
        values = np.sort(np.asarray(data, np.float32).reshape(-1))
        increment = int(values.size / (1.0 / self.epsilon))
        step = max(increment, 1)
        picked = values[increment::step]
        new = np.stack([picked, np.full_like(picked, step)])
        merged = np.concatenate([new, self._summary], 1)
        self._summary = _compressed(merged[:, np.argsort(merged[0], kind="stable")], self.epsilon)

    def finalize_state(self) -> None:
        if self.input_bin_boundaries is None and self._summary.size:
            bins = self.num_bins or 1
            self.bin_boundaries = _compressed(self._summary, 1.0 / bins)[0, :-1].tolist()

    def reset_state(self) -> None:
        self._summary = np.zeros((2, 0), np.float32)

    def save_own_variables(self, store: Any) -> None:
        """What `adapt` has learned, as Keras's files have it."""
        if self.input_bin_boundaries is None:
            store["0"] = self._summary

    def load_own_variables(self, store: Any) -> None:
        """Takes over what `save_own_variables` gave."""
        if "0" in store:
            self._summary = np.asarray(store["0"], np.float32)
            self.finalize_state()

    def call(self, inputs: Any) -> Tensor:
        inputs = cast(convert_to_tensor(inputs), dt.float32)
        borders = convert_to_tensor(np.asarray(self.bin_boundaries, np.float32))
        places = searchsorted(borders, reshape(inputs, [-1]), side="right")
        places = reshape(places, shape(inputs))
        return encoded(
            places, self.output_mode, len(self.bin_boundaries) + 1, self._dtype, sparse=self.sparse
        )

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return encoded_shape(input_shape, self.output_mode, len(self.bin_boundaries) + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bin_boundaries": self.input_bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """(values, weights) of about 1 / epsilon ranges, from those of more ranges."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    known = weights / weights[-1]
    values = np.interp(shares, known, summary[0])
    weights = np.interp(shares, known, weights)
    return np.stack([values, weights - np.concatenate([[0], weights[:-1]])]).astype(np.float32)


def _dtype_of(given: Any, mode: str) -> Any:
    """An integer type for "int", else the default floating one."""
    if given is None:
        return dt.int64 if mode == "int" else floatx()
    given = dt.as_dtype(given)
    return dt.int64 if mode == "int" and not given.is_integer else given


class Hashing(Layer):
    """Strings or integers as numbers below `num_bins`, by a hash.

    Args:
      mask_value: a value that becomes 0, which no other then does.
      salt: one or two integers, which make the hash another one.
    """

    def __init__(
        self, num_bins: int, mask_value: Any = None, salt: Any = None, output_mode: str = "int",
        sparse: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if num_bins is None or num_bins <= 0:
            raise ValueError(
                "The `num_bins` for `Hashing` cannot be `None` or non-positive values. Received: "
                f"num_bins={num_bins}."
            )
        mode = output_mode_of(output_mode, MODES[:4], "Hashing")
        kwargs["dtype"] = _dtype_of(kwargs.get("dtype"), mode)
        super().__init__(autocast=False, **kwargs)
        check_sparse(sparse, mode)
        self.sparse = sparse
        self.num_bins, self.mask_value, self.output_mode = num_bins, mask_value, mode
        self.salt = [salt, salt] if isinstance(salt, int) else salt

    def call(self, inputs: Any) -> Tensor:
        from shardtape import strings

        inputs = convert_to_tensor(inputs)
        bins, mask = self.num_bins, None
        if self.mask_value is not None and bins > 1:
            bins -= 1
            mask = equal(inputs, convert_to_tensor(self.mask_value, inputs.dtype))
        if inputs.dtype.is_integer:
            inputs = strings.as_string(inputs)
        if self.salt is not None:
            numbers = strings.to_hash_bucket_strong(inputs, bins, key=self.salt)
        else:
            numbers = strings.to_hash_bucket_fast(inputs, bins)
        if mask is not None:
            zero = convert_to_tensor(0, numbers.dtype)
            numbers = where(mask, zero, numbers + 1)
        return encoded(numbers, self.output_mode, self.num_bins, self._dtype, sparse=self.sparse)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }

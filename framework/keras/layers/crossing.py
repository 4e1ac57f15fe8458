"""`HashedCrossing`: combinations of features as numbers, by a hash."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.categories import check_sparse, encoded, encoded_shape
from shardtape.ops.array import reshape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.farmhash import fingerprint64
from shardtape.ops.fingerprints import HASH_START, joined_fingerprint
from shardtape.ops.registry import READS, op
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_MASK = (1 << 64) - 1


def crossed(columns: list[np.ndarray], bins: int) -> np.ndarray:
    """For each row a number below `bins` that follows from the features of all columns."""
    out = []
    for row in zip(*columns):
        value = HASH_START
        for feature in row:
            if isinstance(feature, (bytes, str)):
                text = feature.encode() if isinstance(feature, str) else feature
                value = joined_fingerprint(value, fingerprint64(text))
            else:
                value = joined_fingerprint(value, int(feature) & _MASK)
        out.append(value % bins)
    return np.asarray(out, np.int64)


# Not pure, so that a plan does not fold it: strings are small.
@op("CrossedFeatures", dtypes=dt.ANY, dtype=dt.int64, mixed=True, effects=READS, dynamic=True,
    widen=False, differentiable=False, shape=lambda *columns, bins: columns[0].shape)  # fmt: skip
def crossed_features(xp, *columns, bins):
    """`crossed` of vectors of strings or integers."""
    return xp.asarray(crossed([np.asarray(backend.to_host(c)) for c in columns], bins))


class HashedCrossing(Layer):
    """Two or more features, of one value for each example, as one number below `num_bins`.

    Args:
      output_mode: "int" or "one_hot".
      sparse: vectors are SparseTensors.
    """

    def __init__(
        self, num_bins: int, output_mode: str = "int", sparse: bool = False, **kwargs: Any
    ) -> None:
        if output_mode not in ("int", "one_hot"):
            raise ValueError(
                "Invalid value for argument `output_mode`. Expected one of ('int', 'one_hot'). "
                f"Received: output_mode={output_mode}"
            )
        check_sparse(sparse, output_mode)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else "float32"
        super().__init__(autocast=False, **kwargs)
        self.num_bins, self.output_mode, self.sparse = num_bins, output_mode, sparse

    def call(self, inputs: Any) -> Tensor:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(
                "`HashedCrossing` should be called on at least two inputs. Received: "
                f"inputs={inputs}"
            )
        features = [convert_to_tensor(x) for x in inputs]
        for x in features:
            if x.shape.rank not in (0, 1, 2) or (x.shape.rank == 2 and x.shape[-1] != 1):
                raise ValueError(
                    "All `HashedCrossing` inputs should have shape `[]`, `[batch_size]` or "
                    f"`[batch_size, 1]`. Received: inputs={features}"
                )
            if not (x.dtype is dt.string or x.dtype.is_integer):
                raise ValueError(
                    "All `HashedCrossing` inputs should be integers or strings. Received: "
                    f"inputs={features}"
                )
        bins, rank = self.num_bins, features[0].shape.rank
        flat = [reshape(x, [-1]) for x in features]
        numbers = crossed_features(*flat, bins=bins)
        numbers = reshape(numbers, [] if rank == 0 else [-1, 1] if rank == 2 else [-1])
        return encoded(
            cast(numbers, dt.int64), self.output_mode, bins, self._dtype, sparse=self.sparse
        )

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "num_bins": self.num_bins, "output_mode": self.output_mode,
            "sparse": self.sparse,
        }  # fmt: skip

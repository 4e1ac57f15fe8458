"""`SpectralNormalization`: a layer whose kernel is kept at a largest singular value of one."""

from __future__ import annotations

from typing import Any

from shardtape.keras.autocast import read_as_kept
from shardtape.keras.initializers import TruncatedNormal
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.wrappers import Wrapper
from shardtape.ops.array import ones_like, reshape
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.normalization import l2_normalize
from shardtape.ops.reduce import reduce_any
from shardtape.ops.selecting import where
from shardtape.ops.shaping import stop_gradient
from shardtape.shapes import TensorShape


class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by an estimate of its largest singular value, in training.

    The estimate comes from a vector that is multiplied with the kernel and its transpose at each
    call with `training=True`; the kernel itself is changed then.

    Args:
      layer: has a weight `kernel` or `embeddings`.
      power_iterations: multiplications per call.

    Raises ValueError for fewer than one, or for a layer without such a weight.
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                "`power_iterations` should be greater than zero. Received: "
                f"`power_iterations={power_iterations}`"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        for name in ("kernel", "embeddings"):
            if hasattr(self.layer, name):
                self.kernel = getattr(self.layer, name)
                break
        else:
            raise ValueError(
                f"{type(self.layer).__name__} object has no attribute 'kernel' nor 'embeddings'"
            )
        self.vector_u = self.add_weight(
            "vector_u", (1, self.kernel.shape[-1]), initializer=TruncatedNormal(stddev=0.02),
            trainable=False, dtype=self.kernel.dtype,
        )  # fmt: skip
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        if training:
            with read_as_kept():
                self.normalize_weights()
        return self.layer(inputs)

    def normalize_weights(self) -> None:
        """One step of the estimate, and the kernel divided by it; a kernel of zeros stays."""
        kernel = stop_gradient(convert_to_tensor(self.kernel))
        matrix = reshape(kernel, [-1, self.kernel.shape[-1]])
        before = stop_gradient(convert_to_tensor(self.vector_u))
        u = before
        for _ in range(self.power_iterations):
            v = l2_normalize(matmul(u, matrix, transpose_b=True))
            u = l2_normalize(matmul(v, matrix))
        largest = matmul(matmul(v, matrix), u, transpose_b=True)
        something = reduce_any(matrix != 0.0)
        largest = where(something, largest, ones_like(largest))
        self.vector_u.assign(where(something, u, before))
        self.kernel.assign(reshape(matrix / largest, self.kernel.shape.as_list()))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return TensorShape(self.layer.compute_output_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}

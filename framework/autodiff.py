"""`tf.autodiff`."""

from shardtape.forward_accumulator import ForwardAccumulator
from shardtape.tape import GradientTape

__all__ = ["ForwardAccumulator", "GradientTape"]

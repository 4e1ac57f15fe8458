"""`tf.nn`."""

from shardtape.ops.activations import (
    crelu,
    elu,
    gelu,
    leaky_relu,
    relu,
    relu6,
    selu,
    silu,
    softplus,
    softsign,
    swish,
)
from shardtape.ops.math import sigmoid, tanh

"""`tf.random`."""

from shardtape.ops.random import (
    categorical,
    set_seed,
    truncated_normal,
)
from shardtape.ops.random import random_normal as normal
from shardtape.ops.random import random_shuffle as shuffle
from shardtape.ops.random import random_uniform as uniform
from shardtape.ops.random_stateless import (
    Algorithm,
    fold_in,
    split,
    stateless_categorical,
    stateless_normal,
    stateless_truncated_normal,
    stateless_uniform,
)
from shardtape.random import experimental
from shardtape.random_generator import (
    Generator,
    create_rng_state,
    get_global_generator,
    set_global_generator,
)

__all__ = [
    "Algorithm",
    "Generator",
    "categorical",
    "create_rng_state",
    "experimental",
    "fold_in",
    "get_global_generator",
    "normal",
    "set_global_generator",
    "set_seed",
    "shuffle",
    "split",
    "stateless_categorical",
    "stateless_normal",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]

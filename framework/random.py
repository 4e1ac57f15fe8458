"""`tf.random`."""

from shardtape.ops.random import (
    categorical,
    random_normal,
    random_shuffle,
    random_uniform,
    set_seed,
    truncated_normal,
)
from shardtape.ops.random_stateless import Algorithm as Algorithm
from shardtape.ops.random_stateless import (
    fold_in,
    split,
    stateless_categorical,
    stateless_normal,
    stateless_shuffle,
    stateless_truncated_normal,
    stateless_uniform,
)
from shardtape.random_generator import Generator, get_global_generator, set_global_generator

normal = random_normal
uniform = random_uniform
shuffle = random_shuffle
experimental_stateless_split = split

__all__ = [
    "Algorithm",
    "Generator",
    "categorical",
    "experimental_stateless_split",
    "fold_in",
    "get_global_generator",
    "normal",
    "set_global_generator",
    "set_seed",
    "shuffle",
    "split",
    "stateless_categorical",
    "stateless_normal",
    "stateless_shuffle",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]

"""`tf.random.experimental`."""

from shardtape.ops.index_shuffle import index_shuffle
from shardtape.ops.random_stateless import Algorithm, stateless_shuffle
from shardtape.ops.random_stateless import fold_in as stateless_fold_in
from shardtape.ops.random_stateless import split as stateless_split
from shardtape.random_generator import (
    Generator,
    create_rng_state,
    get_global_generator,
    set_global_generator,
)

__all__ = [
    "Algorithm",
    "Generator",
    "create_rng_state",
    "get_global_generator",
    "index_shuffle",
    "set_global_generator",
    "stateless_fold_in",
    "stateless_shuffle",
    "stateless_split",
]

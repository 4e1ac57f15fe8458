"""`tf.random`."""

from shardtape.ops.candidates import (
    all_candidate_sampler,
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)
from shardtape.ops.random import (
    categorical,
    set_seed,
    truncated_normal,
)
from shardtape.ops.random import random_normal as normal
from shardtape.ops.random import random_shuffle as shuffle
from shardtape.ops.random import random_uniform as uniform
from shardtape.ops.random_binomial import stateless_binomial
from shardtape.ops.random_bounded import stateless_parameterized_truncated_normal
from shardtape.ops.random_gamma import random_gamma as gamma
from shardtape.ops.random_gamma import random_poisson as poisson
from shardtape.ops.random_gamma import stateless_gamma, stateless_poisson
from shardtape.ops.random_stateless import (
    Algorithm,
    fold_in,
    split,
    stateless_categorical,
    stateless_normal,
    stateless_truncated_normal,
    stateless_uniform,
)
from shardtape.ops.unigram_candidates import fixed_unigram_candidate_sampler
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
    "all_candidate_sampler",
    "log_uniform_candidate_sampler",
    "uniform_candidate_sampler",
    "categorical",
    "create_rng_state",
    "experimental",
    "fixed_unigram_candidate_sampler",
    "fold_in",
    "gamma",
    "get_global_generator",
    "normal",
    "poisson",
    "set_global_generator",
    "set_seed",
    "shuffle",
    "split",
    "stateless_binomial",
    "stateless_categorical",
    "stateless_gamma",
    "stateless_normal",
    "stateless_parameterized_truncated_normal",
    "stateless_poisson",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]

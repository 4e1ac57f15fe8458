"""`tf.nn`."""

from typing import Any as _Any

from shardtape import neural_experimental as experimental
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
from shardtape.ops.approximate_top import approx_max_k, approx_min_k
from shardtape.ops.array import (
    depth_to_space,
    space_to_batch,
    space_to_depth,
    top_k,
)
from shardtape.ops.bias import (
    bias_add,
)
from shardtape.ops.candidates import (
    all_candidate_sampler,
    compute_accidental_hits,
    nce_loss,
    sampled_softmax_loss,
)
from shardtape.ops.convolutions import (
    atrous_conv2d,
    conv1d,
    conv1d_transpose,
    conv2d,
    conv2d_transpose,
    conv3d,
    conv3d_transpose,
    conv_transpose,
    convolution,
    depthwise_conv2d,
    separable_conv2d,
)
from shardtape.ops.cross_entropy import (
    log_poisson_loss,
    log_softmax,
    sigmoid_cross_entropy_with_logits,
    softmax,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from shardtape.ops.ctc import ctc_greedy_decoder, ctc_loss, ctc_unique_labels
from shardtape.ops.ctc_beams import ctc_beam_search_decoder
from shardtape.ops.dropout import (
    dropout,
)
from shardtape.ops.embedding import (
    embedding_lookup,
    embedding_lookup_sparse,
)
from shardtape.ops.fractional_pool import fractional_avg_pool, fractional_max_pool
from shardtape.ops.in_top_k import (
    in_top_k,
)
from shardtape.ops.isotonic import isotonic_regression
from shardtape.ops.local_response import local_response_normalization
from shardtape.ops.math import (
    sigmoid,
    tanh,
)
from shardtape.ops.morphology import dilation2d, erosion2d
from shardtape.ops.normalization import (
    batch_norm_with_global_normalization,
    batch_normalization,
    l2_normalize,
    moments,
    normalize_moments,
    sufficient_statistics,
    weighted_moments,
)
from shardtape.ops.pool_argmax import max_pool_with_argmax
from shardtape.ops.poolings import (
    avg_pool,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    pool,
)
from shardtape.ops.rarer_convolutions import (
    atrous_conv2d_transpose,
    depthwise_conv2d_backprop_filter,
    depthwise_conv2d_backprop_input,
    with_space_to_batch,
)
from shardtape.ops.reduce import (
    l2_loss,
    zero_fraction,
)
from shardtape.ops.spelling import collapse_repeated
from shardtape.ops.unigram_candidates import fixed_unigram_candidate_sampler
from shardtape.replica_losses import (
    compute_average_loss,
    scale_regularization_loss,
)
from shardtape.sparse.segments import safe_embedding_lookup_sparse

lrn = local_response_normalization
_OF_LAYERS = ("RNNCellDeviceWrapper", "RNNCellDropoutWrapper", "RNNCellResidualWrapper")


def __getattr__(name: str) -> _Any:
    if name in _OF_LAYERS:  # layers, which need this module
        from shardtape.keras.layers import cell_wrappers

        return getattr(cell_wrappers, name)
    from shardtape.absent import missing_text

    raise AttributeError(missing_text("tf.nn", name, [n for n in globals() if n[0] != "_"]))


def __dir__() -> list[str]:
    return sorted([*(n for n in globals() if n[0] != "_"), *_OF_LAYERS])

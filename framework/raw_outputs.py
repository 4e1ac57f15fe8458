"""The names of the outputs of raw ops that have several, as TensorFlow defines them."""

from __future__ import annotations

import functools
from collections import namedtuple
from typing import Any

_NAMES: dict[str, tuple[str, ...]] = {
    "CTCGreedyDecoder": ("decoded_indices", "decoded_values", "decoded_shape", "log_probability"),
    "CombinedNonMaxSuppression": (
        "nmsed_boxes",
        "nmsed_scores",
        "nmsed_classes",
        "valid_detections",
    ),
    "DecodeWav": ("audio", "sample_rate"),
    "DenseCountSparseOutput": ("output_indices", "output_values", "output_dense_shape"),
    "Eig": ("e", "v"),
    "FakeQuantWithMinMaxVarsGradient": (
        "backprops_wrt_input",
        "backprop_wrt_min",
        "backprop_wrt_max",
    ),
    "FakeQuantWithMinMaxVarsPerChannelGradient": (
        "backprops_wrt_input",
        "backprop_wrt_min",
        "backprop_wrt_max",
    ),
    "FixedUnigramCandidateSampler": (
        "sampled_candidates",
        "true_expected_count",
        "sampled_expected_count",
    ),
    "IsotonicRegression": ("output", "segments"),
    "ListDiff": ("out", "idx"),
    "LogMatrixDeterminant": ("sign", "log_abs_determinant"),
    "LogUniformCandidateSampler": (
        "sampled_candidates",
        "true_expected_count",
        "sampled_expected_count",
    ),
    "Lu": ("lu", "p"),
    "MaxPoolWithArgmax": ("output", "argmax"),
    "NonMaxSuppressionV5": ("selected_indices", "selected_scores", "valid_outputs"),
    "Qr": ("q", "r"),
    "QuantizeAndDequantizeV4Grad": ("input_backprop", "input_min_backprop", "input_max_backprop"),
    "QuantizeV2": ("output", "output_min", "output_max"),
    "RaggedCountSparseOutput": ("output_indices", "output_values", "output_dense_shape"),
    "RaggedRange": ("rt_nested_splits", "rt_dense_values"),
    "SampleDistortedBoundingBoxV2": ("begin", "size", "bboxes"),
    "SelfAdjointEigV2": ("e", "v"),
    "SoftmaxCrossEntropyWithLogits": ("loss", "backprop"),
    "SparseCountSparseOutput": ("output_indices", "output_values", "output_dense_shape"),
    "SparseSoftmaxCrossEntropyWithLogits": ("loss", "backprop"),
    "StatelessRandomGetKeyCounter": ("key", "counter"),
    "StatelessSampleDistortedBoundingBox": ("begin", "size", "bboxes"),
    "StringNGrams": ("ngrams", "ngrams_splits"),
    "StringSplit": ("indices", "values", "shape"),
    "StringSplitV2": ("indices", "values", "shape"),
    "Svd": ("s", "u", "v"),
    "TopKV2": ("values", "indices"),
    "UnicodeDecode": ("row_splits", "char_values"),
    "UnicodeDecodeWithOffsets": ("row_splits", "char_values", "char_to_byte_starts"),
    "UniformCandidateSampler": (
        "sampled_candidates",
        "true_expected_count",
        "sampled_expected_count",
    ),
    "Unique": ("y", "idx"),
    "UniqueWithCounts": ("y", "idx", "count"),
}
# of one output that is a list
_LISTS = frozenset(
    ("DecodeCSV", "DynamicPartition", "EagerPyFunc", "PyFunc", "Split", "SplitV", "Unpack")
)


@functools.lru_cache(maxsize=512)
def record(type_name: str, outputs: tuple[str, ...]) -> Any:
    """The named tuple of an op's outputs, called as the op is."""
    return namedtuple(type_name, outputs)


def arranged(type_name: str, result: Any) -> Any:
    """What an op returned, as TensorFlow's raw function gives it.

    Several outputs come as a named tuple, an output that is a list as a list.
    """
    outputs = _NAMES.get(type_name)
    if outputs is not None:
        return record(type_name, outputs)(*result)
    if type_name in _LISTS:
        return list(result) if isinstance(result, (list, tuple)) else [result]
    return result

"""`tf.keras.layers`."""

from __future__ import annotations

from typing import Any

from shardtape.keras.layers.activation import (
    ELU,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
    ThresholdedReLU,
)
from shardtape.keras.layers.attention import AdditiveAttention, Attention
from shardtape.keras.layers.augmentation import (
    CenterCrop,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Resizing,
)
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.borders import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from shardtape.keras.layers.categories import CategoryEncoding, Discretization, Hashing
from shardtape.keras.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from shardtape.keras.layers.convolution import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Convolution1D,
    Convolution2D,
    Convolution2DTranspose,
    Convolution3D,
    Convolution3DTranspose,
    DepthwiseConv2D,
)
from shardtape.keras.layers.core import (
    Activation,
    Dense,
    Flatten,
    Identity,
    Input,
    InputLayer,
    Permute,
    RepeatVector,
    Reshape,
)
from shardtape.keras.layers.crossing import HashedCrossing
from shardtape.keras.layers.einsum_dense import EinsumDense
from shardtape.keras.layers.embedding import Embedding
from shardtape.keras.layers.gate_layers import GRU, LSTM, SimpleRNN
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.layers.lambda_layer import Lambda
from shardtape.keras.layers.locally_connected import LocallyConnected1D, LocallyConnected2D
from shardtape.keras.layers.lookup import IntegerLookup, StringLookup
from shardtape.keras.layers.masking import Masking
from shardtape.keras.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from shardtape.keras.layers.multi_head_attention import MultiHeadAttention
from shardtape.keras.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    SyncBatchNormalization,
    UnitNormalization,
)
from shardtape.keras.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from shardtape.keras.layers.preprocessing import Normalization, PreprocessingLayer, Rescaling
from shardtape.keras.layers.random_size import RandomHeight, RandomWidth
from shardtape.keras.layers.recurrent import RNN
from shardtape.keras.layers.recurrent_cells import (
    AbstractRNNCell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
)
from shardtape.keras.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from shardtape.keras.layers.separable import (
    Conv1DTranspose,
    Convolution1DTranspose,
    DepthwiseConv1D,
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from shardtape.keras.layers.spectral import SpectralNormalization
from shardtape.keras.layers.stacked_cells import StackedRNNCells
from shardtape.keras.layers.text import TextVectorization
from shardtape.keras.layers.wrappers import Bidirectional, TimeDistributed, Wrapper
from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.keras.saving.serialization import keras_form, plain_form, without_modules

from shardtape.keras.layers import experimental  # isort: skip


def serialize(layer: Layer, use_legacy_format: bool = False) -> dict[str, Any]:
    """A layer as Keras writes it, with its module.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`.
    """
    form: dict[str, Any] = (plain_form if use_legacy_format else keras_form)(layer)
    return form


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None,
    use_legacy_format: bool = False,
) -> Any:  # fmt: skip
    """The layer of `serialize`'s dictionary. Raises ValueError naming an unknown class."""
    if not config:
        raise ValueError(f"Cannot deserialize empty config. Received: config={config}")
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(
            f"A layer is made of the dictionary that `serialize` gives, got {config!r}"
        )
    with custom_object_scope(custom_objects):
        config = without_modules(config)
    name = config["class_name"]
    found: Any = known(name, custom_objects) or globals().get(name)
    if not callable(getattr(found, "from_config", None)):
        raise ValueError(
            f"Unknown layer: '{name}'. Pass its class in `custom_objects` if it is your own."
        )
    return found.from_config(config["config"])


__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "AbstractRNNCell",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "PreprocessingLayer",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomHeight",
    "RandomRotation",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "SyncBatchNormalization",
    "TextVectorization",
    "ThresholdedReLU",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
    "experimental",
]

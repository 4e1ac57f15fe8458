"""`tf.keras.layers.experimental`: names of earlier versions."""

from shardtape.keras.layers.einsum_dense import EinsumDense
from shardtape.keras.layers.experimental import preprocessing
from shardtape.keras.layers.normalization import SyncBatchNormalization
from shardtape.keras.layers.random_features import RandomFourierFeatures

__all__ = ["EinsumDense", "RandomFourierFeatures", "SyncBatchNormalization", "preprocessing"]

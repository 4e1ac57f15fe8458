"""`tf.data`: pipelines of input data."""

from shardtape.absent import no_such_name as _no_such_name
from shardtape.data import experimental
from shardtape.data.dataset import INFINITE as INFINITE_CARDINALITY
from shardtape.data.dataset import UNKNOWN as UNKNOWN_CARDINALITY
from shardtape.data.dataset import Dataset
from shardtape.data.iterator import NumpyIterator
from shardtape.data.iterator import OwnedIterator as Iterator
from shardtape.data.options import Options, ThreadingOptions
from shardtape.data.parallel import AUTOTUNE
from shardtape.data.readers import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset
from shardtape.data.specs import DatasetSpec, IteratorSpec

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "Dataset",
    "DatasetSpec",
    "FixedLengthRecordDataset",
    "Iterator",
    "IteratorSpec",
    "NumpyIterator",
    "Options",
    "TFRecordDataset",
    "TextLineDataset",
    "ThreadingOptions",
    "experimental",
]

__getattr__ = _no_such_name("tf.data", __all__)

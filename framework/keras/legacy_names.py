"""`tf.keras.utils.experimental` and `tf.keras.utils.legacy`."""

from types import SimpleNamespace

from shardtape.keras.data_sequence import DatasetCreator
from shardtape.keras.saving.serialization import deserialize_keras_object, plain_form

experimental = SimpleNamespace(DatasetCreator=DatasetCreator)
legacy = SimpleNamespace(
    deserialize_keras_object=deserialize_keras_object,
    serialize_keras_object=plain_form,
)

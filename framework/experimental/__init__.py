"""`tf.experimental`."""

from shardtape.absent import dtensor
from shardtape.data.optional import Optional
from shardtape.experimental import dlpack, extension_type, numpy
from shardtape.experimental.batchable import BatchableExtensionType, ExtensionTypeBatchEncoder
from shardtape.experimental.dispatching import (
    dispatch_for_api,
    dispatch_for_binary_elementwise_apis,
    dispatch_for_binary_elementwise_assert_apis,
    dispatch_for_unary_elementwise_apis,
    unregister_dispatch_for,
)
from shardtape.experimental.execution import (
    async_clear_error,
    async_scope,
    function_executor_type,
)
from shardtape.experimental.extension_type import ExtensionType, ExtensionTypeSpec
from shardtape.ragged.dynamic_shape import DynamicRaggedShape
from shardtape.ragged.row_partition import RowPartition

__all__ = [
    "BatchableExtensionType",
    "DynamicRaggedShape",
    "ExtensionType",
    "ExtensionTypeBatchEncoder",
    "ExtensionTypeSpec",
    "Optional",
    "RowPartition",
    "async_clear_error",
    "async_scope",
    "dispatch_for_api",
    "dispatch_for_binary_elementwise_apis",
    "dispatch_for_binary_elementwise_assert_apis",
    "dispatch_for_unary_elementwise_apis",
    "dlpack",
    "dtensor",
    "extension_type",
    "function_executor_type",
    "numpy",
    "unregister_dispatch_for",
]

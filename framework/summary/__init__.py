"""`tf.summary`: event files for TensorBoard."""

from shardtape.summary import experimental
from shardtape.summary.hyperparameters import hparams, hparams_config
from shardtape.summary.summaries import audio, graph, histogram, image, scalar, text, write
from shardtape.summary.tracing import trace_export, trace_off, trace_on
from shardtape.summary.v1 import FileWriter
from shardtape.summary.writer import (
    SummaryWriter,
    create_file_writer,
    create_noop_writer,
    flush,
    record_if,
    should_record_summaries,
)

__all__ = [
    "FileWriter",
    "SummaryWriter",
    "audio",
    "create_file_writer",
    "create_noop_writer",
    "experimental",
    "flush",
    "graph",
    "histogram",
    "hparams",
    "hparams_config",
    "image",
    "record_if",
    "scalar",
    "should_record_summaries",
    "text",
    "trace_export",
    "trace_off",
    "trace_on",
    "write",
]

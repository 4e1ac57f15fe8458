"""`tf.summary.experimental`."""

from shardtape.summary.summaries import write_raw_pb
from shardtape.summary.writer import get_step, set_step

__all__ = ["get_step", "set_step", "write_raw_pb"]

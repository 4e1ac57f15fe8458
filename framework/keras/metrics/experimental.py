"""`tf.keras.metrics.experimental`."""

from shardtape.keras.metrics.py_metric import PyMetric

__all__ = ["PyMetric"]

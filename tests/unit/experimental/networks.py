"""An extension type that goes into batches and models."""

import shardtape as tf


class Network(tf.experimental.BatchableExtensionType):
    """As in TensorFlow's guide: work of servers, and how fast they send it to each other."""

    shape: tf.TensorShape
    work: tf.Tensor
    bandwidth: tf.Tensor

    def __init__(self, work, bandwidth):
        self.work = tf.convert_to_tensor(work)
        self.bandwidth = tf.convert_to_tensor(bandwidth)
        self.shape = self.work.shape[:-1].merge_with(self.bandwidth.shape[:-2])

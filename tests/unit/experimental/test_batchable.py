"""Extension types in batches; what is expected here TensorFlow 2.15 gives, too."""

import pytest
from unit.experimental.networks import Network

import shardtape as tf


class Vertex(tf.experimental.BatchableExtensionType):
    x: tf.Tensor
    y: tf.Tensor

    def lists(self):
        return self.x.numpy().tolist(), self.y.numpy().tolist()


class Rows(tf.experimental.BatchableExtensionType):
    r: tf.RaggedTensor


class LastAxis(tf.experimental.ExtensionTypeBatchEncoder):
    """Batches along the last axis, which the encoding puts first."""

    def batch(self, spec, batch_size):
        return Column.Spec(tf.TensorSpec([*spec.x.shape, batch_size], spec.x.dtype))

    def unbatch(self, spec):
        return Column.Spec(tf.TensorSpec(spec.x.shape[:-1], spec.x.dtype))

    def encode(self, spec, value, minimum_rank=0):
        return tf.transpose(value.x) if minimum_rank else value.x

    def decode(self, spec, encoded_value):
        rank = len(spec.x.shape)
        return Column(tf.transpose(encoded_value) if rank > 1 else encoded_value)

    def encoding_specs(self, spec):
        return tf.TensorSpec(spec.x.shape[::-1], spec.x.dtype)


class Column(tf.experimental.BatchableExtensionType):
    __batch_encoder__ = LastAxis()
    x: tf.Tensor


def vertices():
    return Vertex([[1, 2], [3, 4], [5, 6]], [1.0, 2.0, 3.0])


def test_batches_of_datasets():
    data = tf.data.Dataset.from_tensor_slices(vertices())
    assert data.element_spec == Vertex.Spec(tf.TensorSpec([2], tf.int32), tf.TensorSpec([]))
    singles = [([1, 2], 1.0), ([3, 4], 2.0), ([5, 6], 3.0)]
    assert [v.lists() for v in data] == singles
    batches = data.batch(2)
    assert [v.lists() for v in batches] == [
        ([[1, 2], [3, 4]], [1.0, 2.0]), ([[5, 6]], [3.0]),
    ]  # fmt: skip
    assert batches.element_spec == Vertex.Spec(
        tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([None])
    )
    assert [v.lists() for v in batches.unbatch()] == singles
    assert [v.lists()[0] for v in batches.rebatch(1)] == [[[1, 2]], [[3, 4]], [[5, 6]]]
    more = data.map(lambda v: Vertex(v.x + 1, v.y))
    assert [v.lists()[0] for v in more] == [[2, 3], [4, 5], [6, 7]]
    ragged = Rows(tf.ragged.constant([[1, 2], [3]]))
    (whole,) = tf.data.Dataset.from_tensor_slices(ragged).batch(2)
    assert whole.r.to_list() == [[1, 2], [3]]


def test_specs():
    spec = Vertex.Spec(tf.TensorSpec([5, 2]), tf.TensorSpec([5]))
    assert spec._unbatch() == Vertex.Spec(tf.TensorSpec([2]), tf.TensorSpec([]))
    assert spec._batch(3) == Vertex.Spec(tf.TensorSpec([3, 5, 2]), tf.TensorSpec([3, 5]))


def test_shapes_grow_with_the_batch():
    one = Network([5.0, 3.0], [[0.0, 2.0], [2.0, 0.0]])
    data = tf.data.Dataset.from_tensors(one).repeat(3).batch(3, drop_remainder=True)
    (batch,) = data
    assert batch.shape == (3,) and batch.bandwidth.shape == (3, 2, 2)
    assert [n.shape.as_list() for n in data.unbatch()] == [[], [], []]


def test_an_encoder_of_ones_own():
    data = tf.data.Dataset.from_tensor_slices(Column([[1, 2, 3], [4, 5, 6]]))
    assert [c.x.numpy().tolist() for c in data] == [[1, 4], [2, 5], [3, 6]]
    assert [c.x.numpy().tolist() for c in data.batch(2)] == [[[1, 2], [4, 5]], [[3], [6]]]


def test_mapped_rows():
    single = Vertex.Spec(tf.TensorSpec([2], tf.int32), tf.TensorSpec([]))

    def results(v):
        return (
            tf.map_fn(lambda v: tf.reduce_sum(v.x), v, fn_output_signature=tf.int32),
            tf.map_fn(lambda v: Vertex(v.x * 2, v.y), v),
            tf.map_fn(lambda i: Vertex(tf.stack([i, i]), tf.cast(i, tf.float32)), tf.range(3),
                      fn_output_signature=single),
        )  # fmt: skip

    for run in (results, tf.function(results)):
        sums, doubled, made = run(vertices())
        assert sums.numpy().tolist() == [3, 7, 11]
        assert doubled.lists() == ([[2, 4], [6, 8], [10, 12]], [1.0, 2.0, 3.0])
        assert made.lists() == ([[0, 0], [1, 1], [2, 2]], [0.0, 1.0, 2.0])


def test_other_types_have_no_batches():
    class Plain(tf.experimental.ExtensionType):
        x: tf.Tensor

    with pytest.raises(TypeError, match="cannot be put into batches"):
        tf.data.Dataset.from_tensors(Plain([1])).batch(2)
    with pytest.raises(TypeError, match="cannot be taken apart"):
        tf.data.Dataset.from_tensor_slices(Plain([1, 2]))

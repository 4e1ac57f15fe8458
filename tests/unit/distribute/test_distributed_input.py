"""Datasets shared by replicas. Numbers and structures are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

Dataset = tf.data.Dataset


def rows(strategy, distributed):
    return [
        [v.numpy().tolist() for v in strategy.experimental_local_results(x)] for x in distributed
    ]


def shared(strategy, dataset):
    return rows(strategy, strategy.experimental_distribute_dataset(dataset))


def made(strategy, dataset):
    return rows(strategy, strategy.distribute_datasets_from_function(lambda context: dataset))


def test_batches_are_cut(strategy):
    share = lambda n, size, **o: shared(strategy, Dataset.range(n).batch(size, **o))
    assert share(9, 4) == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8], []]]
    assert share(10, 4)[-1] == [[8], [9]]
    assert share(7, 3) == [[[0, 1], [2]], [[3, 4], [5]], [[6], []]]
    assert share(7, 3, drop_remainder=True) == [[[0, 1], [2]], [[3, 4], [5]]]
    assert share(5, 4) == [[[0, 1], [2, 3]], [[4], []]]
    repeated = Dataset.range(5).batch(4).repeat(2).map(lambda x: x * 2).prefetch(1)
    assert shared(strategy, repeated) == [[[0, 2], [4, 6]], [[8], []]] * 2
    generated = Dataset.from_generator(
        lambda: iter([[1, 2, 3], [4, 5], [6]]), output_signature=tf.TensorSpec([None], tf.int32)
    )
    assert shared(strategy, generated) == [[[1, 2], [3]], [[4], [5]], [[6], []]]
    with pytest.raises(ValueError, match="call `batch`"):
        strategy.experimental_distribute_dataset(Dataset.range(4))


def test_specs(strategy):
    distribute = strategy.experimental_distribute_dataset
    known = distribute(Dataset.range(8).batch(4, drop_remainder=True)).element_spec
    spec = "TensorSpec(shape=({},), dtype=tf.int64, name=None)"
    assert repr(known) == "PerReplicaSpec({0}, {0})".format(spec.format(2))
    odd = distribute(Dataset.range(8).batch(3, drop_remainder=True))
    assert repr(odd.element_spec) == "PerReplicaSpec({0}, {0})".format(spec.format("None"))
    assert isinstance(odd, tf.distribute.DistributedDataset)
    assert isinstance(iter(odd), tf.distribute.DistributedIterator)
    assert iter(odd).element_spec == odd.element_spec
    assert int(odd.cardinality()) == 2


def test_three_replicas():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    try:
        strategy = tf.distribute.MirroredStrategy()
        assert strategy.num_replicas_in_sync == 3
        assert shared(strategy, Dataset.range(5).batch(4)) == [[[0, 1], [2, 3], []], [[4], [], []]]
        calls = []

        def fails():
            number = int(tf.distribute.get_replica_context().replica_id_in_sync_group)
            calls.append(number)
            tf.distribute.get_replica_context().all_reduce("SUM", 1.0)
            if number == 1:
                raise ValueError("no luck")

        with pytest.raises(ValueError, match="no luck"):
            strategy.run(fails)
        assert calls == [0, 1, 2]
        with strategy.scope():
            v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
            optimizer = tf.keras.optimizers.Adam(0.1)

        def step():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(v * v) * (1.0 + tf.cast(number, tf.float32))
            optimizer.apply_gradients([(tape.gradient(loss, v), v)])

        run = tf.function(strategy.run)
        run(step)
        run(step)
        for component in v.values:
            np.testing.assert_allclose(
                component.numpy().ravel(), [0.80041, 1.80017, 2.8001, 3.80008], atol=2e-5
            )
    finally:
        tf.config.set_logical_device_configuration(cpu, [])


def test_datasets_from_a_function(strategy):
    contexts = []

    def function(context):
        contexts.append((
            context.num_input_pipelines, context.input_pipeline_id, context.num_replicas_in_sync,
            context.get_per_replica_batch_size(4),
        ))  # fmt: skip
        return Dataset.range(10).batch(2)

    distributed = strategy.distribute_datasets_from_function(function)
    assert contexts == [(1, 0, 2, 2)]
    assert rows(strategy, distributed) == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], []]]
    assert made(strategy, Dataset.range(3).batch(1)) == [[[0], [1]], [[2], []]]
    assert made(strategy, Dataset.range(6).batch(2, drop_remainder=True)) == [[[0, 1], [2, 3]]]
    assert made(strategy, Dataset.range(3)) == [[0, 1]]


def test_structures(strategy):
    elements = {"a": tf.range(4), "b": (tf.range(4), tf.constant(["x", "y", "z", "w"]))}
    dataset = Dataset.from_tensor_slices(elements).batch(4)
    x = next(iter(strategy.experimental_distribute_dataset(dataset)))
    assert [v.numpy().tolist() for v in x["b"][1].values] == [[b"x", b"y"], [b"z", b"w"]]
    ragged = Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3], [], [4]])).batch(4)
    x = next(iter(strategy.experimental_distribute_dataset(ragged)))
    got = strategy.run(lambda r: tf.reduce_sum(r, axis=1), args=(x,))
    assert [v.numpy().tolist() for v in got.values] == [[1, 5], [0, 4]]
    sparse = tf.sparse.from_dense([[1, 0], [0, 2], [3, 0], [0, 0]])
    sparse = Dataset.from_tensor_slices(sparse).batch(4)
    x = next(iter(strategy.experimental_distribute_dataset(sparse)))
    got = strategy.run(tf.sparse.to_dense, args=(x,))
    assert [v.numpy().tolist() for v in got.values] == [[[1, 0], [0, 2]], [[3, 0], [0, 0]]]


def test_iterators_in_functions(strategy):
    dataset = Dataset.from_tensor_slices((tf.range(6.0), tf.range(6))).batch(4)
    distributed = strategy.experimental_distribute_dataset(dataset)

    @tf.function
    def total(distributed):
        found = 0.0
        for x in distributed:
            found += strategy.reduce("SUM", strategy.run(lambda x: x[0], args=(x,)), axis=0)
        return found

    assert float(total(distributed)) == 15.0

    @tf.function(input_signature=[iter(distributed)._type_spec])
    def first(iterator):
        return strategy.run(lambda a, b: tf.reduce_sum(a), args=next(iterator))

    iterator = iter(distributed)
    assert [float(v) for v in first(iterator).values] == [1.0, 5.0]
    assert [float(v) for v in first(iterator).values] == [4.0, 5.0]
    with pytest.raises(tf.errors.OutOfRangeError):
        iterator.get_next()

    @tf.function(input_signature=[distributed.element_spec[0]])
    def doubled(x):
        return strategy.run(lambda y: 2.0 * y, args=(x,))

    got = [doubled(x) for x, _ in distributed]
    assert [v.numpy().tolist() for v in got[1].values] == [[8.0], [10.0]]


def test_optional_elements(strategy):
    iterator = iter(strategy.experimental_distribute_dataset(Dataset.range(9).batch(4)))
    seen = []

    @tf.function
    def loop(iterator):
        count = 0
        for _ in tf.range(5):
            found = iterator.get_next_as_optional()
            if not found.has_value():
                break
            got = strategy.run(lambda x: tf.reduce_sum(x), args=(found.get_value(),))
            tf.py_function(lambda x: seen.append(int(x)), [strategy.reduce("SUM", got, None)], [])
            count += 1
        return count

    assert int(loop(iterator)) == 3 and seen == [6, 22, 8]


def test_values_from_a_function(strategy):
    distribute = strategy.experimental_distribute_values_from_function
    x = distribute(lambda c: {"a": [c.replica_id_in_sync_group, c.num_replicas_in_sync]})
    assert [v.values for v in x["a"]] == [(0, 1), (2, 2)]
    x = distribute(lambda c: tf.constant(c.replica_id_in_sync_group))
    got = tf.function(lambda x: strategy.run(lambda y: y * 2, args=(x,)))(x)
    assert [int(v) for v in got.values] == [0, 2]


def test_a_lookup_layer_made_in_the_scope(strategy):
    with strategy.scope():
        layer = tf.keras.layers.StringLookup(vocabulary=["a", "b", "c", "d", "f"])

    def function(context):
        dataset = Dataset.from_tensor_slices(["a", "c", "e"]).repeat()
        return dataset.batch(context.get_per_replica_batch_size(4)).map(lambda x: layer(x))

    iterator = iter(strategy.distribute_datasets_from_function(function))
    got = [[v.numpy().tolist() for v in next(iterator).values] for _ in range(2)]
    assert got == [[[1, 3], [0, 1]], [[3, 0], [1, 3]]]


def test_models_take_distributed_datasets(strategy):
    with strategy.scope():
        dense = tf.keras.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))
        model = tf.keras.Sequential([dense])
        model.compile("sgd", "mse")
    x = tf.reshape(tf.range(12.0), (12, 1)) / 12.0
    dataset = Dataset.from_tensor_slices((x, tf.ones((12, 1))))
    sizes = []

    def function(context):
        sizes.append(context.get_per_replica_batch_size(6))
        return dataset.repeat().batch(sizes[-1])

    creator = tf.keras.utils.experimental.DatasetCreator(function)
    history = model.fit(creator, steps_per_epoch=2, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], [0.3711601, 0.3471479], atol=1e-6)
    assert sizes == [3]
    inputs = Dataset.from_tensor_slices(tf.reshape(tf.range(7.0), (7, 1))).batch(4)
    plain = model.predict(inputs, verbose=0)
    distributed = strategy.experimental_distribute_dataset(inputs)
    np.testing.assert_array_equal(model.predict(distributed, verbose=0, steps=2), plain)


def test_extended(strategy):
    extended = strategy.extended
    with strategy.scope():
        v = tf.Variable(1.0)
        values = strategy.run(lambda: tf.range(2.0))
        for reduced in (
            extended.reduce_to("SUM", values, v),
            extended.batch_reduce_to("SUM", [(values, v)])[0],
            tf.distribute.ReductionToOneDevice().reduce("SUM", values, v),
            tf.distribute.HierarchicalCopyAllReduce(2).reduce("SUM", values, v),
        ):
            assert [x.numpy().tolist() for x in reduced.values] == [[0.0, 2.0]] * 2
        spread = extended.broadcast_to(tf.constant(1.0), v)
    assert [float(x) for x in spread.values] == [1.0, 1.0]
    assert extended.value_container(v.values[1]) is v and float(extended.read_var(v)) == 1.0
    assert extended.update_non_slot(extended.non_slot_devices([v]), lambda: 3) == 3
    assert extended.should_checkpoint and not extended.experimental_between_graph
    alone = tf.distribute.get_strategy().extended
    assert float(alone.update(tf.Variable(1.0), lambda v, x: v.assign_add(x), args=(2.0,))) == 3.0

"""Loops of one's own over two replicas, checkpoints, saved models; TensorFlow 2.15's numbers."""

import numpy as np
import pytest

import shardtape as tf

L = tf.keras.layers
BATCH = 8


def digits():
    rng = np.random.RandomState(0)
    images, labels = rng.rand(40, 8, 8, 1).astype("float32"), rng.randint(0, 3, 40)
    tests, wanted = rng.rand(14, 8, 8, 1).astype("float32"), rng.randint(0, 3, 14)
    train = tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)
    return train, tf.data.Dataset.from_tensor_slices((tests, wanted)).batch(BATCH)


def network():
    def drawn(seed):
        return tf.keras.initializers.GlorotUniform(seed=seed)

    return tf.keras.Sequential([
        L.Conv2D(4, 3, activation="relu", kernel_initializer=drawn(1),
                 kernel_regularizer=tf.keras.regularizers.L2(1e-3)),
        L.MaxPooling2D(), L.Flatten(), L.BatchNormalization(),
        L.Dense(6, activation="relu", kernel_initializer=drawn(2)),
        L.Dense(3, kernel_initializer=drawn(3)),
    ])  # fmt: skip


class Loop:
    """A model, its optimizer and metrics, made in a strategy's scope, and a step on a batch."""

    def __init__(self, strategy):
        self.strategy = strategy
        with strategy.scope():
            self.loss = tf.keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction=tf.keras.losses.Reduction.NONE
            )
            self.model = network()
            self.optimizer = tf.keras.optimizers.SGD(0.05, momentum=0.9)
            self.accuracy = tf.keras.metrics.SparseCategoricalAccuracy()
            self.mean = tf.keras.metrics.Mean()
        self.step = tf.function(self._step)
        self.checkpoint = tf.train.Checkpoint(optimizer=self.optimizer, model=self.model)

    def train(self, inputs):
        images, labels = inputs
        with tf.GradientTape() as tape:
            predictions = self.model(images, training=True)
            loss = tf.nn.compute_average_loss(self.loss(labels, predictions))
            loss += tf.nn.scale_regularization_loss(tf.add_n(self.model.losses))
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables))
        self.accuracy.update_state(labels, predictions)
        return loss

    def _step(self, inputs):
        losses = self.strategy.run(self.train, args=(inputs,))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    @tf.function
    def test(self, inputs):
        def inside(inputs):
            images, labels = inputs
            self.mean.update_state(self.loss(labels, self.model(images, training=False)))

        self.strategy.run(inside, args=(inputs,))


def test_a_loop_and_its_checkpoint(strategy, tmp_path):
    train, tests = digits()
    batches = strategy.experimental_distribute_dataset(train)
    test_batches = strategy.experimental_distribute_dataset(tests)
    loop = Loop(strategy)
    rows = []
    for _ in range(2):
        losses = [float(loop.step(x)) for x in batches]
        for x in test_batches:
            loop.test(x)
        rows.append((np.mean(losses), float(loop.accuracy.result()), float(loop.mean.result())))
        loop.accuracy.reset_state()
        loop.mean.reset_state()
    np.testing.assert_allclose(
        rows, [(1.060378, 0.375, 1.075327), (0.924422, 0.55, 1.195878)], atol=5e-6
    )
    path = loop.checkpoint.save(str(tmp_path / "saved"))

    # into Variables that replicas make later, with the optimizer's state
    again = Loop(strategy)
    again.checkpoint.restore(path)
    losses = [float(again.step(x)) for x in batches]
    np.testing.assert_allclose(losses, [0.80197, 0.62873, 0.64043, 0.94997, 0.70297], atol=2e-5)
    assert int(again.optimizer.iterations) == 15
    # into Variables that are there
    with strategy.scope():
        model = network()
        model.build((None, 8, 8, 1))
    tf.train.Checkpoint(model=model).restore(path).expect_partial()
    for component in model.weights[0].values:
        np.testing.assert_allclose(
            component.numpy().ravel()[:2], [0.3556135, -0.0881896], atol=2e-6
        )
    # without a strategy
    plain = network()
    plain.build((None, 8, 8, 1))
    tf.train.Checkpoint(model=plain).restore(path).expect_partial()
    for ours, theirs in zip(plain.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)

    # a whole epoch in one function goes on from there
    again.checkpoint.restore(path)
    again.accuracy.reset_state()

    @tf.function
    def epoch(batches):
        total, count = 0.0, 0
        for x in batches:
            total += loop.strategy.reduce(
                "SUM", loop.strategy.run(again.train, args=(x,)), axis=None
            )
            count += 1
        return total / tf.cast(count, tf.float32)

    assert float(epoch(batches)) == pytest.approx(np.mean(losses), abs=1e-5)


def test_checkpoints_between_strategies(strategy, tmp_path):
    plain = tf.Variable([1.0, 2.0])
    path = tf.train.Checkpoint(v=plain).save(str(tmp_path / "plain"))
    with strategy.scope():
        mirrored = tf.Variable([0.0, 0.0])
        sums, means = (
            tf.Variable(2.0, synchronization=tf.VariableSynchronization.ON_READ, aggregation=a)
            for a in (tf.VariableAggregation.SUM, tf.VariableAggregation.MEAN)
        )
    tf.train.Checkpoint(v=mirrored).restore(path).assert_consumed()
    assert [c.numpy().tolist() for c in mirrored.values] == [[1.0, 2.0]] * 2

    def add():
        context = tf.distribute.get_replica_context()
        one = tf.cast(context.replica_id_in_sync_group, tf.float32)
        sums.assign_add(one)
        means.assign_add(one)

    strategy.run(add)
    path = tf.train.Checkpoint(v=sums, w=means).save(str(tmp_path / "sums"))
    sums.assign(0.0)
    means.assign(0.0)
    tf.train.Checkpoint(v=sums, w=means).restore(path)
    assert [float(c) for c in sums.values] == [2.5, 2.5] == [float(c) for c in means.values]
    alone = tf.Variable(0.0)
    tf.train.Checkpoint(v=alone).restore(path).expect_partial()
    assert float(alone) == 5.0


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_saved_models_train_on(strategy, tmp_path, ending):
    if ending == ".h5":
        pytest.importorskip("h5py")
    train, _ = digits()
    with strategy.scope():
        model = network()
        model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(train, epochs=1, verbose=0)
    path = str(tmp_path / f"model{ending}")
    model.save(path)
    losses = []
    for scope in (tf.distribute.OneDeviceStrategy("/cpu:0").scope(), strategy.scope()):
        with scope:
            loaded = tf.keras.models.load_model(path)
            losses += loaded.fit(train, epochs=1, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, [1.0483, 1.0449], atol=1e-4)
    assert type(loaded.weights[0]).__name__ == "MirroredVariable"
    assert int(loaded.optimizer.iterations) == 10


def test_saved_functions_run_in_replicas(strategy, tmp_path):
    _, tests = digits()
    images = tests.map(lambda image, label: image)
    with strategy.scope():
        model = network()
        model.build((None, 8, 8, 1))
    first = next(iter(images))
    wanted = model(first).numpy()
    path = str(tmp_path / "saved")
    tf.saved_model.save(model, path)
    with strategy.scope():
        loaded = tf.saved_model.load(path).signatures["serving_default"]
        batch = next(iter(strategy.experimental_distribute_dataset(images)))
        [got] = strategy.run(loaded, args=(batch,)).values()
    got = np.concatenate([v.numpy() for v in strategy.experimental_local_results(got)])
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_callbacks_of_the_tutorial(strategy, tmp_path):
    train, tests = digits()
    with strategy.scope():
        model = network()
        model.compile(
            tf.keras.optimizers.Adam(),
            tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
        )  # fmt: skip
    callbacks = [
        tf.keras.callbacks.TensorBoard(log_dir=str(tmp_path / "logs")),
        tf.keras.callbacks.ModelCheckpoint(
            str(tmp_path / "kept" / "epoch_{epoch}"), save_weights_only=True
        ),
        tf.keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 if epoch < 1 else 1e-4),
    ]
    history = model.fit(train, epochs=3, callbacks=callbacks, verbose=0).history
    np.testing.assert_allclose(history["loss"], [1.0782, 1.0525, 1.0498], atol=1e-4)
    np.testing.assert_allclose(history["accuracy"], [0.425, 0.475, 0.475])
    model.load_weights(tf.train.latest_checkpoint(str(tmp_path / "kept")))
    np.testing.assert_allclose(model.evaluate(tests, verbose=0), [1.0816, 0.2857], atol=2e-4)


def test_replicas_write_one_summary(strategy, tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    writer = tf.summary.create_file_writer(str(tmp_path))

    def write(name):
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        tf.summary.scalar(name, tf.cast(number, tf.float32) + 5.0, step=1)

    with writer.as_default():
        strategy.run(write, args=("eager",))
        tf.function(lambda: strategy.run(write, args=("traced",)))()
    writer.flush()
    (file,) = tmp_path.iterdir()
    tags = [v.tag for event in EventFileLoader(str(file)).Load() for v in event.summary.value]
    assert tags == ["eager", "traced"]

"""tf.data.Datasets as the data of a job."""

from dataclasses import replace

import numpy as np
import pytest
from ray import cloudpickle
from unit.workers.local_jobs import EXAMPLES, X, Y, linear

import shardtape as tf
from shardtape.errors import InvalidArgumentError
from shardtape.ps.ids import BatchId
from shardtape.workers import data

D = tf.data.Dataset


def read(spec, epoch=0):
    """All batches of an epoch by (split, index), as another process would read them."""
    sent = replace(spec, function=cloudpickle.loads(cloudpickle.dumps(spec.function)))
    source, found = data.open_source(sent, names=("x", "y")), {}
    for split in range(len(source.lengths())):
        for index in range(10_000):
            batch = source.batch(BatchId(epoch, split, index))
            if batch is None:
                break
            found[split, index] = batch
    return found


def describe(dataset, seed=3, splits=3):
    return data.describe(dataset, name="train", batch_size=4, seed=seed, splits=splits)


def augmented(x):
    return {"x": x + tf.random.uniform([], 0.0, 0.5), "y": -x}


PIPELINES = {
    "shuffled rows": lambda: D.from_tensor_slices({"x": np.arange(40.0), "y": -np.arange(40.0)})
    .shuffle(40).batch(4),
    "random numbers": lambda: D.from_tensor_slices(np.arange(40, dtype=np.float32)).shuffle(9)
    .map(augmented, num_parallel_calls=2, deterministic=False).batch(4).prefetch(2),
    "seeded": lambda: D.from_tensor_slices({"x": np.arange(40.0), "y": -np.arange(40.0)})
    .shuffle(40, seed=5).batch(4),
    "sampled": lambda: D.sample_from_datasets(
        [D.from_tensor_slices({"x": np.arange(a, a + 20.0), "y": -np.arange(a, a + 20.0)})
         for a in (0, 20)]).shuffle(8).batch(4),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPELINES)
def test_each_example_once_per_epoch_and_the_same_for_every_reader(name):
    spec = describe(PIPELINES[name]())
    first, second = read(spec), read(spec)
    assert set(first) == set(second)
    for key, batch in first.items():
        for feed, array in batch.items():
            np.testing.assert_array_equal(array, second[key][feed])
    ys = np.concatenate([b["y"] for b in first.values()])
    np.testing.assert_array_equal(np.sort(-ys), np.arange(40))
    later = read(spec, epoch=1)
    assert any((first[k]["x"] != later[k]["x"]).any() for k in first)
    other = read(describe(PIPELINES[name](), seed=4))
    same = all((first[k]["x"] == other[k]["x"]).all() for k in first)
    assert same == (name == "seeded")


@pytest.mark.parametrize("name", PIPELINES)
def test_a_batch_can_be_read_again_and_a_reader_can_begin_anywhere(name):
    spec = describe(PIPELINES[name]())
    whole = read(spec)
    source = data.open_source(spec)
    for key in ((1, 2), (1, 0), (2, 1), (0, 3), (0, 2)):
        batch = source.batch(BatchId(0, *key))
        for feed, array in batch.items():
            np.testing.assert_array_equal(array, whole[key][feed])


def test_epochs_are_the_iterations_of_a_program_alone():
    dataset = PIPELINES["seeded"]()
    alone = [[b["x"].numpy().tolist() for b in dataset] for _ in range(2)]
    spec = describe(dataset, splits=1)
    for epoch in range(2):
        got = read(spec, epoch)
        assert [got[0, i]["x"].tolist() for i in range(len(got))] == alone[epoch]


def test_large_arrays_travel_beside_the_dataset(monkeypatch):
    monkeypatch.setattr(data, "INLINE_LIMIT_BYTES", 64)
    store = []
    dataset = PIPELINES["shuffled rows"]()
    spec = describe(dataset)
    assert len(spec.arrays) == 2 and len(cloudpickle.dumps(spec.function)) < 3000
    sent = data.portable(spec, lambda array: store.append(array) or len(store) - 1)
    assert all(isinstance(a, data.Handle) for a in sent.arrays.values()) and len(store) == 2
    source = data.open_source(sent, get=store.__getitem__)
    expected = read(describe(dataset))
    np.testing.assert_array_equal(source.batch(BatchId(0, 1, 1))["x"], expected[1, 1]["x"])
    assert len(list(dataset)) == 10, "the user's own dataset is as it was"


def test_endless_datasets_and_iterators_are_refused():
    with pytest.raises(InvalidArgumentError, match="train is a dataset without an end"):
        describe(D.range(4).repeat())
    with pytest.raises(InvalidArgumentError, match="train is an iterator"):
        describe(iter(D.range(4)))


def test_a_signature_changes_with_what_the_elements_are():
    first = describe(D.from_tensor_slices({"x": X}).batch(8)).signature()
    assert first == describe(D.from_tensor_slices({"x": X}).batch(8)).signature()
    assert first != describe(D.from_tensor_slices({"x": X[:-9]}).batch(8)).signature()


@pytest.mark.parametrize("form", ["dict", "tuple"])
def test_a_trainer_trains_on_a_dataset(form):
    slices = D.from_tensor_slices({"x": X, "y": Y} if form == "dict" else (X, Y))
    train = slices.shuffle(EXAMPLES).batch(20).prefetch(2)
    trainer = tf.Trainer(
        linear, train=train, test=slices.batch(50), optimizer=tf.keras.optimizers.SGD(0.05),
        epochs=8, workers=0, progress="none",
    )  # fmt: skip
    result = trainer.fit()
    assert result.metrics["loss"] < 0.5 and result.tested

"""What metrics give back when they are updated and merged; the figures are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

metrics = tf.keras.metrics
TRUE, PREDICTED = [0, 1, 1, 0], [0.1, 0.8, 0.4, 0.6]
ONE_HOT = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
ROWS = np.linspace(0.1, 1, 12).reshape(4, 3).astype(np.float32)


@pytest.mark.parametrize(
    ("metric", "given"),
    [
        *[(name, (TRUE, PREDICTED)) for name in (
            "AUC", "TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives",
            "Precision", "Recall")],
        *[(name, (ONE_HOT, ROWS)) for name in ("F1Score", "FBetaScore", "R2Score")],
    ],
)  # fmt: skip
def test_counts_give_nothing(metric, given):
    made = getattr(metrics, metric)()
    assert made.update_state(*given) is None
    assert any(np.any(v.numpy()) for v in made.variables)


def test_rates_give_nothing():
    for name in ("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity",
                 "SpecificityAtSensitivity"):  # fmt: skip
        made = getattr(metrics, name)(0.5, num_thresholds=3)
        assert made.update_state(TRUE, PREDICTED) is None
        assert [v.name for v in made.variables] == [
            "true_positives:0", "true_negatives:0", "false_positives:0", "false_negatives:0"
        ]  # fmt: skip
        assert [v.numpy().tolist() for v in made.variables] == [
            [2, 1, 0], [0, 1, 2], [2, 1, 0], [0, 1, 2]
        ]  # fmt: skip


def test_means_give_their_count():
    given = metrics.Mean().update_state(PREDICTED)
    assert repr(given) == "<tf.Variable 'UnreadVariable' shape=() dtype=float32, numpy=4.0>"
    assert float(metrics.Sum().update_state(PREDICTED)) == pytest.approx(1.9)
    assert metrics.MeanIoU(2).update_state(TRUE, [0, 1, 0, 1]).numpy().tolist() == [[1, 1], [1, 1]]


def test_a_function_gets_an_operation():
    seen = []

    @tf.function
    def update(metric):
        seen.append(metric.update_state(TRUE, PREDICTED))
        with tf.control_dependencies([seen[-1]]):
            return metric.result()

    assert float(update(metrics.Precision())) == 0.5
    assert isinstance(seen[-1], tf.Operation)


def test_merging_gives_what_it_assigned():
    one, two = metrics.Mean(), metrics.Mean()
    one.update_state([1, 2])
    two.update_state([3, 4])
    merged = one.merge_state([two, two])
    assert [v.name for v in merged] == ["UnreadVariable"] * 4
    assert [float(v) for v in merged] == [17, 6, 17, 6]
    assert one.merge_state([]) == []


def test_lists_of_variables():
    mean = metrics.Mean()
    assert mean.trainable_variables == []
    assert [v.name for v in mean.non_trainable_variables] == ["total:0", "count:0"]


class Counted(metrics.Metric):
    def __init__(self, give):
        super().__init__(name="counted")
        self.count, self.give = self.add_weight("count"), give

    def update_state(self, by):
        self.count.assign_add(by)

    def result(self):
        return self.give(self.count)


def test_results_are_tensors_of_their_time():
    metric = Counted(lambda count: count)
    first = metric(2.0)
    metric.update_state(3.0)
    assert float(first) == 2 and not isinstance(first, tf.Variable)
    assert float(metric.result()) == 5


@pytest.mark.parametrize(
    ("give", "expected"),
    [
        (lambda v: [v, 2], [4.0, 2.0]),
        (lambda v: (v, v + 1), [4.0, 5.0]),
        (lambda v: 3.5, 3.5),
        (lambda v: np.array([1, 2]), [1, 2]),
    ],
)
def test_results_of_other_kinds_are_tensors(give, expected):
    made = Counted(give)(4.0)
    assert isinstance(made, tf.Tensor) and made.numpy().tolist() == expected


def test_results_by_name():
    made = Counted(lambda v: {"a": v, "b": 1.0, "c": np.float64(3)})(4.0)
    assert {k: (v.dtype.name, float(v)) for k, v in made.items()} == {
        "a": ("float32", 4.0), "b": ("float32", 1.0), "c": ("float64", 3.0)
    }  # fmt: skip


def test_no_result():
    with pytest.raises(RuntimeError, match="For metric counted, got result None"):
        Counted(lambda v: None).result()


def test_results_in_training():
    class Share(Counted):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.count.assign_add(tf.reduce_sum(y_pred))

    model = tf.keras.Sequential(
        [tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones", trainable=False)]
    )
    model.compile("sgd", "mse", metrics=[Share(lambda v: v)])
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, epochs=2, verbose=0)
    assert history.history["counted"] == [8.0, 8.0]

"""Evaluation in pieces, and the sums of figures."""

import pytest

from shardtape.protos import coordinator_pb2 as pb
from shardtape.workers.evaluation import Evaluation, Piece
from shardtape.workers.figures import Meter


def test_pieces_go_round_and_come_back_from_the_dead():
    evaluation = Evaluation(0, 20)
    assert [evaluation.take(w) for w in range(4)] == [
        Piece(0, 8), Piece(8, 16), Piece(16, 20), None,
    ]  # fmt: skip
    evaluation.lost(1)
    evaluation.add(2, 16, 40, 4.0, {"accuracy": 40})
    assert evaluation.take(2) == Piece(8, 16)
    evaluation.add(2, 8, 80, 8.0, {"accuracy": 0})
    evaluation.add(0, 0, 80, 8.0, {"accuracy": 0})
    assert evaluation.complete
    assert evaluation.result() == {"loss": pytest.approx(0.1), "accuracy": pytest.approx(0.2)}


def test_a_set_of_unknown_length_is_read_by_one():
    evaluation = Evaluation(0, None)
    assert evaluation.take(0) == Piece(0, 0) and evaluation.take(1) is None
    evaluation.add(0, 0, 0, 0.0, {})
    assert evaluation.complete and evaluation.result() == {}


def test_figures_become_means_and_speeds():
    now = [0.0]
    meter = Meter(clock=lambda: now[0])
    meter.running(True)
    for _ in range(4):
        now[0] += 0.5
        figures = pb.Figures(steps=2, examples=64, loss=3.0, metrics={"accuracy": 1.0})
        figures.staleness, figures.staleness_max, figures.compute_ms = 4, 3, 20
        figures.traffic.add(shard=1, push_bytes=200, pull_bytes=100, push_ms=4, pull_ms=2)
        meter.add(figures)
    assert meter.examples_per_s() == 128 and meter.current_examples_per_s() == 128
    meter.running(False)
    now[0] += 100
    assert meter.examples_per_s() == 128 and meter.training_s == 2
    point = meter.take_point()
    assert point.training() == {"loss": 1.5, "accuracy": 0.5}
    assert point.server() == {
        "staleness/mean": 2, "staleness/max": 3, "worker/compute_ms": 10, "worker/wait_ms": 0,
        "shard-1/push_bytes": 100, "shard-1/pull_bytes": 50,
        "shard-1/push_ms": 2, "shard-1/pull_ms": 1,
    }  # fmt: skip
    assert meter.take_point().training() == {} and meter.take_epoch().steps == 8

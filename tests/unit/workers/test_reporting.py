"""What a job tells of itself: roll-backs, metrics of a checkpoint, earlier curves."""

from pathlib import Path

from unit.workers.local_jobs import TRAIN, run, start

from shardtape.protos import coordinator_pb2 as pb
from shardtape.workers.config import JobConfig
from shardtape.workers.curves import Curves
from shardtape.workers.dispatcher import Dispatcher
from shardtape.workers.reporting import Reporter
from shardtape.workers.status import Outcome


def figures_of(reporter: Reporter) -> Outcome:
    outcome = Outcome()
    reporter.fill(outcome, Dispatcher([4], 1), [], 0)
    return outcome


def test_going_back_counts_as_a_rollback_and_going_on_does_not() -> None:
    reporter = Reporter(JobConfig(resume=True), Curves(None))
    reporter.restarted(8, [{"loss": 0.5}])
    assert figures_of(reporter).summary["rollbacks"] == 0
    reporter.meter.running(True)
    reporter.restarted(8, [{"loss": 0.5}])
    reporter.restarted(4, [])
    assert figures_of(reporter).summary["rollbacks"] == 2


def test_the_last_epoch_of_a_checkpoint_stands_in_until_there_are_newer_figures() -> None:
    reporter = Reporter(JobConfig(), Curves(None))
    reporter.restarted(8, [{"loss": 0.9}, {"loss": 0.5, "error": 0.1, "test_loss": 0.7}])
    assert figures_of(reporter).metrics == {"loss": 0.5, "error": 0.1}
    reporter.figures(pb.Figures(steps=2, examples=16, loss=0.5, metrics={"error": 0.125}))
    reporter.epoch()
    assert figures_of(reporter).metrics == {"loss": 0.25, "error": 0.0625}


def test_a_finished_job_that_goes_on_evaluates_its_test_set_only(tmp_path: Path) -> None:
    options = {"checkpoint_dir": str(tmp_path), "test": TRAIN}
    first = run(**options)
    again = run(**options, resume=True)
    assert again.nothing_left and not first.nothing_left
    assert again.tested and again.metrics == first.metrics
    assert again.summary["steps"] == first.summary["steps"]
    untested = run(checkpoint_dir=str(tmp_path), resume=True)
    last = {k: v for k, v in first.history[-1].items() if not k.startswith("test_")}
    assert untested.nothing_left and untested.metrics == last


def test_a_job_without_processes_counts_no_workers() -> None:
    runner = start()
    try:
        assert runner.status(0).workers == 0
    finally:
        runner.stop("enough")
        runner.wait(30)
        runner.close()


def test_earlier_curves_are_those_in_the_runs_folders(tmp_path: Path) -> None:
    curves = Curves(str(tmp_path))
    assert not curves.has_earlier() and not Curves(None).has_earlier()
    other = tmp_path / "other"
    other.mkdir()
    (other / "events.out.tfevents.1.host").write_text("")
    assert not curves.has_earlier(), "a run beside it stays apart in TensorBoard"
    curves.training(1, {"loss": 1.0})
    assert not curves.has_earlier(), "its own"
    curves.close()
    assert Curves(str(tmp_path)).has_earlier()

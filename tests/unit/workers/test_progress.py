"""The display: plain lines in files, one changing line on a terminal, a summary at the end."""

import io
import json
import os
import resource
import socket

import pytest

from shardtape.errors import OpError, ResourceExhaustedError
from shardtape.workers import progress
from shardtape.workers.progress import LiveDisplay, PlainDisplay, open_display
from shardtape.workers.status import (
    SUMMARY_KEYS,
    Note,
    Result,
    Status,
    check_summary,
    write_summary,
)


def status(**more):
    values = {
        "state": "training",
        "epoch": 3,
        "epochs": 20,
        "step": 1128,
        "steps": 9000,
        "examples_per_s": 12345.6,
        "loss": 0.125,
        "staleness": 0.84,
        "seconds_left": 75,
        "workers_live": 2,
        "workers": 2,
    }
    return Status(**{**values, **more})


def test_a_line_has_all_that_the_user_asks():
    assert progress.line(status(metrics={"accuracy": 0.5}, test={"loss": 1, "accuracy": 0.75})) == (
        "epoch 3/20, step 1,128/9,000, 12,346 examples/s, loss 0.1250, accuracy 0.5000, "
        "test accuracy 0.7500, staleness 0.8, 1:15 left"
    )
    assert "1 of 2 workers" in progress.line(status(workers_live=1))
    assert progress.line(Status(workers=2)) == "starting, 0 of 2 workers"
    assert progress.line(Status()) == "starting", "no worker processes are wanted"
    assert "examples/s" not in progress.line(status(examples_per_s=0.0))


def test_plain_lines_are_few_and_end_with_the_last_state():
    now, stream = [0.0], io.StringIO()
    display = PlainDisplay(stream, clock=lambda: now[0])
    for step in range(1, 400):
        now[0] += 0.05
        display.update(status(epoch=1 + step // 200, step=step))
    display.update(status(epoch=2, step=400, notes=[Note(1, "worker-1 died", warning=True)]))
    display.close(), display.close()
    lines = stream.getvalue().splitlines()
    assert lines[-2] == "warning: worker-1 died" and "step 400" in lines[-1]
    assert len(lines) == 4, "one per epoch, the note, the end"
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_live_line():
    stream = io.StringIO()
    from rich.console import Console

    console = Console(file=stream, force_terminal=True, width=120)
    display = LiveDisplay(console)
    display.update(status(notes=[Note(1, "rolled back")]))
    display.close(), display.close()
    assert "rolled back" in stream.getvalue() and "step 1,128/9,000" in stream.getvalue()


def test_the_kind_of_display_follows_the_stream():
    assert isinstance(open_display("auto", io.StringIO()), PlainDisplay)
    assert isinstance(open_display("live", io.StringIO()), LiveDisplay)
    nothing = open_display("none")
    nothing.update(status())
    nothing.close()


def test_durations():
    assert [progress.duration(s) for s in (7, 750, 11045)] == ["0:07", "12:30", "3:04:05"]


def test_the_summary_of_a_job_with_nothing_left():
    summary = dict.fromkeys(SUMMARY_KEYS, 0) | {"logdir": None, "rounds": None, "steps": 1200}
    result = Result({"loss": 0.5}, "c/ckpt-3", summary, [], nothing_left=True)
    assert progress.summary_lines(result) == [
        "nothing left to do: the checkpoint is of the end, these are its figures",
        "  loss        0.5000",
        "  steps       1,200",
        "  checkpoint  c/ckpt-3",
    ]
    more = summary | {"rounds": 40, "rollbacks": 2, "examples_per_s": 7.0}
    text = "\n".join(progress.summary_lines(Result({}, None, more, [], interrupted=True)))
    assert text == (
        "stopped before the end\n  examples/s  7\n  steps       1,200\n  rounds      40\n"
        "  roll-backs  2"
    )


def test_the_summary_says_that_the_checkpoint_is_not_of_the_end():
    summary = dict.fromkeys(SUMMARY_KEYS, 0) | {"logdir": None, "rounds": None, "steps": 2000}
    older = summary | {"checkpoint_step": 1800}
    told = progress.summary_lines(Result({}, "c/ckpt-3", older, [], checkpoint_failed=True))
    assert told[-1] == "  checkpoint  c/ckpt-3 (of step 1,800: the last one failed)"
    none = summary | {"checkpoint_step": None}
    told = progress.summary_lines(Result({}, None, none, [], checkpoint_failed=True))
    assert told[-1] == "  checkpoint  none: the last one failed"


def test_a_summary_is_whole_or_not_there(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    target, new = tmp_path / "s.json", tmp_path / "new.json"
    write_summary(target, {"steps": 1})
    try:  # as a full disk does, in the middle of a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
        for path in (target, new):
            with pytest.raises(ResourceExhaustedError, match=f"cannot write {path}"):
                write_summary(path, {"steps": 2})
            with pytest.raises(ResourceExhaustedError, match=f"cannot write {path}"):
                check_summary(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert json.loads(target.read_text())["steps"] == 1, "the one before stays"
    check_summary(new)
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_a_summary_into_a_link_or_a_pipe_leaves_it_there(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real.json")
    check_summary(tmp_path / "link")
    write_summary(tmp_path / "link", {"steps": 5})
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["steps"] == 5
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_summary(pipe)
        write_summary(pipe, {"steps": 6})
        assert json.loads(os.read(reader, 4096))["steps"] == 6 and pipe.is_fifo()
    finally:
        os.close(reader)


def test_a_device_that_takes_nothing_is_refused_before_training(tmp_path):
    check_summary("/dev/null")
    with pytest.raises(ResourceExhaustedError, match="cannot write /dev/full"):
        check_summary("/dev/full")
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(str(tmp_path / "socket"))
        with pytest.raises(OpError, match="cannot write .*socket"):
            check_summary(tmp_path / "socket")


def test_the_summary_names_checkpoint_and_tensorboard(tmp_path):
    summary = dict.fromkeys(SUMMARY_KEYS, 0) | {"logdir": "runs/x", "examples_per_s": 1234.5}
    result = Result({"accuracy": 0.98}, "c/ckpt-3", summary, [], tested=True)
    text = "\n".join(progress.summary_lines(result))
    for part in ("test accuracy  0.9800", "1,234", "c/ckpt-3", "tensorboard --logdir runs/x"):
        assert part in text
    write_summary(tmp_path / "new" / "s.json", summary | {"other": 1})
    assert list(json.loads((tmp_path / "new" / "s.json").read_text())) == list(SUMMARY_KEYS)

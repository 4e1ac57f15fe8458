"""Ctrl-C and SIGTERM while a job starts and runs: counted, never in the middle of something."""

import os
import signal
import threading

import pytest

from shardtape.workers.interrupts import end_of, taken

INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.fixture(autouse=True)
def handlers():
    """What a program had before is there again afterwards."""
    before = [signal.getsignal(number) for number in (INT, TERM)]
    yield
    assert [signal.getsignal(number) for number in (INT, TERM)] == before


def test_the_first_one_waits_for_the_start_and_says_so(capfd):
    with taken() as found:
        os.kill(os.getpid(), INT)
        assert (found.count, found.first) == (1, INT)
    assert capfd.readouterr().err == (
        "stopping as soon as all is started; a second time stops at once\n"
    )


@pytest.mark.parametrize(("number", "end"), [(INT, KeyboardInterrupt), (TERM, SystemExit)])
def test_the_second_one_ends_the_start(number, end):
    with pytest.raises(end) as caught, taken():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), INT)
    assert number == INT or caught.value.code == 143


def test_a_running_job_is_never_torn(capfd):
    with taken() as found:
        signal.signal(TERM, signal.SIG_DFL)  # as Ray does, with a handler of its own
        found.started()
        for number in (TERM, INT, TERM):
            os.kill(os.getpid(), number)
        assert (found.count, found.first) == (3, TERM)
    assert capfd.readouterr().err == ""


def test_what_rays_handler_raises_gets_the_usual_status():
    with pytest.raises(SystemExit) as caught, taken():
        raise SystemExit(TERM)
    assert caught.value.code == 143
    with pytest.raises(SystemExit) as caught, taken():
        raise SystemExit(3)
    assert caught.value.code == 3


def test_other_threads_leave_signals_alone():
    seen = []

    def run():
        with taken() as found:
            found.started()
            seen.append((found.count, signal.getsignal(INT)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert seen == [(0, signal.getsignal(INT))]


def test_a_stop_without_a_signal_is_an_interrupt():
    assert isinstance(end_of(None), KeyboardInterrupt)

"""The writing thread: order, reading while writing, errors, closing."""

import gc
import glob
import os
import subprocess
import sys
import threading
import time

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto import event_pb2

from shardtape import errors
from shardtape.summary import event_file_writer
from shardtape.summary.event_file_writer import EventFileWriter


def record(step):
    return event_pb2.Event(wall_time=1.0, step=step).SerializeToString()


def steps(path):
    return [event.step for event in EventFileLoader(path).Load()][1:]


class BrokenFile:
    """A file that refuses to be written from the n-th write on."""

    def __init__(self, good_writes, error, release=None):
        self.left, self.error, self.release = good_writes, error, release

    def write(self, data):
        if self.release is not None:
            assert self.release.wait(10)
        self.left -= 1
        if self.left < 0:
            raise self.error

    def flush(self):
        pass

    def close(self):
        pass


@pytest.fixture
def broken(monkeypatch):
    """Makes writers open a given file object instead of a file."""

    def use(file):
        monkeypatch.setattr(event_file_writer.storage, "open_new", lambda path: file)

    return use


def test_the_first_event_is_the_version_and_the_name_is_found(tmp_path):
    with_suffix = EventFileWriter(tmp_path / "new" / "folder", suffix=".v2")
    with_suffix.close()
    (path,) = glob.glob(str(tmp_path / "new" / "folder" / "*tfevents*.v2"))
    assert path == with_suffix.path
    (event,) = EventFileLoader(path).Load()
    assert event.file_version == "brain.Event:2"
    assert abs(event.wall_time - time.time()) < 60


def test_two_writers_of_one_folder_have_files_of_their_own(tmp_path):
    first, second = EventFileWriter(tmp_path), EventFileWriter(tmp_path)
    assert first.path != second.path
    first.close()
    second.close()


def test_flush_makes_events_readable_while_writing_goes_on(tmp_path):
    writer = EventFileWriter(tmp_path, flush_s=1000)
    loader = EventFileLoader(writer.path)
    seen = []
    for step in range(100):
        writer.add_record(record(step))
        if step % 10 == 9:
            writer.flush()
            seen += [event.step for event in loader.Load() if not event.file_version]
            assert seen == list(range(step + 1))
    writer.close()


def test_events_appear_by_themselves_after_the_flush_time(tmp_path):
    writer = EventFileWriter(tmp_path, flush_s=0.05)
    writer.add_record(record(7))
    end = time.monotonic() + 10
    while steps(writer.path) != [7]:
        assert time.monotonic() < end
        time.sleep(0.02)
    writer.close()


def test_a_full_queue_is_written_at_once(tmp_path):
    writer = EventFileWriter(tmp_path, max_queue=5, flush_s=1000)
    for step in range(5):
        writer.add_record(record(step))
    end = time.monotonic() + 10
    while len(steps(writer.path)) < 5:
        assert time.monotonic() < end
        time.sleep(0.02)
    writer.close()


def test_many_threads_lose_nothing(tmp_path):
    writer = EventFileWriter(tmp_path, max_queue=7)

    def add(first):
        for step in range(first, first + 500):
            writer.add_record(record(step))

    threads = [threading.Thread(target=add, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = steps(writer.path)
    assert sorted(found) == [1000 * i + j for i in range(4) for j in range(500)]
    for i in range(4):  # each thread's events stay in its order
        assert [s for s in found if s // 1000 == i] == list(range(1000 * i, 1000 * i + 500))


def test_an_empty_event_does_not_stop_flush(tmp_path):
    writer = EventFileWriter(tmp_path)
    writer.add_event(event_pb2.Event())
    writer.flush(deadline_s=10)
    writer.close()
    assert steps(writer.path) == [0]


def test_close_is_idempotent_and_later_events_raise(tmp_path):
    writer = EventFileWriter(tmp_path)
    writer.add_record(record(1))
    writer.close()
    writer.close()
    assert writer.closed
    assert steps(writer.path) == [1]
    with pytest.raises(errors.FailedPreconditionError, match="is closed"):
        writer.add_record(record(2))
    with pytest.raises(errors.FailedPreconditionError, match="is closed"):
        writer.flush()


@pytest.mark.parametrize("call", ["add_record", "flush", "close"])
def test_an_error_of_the_thread_is_raised_by_the_next_call(tmp_path, broken, call):
    broken(BrokenFile(0, OSError(28, "No space left on device")))
    writer = EventFileWriter(tmp_path)
    writer._thread.join(10)
    with pytest.raises(errors.ResourceExhaustedError, match="No space left") as caught:
        getattr(writer, call)(*([b""] if call == "add_record" else []))
    assert writer.path in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    writer.close()  # told once, closing is quiet


def test_flush_that_waits_gets_the_error(tmp_path, broken):
    broken(BrokenFile(1, ValueError("broken")))
    writer = EventFileWriter(tmp_path)
    writer.flush()
    writer.add_record(record(1))
    with pytest.raises(errors.InternalError, match="broken"):
        writer.flush()
    writer.close()


def test_flush_and_close_have_a_deadline(tmp_path, broken):
    release = threading.Event()
    broken(BrokenFile(100, None, release))
    writer = EventFileWriter(tmp_path)
    writer.add_record(record(1))
    start = time.monotonic()
    with pytest.raises(errors.DeadlineExceededError, match="2 events still wait"):
        writer.flush(deadline_s=0.2)
    with pytest.raises(errors.DeadlineExceededError, match="still wait"):
        writer.close(deadline_s=0.2)
    assert time.monotonic() - start < 5
    release.set()
    writer._thread.join(10)


def test_callers_are_held_back_when_much_waits(tmp_path, broken, monkeypatch):
    monkeypatch.setattr(event_file_writer, "_LIMIT_BYTES", 100)
    monkeypatch.setattr(event_file_writer, "DEADLINE_S", 0.2)
    release = threading.Event()
    broken(BrokenFile(100, None, release))
    writer = EventFileWriter(tmp_path)
    time.sleep(0.05)  # the thread is inside its first write
    writer.add_record(bytes(200))
    with pytest.raises(errors.DeadlineExceededError):
        writer.add_record(bytes(10))
    release.set()
    writer.add_record(bytes(10))
    writer.close(deadline_s=10)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.OpError, match="file/run"):
        EventFileWriter(tmp_path / "file" / "run")


def test_a_remote_store():
    import fsspec

    writer = EventFileWriter("memory://events/run")
    writer.add_record(record(3))
    writer.close()
    fs = fsspec.filesystem("memory")
    (path,) = fs.ls("/events/run", detail=False)
    assert record(3) in fs.cat(path)
    fs.rm("/events", recursive=True)


def test_the_end_of_the_process_writes_what_waits(tmp_path):
    script = (
        "import sys\n"
        "from shardtape.summary.event_file_writer import EventFileWriter\n"
        "from tensorboard.compat.proto import event_pb2\n"
        f"writer = EventFileWriter({str(tmp_path)!r}, flush_s=1000)\n"
        "writer.add_event(event_pb2.Event(step=5))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    (path,) = glob.glob(str(tmp_path / "*"))
    assert steps(path) == [5]


def test_closing_ends_the_thread(tmp_path):
    before = threading.active_count()
    writer = EventFileWriter(tmp_path)
    writer.close()
    del writer
    gc.collect()
    assert threading.active_count() == before
    assert len(os.listdir(tmp_path)) == 1

"""Messages over a Unix socket: whole, in order, of any size; a peer that goes or stalls is seen."""

import socket
import threading
import time

import pytest

from shardtape.errors import InvalidArgumentError, UnavailableError
from shardtape.ps.wire import line
from shardtape.ps.wire.line import Line

pytestmark = pytest.mark.skipif(not line.available(), reason="needs Linux")


@pytest.fixture
def pair():
    ends = [Line(end, 4 << 20) for end in socket.socketpair()]
    yield ends
    for end in ends:
        end.close()


def test_messages_come_whole_and_in_order(pair):
    here, there = pair
    sizes = [0, 1, 3, 100, 256 << 10, 1 << 20, 5, (256 << 10) - 4, (256 << 10) - 3, 70_000, 0, 9]
    messages = [bytes([n % 251]) * size for n, size in enumerate(sizes)] * 3
    sender = threading.Thread(target=here.send, args=(messages,))
    sender.start()
    for message in messages:
        assert there.receive(10.0) == message
    sender.join(10)
    assert there.receive(0.0) is None


def test_threads_do_not_mix_their_messages(pair):
    here, there = pair
    senders = [
        threading.Thread(target=here.send, args=([bytes([n]) * 50_000] * 20,)) for n in range(3)
    ]
    for sender in senders:
        sender.start()
    for _ in range(60):
        message = there.receive(10.0)
        assert len(message) == 50_000 and len(set(message)) == 1


def test_waiting_ends_in_time(pair):
    begin = time.monotonic()
    assert pair[0].receive(0.05) is None
    assert 0.04 < time.monotonic() - begin < 2.0


def test_an_end_is_noticed_at_once(pair):
    here, there = pair
    threading.Timer(0.05, here.close).start()
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match="ended|broke"):
        there.receive(10.0)
    assert time.monotonic() - begin < 2.0
    with pytest.raises(UnavailableError):
        for _ in range(10):
            there.send([b"x" * 100_000])


def test_closing_wakes_who_receives(pair):
    here, _ = pair
    threading.Timer(0.05, here.close).start()
    with pytest.raises(UnavailableError):
        here.receive(None)


def test_messages_are_bounded(pair):
    here, there = pair
    here.send([b"x"])
    here._connection.sendall((1 << 31).to_bytes(4, "little"))
    assert there.receive(1.0) == b"x"
    with pytest.raises(InvalidArgumentError, match="over the limit of 4,194,304"):
        there.receive(1.0)


def test_names_vanish_with_the_socket():
    listener = line.listen("shardtape-test-names")
    with pytest.raises(OSError):
        line.listen("shardtape-test-names")
    connection = line.connect("shardtape-test-names", 1.0)
    accepted, _ = listener.accept()
    assert line.same_user(accepted)
    for each in (connection, accepted, listener):
        each.close()
    with pytest.raises(OSError):
        line.connect("shardtape-test-names", 1.0)

"""What holds for all tests."""

import gc
import signal


def pytest_configure():
    """A shell's background job ignores SIGINT, and so would the processes that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """The tests themselves and the modules stay: collections need not look at them each time."""
    gc.collect()
    gc.freeze()

"""What holds for all tests."""

import gc


def pytest_collection_finish():
    """The tests themselves and the modules stay: collections need not look at them each time."""
    gc.collect()
    gc.freeze()

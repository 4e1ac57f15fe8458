"""Record framing, read back by tensorboard's own reader."""

import random

import pytest
from tensorboard.compat.tensorflow_stub import errors as tensorboard_errors
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from shardtape.records.record_writer import RecordWriter


def read(path):
    """All records of a file by tensorboard's reader, which checks both checksums."""
    reader = pywrap_tensorflow.PyRecordReader_New(str(path))
    records = []
    while True:
        try:
            reader.GetNext()
        except tensorboard_errors.OutOfRangeError:
            return records
        records.append(reader.record())


@pytest.fixture
def records():
    rng = random.Random(0)
    return [rng.randbytes(size) for size in (0, 1, 60, 60, 5, 4000, 60)]


def test_another_reader_finds_every_record(tmp_path, records):
    path = tmp_path / "a"
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        size = writer.write_many(records[:4])
        for record in records[4:]:
            size += writer.write(record)
        writer.write_many([])
        writer.flush()
        assert read(path) == records
    assert size == path.stat().st_size == sum(16 + len(record) for record in records)


@pytest.mark.parametrize("byte", [0, 8, 12, 20, 72, 75])
def test_a_flipped_bit_is_noticed(tmp_path, byte):
    path = tmp_path / "a"
    with open(path, "wb") as file:
        RecordWriter(file).write(bytes(range(60)))
    data = bytearray(path.read_bytes())
    data[byte] ^= 4
    path.write_bytes(data)
    with pytest.raises(tensorboard_errors.DataLossError):
        read(path)


def test_every_prefix_reads_as_the_whole_records_in_it(tmp_path, records):
    path = tmp_path / "a"
    with open(path, "wb") as file:
        RecordWriter(file).write_many(records[:4])
    data = path.read_bytes()
    ends = [sum(16 + len(r) for r in records[: n + 1]) for n in range(4)]
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        complete = sum(end <= cut for end in ends)
        reader = pywrap_tensorflow.PyRecordReader_New(str(path))
        for record in records[:complete]:
            reader.GetNext()
            assert reader.record() == record
        with pytest.raises((tensorboard_errors.DataLossError, tensorboard_errors.OutOfRangeError)):
            reader.GetNext()

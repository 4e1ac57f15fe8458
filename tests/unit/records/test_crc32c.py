"""CRC-32C against tensorboard's own implementation, and against published values."""

import random

import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from shardtape.records.crc32c import crc32c, masked_crc32c

LENGTHS = [*range(20), 100, *range(1020, 1032), *range(2046, 2053), 3000, 65535, 65536, 65541]


def test_published_values():
    # RFC 3720, B.4
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("length", LENGTHS)
def test_equals_tensorboard(length):
    data = random.Random(length).randbytes(length)
    assert crc32c(data) == pywrap_tensorflow.crc32c(data)


def test_batches_of_mixed_lengths_keep_their_order():
    rng = random.Random(1)
    records = [rng.randbytes(rng.choice([0, 3, 60, 60, 61, 1024, 2000])) for _ in range(300)]
    expected = [pywrap_tensorflow.masked_crc32c(record) for record in records]
    assert masked_crc32c(records).tolist() == expected


def test_no_records():
    assert masked_crc32c([]).size == 0

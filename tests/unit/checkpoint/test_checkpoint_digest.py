"""The digest against its definition, written out."""

import hashlib
import random

import numpy as np
import pytest

from shardtape.checkpoint.digest import PageDigest


def definition(data):
    words = np.frombuffer(data + bytes(-len(data) % 4096), "<u8").reshape(-1, 512)
    sums = words.sum(axis=1, dtype=np.uint64)
    return hashlib.sha256(sums.tobytes() + len(data).to_bytes(8, "little")).hexdigest()


def digest_of(data):
    taken = PageDigest()
    taken.update(data)
    return taken.hexdigest()


@pytest.mark.parametrize("length", [0, 1, 8, 4095, 4096, 4097, 12288, 100_001])
def test_equals_its_definition(length):
    data = random.Random(length).randbytes(length)
    assert digest_of(data) == definition(data)


def test_pieces_of_whole_pages_make_the_same_digest():
    data = random.Random(0).randbytes(5 * 4096 + 17)
    taken = PageDigest()
    for start in range(0, len(data), 8192):
        taken.update(data[start : start + 8192])
    assert taken.hexdigest() == definition(data)
    taken.update(b"")
    with pytest.raises(ValueError, match="only the last piece"):
        taken.update(b"more")


def test_any_flipped_bit_changes_it():
    data = bytearray(random.Random(1).randbytes(9000))
    before = digest_of(data)
    for position in range(0, 9000, 7):
        data[position] ^= 1 << position % 8
        assert digest_of(data) != before
        data[position] ^= 1 << position % 8


def test_exchanged_lost_and_zeroed_pages_change_it():
    data = random.Random(2).randbytes(3 * 4096)
    a, b, c = data[:4096], data[4096:8192], data[8192:]
    others = [a + c + b, a + b, a + b + c + bytes(1), a + bytes(4096) + c, a + a + c, bytes(12288)]
    assert len({digest_of(data), *map(digest_of, others)}) == len(others) + 1
    assert digest_of(b"") != digest_of(bytes(1))


def test_unaligned_memory():
    data = random.Random(3).randbytes(8193)
    assert digest_of(memoryview(data)[1:]) == definition(data[1:])

"""Hashes of strings: SipHash-2-4 with a key, and TensorFlow's own 64-bit hash."""

from __future__ import annotations

import struct

_MASK = (1 << 64) - 1


def _left(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & _MASK


def siphash(s: bytes, k0: int, k1: int) -> int:
    """SipHash-2-4 of `s` with the key (k0, k1); 0..2**64 - 1."""
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    whole = len(s) // 8 * 8
    words = [struct.unpack_from("<Q", s, at)[0] for at in range(0, whole, 8)]
    words.append(int.from_bytes(s[whole:], "little") | (len(s) & 0xFF) << 56)
    for word in words:
        v[3] ^= word
        _round(v)
        _round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        _round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & _MASK
    v[2] = (v[2] + v[3]) & _MASK
    v[1] = _left(v[1], 13) ^ v[0]
    v[3] = _left(v[3], 16) ^ v[2]
    v[0] = _left(v[0], 32)
    v[2] = (v[2] + v[1]) & _MASK
    v[0] = (v[0] + v[3]) & _MASK
    v[1] = _left(v[1], 17) ^ v[2]
    v[3] = _left(v[3], 21) ^ v[0]
    v[2] = _left(v[2], 32)


def hash64(s: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """MurmurHash64A, as TensorFlow's `Hash64`; 0..2**64 - 1."""
    m, r = 0xC6A4A7935BD1E995, 47
    h = seed ^ (len(s) * m & _MASK)
    whole = len(s) // 8 * 8
    for at in range(0, whole, 8):
        k = struct.unpack_from("<Q", s, at)[0] * m & _MASK
        k = (k ^ (k >> r)) * m & _MASK
        h = (h ^ k) * m & _MASK
    if len(s) > whole:
        h = (h ^ int.from_bytes(s[whole:], "little")) * m & _MASK
    h = (h ^ (h >> r)) * m & _MASK
    return h ^ (h >> r)

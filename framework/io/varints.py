"""Numbers as protocol buffers write them."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """A protobuf varint; negative numbers as their two's complement of 64 bits."""
    if 0 <= value < 128:
        return bytes((value,))
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)

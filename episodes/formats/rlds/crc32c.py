"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of TFRecord files.

A CRC is linear over GF(2). The bytes are cut into lanes that are worked through side by side, a word of four bytes a
step; neighbouring lanes are then joined, crc(ab) = shift(crc(a)) xor crc(b), until one is left. Leading zero bytes
change nothing when the register starts at zero, so the front is padded and the usual start value goes into the first
four bytes instead.
"""

from __future__ import annotations

import numpy as np

from episodes.record import Array

_POLYNOMIAL = np.uint32(0x82F63B78)
_LANE_WORDS = 64
_ONES = 0xFFFFFFFF


def _byte_tables() -> Array:
    """(4, 256) uint32: what byte b of the register becomes after k + 1 zero bytes have gone in, at [3 - k, b]."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
    tables = [table]
    for _ in range(3):
        tables.append(table[tables[-1] & 0xFF] ^ (tables[-1] >> 8))
    return np.stack(tables[::-1])


_TABLES = _byte_tables()


def _apply(tables: Array, registers: Array) -> Array:
    """A linear map of registers (N,), given as its values at each byte of each of the four places."""
    low, second, third, high = (registers >> shift & 0xFF for shift in (0, 8, 16, 24))
    result: Array = tables[0, low] ^ tables[1, second] ^ tables[2, third] ^ tables[3, high]
    return result


def _lane_shift() -> Array:
    """The map "the bytes of one lane, all zero, have gone in"."""
    tables = np.arange(256, dtype=np.uint32)[None] << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    for _ in range(_LANE_WORDS):
        tables = _apply(_TABLES, tables)
    return tables


_LANE_SHIFT = _lane_shift()


def crc32c(data: bytes) -> int:
    """The checksum of any bytes: `crc32c(b"123456789") == 0xE3069283`."""
    if len(data) < 4:
        return _short(data)
    lane = _LANE_WORDS * 4
    padding = -len(data) % lane
    padded = np.zeros(padding + len(data), np.uint8)
    padded[padding:] = np.frombuffer(data, np.uint8)
    padded[padding : padding + 4] ^= 0xFF
    words = padded.view("<u4").reshape(-1, _LANE_WORDS)
    registers = np.zeros(len(words), np.uint32)
    for word in np.ascontiguousarray(words.T):
        registers = _apply(_TABLES, registers ^ word)
    return int(_joined(registers)) ^ _ONES


def _joined(registers: Array) -> np.uint32:
    """The register after all lanes, one after the other."""
    shift = _LANE_SHIFT
    while len(registers) > 1:
        if len(registers) % 2:
            registers = np.concatenate([np.zeros(1, np.uint32), registers])
        registers = _apply(shift, registers[::2]) ^ registers[1::2]
        shift = _apply(shift, shift)
    return np.uint32(registers[0])


def _short(data: bytes) -> int:
    register = _ONES
    for byte in data:
        register = int(_TABLES[3, (register ^ byte) & 0xFF]) ^ register >> 8
    return register ^ _ONES

"""TFRecord files and the `tf.train.Example` messages in them, without TensorFlow.

A record is `length (uint64) | masked CRC of length | data | masked CRC of data`, little-endian; the mask is
`((crc >> 15 | crc << 17) + 0xa282ead8) mod 2**32` (tensorflow/core/lib/io/record_writer.h). An Example is a protobuf
message `{1: {1: repeated {1: name, 2: {1: bytes list | 2: float list | 3: int64 list}}}}`; a list has its values in
field 1, packed or one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.rlds.crc32c import crc32c
from episodes.record import Array

Value = list[bytes] | Array
"""bytes, float32 (N,) or int64 (N,)"""
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_MASK = 0xA282EAD8
_COPY = "copy the file again, whole"


@dataclass(frozen=True, slots=True)
class Index:
    """Where the records of a file are, and what is wrong after the last of them."""

    spans: tuple[tuple[int, int], ...]
    """(start of the data, length) in bytes"""
    problem: str


def index(path: Path) -> Index:
    """Walk over the record headers of a file; the data is neither read nor checked."""
    size, at = path.stat().st_size, 0
    spans: list[tuple[int, int]] = []
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return Index(tuple(spans), f"the file ends inside the header of a record at byte {at}")
            length, checksum = _HEADER.unpack(header)
            if _masked(header[:8]) != checksum:
                return Index(tuple(spans), f"the length of the record at byte {at} has a wrong checksum")
            if at + _HEADER.size + length + _FOOTER.size > size:
                return Index(tuple(spans), f"the file ends inside the record at byte {at}")
            spans.append((at + _HEADER.size, length))
            at += _HEADER.size + length + _FOOTER.size
    return Index(tuple(spans), "")


def read_record(path: Path, span: tuple[int, int]) -> bytes:
    """The data of one record; `DataRefused` where its checksum is wrong."""
    start, length = span
    with path.open("rb") as file:
        file.seek(start)
        data, footer = file.read(length), file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size or _masked(data) != _FOOTER.unpack(footer)[0]:
        raise DataRefused(f"the record at byte {start - _HEADER.size} has a wrong checksum; {_COPY}")
    return data


def parse_example(data: bytes) -> dict[str, Value]:
    """Name -> values of a serialized `tf.train.Example`; `DataRefused` where it is none."""
    try:
        return dict(_feature(entry) for entry in _submessages(data, 1, 1))
    except (IndexError, ValueError, struct.error) as error:
        raise DataRefused(f"a record is no tf.train.Example ({error}); export the dataset again") from error


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _submessages(data: bytes, *path: int) -> Iterator[bytes]:
    """The messages at a path of field numbers."""
    for number, wire, value in _fields(data):
        if number == path[0] and wire == 2:
            yield from _submessages(value, *path[1:]) if path[1:] else (value,)


def _feature(entry: bytes) -> tuple[str, Value]:
    """One entry of the map: its name and the values of the one list in it."""
    parts = {number: value for number, _, value in _fields(entry)}
    values: Value = np.zeros(0, np.float32)
    for kind, _, packed in _fields(parts.get(2, b"")):
        if kind == 1:
            values = [value for number, _, value in _fields(packed) if number == 1]
        elif kind == 2:
            values = np.frombuffer(b"".join(value for _, _, value in _fields(packed)), "<f4")
        elif kind == 3:
            values = np.concatenate([np.zeros(0, np.int64), *(_varints(v) for _, _, v in _fields(packed))])
    return parts[1].decode() if 1 in parts else "", values


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(field number, wire type, raw value) of a message. A varint's raw value is its bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire, start = key & 7, at
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            length, start = _varint(data, at)
            at = start + length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data):
            raise ValueError(f"a field of it ends {at - len(data)} bytes after it")
        yield key >> 3, wire, data[start:at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where the next begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _varints(packed: bytes) -> Array:
    """(N,) int64 of numbers one after the other."""
    raw = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1):
        raise ValueError("a number is cut off")
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    if len(ends) and (ends - starts).max() > 9:
        raise ValueError("a number of more than 64 bits")
    place = np.arange(len(raw)) - np.repeat(starts, ends - starts + 1)
    bits = (raw & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    summed: Array = np.add.reduceat(bits, starts) if len(ends) else bits
    return summed.view(np.int64)

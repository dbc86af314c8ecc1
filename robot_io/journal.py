"""The journal: what a running episode has recorded so far, readable up to the last whole record after any crash.

A record is `magic, sequence number, payload length, CRC-32` and the payload: a JSON head and the raw little-endian
bytes of its arrays. The CRC covers the numbers and the payload, so a torn or damaged record is known, and
reading stops there. Appending is one unbuffered write; a thread of its own syncs the file to disk a few times a
second, so that the control path never waits for the disk.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.record import Array
from episodes.workspace import disk_errors, sync_directory

MAGIC = b"RGJ1"
SYNC_EVERY_S = 0.3
_HEAD = struct.Struct("<4sIII")
_NUMBERS = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a journal."""

    kind: str
    detail: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalText:
    """All whole records of a journal file, and how many bytes behind them are not one."""

    records: tuple[Record, ...]
    bytes_cut: int


class Journal:
    """The journal being written. The file must not exist: a journal that is there holds an episode to recover."""

    def __init__(self, path: Path, *, sync_every_s: float = SYNC_EVERY_S) -> None:
        self.path = path
        self._sequence = self._size = 0
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                raise DataRefused(f"{path} holds an episode that was not finished; recover it first") from None
            sync_directory(path.parent)
        self._closing = threading.Event()
        self._failed: OSError | None = None
        self._syncer = threading.Thread(target=self._keep_synced, args=(sync_every_s,), daemon=True)
        self._syncer.start()

    def append(self, kind: str, detail: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
        """Add one record. A full disk is `DataRefused`, and the records before it stay readable."""
        data = encode(self._sequence, Record(kind, detail, arrays or {}))
        with disk_errors(self.path):
            if self._failed is not None:
                raise self._failed
            try:
                _write_all(self._file, data)
            except OSError:
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
                raise
        self._sequence += 1
        self._size += len(data)

    def close(self) -> None:
        """End the syncing thread and close the file; the file stays."""
        if not self._closing.is_set():
            self._closing.set()
            self._syncer.join()
            os.close(self._file)

    def _keep_synced(self, every_s: float) -> None:
        synced = 0
        while not self._closing.wait(every_s):
            size = self._size
            if size == synced:
                continue
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._failed = error
                return
            synced = size


def read_journal(path: Path) -> JournalText:
    """Every whole record from the start; what follows the first torn or damaged one is cut."""
    data = path.read_bytes()
    records = []
    end = 0
    for record, stop in _whole(data):
        records.append(record)
        end = stop
    return JournalText(tuple(records), len(data) - end)


def encode(sequence: int, record: Record) -> bytes:
    """The bytes of one record."""
    arrays = {name: _little_endian(array) for name, array in record.arrays.items()}
    head = {
        "kind": record.kind,
        "detail": record.detail,
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
    }
    text = json.dumps(head).encode()
    payload = b"".join((_LENGTH.pack(len(text)), text, *(array.tobytes() for array in arrays.values())))
    return _HEAD.pack(MAGIC, sequence, len(payload), _crc(sequence, payload)) + payload


def _whole(data: bytes) -> Iterator[tuple[Record, int]]:
    start, expected = 0, 0
    while start + _HEAD.size <= len(data):
        magic, sequence, length, crc = _HEAD.unpack_from(data, start)
        stop = start + _HEAD.size + length
        payload = data[start + _HEAD.size : stop]
        if magic != MAGIC or sequence != expected or len(payload) != length or _crc(sequence, payload) != crc:
            return
        yield _decode(payload), stop
        start, expected = stop, expected + 1


def _decode(payload: bytes) -> Record:
    (length,) = _LENGTH.unpack_from(payload)
    at = _LENGTH.size + length
    head = json.loads(payload[_LENGTH.size : at])
    arrays = {}
    for name, dtype, shape in head["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(payload, np.dtype(dtype), count, at).reshape(shape)
        at += arrays[name].nbytes
    return Record(head["kind"], head["detail"], arrays)


def _crc(sequence: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_NUMBERS.pack(sequence, len(payload))))


def _little_endian(array: Array) -> Array:
    array = np.asarray(array, order="C")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
